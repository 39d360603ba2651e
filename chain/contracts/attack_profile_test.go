package contracts

import (
	"testing"

	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

// TestUnreadableProfile: the contract takes any profile. With one that nobody can
// read an operator hides where his node is, but not the node and its faults.
func TestUnreadableProfile(t *testing.T) {
	l := newFaulty(t)
	text := func(bits uint, b ...byte) *cell.Cell { return build().MustStoreSlice(b, bits).EndCell() }
	profile := func(endpoint *cell.Cell) *cell.Cell {
		return build().MustStoreUInt(1, 64).MustStoreUInt(2, 64).MustStoreRef(endpoint).EndCell()
	}
	library := func(c *cell.Cell) *cell.Cell {
		lib, err := cell.BeginCell().MustStoreUInt(2, 8).MustStoreSlice(c.Hash(), 256).EndCellSpecial(true)
		if err != nil {
			t.Fatal(err)
		}
		return lib
	}
	for name, p := range map[string]*cell.Cell{
		"bell":       profile(text(8, 7)),
		"half bytes": profile(text(12, 'a', 'b')),
		"UTF-8":      profile(text(16, 0xc3, 0xa9)),
	} {
		t.Run(name, func(t *testing.T) {
			good(t, l.send(l.operator, ValueSmall, &rawBody{plain(opSetProfile, 1).MustStoreRef(p).EndCell()}))
			if s := l.nodeState(); s.Profile != (Profile{}) || s.Epoch != 1 || s.Stake == 0 {
				t.Errorf("the node reads as %+v", s)
			}
		})
	}
	// Libraries that come with the message resolve, and are gone afterwards.
	for name, p := range map[string]*cell.Cell{
		"library":               library(profile(text(8, 'a'))),
		"endpoint in a library": profile(library(text(8, 'a'))),
	} {
		t.Run(name, func(t *testing.T) {
			before := l.Data(l.node)
			txs := l.send(l.operator, ValueSmall, &rawBody{plain(opSetProfile, 1).MustStoreRef(p).EndCell()})
			if txs[0].ExitCode == 0 || !tvmtest.Equal(before, l.Data(l.node)) {
				t.Errorf("taken: %v", txs[0])
			}
		})
	}
	l.reportReceipts(l.anybody, 3)
}
