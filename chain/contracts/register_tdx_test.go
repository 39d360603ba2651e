package contracts

import (
	"crypto/ed25519"
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

func noStake(s *RootState) { s.Params.MinStake, s.Params.ReceiptLoss, s.Params.ForkLoss = 0, 0, 0 }

func (f *fixture) anchor(size uint64) *AnchorExternal {
	f.t.Helper()
	s := f.nodeState()
	a := Anchor{Epoch: s.Epoch, Size: size, Root: [32]byte{byte(size), 1}}
	d := a.Digest(tvmtest.GlobalID, f.node)
	return &AnchorExternal{Anchor: a, Signature: [64]byte(ed25519.Sign(key("log "+string(rune('0'+s.Epoch))), d[:]))}
}

func TestRegisterTDX(t *testing.T) {
	f := newFixture(t, noStake)
	h := f.heads()
	f.register()
	s := f.nodeState()
	if s.Status != StatusActive || s.Epoch != 1 || s.Pending != nil || s.Current == nil {
		t.Fatalf("after the registration: %+v", s)
	}
	info, _ := ReadQuote(mint(t, f.intel, testTD()))
	c := s.Current
	if c.ClaimsDigest != h.Digest() || c.Check.Kind != KindTDX || c.BlockSeqno != h.BlockSeqno || c.ReceiptKey != h.ReceiptKey ||
		c.LogKey != h.LogKey || c.IdentityKey != h.IdentityKey || c.RegisteredAt != f.Now ||
		c.Check.Measurement != info.Measurement || c.Check.PlatformID != attestation.PlatformID("tdx", ppid(f)) {
		t.Errorf("record is %+v", c)
	}
	if c.Check.TDX == nil || c.Check.TDX.TCB != info.TCB || c.Check.TDX.FMSPC != info.FMSPC || c.Check.Authority != info.CA.Digest() {
		t.Errorf("check is %+v, the quote says %+v", c.Check.TDX, info)
	}
	if want := f.Now + f.start.Params.RegistrationValidity; s.Expires != want {
		t.Errorf("expires at %d, want %d", s.Expires, want)
	}
	if got := f.rootState().Nodes; len(got) != 1 || got[f.node].Expires != f.Now+f.start.Params.RegistrationValidity {
		t.Errorf("registry lists %v", got)
	}
	good(t, f.SendExternal(f.node, f.anchor(5).Body()))

	// The next boot: the old epoch is kept with its final head.
	f.Now += 3600
	f.register()
	s = f.nodeState()
	if s.Epoch != 2 || s.Past[1].FinalSize != 5 || s.Past[1].FinalRoot != [32]byte{5, 1} || s.Past[1].ClosedAt != f.Now || s.Past[1].Record.ClaimsDigest != h.Digest() {
		t.Errorf("after the second registration: %+v", s)
	}
	if s.Anchor.Size != 5 || s.Anchor.Root != [32]byte{5, 1} {
		t.Errorf("the log does not go on: %+v", s.Anchor)
	}
	if n := len(f.rootState().Nodes); n != 1 {
		t.Errorf("registry lists %d nodes", n)
	}
	// The old heads can't come back.
	refused(t, f.send(f.operator, ValueRegister, f.registration(h)), CodeEpoch)
}

func ppid(f *fixture) []byte { p := f.intel.PPID(); return p[:] }

func TestAnchor(t *testing.T) {
	f := newFixture(t, noStake)
	refused(t, f.SendExternal(f.node, f.anchor(1).Body()), 9) // initial data is too short
	f.setProfile()
	refused(t, f.SendExternal(f.node, f.anchor(1).Body()), CodeEpoch)
	f.register()
	txs := good(t, f.SendExternal(f.node, f.anchor(1).Body()))
	if fee := txs[0].Fees.Uint64(); fee > 2_000_000 {
		t.Errorf("an anchor costs %d nano", fee)
	}
	refused(t, f.SendExternal(f.node, f.anchor(2).Body()), CodeInterval)
	// Anybody may pay for one, at once.
	m := f.anchor(2)
	in := &AnchorInternal{QueryID: 3, Anchor: m.Anchor, Signature: m.Signature}
	good(t, f.anybody.Send(tvmtest.Message{To: f.node, Value: ValueSmall, Bounce: true, Body: in.Body()}))
	done(t, f.anybody, 0)
	if a := f.nodeState().Anchor; a != m.Anchor {
		t.Errorf("anchored %+v, want %+v", a, m.Anchor)
	}
	f.Now += f.start.Params.AnchorInterval
	refused(t, f.SendExternal(f.node, f.anchor(2).Body()), CodeNotLarger)
	bad := f.anchor(3)
	bad.Signature[5] ^= 1
	refused(t, f.SendExternal(f.node, bad.Body()), CodeBadSignature)
	bad = f.anchor(3)
	bad.Epoch++
	refused(t, f.SendExternal(f.node, bad.Body()), CodeEpoch)
	in = &AnchorInternal{Anchor: m.Anchor, Signature: m.Signature}
	refused(t, f.anybody.Send(tvmtest.Message{To: f.node, Value: ValueSmall - 1, Bounce: true, Body: in.Body()}), CodeValueTooLow)
	refused(t, f.anybody.Send(tvmtest.Message{To: f.node, Value: ValueSmall, Bounce: true, Body: in.Body()}), CodeNotLarger)
	in.Epoch++
	refused(t, f.anybody.Send(tvmtest.Message{To: f.node, Value: ValueSmall, Bounce: true, Body: in.Body()}), CodeEpoch)
	in.Anchor, in.Size = m.Anchor, 9
	refused(t, f.anybody.Send(tvmtest.Message{To: f.node, Value: ValueSmall, Bounce: true, Body: in.Body()}), CodeBadSignature)
	// An anchor of another chain or node has another digest.
	good(t, f.SendExternal(f.node, f.anchor(3).Body()))
}
