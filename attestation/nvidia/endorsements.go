package nvidia

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"maps"
	"slices"
	"strings"

	"github.com/cocoon-go/cocoon/attestation/fault"
)

// Limits of [Endorsements].
const (
	MaxDocument = 4 << 20 // bytes in one document
	MaxParts    = 1024    // RIM documents, OCSP responses and certificates of a set
)

// Endorsements is a set of RIM documents, OCSP responses and device
// certificates, parsed and not verified. It may hold more than one report needs,
// and those of many devices. The zero value is an empty set.
//
// Build a set with the Add methods, then share it: after the last Add it is
// safe for concurrent use. Keep it: a set that was parsed once makes the next
// verification cheap.
type Endorsements struct {
	rims      []*RIMDocument
	responses ocspSet
	certs     []*x509.Certificate
	tokens    [][]byte  // of the remote attestation service
	keys      *NRASKeys // its keys; nil is none. Replaced, never changed
	n         int
	seen      map[[32]byte]bool
}

// ParseEndorsements reads documents with [Endorsements.Add]. No document at all
// is an empty set.
func ParseEndorsements(docs ...[]byte) (*Endorsements, error) {
	e := &Endorsements{}
	for i, doc := range docs {
		if err := e.Add(doc); err != nil {
			return nil, fault.BadInput("document %d: %w", i, err)
		}
	}
	return e, nil
}

// Len returns the number of documents, responses and certificates.
func (e *Endorsements) Len() int { return e.n }

// Clone returns a copy that can be added to.
func (e *Endorsements) Clone() *Endorsements {
	c := &Endorsements{rims: slices.Clip(e.rims), certs: slices.Clip(e.certs), tokens: slices.Clip(e.tokens), keys: e.keys, n: e.n, seen: maps.Clone(e.seen)}
	for _, list := range e.responses.bySerial {
		for _, r := range list {
			c.responses.add(r)
		}
	}
	return c
}

// Add reads a document in any of the forms in which they occur: a RIM document
// in XML or as NVIDIA's RIM service answers it, an OCSP response in DER, a
// certificate in DER, certificates in PEM, tokens or keys of the remote
// attestation service in JSON. It verifies nothing. Errors are bad input.
func (e *Endorsements) Add(doc []byte) error {
	switch {
	case len(doc) > MaxDocument:
		return fault.BadInput("nvidia endorsements: %d bytes, at most %d", len(doc), MaxDocument)
	case IsRIM(doc):
		return e.AddRIM(doc)
	case IsNRASTokens(doc):
		return e.AddNRASTokens(doc)
	case IsNRASKeys(doc):
		return e.AddNRASKeys(doc)
	case bytes.Contains(doc, []byte("-----BEGIN ")):
		return e.addPEM(doc)
	}
	if c, err := x509.ParseCertificate(doc); err == nil {
		return e.AddCertificate(c)
	}
	return e.AddOCSP(doc)
}

// addPEM reads certificates. Text between them is skipped, as in files that
// tools write.
func (e *Endorsements) addPEM(doc []byte) error {
	for n := 0; ; n++ {
		p, rest := pem.Decode(doc)
		if p == nil {
			if n == 0 {
				return fault.BadInput("nvidia endorsements: not PEM")
			}
			return nil
		}
		c, err := x509.ParseCertificate(p.Bytes)
		if err != nil {
			return fault.BadInput("nvidia endorsements: PEM block %d is no certificate", n)
		}
		if err := e.AddCertificate(c); err != nil {
			return err
		}
		doc = rest
	}
}

// IsRIM reports whether data looks like a RIM document: an XML file, or an answer
// of the RIM service.
func IsRIM(data []byte) bool {
	t := bytes.TrimLeft(data, " \t\r\n")
	return bytes.HasPrefix(t, []byte("<")) || bytes.HasPrefix(t, []byte("{")) && bytes.Contains(t, []byte(`"rim"`))
}

// IsCertificate reports whether c is one of NVIDIA's chains of devices, by its
// name.
func IsCertificate(c *x509.Certificate) bool {
	n := c.Subject.CommonName
	return strings.HasSuffix(n, leafSuffix) || strings.HasSuffix(n, deviceSuffix) || strings.HasPrefix(n, "NVIDIA ")
}

