package client

import (
	"math/rand/v2"
	"testing"
)

func TestLRU(t *testing.T) {
	c := newLRU[int, string](3, 10)
	has := func(keys ...int) {
		t.Helper()
		if c.len() != len(keys) || c.order.Len() != len(keys) {
			t.Errorf("%d entries, want %v", c.len(), keys)
		}
		for _, k := range keys {
			if _, ok := c.found[k]; !ok {
				t.Errorf("%d is gone, want %v", k, keys)
			}
		}
	}
	c.put(1, "a", 1)
	c.put(2, "b", 1)
	c.put(3, "c", 1)
	if v, ok := c.get(1); !ok || v != "a" {
		t.Errorf("%q, %v", v, ok)
	}
	c.put(4, "d", 1) // one too many: what was used least recently goes
	has(1, 3, 4)
	c.put(3, "C", 9) // too much
	has(4, 3)
	if v, _ := c.get(3); v != "C" || c.used != 10 {
		t.Errorf("%q, %d used", v, c.used)
	}
	c.put(5, "e", 11) // more than all
	has(4, 3)
	c.put(4, "d", 11) // also in place of a smaller one
	has(3)
	c.remove(3)
	c.remove(3)
	has()
	if _, ok := c.get(3); ok || c.used != 0 {
		t.Errorf("%d used", c.used)
	}
	for range 10000 {
		c.put(rand.IntN(20), "", rand.IntN(12))
		sum := 0
		for e := c.order.Front(); e != nil; e = e.Next() {
			sum += e.Value.(*lruEntry[int, string]).cost
		}
		if sum != c.used || sum > 10 || c.len() > 3 || c.order.Len() != c.len() {
			t.Fatalf("%d entries of %d, counted as %d", c.len(), sum, c.used)
		}
	}
}
