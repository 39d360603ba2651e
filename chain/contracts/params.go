package contracts

import (
	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
)

// MinChallengeBond is the least bond of a challenge: twice the dearest answer.
const MinChallengeBond uint64 = 80_000_000

const day = 86400

// Params are Root's parameters. Amounts in nano, times in seconds.
type Params struct {
	MinStake             uint64
	ReceiptLoss          uint64 // stake lost per receipt proved wrong
	ForkLoss             uint64 // stake lost per forked log
	ChallengeBond        uint64
	CheckFee             uint64 // stays in Root per check, for its storage
	MergeDelay           uint32 // from a receipt to its anchor, at most
	AnchorInterval       uint32 // between anchors that the node pays, at least
	AnswerWindow         uint32
	Unbonding            uint32
	RegistrationValidity uint32
	GovernanceDelay      uint32
	PlatformSlots        uint8
}

// DefaultParams returns the parameters that a new registry starts from.
func DefaultParams() Params {
	return Params{
		MinStake:             100_000_000_000,
		ReceiptLoss:          10_000_000_000,
		ForkLoss:             100_000_000_000,
		ChallengeBond:        100_000_000,
		CheckFee:             1_000_000,
		MergeDelay:           600,
		AnchorInterval:       240, // less than half of the merge delay, in which nodes anchor; not much less: others can make them pay as often
		AnswerWindow:         2 * day,
		Unbonding:            7 * day,
		RegistrationValidity: 30 * day,
		GovernanceDelay:      10 * day,
		PlatformSlots:        4,
	}
}

// Upper bounds of parameters: what is over them would lock stakes or questions, by
// mistake or not, and could not be mended in time.
const (
	MaxGovernanceDelay = 90 * day       // seconds
	MaxCheckFee        = 5_000_000      // nano
	MaxChallengeBond   = 10_000_000_000 // nano
)

// Check reports why Root would not take p: every window must be shorter than
// unbonding, and unbonding shorter than the delay of governance.
func (p Params) Check() error {
	switch {
	case p.GovernanceDelay > MaxGovernanceDelay:
		return attestation.BadInput("parameters: governance delay %d s is longer than %d days", p.GovernanceDelay, MaxGovernanceDelay/day)
	case p.CheckFee > MaxCheckFee:
		return attestation.BadInput("parameters: check fee %d leaves a question too little for its answer: at most %d", p.CheckFee, MaxCheckFee)
	case p.ChallengeBond > MaxChallengeBond:
		return attestation.BadInput("parameters: challenge bond %d: with more than %d nobody challenges", p.ChallengeBond, uint64(MaxChallengeBond))
	case p.GovernanceDelay <= p.Unbonding:
		return attestation.BadInput("parameters: governance delay %d s is not longer than unbonding %d s", p.GovernanceDelay, p.Unbonding)
	case uint64(p.Unbonding) <= uint64(p.MergeDelay)+2*uint64(p.AnswerWindow):
		return attestation.BadInput("parameters: unbonding %d s is not longer than merge delay and two answer windows", p.Unbonding)
	case p.AnswerWindow < day || p.AnswerWindow > 3*day:
		return attestation.BadInput("parameters: answer window %d s is not between 24 and 72 hours", p.AnswerWindow)
	case p.AnchorInterval == 0 || p.MergeDelay < p.AnchorInterval:
		return attestation.BadInput("parameters: anchor interval %d s is zero or longer than the merge delay %d s", p.AnchorInterval, p.MergeDelay)
	case p.RegistrationValidity == 0 || p.RegistrationValidity > 30*day:
		return attestation.BadInput("parameters: registration validity %d s is not between 1 s and 30 days", p.RegistrationValidity)
	case p.ReceiptLoss > p.ForkLoss || p.ForkLoss > p.MinStake:
		return attestation.BadInput("parameters: want receipt loss <= fork loss <= minimum stake")
	case p.ChallengeBond < MinChallengeBond:
		return attestation.BadInput("parameters: challenge bond %d does not cover twice an answer (%d)", p.ChallengeBond, MinChallengeBond)
	}
	return nil
}

// Cell returns the encoding.
func (p Params) Cell() *cell.Cell {
	b := build()
	for _, v := range []uint64{p.MinStake, p.ReceiptLoss, p.ForkLoss, p.ChallengeBond, p.CheckFee} {
		b.MustStoreUInt(v, 64)
	}
	for _, v := range []uint32{p.MergeDelay, p.AnchorInterval, p.AnswerWindow, p.Unbonding, p.RegistrationValidity, p.GovernanceDelay} {
		b.MustStoreUInt(uint64(v), 32)
	}
	return b.MustStoreUInt(uint64(p.PlatformSlots), 8).EndCell()
}

// ParseParams reads parameters; it does not check their bounds.
func ParseParams(c *cell.Cell) (Params, error) {
	r := read(c, "parameters")
	p := Params{
		MinStake: r.u64(), ReceiptLoss: r.u64(), ForkLoss: r.u64(), ChallengeBond: r.u64(), CheckFee: r.u64(),
		MergeDelay: r.u32(), AnchorInterval: r.u32(), AnswerWindow: r.u32(), Unbonding: r.u32(),
		RegistrationValidity: r.u32(), GovernanceDelay: r.u32(), PlatformSlots: r.u8(),
	}
	r.end()
	return p, r.err
}
