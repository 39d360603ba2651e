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
	b = append(b, c.Kind)
	b = append(b, c.PlatformID[:]...)
	b = append(b, c.Measurement[:]...)
	b = append(b, c.ClaimsDigest[:]...)
	b = binary.BigEndian.AppendUint32(b, c.BlockSeqno)
	b = binary.BigEndian.AppendUint32(b, c.Expiry)
	b = binary.BigEndian.AppendUint32(b, c.Set)
	return sha256.Sum256(b)
}
