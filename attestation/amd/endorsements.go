package amd

import (
	"bytes"
	"crypto/x509"
	"encoding/binary"
	"strings"

	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/internal/certset"
)

// Limits of [Endorsements].
const (
	MaxDocument = certset.MaxDocument // bytes in one document
	MaxParts    = certset.MaxParts    // certificates and revocation lists of a set
)

// Endorsements is a set of AMD certificates and revocation lists, parsed and
// not verified. It may hold more than one report needs, and those of many
// chips. The zero value is an empty set: AMD's own roots and intermediates are
// built in, so all that is missing then is the endorsement key's certificate
// and the revocation list.
//
// Build a set with the Add methods, then share it: after the last Add it is
// safe for concurrent use.
type Endorsements struct{ set certset.Set }

// Digest identifies the documents, in the order given, for use as a cache key.
func (e *Endorsements) Digest() [32]byte { return e.set.Digest() }

// Len returns the number of certificates and revocation lists.
func (e *Endorsements) Len() int { return e.set.Len() }

// Clone returns a copy that can be added to.
func (e *Endorsements) Clone() *Endorsements { return &Endorsements{e.set.Clone()} }

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
func (e *Endorsements) Add(doc []byte) error { return e.set.Add(whose, doc) }

// AddCertificate adds a certificate, whatever its role.
func (e *Endorsements) AddCertificate(c *x509.Certificate) error {
	return e.set.AddCertificate(whose, c)
}

// AddCRL adds a revocation list.
func (e *Endorsements) AddCRL(l *x509.RevocationList) error { return e.set.AddCRL(whose, l) }

// whose endorsements an error is about.
const whose = "snp"

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
