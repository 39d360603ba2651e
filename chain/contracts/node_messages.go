package contracts

import (
	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
)

// Message values in nano that Node demands. The rest comes back.
const (
	ValueRegister uint64 = 100_000_000 // a registration, for all messages that follow from it
	ValueSmall    uint64 = 10_000_000  // anchor, profile, stake, withdrawal
	ValueReport   uint64 = 100_000_000 // report of a fault, in the largest book
	ValueCheck    uint64 = 50_000_000  // retire, recheck
	// NodeReserve stays in a Node for its storage, and pays for 14 months; below
	// it (plus stake, bonds and credits) no anchor is accepted from outside. A
	// node that is not registered keeps [NodeReserveRetired], for three months.
	NodeReserve        uint64 = 100_000_000
	NodeReserveRetired uint64 = 20_000_000
)

// Operations of Node.
const (
	opRegisterQuorum     = 0xc0c00110
	opRegisterTDX        = 0xc0c00111
	opRegisterTDXAgain   = 0xc0c0011f
	opAnchorInternal     = 0xc0c00112
	opSetProfile         = 0xc0c00113
	opStake              = 0xc0c00114
	opUnbond             = 0xc0c00115
	opWithdraw           = 0xc0c00116
	opRetire             = 0xc0c00117
	opRecheck            = 0xc0c00118
	opReportHeads        = 0xc0c00119
	opReportReceipts     = 0xc0c0011a
	opCheckRegistration  = 0xc0c00201
	opCheckCurrent       = 0xc0c00204
	opUnlist             = 0xc0c00205
	opRegistrationAnswer = 0xc0c00101
	opCurrentChecked     = 0xc0c00102
	opDone               = 0xc0c00001
	opPayout             = 0xc0c00002
)

// RegisterQuorum registers a new epoch by certificate (mode B).
// Only the operator may send it, with [ValueRegister].
type RegisterQuorum struct {
	QueryID     uint64
	Heads       *attestation.Heads
	Certificate Certificate
	Verifiers   VerifierSet
	Approvals   Approvals
}

// Body returns the message body, after checking what the contracts will check.
func (m *RegisterQuorum) Body() (*cell.Cell, error) {
	c, h := &m.Certificate, m.Heads
	if h == nil {
		return nil, attestation.BadInput("registration without claims")
	}
	if c.ChainID != h.ChainID || c.Node != h.Node || c.Epoch != h.Epoch || c.ClaimsDigest != h.Digest() || c.BlockSeqno != h.BlockSeqno || c.Set != m.Verifiers.Number {
		return nil, attestation.BadInput("certificate is for another registration than the claims heads")
	}
	if c.Kind != KindSNP && c.Kind != KindTDXQuorum {
		return nil, attestation.BadInput("certificate: kind %d is not one that verifiers vouch for", c.Kind)
	}
	if err := m.Approvals.Check(m.Verifiers.Quorum, c.Digest()); err != nil {
		return nil, err
	}
	head, keys := headCells(h)
	cert := build().
		MustStoreUInt(uint64(c.Kind), 8).
		MustStoreSlice(c.PlatformID[:], 256).
		MustStoreSlice(c.Measurement[:], 256).
		MustStoreUInt(uint64(c.Expiry), 32).
		MustStoreRef(m.Verifiers.Cell()).
		MustStoreRef(m.Approvals.Cell()).EndCell()
	return build().
		MustStoreUInt(opRegisterQuorum, 32).MustStoreUInt(m.QueryID, 64).
		MustStoreRef(head).MustStoreRef(keys).MustStoreRef(cert).EndCell(), nil
}

// PublicKey is a point on P-256: an Intel CA key.
type PublicKey struct{ X, Y [32]byte }

// RegisterTDX registers a new epoch by a TDX quote that the contract verifies
// (mode A). Only the operator may send it, with [ValueRegister].
type RegisterTDX struct {
	QueryID uint64
	Heads   *attestation.Heads
	CA      PublicKey  // that signed the PCK certificate; Root must list it
	Quote   *cell.Cell // the quote cut into cells with its hints
}