// AddRIM adds a RIM document.
func (e *Endorsements) AddRIM(doc []byte) error {
	if e.seen[sha256.Sum256(doc)] {
		return nil
	}
	d, err := ParseRIM(doc)
	if err != nil {
		return err
	}
	fresh, err := e.add(d.digest)
	if fresh {
		e.rims = append(e.rims, d)
	}
	return err
}

// IsOCSP reports whether data looks like an OCSP response in DER: a sequence
// that starts with an enumeration (RFC 6960, section 4.2.1).
func IsOCSP(data []byte) bool {
	var outer asn1.RawValue
	if _, err := asn1.Unmarshal(data, &outer); err != nil || outer.Tag != asn1.TagSequence {
		return false
	}
	return len(outer.Bytes) > 0 && outer.Bytes[0] == asn1.TagEnum
}

// AddOCSP adds an OCSP response in DER form.
func (e *Endorsements) AddOCSP(der []byte) error {
	if e.seen[sha256.Sum256(der)] {
		return nil
	}
	r, err := parseOCSP(der)
	if err != nil {
		return inputAt(StepRevocation, "%w", err)
	}
	fresh, err := e.add(r.digest)
	if fresh {
		e.responses.add(r)
	}
	return err
}

// AddCertificate adds a certificate of a device's chain, for reports that come
// without one; see [Endorsements.Complete].
func (e *Endorsements) AddCertificate(c *x509.Certificate) error {
	fresh, err := e.add(sha256.Sum256(c.Raw))
	if fresh {
		e.certs = append(e.certs, c)
	}
	return err
}

// add counts one more part; it reports whether it is new.
func (e *Endorsements) add(digest [32]byte) (bool, error) {
	if e.seen[digest] {
		return false, nil
	}
	if e.n == MaxParts {
		return false, fault.BadInput("nvidia endorsements: more than %d documents", MaxParts)
	}
	if e.seen == nil {
		e.seen = map[[32]byte]bool{}
	}
	e.seen[digest] = true
	e.n++
	return true, nil
}

// maxLeaves bounds the keys that are tried for one report.
const maxLeaves = 64

// Complete fills in the chain of evidence that has a report alone, from the
// certificates of the set. The attestation key is the one that signed the
// report, or the only one there is. It trusts nothing: [Verify] judges the
// chain. Evidence with a chain stays as it is. What is missing is "could not find
// out".
func (e *Endorsements) Complete(ev *Evidence) error {
	if len(ev.Chain) != 0 {
		return nil
	}
	r, err := ParseReport(ev.Report)
	if err != nil {
		return err
	}
	c, err := e.leafOf(r)
	if err != nil {
		return err
	}
	for {
		ev.Chain = append(ev.Chain, c.Raw)
		if len(ev.Chain) == chainLength || bytes.Equal(c.RawIssuer, c.RawSubject) {
			return nil
		}
		if c, err = e.issuerOf(c); err != nil {
			ev.Chain = nil
			return err
		}
	}
}

func (e *Endorsements) leafOf(r *Report) (*x509.Certificate, error) {
	var leaves []*x509.Certificate
	for _, c := range e.certs {
		if strings.HasSuffix(c.Subject.CommonName, leafSuffix) {
			leaves = append(leaves, c)
		}
	}
	switch n := len(leaves); {
	case n == 0:
		return nil, missing(StepChain, "certificates of the device", "missing; the driver hands them out beside the report", "")
	case n == 1:
		return leaves[0], nil
	case n > maxLeaves:
		return nil, inputAt(StepChain, "certificates of %d devices for one report, at most %d", n, maxLeaves)
	}
	for _, c := range leaves {
		if k, err := p384(c); err == nil && r.signedBy(k) {
			return c, nil
		}
	}
	return nil, missing(StepChain, "certificates of the device", "those given are of other devices", "")
}

// issuerOf finds the certificate of the issuer by name and key id.
func (e *Endorsements) issuerOf(c *x509.Certificate) (*x509.Certificate, error) {
	for _, ca := range append(slices.Clip(e.certs), builtin()[deviceRole]) {
		if bytes.Equal(ca.RawSubject, c.RawIssuer) && bytes.Equal(ca.SubjectKeyId, c.AuthorityKeyId) {
			return ca, nil
		}
	}
	return nil, missing(StepChain, "certificate "+c.Issuer.CommonName, "missing; the driver hands it out beside the report", "")
}
