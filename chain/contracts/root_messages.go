package contracts

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
)

// Message values in nano that Root demands. The rest comes back.
const (
	ValueGovern    uint64 = 100_000_000 // a decision, or its execution
	ValuePrune     uint64 = 200_000_000
	ValueRootCheck uint64 = 20_000_000 // a child's question
	ValueUnlist    uint64 = 10_000_000 // a node's word that it is not registered
)

const (
	opGovern  = 0xc0c00210
	opExecute = 0xc0c00211
	opPrune   = 0xc0c00212
)

// ExecuteWindow is how long an approved proposal may be executed once its delay
// is over, in seconds. Later its execution only removes it.
const ExecuteWindow = 30 * day

const governDomain = "cocoon/govern/v1\n"

// Decision is what governors approve: one action of one registry, once.
type Decision struct {
	ChainID int32
	Root    attestation.Address
	Number  uint32 // RootState.NextProposal
	Expiry  uint32 // of the approvals, unix seconds
	Action  Action
}

// Digest returns the 32 bytes that governors sign:
//
//	SHA-256("cocoon/govern/v1\n" || chain id int32 || workchain int32 ||
//	        account id[32] || number uint32 || action hash[32] || expiry uint32)
func (d *Decision) Digest() ([32]byte, error) {
	a, err := ActionCell(d.Action)
	if err != nil {
		return [32]byte{}, err
	}
	b := []byte(governDomain)
	b = binary.BigEndian.AppendUint32(b, uint32(d.ChainID))
	b = d.Root.AppendTo(b)
	b = binary.BigEndian.AppendUint32(b, d.Number)
	b = append(b, a.Hash()...)
	b = binary.BigEndian.AppendUint32(b, d.Expiry)
	return sha256.Sum256(b), nil
}

// Govern brings an approved decision to Root. Anybody may send it, with
// [ValueGovern].
type Govern struct {
	QueryID   uint64
	Decision  Decision
	Approvals Approvals
}

// Body returns the message body.
func (m *Govern) Body() (*cell.Cell, error) {
	a, err := ActionCell(m.Decision.Action)
	if err != nil {
		return nil, err
	}
	if len(m.Approvals) == 0 {
		return nil, attestation.BadInput("governance: no approvals")
	}
	return plain(opGovern, m.QueryID).
		MustStoreUInt(uint64(m.Decision.Number), 32).MustStoreUInt(uint64(m.Decision.Expiry), 32).
		MustStoreRef(a).MustStoreRef(m.Approvals.Cell()).EndCell(), nil
}

// Execute carries out a proposal whose delay is over. Anybody may send it, with
// [ValueGovern].
type Execute struct {
	QueryID uint64
	Number  uint32
}

// Body returns the message body. It can't fail.
func (m *Execute) Body() (*cell.Cell, error) {
	return plain(opExecute, m.QueryID).MustStoreUInt(uint64(m.Number), 32).EndCell(), nil
}

// MaxPrune is how many entries one [Prune] may look at: what its value pays for
// in a list of [MaxNodes].
const MaxPrune = 40

// Prune removes listed nodes whose time is over: it looks at up to Count
// entries, from 1 to [MaxPrune], from account id Start on. Anybody may send it,
// with [ValuePrune].
type Prune struct {
	QueryID uint64
	Start   [32]byte
	Count   uint8
}

// Body returns the message body.
func (m *Prune) Body() (*cell.Cell, error) {
	if m.Count == 0 || m.Count > MaxPrune {
		return nil, attestation.BadInput("prune: a count of %d, it must be from 1 to %d: send several", m.Count, MaxPrune)
	}
	return plain(opPrune, m.QueryID).MustStoreSlice(m.Start[:], 256).MustStoreUInt(uint64(m.Count), 8).EndCell(), nil
}
