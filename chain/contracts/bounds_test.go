package contracts

import (
	"testing"

	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

// setParams has governance change parameters, and waits until they hold.
func (f *fixture) setParams(edit func(*Params)) {
	f.t.Helper()
	p := f.start.Params
	edit(&p)
	n := f.rootState().NextProposal
	f.govern(SetParams{p})
	f.Now += f.start.Params.GovernanceDelay
	f.execute(n, 0)
}

// TestExtremeParams: at the bounds of all parameters everybody still gets out what
// is his, questions are answered, and governance can mend it.
func TestExtremeParams(t *testing.T) {
	f := newFixture(t, noStake)
	f.register()
	f.stake(50 * tvmtest.Coin)
	f.setParams(func(p *Params) {
		p.GovernanceDelay, p.Unbonding = MaxGovernanceDelay, MaxGovernanceDelay-1
		p.CheckFee, p.ChallengeBond = MaxCheckFee, MaxChallengeBond
	})
	good(t, f.send(f.anybody, ValueCheck, &Recheck{QueryID: 3}))
	done(t, f.anybody, 0)
	good(t, f.send(f.operator, ValueCheck, &Retire{QueryID: 4}))
	done(t, f.operator, 0)
	if _, listed := f.rootState().Nodes[f.node]; listed {
		t.Error("the retired node is listed: Root did not hear it")
	}
	f.unbond(50 * tvmtest.Coin)
	f.Now += MaxGovernanceDelay - 1
	before := f.operator.Balance.Uint64()
	good(t, f.send(f.operator, ValueSmall, &Withdraw{}))
	if got := f.operator.Balance.Uint64() - before; got < 49*tvmtest.Coin {
		t.Errorf("%d of the stake came back", got)
	}
	n := f.rootState().NextProposal
	f.govern(SetParams{DefaultParams()})
	f.Now += MaxGovernanceDelay
	f.execute(n, 0)
}

// TestUnbondTwice: what leaves later, after governance shortened the delay, does
// not let go earlier what left before.
func TestUnbondTwice(t *testing.T) {
	f := newFixture(t, noStake)
	f.register()
	f.stake(5 * tvmtest.Coin)
	p := f.start.Params
	p.Unbonding -= 2 * day
	f.govern(SetParams{p})
	f.Now += f.start.Params.GovernanceDelay
	f.unbond(tvmtest.Coin)
	at := f.nodeState().Book.UnbondingAt
	f.execute(1, 0)
	good(t, f.send(f.anybody, ValueCheck, &Recheck{}))
	done(t, f.anybody, 0)
	f.unbond(tvmtest.Coin)
	if s := f.nodeState(); s.Params.Unbonding != p.Unbonding || s.Book.UnbondingAt != at || s.Unbonding != 2*tvmtest.Coin {
		t.Errorf("%d unbond at %d, want %d", s.Unbonding, s.Book.UnbondingAt, at)
	}
	// Once it is out, the next waits for itself alone.
	f.Now = at
	good(t, f.send(f.operator, ValueSmall, &Withdraw{}))
	f.unbond(tvmtest.Coin)
	if s := f.nodeState(); s.Book.UnbondingAt != f.Now+p.Unbonding {
		t.Errorf("one coin unbonds at %d, want %d", s.Book.UnbondingAt, f.Now+p.Unbonding)
	}
}

// TestMoved: a node that registers on another machine gives back the slot that it
// had, and its operator hears of the registration all the same.
func TestMoved(t *testing.T) {
	f := newFixture(t, noStake, withPlatforms, slots(1), snpListed)
	a := f.deployPlatform()
	f.register()
	b, si, err := PlatformAddress(f.root, [32]byte{0xee})
	if err != nil {
		t.Fatal(err)
	}
	good(t, f.anybody.Send(tvmtest.Message{To: b, Value: ValueRenew, StateInit: si, Body: body(&RenewPlatform{})}))
	if n := len(f.platformState(a).Holders); n != 1 {
		t.Fatalf("%d slots are held on the first machine", n)
	}
	good(t, f.send(f.operator, ValueRegister, f.certified(f.heads())))
	done(t, f.operator, 0)
	if x, y := len(f.platformState(a).Holders), len(f.platformState(b).Holders); x != 0 || y != 1 {
		t.Errorf("%d slots are held on the machine that it left, %d on the new one", x, y)
	}
	// On the same machine there is one slot for both boots.
	good(t, f.send(f.operator, ValueRegister, f.certified(f.heads())))
	done(t, f.operator, 0)
	if y := len(f.platformState(b).Holders); y != 1 {
		t.Errorf("%d slots are held after another boot", y)
	}
	f.nodeOf("another")
	f.send(f.operator, ValueRegister, f.registration(f.heads()))
	done(t, f.operator, 0)
}

// TestQuestionBounces: who asks about a registration hears when Root can't be
// asked, and gets back what is left.
func TestQuestionBounces(t *testing.T) {
	l := newLone(t)
	l.registerLone()
	l.rootActor.Refuse = true
	for _, c := range []struct {
		from *tvmtest.Actor
		m    bodyMaker
	}{{l.anybody, &Recheck{QueryID: 4}}, {l.operator, &Retire{QueryID: 5}}} {
		before := c.from.Balance.Uint64()
		l.send(c.from, ValueCheck, c.m)
		done(t, c.from, CodeRefused)
		if cost := before - c.from.Balance.Uint64(); cost > ValueCheck/2 {
			t.Errorf("%T cost %d", c.m, cost)
		}
	}
}

// TestSweepTooLittle: a sweep that does not pay for its message waits.
func TestSweepTooLittle(t *testing.T) {
	f := newFixture(t, noStake)
	to := f.Actor("treasury", 0)
	f.topUp(f.root, 3*tvmtest.Coin)
	f.govern(Sweep{To: to.Address, Keep: f.Balance(f.root).Uint64() - MinSwept + 1_000_000})
	f.Now += f.start.Params.GovernanceDelay
	f.execute(1, CodeBalance)
	if _, waits := f.rootState().Proposals[1]; !waits {
		t.Error("a sweep of too little is gone")
	}
	f.topUp(f.root, 10_000_000)
	f.execute(1, 0)
	if to.Balance.Sign() == 0 {
		t.Error("nothing arrived")
	}
}

// TestVerifierWaitsForItsRegistrations: a verifier's stake stays until every
// registration is over that its key helped to make, whatever governance does to
// the parameters meanwhile, and whoever has Root look again.
func TestVerifierWaitsForItsRegistrations(t *testing.T) {
	f := newStaking(t, noStake, snpListed)
	f.countAll()
	f.verifiers = *f.rootState().Verifiers
	p := f.start.Params
	p.RegistrationValidity, p.AnswerWindow, p.Unbonding, p.GovernanceDelay = 1, day, 2*day+601, 3*day
	n := f.rootState().NextProposal
	f.govern(SetParams{p})
	f.Now += f.start.Params.GovernanceDelay - 1
	good(t, f.send(f.operator, ValueRegister, f.certified(f.heads(), func(c *Certificate) { c.Expiry = f.Now + 100*day })))
	done(t, f.operator, 0)
	good(t, f.toVerifier(0, f.anybody, ValueVerifier, &LeaveVerifiers{QueryID: 5}))
	f.Now++
	f.execute(n, 0)
	good(t, f.toVerifier(0, f.anybody, ValueVerifier, &RefreshVerifier{QueryID: 5}))
	if leaves, over := f.verifierState(0).LeaveAt, f.nodeState().Expires; leaves <= over {
		t.Errorf("the stake may leave at %d, the registration lasts until %d", leaves, over)
	}
}

// TestPastEpochEnds: a past epoch ended when its registration did, whatever ended
// that, and not when the next one came.
func TestPastEpochEnds(t *testing.T) {
	for name, c := range map[string]struct {
		end func(f *fixture) (at uint32)
	}{
		"replaced": {func(f *fixture) uint32 { return f.Now + 5*day }},
		"retired": {func(f *fixture) uint32 {
			good(f.t, f.send(f.operator, ValueCheck, &Retire{}))
			return f.Now
		}},
		"expired": {func(f *fixture) uint32 {
			at := f.nodeState().Expires
			f.Now = at + day
			return at
		}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, noStake)
			f.register()
			at := c.end(f)
			f.Now += 5 * day
			f.register()
			if p := f.nodeState().Past[1]; p.ClosedAt != at {
				t.Errorf("epoch 1 ended at %d, want %d; now is %d", p.ClosedAt, at, f.Now)
			}
		})
	}
}
