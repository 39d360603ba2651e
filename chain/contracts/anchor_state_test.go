package contracts

import (
	"testing"

	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

// The size that the first cell of a node's data has is the one that its state has.
func TestAnchoredSize(t *testing.T) {
	l := newLone(t)
	want := func(size uint64) {
		t.Helper()
		if got, err := AnchoredSize(l.Data(l.node)); err != nil || got != size || got != l.nodeState().Anchor.Size {
			t.Errorf("%d leaves, %v; want %d", got, err, size)
		}
	}
	want(0)
	l.setProfile()
	want(0)
	l.registerLone()
	l.stake(5 * tvmtest.Coin)
	for _, m := range []*AnchorExternal{l.anchor(7), l.anchor(1<<48 - 2)} {
		good(t, l.SendExternal(l.node, m.Body()))
		want(m.Size)
		l.Now += 100_000
	}
	for name, data := range map[string]*cell.Cell{"none": nil, "too short": cell.BeginCell().MustStoreRef(cell.BeginCell().EndCell()).EndCell()} {
		if n, err := AnchoredSize(data); err == nil || n != 0 {
			t.Errorf("%s: %d", name, n)
		}
	}
}
