package p256test

import (
	"fmt"
	"math/big"
	"math/rand/v2"
)

// Classes returns cases of the classes that Wycheproof's file
// ecdsa_secp256r1_sha256_p1363 has, by the names of its flags. All values are
// made here; where Wycheproof searches for messages with special digests, the
// digest is simply chosen. Classes of numbers longer than 256 bits
// (IntegerOverflow, SignatureSize) have no form here: the contract's cells hold
// exactly 256, and tests of the contract cut and lengthen the cells.
func Classes() map[string][]Case {
	rng := rand.NewChaCha8([32]byte{'w'})
	return map[string][]Case{
		"ValidSignature":               validSignature(rng),
		"RangeCheck":                   rangeCheck(rng),
		"ModifiedInteger":              modifiedInteger(rng),
		"InvalidSignature":             invalidSignature(rng),
		"SmallRandS":                   smallRAndS(rng),
		"ArithmeticError":              arithmeticError(rng),
		"ModularInverse":               modularInverse(rng),
		"PointDuplication":             pointDuplication(rng),
		"EdgeCaseShamirMultiplication": shamir(rng),
		"SpecialCaseHash":              specialHash(rng),
		"EdgeCasePublicKey":            edgeKeys(rng),
	}
}

type named struct {
	name  string
	value *big.Int
}

// near returns N + delta.
func near(delta int64) *big.Int { return new(big.Int).Add(N, big.NewInt(delta)) }

func pow2(bits uint, delta int64) *big.Int {
	v := new(big.Int).Lsh(big.NewInt(1), bits)
	return v.Add(v, big.NewInt(delta))
}

// SmallX returns the points with the smallest x from start on.
func SmallX(start *big.Int, count int) (out []Point) {
	for x := new(big.Int).Set(start); len(out) < count; x.Add(x, big.NewInt(1)) {
		if q := Lift(x, false); !q.IsInfinity() {
			out = append(out, q)
		}
	}
	return out
}

func validSignature(rng *rand.ChaCha8) (out []Case) {
	for range 10 {
		c := RandomValid(rng)
		out = append(out, c, ask("n - s", c.Args.Z.Int, Point{c.Args.QX.Int, c.Args.QY.Int}, c.Args.R.Int, new(big.Int).Sub(N, c.Args.S.Int)))
	}
	return out
}

// rangeCheck adds the order to small r and s, so that the sums fit 256 bits.
func rangeCheck(rng *rand.ChaCha8) (out []Case) {
	for _, point := range SmallX(big.NewInt(1), 4) {
		z, s := Random(rng), RandomScalar(rng)
		q := KeyFor(z, point, s)
		out = append(out, ask("small r", z, q, point.X, s), ask("r + n", z, q, new(big.Int).Add(point.X, N), s))
		small := new(big.Int).Rsh(s, 40)
		q = KeyFor(z, point, small)
		out = append(out, ask("small s", z, q, point.X, small), ask("s + n", z, q, point.X, new(big.Int).Add(small, N)))
		out = append(out, ask("r + n and s + n", z, q, new(big.Int).Add(point.X, N), new(big.Int).Add(small, N)))
	}
	return out
}

func modifiedInteger(rng *rand.ChaCha8) (out []Case) {
	c := RandomValid(rng)
	q := Point{c.Args.QX.Int, c.Args.QY.Int}
	z, r, s := c.Args.Z.Int, c.Args.R.Int, c.Args.S.Int
	changed := func(v *big.Int) []named {
		return []named{
			{"n -", new(big.Int).Sub(N, v)}, {"1 +", new(big.Int).Add(v, big.NewInt(1))}, {"-1 +", new(big.Int).Sub(v, big.NewInt(1))},
			{"1 /", inverse(v, N)}, {"2^256 -", new(big.Int).Sub(pow2(256, 0), v)}, {"p -", new(big.Int).Sub(P, v)},
		}
	}
	for _, v := range append(changed(r), named{"s instead of", s}) {
		out = append(out, ask(v.name+" r", z, q, v.value, s))
	}
	for _, v := range append(changed(s), named{"r instead of", r}) {
		out = append(out, ask(v.name+" s", z, q, r, v.value))
	}
	return out
}

