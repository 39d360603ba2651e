package devnet

import (
	"fmt"
	"math/big"
	"math/bits"

	"github.com/xssnick/tonutils-go/tvm/cell"
)

// This file reads TL-B strictly, as the code that the reference implementation
// generates from block.tlb does: every tag, every constraint, no bit or reference
// left over, the sums of every augmented dictionary. tonutils-go, which the chain
// is written with, is more lenient, and is not used here above slices of bits.

// A tlbType reads one value. It panics with a tlbError.
type tlbType func(s *cell.Slice)

type tlbError struct{ error }

func tlbFail(format string, a ...any) { panic(tlbError{fmt.Errorf(format, a...)}) }

func tlbGet[T any](v T, err error) T {
	if err != nil {
		panic(tlbError{err})
	}
	return v
}

// readTLB reads a cell to its end; path names it in the error.
func readTLB(c *cell.Cell, t tlbType) (err error) {
	defer func() {
		if r := recover(); r != nil {
			e, ok := r.(tlbError)
			if !ok {
				panic(r)
			}
			err = e.error
		}
	}()
	wholeCell(c, t)
	return nil
}

func wholeCell(c *cell.Cell, t tlbType) {
	if c.GetType() != cell.OrdinaryCellType {
		tlbFail("cell of type %d", c.GetType())
	}
	s := tlbGet(c.BeginParse())
	t(s)
	if s.BitsLeft() > 0 || s.RefsNum() > 0 {
		tlbFail("%d bits and %d references left over", s.BitsLeft(), s.RefsNum())
	}
}

func all(types ...tlbType) tlbType {
	return func(s *cell.Slice) {
		for _, t := range types {
			t(s)
		}
	}
}

// named puts the name of a type before what is wrong inside of it.
func named(name string, t tlbType) tlbType {
	return func(s *cell.Slice) {
		defer func() {
			if r := recover(); r != nil {
				if e, ok := r.(tlbError); ok {
					r = tlbError{fmt.Errorf("%s: %w", name, e.error)}
				}
				panic(r)
			}
		}()
		t(s)
	}
}

func number(s *cell.Slice, n uint) uint64 { return tlbGet(s.LoadUInt(n)) }

// skip is n bits of any value.
func skip(n uint) tlbType { return func(s *cell.Slice) { tlbGet(s.LoadSlice(n)) } }

// exactly is a tag, or a field with one allowed value.
func exactly(want uint64, n uint) tlbType {
	return func(s *cell.Slice) {
		if got := number(s, n); got != want {
			tlbFail("%#x, want %#x", got, want)
		}
	}
}

// atMost is #<= max.
func atMost(max uint64) tlbType {
	return func(s *cell.Slice) {
		if got := number(s, uint(bits.Len64(max))); got > max {
			tlbFail("%d, at most %d", got, max)
		}
	}
}

func reference(t tlbType) tlbType {
	return func(s *cell.Slice) { wholeCell(tlbGet(s.LoadRefCell()), t) }
}

// anyRef is ^Cell.
func anyRef(s *cell.Slice) { tlbGet(s.LoadRefCell()) }

// rest is Any: everything that is left.
func rest(s *cell.Slice) {
	tlbGet(s.LoadSlice(s.BitsLeft()))
	for s.RefsNum() > 0 {
		anyRef(s)
	}
}

func maybe(t tlbType) tlbType {
	return func(s *cell.Slice) {
		if number(s, 1) == 1 {
			t(s)
		}
	}
}

func either(left, right tlbType) tlbType {
	return func(s *cell.Slice) {
		if number(s, 1) == 0 {
			left(s)
		} else {
			right(s)
		}
	}
}

// prefixed chooses by a constructor tag, given in binary digits.
func prefixed(constructors map[string]tlbType) tlbType {
	return func(s *cell.Slice) {
		tag := ""
		for len(tag) < 8 {
			tag += fmt.Sprint(number(s, 1))
			if t, ok := constructors[tag]; ok {
				named("$"+tag, t)(s)
				return
			}
		}
		tlbFail("no constructor $%s", tag)
	}
}

