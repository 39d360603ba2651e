package contracts

import (
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

// TestNodeLateYes has a Platform say yes to a registration that waits no longer.
func TestNodeLateYes(t *testing.T) {
	l := newLone(t)
	ask := func(platform byte) *RegistrationAnswer {
		good(t, l.send(l.operator, ValueRegister, l.certified(l.heads(), func(c *Certificate) { c.PlatformID[0] = platform })))
		return l.answer()
	}
	at, _, err := PlatformAddress(l.root, [32]byte{0xdd})
	if err != nil {
		t.Fatal(err)
	}
	other := l.ActorAt(at, tvmtest.Coin)

	// A node that never was registered gives the slot back; it has none from Root.
	late := ask(0xee)
	l.Now += pendingTimeout
	good(t, l.send(l.anybody, ValueCheck, &Recheck{}))
	refused(t, l.say(late), CodeNotPending)
	l.released(late, l.platform)
	no := *late
	no.Code = CodeNoSlot
	refused(t, l.from(l.platform, no.Body()), CodeNotPending)

	// So does one that is registered, but for the slot that the current registration
	// uses: the Platform keeps one for a node.
	good(t, l.from(l.platform, ask(0xee).Body()))
	late = ask(0xdd)
	l.Now += pendingTimeout
	again := ask(0xee)
	l.released(late, other)
	late.LT = again.LT
	l.Now += pendingTimeout
	ask(0xdd) // takes the place of the other
	refused(t, l.from(l.platform, again.Body()), CodeNotPending)

	// Once that is over nothing keeps it.
	l.Now = l.nodeState().Expires
	l.released(again, l.platform)
	if s := l.nodeState(); s.Epoch != 1 || s.Pending == nil {
		t.Errorf("late answers did something: %+v", s)
	}
}

// TestNodeAnswerOfTwin registers the same claims twice, the second time in the
// place of a first that nobody answered: the first's answer is not the second's.
func TestNodeAnswerOfTwin(t *testing.T) {
	l := newLone(t)
	m := l.certified(l.heads())
	good(t, l.send(l.operator, ValueRegister, m))
	first := l.answer()
	l.Now += pendingTimeout
	good(t, l.send(l.operator, ValueRegister, m))
	second := l.answer()
	if first.LT == second.LT {
		t.Fatal("two registrations have one name")
	}
	refused(t, l.say(first), CodeNotPending)
	no := *first
	no.Code = CodeMeasurement
	refused(t, l.say(&no), CodeNotPending)
	l.released(first, l.platform)
	good(t, l.say(second))
	if s := l.nodeState(); s.Epoch != 1 || s.Current.LT != second.LT {
		t.Errorf("after the second's answer: %+v", s)
	}
}

// TestRetireIsOfItsTime has Root's answer to a retirement arrive when the next
// epoch is registered: the slot that it gives back is not that epoch's.
func TestRetireIsOfItsTime(t *testing.T) {
	l := newLone(t)
	l.registerLone()
	good(t, l.send(l.operator, ValueCheck, &Retire{}))
	q, gone := l.doubt(), l.comfort()
	gone.Platform = &l.platform.Address
	if r := l.Record(); q.Purpose != PurposeRetire || q.LT != r[len(r)-1].LT || q.LT <= l.nodeState().Current.LT {
		t.Errorf("Root is asked %+v", q)
	}
	good(t, l.send(l.operator, ValueRegister, l.certified(l.heads())))
	good(t, l.from(l.platform, l.answer().Body()))
	good(t, l.say(gone))
	m, err := ParseReleaseSlot(l.platform.Last().Body)
	if err != nil || m.LT != q.LT || m.LT >= l.nodeState().Current.LT {
		t.Errorf("the Platform is told %+v, %v", m, err)
	}
	if s := l.nodeState(); s.Status != StatusActive || s.Epoch != 2 {
		t.Errorf("after the answer: %+v", s)
	}
}

// TestUnlistAfterNo fills a machine up: a node that gets no slot is taken off
// Root's list, unless it is registered elsewhere.
func TestUnlistAfterNo(t *testing.T) {
	f := newFixture(t, noStake, withPlatforms, slots(1), func(s *RootState) {
		s.Measurements[snpMeasurement] = Measurement{Flags: MeasurementAccepted}
	})
	register := func(code, nodes int, listed bool) {
		t.Helper()
		good(t, f.send(f.operator, ValueRegister, f.registration(f.heads())))
		done(t, f.operator, code)
		got := f.rootState().Nodes
		if _, ok := got[f.node]; ok != listed || len(got) != nodes {
			t.Errorf("listed %v, of %d", ok, len(got))
		}
	}
	f.deployPlatform()
	register(0, 1, true)
	first, firstOperator := f.node, f.operator
	f.nodeOf("second")
	register(CodeNoSlot, 1, false)

	// One whose registration is over is taken off too.
	f.Now += f.start.Params.RegistrationValidity
	register(0, 2, true) // takes the slot of the first, whose entry is still there
	f.node, f.operator = first, firstOperator
	register(CodeNoSlot, 1, false)

	// One that is registered on another machine stays.
	f.nodeOf("third")
	a, si, err := PlatformAddress(f.root, [32]byte{0xee})
	if err != nil {
		t.Fatal(err)
	}
	good(t, f.anybody.Send(tvmtest.Message{To: a, Value: ValueRenew, StateInit: si, Body: body(&RenewPlatform{})}))
	good(t, f.send(f.operator, ValueRegister, f.certified(f.heads())))
	done(t, f.operator, 0)
	register(CodeNoSlot, 2, true)
}

// TestUnlistAfterBounce registers where no Platform is.
func TestUnlistAfterBounce(t *testing.T) {
	f := newFixture(t, noStake, withPlatforms)
	f.setProfile()
	f.tryRegister(CodeRefused)
	if n := len(f.rootState().Nodes); n != 0 {
		t.Errorf("%d nodes are listed", n)
	}
}

// TestRecheckNeverRegistered has anybody take a node off the list that never was
// registered and may have been listed for a registration that nobody answered.
func TestRecheckNeverRegistered(t *testing.T) {
	l := newLone(t)
	recheck := func() {
		t.Helper()
		letters := len(l.rootActor.Inbox)
		good(t, l.send(l.anybody, ValueCheck, &Recheck{QueryID: 5}))
		l.unlisted(letters, l.anybody, 0)
	}
	recheck()
	good(t, l.send(l.operator, ValueRegister, l.certified(l.heads())))
	late := l.answer()
	l.refuses(CodePending, l.anybody, ValueCheck, &Recheck{})
	l.refuses(CodeValueTooLow, l.anybody, ValueCheck-1, &Recheck{})
	l.Now += pendingTimeout
	recheck()
	refused(t, l.say(late), CodeNotPending) // Root listed it before, and does not again
}

// TestUnlistBounces has Root not take the word: whoever asked hears from the node.
func TestUnlistBounces(t *testing.T) {
	f := newFixture(t, noStake, withPlatforms)
	f.setProfile()
	at, _, err := PlatformAddress(f.root, f.platformID())
	if err != nil {
		t.Fatal(err)
	}
	machine := f.ActorAt(at, tvmtest.Coin)
	good(t, f.send(f.operator, ValueRegister, f.registration(f.heads())))
	no := &RegistrationAnswer{LT: f.nodeState().Pending.LT, Code: CodeNoSlot, Params: f.start.Params}
	txs := machine.Send(tvmtest.Message{To: f.node, Value: ValueUnlist - 1, Body: no.Body()})
	if len(txs) != 3 || txs[1].To != f.root || int(txs[1].ExitCode) != CodeValueTooLow || !txs[2].Bounced {
		t.Fatalf("Root took it: %v", txs)
	}
	done(t, f.operator, CodeNoSlot)

	// A registry that does not exist.
	var si *cellT
	if f.node, si, err = NodeAddress(attestation.Address{Hash: [32]byte{1}}, f.operator.Address, 7); err != nil {
		t.Fatal(err)
	}
	good(t, f.operator.Send(tvmtest.Message{To: f.node, Value: tvmtest.Coin, StateInit: si}))
	f.send(f.anybody, ValueCheck, &Recheck{QueryID: 5})
	done(t, f.anybody, CodeRefused)
}

// TestUnbondAfterQuestion: from the first question to Root on no stake leaves at
// once, or one stake could be behind any number of entries in Root's list.
func TestUnbondAfterQuestion(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(l *lone)
		delay  uint32
	}{
		"no question": {nil, 0},
		"Root said no": {func(l *lone) {
			a := l.answer()
			a.Code = CodeMeasurement
			good(t, l.say(a))
		}, DefaultParams().Unbonding},
		"the Platform said no": {func(l *lone) {
			a := l.answer()
			a.Code = CodeNoSlot
			good(t, l.from(l.platform, a.Body()))
		}, DefaultParams().Unbonding},
		"nobody answered": {func(l *lone) { l.Now += pendingTimeout }, 30 * day},
		"nobody answered, and somebody asked": {func(l *lone) {
			l.Now += pendingTimeout
			good(t, l.send(l.anybody, ValueCheck, &Recheck{}))
		}, 30 * day},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLone(t)
			l.stake(5 * tvmtest.Coin)
			if c.answer != nil {
				good(t, l.send(l.operator, ValueRegister, l.certified(l.heads())))
				c.answer(l)
			}
			for range 2 {
				l.unbond(tvmtest.Coin)
				if got := l.nodeState().Book.UnbondingAt - l.Now; got != c.delay {
					t.Errorf("stake leaves after %d s, want %d", got, c.delay)
				}
			}
		})
	}
	// A no does not change the rules of a registration.
	l := newLone(t)
	l.registerLone()
	good(t, l.send(l.operator, ValueRegister, l.certified(l.heads())))
	a := l.answer()
	a.Code, a.Params.Unbonding = CodeMeasurement, 20*day
	good(t, l.say(a))
	if s := l.nodeState(); *s.Params != l.params {
		t.Errorf("after a no the rules are %+v", *s.Params)
	}
}

// TestRootUnlist is the list's side.
func TestRootUnlist(t *testing.T) {
	p := newPuppets(t)
	p.answered(t, p.check(), 0)
	if _, ok := p.listed(); !ok {
		t.Fatal("the node is not listed")
	}
	m := p.unlist(CodeNoSlot)
	p.refusesAtRoot(CodeWrongSender, ValueRootCheck, &rawBody{m.Body()})
	p.unanswered(CodeWrongSender, p.platform, m.Body())
	foreign := p.unlist(0)
	foreign.Key.Index++
	p.unanswered(CodeWrongSender, p.node, foreign.Body())
	refused(t, p.ask(p.node, ValueUnlist-1_000_000, m.Body()), CodeValueTooLow)
	for range 2 {
		kept := p.Balance(p.root).Uint64()
		good(t, p.ask(p.node, 2*ValueUnlist, m.Body()))
		done(t, p.anybody, CodeNoSlot)
		if s := p.rootState(); len(s.Nodes) != 0 {
			t.Errorf("listed: %v", s.Nodes)
		}
		if got := p.Balance(p.root).Uint64(); got != kept {
			t.Errorf("Root's %d became %d", kept, got)
		}
	}
}
