package contracts

import (
	"testing"

	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

const year = 365 * day

// freeze leaves a contract alone until it is frozen, five years at least, and
// returns the StateInit that revives it.
func (f *fixture) freeze(at attestation.Address) (state *cell.Cell) {
	f.t.Helper()
	code, data := f.Code(at), f.Data(at)
	f.Now += 4 * year
	for i := 0; f.Data(at) != nil; i++ {
		if i > 60 {
			f.t.Fatal("not frozen: the test is wrong")
		}
		f.Now += year
		f.anybody.Send(tvmtest.Message{To: at, Value: 1}) // anybody's message has the chain look
	}
	return LastState(code, data)
}

// revive sends coins with the last state, as a top up.
func (f *fixture) revive(at attestation.Address, stateInit *cell.Cell, nano uint64) {
	f.t.Helper()
	good(f.t, f.anybody.Send(tvmtest.Message{To: at, Value: nano, StateInit: stateInit}))
	if f.Data(at) == nil {
		f.t.Fatal("not revived")
	}
}

// TestYearsNode leaves a node with stake alone: storage eats into the stake, and
// with that much sent back all of it leaves.
func TestYearsNode(t *testing.T) {
	f := newFixture(t, withPlatforms)
	platform := f.deployPlatform()
	min := f.start.Params.MinStake
	f.stake(min)
	f.register()
	good(t, f.send(f.operator, ValueSmall, &Withdraw{Surplus: f.Balance(f.node).Uint64() - min - NodeReserve - 3_000_000}))
	f.Now += 5 * year
	good(t, f.send(f.operator, ValueSmall, &Unbond{Amount: min}))
	f.Now += f.nodeState().Params.Unbonding
	// Too little is left: the payout fails as a whole, and nothing is lost.
	before := f.nodeState()
	f.send(f.operator, ValueSmall, &Withdraw{})
	if s := f.nodeState(); s.Unbonding != before.Unbonding {
		t.Errorf("a payout that failed changed %d to %d", before.Unbonding, s.Unbonding)
	}
	good(t, f.anybody.Send(tvmtest.Message{To: f.node, Value: coin}))
	good(t, f.send(f.operator, ValueSmall, &Withdraw{}))
	if got := f.operator.Last().Value; got < min {
		t.Errorf("%d of %d were paid", got, min)
	}
	// Its platform, which nobody paid for either, still answers: the slot is free.
	good(t, f.send(f.anybody, ValueCheck, &Recheck{}))
	done(t, f.anybody, 0)
	if h := f.platformState(platform).Holders; len(h) != 0 {
		t.Errorf("holders are %v", h)
	}
}

// TestYearsNodeFrozen: a node without stake freezes, and what it owes others comes
// back with it.
func TestYearsNodeFrozen(t *testing.T) {
	f := newFixture(t, noStake)
	f.register()
	spare := f.Balance(f.node).Uint64() - NodeReserve - 3_000_000
	good(t, f.send(f.operator, ValueSmall, &Withdraw{Surplus: spare}))
	state := f.freeze(f.node)
	// Without its state, or with another, nothing revives it.
	txs := f.anybody.Send(tvmtest.Message{To: f.node, Value: coin, Bounce: true})
	if len(txs) != 1 || !txs[0].Skipped || f.Data(f.node) != nil {
		t.Errorf("coins alone revived it: %v", txs)
	}
	_, first, err := NodeAddress(f.root, f.operator.Address, 7)
	if err != nil {
		t.Fatal(err)
	}
	txs = f.anybody.Send(tvmtest.Message{To: f.node, Value: coin, Bounce: true, StateInit: first})
	if len(txs) != 1 || !txs[0].Skipped || f.Data(f.node) != nil {
		t.Errorf("its first state revived it: %v", txs)
	}
	f.revive(f.node, state, coin)
	if s := f.nodeState(); s.Epoch != 1 {
		t.Errorf("revived as %+v", s)
	}
	f.register()
	spare = f.Balance(f.node).Uint64() - NodeReserve - 3_000_000
	good(t, f.send(f.operator, ValueSmall, &Withdraw{Surplus: spare}))
	if got := f.operator.Last().Value; got < spare {
		t.Errorf("%d of %d were paid", got, spare)
	}
}

// certify registers by mode B on the fixture's machine, whose PCK certificate does
// not last that long; Root or Platform answers with code.
func (f *fixture) certify(code int) {
	f.t.Helper()
	f.send(f.operator, ValueRegister, f.certified(f.heads(), func(c *Certificate) { c.PlatformID, c.Kind = f.platformID(), KindTDXQuorum }))
	done(f.t, f.operator, code)
}

func snpListed(s *RootState) {
	s.Measurements[snpMeasurement] = Measurement{Flags: MeasurementAccepted}
}

// TestYearsPlatform: a platform owes storage for years, then it is frozen, then
// revived.
func TestYearsPlatform(t *testing.T) {
	f := newFixture(t, noStake, withPlatforms, slots(1), snpListed)
	a := f.deployPlatform()
	f.certify(0)
	for f.Balance(a).Uint64() > 0 {
		f.Now += year
		f.anybody.Send(tvmtest.Message{To: a, Value: 1})
	}
	f.Now += 3 * year
	good(t, f.anybody.Send(tvmtest.Message{To: f.node, Value: coin}))
	f.certify(0) // what it owes comes out of the claim
	good(t, f.sendTo(a, f.anybody, ValueRenew, &RenewPlatform{}))
	f.certify(0)
	state := f.freeze(a)
	good(t, f.anybody.Send(tvmtest.Message{To: f.root, Value: 10 * coin}))
	good(t, f.anybody.Send(tvmtest.Message{To: f.node, Value: 10 * coin}))
	f.certify(CodeRefused)
	// Whoever ends a registration hears of it from the node instead, and gets the rest.
	before := f.anybody.Balance.Uint64()
	f.send(f.anybody, ValueCheck, &Recheck{QueryID: 5})
	done(t, f.anybody, 0)
	if last := f.anybody.Last(); last.From != f.node || before-f.anybody.Balance.Uint64() > 20_000_000 || len(f.rootState().Nodes) != 0 {
		t.Errorf("after the end: %+v", last)
	}
	// A renewal with the state that it had revives it, and pays what it owes.
	b, _ := (&RenewPlatform{QueryID: 7}).Body()
	first := f.anybody.Balance.Uint64()
	good(t, f.anybody.Send(tvmtest.Message{To: a, Value: ValueRevive, Bounce: true, StateInit: state, Body: b}))
	done(t, f.anybody, 0)
	if s := f.platformState(a); s.Slots != 1 || s.Key.ID != f.platformID() {
		t.Errorf("revived as %+v", s)
	}
	t.Logf("reviving costs %d", first-f.anybody.Balance.Uint64())
	f.certify(0)
}

// TestYearsRoot: a registry that nobody asks freezes, and goes on when revived.
func TestYearsRoot(t *testing.T) {
	f := newFixture(t, noStake, snpListed)
	state := f.freeze(f.root)
	good(t, f.anybody.Send(tvmtest.Message{To: f.node, Value: 10 * coin}))
	f.certify(CodeRefused)
	f.revive(f.root, state, 3*coin)
	f.certify(0)
}

// TestYearsChannel: storage eats a channel's deposit after its reserve; what is
// left goes where it should.
func TestYearsChannel(t *testing.T) {
	c := newChannel(t)
	c.open(coin)
	c.say(c.anybody, &SettleVoucher{Voucher: c.voucher(coin / 4)})
	c.Now += 5 * year
	c.say(c.anybody, &SettleVoucher{Voucher: c.voucher(coin / 2)})
	if got := received(c.payee); got < coin/2-3_000_000 {
		t.Errorf("payee got %d", got)
	}
	c.say(c.payee, &CloseNow{Final: c.final(coin / 2)})
	if got := received(c.refund); got < coin/2-50_000_000 {
		t.Errorf("refund is %d", got)
	}
}
