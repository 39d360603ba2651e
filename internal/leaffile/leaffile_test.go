package leaffile

import (
	"bytes"
	"strings"
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/receipt"
)

var testNode = attestation.Address{Hash: [32]byte{7}}

func TestRecord(t *testing.T) {
	h := receipt.Head{Node: testNode, Epoch: 3, Index: 5, Time: 1800000000, BlockSeqno: 100, Holder: [32]byte{1}, BodyDigest: [32]byte{2}}
	sig := [64]byte{9}
	rec := Append(nil, &h, &sig)
	if len(rec) != RecordSize || !Sealed(rec) {
		t.Fatalf("%d bytes, sealed %v", len(rec), Sealed(rec))
	}
	if got, s, err := Parse(rec); err != nil || got != h || s != sig {
		t.Errorf("%+v, %v", got, err)
	}
	for i := range rec {
		bad := bytes.Clone(rec)
		bad[i] ^= 1
		if Sealed(bad) {
			t.Errorf("byte %d may change", i)
		}
	}
	for _, short := range [][]byte{nil, rec[:RecordSize-1], append(bytes.Clone(rec), 0)} {
		if Sealed(short) {
			t.Errorf("%d bytes are sealed", len(short))
		}
		if _, _, err := Parse(short); err == nil {
			t.Errorf("%d bytes are a leaf", len(short))
		}
	}
}

func TestHeader(t *testing.T) {
	good := Header(testNode)
	if err := CheckHeader(good, testNode); err != nil || len(good) != RecordSize || !Sealed(good) {
		t.Fatal(err)
	}
	edited := func(i int) []byte {
		b := bytes.Clone(good)
		b[i] ^= 1
		return append(b[:PayloadSize:PayloadSize], sum(b[:PayloadSize])...)
	}
	torn := bytes.Clone(good)
	torn[20] ^= 1
	for says, b := range map[string][]byte{
		"has version 0": edited(7), "belongs to node": Header(attestation.Address{}), "does not parse": edited(0), "not ours": torn, "damaged": good[:7],
	} {
		if err := CheckHeader(b, testNode); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("want %q: %v", says, err)
		}
	}
}

func sum(payload []byte) []byte {
	c := Checksum(payload)
	return []byte{byte(c), byte(c >> 8), byte(c >> 16), byte(c >> 24)}
}

func FuzzRecord(f *testing.F) {
	f.Add(Header(testNode))
	f.Add(Append(nil, &receipt.Head{Node: testNode, Epoch: 1, Time: 1}, new([64]byte)))
	f.Fuzz(func(t *testing.T, b []byte) {
		_ = CheckHeader(b, testNode)
		h, sig, err := Parse(b)
		if err == nil && Sealed(b) && !bytes.Equal(Append(nil, &h, &sig), b) {
			t.Error("a record is read as another")
		}
	})
}
