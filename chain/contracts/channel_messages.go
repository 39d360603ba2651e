package contracts

import (
	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
)

// Operations of Channel.
const (
	opDeposit       = 0xc0c00410
	opSettleVoucher = 0xc0c00411
	opStartClose    = 0xc0c00412
	opCloseNow      = 0xc0c00413
	opFinishClose   = 0xc0c00414
	opTakeOwed      = 0xc0c00415
)

// Deposit adds Amount to a channel's deposit. Anybody may send it, with
// [Deposit.Value]; with a StateInit it also deploys the channel.
type Deposit struct {
	QueryID uint64
	Amount  uint64 // nano
}

// Value returns what the message must carry: the amount, what the reserve lacks
// at most, and [ValueChannel]. What is too much comes back.
func (m *Deposit) Value() uint64 { return m.Amount + ChannelReserve + ValueChannel }

// Body returns the message body.
func (m *Deposit) Body() (*cell.Cell, error) {
	if m.Amount == 0 || m.Amount > 1<<62 {
		return nil, attestation.BadInput("deposit of %d nano", m.Amount)
	}
	return plain(opDeposit, m.QueryID).MustStoreUInt(m.Amount, 64).EndCell(), nil
}

// ParseDeposit reads a [Deposit] message.
func ParseDeposit(body *cell.Cell) (*Deposit, error) {
	r := read(body, "deposit")
	r.tag(32, opDeposit)
	return parsed(r, &Deposit{QueryID: r.u64(), Amount: r.u64()})
}

// SettleVoucher brings a voucher: the channel pays what is due to the payout address.
// Anybody may send it, with [ValueChannel].
type SettleVoucher struct {
	QueryID uint64
	Voucher *Voucher
}

// Body returns the message body.
func (m *SettleVoucher) Body() (*cell.Cell, error) {
	if m.Voucher == nil {
		return nil, attestation.BadInput("settlement without a voucher")
	}
	return plain(opSettleVoucher, m.QueryID).MustStoreUInt(m.Voucher.Amount, 64).MustStoreSlice(m.Voucher.Signature[:], 512).EndCell(), nil
}

// ParseSettleVoucher reads a [SettleVoucher] message that was sent to a channel.
func ParseSettleVoucher(body *cell.Cell, chainID int32, channel attestation.Address) (*SettleVoucher, error) {
	r := read(body, "settlement")
	r.tag(32, opSettleVoucher)
	m := &SettleVoucher{QueryID: r.u64(), Voucher: &Voucher{ChainID: chainID, Channel: channel, Amount: r.u64()}}
	r.bytes(m.Voucher.Signature[:])
	return parsed(r, m)
}

// StartClose brings a client's wish to close; [FinishClose] ends it when the
// delay is over. Anybody may send it, with [ValueChannel].
type StartClose struct {
	QueryID uint64
	Request *CloseRequest
}

// Body returns the message body.
func (m *StartClose) Body() (*cell.Cell, error) {
	if m.Request == nil {
		return nil, attestation.BadInput("closing without the client's request")
	}
	b := storeAddr(plain(opStartClose, m.QueryID), m.Request.Refund)
	return b.MustStoreUInt(uint64(m.Request.ValidUntil), 32).MustStoreSlice(m.Request.Signature[:], 512).EndCell(), nil
}

// ParseStartClose reads a [StartClose] message that was sent to a channel.
func ParseStartClose(body *cell.Cell, chainID int32, channel attestation.Address) (*StartClose, error) {
	r := read(body, "start of closing")
	r.tag(32, opStartClose)
	m := &StartClose{QueryID: r.u64(), Request: &CloseRequest{ChainID: chainID, Channel: channel, Refund: r.addr(), ValidUntil: r.u32()}}
	r.bytes(m.Request.Signature[:])
	return parsed(r, m)
}

// CloseNow closes at once with the last amount that both agree on. Only the
// payout address may send it, with [ValueChannel].
type CloseNow struct {
	QueryID uint64
	Final   *FinalStatement
}

// Body returns the message body.
func (m *CloseNow) Body() (*cell.Cell, error) {
	if m.Final == nil {
		return nil, attestation.BadInput("closing without the client's final statement")
	}
	b := storeAddr(plain(opCloseNow, m.QueryID).MustStoreUInt(m.Final.Amount, 64), m.Final.Refund)
	return b.MustStoreSlice(m.Final.Signature[:], 512).EndCell(), nil
}

// ParseCloseNow reads a [CloseNow] message that was sent to a channel.
func ParseCloseNow(body *cell.Cell, chainID int32, channel attestation.Address) (*CloseNow, error) {
	r := read(body, "closing at once")
	r.tag(32, opCloseNow)
	m := &CloseNow{QueryID: r.u64(), Final: &FinalStatement{ChainID: chainID, Channel: channel, Amount: r.u64(), Refund: r.addr()}}
	r.bytes(m.Final.Signature[:])
	return parsed(r, m)
}

// FinishClose closes a channel whose delay is over and refunds the client; on a
// closed channel it sends him what has arrived since. Anybody may send it, with
// [ValueChannel].
type FinishClose struct{ QueryID uint64 }

// Body returns the message body. It can't fail.
func (m *FinishClose) Body() (*cell.Cell, error) {
	return plain(opFinishClose, m.QueryID).EndCell(), nil
}

// ParseFinishClose reads a [FinishClose] message.
func ParseFinishClose(body *cell.Cell) (*FinishClose, error) {
	r := read(body, "end of closing")
	r.tag(32, opFinishClose)
	return parsed(r, &FinishClose{QueryID: r.u64()})
}

// TakeOwed pays the payee what came back when it was sent to him before. Only
// the payout address may send it, with [ValueChannel].
type TakeOwed struct{ QueryID uint64 }

// Body returns the message body. It can't fail.
func (m *TakeOwed) Body() (*cell.Cell, error) { return plain(opTakeOwed, m.QueryID).EndCell(), nil }

// ParseTakeOwed reads a [TakeOwed] message.
func ParseTakeOwed(body *cell.Cell) (*TakeOwed, error) {
	r := read(body, "withdrawal of what is owed")
	r.tag(32, opTakeOwed)
	return parsed(r, &TakeOwed{QueryID: r.u64()})
}
