package contracts

import (
	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
)

// Amounts in nano that concern Channel.
const (
	ValueChannel   uint64 = 10_000_000 // what most messages must carry; the rest comes back
	ChannelReserve uint64 = 30_000_000 // stays in an open channel for its storage; the first deposit brings it, the end gives it back
)

// Bounds of the delay between asking to close and closing, in seconds. The
// contract takes any delay and waits [MaxChannelDelay] at most; a shorter one
// than [MinChannelDelay] gives a node too little time to bring its voucher.
const (
	MinChannelDelay = 3600
	MaxChannelDelay = 30 * day
)

var channelCode = loadCode("channel")

// ChannelCode returns the code of Channel.
func ChannelCode() *cell.Cell { return channelCode() }

// ChannelKey is the initial data of a Channel: what its address depends on.
type ChannelKey struct {
	Node      attestation.Address // whom the vouchers are for
	ClientKey [32]byte            // Ed25519; one fresh key per node keeps clients apart
	Payout    attestation.Address // where the node's operator is paid
	Delay     uint32              // seconds
	Salt      [16]byte            // random, never used twice: a closed channel must not be opened again
}

// Cell returns the initial data.
func (k ChannelKey) Cell() *cell.Cell {
	b := storeAddr(build(), k.Node).MustStoreSlice(k.ClientKey[:], 256)
	return storeAddr(b, k.Payout).MustStoreUInt(uint64(k.Delay), 32).MustStoreSlice(k.Salt[:], 128).EndCell()
}

// Check reports what makes k no key to open or accept a channel with.
func (k ChannelKey) Check() error {
	if err := checkPlace("channel: node", k.Node); err != nil {
		return err
	}
	if err := checkPlace("channel: payout address", k.Payout); err != nil {
		return err
	}
	switch {
	case k.ClientKey == [32]byte{}:
		return attestation.BadInput("channel without a client key")
	case k.Salt == [16]byte{}:
		return attestation.BadInput("channel without a salt")
	case k.Delay < MinChannelDelay || k.Delay > MaxChannelDelay:
		return attestation.BadInput("channel: delay %d s is not between %d and %d", k.Delay, MinChannelDelay, MaxChannelDelay)
	}
	return nil
}

func parseChannelKey(c *cell.Cell) (ChannelKey, error) {
	r := read(c, "channel key")
	k := ChannelKey{Node: r.addr(), ClientKey: r.b32(), Payout: r.addr(), Delay: r.u32()}
	k.Salt = r.b16()
	r.end()
	return k, r.err
}

// ChannelAddress returns the address of a channel and the StateInit that
// deploys it.
func ChannelAddress(k ChannelKey) (attestation.Address, *cell.Cell, error) {
	if err := k.Check(); err != nil {
		return attestation.Address{}, nil, err
	}
	a, si := place(ChannelCode(), k.Cell())
	return a, si, nil
}

// ChannelState is the state of a Channel. Amounts in nano.
type ChannelState struct {
	Key       ChannelKey
	Deposited uint64               // in sum, ever
	Paid      uint64               // by vouchers in sum, ever
	Owed      uint64               // payouts that came back; the payee may take them
	CloseAt   uint32               // unix seconds; 0 while nobody asked to close
	Closed    bool                 // for ever
	Refund    *attestation.Address // of the client, once somebody asked to close
}

// ParseChannel reads the state of a Channel. A channel that was deployed and has
// not written yet holds its initial data, which is read too.
func ParseChannel(data *cell.Cell) (*ChannelState, error) {
	if data == nil {
		return nil, attestation.BadInput("channel state: no data")
	}
	s := new(ChannelState)
	var err error
	if data.RefsNum() == 0 {
		if s.Key, err = parseChannelKey(data); err != nil {
			return nil, err
		}
		return s, nil
	}
	r := read(data, "channel state")
	*s = ChannelState{Deposited: r.u64(), Paid: r.u64(), Owed: r.u64(), CloseAt: r.u32(), Closed: r.bool(), Refund: r.maybeAddr()}
	key := r.ref()
	if r.end(); r.err != nil {
		return nil, r.err
	}
	if s.Key, err = parseChannelKey(key); err != nil {
		return nil, err
	}
	if s.Paid > s.Deposited || (s.CloseAt != 0 || s.Closed) != (s.Refund != nil) {
		return nil, attestation.BadInput("channel state contradicts itself")
	}
	return s, nil
}

// Left returns what vouchers can still take.
func (s *ChannelState) Left() uint64 { return s.Deposited - s.Paid }

// Due returns what a voucher over amount would be paid now, as far as deposit and
// the account's balance reach. All in nano.
func (s *ChannelState) Due(amount, balance uint64) uint64 {
	amount = min(amount, s.Deposited)
	if amount <= s.Paid || balance <= s.Owed {
		return 0
	}
	return min(amount-s.Paid, balance-s.Owed)
}

// CheckVoucher reports why a payee should not take v for payment on this channel,
// whose account has balance nano on the chain with this id: nil means that the
// client signed its amount for this chain, that it is more than was paid, and
// that all of it is there to be settled. A channel that is being closed takes no
// new vouchers for payment, though it pays them until it is closed.
func (s *ChannelState) CheckVoucher(v *Voucher, chainID int32, balance uint64) error {
	if err := s.Key.Check(); err != nil {
		return err
	}
	if err := s.checkPlace(v, chainID); err != nil {
		return err
	}
	switch {
	case s.Closed:
		return attestation.Refused("channel is closed")
	case s.CloseAt != 0:
		return attestation.Refused("channel is being closed: settle what there is before %d", s.CloseAt)
	case v.Amount > s.Deposited:
		return attestation.Refused("voucher over %d nano, deposited are %d", v.Amount, s.Deposited)
	case v.Amount <= s.Paid:
		return attestation.Refused("voucher over %d nano, %d are paid already", v.Amount, s.Paid)
	case s.Due(v.Amount, balance) < v.Amount-s.Paid:
		return attestation.Refused("voucher pays %d nano more, the channel's account holds %d, of which %d are owed", v.Amount-s.Paid, balance, s.Owed)
	}
	return v.Verify(s.Key.ClientKey)
}

// CheckSettle reports why the contract, whose account has balance nano on the
// chain with this id, would not settle v now. It settles whatever the key of the
// channel says, also where [ChannelState.CheckVoucher] takes no voucher.
func (s *ChannelState) CheckSettle(v *Voucher, chainID int32, balance uint64) error {
	if err := s.checkPlace(v, chainID); err != nil {
		return err
	}
	switch {
	case s.Closed:
		return attestation.Refused("channel is closed")
	case s.Due(v.Amount, balance) == 0:
		return attestation.Refused("voucher over %d nano pays nothing: %d of %d are paid, the channel's account holds %d", v.Amount, s.Paid, s.Deposited, balance)
	}
	return v.Verify(s.Key.ClientKey)
}

// checkPlace compares what a voucher says of itself with where it is used: its
// signature only covers its own words.
func (s *ChannelState) checkPlace(v *Voucher, chainID int32) error {
	a, _ := place(ChannelCode(), s.Key.Cell())
	switch {
	case v.ChainID != chainID:
		return attestation.BadInput("voucher is for chain %d, this is %d", v.ChainID, chainID)
	case v.Channel != a:
		return attestation.BadInput("voucher is for channel %s, not for %s", v.Channel, a)
	}
	return nil
}
