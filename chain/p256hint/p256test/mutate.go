package p256test

import (
	"math/big"
	"math/rand/v2"
)

// Field is one argument.
type Field struct {
	Name    string
	modulus *big.Int
	Of      func(*Args[Big]) *Big // the argument in place
}

// Fields are all arguments of p256Verify.
var Fields = []Field{
	{"z", N, func(a *Args[Big]) *Big { return &a.Z }},
	{"qx", P, func(a *Args[Big]) *Big { return &a.QX }},
	{"qy", P, func(a *Args[Big]) *Big { return &a.QY }},
	{"r", N, func(a *Args[Big]) *Big { return &a.R }},
	{"s", N, func(a *Args[Big]) *Big { return &a.S }},
	{"rInverse", N, func(a *Args[Big]) *Big { return &a.RInverse }},
	{"dx", P, func(a *Args[Big]) *Big { return &a.DX }},
	{"dy", P, func(a *Args[Big]) *Big { return &a.DY }},
	{"slope", P, func(a *Args[Big]) *Big { return &a.Slope }},
}

// Below reports whether v lies in the argument's range.
func (f Field) Below(v *big.Int) bool { return v.Cmp(f.modulus) < 0 }

// Mutate returns a with another value in one argument: a bit flipped, one more
// or less, negated, 0, or random. It is never an equally valid one: not n - s,
// and no z of the same residue.
func (f Field) Mutate(rng *rand.ChaCha8, a Args[Big]) Args[Big] {
	old := f.Of(&a).Int
	for {
		v := f.mutation(rng, old)
		same := mod(v, f.modulus).Cmp(mod(old, f.modulus)) == 0
		if v.Sign() < 0 || v.BitLen() > 256 || v.Cmp(old) == 0 || f.Name == "z" && same {
			continue
		}
		if f.Name == "s" && v.Cmp(new(big.Int).Sub(N, old)) == 0 {
			continue
		}
		*f.Of(&a) = Big{v}
		return a
	}
}

func (f Field) mutation(rng *rand.ChaCha8, old *big.Int) *big.Int {
	n := rng.Uint64()
	switch n % 8 {
	case 0:
		return new(big.Int).Add(old, big.NewInt(1))
	case 1:
		return new(big.Int).Sub(old, big.NewInt(1))
	case 2:
		return new(big.Int).Sub(f.modulus, old)
	case 3:
		return Random(rng)
	case 4:
		return new(big.Int)
	}
	bit := int(n>>8) % 256
	return new(big.Int).SetBit(new(big.Int).Set(old), bit, old.Bit(bit)^1)
}

// Rebuilt returns a with the mutated digest, key or signature of b and honest
// hints for it, so that only the last question can refuse. It is false where
// the mutated key is no point.
func Rebuilt(a Args[Big]) (Args[Big], bool) {
	q := Point{a.QX.Int, a.QY.Int}
	if !q.OnCurve() {
		q = Lift(mod(a.QX.Int, P), a.QY.Odd())
	}
	if q.IsInfinity() || mod(a.R.Int, N).Sign() == 0 {
		return a, false
	}
	return Ask(a.Z.Int, q, a.R.Int, a.S.Int), true
}
