package nvidia_test

import (
	"bytes"
	"os"
	"testing"

	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/nvidia"
	"github.com/cocoon-go/cocoon/attestation/sim"
)

// FuzzNRAS verifies sets of tokens: never a panic, never facts with an error,
// and nothing is accepted but the set that was signed, in whatever form JSON
// allows.
func FuzzNRAS(f *testing.F) {
	s := newNRAS(f, sim.NVIDIAConfig{})
	keys, good := s.keys(f, nil), s.tokens(f, sim.NRASTokens{})
	f.Add(good)
	f.Add(s.tokens(f, sim.NRASTokens{Failed: true}))
	f.Add([]byte(`[["JWT","e30.e30.AA"],{"GPU-0":"e30.e30.AA"}]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := nvidia.VerifyNRAS(b, keys, tokenNonce, s.o, at)
		if (got == nil) == (err == nil) {
			t.Fatalf("%v, %v", got, err)
		}
		if err == nil && !bytes.Contains(b, good[9:40]) {
			t.Fatalf("accepted %q", b)
		}
	})
}

// FuzzNRASKeys parses key sets.
func FuzzNRASKeys(f *testing.F) {
	set, err := newNRAS(f, sim.NVIDIAConfig{}).KeySet(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(set)
	if set, err = os.ReadFile("testdata/nras-jwks-2026-09-09.json"); err != nil {
		f.Fatal(err)
	}
	f.Add(set)
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := nvidia.ParseNRASKeys(b)
		if err != nil {
			if fault.FamilyOf(err) != fault.FamilyInput || k != nil {
				t.Fatalf("%v, %v", err, k)
			}
			return
		}
		if k.Len() == 0 {
			t.Fatal("an empty set")
		}
	})
}
