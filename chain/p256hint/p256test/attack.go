package p256test

import (
	"math/big"
	"math/rand/v2"
)

// Attacks returns questions that the construction without one of its checks
// would accept: each is made for the check that its name tells. All must be
// refused.
func Attacks() []Case {
	rng := rand.NewChaCha8([32]byte{'a'})
	return append([]Case{
		otherD(rng, "question 2: the other D of question 1", Z1),
		otherD(rng, "question 1: the other D of question 2", Z2),
		freeInverse(rng),
		freeSlope(rng),
		offCurveKey(rng),
		offCurveD(rng),
		equalD(rng),
		invertedRange(rng),
		keyRange(rng, "qx below p", SmallX(new(big.Int), 1)[0], true),
		keyRange(rng, "qy below p", SmallY(big.NewInt(1)), false),
	}, Exceptions(rng)...)
}

// Exceptions returns the valid signatures that the contract refuses.
func Exceptions(rng *rand.ChaCha8) []Case {
	d := RandomScalar(rng)
	s1 := mul(new(big.Int).Neg(Z1), inverse(G.X, N), N) // k for which s1 = z1 + k Gx = 0
	s2 := mul(new(big.Int).Neg(Z2), inverse(G.X, N), N)
	var out []Case
	for _, k := range []named{{"k = 0", new(big.Int)}, {"D = Q", d}, {"D = -Q", new(big.Int).Neg(d)}, {"s1 = 0", s1}, {"s2 = 0", s2}} {
		t := RandomScalar(rng)
		r := mod(BaseMul(t).X, N)
		z := mod(new(big.Int).Add(Z1, mul(r, k.value, N)), N)
		_, s := Sign(z, d, t)
		c := ask(k.name, z, BaseMul(d), r, s)
		c.Exception = true
		out = append(out, c)
	}
	return out
}

// otherD passes one question with D = -(k + 2 zi/Gx) G and signs, with its own
// key, what that D makes of the last question.
func otherD(rng *rand.ChaCha8, name string, zi *big.Int) Case {
	d, t, z := RandomScalar(rng), RandomScalar(rng), Random(rng)
	r := mod(BaseMul(t).X, N)
	k := mul(new(big.Int).Sub(z, Z1), inverse(r, N), N)
	other := mul(new(big.Int).Lsh(zi, 1), inverse(G.X, N), N)
	other = mod(new(big.Int).Neg(other.Add(other, k)), N)
	_, s := Sign(mod(new(big.Int).Add(Z1, mul(r, other, N)), N), d, t)
	return Case{Name: name, Args: withD(z, BaseMul(d), r, s, inverse(r, N), BaseMul(other))}
}

// freeInverse shows a signature of another digest with an inverse of r that
// makes up for the difference.
func freeInverse(rng *rand.ChaCha8) Case {
	c := RandomValid(rng)
	a := c.Args
	z := Random(rng)
	a.RInverse = Big{mul(mul(new(big.Int).Sub(a.Z.Int, Z1), a.RInverse.Int, N), inverse(new(big.Int).Sub(z, Z1), N), N)}
	a.Z = Big{z}
	return Case{Name: "r * rInverse = 1", Args: a}
}

// minusQ returns arguments whose last question is asked about -Q: the slope is
// a root of 2 qx + dx, so that the sum of Q and D comes out as -Q.
func minusQ(rng *rand.ChaCha8, want func(q, d Point, slope *big.Int) bool) (a Args[Big], q, d Point) {
	for {
		private, t, k := RandomScalar(rng), RandomScalar(rng), RandomScalar(rng)
		q, d = BaseMul(private), BaseMul(k)
		slope := new(big.Int).Lsh(q.X, 1)
		slope = slope.ModSqrt(mod(slope.Add(slope, d.X), P), P)
		if slope == nil || !want(q, d, slope) {
			continue
		}
		r, s := Sign(Z1, mod(new(big.Int).Neg(private), N), t)
		a = withD(mod(new(big.Int).Add(Z1, mul(r, k, N)), N), q, r, s, inverse(r, N), d)
		a.Slope = Big{slope}
		return a, q, d
	}
}

