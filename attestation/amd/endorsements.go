package amd

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"maps"
	"slices"
	"strings"

	"github.com/cocoon-go/cocoon/attestation/fault"
)

// Limits of [Endorsements].
const (
	MaxDocument = 1 << 20 // bytes in one document
	MaxParts    = 1024    // certificates and revocation lists of a set
)

// Endorsements is a set of AMD certificates and revocation lists, parsed and
// not verified. It may hold more than one report needs, and those of many
// chips. The zero value is an empty set: AMD's own roots and intermediates are
// built in, so all that is missing then is the endorsement key's certificate
// and the revocation list.
//
// Build a set with the Add methods, then share it: after the last Add it is
// safe for concurrent use.
type Endorsements struct {
	certs  []*x509.Certificate
	crls   []*x509.RevocationList
	seen   map[[32]byte]bool
	digest [32]byte
}

// Digest identifies the documents, in the order given, for use as a cache key.
func (e *Endorsements) Digest() [32]byte { return e.digest }

// Len returns the number of certificates and revocation lists.
func (e *Endorsements) Len() int { return len(e.certs) + len(e.crls) }

// Clone returns a copy that can be added to.
func (e *Endorsements) Clone() *Endorsements {
	return &Endorsements{certs: slices.Clip(e.certs), crls: slices.Clip(e.crls), seen: maps.Clone(e.seen), digest: e.digest}
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

// Add reads a document in any of the forms in which AMD's key distribution
// service and hosts hand them out: a DER certificate, a DER revocation list, or
// PEM with any number of both. It verifies nothing. Errors are bad input.
func (e *Endorsements) Add(doc []byte) error {
	if len(doc) > MaxDocument {
		return fault.BadInput("snp endorsements: %d bytes, at most %d", len(doc), MaxDocument)
	}
	if !bytes.Contains(doc, []byte("-----BEGIN ")) {
		return e.addDER(doc)
	}
	for n := 0; ; n++ {
		p, rest := pem.Decode(doc)
		if p == nil {
			if n == 0 || len(bytes.TrimRight(doc, "\x00 \t\r\n")) != 0 {
				return fault.BadInput("snp endorsements: not PEM")
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
		return fault.BadInput("snp endorsements: neither a certificate nor a revocation list")
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
		return false, fault.BadInput("snp endorsements: more than %d certificates and revocation lists", MaxParts)
	}
	if e.seen == nil {
		e.seen = map[[32]byte]bool{}
	}
	e.seen[d] = true
	e.digest = sha256.Sum256(append(e.digest[:], d[:]...))
	return true, nil
}

// IsCertificate reports whether c is one of AMD's: a root, an intermediate or an
// endorsement key, by its name.
func IsCertificate(c *x509.Certificate) bool {
	return strings.HasPrefix(c.Subject.CommonName, "SEV-") || strings.HasPrefix(c.Subject.CommonName, "ARK-")
}

// ParseCRL reads a revocation list of one of AMD's roots in DER form; false when
// it is none, by the name of its issuer.
func ParseCRL(der []byte) (*x509.RevocationList, bool) {
	if !bytes.Contains(der, []byte("ARK-")) {
		return nil, false // saves parsing the long lists of others
	}
	l, err := x509.ParseRevocationList(der)
	return l, err == nil && strings.HasPrefix(l.Issuer.CommonName, "ARK-")
}

// tableEntry is the size of one entry of the certificate table: GUID, offset,
// length.
const tableEntry = 24

// maxTable bounds the entries of a certificate table.
const maxTable = 64

// ParseCertTable splits the certificate table that a host hands out beside a
// report ("extended report", configfs-tsm auxblob) into its documents, ready
// for [ParseEndorsements] (Guest-Hypervisor Communication Block
// Standardization, 56421, section 4.1.8.1). The host fills it: the GUIDs are not
// used, since the certificates say themselves what they are. Entries that hold
// neither certificates nor revocation lists are skipped. Errors are bad input.
func ParseCertTable(b []byte) ([][]byte, error) {
	if len(b) > MaxDocument {
		return nil, fault.BadInput("snp certificate table: %d bytes, at most %d", len(b), MaxDocument)
	}
	var docs [][]byte
	for n := 0; ; n++ {
		if len(b) < (n+1)*tableEntry {
			return nil, fault.BadInput("snp certificate table: no end marker")
		}
		entry := b[n*tableEntry : (n+1)*tableEntry]
		if allZero(entry) {
			return docs, nil
		}
		if n == maxTable {
			return nil, fault.BadInput("snp certificate table: more than %d entries", maxTable)
		}
		off, size := uint64(binary.LittleEndian.Uint32(entry[16:])), uint64(binary.LittleEndian.Uint32(entry[20:]))
		if off+size > uint64(len(b)) {
			return nil, fault.BadInput("snp certificate table: entry %d reaches past the end", n)
		}
		doc := b[off : off+size]
		if (&Endorsements{}).Add(doc) == nil {
			docs = append(docs, bytes.Clone(doc))
		}
	}
}
