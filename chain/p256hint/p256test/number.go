package p256test

import "math/big"

// Big is a number as TVM has it: 257 bits with sign. Leaving that range is a
// panic, since the contract would throw where it promises not to. Its methods are
// TVM's arithmetic; MulMod keeps the product of 513 bits, and Of makes a number.
type Big struct{ *big.Int }

var tvmLimit = new(big.Int).Lsh(big.NewInt(1), 256)

func fit(v *big.Int) Big {
	if v.Cmp(tvmLimit) >= 0 || new(big.Int).Neg(v).Cmp(tvmLimit) > 0 {
		panic("p256test: number leaves the 257 bits of TVM")
	}
	return Big{v}
}

func (a Big) Add(b Big) Big { return fit(new(big.Int).Add(a.Int, b.Int)) }
func (a Big) Sub(b Big) Big { return fit(new(big.Int).Sub(a.Int, b.Int)) }
func (a Big) MulMod(b, m Big) Big {
	v := new(big.Int).Mul(a.Int, b.Int)
	return fit(v.Mod(v, m.Int))
}
func (a Big) Mod(m Big) Big  { return fit(new(big.Int).Mod(a.Int, m.Int)) }
func (a Big) Cmp(b Big) int  { return a.Int.Cmp(b.Int) }
func (a Big) Odd() bool      { return a.Bit(0) == 1 }
func (a Big) Of(v int64) Big { return Big{big.NewInt(v)} }

// Small is a number for curves of a few points, with the methods of [Big].
type Small int64

func (a Small) Add(b Small) Small       { return a + b }
func (a Small) Sub(b Small) Small       { return a - b }
func (a Small) MulMod(b, m Small) Small { return (a * b).Mod(m) }
func (a Small) Mod(m Small) Small       { return (a%m + m) % m }
func (a Small) Cmp(b Small) int         { return int(a - b) }
func (a Small) Odd() bool               { return a&1 == 1 }
func (a Small) Of(v int64) Small        { return Small(v) }
