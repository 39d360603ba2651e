package contracts

import (
	"crypto/ed25519"
	"testing"

	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

func (f *fixture) anchor(size uint64) *AnchorExternal {
	f.t.Helper()
	s := f.nodeState()
	a := Anchor{Epoch: s.Epoch, Size: size, Root: [32]byte{byte(size), 1}}
	d := a.Digest(tvmtest.GlobalID, f.node)
	return &AnchorExternal{Anchor: a, Signature: [64]byte(ed25519.Sign(key("log "+string(rune('0'+s.Epoch))), d[:]))}
}

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
