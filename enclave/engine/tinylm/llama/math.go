package llama

import "math"

// The transcendental functions of the engine. They are good to about one unit
// in the last place of a float64, and, which matters more, they have the same
// result everywhere.

const (
	ln2Hi  = 6.93147180369123816490e-01 // ln 2 in two parts, so that k*ln2Hi is exact for |k| < 2^11
	ln2Lo  = 1.90821492927058770002e-10
	invLn2 = 1.44269504088896338700e+00
	pio2Hi = 1.57079632673412561417e+00 // pi/2 in two parts
	pio2Lo = 6.07710050650619224932e-11
	twoPi  = 6.36619772367581382433e-01 // 2/pi
)

// exp returns e^x for x <= 709, and 0 for x < -708 or NaN: a weight that small
// is none. Larger x give +Inf.
func exp(x float64) float64 {
	if !(x >= -708) {
		return 0
	}
	if x > 709 {
		return math.Inf(1)
	}
	k := math.Floor(float64(x*invLn2) + 0.5)
	r := x - float64(k*ln2Hi) - float64(k*ln2Lo) // |r| <= 0.35
	p := 1.0 / 6227020800                        // Horner over r^n/n!, n = 13 ... 0
	p = float64(p*r) + 1.0/479001600
	p = float64(p*r) + 1.0/39916800
	p = float64(p*r) + 1.0/3628800
	p = float64(p*r) + 1.0/362880
	p = float64(p*r) + 1.0/40320
	p = float64(p*r) + 1.0/5040
	p = float64(p*r) + 1.0/720
	p = float64(p*r) + 1.0/120
	p = float64(p*r) + 1.0/24
	p = float64(p*r) + 1.0/6
	p = float64(p*r) + 0.5
	p = float64(p*r) + 1
	p = float64(p*r) + 1
	return float64(p * math.Float64frombits(uint64(int64(k)+1023)<<52))
}

// ln returns the natural logarithm of a finite x >= 1, by Newton's method on exp.
func ln(x float64) float64 {
	y := float64((float64(math.Float64bits(x)>>52) - 1023) * 0.6931471805599453)
	for range 6 {
		y = y + float64(x*exp(-y)) - 1
	}
	return y
}

// sincos returns sine and cosine of x, 0 <= x < 2^20.
func sincos(x float64) (sin, cos float64) {
	k := math.Floor(float64(x*twoPi) + 0.5)
	r := x - float64(k*pio2Hi) - float64(k*pio2Lo) // |r| <= pi/4
	t := 1.0
	for i := range 10 { // Taylor terms t = +-r^n/n!, even ones to cos, odd ones to sin
		cos += t
		t = float64(t*r) / float64(2*i+1)
		sin += t
		t = -float64(t*r) / float64(2*i+2)
	}
	switch int64(k) & 3 {
	case 1:
		return cos, -sin
	case 2:
		return -sin, -cos
	case 3:
		return -cos, sin
	}
	return sin, cos
}
