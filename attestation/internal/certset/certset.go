// Package certset keeps sets of certificates and revocation lists that are parsed
// and not verified, in the forms in which vendors hand them out.
package certset

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"maps"
	"slices"

	"github.com/cocoon-go/cocoon/attestation/fault"
)

// Limits of a [Set].
const (
	MaxDocument = 1 << 20 // bytes in one document
	MaxParts    = 1024    // certificates and revocation lists of a set
)

// Set is a set in the order in which it was filled; what is in it already is not
// added again. The zero value is empty. After the last Add it is safe for
// concurrent use.
type Set struct {
	Certs []*x509.Certificate
	CRLs  []*x509.RevocationList

	seen   map[[32]byte]bool
	digest [32]byte
}

// Digest identifies the parts, in their order, for use as a cache key.
func (s *Set) Digest() [32]byte { return s.digest }

// Len returns the number of certificates and revocation lists.
func (s *Set) Len() int { return len(s.Certs) + len(s.CRLs) }

// Clone returns a copy that can be added to.
func (s *Set) Clone() Set {
	return Set{Certs: slices.Clip(s.Certs), CRLs: slices.Clip(s.CRLs), seen: maps.Clone(s.seen), digest: s.digest}
}

// Add reads a document: a DER certificate, a DER revocation list, or PEM with any
// number of both, padded at the end by white space and NULs. whose names the set
// in errors, which are bad input.
func (s *Set) Add(whose string, doc []byte) error {
	if len(doc) > MaxDocument {
		return fault.BadInput("%s endorsements: %d bytes, at most %d", whose, len(doc), MaxDocument)
	}
	if !bytes.Contains(doc, []byte("-----BEGIN ")) {
		return s.addDER(whose, doc)
	}
	for n := 0; ; n++ {
		p, rest := pem.Decode(doc)
		if p == nil {
			if n == 0 || len(bytes.Trim(doc, "\x00 \t\r\n")) != 0 {
				return fault.BadInput("%s endorsements: not PEM", whose)
			}
			return nil
		}
		if err := s.addDER(whose, p.Bytes); err != nil {
			return err
		}
		doc = rest
	}
}

func (s *Set) addDER(whose string, der []byte) error {
	if c, err := x509.ParseCertificate(der); err == nil {
		return s.AddCertificate(whose, c)
	}
	l, err := x509.ParseRevocationList(der)
	if err != nil {
		return fault.BadInput("%s endorsements: neither a certificate nor a revocation list", whose)
	}
	return s.AddCRL(whose, l)
}

// AddCertificate adds a certificate.
func (s *Set) AddCertificate(whose string, c *x509.Certificate) error {
	fresh, err := s.add(whose, c.Raw)
	if fresh {
		s.Certs = append(s.Certs, c)
	}
	return err
}

// AddCRL adds a revocation list.
func (s *Set) AddCRL(whose string, l *x509.RevocationList) error {
	fresh, err := s.add(whose, l.Raw)
	if fresh {
		s.CRLs = append(s.CRLs, l)
	}
	return err
}

// add counts one more part; it reports whether it is new.
func (s *Set) add(whose string, raw []byte) (bool, error) {
	d := sha256.Sum256(raw)
	if s.seen[d] {
		return false, nil
	}
	if s.Len() == MaxParts {
		return false, fault.BadInput("%s endorsements: more than %d certificates and revocation lists", whose, MaxParts)
	}
	if s.seen == nil {
		s.seen = map[[32]byte]bool{}
	}
	s.seen[d] = true
	s.digest = sha256.Sum256(append(s.digest[:], d[:]...))
	return true, nil
}
