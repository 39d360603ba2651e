package p256hint_test

import (
	"testing"

	"github.com/cocoon-go/cocoon/chain/p256hint/p256test"
)

type small = p256test.Small

type toyPoint struct{ x, y small } // x < 0: infinity

// toy is a curve y^2 = x^3 - 3x + b of prime order with a generator such that,
// as on P-256, only G and -G have an x that is Gx modulo the order.
type toy struct {
	p, n, b small
	points  []toyPoint       // points[k] = kG
	log     map[toyPoint]int // and back
	z       [3]small         // what the opcode makes of 1 and 2
}

func (c *toy) add(a, b toyPoint) toyPoint {
	if a.x < 0 {
		return b
	}
	if b.x < 0 {
		return a
	}
	above, below := b.y-a.y, b.x-a.x
	if below == 0 {
		if above != 0 || a.y == 0 {
			return toyPoint{-1, -1}
		}
		above, below = 3*a.x*a.x-3, 2*a.y
	}
	l := above.MulMod(toyInverse(below.Mod(c.p), c.p), c.p)
	x := (l*l - a.x - b.x).Mod(c.p)
	return toyPoint{x, (l*(a.x-x) - a.y).Mod(c.p)}
}

func toyInverse(v, m small) small {
	for i := small(1); i < m; i++ {
		if v.MulMod(i, m) == 1 {
			return i
		}
	}
	return 0
}

func isPrime(v small) bool {
	for i := small(2); i*i <= v; i++ {
		if v%i == 0 {
			return false
		}
	}
	return v > 1
}

// toys returns all curves over a prime with a generator for each that has one.
func toys(p small) (out []*toy) {
	for b := range p {
		if (4*27 - 27*b*b).Mod(p) == 0 {
			continue // singular
		}
		var affine []toyPoint
		for x := range p {
			for y := range p {
				if (y * y).Mod(p) == (x*x*x - 3*x + b).Mod(p) {
					affine = append(affine, toyPoint{x, y})
				}
			}
		}
		n := small(len(affine) + 1)
		if !isPrime(n) || n < 5 {
			continue
		}
		for _, g := range affine {
			if g.x > 0 && g.x < n && g.x+n >= p {
				out = append(out, newToy(p, n, b, g))
				break
			}
		}
	}
	return out
}

func newToy(p, n, b small, g toyPoint) *toy {
	c := &toy{p: p, n: n, b: b, log: map[toyPoint]int{}, z: [3]small{0, 2, n - 2}}
	at := toyPoint{-1, -1}
	for k := range int(n) {
		c.points = append(c.points, at)
		c.log[at] = k
		at = c.add(at, g)
	}
	return c
}

// valid is ECDSA by the textbook.
func (c *toy) valid(z, r, s small, key int) bool {
	if r <= 0 || r >= c.n || s <= 0 || s >= c.n {
		return false
	}
	k := (z + r*small(key)).MulMod(toyInverse(s, c.n), c.n)
	return k != 0 && c.points[k].x.Mod(c.n) == r
}

func (c *toy) model() *p256test.Model[small] {
	// The opcode by table: toy curves are asked millions of times.
	type q struct {
		question int
		r, s, x  small
		odd      bool
	}
	yes := map[q]bool{}
	for key := 1; key < int(c.n); key++ {
		for r := small(1); r < c.n; r++ {
			for s := small(1); s < c.n; s++ {
				for i := 1; i < 3; i++ {
					if c.valid(c.z[i], r, s, key) {
						yes[q{i, r, s, c.points[key].x, c.points[key].y.Odd()}] = true
					}
				}
			}
		}
	}
	return &p256test.Model[small]{
		P: c.p, N: c.n, B: c.b, GX: c.points[1].x, Z1: c.z[1], Z2: c.z[2],
		Native: func(question int, r, s, x small, odd bool) bool { return yes[q{question, r, s, x, odd}] },
	}
}

