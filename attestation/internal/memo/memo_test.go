package memo

import (
	"sync"
	"testing"
	"time"
)

var end = time.Unix(1000, 0)

func key(i int) *Key { return &Key{byte(i), byte(i >> 8)} }

// TestCache: bounded, oldest out first, expired entries are not given out.
func TestCache(t *testing.T) {
	c := New[int](3)
	for i := range 5 {
		c.Put(key(i), i, end)
	}
	if c.Len() != 3 {
		t.Errorf("%d entries, want 3", c.Len())
	}
	for i := range 5 {
		if v, ok := c.Get(key(i), end); ok != (i >= 2) || (ok && v != i) {
			t.Errorf("entry %d: %d, %v", i, v, ok)
		}
	}
	if _, ok := c.Get(key(4), end.Add(1)); ok {
		t.Error("an expired entry is given out")
	}
}

// TestBound: putting and dropping the same entry again and again leaves neither
// more entries nor more keys than the limit.
func TestBound(t *testing.T) {
	c := New[int](3)
	for i := range 100 {
		c.Put(key(4), i, end)
		c.Get(key(4), end.Add(1))
		c.Put(key(i), i, end)
	}
	if c.Len() > 3 || len(c.order) > 3 {
		t.Errorf("%d entries, %d keys", c.Len(), len(c.order))
	}
}

// TestNil: a nil cache remembers nothing.
func TestNil(t *testing.T) {
	var c *Cache[int]
	c.Put(key(1), 1, end)
	if _, ok := c.Get(key(1), end); ok || c.Len() != 0 {
		t.Error("a nil cache remembers")
	}
}

func TestKeyOf(t *testing.T) {
	a, b, c := KeyOf([]byte("x"), [32]byte{}), KeyOf([]byte("x"), [32]byte{1}), KeyOf([]byte("y"), [32]byte{})
	if a == b || a == c || b == c {
		t.Error("different things have one key")
	}
}

// TestConcurrent: run it with -race.
func TestConcurrent(t *testing.T) {
	c := New[int](50)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 500 {
				n := (g*31 + i) % 100
				if v, ok := c.Get(key(n), end.Add(time.Duration(i%2))); ok && v != n {
					t.Errorf("entry %d: %d", n, v)
				}
				c.Put(key(n), n, end)
			}
		})
	}
	wg.Wait()
	if c.Len() > 50 {
		t.Errorf("%d entries", c.Len())
	}
}
