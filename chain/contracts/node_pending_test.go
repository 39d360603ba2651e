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
		ClaimsDigest: h.Digest(), Purpose: PurposeRegister, QueryID: m.QueryID, Stake: 3 * tvmtest.Coin,
		Requester: l.operator.Address, Operator: l.operator.Address, Index: 7,
		Check: Check{Kind: KindSNP, Measurement: snpMeasurement, PlatformID: [32]byte{0xee}, Authority: hash32(l.verifiers.Cell())},
	}
	if got := l.question(); *got != want {
		t.Errorf("Root is asked %+v, want %+v", got, want)
	}
	s := l.nodeState()
	if s.Status != StatusNone || s.Epoch != 0 || s.Pending == nil || s.Pending.Platform != nil || s.Pending.QueryID != m.QueryID {
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
		refused(t, l.say(&RegistrationChecked{Params: l.params}), code)
		refused(t, l.from(l.platform, slotAnswer([32]byte{}, 0)), code)
		l.setProfile()
	}
	h := l.heads()
	good(t, l.send(l.operator, ValueRegister, l.certified(h)))
	yes := l.answer()

	// Not by Root, not for these claims, and no slot before Root's answer.
	refused(t, l.from(l.anybody, yes.Body()), CodeWrongSender)
	refused(t, l.from(l.operator, yes.Body()), CodeWrongSender)
	other := *yes
	other.ClaimsDigest[0] ^= 1
	refused(t, l.say(&other), CodeNotPending)
	refused(t, l.from(l.platform, slotAnswer(h.Digest(), 0)), CodeWrongSender)

	// Root says no: the operator learns why.
	no := *yes
	no.Code = CodeMeasurement
	good(t, l.say(&no))
	done(t, l.operator, CodeMeasurement)
	if s := l.nodeState(); s.Pending != nil || s.Epoch != 0 {
		t.Errorf("after Root's no: %+v", s)
	}

	// Root says yes and names a Platform.
	ask := func() {
		good(t, l.send(l.operator, ValueRegister, l.certified(h)))
		yes = l.answer()
		yes.Platform = &l.platform.Address
		good(t, l.say(yes))
	}
	ask()
	claim := l.platform.Last()
	want := build().MustStoreUInt(0xc0c00303, 32).MustStoreSlice(hashOf(h), 256).MustStoreUInt(1, 32).
		MustStoreUInt(uint64(l.Now+10*day), 32)
	want = storeAddr(want, l.operator.Address).MustStoreUInt(7, 32)
	if !tvmtest.Equal(claim.Body, want.EndCell()) {
		t.Errorf("the platform is asked %s", claim.Body.Dump())
	}
	if s := l.nodeState(); s.Pending == nil || s.Pending.Platform == nil || *s.Pending.Platform != l.platform.Address || s.Status != StatusNone {
		t.Errorf("while the platform thinks: %+v", s)
	}
	refused(t, l.say(yes), CodeNotPending) // twice
	refused(t, l.from(l.anybody, slotAnswer(h.Digest(), 0)), CodeWrongSender)
	refused(t, l.from(l.rootActor, slotAnswer(h.Digest(), 0)), CodeWrongSender)
	refused(t, l.from(l.platform, slotAnswer([32]byte{1}, 0)), CodeNotPending)
	good(t, l.from(l.platform, slotAnswer(h.Digest(), 401)))
	done(t, l.operator, 401)
	if s := l.nodeState(); s.Pending != nil || s.Epoch != 0 {
		t.Errorf("after the platform's no: %+v", s)
	}
	ask()
	good(t, l.from(l.platform, slotAnswer(h.Digest(), 0)))
	done(t, l.operator, 0)
	if s := l.nodeState(); s.Pending != nil || s.Epoch != 1 || s.Status != StatusActive {
		t.Errorf("after the platform's yes: %+v", s)
	}
	refused(t, l.from(l.platform, slotAnswer(h.Digest(), 0)), CodeNotPending)
}

func hashOf(h *attestation.Heads) []byte { d := h.Digest(); return d[:] }

// TestNodeBounces has Root, and then the Platform, not take the question.
func TestNodeBounces(t *testing.T) {
	l := newLone(t)
	h := l.heads()
	l.rootActor.Refuse = true
	good(t, l.send(l.operator, ValueRegister, l.certified(h)))
	done(t, l.operator, CodeRefused)
	if s := l.nodeState(); s.Pending != nil {
		t.Errorf("after Root's bounce: %+v", s)
	}
	l.rootActor.Refuse, l.platform.Refuse = false, true
	good(t, l.send(l.operator, ValueRegister, l.certified(h)))
	yes := l.answer()
	yes.Platform = &l.platform.Address
	good(t, l.say(yes))
	done(t, l.operator, CodeRefused)
	if s := l.nodeState(); s.Pending != nil || s.Epoch != 0 {
		t.Errorf("after the platform's bounce: %+v", s)
	}

	// The bounce of a question about the current epoch drops nothing.
	l.platform.Refuse = false
	l.registerLone()
	good(t, l.send(l.operator, ValueRegister, l.certified(l.heads())))
	l.rootActor.Refuse = true
	good(t, l.send(l.anybody, ValueCheck, &Recheck{}))
	if s := l.nodeState(); s.Pending == nil || s.Status != StatusActive {
		t.Errorf("after the bounce of another question: %+v", s)
	}
}

// TestNodeExpiry takes the earliest of the certificate's end and the registry's
// validity.
func TestNodeExpiry(t *testing.T) {
	for _, c := range []struct{ certificate, validity, want uint32 }{
		{10 * day, 30 * day, 10 * day}, {10 * day, 5 * day, 5 * day},
	} {
		l := newLone(t)
		l.params.RegistrationValidity = c.validity
		good(t, l.send(l.operator, ValueRegister, l.certified(l.heads(), func(x *Certificate) { x.Expiry = l.Now + c.certificate })))
		l.Now += 100 // Root is slow: the time runs from the request
		good(t, l.say(l.answer()))
		if s := l.nodeState(); s.Expires != l.Now-100+c.want || s.AnchorInterval != l.params.AnchorInterval || s.LogKey != s.Current.LogKey {
			t.Errorf("registered %+v", s)
		}
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
