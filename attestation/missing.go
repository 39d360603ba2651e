package attestation

import (
	"bytes"
	"slices"

	"github.com/cocoon-go/cocoon/attestation/amd"
	"github.com/cocoon-go/cocoon/attestation/intel"
	"github.com/cocoon-go/cocoon/attestation/nvidia"
	"github.com/cocoon-go/cocoon/attestation/tpm"
)

// Missing is a document that a verification needs, and did not have or found
// not valid at the time of the check.
type Missing struct {
	What string
	URLs []string // where the vendor publishes it: alternatives, may be none
	// ChainHeader is the field of the answer's header that holds the chain of the
	// document's issuer as URL-encoded PEM; empty for none.
	ChainHeader string
	// Request is an OCSP request, to send by POST (RFC 6960, appendix A.1); nil
	// means that the document lies at the address.
	Request []byte
}

// MissingDocuments returns the documents whose lack is among the reasons of err,
// in order. What they are and where they lie comes from the evidence, which may
// be false: fetch from known hosts only, and verify again.
func MissingDocuments(err error) []Missing {
	var out []Missing
	add := func(m Missing) {
		if !slices.ContainsFunc(out, func(o Missing) bool {
			return o.What == m.What && slices.Equal(o.URLs, m.URLs) && bytes.Equal(o.Request, m.Request)
		}) {
			out = append(out, m)
		}
	}
	walk(err, func(e error) {
		switch x := e.(type) {
		case *intel.MissingError:
			add(Missing{What: x.What, URLs: []string{x.URL}, ChainHeader: x.ChainHeader})
		case *amd.MissingError:
			add(Missing{What: x.What, URLs: slices.Clone(x.URLs)})
		case *nvidia.MissingError:
			m := Missing{What: x.What, Request: bytes.Clone(x.Request)}
			if x.URL != "" {
				m.URLs = []string{x.URL}
			}
			add(m)
		case *tpm.MissingError:
			add(Missing{What: x.What, URLs: slices.Clone(x.URLs)})
		}
	})
	return out
}

// walk visits err and everything that it wraps.
func walk(err error, visit func(error)) {
	if err == nil {
		return
	}
	visit(err)
	switch x := err.(type) {
	case interface{ Unwrap() error }:
		walk(x.Unwrap(), visit)
	case interface{ Unwrap() []error }:
		for _, e := range x.Unwrap() {
			walk(e, visit)
		}
	}
}
