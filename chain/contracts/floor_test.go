package contracts

import (
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

// randomTCB draws numbers from small ranges, so that floors are often met and
// often just missed.
func randomTCB(r *rand.Rand) (t TDXTCB) {
	for i := range t.CPUSVN {
		t.CPUSVN[i], t.TEESVN[i] = edge(r), edge(r)
	}
	t.TEESVN[1] = byte(r.IntN(3))
	if r.IntN(4) == 0 {
		t.TEESVN[1] = edge(r)
	}
	t.TEESVNNow = t.TEESVN
	if r.IntN(2) == 0 {
		t.TEESVNNow[r.IntN(16)] = edge(r)
	}
	t.PCESVN, t.QESVN = uint16(r.IntN(3)), uint16(r.IntN(3))
	t.QESigner[31] = byte(r.IntN(8) / 7)
	t.TDAttributes[3], t.XFAM[0] = byte(r.IntN(4)), byte(r.IntN(4))
	return t
}

func edge(r *rand.Rand) byte { return []byte{0, 1, 2, 127, 128, 254, 255}[r.IntN(7)] }

// floorNear returns a floor that t meets, with at most one thing changed.
func floorNear(r *rand.Rand, t TDXTCB) TDXFloor {
	f := FloorOf(t)
	for i := range f.CPUSVN {
		f.CPUSVN[i] -= min(f.CPUSVN[i], byte(r.IntN(3)))
	}
	switch i := r.IntN(16); r.IntN(14) {
	case 0:
		f.CPUSVN[i] = edge(r)
	case 1:
		f.TEESVN[i] = edge(r)
	case 2:
		f.Modules[i] = edge(r)
	case 3:
		f.PCESVN++
	case 4:
		f.QESVN++
	case 5:
		f.QESigner[31] ^= 1
	case 6:
		f.TDRequired[3] |= 1
		f.TDAllowed[3] |= 1
	case 7:
		f.TDRequired[3], f.TDAllowed[3] = 0, f.TDAllowed[3]&^1
	case 8:
		f.XFAMRequired[0] |= 2
		f.XFAMAllowed[0] |= 2
	case 9:
		f.XFAMRequired[0], f.XFAMAllowed[0] = 0, f.XFAMAllowed[0]&^2
	case 10:
		f.TEESVN[0], f.TEESVN[1] = 255, 255
	}
	return f
}

// TestFloorMirror compares Go's judgement with the contract's.
func TestFloorMirror(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 5))
	seen := map[int]int{}
	for range 3000 {
		tcb := randomTCB(r)
		f := floorNear(r, tcb)
		res := call(t, tvmtest.Start, "judge", tcb.Cell(), f.Cell())
		if res.exit != 0 {
			t.Fatalf("judge ends with %s", ErrorName(int(res.exit)))
		}
		got, want := int(res.stack[0].(*big.Int).Int64()), f.judge(tcb)
		seen[want]++
		if got != want {
			t.Fatalf("%+v\nunder %+v\ncontract says %s, Go %s", tcb, f, ErrorName(got), ErrorName(want))
		}
		if err := f.Judge(tcb); (err == nil) != (want == 0) {
			t.Fatalf("Judge says %v for %s", err, ErrorName(want))
		}
	}
	for _, code := range []int{0, CodeQuoteCPUSVN, CodeQuotePCESVN, CodeQuoteTEESVN, CodeQuoteModule, CodeQuoteQESVN, CodeQuoteQESigner, CodeQuoteTDAttributes, CodeQuoteXFAM} {
		if seen[code] == 0 {
			t.Errorf("no case ended with %s", ErrorName(code))
		}
	}
}

// TestStricterAcceptsNothingMore checks what lets a floor change without delay:
// whatever the stricter floor accepts the old one did.
func TestStricterAcceptsNothingMore(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 11))
	strict := 0
	for range 3000 {
		tcb := randomTCB(r)
		old := floorNear(r, tcb)
		next := nudged(r, old)
		res := call(t, tvmtest.Start, "stricter", next.Cell(), old.Cell())
		if res.exit != 0 {
			t.Fatalf("stricter ends with %s", ErrorName(int(res.exit)))
		}
		if res.stack[0].(*big.Int).Sign() == 0 {
			continue
		}
		strict++
		for range 20 {
			x := tcb
			x.CPUSVN[r.IntN(16)] -= byte(r.IntN(2))
			x.TEESVN[r.IntN(16)] -= byte(r.IntN(2))
			x.TEESVNNow = x.TEESVN
			x.TDAttributes[3], x.XFAM[0] = byte(r.IntN(4)), byte(r.IntN(4))
			if next.judge(x) == 0 && old.judge(x) != 0 {
				t.Fatalf("stricter floor %+v accepts %+v, which %+v refuses", next, x, old)
			}
		}
	}
	if strict < 100 {
		t.Errorf("only %d pairs were comparable", strict)
	}
}

// nudged changes up to two numbers of a floor by one, up or down.
func nudged(r *rand.Rand, f TDXFloor) TDXFloor {
	for range r.IntN(3) {
		by := byte(1 - 2*r.IntN(2))
		switch i := r.IntN(16); r.IntN(8) {
		case 0:
			f.CPUSVN[i] += by
		case 1:
			f.TEESVN[i] += by
		case 2:
			f.Modules[i] += by
		case 3:
			f.PCESVN += uint16(int16(int8(by)))
		case 4:
			f.QESVN += uint16(int16(int8(by)))
		case 5:
			f.TDRequired[3] ^= 1
		case 6:
			f.TDAllowed[3] ^= 2
		case 7:
			f.XFAMAllowed[0] ^= 1
		}
	}
	return f
}

// TestFloorOf checks that the floor made from a TCB accepts it and no less.
func TestFloorOf(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		tcb := randomTCB(r)
		tcb.TEESVN[1] %= 16
		tcb.TEESVNNow[1] %= 16
		// Version 255 of a module can't be told from no module.
		tcb.TEESVN[0] = min(tcb.TEESVN[0], 254)
		tcb.TEESVNNow[0] = min(tcb.TEESVNNow[0], 254)
		if code := FloorOf(tcb).judge(tcb); code != 0 {
			t.Fatalf("%+v: its own floor says %s", tcb, ErrorName(code))
		}
	}
	// A module that the floor was not made from is refused.
	var tcb TDXTCB
	tcb.TEESVN[1], tcb.TEESVNNow[1] = 1, 1
	other := tcb
	other.TEESVN[1], other.TEESVNNow[1] = 3, 3
	if code := FloorOf(tcb).judge(other); code != CodeQuoteModule {
		t.Errorf("another module: %s", ErrorName(code))
	}
	if _, err := parseFloor(TDXFloor{TDRequired: [8]byte{1}}.Cell()); err == nil {
		t.Error("a floor that demands what it forbids was read")
	}
	good := treeOf(TDXFloor{}.Cell())
	for name, bits := range map[string][]byte{"a bit less": good.bits[:len(good.bits)-1], "a bit more": append(slices.Clone(good.bits), 0), "nothing": nil} {
		if _, err := parseFloor((&tree{bits: bits}).cell()); err == nil {
			t.Errorf("a floor with %s was read", name)
		}
	}
}
