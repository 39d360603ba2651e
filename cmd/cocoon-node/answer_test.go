package main

import (
	"errors"
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/registry"
)

// TestAnsweredOf: while a challenge is open the exit code is never 0.
func TestAnsweredOf(t *testing.T) {
	rec := func(ids ...byte) *registry.Node {
		open := map[[32]byte]contracts.Challenge{}
		for _, id := range ids {
			open[[32]byte{id}] = contracts.Challenge{}
		}
		return &registry.Node{State: &contracts.NodeState{Book: contracts.Book{Challenges: open}}}
	}
	bad := attestation.BadInput("x")
	for name, c := range map[string]struct {
		done    [][32]byte
		rec     *registry.Node
		problem error
		code    int
		open    int
	}{
		"nothing":          {nil, rec(), nil, 0, 0},
		"answered":         {[][32]byte{{1}}, rec(), nil, 0, 0},
		"a new one":        {[][32]byte{{1}}, rec(2), nil, 3, 1},
		"the same, again":  {[][32]byte{{1}}, rec(1), nil, 3, 1},
		"not answered":     {nil, rec(1, 2), bad, 1, 2},
		"anchoring failed": {nil, rec(), bad, 1, 0},
	} {
		v, err := answeredOf(c.done, c.rec, c.problem)
		if attestation.ExitCode(err) != c.code || len(v.Open) != c.open || len(v.Answered) != len(c.done) || (v.Error == nil) != (err == nil) || c.problem != nil && !errors.Is(err, c.problem) {
			t.Errorf("%s: %+v, %v", name, v, err)
		}
	}
}
