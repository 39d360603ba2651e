package nvidia_test

import (
	"encoding/binary"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/cocoon-go/cocoon/attestation/nvidia"
	"github.com/cocoon-go/cocoon/attestation/sim"
)

// flips yields positions of bits to flip: 500 seeded ones of n, or all of them
// when COCOON_LONG is set.
func flips(n int) []int {
	if os.Getenv("COCOON_LONG") != "" || n <= 500 {
		all := make([]int, n)
		for i := range all {
			all[i] = i
		}
		return all
	}
	return rand.New(rand.NewPCG(1, 2)).Perm(n)[:500]
}

type flip struct{ part, bit int }

// flipsOf yields positions in several parts, 500 together.
func flipsOf(parts [][]byte) []flip {
	var all []flip
	for p, b := range parts {
		for i := range len(b) * 8 {
			all = append(all, flip{p, i})
		}
	}
	var out []flip
	for _, i := range flips(len(all)) {
		out = append(out, all[i])
	}
	return out
}

func flipped(b []byte, bit int) []byte {
	b = slices.Clone(b)
	b[bit/8] ^= 1 << (bit % 8)
	return b
}

// samples returns one real device of each kind.
func samples(t *testing.T) map[nvidia.Kind]*nvidia.Evidence {
	t.Helper()
	m := map[nvidia.Kind]*nvidia.Evidence{}
	for _, x := range nvidiaVectors(t) {
		switch x.id() {
		case "42b1775a6e04":
			m[nvidia.Hopper] = x.evidence(t)
		case "1b2383c30304":
			m[nvidia.Blackwell] = x.evidence(t)
		case "352fc991e8d2":
			m[nvidia.LS10] = x.evidence(t)
		}
	}
	if len(m) != 3 {
		t.Fatalf("%d samples", len(m))
	}
	return m
}

// TestFlipReport flips bits of real reports: request, response and signature
// are signed, or are the signature. None is accepted.
func TestFlipReport(t *testing.T) {
	for kind, ev := range samples(t) {
		v := nvidia.NewVerifier(bare, 0)
		if _, err := v.Verify(ev, nvidia.AnyNonceUnsafe(), &nvidia.Endorsements{}, at); err != nil {
			t.Fatal(err)
		}
		for _, i := range flips(len(ev.Report) * 8) {
			bad := &nvidia.Evidence{Report: flipped(ev.Report, i), Chain: ev.Chain}
			if _, err := v.Verify(bad, nvidia.AnyNonceUnsafe(), &nvidia.Endorsements{}, at); err == nil {
				t.Errorf("%s: accepted with bit %d of byte %d flipped", kind, i%8, i/8)
			}
		}
	}
}

// TestFlipCertificates flips bits of every certificate of real chains. The root
// is pinned by its digest, the others are signed to the last bit.
func TestFlipCertificates(t *testing.T) {
	for kind, ev := range samples(t) {
		v := nvidia.NewVerifier(bare, 0)
		for _, f := range flipsOf(ev.Chain) {
			bad := &nvidia.Evidence{Report: ev.Report, Chain: slices.Clone(ev.Chain)}
			bad.Chain[f.part] = flipped(ev.Chain[f.part], f.bit)
			if _, err := v.Verify(bad, nvidia.AnyNonceUnsafe(), &nvidia.Endorsements{}, at); err == nil {
				t.Errorf("%s: accepted with bit %d of byte %d of certificate %d flipped", kind, f.bit%8, f.bit/8, f.part)
			}
		}
		if v.Len() != 0 {
			t.Errorf("%s: the verifier keeps %d chains", kind, v.Len())
		}
	}
}

// TestFlipEvidence flips bits of the form of bundles.
func TestFlipEvidence(t *testing.T) {
	for kind, ev := range samples(t) {
		b, err := ev.Encode()
		if err != nil {
			t.Fatal(err)
		}
		v := nvidia.NewVerifier(bare, 0)
		for _, i := range flips(len(b) * 8) {
			e, err := nvidia.ParseEvidence(flipped(b, i))
			if err != nil {
				continue
			}
			if _, err := v.Verify(e, nvidia.AnyNonceUnsafe(), &nvidia.Endorsements{}, at); err == nil {
				t.Errorf("%s: accepted with bit %d of byte %d flipped", kind, i%8, i/8)
			}
		}
	}
}

// TestFlipEndorsements flips bits of every OCSP response that a simulated device
// and its RIM documents need; TestFlipRIM does it with the documents. A flip is
// refused, or leaves the response one about something else, which is the same as
// missing.
func TestFlipEndorsements(t *testing.T) {
	d := newDevice(t, vendor(), sim.NVIDIADeviceConfig{})
	report, err := d.Report(vendor(), sim.NVIDIAReport{Nonce: nonce})
	if err != nil {
		t.Fatal(err)
	}
	docs, ev := documents(t, d), evidence(t, d, report)
	v := nvidia.NewVerifier(nvidia.Options{SimulatedRoots: vendor().Roots()}, 0)
	if _, err := v.Verify(ev, nvidia.WantNonce(nonce), parsed(t, docs...), at); err != nil {
		t.Fatal(err)
	}
	var others []*nvidia.Endorsements // all documents but one
	for n := range docs {
		others = append(others, parsed(t, slices.Delete(slices.Clone(docs), n, n+1)...))
	}
	for _, f := range flipsOf(docs[2:]) {
		f.part += 2
		e := others[f.part].Clone()
		if err := e.Add(flipped(docs[f.part], f.bit)); err != nil {
			continue
		}
		if _, err := v.Verify(ev, nvidia.WantNonce(nonce), e, at); err == nil {
			t.Errorf("accepted with bit %d of byte %d of document %d flipped", f.bit%8, f.bit/8, f.part)
		}
	}
}

// TestLengths tries every wrong value of every length field of a report.
func TestLengths(t *testing.T) {
	for kind, ev := range samples(t) {
		b := ev.Report
		record := int(b[42]) | int(b[43])<<8 | int(b[44])<<16
		fields := []int{42, 45 + record + 32} // record, opaque data
		for i := 0; i < int(b[41]); i++ {
			fields = append(fields, 45+55*i+2, 45+55*i+5)
		}
		opaque := 45 + record + 34
		for p := opaque; p < len(b)-96; p += 4 + int(binary.LittleEndian.Uint16(b[p+2:])) {
			fields = append(fields, p+2)
		}
		v := nvidia.NewVerifier(bare, 0)
		for _, f := range fields {
			good := binary.LittleEndian.Uint16(b[f:])
			for _, n := range []uint16{0, 1, 47, 49, good - 1, good + 1, good + 4, 0x7fff, 0x8000, 0xffff} {
				if n == good {
					continue
				}
				bad := &nvidia.Evidence{Report: slices.Clone(b), Chain: ev.Chain}
				binary.LittleEndian.PutUint16(bad.Report[f:], n)
				if _, err := v.Verify(bad, nvidia.AnyNonceUnsafe(), &nvidia.Endorsements{}, at); err == nil {
					t.Errorf("%s: accepted with length %d at %d", kind, n, f)
				}
			}
		}
	}
}
