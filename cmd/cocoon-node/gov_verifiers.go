package main

import (
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/cocoon-go/cocoon/chain/contracts"
)

// verifierSet is the verifiers that governance listed.
type verifierSet struct {
	Number    uint32         `json:"number"`
	Threshold uint8          `json:"threshold"`
	Verifiers []verifierLine `json:"verifiers"`
}

type verifierLine struct {
	Key       string `json:"key"`
	Certifies bool   `json:"certifies"` // it has a stake
}

// verifiersOf returns nil where nobody is listed.
func verifiersOf(s *contracts.RootState) *verifierSet {
	if s.Listed == nil || s.Verifiers == nil {
		return nil
	}
	out := &verifierSet{Number: s.Listed.Number, Threshold: s.Listed.Quorum.Threshold}
	for _, i := range slices.Sorted(maps.Keys(s.Listed.Quorum.Keys)) {
		k := s.Listed.Quorum.Keys[i]
		_, certifies := s.Verifiers.Quorum.Keys[i]
		out.Verifiers = append(out.Verifiers, verifierLine{hex.EncodeToString(k[:]), certifies})
	}
	return out
}

func printVerifiers(w io.Writer, v *verifierSet) {
	if v == nil {
		return
	}
	fmt.Fprintf(w, "verifiers     set %d: %d of %d must sign\n", v.Number, v.Threshold, len(v.Verifiers))
	for _, l := range v.Verifiers {
		fmt.Fprintf(w, "  %s %s\n", l.Key, map[bool]string{true: "certifies", false: "has no stake, and does not count"}[l.Certifies])
	}
}
