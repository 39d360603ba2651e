package contracts

import (
	"math/big"
	"testing"

	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

// bringing is a StateInit that brings a library along: while its message is executed
// cells that stand for that library's resolve.
func bringing(t *testing.T, c *cell.Cell) *cell.Cell {
	t.Helper()
	d := cell.NewDict(256)
	if err := d.SetIntKey(new(big.Int).SetBytes(c.Hash()), build().MustStoreBoolBit(true).MustStoreRef(c).EndCell()); err != nil {
		t.Fatal(err)
	}
	return build().MustStoreUInt(0b0000, 4).MustStoreMaybeRef(d.AsCell()).EndCell()
}

// TestLibraryAction: what governance decides is kept, and nodes keep the cell of the
// registry's parameters. None may be a library's: it could stop to resolve, and then no
// stake could leave, or nothing be tightened.
func TestLibraryAction(t *testing.T) {
	f := newFixture(t)
	p := DefaultParams().Cell()
	resume := build().MustStoreUInt(0x86, 8).EndCell()
	for name, c := range map[string]struct{ action, library *cell.Cell }{
		"parameters": {build().MustStoreUInt(0x88, 8).MustStoreRef(libraryOf(t, p)).EndCell(), p},
		"action":     {libraryOf(t, resume), resume},
	} {
		t.Run(name, func(t *testing.T) {
			m := body(f.governRaw(c.action))
			refused(t, f.anybody.Send(tvmtest.Message{To: f.root, Value: ValueGovern, Bounce: true, StateInit: bringing(t, c.library), Body: m}), CodeBadAction)
		})
	}
}
