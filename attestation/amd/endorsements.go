package amd

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/cocoon-go/cocoon/attestation/fault"
)

// Limits of [ParseEndorsements].
const (
	MaxDocument  = 1 << 20 // bytes in one document
	MaxDocuments = 64      // documents in one call
	MaxParts     = 64      // certificates and revocation lists together
)

// Endorsements is a set of AMD certificates and revocation lists, parsed and
// not verified. It may hold more than one report needs. It is immutable and
// safe for concurrent use. The zero value is an empty set: AMD's own roots and
// intermediates are built in, so all that is missing then is the endorsement
// key's certificate and the revocation list.
type Endorsements struct {
	certs  []*x509.Certificate
	crls   []*x509.RevocationList
	digest [32]byte
}

// Digest identifies the documents, in the order given, for use as a cache key.
func (e *Endorsements) Digest() [32]byte { return e.digest }

// ParseEndorsements reads documents in any of the forms in which AMD's key
// distribution service and hosts hand them out: a DER certificate, a DER
// revocation list, or PEM with any number of both. It verifies nothing. No
// document at all is an empty set. Errors are bad input.
func ParseEndorsements(docs ...[]byte) (*Endorsements, error) {
	if len(docs) > MaxDocuments {
		return nil, fault.BadInput("snp endorsements: %d documents, at most %d", len(docs), MaxDocuments)
	}
	e := &Endorsements{}
	h := sha256.New()
	for i, doc := range docs {
		if len(doc) > MaxDocument {
			return nil, fault.BadInput("snp endorsements: document %d has %d bytes, at most %d", i, len(doc), MaxDocument)
		}
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(doc))))
		h.Write(doc)
		if err := e.add(doc); err != nil {
			return nil, fault.BadInput("snp endorsements: document %d: %w", i, err)
		}
	}
	h.Sum(e.digest[:0])
	return e, nil
}

func (e *Endorsements) add(doc []byte) error {
	if !bytes.Contains(doc, []byte("-----BEGIN ")) {
		return e.addDER(doc)
	}
	for n := 0; ; n++ {
		p, rest := pem.Decode(doc)
		if p == nil {
			if n == 0 || len(bytes.TrimRight(doc, "\x00 \t\r\n")) != 0 {
				return errors.New("not PEM")
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
	if len(e.certs)+len(e.crls) >= MaxParts {
		return fmt.Errorf("more than %d certificates and revocation lists", MaxParts)
	}
	if c, err := x509.ParseCertificate(der); err == nil {
		e.certs = append(e.certs, c)
		return nil
	}
	l, err := x509.ParseRevocationList(der)
	if err != nil {
		return errors.New("neither a certificate nor a revocation list")
	}
	e.crls = append(e.crls, l)
	return nil
}

// tableEntry is the size of one entry of the certificate table: GUID, offset,
// length.
const tableEntry = 24

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
		if n == MaxParts {
			return nil, fault.BadInput("snp certificate table: more than %d entries", MaxParts)
		}
		off, size := uint64(binary.LittleEndian.Uint32(entry[16:])), uint64(binary.LittleEndian.Uint32(entry[20:]))
		if off+size > uint64(len(b)) {
			return nil, fault.BadInput("snp certificate table: entry %d reaches past the end", n)
		}
		doc := b[off : off+size]
		if (&Endorsements{}).add(doc) == nil {
			docs = append(docs, bytes.Clone(doc))
		}
	}
}
