package contracts

import (
	"testing"

	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

func TestRetire(t *testing.T) {
	f := newFixture(t, noStake)
	f.setProfile()
	m := &Retire{QueryID: 4}
	f.refuses(CodeNotRegistered, f.operator, ValueCheck, m)
	f.register()
	f.refuses(CodeNotOperator, f.anybody, ValueCheck, m)
	f.refuses(CodeValueTooLow, f.operator, ValueCheck-1, m)
	f.Now += 100
	good(t, f.send(f.operator, ValueCheck, m))
	done(t, f.operator, 0)
	if s := f.nodeState(); s.Status != StatusInactive || s.Expires != f.Now || s.Epoch != 1 {
		t.Errorf("after retiring: %+v", s)
	}
	if n := len(f.rootState().Nodes); n != 0 {
		t.Errorf("registry lists %d nodes", n)
	}
	f.refuses(CodeNotRegistered, f.operator, ValueCheck, m)
	// It may come back as the next epoch.
	f.register()
	if s := f.nodeState(); s.Status != StatusActive || s.Epoch != 2 {
		t.Errorf("after coming back: %+v", s)
	}
	f.Now = f.nodeState().Expires
	f.refuses(CodeNotRegistered, f.operator, ValueCheck, m)
}

// TestRetirePending checks that a node can't leave the list by a message that
// arrives behind the one that puts it there.
func TestRetirePending(t *testing.T) {
	l := newLone(t)
	l.registerLone()
	good(t, l.send(l.operator, ValueRegister, l.certified(l.heads())))
	register := l.answer()
	l.refuses(CodePending, l.operator, ValueCheck, &Retire{})
	l.refuses(CodePending, l.anybody, ValueCheck, &Recheck{}) // of the live one
	good(t, l.say(register))
	good(t, l.send(l.anybody, ValueCheck, &Recheck{}))
	if q := l.doubt(); q.Purpose != PurposeRecheck || q.Requester != l.anybody.Address {
		t.Errorf("Root is asked %+v", q)
	}

	// Once the registration is over a recheck takes the node off the list.
	l.Now = l.nodeState().Expires
	good(t, l.send(l.operator, ValueRegister, l.certified(l.heads())))
	register = l.answer()
	l.refuses(CodePending, l.anybody, ValueCheck, &Recheck{})
	l.Now += pendingTimeout
	good(t, l.send(l.anybody, ValueCheck, &Recheck{}))
	if q := l.doubt(); q.Purpose != PurposeRetire {
		t.Errorf("Root is asked %+v", q)
	}
	refused(t, l.say(register), CodeNotPending)
}

// TestRetireDropsPending checks that an answer that came too late doesn't bring
// a retired node back.
func TestRetireDropsPending(t *testing.T) {
	l := newLone(t)
	l.registerLone()
	good(t, l.send(l.operator, ValueRegister, l.certified(l.heads())))
	register := l.answer()
	l.Now += pendingTimeout
	good(t, l.send(l.operator, ValueCheck, &Retire{}))
	refused(t, l.say(register), CodeNotPending)
	if s := l.nodeState(); s.Status != StatusInactive || s.Epoch != 1 {
		t.Errorf("after the late answer: %+v", s)
	}
}

// TestRecheck changes the registry's policy under a registered node.
func TestRecheck(t *testing.T) {
	m := &Recheck{QueryID: 77}
	for name, c := range map[string]struct {
		code   int
		action func(f *fixture) Action
	}{
		"nothing changed": {0, func(f *fixture) Action { return AddMeasurement{Digest: [32]byte{1}} }},
		"paused":          {0, func(*fixture) Action { return Pause{} }}, // is about new ones
		"measurement":     {CodeMeasurement, func(f *fixture) Action { return RemoveMeasurement{f.nodeState().Current.Check.Measurement} }},
		"CA key":          {CodeCAKey, func(f *fixture) Action { return RemoveCAKey{f.nodeState().Current.Check.Authority} }},
		"floor removed":   {CodeFloor, func(f *fixture) Action { return RemoveFloor{f.nodeState().Current.Check.TDX.FMSPC} }},
		"floor raised": {CodeQuotePCESVN, func(f *fixture) Action {
			fmspc := f.nodeState().Current.Check.TDX.FMSPC
			fl := f.rootState().Floors[fmspc]
			fl.PCESVN++
			return RaiseFloor{fmspc, fl}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, noStake)
			f.setProfile()
			f.register()
			f.refuses(CodeValueTooLow, f.anybody, ValueCheck-1, m)
			f.govern(c.action(f))
			f.Now += 50
			good(t, f.send(f.anybody, ValueCheck, m))
			done(t, f.anybody, c.code)
			s, listed := f.nodeState(), len(f.rootState().Nodes)
			if c.code == 0 && (s.Status != StatusActive || listed != 1) {
				t.Errorf("a good registration ended: %+v, %d listed", s, listed)
			}
			if c.code != 0 && (s.Status != StatusInactive || s.Expires != f.Now || listed != 0) {
				t.Errorf("a bad registration goes on: %+v, %d listed", s, listed)
			}
		})
	}
}

