package contracts

import "testing"

// What the contract calls faults and challenges can be computed before they are
// sent.
func TestFaultIDs(t *testing.T) {
	l := newLogged(t, 40)
	l.publish()
	for name, m := range map[string]*ChallengeLog{
		"an older head":  l.challengeLog(20, [32]byte{1}),
		"a larger head":  l.challengeLog(50, [32]byte{2}),
		"one size":       l.challengeLog(40, [32]byte{3}),
		"two heads":      {Head: l.signedHead(1, 8, [32]byte{4}), Other: ptr(l.signedHead(1, 9, [32]byte{5}))},
		"larger first":   {Head: l.signedHead(1, 11, [32]byte{6}), Other: ptr(l.signedHead(1, 10, [32]byte{7}))},
		"one size, both": {Head: l.signedHead(1, 12, [32]byte{8}), Other: ptr(l.signedHead(1, 12, [32]byte{9}))},
	} {
		if id, _ := l.openLog(m); id != m.ID(l.nodeState().Anchor) {
			t.Errorf("%s: the contract says %x", name, id)
		}
	}
	heads, receipts := l.twoHeads(1, 17), l.twoReceipts(1, 18)
	good(t, l.send(l.anybody, ValueReport, heads))
	good(t, l.send(l.anybody, ValueReport, receipts))
	if s := l.nodeState().Book.Settled; len(s) != 2 || !s[heads.ID()] || !s[receipts.ID()] {
		t.Errorf("the contract remembers %v", s)
	}
}