func freeSlope(rng *rand.ChaCha8) Case {
	a, _, _ := minusQ(rng, func(Point, Point, *big.Int) bool { return true })
	return Case{Name: "slope * (dx - qx) = dy - qy", Args: a}
}

// offCurveD keeps x and parity of D, so that the opcode sees the right D, and
// changes y so that the slope is the wanted one.
func offCurveD(rng *rand.ChaCha8) Case {
	dy := func(q, d Point, slope *big.Int) *big.Int {
		v := new(big.Int).Sub(d.X, q.X)
		return mod(v.Mul(v, slope).Add(v, q.Y), P)
	}
	a, q, d := minusQ(rng, func(q, d Point, slope *big.Int) bool { return dy(q, d, slope).Bit(0) == d.Y.Bit(0) })
	a.DY = Big{dy(q, d, a.Slope.Int)}
	return Case{Name: "D on the curve", Args: a}
}

// offCurveKey makes the sum of Q and D come out as -D, whose key it knows; any
// slope gives such a Q.
func offCurveKey(rng *rand.ChaCha8) Case {
	k, t, slope := RandomScalar(rng), RandomScalar(rng), RandomScalar(rng)
	d := BaseMul(k)
	qx := mul(slope, slope, P)
	qx = mod(qx.Sub(qx, new(big.Int).Lsh(d.X, 1)), P)
	qy := new(big.Int).Sub(qx, d.X)
	q := Point{qx, mod(qy.Mul(qy, slope).Add(qy, d.Y), P)}
	r, s := Sign(Z1, mod(new(big.Int).Neg(k), N), t)
	return Case{Name: "Q on the curve", Args: withD(mod(new(big.Int).Add(Z1, mul(r, k, N)), N), q, r, s, inverse(r, N), d)}
}

// equalD has D = Q, where every slope satisfies the equation, and picks the one
// that makes the sum come out as -Q.
func equalD(rng *rand.ChaCha8) Case {
	for {
		private := RandomScalar(rng)
		q := BaseMul(private)
		slope := new(big.Int).ModSqrt(mul(big.NewInt(3), q.X, P), P)
		if slope == nil {
			continue
		}
		r, s := Sign(Z1, mod(new(big.Int).Neg(private), N), RandomScalar(rng))
		a := withD(mod(new(big.Int).Add(Z1, mul(r, private, N)), N), q, r, s, inverse(r, N), q)
		a.Slope = Big{slope}
		return Case{Name: "dx differs from qx", Args: a}
	}
}

// invertedRange adds the order to an inverse that is small enough.
func invertedRange(rng *rand.ChaCha8) Case {
	for v := int64(2); ; v++ {
		point := Lift(inverse(big.NewInt(v), N), false)
		if point.IsInfinity() {
			continue
		}
		z, s := Random(rng), RandomScalar(rng)
		c := ask("rInverse below n", z, KeyFor(z, point, s), point.X, s)
		if !c.Valid || c.Args.RInverse.Cmp(Big{big.NewInt(v)}) != 0 {
			panic("p256test: not the wanted inverse")
		}
		c.Args.RInverse = Big{near(v)}
		c.Valid = false
		return c
	}
}

// keyRange adds the prime to a coordinate that is small enough.
func keyRange(rng *rand.ChaCha8, name string, q Point, x bool) Case {
	z, r, s := SignatureFor(q, RandomScalar(rng), RandomScalar(rng))
	a := Ask(z, q, r, s)
	if x {
		a.QX = Big{new(big.Int).Add(q.X, P)}
	} else {
		a.QY = Big{new(big.Int).Add(q.Y, P)}
	}
	return Case{Name: name, Args: a}
}