// Body returns the message body.
func (m *RegisterTDX) Body() (*cell.Cell, error) {
	if m.Heads == nil || m.Quote == nil {
		return nil, attestation.BadInput("registration without claims or quote")
	}
	head, keys := headCells(m.Heads)
	return build().
		MustStoreUInt(opRegisterTDX, 32).MustStoreUInt(m.QueryID, 64).
		MustStoreSlice(m.CA.X[:], 256).MustStoreSlice(m.CA.Y[:], 256).
		MustStoreRef(head).MustStoreRef(keys).MustStoreRef(m.Quote).EndCell(), nil
}

// RegisterTDXAgain registers a later boot on the machine of the current
// registration, by mode A: see [EpochRecord.Knows]. Only the operator may send it,
// with [ValueRegister].
type RegisterTDXAgain struct {
	QueryID           uint64
	Heads             *attestation.Heads
	TDBody, Signature *cell.Cell // of [TDReportCells]
}

// Body returns the message body.
func (m *RegisterTDXAgain) Body() (*cell.Cell, error) {
	if m.Heads == nil || m.TDBody == nil || m.Signature == nil {
		return nil, attestation.BadInput("registration without claims or quote")
	}
	head, keys := headCells(m.Heads)
	return plain(opRegisterTDXAgain, m.QueryID).MustStoreRef(head).MustStoreRef(keys).MustStoreRef(m.TDBody).MustStoreRef(m.Signature).EndCell(), nil
}

// AnchorExternal anchors a log head; the node's contract pays. It goes in an
// external message.
type AnchorExternal struct {
	Anchor
	Signature [64]byte // by the log key over [Anchor.Digest]
}

// Body returns the message body.
func (m *AnchorExternal) Body() *cell.Cell {
	return m.store(build().MustStoreSlice(m.Signature[:], 512)).EndCell()
}

// AnchorInternal anchors a log head; the sender pays. Anybody may send it, with
// [ValueSmall].
type AnchorInternal struct {
	QueryID uint64
	Anchor
	Signature [64]byte
}

// Body returns the message body.
func (m *AnchorInternal) Body() *cell.Cell {
	b := build().MustStoreUInt(opAnchorInternal, 32).MustStoreUInt(m.QueryID, 64)
	return m.store(b).MustStoreSlice(m.Signature[:], 512).EndCell()
}

// Profile is what an operator says of his node.
type Profile struct {
	PromptPrice     uint64 // nano per million tokens
	CompletionPrice uint64
	Endpoint        string // URL of the relay, at most 127 bytes
}

// Cell returns the encoding.
func (p Profile) Cell() (*cell.Cell, error) {
	t, err := textCell(p.Endpoint)
	if err != nil {
		return nil, err
	}
	return build().MustStoreUInt(p.PromptPrice, 64).MustStoreUInt(p.CompletionPrice, 64).MustStoreRef(t).EndCell(), nil
}

func parseProfile(c *cell.Cell) (Profile, error) {
	r := read(c, "node profile")
	p := Profile{PromptPrice: r.u64(), CompletionPrice: r.u64(), Endpoint: r.text()}
	r.end()
	return p, r.err
}

// SetProfile changes price and endpoint. Only the operator may send it, with
// [ValueSmall]. With a StateInit it also deploys the node.
type SetProfile struct {
	QueryID uint64
	Profile Profile
}

// Body returns the message body.
func (m *SetProfile) Body() (*cell.Cell, error) {
	p, err := m.Profile.Cell()
	if err != nil {
		return nil, err
	}
	return build().MustStoreUInt(opSetProfile, 32).MustStoreUInt(m.QueryID, 64).MustStoreRef(p).EndCell(), nil
}

// Done is what the contracts send when a request is over, with the rest of the
// value. Code 0 is success; see [ErrorName] for others.
type Done struct {
	QueryID uint64
	Code    uint16
}

// ParseDone reads a [Done] message.
func ParseDone(body *cell.Cell) (*Done, error) {
	r := read(body, "done message")
	r.tag(32, opDone)
	d := &Done{QueryID: r.u64(), Code: r.u16()}
	r.end()
	if r.err != nil {
		return nil, r.err
	}
	return d, nil
}
