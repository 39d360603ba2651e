package nvidia

import (
	"errors"
	"testing"
	"testing/synctest"
)

// TestCacheTogether: who asks for a value that is being made waits for it, and a
// failure is that of all who wait, and of nobody later.
func TestCacheTogether(t *testing.T) {
	bad := errors.New("bad")
	for _, want := range []error{nil, bad} {
		synctest.Test(t, func(t *testing.T) {
			c := newCache[int](2)
			made, leave := 0, make(chan bool)
			build := func() (int, error) { made++; <-leave; return 7, want }
			for range 8 {
				go func() {
					if v, err := c.get([32]byte{1}, build); err != want || want == nil && v != 7 {
						t.Errorf("%d, %v", v, err)
					}
				}()
			}
			synctest.Wait()
			close(leave)
			synctest.Wait()
			if made != 1 || c.len() != map[bool]int{true: 1, false: 0}[want == nil] {
				t.Errorf("made %d times, %d kept", made, c.len())
			}
			if v, err := c.get([32]byte{1}, func() (int, error) { return 8, nil }); err != nil || v != map[bool]int{true: 7, false: 8}[want == nil] {
				t.Errorf("later %d, %v", v, err)
			}
		})
	}
}

// A panic does not leave others waiting.
func TestCachePanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, leave := newCache[int](2), make(chan bool)
		go func() {
			defer func() { _ = recover() }()
			_, _ = c.get([32]byte{1}, func() (int, error) { <-leave; panic("broken") })
		}()
		synctest.Wait()
		go func() {
			if _, err := c.get([32]byte{1}, func() (int, error) { return 1, nil }); err != errUnmade {
				t.Errorf("%v", err)
			}
		}()
		synctest.Wait()
		close(leave)
		synctest.Wait()
		if c.len() != 0 {
			t.Error("something is kept")
		}
	})
}

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
