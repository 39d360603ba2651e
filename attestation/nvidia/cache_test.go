package nvidia

import (
	"errors"
	"testing"
)

// TestCache counts how often values are made.
func TestCache(t *testing.T) {
	c, made := newCache[int](2), 0
	get := func(key byte) int {
		v, err := c.get([32]byte{key}, func() (int, error) { made++; return int(key), nil })
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, x := range []struct {
		key        byte
		made, kept int
	}{{1, 1, 1}, {1, 1, 1}, {2, 2, 2}, {1, 2, 2}, {3, 3, 2}, {3, 3, 2}, {2, 3, 2}, {1, 4, 2}, {3, 4, 2}, {2, 5, 2}} {
		if v := get(x.key); v != int(x.key) || made != x.made || c.len() != x.kept {
			t.Errorf("value %d of key %d, %d made, %d kept, want %+v", v, x.key, made, c.len(), x)
		}
	}
	bad := errors.New("bad")
	for range 2 {
		if _, err := c.get([32]byte{9}, func() (int, error) { made++; return 0, bad }); err != bad || c.len() != 2 {
			t.Errorf("%v, %d kept", err, c.len())
		}
	}
	if made != 7 {
		t.Errorf("%d made: failures are kept", made)
	}
	var none *cache[int]
	if v, err := none.get([32]byte{1}, func() (int, error) { return 5, nil }); v != 5 || err != nil || none.len() != 0 {
		t.Errorf("%d, %v from a cache that keeps nothing", v, err)
	}
}
