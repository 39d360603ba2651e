package contracts

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation/sim"
)

// tree is a cell that can be changed.
type tree struct {
	bits []byte // 0 or 1 each
	refs []*tree
}

func treeOf(c *cell.Cell) *tree {
	s := c.MustBeginParse()
	t := &tree{bits: make([]byte, s.BitsLeft())}
	for i := range t.bits {
		t.bits[i] = byte(s.MustLoadUInt(1))
	}
	for s.RefsNum() > 0 {
		t.refs = append(t.refs, treeOf(s.MustLoadRef().MustToCell()))
	}
	return t
}

func (t *tree) cell() *cell.Cell {
	b := build()
	for _, v := range t.bits {
		b.MustStoreUInt(uint64(v), 1)
	}
	for _, r := range t.refs {
		b.MustStoreRef(r.cell())
	}
	return b.EndCell()
}

// walk visits every cell with the indexes of references that lead to it.
func (t *tree) walk(path string, f func(path string, t *tree)) {
	f(path, t)
	for i, r := range t.refs {
		r.walk(fmt.Sprintf("%s/%d", path, i), f)
	}
}

// reshapes calls f for every way to cut the same content otherwise: f sees the
// changed tree and must not keep it.
func (t *tree) reshapes(f func(what string)) {
	t.walk("", func(path string, c *tree) {
		bits, refs := c.bits, c.refs
		try := func(what string, b []byte, r []*tree) {
			c.bits, c.refs = b, r
			f(path + ": " + what)
			c.bits, c.refs = bits, refs
		}
		try("a bit more", append(append([]byte(nil), bits...), 0), refs)
		try("a byte more", append(append([]byte(nil), bits...), make([]byte, 8)...), refs)
		if len(bits) > 0 {
			try("a bit less", bits[:len(bits)-1], refs)
			try("begins with another bit", append([]byte{0}, bits...), refs)
			for _, k := range []int{1, 8, len(bits) / 2, len(bits)} {
				if k <= len(bits) {
					try(fmt.Sprintf("last %d bits in a cell of their own", k), bits[:len(bits)-k], []*tree{{bits[len(bits)-k:], refs}})
				}
			}
		}
		if len(refs) < 4 {
			try("an empty reference more", bits, append(append([]*tree(nil), refs...), &tree{}))
			try("an empty reference before", bits, append([]*tree{{}}, refs...))
		}
		for i := range refs {
			try(fmt.Sprintf("without reference %d", i), bits, append(append([]*tree(nil), refs[:i]...), refs[i+1:]...))
			for j := range i {
				swapped := append([]*tree(nil), refs...)
				swapped[i], swapped[j] = refs[j], refs[i]
				try(fmt.Sprintf("references %d and %d swapped", j, i), bits, swapped)
			}
		}
		if len(refs) == 1 {
			c.shifts(path, f)
		}
	})
}

// shifts moves bits over the boundary to the only child, and joins both.
func (t *tree) shifts(path string, f func(what string)) {
	child, bits, refs := t.refs[0], t.bits, t.refs
	below := child.bits
	for _, k := range []int{1, 8, 16, 96, 256} {
		if k <= len(bits) && len(below)+k <= 1023 {
			t.bits = bits[:len(bits)-k]
			child.bits = append(append([]byte(nil), bits[len(bits)-k:]...), below...)
			f(fmt.Sprintf("%s: %d bits down", path, k))
		}
		if k <= len(below) && len(bits)+k <= 1023 {
			t.bits = append(append([]byte(nil), bits...), below[:k]...)
			child.bits = below[k:]
			f(fmt.Sprintf("%s: %d bits up", path, k))
		}
		t.bits, child.bits = bits, below
	}
	if len(bits)+len(below) <= 1023 {
		t.bits, t.refs = append(append([]byte(nil), bits...), below...), child.refs
		f(path + ": joined with the next cell")
		t.bits, t.refs = bits, refs
	}
}

// TestQuoteReshaped cuts good quotes otherwise in every way: one tree of cells
// is accepted for a quote, and no other.
func TestQuoteReshaped(t *testing.T) {
	for name, m := range map[string]*minted{
		"v4":        newMinted(t, testTD()),
		"v5":        newMinted(t, sim.TD{Version: 5}),
		"processor": remint(t, mint(t, platform(t, "processor", sim.IntelOptions{Processor: true}), testTD())),
	} {
		quote := treeOf(m.cells())
		n := 0
		quote.reshapes(func(what string) {
			n++
			if r := m.verifyCells(quote.cell()); r.exit == 0 {
				t.Errorf("%s: quote with cell %s is accepted", name, what)
			}
		})
		if n < 500 {
			t.Errorf("%s: only %d shapes were tried", name, n)
		}
		if r := m.verifyCells(quote.cell()); r.exit != 0 {
			t.Fatalf("%s: the test broke the quote: %s", name, ErrorName(int(r.exit)))
		}
	}
}

// TestQuoteBitFlips flips bits of a quote, hints included: 500 at random, or
// all of them with COCOON_LONG.
func TestQuoteBitFlips(t *testing.T) {
	long := os.Getenv("COCOON_LONG") != ""
	for name, td := range map[string]sim.TD{"v4": testTD(), "v5": {Version: 5}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMinted(t, td)
			quote := treeOf(m.cells())
			var bits []*byte
			quote.walk("", func(_ string, c *tree) {
				for i := range c.bits {
					bits = append(bits, &c.bits[i])
				}
			})
			if !long {
				r := rand.New(rand.NewPCG(1, uint64(len(name))))
				r.Shuffle(len(bits), func(i, j int) { bits[i], bits[j] = bits[j], bits[i] })
				bits = bits[:500]
			}
			for i, b := range bits {
				*b ^= 1
				if r := m.verifyCells(quote.cell()); r.exit == 0 {
					t.Errorf("quote is accepted with bit %d flipped", i)
				}
				*b ^= 1
			}
			if r := m.verifyCells(quote.cell()); r.exit != 0 {
				t.Fatalf("the test broke the quote: %s", ErrorName(int(r.exit)))
			}
		})
	}
}
