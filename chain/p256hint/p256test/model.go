package p256test

// Number is what the model computes with: [Big] or [Small].
type Number[T any] interface {
	Add(T) T
	Sub(T) T
	MulMod(b, m T) T // MULMOD: floor division, so the result lies in [0, m)
	Mod(m T) T       // MOD: floor division
	Cmp(T) int
	Odd() bool
	Of(int64) T
}

// Args are the arguments of p256Verify: digest, key, signature and hints.
type Args[T any] struct {
	Z, QX, QY, R, S, RInverse, DX, DY, Slope T
}

// Model is the construction over one curve.
type Model[T Number[T]] struct {
	P, N, B, GX T
	Z1, Z2      T // what the opcode makes of the numbers 1 and 2

	// Native is the opcode: whether (r, s) is an ECDSA signature of Z1 (question
	// 1) or Z2 (question 2) under the key that (x, odd) encodes. An encoding that
	// names no point gives false.
	Native func(question int, r, s, x T, odd bool) bool
}

// Verify is p256Verify of p256.tolk, check by check in the same order.
func (m *Model[T]) Verify(a Args[T]) bool {
	zero := a.S.Of(0)
	if a.S.Cmp(zero) == 0 || largest(a.R, a.S, a.RInverse).Cmp(m.N) >= 0 {
		return false
	}
	if largest(a.DX, a.DY, a.Slope, a.QX, a.QY).Cmp(m.P) >= 0 {
		return false
	}
	if a.DX.Cmp(a.QX) == 0 || a.R.MulMod(a.RInverse, m.N).Cmp(zero.Of(1)) != 0 {
		return false
	}
	if !m.onCurve(a.QX, a.QY) || !m.onCurve(a.DX, a.DY) {
		return false
	}
	kGx := a.Z.Sub(m.Z1).MulMod(a.RInverse, m.N).MulMod(m.GX, m.N)
	if !m.Native(1, m.GX, kGx.Add(m.Z1.Sub(m.N)).Mod(m.N), a.DX, a.DY.Odd()) {
		return false
	}
	if !m.Native(2, m.GX, kGx.Add(m.Z2.Sub(m.N)).Mod(m.N), a.DX, a.DY.Odd()) {
		return false
	}
	if a.Slope.MulMod(a.DX.Sub(a.QX), m.P).Cmp(a.DY.Sub(a.QY).Mod(m.P)) != 0 {
		return false
	}
	x := a.Slope.MulMod(a.Slope, m.P).Sub(a.DX).Mod(m.P).Sub(a.QX).Mod(m.P)
	y := a.Slope.MulMod(a.QX.Sub(x), m.P).Sub(a.QY).Mod(m.P)
	return m.Native(1, a.R, a.S, x, y.Odd())
}

// onCurve is p256OnCurve.
func (m *Model[T]) onCurve(x, y T) bool {
	return y.MulMod(y, m.P).Cmp(x.MulMod(x.MulMod(x, m.P).Sub(x.Of(3)), m.P).Add(m.B.Sub(m.P)).Mod(m.P)) == 0
}

func largest[T Number[T]](a T, more ...T) T {
	for _, b := range more {
		if b.Cmp(a) > 0 {
			a = b
		}
	}
	return a
}
