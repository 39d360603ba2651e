package tpm

import (
	"crypto/x509"

	"github.com/cocoon-go/cocoon/attestation/internal/certset"
)

// Limits of [Endorsements].
const (
	MaxDocument = certset.MaxDocument // bytes in one document
	MaxParts    = certset.MaxParts    // certificates and revocation lists of a set
)

// Endorsements is a set of certificates and revocation lists of those who
// certify attestation keys, parsed and not verified. It may hold more than one
// quote needs. The zero value is an empty set.
//
// Build a set with the Add methods, then share it: after the last Add it is
// safe for concurrent use.
type Endorsements struct{ set certset.Set }

// whose endorsements an error is about.
const whose = "tpm"

// Len returns the number of certificates and revocation lists.
func (e *Endorsements) Len() int { return e.set.Len() }

// Add reads a document: a DER certificate, a DER revocation list, or PEM with
// any number of both. It verifies nothing. Errors are bad input.
func (e *Endorsements) Add(doc []byte) error { return e.set.Add(whose, doc) }

// AddCertificate adds a certificate, whatever its role.
func (e *Endorsements) AddCertificate(c *x509.Certificate) error {
	return e.set.AddCertificate(whose, c)
}

// AddCRL adds a revocation list.
func (e *Endorsements) AddCRL(l *x509.RevocationList) error { return e.set.AddCRL(whose, l) }
