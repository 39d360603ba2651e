package client

import (
	"bytes"
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
)

// FuzzVerifyRecord looks for panics, and for files that show something without a
// proof of it.
func FuzzVerifyRecord(f *testing.F) {
	for _, w := range []wireRecord{
		{Type: recordType, Node: []byte("node"), Root: []byte("registry"), Platform: []byte("platform")},
		{Type: recordType, Node: []byte{}, Root: []byte{}},
		{Type: "another"},
	} {
		b, err := recordEnc.Marshal(w)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	reg, trusted := attestation.Address{Hash: [32]byte{1}}, chain.BlockID{Seqno: 1}
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := VerifyRecord(b, reg, trusted); r != nil || err == nil {
			t.Errorf("%+v, %v", r, err)
		}
		w, err := parseRecord(b)
		if err != nil {
			return
		}
		if again, err := recordEnc.Marshal(w); err != nil || !bytes.Equal(again, b) {
			t.Errorf("%x is read and written as %x", b, again)
		}
	})
}
