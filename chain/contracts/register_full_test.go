package contracts

import (
	"testing"

	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

// TestRegisterListFull registers at a registry that counts as many nodes as it may
// hold, and at one with room for one more: the operator is told.
func TestRegisterListFull(t *testing.T) {
	for count, code := range map[uint32]int{MaxNodes - 1: 0, MaxNodes: CodeListFull} {
		f := newFixture(t, noStake)
		c, err := f.start.Cell()
		if err != nil {
			t.Fatal(err)
		}
		start := treeOf(c)
		for i := range 32 { // behind two code ids and an empty dictionary
			start.refs[3].bits[2*272+1+i] = byte(count >> (31 - i) & 1)
		}
		a, si := place(RootCode(), start.cell())
		good(t, f.anybody.Send(tvmtest.Message{To: a, Value: tvmtest.Coin, StateInit: si}))
		f.root = a
		if f.node, si, err = NodeAddress(a, f.operator.Address, 7); err != nil {
			t.Fatal(err)
		}
		good(t, f.operator.Send(tvmtest.Message{To: f.node, Value: tvmtest.Coin, StateInit: si}))
		f.tryRegister(code)
	}
}
