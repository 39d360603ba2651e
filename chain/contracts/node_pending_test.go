package contracts

import (
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

// pendingTimeout is how long a registration that nobody answers holds up the
// next one, in seconds.
const pendingTimeout = 600

// TestNodeQuestion checks all that Node tells Root.
func TestNodeQuestion(t *testing.T) {
	l := newLone(t)
	l.stake(3 * tvmtest.Coin)
	h := l.heads()
	m := l.certified(h)
	good(t, l.send(l.operator, ValueRegister, m))
	want := CheckRegistration{
		LT: l.nodeState().Pending.LT, NotAfter: l.Now + 10*day, Stake: 3 * tvmtest.Coin,
		Key:   NodeKey{l.root, l.operator.Address, 7},
		Check: Check{Kind: KindSNP, Measurement: snpMeasurement, PlatformID: [32]byte{0xee}, Authority: hash32(l.verifiers.Cell())},
	}
	if r := l.Record(); want.LT != r[len(r)-1].LT {
		t.Errorf("the registration is named %d, its transaction %d", want.LT, r[len(r)-1].LT)
	}
	if got := l.question(); *got != want {
		t.Errorf("Root is asked %+v, want %+v", got, want)
	}
	s := l.nodeState()
	if s.Status != StatusNone || s.Epoch != 0 || s.Pending == nil || s.Pending.QueryID != m.QueryID {
		t.Errorf("while Root thinks: %+v", s)
	}
	// Parse and build are inverse.
	body := l.rootActor.Last().Body
	if !tvmtest.Equal(body, l.question().Body()) {
		t.Error("the question is built in another way than the contract does")
	}
}

// TestNodePending checks that one registration waits at a time, and not for ever.
func TestNodePending(t *testing.T) {
	l := newLone(t)
	good(t, l.send(l.operator, ValueRegister, l.certified(l.heads())))
	first := l.answer()
	l.refuses(CodePending, l.operator, ValueRegister, l.certified(l.heads()))
	l.refuses(CodePending, l.operator, ValueRegister, l.registration(l.heads()))
	l.Now += pendingTimeout - 1
	l.refuses(CodePending, l.operator, ValueRegister, l.certified(l.heads()))
	l.refuses(CodePending, l.operator, ValueRegister, l.registration(l.heads()))
	l.Now++
	h := l.heads()
	h.BodyDigest[0]++
	good(t, l.send(l.operator, ValueRegister, l.certified(h)))
	// The answer to the one that was replaced comes at last.
	refused(t, l.say(first), CodeNotPending)
	good(t, l.say(l.answer()))
	done(t, l.operator, 0)
	if s := l.nodeState(); s.Epoch != 1 || s.Current.ClaimsDigest != h.Digest() {
		t.Errorf("registered %+v", s)
	}
	refused(t, l.say(l.answer()), CodeNotPending)
}

// TestNodeAnswers gives Node every answer that Root and Platform can give, and
// those that they can't.
func TestNodeAnswers(t *testing.T) {
	l := newLone(t)
	for _, code := range []int{exitUnderflow, CodeNotPending} { // the initial data is too short to read
		refused(t, l.say(&RegistrationAnswer{Params: l.params}), code)
		refused(t, l.from(l.platform, (&RegistrationAnswer{Code: CodeNoSlot, Params: l.params}).Body()), code)
		l.setProfile()
	}
	h := l.heads()
	good(t, l.send(l.operator, ValueRegister, l.certified(h)))
	yes := l.answer()
	yes.Expires = l.Now + 1234

	// By neither of the two, nor by another machine's Platform.
	other, _, err := PlatformAddress(l.root, [32]byte{0xef})
	if err != nil {
		t.Fatal(err)
	}
	foreign, _, err := PlatformAddress(l.anybody.Address, [32]byte{0xee}) // of another Root
	if err != nil {
		t.Fatal(err)
	}
	for name, who := range map[string]*tvmtest.Actor{
		"anybody": l.anybody, "the operator": l.operator,
		"its account id in the masterchain": l.ActorAt(attestation.Address{Workchain: -1, Hash: l.platform.Address.Hash}, tvmtest.Coin),
		"another platform":                  l.ActorAt(other, tvmtest.Coin), "a platform of another Root": l.ActorAt(foreign, tvmtest.Coin),
		"a contract with the platform's initial data": l.ActorAt(CodeIDOf(puppet).AccountOf(PlatformKey{l.root, [32]byte{0xee}}.Cell()), tvmtest.Coin),
	} {
		t.Run(name, func(t *testing.T) { refused(t, l.from(who, yes.Body()), CodeWrongSender) })
	}
	for who, from := range map[string]*tvmtest.Actor{"Root": l.rootActor, "the Platform": l.platform} {
		no := *l.answer()
		no.Code = CodeMeasurement
		// Not for this registration.
		wrong := no
		wrong.LT ^= 1
		refused(t, l.from(from, wrong.Body()), CodeNotPending)
		// No: the operator learns why.
		letters := len(l.rootActor.Inbox)
		good(t, l.from(from, no.Body()))
		if from == l.rootActor {
			done(t, l.operator, CodeMeasurement)
		} else { // from Root, when it has taken the node off its list
			l.unlisted(letters, l.operator, CodeMeasurement)
		}
		if s := l.nodeState(); s.Pending != nil || s.Epoch != 0 || s.Status != StatusNone || s.Params == nil || *s.Params != l.params {
			t.Errorf("after the no of %s: %+v", who, s)
		}
		refused(t, l.from(from, no.Body()), CodeNotPending)
		good(t, l.send(l.operator, ValueRegister, l.certified(h)))
	}
	yes.LT = l.question().LT
	for epoch, from := range []*tvmtest.Actor{l.rootActor, l.platform} {
		if epoch > 0 {
			h = l.heads()
			good(t, l.send(l.operator, ValueRegister, l.certified(h)))
			yes.LT = l.question().LT
		}
		good(t, l.from(from, yes.Body()))
		done(t, l.operator, 0)
		s := l.nodeState()
		if s.Pending != nil || s.Epoch != uint32(epoch+1) || s.Status != StatusActive || s.Expires != yes.Expires ||
			s.Params == nil || *s.Params != l.params || s.LogKey != h.LogKey {
			t.Errorf("after a yes: %+v", s)
		}
		refused(t, l.from(from, yes.Body()), CodeNotPending) // twice
	}
}

// TestNodeBounces has Root not take the question.
func TestNodeBounces(t *testing.T) {
	l := newLone(t)
	h := l.heads()
	l.rootActor.Refuse = true
	good(t, l.send(l.operator, ValueRegister, l.certified(h)))
	done(t, l.operator, CodeRefused)
	if s := l.nodeState(); s.Pending != nil || s.Epoch != 0 {
		t.Errorf("after Root's bounce: %+v", s)
	}

	// The bounce of a question about the current epoch drops nothing.
	l.rootActor.Refuse = false
	l.registerLone()
	l.Hold()
	l.send(l.anybody, ValueCheck, &Recheck{})
	l.hop(l.anybody.Address, l.node)
	l.send(l.operator, ValueRegister, l.certified(l.heads()))
	l.hop(l.operator.Address, l.node)
	l.rootActor.Refuse = true
	l.hop(l.node, l.root) // the recheck
	l.hop(l.root, l.node)
	if s := l.nodeState(); s.Pending == nil || s.Status != StatusActive {
		t.Errorf("after the bounce of another question: %+v", s)
	}
}

// TestNodeEpochs checks what is kept of epochs, and for how long.
func TestNodeEpochs(t *testing.T) {
	l := newLone(t)
	var ends []uint32
	for e := uint32(1); e <= 6; e++ {
		l.registerLone()
		l.Now += 1000
		good(t, l.SendExternal(l.node, l.anchor(uint64(10*e)).Body()))
		ends = append(ends, l.Now)
	}
	s := l.nodeState()
	if len(s.Past) != 5 || s.Epoch != 6 {
		t.Fatalf("epoch %d, %d past ones", s.Epoch, len(s.Past))
	}
	for e := uint32(1); e <= 5; e++ {
		if p := s.Past[e]; p.FinalSize != uint64(10*e) || p.ClosedAt != ends[e-1] || p.Record.LogKey != pub(key("log "+string(rune('0'+e)))) {
			t.Errorf("epoch %d is kept as %+v", e, p)
		}
	}
	// Two whose windows are over go with each new epoch.
	l.Now = ends[3] + l.params.Unbonding
	for i, want := range []int{4, 4, 5} {
		l.registerLone()
		if got := len(l.nodeState().Past); got != want {
			t.Errorf("%d registrations later %d past epochs are kept, want %d", i+1, got, want)
		}
	}
	// The one that closed exactly then is still kept.
	if _, ok := l.nodeState().Past[4]; !ok {
		t.Error("an epoch went before its windows were over")
	}
}

// TestNodeUnknownMessages checks that what Node doesn't know comes back.
func TestNodeUnknownMessages(t *testing.T) {
	l := newLone(t)
	l.setProfile()
	l.refusesBody(l.node, CodeUnknownMessage, l.anybody, ValueSmall, build().MustStoreUInt(0xdeadbeef, 32).EndCell())
	l.refusesBody(l.node, CodeUnknownMessage, l.anybody, ValueSmall, build().MustStoreUInt(0xc0c002, 24).EndCell())
	// Nothing at all is a gift.
	before := l.Balance(l.node).Uint64()
	good(t, l.anybody.Send(tvmtest.Message{To: l.node, Value: tvmtest.Coin, Bounce: true}))
	if got := l.Balance(l.node).Uint64() - before; got < tvmtest.Coin-1_000_000 {
		t.Errorf("a top-up of a coin brought %d", got)
	}
}

// unlisted fails the test unless the node has asked Root once, since it had so many
// letters, to take it off the list, and to tell a party why.
func (l *lone) unlisted(letters int, requester *tvmtest.Actor, code int) {
	l.t.Helper()
	if n := len(l.rootActor.Inbox) - letters; n != 1 {
		l.t.Fatalf("Root has %d letters more", n)
	}
	m, err := ParseUnlist(l.rootActor.Last().Body)
	if err != nil {
		l.t.Fatal(err)
	}
	want := Unlist{QueryID: m.QueryID, Code: uint16(code), Requester: requester.Address, Key: NodeKey{l.root, l.operator.Address, 7}}
	if *m != want {
		l.t.Errorf("Root is told %+v, want %+v", *m, want)
	}
}

// released sends the Platform's yes to a registration that waits no longer: the
// node gives the slot back, with what came in.
func (l *lone) released(yes *RegistrationAnswer, platform *tvmtest.Actor) {
	l.t.Helper()
	before, data := l.Balance(l.node).Uint64(), l.Data(l.node)
	good(l.t, l.from(platform, yes.Body()))
	m, err := ParseReleaseSlot(platform.Last().Body)
	if err != nil {
		l.t.Fatal(err)
	}
	want := ReleaseSlot{LT: yes.LT, Operator: l.operator.Address, Index: 7, Code: CodeNotPending, Requester: l.operator.Address}
	if *m != want {
		l.t.Errorf("the Platform is told %+v, want %+v", *m, want)
	}
	if !tvmtest.Equal(data, l.Data(l.node)) {
		l.t.Error("the state changed")
	}
	if after := l.Balance(l.node).Uint64(); after > before || platform.Last().Value == 0 {
		l.t.Errorf("the node kept %d of what came in", int64(after)-int64(before))
	}
}
