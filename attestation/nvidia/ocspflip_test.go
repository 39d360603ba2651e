package nvidia_test

import (
	"testing"

	"github.com/cocoon-go/cocoon/attestation/nvidia"
	"github.com/cocoon-go/cocoon/attestation/sim"
)

// TestFlipOCSP flips bits of a response. None is accepted: everything is signed,
// or part of a signature.
func TestFlipOCSP(t *testing.T) {
	der := ocspOf(t, vendor(), 0, fresh)
	if _, err := withOCSP(t, vendor(), nvidia.Options{}, der); err != nil {
		t.Fatal(err)
	}
	o := nvidia.Options{SimulatedRoots: vendor().Roots()}
	doc, above := rim(t, vendor(), sim.NVIDIARIM{}), [][]byte{nil, ocspOf(t, vendor(), 1, fresh), ocspOf(t, vendor(), 2, fresh)}
	for _, i := range flips(len(der) * 8) {
		above[0] = flipped(der, i)
		if _, err := nvidia.VerifyRIM(doc, above, o, at); err == nil {
			t.Errorf("accepted with bit %d of byte %d flipped", i%8, i/8)
		}
	}
}

// TestFlipNRAS flips bits of a set of tokens. None is accepted: the JSON around
// the tokens holds no byte whose neighbour means the same.
func TestFlipNRAS(t *testing.T) {
	f := newNRAS(t, sim.NVIDIAConfig{})
	keys, b := f.keys(t, nil), f.tokens(t, sim.NRASTokens{})
	for _, i := range flips(len(b) * 8) {
		b[i/8] ^= 1 << (i % 8)
		if _, err := nvidia.VerifyNRAS(b, keys, tokenNonce, f.o, at); err == nil {
			t.Errorf("accepted with bit %d of byte %d flipped", i%8, i/8)
		}
		b[i/8] ^= 1 << (i % 8)
	}
	if _, err := nvidia.VerifyNRAS(b, keys, tokenNonce, f.o, at); err != nil {
		t.Fatal(err)
	}
}
