package p256hint_test

import (
	"errors"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/chain/p256hint"
	"github.com/cocoon-go/cocoon/chain/p256hint/p256test"
)

type big256 = p256test.Big

func bytes32(v big256) (b [32]byte) {
	v.FillBytes(b[:])
	return b
}

func inputs(a p256test.Args[big256]) (digest [32]byte, key p256hint.Key, sig p256hint.Signature) {
	a.QX.FillBytes(key[:32])
	a.QY.FillBytes(key[32:])
	a.R.FillBytes(sig[:32])
	a.S.FillBytes(sig[32:])
	return bytes32(a.Z), key, sig
}

// checkHint compares what New says with what is true.
func checkHint(t *testing.T, c p256test.Case) {
	t.Helper()
	digest, key, sig := inputs(c.Args)
	h, err := p256hint.New(digest, key, sig)
	if !c.Accepted() {
		if err == nil {
			t.Errorf("%s: there is a hint", c.Name)
		}
		if u := (*fault.UnknownError)(nil); c.Exception != errors.As(err, &u) {
			t.Errorf("%s: %v", c.Name, err)
		}
		return
	}
	if err != nil {
		t.Errorf("%s: %v", c.Name, err)
		return
	}
	a := c.Args
	if h.RInverse != bytes32(a.RInverse) || h.DX != bytes32(a.DX) || h.DY != bytes32(a.DY) || h.Slope != bytes32(a.Slope) {
		t.Errorf("%s: hint %x, want %x", c.Name, h, a)
	}
}

func TestClasses(t *testing.T) {
	m := p256test.P256()
	for class, cases := range p256test.Classes() {
		valid := 0
		for _, c := range cases {
			if got := m.Verify(c.Args); got != c.Accepted() {
				t.Errorf("%s: %s: accepted %v, want %v", class, c.Name, got, c.Accepted())
			}
			if c.Valid {
				valid++
			}
			checkHint(t, c)
		}
		t.Logf("%s: %d cases, %d valid", class, len(cases), valid)
	}
}

func TestAttacks(t *testing.T) {
	m := p256test.P256()
	for _, c := range p256test.Attacks() {
		if m.Verify(c.Args) {
			t.Errorf("%s: accepted", c.Name)
		}
		if c.Exception {
			checkHint(t, c)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	c := p256test.RandomValid(rand.NewChaCha8([32]byte{'n'}))
	digest, key, sig := inputs(c.Args)
	bad := key
	bad[63] ^= 1
	_, err := p256hint.New(digest, bad, sig)
	if e := (*fault.InputError)(nil); !errors.As(err, &e) {
		t.Errorf("key off the curve: %v", err)
	}
	digest[0] ^= 1
	_, err = p256hint.New(digest, key, sig)
	if e := (*fault.FalseError)(nil); !errors.As(err, &e) {
		t.Errorf("other digest: %v", err)
	}
}

func TestRandomAccepted(t *testing.T) {
	m := p256test.P256()
	rng := rand.NewChaCha8([32]byte{'r'})
	for i := range 10_000 {
		c := p256test.RandomValid(rng)
		if !m.Verify(c.Args) {
			t.Fatalf("refused: %x", c.Args)
		}
		if i%10 == 0 {
			checkHint(t, c)
		}
	}
}

// TestMutationsRefused mutates every argument of random signatures, each alone
// and again with honest hints for what it then claims.
func TestMutationsRefused(t *testing.T) {
	m := p256test.P256()
	rng := rand.NewChaCha8([32]byte{'m'})
	alone, rebuilt := 0, 0
	for range p256test.Count(1_112) { // of 9 arguments each: more than 10,000
		c := p256test.RandomValid(rng)
		for _, f := range p256test.Fields {
			a := f.Mutate(rng, c.Args)
			if m.Verify(a) {
				t.Fatalf("%s mutated and accepted: %x", f.Name, a)
			}
			alone++
			if a, ok := p256test.Rebuilt(a); ok && !same(a, c.Args) {
				if m.Verify(a) {
					t.Fatalf("%s mutated, hints rebuilt, and accepted: %x", f.Name, a)
				}
				rebuilt++
			}
		}
	}
	t.Logf("refused: %d mutations, %d more with hints rebuilt", alone, rebuilt)
}

func same(a, b p256test.Args[big256]) bool {
	for i, v := range []*big.Int{a.Z.Int, a.QX.Int, a.QY.Int, a.R.Int, a.S.Int} {
		if v.Cmp([]*big.Int{b.Z.Int, b.QX.Int, b.QY.Int, b.R.Int, b.S.Int}[i]) != 0 {
			return false
		}
	}
	return true
}
