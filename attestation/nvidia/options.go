package nvidia

import (
	"slices"
	"time"
)

// Options says what a verification accepts beyond the defaults. The zero value
// is the strict default: NVIDIA's roots only, revocation checked by fresh OCSP
// responses, RIM documents required and in force.
type Options struct {
	// SimulatedRoots lists the SHA-256 of DER root certificates, other than
	// NVIDIA's, that the caller accepts, for devices and for RIM documents. The
	// certificates themselves come with the chains that they end. Facts that
	// rest on such a root are marked simulated.
	SimulatedRoots [][32]byte

	// WithoutRevocationUnsafe accepts chains without fresh OCSP responses.
	// Responses that are there are still read, and obeyed when they revoke.
	WithoutRevocationUnsafe bool

	// WithoutRIMUnsafe accepts a report whose RIM documents are missing. The
	// facts then say that nothing was compared. Documents that are there are
	// still verified and compared.
	WithoutRIMUnsafe bool

	// ExpiredRIMSignersUnsafe accepts RIM documents whose signer's certificate
	// has expired. NVIDIA's signers live for two years and the drivers that
	// they signed for are used for longer. All other certificates of the chain
	// have to be in force, and revocation is checked as ever.
	ExpiredRIMSignersUnsafe bool
}

func (o Options) clone() Options {
	o.SimulatedRoots = slices.Clone(o.SimulatedRoots)
	return o
}

// Revocation says how revocation was checked.
type Revocation struct {
	Checked    bool      // false only under [Options.WithoutRevocationUnsafe]
	ThisUpdate time.Time // of the oldest response in use
	NextUpdate time.Time // of the first response to expire
}

// window is the time in which all documents of a verification are in force
// together, ends included.
type window struct{ notBefore, notAfter time.Time }

// narrow checks that at lies in the validity of a document, and narrows the
// window to it. A document out of force is as good as a missing one.
func (w *window) narrow(s Step, what string, notBefore, notAfter, at time.Time, url string) error {
	if at.Before(notBefore) {
		return missing(s, what, "valid from "+stamp(notBefore)+", later than the time of verification "+stamp(at), url)
	}
	if at.After(notAfter) {
		return missing(s, what, "expired at "+stamp(notAfter)+", before the time of verification "+stamp(at), url)
	}
	if notBefore.After(w.notBefore) {
		w.notBefore = notBefore
	}
	if w.notAfter.IsZero() || notAfter.Before(w.notAfter) {
		w.notAfter = notAfter
	}
	return nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
