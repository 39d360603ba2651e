package attestation

import (
	"encoding/binary"
	"slices"
	"testing"
)

// TestLists: equal lists are kept once, apart from the caller's, and not too
// many of them.
func TestLists(t *testing.T) {
	var s lists
	mine := [][32]byte{{1}, {2}}
	a, b := s.share(mine), s.share(slices.Clone(mine))
	if &a[0] != &b[0] || !slices.Equal(a, mine) {
		t.Error("equal lists are kept twice")
	}
	mine[0][0] = 9
	if a[0][0] != 1 {
		t.Error("the caller can change a shared list")
	}
	if c := s.share([][32]byte{{2}, {1}}); slices.Equal(a, c) {
		t.Error("the order is lost")
	}
	if s.share(nil) != nil {
		t.Error("a list out of nothing")
	}
	for i := range 100 {
		var d [32]byte
		binary.BigEndian.PutUint32(d[:], uint32(i+1))
		if l := s.share([][32]byte{d}); l[0] != d {
			t.Fatalf("list %d: %x", i, l)
		}
	}
	if len(s.known) > maxLists || len(s.order) > maxLists {
		t.Errorf("%d lists", len(s.known))
	}
}