func invalidSignature(rng *rand.ChaCha8) (out []Case) {
	special := []named{
		{"0", new(big.Int)}, {"1", big.NewInt(1)}, {"n - 1", near(-1)}, {"n", near(0)}, {"n + 1", near(1)},
		{"p", P}, {"p + 1", new(big.Int).Add(P, big.NewInt(1))}, {"2^256 - 1", pow2(256, -1)},
	}
	q := BaseMul(RandomScalar(rng))
	for _, r := range special {
		for _, s := range special {
			out = append(out, ask(fmt.Sprintf("r = %s, s = %s", r.name, s.name), Random(rng), q, r.value, s.value))
		}
	}
	return out
}

func smallRAndS(rng *rand.ChaCha8) (out []Case) {
	for _, point := range SmallX(big.NewInt(1), 5) {
		for s := int64(1); s < 8; s++ {
			z := Random(rng)
			out = append(out, ask(fmt.Sprintf("r = %s, s = %d", point.X, s), z, KeyFor(z, point, big.NewInt(s)), point.X, big.NewInt(s)))
		}
	}
	// x(R) is above the order: r is what is left.
	for _, point := range SmallX(near(1), 4) {
		z, s, r := Random(rng), RandomScalar(rng), mod(point.X, N)
		q := KeyFor(z, point, s)
		out = append(out, ask("x(R) above n", z, q, r, s), ask("x(R) above n, not reduced", z, q, point.X, s))
	}
	return out
}

// scalars with long runs of zeros or ones, and next to the bounds.
func edgeScalars() (out []*big.Int) {
	for bits := uint(0); bits < 256; bits += 15 {
		out = append(out, pow2(bits, 0), pow2(bits, 1))
	}
	half := new(big.Int).Rsh(N, 1)
	return append(out, near(-1), near(-2), near(-3), half, new(big.Int).Add(half, big.NewInt(1)), pow2(255, -1), pow2(255, -19))
}

func arithmeticError(rng *rand.ChaCha8) (out []Case) {
	q := BaseMul(RandomScalar(rng))
	for _, v := range edgeScalars() {
		z, r, s := SignatureFor(q, v, RandomScalar(rng))
		out = append(out, ask("edge case for u1", z, q, r, s))
		z, r, s = SignatureFor(q, RandomScalar(rng), v)
		out = append(out, ask("edge case for u2", z, q, r, s))
		z = Random(rng)
		point := BaseMul(v)
		out = append(out, ask("extreme nonce", z, KeyFor(z, point, big.NewInt(3)), mod(point.X, N), big.NewInt(3)))
		point = BaseMul(RandomScalar(rng))
		out = append(out, ask("extreme s", z, KeyFor(z, point, mod(v, N)), mod(point.X, N), mod(v, N)))
	}
	for _, bits := range []uint{32, 64, 100, 128, 160} {
		point := SmallX(new(big.Int).Rsh(Random(rng), 256-bits), 1)[0]
		z, s := Random(rng), new(big.Int).Add(new(big.Int).Rsh(Random(rng), 256-bits), big.NewInt(1))
		out = append(out, ask(fmt.Sprintf("r and s of %d bits", bits), z, KeyFor(z, point, s), point.X, s))
		s = inverse(s, N)
		out = append(out, ask(fmt.Sprintf("r and 1/s of %d bits", bits), z, KeyFor(z, point, s), point.X, s))
	}
	return out
}

func modularInverse(rng *rand.ChaCha8) (out []Case) {
	for _, v := range edgeScalars() {
		z, point, s := Random(rng), BaseMul(RandomScalar(rng)), inverse(v, N)
		out = append(out, ask("edge of 1/s", z, KeyFor(z, point, s), mod(point.X, N), s))
		for i, point := range SmallX(inverse(v, N), 1) { // 1/r near an edge
			out = append(out, ask(fmt.Sprintf("edge of 1/r, %d", i), z, KeyFor(z, point, s), mod(point.X, N), s))
		}
	}
	return out
}

