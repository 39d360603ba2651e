package contracts

import (
	"testing"

	"github.com/xssnick/tonutils-go/tvm/cell"
)

func TestParseAnchorMessage(t *testing.T) {
	want := Anchor{Epoch: 3, Size: 17, Root: [32]byte{1, 2, 3}}
	sig := [64]byte{9, 8, 7}
	ext := (&AnchorExternal{Anchor: want, Signature: sig}).Body()
	in := (&AnchorInternal{QueryID: 5, Anchor: want, Signature: sig}).Body()
	for name, c := range map[string]*cell.Cell{"external": ext, "internal": in} {
		got, s, ok := ParseAnchorMessage(c)
		if !ok || got != want || s != sig {
			t.Errorf("%s: got %v, %v", name, got, ok)
		}
	}
	for name, c := range map[string]*cell.Cell{
		"nil": nil, "empty": build().EndCell(),
		"other tag": build().MustStoreUInt(opSetProfile, 32).MustStoreSlice(make([]byte, 116), 928).EndCell(),
	} {
		if _, _, ok := ParseAnchorMessage(c); ok {
			t.Errorf("%s: read as an anchor", name)
		}
	}
}
