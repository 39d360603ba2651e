package contracts

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
)

// Kinds of evidence, as the contracts number them.
const (
	KindTDX       uint8 = 1 // mode A: the contract verifies the quote
	KindSNP       uint8 = 2 // mode B: a verifier quorum did
	KindTDXQuorum uint8 = 3 // mode B over a TDX quote
)

const certificateDomain = "cocoon/certificate/v1\n"

// VerifierSet is the numbered set of verifiers that Root lists for mode B.
type VerifierSet struct {
	Number uint32 // grows with every change
	Quorum Quorum
}

// Cell returns the encoding, the one whose hash Root compares.
func (s VerifierSet) Cell() *cell.Cell {
	return s.Quorum.store(build().MustStoreUInt(uint64(s.Number), 32)).EndCell()
}

func parseVerifierSet(c *cell.Cell) (*VerifierSet, error) {
	r := read(c, "verifier set")
	s := &VerifierSet{Number: r.u32(), Quorum: r.quorum()}
	r.end()
	if r.err != nil {
		return nil, r.err
	}
	return s, nil
}

// Certificate is the statement of the verifier quorum about one registration:
// they saw evidence of this kind, made by this platform, for these claims.
type Certificate struct {
	ChainID      int32
	Node         attestation.Address
	Epoch        uint32
	Kind         uint8 // [KindSNP] or [KindTDXQuorum]
	PlatformID   [32]byte
	Measurement  [32]byte
	ClaimsDigest [32]byte
	BlockSeqno   uint32
	Expiry       uint32 // unix seconds; also ends the registration
	Set          uint32 // number of the verifier set
}

// NewCertificate returns a certificate for claims; the verifier sets the rest.
func NewCertificate(h *attestation.Heads) Certificate {
	return Certificate{ChainID: h.ChainID, Node: h.Node, Epoch: h.Epoch, ClaimsDigest: h.Digest(), BlockSeqno: h.BlockSeqno}
}

// Digest returns the 32 bytes that verifiers sign.
func (c *Certificate) Digest() [32]byte {
	b := []byte(certificateDomain)
	b = binary.BigEndian.AppendUint32(b, uint32(c.ChainID))
	b = c.Node.AppendTo(b)
	b = binary.BigEndian.AppendUint32(b, c.Epoch)
	return sha256.Sum256(append(b, c.statement()...))
}

// statementSize is what statement returns, in bytes.
const statementSize = 1 + 3*32 + 3*4

// statement returns what is signed after the epoch.
func (c *Certificate) statement() []byte {
	b := append(make([]byte, 0, statementSize), c.Kind)
	b = append(b, c.PlatformID[:]...)
	b = append(b, c.Measurement[:]...)
	b = append(b, c.ClaimsDigest[:]...)
	b = binary.BigEndian.AppendUint32(b, c.BlockSeqno)
	b = binary.BigEndian.AppendUint32(b, c.Expiry)
	return binary.BigEndian.AppendUint32(b, c.Set)
}

// KnownBlocks is how many masterchain blocks a registration can follow the
// block that its claims name. Claims whose blocks are further apart can't be
// registered at one time.
const KnownBlocks = 1600

// ConflictsWith reports whether one key that signed both loses its stake: they
// are about one epoch of a node on one chain, say something else than until when
// and in which set, and their blocks are less than [KnownBlocks] apart
// (docs/spec/contracts-verifier.md).
func (c *Certificate) ConflictsWith(d *Certificate) bool {
	if c.ChainID != d.ChainID || c.Node != d.Node || c.Epoch != d.Epoch {
		return false
	}
	a, b := *c, *d
	a.Expiry, a.Set, b.Expiry, b.Set = 0, 0, 0, 0
	apart := max(c.BlockSeqno, d.BlockSeqno) - min(c.BlockSeqno, d.BlockSeqno)
	return a != b && apart < KnownBlocks
}
