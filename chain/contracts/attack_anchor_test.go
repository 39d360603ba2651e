package contracts

import "testing"

// TestAnchorWrapped: a node pays for every bit of a message from outside. The only
// StateInit that the chain lets pass to it is its own first one, which would make an
// anchor twenty times as dear; anybody could put it around a signed head.
func TestAnchorWrapped(t *testing.T) {
	l := newLone(t)
	l.registerLone()
	_, first, err := NodeAddress(l.root, l.operator.Address, 7)
	if err != nil {
		t.Fatal(err)
	}
	before := l.Balance(l.node).Uint64()
	refused(t, l.SendExternalInit(l.node, first, l.anchor(7).Body()), CodeBadFormat)
	if now := l.Balance(l.node).Uint64(); now != before {
		t.Errorf("the node paid %d for it", before-now)
	}
	good(t, l.SendExternal(l.node, l.anchor(7).Body()))
}
