package amd

import (
	"sync"
	"time"
)

// DefaultMaxChains is how many chains a [Verifier] keeps by default; one takes
// about one kilobyte.
const DefaultMaxChains = 16384

// Verifier verifies many reports and keeps verified chains, keyed by the
// digest of the endorsements and what the report selects in them. A chain is
// used only while it is valid. It is safe for concurrent use.
type Verifier struct {
	o   Options
	max int

	mu     sync.Mutex
	chains map[[32]byte]*Chain // guarded by mu
	order  [][32]byte          // guarded by mu; ring of keys in order of insertion
	next   int                 // guarded by mu; where the ring goes on once full
}

// NewVerifier returns a verifier with the given options that keeps up to max
// chains, or [DefaultMaxChains] when max is not positive. The oldest goes first.
func NewVerifier(o Options, max int) *Verifier {
	if max <= 0 {
		max = DefaultMaxChains
	}
	return &Verifier{o: o.clone(), max: max, chains: map[[32]byte]*Chain{}}
}

// Verify does what the function [Verify] does, and returns the same facts and
// errors. Failures are not kept.
func (v *Verifier) Verify(report []byte, e *Endorsements, at time.Time) (*Facts, error) {
	r, err := parseSigned(report)
	if err != nil {
		return nil, err
	}
	if e == nil {
		return nil, inputAt(StepLeaf, "no endorsements given")
	}
	key := selectorDigest(r, e)
	c := v.get(key)
	if c == nil || at.Before(c.notBefore) || at.After(c.notAfter) {
		if c, err = VerifyChain(r, e, v.o, at); err != nil {
			return nil, err
		}
		v.put(key, c)
	}
	return c.verify(r, at)
}

// Len returns the number of chains kept.
func (v *Verifier) Len() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.chains)
}

func (v *Verifier) get(key [32]byte) *Chain {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.chains[key]
}

func (v *Verifier) put(key [32]byte, c *Chain) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, ok := v.chains[key]; !ok {
		if len(v.order) < v.max {
			v.order = append(v.order, key)
		} else {
			delete(v.chains, v.order[v.next])
			v.order[v.next] = key
			v.next = (v.next + 1) % v.max
		}
	}
	v.chains[key] = c
}
