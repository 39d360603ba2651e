package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/cocoon-go/cocoon/chain/contracts"
)

// Whoever reads a registry sees which of its verifiers count.
func TestVerifiersShown(t *testing.T) {
	s := contracts.NewRoot(contracts.Quorum{}, contracts.DefaultParams())
	var out bytes.Buffer
	if printVerifiers(&out, verifiersOf(s)); out.Len() > 0 {
		t.Errorf("nobody is listed: %s", &out)
	}
	s.List(contracts.VerifierSet{Number: 4, Quorum: contracts.Quorum{Threshold: 2, Keys: map[uint8][32]byte{0: {1}, 1: {2}, 2: {3}}}})
	s.Verifiers.Quorum.Keys[1] = [32]byte{2}
	printVerifiers(&out, verifiersOf(s))
	zeros := strings.Repeat("00", 31)
	want := "verifiers     set 4: 2 of 3 must sign\n  01" + zeros + " has no stake, and does not count\n  02" + zeros + " certifies\n  03" + zeros + " has no stake, and does not count\n"
	if out.String() != want {
		t.Errorf("got\n%s", &out)
	}
}
