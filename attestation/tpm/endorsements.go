package tpm

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"

	"github.com/cocoon-go/cocoon/attestation/fault"
)

// Limits of [Endorsements].
const (
	MaxDocument = 1 << 20 // bytes in one document
	MaxParts    = 1024    // certificates and revocation lists of a set
)

// Endorsements is a set of certificates and revocation lists of those who
// certify attestation keys, parsed and not verified. It may hold more than one
// quote needs. The zero value is an empty set.
//
// Build a set with the Add methods, then share it: after the last Add it is
// safe for concurrent use.
type Endorsements struct {
	certs []*x509.Certificate
	crls  []*x509.RevocationList
	seen  map[[32]byte]bool
}

// Len returns the number of certificates and revocation lists.
func (e *Endorsements) Len() int { return len(e.certs) + len(e.crls) }

// Add reads a document: a DER certificate, a DER revocation list, or PEM with
// any number of both. It verifies nothing. Errors are bad input.
func (e *Endorsements) Add(doc []byte) error {
	if len(doc) > MaxDocument {
		return fault.BadInput("tpm endorsements: %d bytes, at most %d", len(doc), MaxDocument)
	}
	if !bytes.Contains(doc, []byte("-----BEGIN ")) {
		return e.addDER(doc)
	}
	for {
		p, rest := pem.Decode(doc)
		if p == nil {
			if len(bytes.TrimSpace(doc)) != 0 {
				return fault.BadInput("tpm endorsements: not PEM")
			}
			return nil
		}
		if err := e.addDER(p.Bytes); err != nil {
			return err
		}
		doc = rest
	}
}

func (e *Endorsements) addDER(der []byte) error {
	if c, err := x509.ParseCertificate(der); err == nil {
		return e.AddCertificate(c)
	}
	l, err := x509.ParseRevocationList(der)
	if err != nil {
		return fault.BadInput("tpm endorsements: neither a certificate nor a revocation list")
	}
	return e.AddCRL(l)
}

// AddCertificate adds a certificate, whatever its role.
func (e *Endorsements) AddCertificate(c *x509.Certificate) error {
	fresh, err := e.add(c.Raw)
	if fresh {
		e.certs = append(e.certs, c)
	}
	return err
}

// AddCRL adds a revocation list.
func (e *Endorsements) AddCRL(l *x509.RevocationList) error {
	fresh, err := e.add(l.Raw)
	if fresh {
		e.crls = append(e.crls, l)
	}
	return err
}

// add counts one more part; it reports whether it is new.
func (e *Endorsements) add(raw []byte) (bool, error) {
	d := sha256.Sum256(raw)
	if e.seen[d] {
		return false, nil
	}
	if e.Len() == MaxParts {
		return false, fault.BadInput("tpm endorsements: more than %d certificates and revocation lists", MaxParts)
	}
	if e.seen == nil {
		e.seen = map[[32]byte]bool{}
	}
	e.seen[d] = true
	return true, nil
}
