package contracts

import (
	"errors"
	"runtime"
	"testing"
)

var errOrder = errors.New("keys are out of order")

// endless is a dictionary with all keys of some bits, in one cell for each bit: both
// halves of a fork are one cell.
func endless(bits int, value *cellT) *cellT {
	c := build().MustStoreUInt(0, 2).MustStoreRef(value).EndCell() // hml_short$0, no bits
	for range bits {
		c = build().MustStoreUInt(0, 2).MustStoreRef(c).MustStoreRef(c).EndCell()
	}
	return c
}

// TestEndlessDictionary reads a state whose dictionary has a million items in 21
// cells. Anybody can deploy a contract with any state.
func TestEndlessDictionary(t *testing.T) {
	walk := func(bits int) (n int, err error) {
		r := read(build().MustStoreBoolBit(true).MustStoreRef(endless(bits, build().EndCell())).EndCell(), "state")
		r.dict(uint(bits), func(k, v *reader) {
			if got := k.u(uint(bits)); got != uint64(n) {
				k.fail(errOrder)
			}
			v.ref()
			n++
		})
		return n, r.err
	}
	if n, err := walk(16); n != maxItems || err != nil {
		t.Errorf("%d items: %d were read, err %v", maxItems, n, err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	n, err := walk(20)
	runtime.ReadMemStats(&after)
	if n > maxItems || err == nil {
		t.Errorf("2^20 items: %d were read, err %v", n, err)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 150<<20 {
		t.Errorf("2^20 items: %d MB were used", used>>20)
	}
}
