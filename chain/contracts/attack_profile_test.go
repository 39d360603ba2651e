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
	for name, c := range map[string]struct{ profile, library *cell.Cell }{
		"library":               {libraryOf(t, profile(text(8, 'a'))), profile(text(8, 'a'))},
		"endpoint in a library": {profile(libraryOf(t, text(8, 'a'))), text(8, 'a')},
	} {
		t.Run(name, func(t *testing.T) {
			b := plain(opSetProfile, 1).MustStoreRef(c.profile).EndCell()
			good(t, l.operator.Send(tvmtest.Message{To: l.node, Value: ValueSmall, Bounce: true, StateInit: bringing(t, c.library), Body: b}))
			if s := l.nodeState(); s.Profile != (Profile{}) || s.Epoch != 1 {
				t.Errorf("the node reads as %+v", s)
			}
		})
	}
	l.reportReceipts(l.anybody, 3)
}