// TestToyEveryInput tries every digest, key (off the curve too), signature,
// inverse, D (off the curve too) and slope on the smallest curves. Whatever is
// accepted is valid, and is refused again with any argument one modulus larger.
func TestToyEveryInput(t *testing.T) {
	primes := []small{5}
	if p256test.Count(0) != 0 {
		primes = append(primes, 7)
	}
	tried, accepted := 0, 0
	for _, p := range primes {
		for _, c := range toys(p) {
			m := c.model()
			for _, a := range everyInput(c) {
				tried += int(p) * int(p) * int(p)
				a := a
				for a.DX = 0; a.DX < p; a.DX++ {
					for a.DY = 0; a.DY < p; a.DY++ {
						for a.Slope = 0; a.Slope < p; a.Slope++ {
							if m.Verify(a) {
								accepted++
								checkToy(t, c, m, a)
							}
						}
					}
				}
			}
		}
	}
	t.Logf("%d inputs, %d accepted", tried, accepted)
	if accepted == 0 {
		t.Error("nothing is accepted")
	}
}

// everyInput returns all values of all arguments but D and slope.
func everyInput(c *toy) (out []p256test.Args[small]) {
	var a p256test.Args[small]
	for a.Z = 0; a.Z <= c.n; a.Z++ {
		for a.QX = 0; a.QX < c.p; a.QX++ {
			for a.QY = 0; a.QY < c.p; a.QY++ {
				for a.R = 0; a.R < c.n; a.R++ {
					for a.S = 0; a.S < c.n; a.S++ {
						for a.RInverse = 0; a.RInverse < c.n; a.RInverse++ {
							out = append(out, a)
						}
					}
				}
			}
		}
	}
	return out
}

func checkToy(t *testing.T, c *toy, m *p256test.Model[small], a p256test.Args[small]) {
	t.Helper()
	key, on := c.log[toyPoint{a.QX, a.QY}]
	if !on || !c.valid(a.Z, a.R, a.S, key) {
		t.Fatalf("p=%d b=%d n=%d: %v accepted and not valid", c.p, c.b, c.n, a)
	}
	for _, larger := range []func(*p256test.Args[small]){
		func(a *p256test.Args[small]) { a.QX += c.p }, func(a *p256test.Args[small]) { a.QY += c.p },
		func(a *p256test.Args[small]) { a.R += c.n }, func(a *p256test.Args[small]) { a.S += c.n },
		func(a *p256test.Args[small]) { a.RInverse += c.n }, func(a *p256test.Args[small]) { a.DX += c.p },
		func(a *p256test.Args[small]) { a.DY += c.p }, func(a *p256test.Args[small]) { a.Slope += c.p },
	} {
		b := a
		if larger(&b); m.Verify(b) {
			t.Fatalf("p=%d b=%d n=%d: %v accepted outside the range", c.p, c.b, c.n, b)
		}
	}
}

// TestToyLarger tries on larger curves every digest, key, signature and D, with
// the inverse and the slope that fit: accepted exactly when valid, D = kG and
// none of the three exceptions holds.
func TestToyLarger(t *testing.T) {
	primes := []small{11, 13}
	if p256test.Count(0) != 0 {
		primes = append(primes, 17, 19, 23, 29)
	}
	tried, accepted, exceptions := 0, 0, 0
	for _, p := range primes {
		for _, c := range toys(p) {
			m := c.model()
			for z := small(0); z < c.n; z++ {
				for r := small(1); r < c.n; r++ {
					inverse := toyInverse(r, c.n)
					k := (z - c.z[1]).MulMod(inverse, c.n)
					for s := small(1); s < c.n; s++ {
						for q := 1; q < int(c.n); q++ {
							valid := c.valid(z, r, s, q)
							exception := k == 0 || int(k) == q || int(k)+q == int(c.n) ||
								(c.z[1]+k*m.GX).Mod(c.n) == 0 || (c.z[2]+k*m.GX).Mod(c.n) == 0
							if valid && exception {
								exceptions++
							}
							for d := 1; d < int(c.n); d++ {
								tried++
								a := p256test.Args[small]{Z: z, QX: c.points[q].x, QY: c.points[q].y, R: r, S: s, RInverse: inverse,
									DX: c.points[d].x, DY: c.points[d].y}
								a.Slope = (a.DY - a.QY).MulMod(toyInverse((a.DX-a.QX).Mod(p), p), p)
								got := m.Verify(a)
								if want := valid && !exception && d == int(k); got != want {
									t.Fatalf("p=%d b=%d n=%d: %v with D=%dG, k=%d: accepted %v, want %v", p, c.b, c.n, a, d, k, got, want)
								}
								if got {
									accepted++
								}
							}
						}
					}
				}
			}
		}
	}
	t.Logf("%d inputs, %d accepted, %d valid ones refused", tried, accepted, exceptions)
	if accepted == 0 || exceptions == 0 {
		t.Error("the curves show nothing")
	}
}
