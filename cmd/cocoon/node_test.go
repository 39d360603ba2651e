package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/registry"
	"github.com/cocoon-go/cocoon/internal/command"
)

// Whoever looks at a node that verifiers vouched for reads that it is their word.
func TestNodeByQuorum(t *testing.T) {
	for _, c := range []struct {
		quorum     bool
		text, json string
	}{
		{true, "  evidence    TRUST ASSUMPTION: a certificate of the registry's verifiers; no contract verified the evidence", `"evidence": "verifiers"`},
		{false, "  evidence    TDX quote, verified by the contract\n", `"evidence": "contract"`},
	} {
		n := &registry.Node{Current: 1, Epochs: map[uint32]registry.Epoch{1: {Number: 1, ByQuorum: c.quorum}}, State: &contracts.NodeState{}}
		for json, want := range map[bool]string{false: c.text, true: c.json} {
			var out bytes.Buffer
			if err := printNode(&command.Env{Stdout: &out, JSON: json}, &nodeView{node: n}); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(out.String(), want) {
				t.Errorf("want %q in\n%s", want, &out)
			}
		}
	}
}

// A node that has anchored nothing has no time of an anchor.
func TestNodeWithoutAnchor(t *testing.T) {
	n := &registry.Node{Status: "none", State: &contracts.NodeState{}}
	var out bytes.Buffer
	if err := printNode(&command.Env{Stdout: &out}, &nodeView{node: n}); err != nil {
		t.Fatal(err)
	}
	writeNodeLine(&out, &nodeLine{Status: "none"})
	if got := strings.Count(out.String(), "nothing anchored yet\n"); got != 2 || strings.Contains(out.String(), "root 00") {
		t.Errorf("nothing is anchored, but\n%s", &out)
	}
}
