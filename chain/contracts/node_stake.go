package contracts

import (
	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
)

// Stake adds the message's value, less [ValueSmall], to the stake. Only the
// operator may send it.
type Stake struct{ QueryID uint64 }

// Body returns the message body. It can't fail.
func (m *Stake) Body() (*cell.Cell, error) { return plain(opStake, m.QueryID).EndCell(), nil }

// Unbond starts the way out for a part of the stake. Only the operator may send
// it, with [ValueSmall]. What backs a live registration stays.
type Unbond struct {
	QueryID uint64
	Amount  uint64 // nano
}

// Body returns the message body.
func (m *Unbond) Body() (*cell.Cell, error) {
	if m.Amount == 0 {
		return nil, attestation.BadInput("unbonding of nothing")
	}
	return plain(opUnbond, m.QueryID).MustStoreUInt(m.Amount, 64).EndCell(), nil
}

// Withdraw pays the sender's credit, with [Book.ValueWithdraw]. For the operator it
// first turns stake whose unbonding is over, and Surplus nano of what nothing
// else needs, into credit.
type Withdraw struct {
	QueryID uint64
	Surplus uint64
}

// Body returns the message body. It can't fail.
func (m *Withdraw) Body() (*cell.Cell, error) {
	return plain(opWithdraw, m.QueryID).MustStoreUInt(m.Surplus, 64).EndCell(), nil
}

// ValueWithdraw returns what a withdrawal of a credit must carry, in nano. The more
// others have credits, the dearer it may be to find one; the operator's is kept
// apart, and [ValueSmall] is always enough for him.
func (b *Book) ValueWithdraw() uint64 {
	const way, longest = 300_000, 267
	return ValueSmall + way*uint64(min(len(b.Credits), longest))
}

// Retire ends the registration and takes the node off the registry's list. Only
// the operator may send it, with [ValueCheck].
type Retire struct{ QueryID uint64 }

// Body returns the message body. It can't fail.
func (m *Retire) Body() (*cell.Cell, error) { return plain(opRetire, m.QueryID).EndCell(), nil }

// Recheck has Root judge the current registration again, and ends it if today's
// policy refuses it; a registration that is over leaves the registry's list.
// Anybody may send it, with [ValueCheck]. The code of [Done] is Root's.
type Recheck struct{ QueryID uint64 }

// Body returns the message body. It can't fail.
func (m *Recheck) Body() (*cell.Cell, error) { return plain(opRecheck, m.QueryID).EndCell(), nil }

// ReportHeads proves that a node's log key signed two heads of one size.
// Anybody may send it, with [ValueReport]; he gets a credit of half the loss.
type ReportHeads struct {
	QueryID      uint64
	A, B         Anchor // differ in the root alone
	SignA, SignB [64]byte
}

// Body returns the message body.
func (m *ReportHeads) Body() (*cell.Cell, error) {
	if m.A.Epoch != m.B.Epoch || m.A.Size != m.B.Size || m.A.Root == m.B.Root {
		return nil, attestation.BadInput("two log heads that may both be true")
	}
	return plain(opReportHeads, m.QueryID).
		MustStoreUInt(uint64(m.A.Epoch), 32).MustStoreUInt(m.A.Size, 64).
		MustStoreSlice(m.A.Root[:], 256).MustStoreSlice(m.B.Root[:], 256).
		MustStoreRef(twoSignatures(m.SignA, m.SignB)).EndCell(), nil
}

// receiptHeadSize is the size of a receipt head in bytes.
const receiptHeadSize = 124

// ReportReceipts proves that a node's receipt key signed two receipts with one
// index. Anybody may send it, with [ValueReport]; he gets a credit of half the
// loss.
type ReportReceipts struct {
	QueryID      uint64
	A, B         [receiptHeadSize]byte // receipt heads as they were signed
	SignA, SignB [64]byte
}

// Body returns the message body.
func (m *ReportReceipts) Body() (*cell.Cell, error) {
	const epochIndex = 52 // tag, node, epoch and index end here
	if string(m.A[:epochIndex]) != string(m.B[:epochIndex]) || m.A == m.B {
		return nil, attestation.BadInput("two receipts that may both be true")
	}
	return plain(opReportReceipts, m.QueryID).
		MustStoreRef(build().MustStoreSlice(m.A[:], 8*receiptHeadSize).EndCell()).
		MustStoreRef(build().MustStoreSlice(m.B[:], 8*receiptHeadSize).EndCell()).
		MustStoreRef(twoSignatures(m.SignA, m.SignB)).EndCell(), nil
}

func twoSignatures(a, b [64]byte) *cell.Cell {
	return build().MustStoreSlice(a[:], 512).MustStoreRef(build().MustStoreSlice(b[:], 512).EndCell()).EndCell()
}

func plain(op, query uint64) *cell.Builder {
	return build().MustStoreUInt(op, 32).MustStoreUInt(query, 64)
}

// Payout is a credit that was paid.
type Payout struct{ QueryID uint64 }

// ParsePayout reads a [Payout] message.
func ParsePayout(body *cell.Cell) (*Payout, error) {
	r := read(body, "payout message")
	r.tag(32, opPayout)
	p := &Payout{QueryID: r.u64()}
	r.end()
	if r.err != nil {
		return nil, r.err
	}
	return p, nil
}
