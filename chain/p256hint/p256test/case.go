package p256test

import (
	"math/big"
	"math/rand/v2"
	"os"
)

// Case is one question to the contract.
type Case struct {
	Name  string
	Args  Args[Big]
	Valid bool // by ECDSA
	// Refused although valid: one of the three exceptions of docs/spec/p256.md.
	Exception bool
}

// Accepted is what the contract ought to answer.
func (c Case) Accepted() bool { return c.Valid && !c.Exception }

// Random returns a number below 2^256.
func Random(rng *rand.ChaCha8) *big.Int {
	b := make([]byte, 32)
	rng.Read(b)
	return new(big.Int).SetBytes(b)
}

// RandomScalar returns a number in [1, n).
func RandomScalar(rng *rand.ChaCha8) *big.Int {
	for {
		if v := Random(rng); v.Sign() > 0 && v.Cmp(N) < 0 {
			return v
		}
	}
}

// Sign signs z with the private key d and the nonce k. The caller chooses all
// three, so r or s may be 0.
func Sign(z, d, k *big.Int) (r, s *big.Int) {
	r = mod(BaseMul(k).X, N)
	s = new(big.Int).Mul(r, d)
	return r, mul(s.Add(s, z), inverse(k, N), N)
}

// SignatureFor makes a valid signature under a key whose private part nobody
// knows: for R = u1 G + u2 Q there is one (z, r, s).
func SignatureFor(q Point, u1, u2 *big.Int) (z, r, s *big.Int) {
	r = mod(BaseMul(u1).Add(q.Mul(u2)).X, N)
	s = mul(r, inverse(u2, N), N)
	return mul(u1, s, N), r, s
}

// KeyFor returns the key under which (r, s) signs z, where r is the x coordinate
// of point.
func KeyFor(z *big.Int, point Point, s *big.Int) Point {
	rInverse := inverse(point.X, N)
	return point.Mul(mul(s, rInverse, N)).Add(BaseMul(mul(new(big.Int).Neg(z), rInverse, N)))
}

// Ask returns the arguments with honest hints for whatever is claimed, valid or
// not. Where a hint does not exist something else of the right size stands.
func Ask(z *big.Int, q Point, r, s *big.Int) Args[Big] {
	rInverse := inverse(r, N)
	if rInverse == nil {
		rInverse = big.NewInt(1)
	}
	d := BaseMul(mul(new(big.Int).Sub(z, Z1), rInverse, N))
	if d.IsInfinity() {
		d = G
	}
	return withD(z, q, r, s, rInverse, d)
}

func withD(z *big.Int, q Point, r, s, rInverse *big.Int, d Point) Args[Big] {
	return Args[Big]{
		Z: Big{z}, QX: Big{q.X}, QY: Big{q.Y}, R: Big{r}, S: Big{s},
		RInverse: Big{rInverse}, DX: Big{d.X}, DY: Big{d.Y}, Slope: Big{Slope(d, q)},
	}
}

// ask returns a case whose validity the standard library decides.
func ask(name string, z *big.Int, q Point, r, s *big.Int) Case {
	return Case{Name: name, Args: Ask(z, q, r, s), Valid: r.Sign() > 0 && s.Sign() > 0 && Valid(z, q, r, s)}
}

// RandomValid returns a valid signature by a random key of a random digest.
func RandomValid(rng *rand.ChaCha8) Case {
	for {
		z, d := Random(rng), RandomScalar(rng)
		r, s := Sign(z, d, RandomScalar(rng))
		if r.Sign() != 0 && s.Sign() != 0 {
			return Case{Name: "random", Args: Ask(z, BaseMul(d), r, s), Valid: true}
		}
	}
}

// Count returns n, or 10,000 where COCOON_LONG is set.
func Count(n int) int {
	if os.Getenv("COCOON_LONG") != "" {
		return 10_000
	}
	return n
}
