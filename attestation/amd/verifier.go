package amd

import (
	"time"

	"github.com/cocoon-go/cocoon/attestation/internal/memo"
)

// DefaultMaxChains is how many chains a [Verifier] keeps by default; one takes
// about one kilobyte.
const DefaultMaxChains = 16384

// maxSignatures bounds the verified intermediates and revocation lists of a
// [Verifier], of which AMD has a dozen.
const maxSignatures = 256

// Verifier verifies many reports and keeps verified chains, keyed by the
// digest of the endorsements and what the report selects in them. A chain is
// used only while it is valid. It is safe for concurrent use.
type Verifier struct {
	o      Options
	chains *memo.Cache[*Chain]
	known  *signatures
}

// NewVerifier returns a verifier with the given options that keeps up to max
// chains, or [DefaultMaxChains] when max is not positive. The oldest goes first.
func NewVerifier(o Options, max int) *Verifier {
	if max <= 0 {
		max = DefaultMaxChains
	}
	return &Verifier{o: o.clone(), chains: memo.New[*Chain](max), known: memo.New[error](maxSignatures)}
}

// Verify does what the function [Verify] does, and returns the same facts and
// errors. Chains that failed are not kept.
func (v *Verifier) Verify(report []byte, e *Endorsements, at time.Time) (*Facts, error) {
	r, err := parseSigned(report)
	if err != nil {
		return nil, err
	}
	if e == nil {
		return nil, inputAt(StepLeaf, "no endorsements given")
	}
	key := selector(r, e)
	c, ok := v.chains.Get(&key, at)
	if !ok || at.Before(c.notBefore) || at.After(c.notAfter) {
		if c, err = verifyChain(r, e, v.o, at, v.known); err != nil {
			return nil, err
		}
		v.chains.Put(&key, c, c.notAfter)
	}
	return c.verify(r, at)
}

// Len returns the number of chains kept.
func (v *Verifier) Len() int { return v.chains.Len() }
