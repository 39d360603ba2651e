package contracts

import "testing"

// bounceCost is the most, in nano, that a payout that came back takes of a credit.
const bounceCost = 10_000_000

// TestBouncePaysForItself has somebody with a credit refuse it again and again: a
// node loses nothing, however many credits are in its book.
func TestBouncePaysForItself(t *testing.T) {
	l := newFaulty(t)
	for i := range uint64(12) {
		by := l.Actor(string(rune('a'+i)), 100*coin)
		l.reportReceipts(by, i)
		l.stake(100 * coin)
		l.Now += pendingTimeout
		l.registerLone()
		by.Refuse = true
		spare := l.Balance(l.node).Uint64() - l.nodeState().Protected()
		l.send(by, ValueSmall, &Withdraw{})
		if left := l.Balance(l.node).Uint64() - l.nodeState().Protected(); left < spare {
			t.Errorf("a payout that came back cost the node %d, with %d credits", spare-left, i+1)
		}
	}
}
