package contracts

import (
	"bytes"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/chain/p256hint/p256test"
)

type p256Args = p256test.Args[p256test.Big]

func p256Cells(a p256Args) *cell.Cell {
	store := func(b *cell.Builder, vs ...p256test.Big) *cell.Builder {
		for _, v := range vs {
			b.MustStoreBigUInt(v.Int, 256)
		}
		return b
	}
	hint := store(build(), a.DX, a.DY, a.Slope).EndCell()
	return store(build(), a.R, a.S, a.RInverse).MustStoreRef(hint).EndCell()
}

// p256InTVM asks the contract's p256Verify. Whatever the question, it must not
// throw.
func p256InTVM(t testing.TB, a p256Args) (ok bool, gas int64) {
	t.Helper()
	res := call(t, 0, "p256", a.Z.Int, a.QX.Int, a.QY.Int, p256Cells(a))
	if res.exit != 0 || len(res.stack) != 1 {
		t.Fatalf("exit code %d: %x", res.exit, a)
	}
	return res.stack[0].(*big.Int).Sign() != 0, res.gas
}

func TestP256Classes(t *testing.T) {
	trace := newP256Trace(t, "classes")
	for class, cases := range p256test.Classes() {
		for _, c := range cases {
			got, gas := p256InTVM(t, c.Args)
			if got != c.Accepted() {
				t.Errorf("%s: %s: accepted %v, want %v", class, c.Name, got, c.Accepted())
			}
			trace.add(c.Args, got, gas)
		}
	}
}

func TestP256Attacks(t *testing.T) {
	trace := newP256Trace(t, "attacks")
	for _, c := range p256test.Attacks() {
		ok, gas := p256InTVM(t, c.Args)
		if ok {
			t.Errorf("%s: accepted", c.Name)
		}
		trace.add(c.Args, ok, gas)
	}
}

// TestP256Random accepts random signatures, in either form of s, and refuses
// mutations of every argument, alone and with honest hints.
func TestP256Random(t *testing.T) {
	rng := rand.NewChaCha8([32]byte{'v'})
	accepted, refused, most := 0, 0, int64(0)
	for range p256test.Count(1_200) {
		c := p256test.RandomValid(rng)
		other := c.Args
		other.S = p256test.Big{Int: new(big.Int).Sub(p256test.N, other.S.Int)}
		for _, a := range []p256Args{c.Args, other} {
			ok, gas := p256InTVM(t, a)
			if !ok {
				t.Fatalf("refused: %x", a)
			}
			accepted++
			most = max(most, gas)
		}
		for _, f := range p256test.Fields {
			a := f.Mutate(rng, c.Args)
			if ok, _ := p256InTVM(t, a); ok {
				t.Fatalf("%s mutated and accepted: %x", f.Name, a)
			}
			refused++
		}
	}
	t.Logf("%d accepted, %d refused, at most %d gas", accepted, refused, most)
}

// TestP256RangesFirst changes one argument out of its range and demands that
// the contract refuses before it asks the opcode anything. Several ranges are
// checked by the opcode too, so the answer alone would not show a missing check.
func TestP256RangesFirst(t *testing.T) {
	const question = 3500 // gas of one question
	c := p256test.RandomValid(rand.NewChaCha8([32]byte{'g'}))
	if _, gas := p256InTVM(t, c.Args); gas < 3*question {
		t.Fatalf("%d gas: the measure is wrong", gas)
	}
	// Each value but the tops is congruent to one that passes what follows.
	n, p, top := p256test.N, p256test.P, new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 256), big.NewInt(1))
	d, e := p256test.SmallX(big.NewInt(1), 1)[0], p256test.SmallY(big.NewInt(1))
	set := func(edit func(*p256Args)) p256Args { a := c.Args; edit(&a); return a }
	num := func(v *big.Int) p256test.Big { return p256test.Big{Int: v} }
	cases := map[string]p256Args{
		"r = 0":   set(func(a *p256Args) { a.R = a.S.Of(0) }),
		"s = 0":   set(func(a *p256Args) { a.S = a.S.Of(0) }),
		"dx + p":  set(func(a *p256Args) { a.DX, a.DY = num(plus(d.X, p)), num(d.Y) }),
		"dy + p":  set(func(a *p256Args) { a.DX, a.DY = num(e.X), num(plus(e.Y, p)) }),
		"dx = qx": set(func(a *p256Args) { a.DX, a.DY = a.QX, a.QY }),
	}
	for _, c := range p256test.Classes()["RangeCheck"] {
		if !c.Valid {
			cases[c.Name] = c.Args
		}
	}
	for _, f := range p256test.Fields[1:] { // z has no range
		for _, v := range []*big.Int{n, p, top} {
			if f.Below(v) {
				continue
			}
			a := c.Args
			f.Of(&a).Int = v
			cases[f.Name+" = "+v.Text(16)] = a
		}
	}
	for name, a := range cases {
		if ok, gas := p256InTVM(t, a); ok || gas >= question {
			t.Errorf("%s: accepted %v, %d gas", name, ok, gas)
		}
	}
}

