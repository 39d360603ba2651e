package p256test

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"math/big"
)

// Point is a point of P-256; the zero Point is the point at infinity.
type Point struct{ X, Y *big.Int }

// P, N and B are the prime, the order and the constant of P-256, G its base point;
// Z1 and Z2 are the digests of two messages.
var (
	P  = elliptic.P256().Params().P
	N  = elliptic.P256().Params().N
	B  = elliptic.P256().Params().B
	G  = Point{elliptic.P256().Params().Gx, elliptic.P256().Params().Gy}
	Z1 = digest(1)
	Z2 = digest(2)
)

func digest(n byte) *big.Int {
	var b [32]byte
	b[31] = n
	d := sha256.Sum256(b[:])
	return new(big.Int).SetBytes(d[:])
}

// IsInfinity reports whether p is the neutral element.
func (p Point) IsInfinity() bool { return p.X == nil }

// Neg returns -p.
func (p Point) Neg() Point {
	if p.IsInfinity() {
		return p
	}
	return Point{p.X, mod(new(big.Int).Neg(p.Y), P)}
}

// Add returns p + q by the textbook's formulas.
func (p Point) Add(q Point) Point {
	switch {
	case p.IsInfinity():
		return q
	case q.IsInfinity():
		return p
	case p.X.Cmp(q.X) == 0 && (p.Y.Cmp(q.Y) != 0 || p.Y.Sign() == 0):
		return Point{}
	}
	l := Slope(p, q)
	x := new(big.Int).Mul(l, l)
	x = mod(x.Sub(x, p.X).Sub(x, q.X), P)
	y := new(big.Int).Sub(p.X, x)
	return Point{x, mod(y.Mul(y, l).Sub(y, p.Y), P)}
}

// Slope returns the slope of the line through p and q, of the tangent if they
// are equal, and 0 if the line has none.
func Slope(p, q Point) *big.Int {
	above, below := new(big.Int).Sub(q.Y, p.Y), new(big.Int).Sub(q.X, p.X)
	if p.X.Cmp(q.X) == 0 && p.Y.Cmp(q.Y) == 0 {
		above.Mul(p.X, p.X).Mul(above, big.NewInt(3)).Sub(above, big.NewInt(3))
		below.Lsh(p.Y, 1)
	}
	if below = inverse(below, P); below == nil {
		return new(big.Int)
	}
	return mod(above.Mul(above, below), P)
}

// BaseMul returns kG.
func BaseMul(k *big.Int) Point {
	priv, err := ecdh.P256().NewPrivateKey(mod(k, N).FillBytes(make([]byte, 32)))
	if err != nil {
		return Point{} // k = 0
	}
	b := priv.PublicKey().Bytes()
	return Point{new(big.Int).SetBytes(b[1:33]), new(big.Int).SetBytes(b[33:])}
}

// Mul returns kp.
func (p Point) Mul(k *big.Int) Point {
	k, r := mod(k, N), Point{}
	for i := k.BitLen() - 1; i >= 0; i-- {
		if r = r.Add(r); k.Bit(i) == 1 {
			r = r.Add(p)
		}
	}
	return r
}

// OnCurve reports whether p is an affine point with coordinates below the prime.
func (p Point) OnCurve() bool {
	return !p.IsInfinity() && p.X.Cmp(P) < 0 && p.Y.Cmp(P) < 0 && mod(new(big.Int).Mul(p.Y, p.Y), P).Cmp(rightSide(p.X)) == 0
}

// rightSide returns x^3 - 3x + b.
func rightSide(x *big.Int) *big.Int {
	v := new(big.Int).Mul(x, x)
	v.Sub(v, big.NewInt(3)).Mul(v, x)
	return mod(v.Add(v, B), P)
}

// Lift returns the point with this x and parity of y; infinity if there is none.
func Lift(x *big.Int, odd bool) Point {
	y := new(big.Int).ModSqrt(rightSide(x), P)
	if y == nil {
		return Point{}
	}
	if (y.Bit(0) == 1) != odd {
		y = mod(y.Neg(y), P)
	}
	return Point{new(big.Int).Set(x), y}
}

// Valid reports whether (r, s) is an ECDSA signature of z under q, by the
// standard library.
func Valid(z *big.Int, q Point, r, s *big.Int) bool {
	b := append(append([]byte{4}, q.X.FillBytes(make([]byte, 32))...), q.Y.FillBytes(make([]byte, 32))...)
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), b)
	return err == nil && ecdsa.Verify(key, z.FillBytes(make([]byte, 32)), r, s)
}

// P256 returns the model over P-256, with the standard library as the opcode.
func P256() *Model[Big] {
	return &Model[Big]{
		P: Big{P}, N: Big{N}, B: Big{B}, GX: Big{G.X}, Z1: Big{Z1}, Z2: Big{Z2},
		Native: func(question int, r, s, x Big, odd bool) bool {
			z := Z1
			if question == 2 {
				z = Z2
			}
			b := append([]byte{2}, x.FillBytes(make([]byte, 32))...)
			if odd {
				b[0] = 3
			}
			kx, ky := elliptic.UnmarshalCompressed(elliptic.P256(), b)
			return kx != nil && Valid(z, Point{kx, ky}, r.Int, s.Int)
		},
	}
}

func mod(v, m *big.Int) *big.Int { return new(big.Int).Mod(v, m) }

// inverse returns v^-1 mod m; nil if there is none.
func inverse(v, m *big.Int) *big.Int { return new(big.Int).ModInverse(mod(v, m), m) }

func mul(a, b, m *big.Int) *big.Int { return mod(new(big.Int).Mul(a, b), m) }
