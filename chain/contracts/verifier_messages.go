package contracts

import (
	"crypto/ed25519"

	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
)

// Operations of Verifier.
const (
	opCountVerifier      = 0xc0c00203
	opVerifierCounted    = 0xc0c00501
	opStakeVerifier      = 0xc0c00510
	opLeaveVerifiers     = 0xc0c00511
	opRefreshVerifier    = 0xc0c00512
	opWithdrawVerifier   = 0xc0c00513
	opReportCertificates = 0xc0c00514
)

// StakeVerifier adds what is sent with it, less [ValueStakeVerifier], to a
// verifier's stake and has Root count the verifier. The first sender becomes its
// operator. With a StateInit it also deploys the contract.
type StakeVerifier struct {
	QueryID   uint64
	Signature [64]byte // of the verifier's key over [VerifierOperatorDigest]
}

// NewStakeVerifier returns the message for an operator's wallet.
func NewStakeVerifier(key ed25519.PrivateKey, chainID int32, root, operator attestation.Address, queryID uint64) (*StakeVerifier, error) {
	if len(key) != ed25519.PrivateKeySize {
		return nil, attestation.BadInput("verifier: no Ed25519 key")
	}
	a, _, err := VerifierAddress(root, key.Public().(ed25519.PublicKey))
	if err != nil {
		return nil, err
	}
	d := VerifierOperatorDigest(chainID, a, operator)
	return &StakeVerifier{QueryID: queryID, Signature: [64]byte(ed25519.Sign(key, d[:]))}, nil
}

// Body returns the message body. It can't fail.
func (m *StakeVerifier) Body() (*cell.Cell, error) {
	return plain(opStakeVerifier, m.QueryID).MustStoreSlice(m.Signature[:], 512).EndCell(), nil
}

// LeaveVerifiers has Root count the verifier no longer; its stake is free when
// nothing that it certified can matter. Only the operator may send it, with
// [ValueVerifier].
type LeaveVerifiers struct{ QueryID uint64 }

// Body returns the message body. It can't fail.
func (m *LeaveVerifiers) Body() (*cell.Cell, error) {
	return plain(opLeaveVerifiers, m.QueryID).EndCell(), nil
}

// RefreshVerifier tells Root again what stands behind a verifier's key, as is
// needed when Root lists a new set. Anybody may send it, with [ValueVerifier].
type RefreshVerifier struct{ QueryID uint64 }

// Body returns the message body. It can't fail.
func (m *RefreshVerifier) Body() (*cell.Cell, error) {
	return plain(opRefreshVerifier, m.QueryID).EndCell(), nil
}

// WithdrawVerifier pays the sender's credit with [Payout], and to the operator
// also what the contract does not need and the stake that may leave. Anybody may
// send it, with [ValueWithdrawVerifier].
type WithdrawVerifier struct{ QueryID uint64 }

// Body returns the message body. It can't fail.
func (m *WithdrawVerifier) Body() (*cell.Cell, error) {
	return plain(opWithdrawVerifier, m.QueryID).EndCell(), nil
}

// SignedCertificate is a certificate with the signature of one verifier.
type SignedCertificate struct {
	Certificate Certificate
	Signature   [64]byte
}

// ReportCertificates proves that a verifier signed two certificates in conflict.
// All of its stake is lost; half of it is the sender's. Anybody may send it, with
// [ValueVerifier].
type ReportCertificates struct {
	QueryID uint64
	A, B    SignedCertificate
}

// Check reports why the contract of a key on a chain would not take m.
func (m *ReportCertificates) Check(chainID int32, key ed25519.PublicKey) error {
	if len(key) != ed25519.PublicKeySize {
		return attestation.BadInput("verifier: no Ed25519 key")
	}
	if !m.A.Certificate.ConflictsWith(&m.B.Certificate) {
		return attestation.Refused("an honest verifier may have signed both certificates")
	}
	if c := m.A.Certificate.ChainID; c != chainID {
		return attestation.ChainDisagrees("the certificates are for chain %d, this is chain %d", c, chainID)
	}
	for _, s := range []*SignedCertificate{&m.A, &m.B} {
		if d := s.Certificate.Digest(); !ed25519.Verify(key, d[:], s.Signature[:]) {
			return attestation.False("the verifier's signature of one of the certificates does not hold")
		}
	}
	return nil
}

// Body returns the message body. It fails where the certificates are not about
// one epoch of a node.
func (m *ReportCertificates) Body() (*cell.Cell, error) {
	a, b := &m.A.Certificate, &m.B.Certificate
	if a.ChainID != b.ChainID || a.Node != b.Node || a.Epoch != b.Epoch {
		return nil, attestation.BadInput("the certificates are not about one epoch of one node")
	}
	return plain(opReportCertificates, m.QueryID).
		MustStoreInt(int64(a.Node.Workchain), 32).MustStoreSlice(a.Node.Hash[:], 256).MustStoreUInt(uint64(a.Epoch), 32).
		MustStoreRef(m.A.cell()).MustStoreRef(m.B.cell()).EndCell(), nil
}

func (s *SignedCertificate) cell() *cell.Cell {
	st := build().MustStoreSlice(s.Certificate.statement(), 8*statementSize).EndCell()
	return build().MustStoreRef(st).MustStoreSlice(s.Signature[:], 512).EndCell()
}

// CountVerifier is what Verifier tells Root.
type CountVerifier struct {
	Key       [32]byte
	Stake     uint64 // nano; 0: slashed, or on its way out
	Leaving   uint32 // [VerifierState.Leaving]
	QueryID   uint64
	Requester attestation.Address // gets the rest of the value at the end
}

// Body returns the message body.
func (m *CountVerifier) Body() *cell.Cell {
	b := build().MustStoreUInt(opCountVerifier, 32).MustStoreSlice(m.Key[:], 256).MustStoreUInt(m.Stake, 64).
		MustStoreUInt(uint64(m.Leaving), 32).MustStoreUInt(m.QueryID, 64)
	return storeAddr(b, m.Requester).EndCell()
}

// ParseCountVerifier reads a [CountVerifier] message.
func ParseCountVerifier(body *cell.Cell) (*CountVerifier, error) {
	r := read(body, "question of a verifier")
	r.tag(32, opCountVerifier)
	return parsed(r, &CountVerifier{Key: r.b32(), Stake: r.u64(), Leaving: r.u32(), QueryID: r.u64(), Requester: r.addr()})
}

// VerifierCounted is Root's answer to Verifier.
type VerifierCounted struct {
	Code      uint16 // 0: Root counts the verifier
	Leaving   uint32 // of the question
	Window    uint64 // s; how long what the verifier certified can matter
	QueryID   uint64
	Requester attestation.Address
}

// Body returns the message body.
func (m *VerifierCounted) Body() *cell.Cell {
	b := build().MustStoreUInt(opVerifierCounted, 32).MustStoreUInt(uint64(m.Code), 16).MustStoreUInt(uint64(m.Leaving), 32).
		MustStoreUInt(m.Window, 64).MustStoreUInt(m.QueryID, 64)
	return storeAddr(b, m.Requester).EndCell()
}

// ParseVerifierCounted reads a [VerifierCounted] message.
func ParseVerifierCounted(body *cell.Cell) (*VerifierCounted, error) {
	r := read(body, "answer to a verifier")
	r.tag(32, opVerifierCounted)
	return parsed(r, &VerifierCounted{Code: r.u16(), Leaving: r.u32(), Window: r.u64(), QueryID: r.u64(), Requester: r.addr()})
}
