package contracts

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

// TestRootStateCheck has a registry not start from a state in which something
// would never work.
func TestRootStateCheck(t *testing.T) {
	q, err := NewQuorum(1, publics(typicalVerifierKeys()[:2])...)
	if err != nil {
		t.Fatal(err)
	}
	verifiers := VerifierSet{Number: 3, Quorum: q}
	for name, c := range map[string]struct {
		edit func(*RootState)
		says string // empty: nothing is wrong
	}{
		"a new one":                   {func(*RootState) {}, ""},
		"with platforms":              {func(s *RootState) { s.Platform = PlatformCodeID() }, ""},
		"with verifiers":              {func(s *RootState) { s.List(verifiers) }, ""},
		"other contracts":             {func(s *RootState) { s.Node, s.Platform = CodeIDOf(puppet), CodeIDOf(puppet) }, ""},
		"platforms of other code":     {func(s *RootState) { s.Platform = CodeIDOf(puppet) }, "other platforms"},
		"platforms of another depth":  {func(s *RootState) { s.Platform = PlatformCodeID(); s.Platform.Depth++ }, "other platforms"},
		"no node code":                {func(s *RootState) { s.Node = CodeID{} }, "without node code"},
		"a node in the masterchain":   {func(s *RootState) { s.Nodes[attestation.Address{Workchain: -1}] = ListedNode{} }, "outside workchain"},
		"too many nodes":              {fillNodes, "lists 16385 nodes"},
		"bad parameters":              {func(s *RootState) { s.Params.AnswerWindow = 0 }, "answer window"},
		"nobody governs":              {func(s *RootState) { s.Governance = Quorum{} }, ""},
		"certifiers, nobody listed":   {func(s *RootState) { s.Verifiers = &verifiers }, "one is missing"},
		"listed, no certifiers":       {func(s *RootState) { s.List(verifiers); s.Verifiers = nil }, "one is missing"},
		"a set newer than the newest": {func(s *RootState) { s.List(verifiers); s.LastSet-- }, "newer than the newest"},
		"two numbers":                 {func(s *RootState) { s.List(verifiers); s.Verifiers.Number++ }, "differ"},
		"two thresholds":              {func(s *RootState) { s.List(verifiers); s.Verifiers.Quorum.Threshold++ }, "differ"},
		"a certifier not listed":      {func(s *RootState) { s.List(verifiers); s.Verifiers.Quorum.Keys[0] = [32]byte{1} }, "certifies and is not listed"},
		"a certifier that is no one":  {func(s *RootState) { s.List(verifiers); s.Verifiers.Quorum.Keys[7] = [32]byte{1} }, "certifies and is not listed"},
		"verifiers that can't decide": {func(s *RootState) { s.List(VerifierSet{Number: 1}) }, ""},
	} {
		s := NewRoot(q, DefaultParams())
		c.edit(s)
		err := s.Check()
		var bad *attestation.InputError
		switch wrong := c.says != "" || name == "nobody governs" || name == "verifiers that can't decide"; {
		case wrong != (err != nil):
			t.Errorf("%s: %v", name, err)
		case wrong && (!errors.As(err, &bad) || !strings.Contains(err.Error(), c.says)):
			t.Errorf("%s: %v, want bad input: %s", name, err, c.says)
		}
		if _, _, addrErr := RootAddress(s); (addrErr == nil) != (err == nil) {
			t.Errorf("%s: it has an address: %v", name, addrErr)
		}
	}
}

// fillNodes lists a node more than there may be.
func fillNodes(s *RootState) {
	for i := range uint32(MaxNodes + 1) {
		var a attestation.Address
		binary.BigEndian.PutUint32(a.Hash[:], i)
		s.Nodes[a] = ListedNode{}
	}
}

// TestStatesAreStrict: a state with a bit or a reference more or less than it has,
// anywhere but in a node's profile, is not read.
func TestStatesAreStrict(t *testing.T) {
	l := newLone(t)
	l.stake(tvmtest.Coin)
	l.registerLone()
	f := newFixture(t, noStake)
	f.stakeVerifier(0, f.anybody, tvmtest.Coin, 0)
	verifier, _ := f.verifierAt(0)
	for name, s := range map[string]struct {
		state *cellT
		parse func(*cellT) error
	}{
		"node":     {l.Data(l.node), func(c *cellT) error { _, err := ParseNode(c); return err }},
		"verifier": {f.Data(verifier), func(c *cellT) error { _, err := ParseVerifier(c); return err }},
		"params":   {DefaultParams().Cell(), func(c *cellT) error { _, err := ParseParams(c); return err }},
	} {
		if err := s.parse(s.state); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		root := treeOf(s.state)
		root.walk("", func(path string, c *tree) {
			if name == "node" && strings.HasPrefix(path, "/2/0") {
				return // a profile is whatever the operator says: TestUnreadableProfile
			}
			bits, refs := c.bits, c.refs
			for what, edit := range map[string]func(){
				"a bit more":       func() { c.bits = append(bits[:len(bits):len(bits)], 1) },
				"a bit less":       func() { c.bits = bits[:max(len(bits)-1, 0)] },
				"a reference more": func() { c.refs = append(refs[:len(refs):len(refs)], &tree{}) },
				"a reference less": func() { c.refs = refs[:max(len(refs)-1, 0)] },
			} {
				if edit(); len(c.bits) <= 1023 && len(c.refs) <= 4 && (len(c.bits) != len(bits) || len(c.refs) != len(refs)) {
					if err := s.parse(root.cell()); attestation.ExitCode(err) != 1 {
						t.Errorf("%s, cell %q with %s: %v", name, path, what, err)
					}
				}
				c.bits, c.refs = bits, refs
			}
		})
	}
}
