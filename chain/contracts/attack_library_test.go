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

// TestLibraryParams: nodes keep the cell of the registry's parameters, so it must be
// no library's: governance could have it stop to resolve, and no stake could leave.
func TestLibraryParams(t *testing.T) {
	f := newFixture(t)
	p := DefaultParams().Cell()
	m := f.governRaw(build().MustStoreUInt(0x88, 8).MustStoreRef(libraryOf(t, p)).EndCell())
	refused(t, f.anybody.Send(tvmtest.Message{To: f.root, Value: ValueGovern, Bounce: true, StateInit: bringing(t, p), Body: body(m)}), CodeBadAction)
}