// varUInt is VarUInteger n, without leading zeros.
func varUInt(s *cell.Slice, n uint64) *big.Int {
	size := number(s, uint(bits.Len64(n-1)))
	if size >= n {
		tlbFail("number of %d bytes, less than %d allowed", size, n)
	}
	b := tlbGet(s.LoadSlice(uint(size) * 8))
	if size > 0 && b[0] == 0 {
		tlbFail("number with leading zeros")
	}
	return new(big.Int).SetBytes(b)
}

func varNumber(n uint64) tlbType { return func(s *cell.Slice) { varUInt(s, n) } }

var coins = varNumber(16)

// currencies returns the coins of a CurrencyCollection.
func currencies(s *cell.Slice) *big.Int {
	v := varUInt(s, 16)
	hashmapE(32, varNumber(32))(s)
	return v
}

func currencyCollection(s *cell.Slice) { currencies(s) }

// hmLabel reads HmLabel ~l n and returns l.
func hmLabel(s *cell.Slice, n uint64) uint64 {
	long := func() uint64 {
		l := number(s, uint(bits.Len64(n)))
		if l > n {
			tlbFail("label of %d bits, at most %d", l, n)
		}
		return l
	}
	switch {
	case number(s, 1) == 0:
		l := uint64(0)
		for number(s, 1) == 1 {
			l++
		}
		if l > n {
			tlbFail("label of %d bits, at most %d", l, n)
		}
		tlbGet(s.LoadSlice(uint(l)))
		return l
	case number(s, 1) == 0:
		l := long()
		tlbGet(s.LoadSlice(uint(l)))
		return l
	}
	number(s, 1)
	return long()
}

func hashmap(n uint64, value tlbType) tlbType {
	return func(s *cell.Slice) {
		m := n - hmLabel(s, n)
		if m == 0 {
			value(s)
			return
		}
		reference(hashmap(m-1, value))(s)
		reference(hashmap(m-1, value))(s)
	}
}

func hashmapE(n uint64, value tlbType) tlbType { return maybe(reference(hashmap(n, value))) }

// An augmentation reads an extra value as numbers and combines two.
type augmentation struct {
	read    func(s *cell.Slice) []*big.Int
	combine func(a, b *big.Int) *big.Int
}

func sum(a, b *big.Int) *big.Int { return new(big.Int).Add(a, b) }

func larger(a, b *big.Int) *big.Int {
	if a.Cmp(b) > 0 {
		return a
	}
	return b
}

func smaller(a, b *big.Int) *big.Int {
	if a.Cmp(b) < 0 {
		return a
	}
	return b
}

func same(a, b []*big.Int) bool { return fmt.Sprint(a) == fmt.Sprint(b) }

// hashmapAug returns the extra of the root.
func hashmapAug(s *cell.Slice, n uint64, value tlbType, aug augmentation) []*big.Int {
	m := n - hmLabel(s, n)
	if m == 0 {
		extra := aug.read(s)
		value(s)
		return extra
	}
	var sides [2][]*big.Int
	for i := range sides {
		reference(func(s *cell.Slice) { sides[i] = hashmapAug(s, m-1, value, aug) })(s)
	}
	extra := aug.read(s)
	for i := range extra {
		if want := aug.combine(sides[0][i], sides[1][i]); extra[i].Cmp(want) != 0 {
			tlbFail("extra %v of a fork, its branches make it %v", extra[i], want)
		}
	}
	return extra
}

func hashmapAugE(n uint64, value tlbType, aug augmentation) tlbType {
	return func(s *cell.Slice) {
		var inner []*big.Int
		maybe(reference(func(s *cell.Slice) { inner = hashmapAug(s, n, value, aug) }))(s)
		extra := aug.read(s)
		if inner == nil {
			inner = make([]*big.Int, len(extra))
			for i := range inner {
				inner[i] = new(big.Int)
			}
		}
		if !same(extra, inner) {
			tlbFail("extra %v of the dictionary, its root has %v", extra, inner)
		}
	}
}