func plus(a, b *big.Int) *big.Int { return new(big.Int).Add(a, b) }

// TestP256Cells cuts and lengthens the cells of a valid signature.
func TestP256Cells(t *testing.T) {
	c := p256test.RandomValid(rand.NewChaCha8([32]byte{'c'}))
	outer := p256Cells(c.Args)
	hint := outer.MustPeekRef(0)
	resize := func(c *cell.Cell, delta int, refs ...*cell.Cell) *cell.Cell {
		b := build()
		n := uint(int(c.BitsSize()) + min(delta, 0))
		b.MustStoreSlice(c.MustBeginParse().MustLoadSlice(n), n)
		for range delta {
			b.MustStoreBoolBit(false)
		}
		for _, r := range refs {
			b.MustStoreRef(r)
		}
		return b.EndCell()
	}
	for name, sig := range map[string]*cell.Cell{
		"longer": resize(outer, 1, hint), "shorter": resize(outer, -1, hint), "byte less": resize(outer, -8, hint),
		"no hint": resize(outer, 0), "two hints": resize(outer, 0, hint, hint),
		"longer hint": resize(outer, 0, resize(hint, 1)), "shorter hint": resize(outer, 0, resize(hint, -1)),
		"hint with reference": resize(outer, 0, resize(hint, 0, hint)),
	} {
		res := call(t, 0, "p256", c.Args.Z.Int, c.Args.QX.Int, c.Args.QY.Int, sig)
		if res.exit != 9 {
			t.Errorf("%s: exit code %d", name, res.exit)
		}
	}
	if sig := resize(outer, 0, resize(hint, 0)); call(t, 0, "p256", c.Args.Z.Int, c.Args.QX.Int, c.Args.QY.Int, sig).exit != 0 {
		t.Error("the unchanged cells are refused: the test is wrong")
	}
}

// otherS replaces s by n - s in all three signatures of a quote's cells.
func otherS(t testing.TB, quote *cell.Cell) *cell.Cell {
	t.Helper()
	refs := func(c *cell.Cell) (out []*cell.Cell) {
		for i := range int(c.RefsNum()) {
			out = append(out, c.MustPeekRef(i))
		}
		return out
	}
	join := func(b *cell.Builder, cs ...*cell.Cell) *cell.Cell {
		for _, c := range cs {
			b.MustStoreRef(c)
		}
		return b.EndCell()
	}
	parts := refs(quote)
	sigs := refs(parts[3])
	for i := range 3 {
		s := sigs[i].MustBeginParse()
		r, old, inverse := s.MustLoadBigUInt(256), s.MustLoadBigUInt(256), s.MustLoadBigUInt(256)
		b := build().MustStoreBigUInt(r, 256).MustStoreBigUInt(new(big.Int).Sub(p256test.N, old), 256).MustStoreBigUInt(inverse, 256)
		sigs[i] = join(b, refs(sigs[i])...)
	}
	parts[3] = join(build(), sigs...)
	return join(build(), parts...)
}

// TestP256OtherS registers with either form of every signature: nothing that
// the contracts store or list depends on it.
func TestP256OtherS(t *testing.T) {
	var states, lists [2]*cell.Cell
	for i := range states {
		f := newFixture(t, noStake)
		m := f.registration(f.heads())
		if i == 1 {
			other := otherS(t, m.Quote)
			if bytes.Equal(other.Hash(), m.Quote.Hash()) {
				t.Fatal("the signatures are unchanged: the test is wrong")
			}
			m.Quote = other
		}
		good(t, f.send(f.operator, ValueRegister, m))
		done(t, f.operator, 0)
		states[i], lists[i] = f.Data(f.node), f.Data(f.root)
	}
	if !bytes.Equal(states[0].Hash(), states[1].Hash()) || !bytes.Equal(lists[0].Hash(), lists[1].Hash()) {
		t.Error("the state depends on the form of a signature")
	}
}