func pointDuplication(rng *rand.ChaCha8) (out []Case) {
	d := RandomScalar(rng)
	q := BaseMul(d)
	for range 4 {
		r := mod(BaseMul(RandomScalar(rng)).X, N)
		out = append(out, ask("u1 G = -u2 Q: infinity", mul(new(big.Int).Neg(r), d, N), q, r, RandomScalar(rng)))
		u := RandomScalar(rng)
		z, r, s := SignatureFor(q, mul(u, d, N), u)
		out = append(out, ask("u1 G = u2 Q: duplication", z, q, r, s))
	}
	for _, k := range []int64{1, -1, 2, -2} {
		q, name := BaseMul(big.NewInt(k)), fmt.Sprintf("key %dG", k)
		z, r, s := SignatureFor(q, RandomScalar(rng), RandomScalar(rng))
		out = append(out, ask(name, z, q, r, s), ask(name+", other digest", Random(rng), q, r, s))
	}
	return out
}

// shamir makes u1 G + u2 Q pass through infinity after the leading bits.
func shamir(rng *rand.ChaCha8) (out []Case) {
	for a := int64(1); a < 6; a++ {
		for b := int64(1); b < 6; b++ {
			d := mul(big.NewInt(-a), inverse(big.NewInt(b), N), N)
			low := uint(200)
			u1 := new(big.Int).Add(new(big.Int).Lsh(big.NewInt(a), low), new(big.Int).Rsh(Random(rng), 256-low))
			u2 := new(big.Int).Add(new(big.Int).Lsh(big.NewInt(b), low), new(big.Int).Rsh(Random(rng), 256-low))
			q := BaseMul(d)
			z, r, s := SignatureFor(q, u1, u2)
			out = append(out, ask(fmt.Sprintf("key -%d/%d", a, b), z, q, r, s))
		}
	}
	return out
}

func specialHash(rng *rand.ChaCha8) (out []Case) {
	digests := []*big.Int{new(big.Int), big.NewInt(1), near(-1), near(0), near(1), P, pow2(256, -1), pow2(255, 0), Z2}
	for word := uint(0); word < 256; word += 32 {
		mask := new(big.Int).Lsh(pow2(32, -1), word)
		digests = append(digests, new(big.Int).AndNot(Random(rng), mask), new(big.Int).Or(Random(rng), mask),
			mask, new(big.Int).Xor(pow2(256, -1), mask))
	}
	for _, z := range digests {
		d := RandomScalar(rng)
		r, s := Sign(z, d, RandomScalar(rng))
		out = append(out, ask(fmt.Sprintf("digest %064x", z), z, BaseMul(d), r, s))
		out = append(out, ask("digest + 1", mod(new(big.Int).Add(z, big.NewInt(1)), tvmLimit), BaseMul(d), r, s))
	}
	return out
}

func edgeKeys(rng *rand.ChaCha8) (out []Case) {
	keys := SmallX(new(big.Int), 3)
	keys = append(keys, SmallX(new(big.Int).Sub(P, big.NewInt(20)), 3)...)
	for _, bits := range []uint{64, 128, 192} { // trailing zeros, trailing ones, high words
		keys = append(keys, SmallX(pow2(bits, 0), 1)...)
		for i := int64(1); ; i++ {
			if q := Lift(new(big.Int).Lsh(big.NewInt(i), bits), true); !q.IsInfinity() {
				keys = append(keys, q)
				break
			}
		}
	}
	for _, start := range []*big.Int{big.NewInt(1), pow2(64, 0), pow2(128, -1), new(big.Int).Sub(P, big.NewInt(20))} {
		keys = append(keys, SmallY(start))
	}
	for _, q := range keys {
		z, r, s := SignatureFor(q, RandomScalar(rng), RandomScalar(rng))
		name := fmt.Sprintf("key %064x %064x", q.X, q.Y)
		out = append(out, ask(name, z, q, r, s), ask("negated "+name, z, q.Neg(), r, s))
	}
	return out
}

// SmallY returns the point with the smallest y from start on.
func SmallY(start *big.Int) Point {
	for y := new(big.Int).Set(start); ; y.Add(y, big.NewInt(1)) {
		if q := LiftY(y); !q.IsInfinity() {
			return q
		}
	}
}
