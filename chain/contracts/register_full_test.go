package contracts

import (
	"testing"

	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

// TestRegisterListFull registers at a registry that counts as many nodes as it may
// hold, and at one with room for one more: it is registered all the same. A recheck
// lists it when there is room.
func TestRegisterListFull(t *testing.T) {
	for _, count := range []uint32{MaxNodes - 1, MaxNodes} {
		f := newFixture(t, noStake)
		c, err := f.start.Cell()
		if err != nil {
			t.Fatal(err)
		}
		start := treeOf(c)
		for i := range 32 { // behind nonce, paused, number and two code ids
			start.bits[64+1+32+2*272+i] = byte(count >> (31 - i) & 1)
		}
		a, si := place(RootCode(), start.cell())
		good(t, f.anybody.Send(tvmtest.Message{To: a, Value: tvmtest.Coin, StateInit: si}))
		f.root = a
		if f.node, si, err = NodeAddress(a, f.operator.Address, 7); err != nil {
			t.Fatal(err)
		}
		good(t, f.operator.Send(tvmtest.Message{To: f.node, Value: tvmtest.Coin, StateInit: si}))
		f.tryRegister(0)
		good(t, f.send(f.anybody, ValueCheck, &Recheck{}))
		done(t, f.anybody, 0)
		if s := f.nodeState(); s.Status != StatusActive {
			t.Errorf("%d nodes: the node is %s", count, s.Status)
		}
	}
}