// TestRecheckQuorum checks that a newer verifier set does not undo what the one
// before it certified, and that no set at all does.
func TestRecheckQuorum(t *testing.T) {
	f := newQuorumFixture(t)
	good(t, f.send(f.operator, ValueRegister, f.certified(f.heads())))
	next := f.verifiers
	next.Number = 2
	f.govern(SetVerifiers{next})
	f.Now += f.start.Params.GovernanceDelay
	f.Now -= 5 * day // the certificate is good for ten days
	f.execute(1, CodeTooEarly)
	f.Now += 5 * day
	f.execute(1, 0)
	f.verifiers = next
	f.countAll()
	good(t, f.send(f.operator, ValueRegister, f.certified(f.heads(), func(c *Certificate) { c.Expiry = f.Now + 30*day })))
	next.Number = 3
	f.govern(SetVerifiers{next})
	f.Now += f.start.Params.GovernanceDelay
	f.execute(2, 0)
	good(t, f.send(f.anybody, ValueCheck, &Recheck{}))
	done(t, f.anybody, 0)
	f.govern(RemoveVerifiers{})
	good(t, f.send(f.anybody, ValueCheck, &Recheck{}))
	done(t, f.anybody, CodeVerifierSet)
	if s := f.nodeState(); s.Status != StatusInactive {
		t.Errorf("a registration that nobody vouches for goes on: %+v", s)
	}
}

// TestRecheckStake ends a registration whose stake was lost.
func TestRecheckStake(t *testing.T) {
	l := newLone(t)
	l.stake(100 * tvmtest.Coin)
	l.registerLone()
	good(t, l.send(l.anybody, ValueCheck, &Recheck{QueryID: 3}))
	if q := l.doubt(); q.Stake != 100*tvmtest.Coin || q.LT != l.nodeState().Current.LT || q.Check != l.nodeState().Current.Check {
		t.Errorf("Root is asked %+v", q)
	}
	// Root's parameters arrive with every answer.
	a := l.comfort()
	a.Params.AnchorInterval, a.Params.Unbonding = 77, 8*day
	good(t, l.say(a))
	done(t, l.anybody, 0)
	if s := l.nodeState(); s.AnchorInterval != 77 || s.Params.Unbonding != 8*day || s.Status != StatusActive {
		t.Errorf("after the answer: %+v", s)
	}
	// An answer about another registration changes nothing, and nobody but Root gives one.
	before := l.Data(l.node)
	a.LT ^= 1
	a.Code = CodeMeasurement
	good(t, l.say(a))
	if !tvmtest.Equal(before, l.Data(l.node)) {
		t.Error("an answer about another registration changed the state")
	}
	a.LT ^= 1
	refused(t, l.from(l.anybody, a.Body()), CodeWrongSender)
	good(t, l.say(a))
	if s := l.nodeState(); s.Status != StatusInactive {
		t.Errorf("after Root's no: %+v", s)
	}
	// The answer to a retirement ends nothing, whatever it says.
	l.registerLone()
	a = &CurrentChecked{LT: l.nodeState().Current.LT, Purpose: PurposeRetire, Code: CodeMeasurement, Requester: l.anybody.Address, Params: l.params}
	good(t, l.say(a))
	if s := l.nodeState(); s.Status != StatusActive {
		t.Errorf("after an answer to no question: %+v", s)
	}
}

// TestRecheckExpired has anybody take a node off the list whose time is over.
func TestRecheckExpired(t *testing.T) {
	f := newFixture(t, noStake)
	f.setProfile()
	f.register()
	f.Now = f.nodeState().Expires
	if n := len(f.rootState().Nodes); n != 1 {
		t.Fatalf("registry lists %d nodes", n)
	}
	good(t, f.send(f.anybody, ValueCheck, &Recheck{}))
	done(t, f.anybody, 0)
	if n := len(f.rootState().Nodes); n != 0 {
		t.Errorf("registry lists %d nodes", n)
	}
}
