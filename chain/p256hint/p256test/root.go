package p256test

import "math/big"

// polynomial modulo P, lowest coefficient first, without leading zeros.
type polynomial []*big.Int

func (f polynomial) trim() polynomial {
	for len(f) > 0 && f[len(f)-1].Sign() == 0 {
		f = f[:len(f)-1]
	}
	return f
}

func (f polynomial) sub(g polynomial) polynomial {
	r := make(polynomial, max(len(f), len(g)))
	for i := range r {
		r[i] = new(big.Int)
		if i < len(f) {
			r[i].Add(r[i], f[i])
		}
		if i < len(g) {
			r[i] = mod(r[i].Sub(r[i], g[i]), P)
		}
	}
	return r.trim()
}

func (f polynomial) rem(g polynomial) polynomial {
	f = append(polynomial(nil), f...)
	lead := inverse(g[len(g)-1], P)
	for len(f) >= len(g) {
		c := mul(f[len(f)-1], lead, P)
		shift := len(f) - len(g)
		for i, v := range g {
			f[shift+i] = mod(new(big.Int).Sub(f[shift+i], mul(c, v, P)), P)
		}
		f = f[:len(f)-1].trim()
	}
	return f
}

func (f polynomial) mulRem(g, m polynomial) polynomial {
	if len(f) == 0 || len(g) == 0 {
		return nil
	}
	r := make(polynomial, len(f)+len(g)-1)
	for i := range r {
		r[i] = new(big.Int)
	}
	for i, a := range f {
		for j, b := range g {
			r[i+j] = mod(new(big.Int).Add(r[i+j], mul(a, b, P)), P)
		}
	}
	return r.trim().rem(m)
}

func (f polynomial) powRem(e *big.Int, m polynomial) polynomial {
	r := polynomial{big.NewInt(1)}
	for i := e.BitLen() - 1; i >= 0; i-- {
		if r = r.mulRem(r, m); e.Bit(i) == 1 {
			r = r.mulRem(f, m)
		}
	}
	return r
}

func gcd(f, g polynomial) polynomial {
	for len(g) > 0 {
		f, g = g, f.rem(g)
	}
	return f
}

// LiftY returns a point with this y; infinity if there is none. It finds a root
// of x^3 - 3x + b - y^2 by Cantor and Zassenhaus.
func LiftY(y *big.Int) Point {
	x, one := polynomial{new(big.Int), big.NewInt(1)}, polynomial{big.NewInt(1)}
	f := polynomial{mod(new(big.Int).Sub(B, mul(y, y, P)), P), mod(big.NewInt(-3), P), new(big.Int), big.NewInt(1)}
	f = gcd(f, x.powRem(P, f).sub(x)) // the product of its linear factors
	half := new(big.Int).Rsh(P, 1)
	for a := int64(0); len(f) > 2; a++ {
		g := gcd(f, polynomial{big.NewInt(a), big.NewInt(1)}.powRem(half, f).sub(one))
		if len(g) > 1 && len(g) < len(f) {
			f = g
		}
	}
	if len(f) != 2 {
		return Point{}
	}
	return Point{mul(new(big.Int).Neg(f[0]), inverse(f[1], P), P), new(big.Int).Set(y)}
}
