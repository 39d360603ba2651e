package contracts

import (
	"crypto/ed25519"
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/translog"
	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

// logKey is the log key that fixtures register for an epoch.
func logKey(epoch uint32) ed25519.PrivateKey { return key("log " + string(rune('0'+epoch))) }

// receiptKey is the receipt key that fixtures register for an epoch.
func receiptKey(epoch uint32) ed25519.PrivateKey { return key("receipt " + string(rune('0'+epoch))) }

// signAnchor signs a head with the log key of its epoch.
func (f *fixture) signAnchor(a Anchor) [64]byte {
	d := a.Digest(tvmtest.GlobalID, f.node)
	return [64]byte(ed25519.Sign(logKey(a.Epoch), d[:]))
}

// anchor returns a head of the current epoch with a root made from its size.
func (f *fixture) anchor(size uint64) *AnchorExternal {
	f.t.Helper()
	a := Anchor{Epoch: f.nodeState().Epoch, Size: size, Root: [32]byte{byte(size), 1}}
	return &AnchorExternal{Anchor: a, Signature: f.signAnchor(a)}
}

// Body makes an internal message, so that fixtures can send it.
func (m *anchorMessage) Body() (c *cellT, err error) { return m.AnchorInternal.Body(), nil }

type anchorMessage struct{ AnchorInternal }

func internal(m *AnchorExternal) *anchorMessage {
	return &anchorMessage{AnchorInternal{QueryID: 3, Anchor: m.Anchor, Signature: m.Signature}}
}

func TestAnchorExternal(t *testing.T) {
	l := newLone(t)
	refused(t, l.SendExternal(l.node, l.anchor(1).Body()), exitUnderflow) // initial data is too short
	l.setProfile()
	refused(t, l.SendExternal(l.node, l.anchor(1).Body()), CodeEpoch)
	l.registerLone()
	l.stake(5 * tvmtest.Coin)
	refused(t, l.SendExternal(l.node, l.anchor(0).Body()), CodeNotLarger)

	m := l.anchor(7)
	before := treeOf(l.Data(l.node))
	txs := good(t, l.SendExternal(l.node, m.Body()))
	t.Logf("an anchor takes %d gas and costs %v nano", txs[0].Gas, txs[0].Fees)
	if fee := txs[0].Fees.Uint64(); fee > 2_000_000 || len(txs) != 1 {
		t.Errorf("an anchor costs %d nano in %d messages", fee, len(txs))
	}
	if s := l.nodeState(); s.Anchor != m.Anchor || s.AnchorTime != l.Now {
		t.Errorf("anchored %+v at %d", s.Anchor, s.AnchorTime)
	}
	// Nothing but time, size and root changed.
	after := treeOf(l.Data(l.node))
	const start, end = 552, 552 + 32 + 64 + 256
	copy(after.bits[start:end], before.bits[start:end])
	if !tvmtest.Equal(after.cell(), before.cell()) {
		t.Error("an anchor changed something else")
	}

	refused(t, l.SendExternal(l.node, l.anchor(8).Body()), CodeInterval)
	l.Now += l.params.AnchorInterval - 1
	refused(t, l.SendExternal(l.node, l.anchor(8).Body()), CodeInterval)
	l.Now++
	refused(t, l.SendExternal(l.node, m.Body()), CodeNotLarger) // again
	refused(t, l.SendExternal(l.node, l.anchor(7).Body()), CodeNotLarger)
	refused(t, l.SendExternal(l.node, l.anchor(6).Body()), CodeNotLarger)

	// Each field is signed, and each bit of the signature counts.
	for name, edit := range map[string]func(*AnchorExternal){
		"size":               func(m *AnchorExternal) { m.Size++ },
		"root":               func(m *AnchorExternal) { m.Root[31] ^= 1 },
		"signature":          func(m *AnchorExternal) { m.Signature[5] ^= 1 },
		"end of signature":   func(m *AnchorExternal) { m.Signature[63] ^= 1 },
		"of another chain":   func(m *AnchorExternal) { m.resign(t, tvmtest.GlobalID+1, l.node, 1) },
		"of another node":    func(m *AnchorExternal) { m.resign(t, tvmtest.GlobalID, l.root, 1) },
		"by another log key": func(m *AnchorExternal) { m.resign(t, tvmtest.GlobalID, l.node, 2) },
	} {
		m := l.anchor(8)
		edit(m)
		t.Run(name, func(t *testing.T) { refused(t, l.SendExternal(l.node, m.Body()), CodeBadSignature) })
	}
	m = l.anchor(8)
	m.Epoch++
	refused(t, l.SendExternal(l.node, m.Body()), CodeEpoch)
	for _, edit := range []func(*tree){
		func(c *tree) { c.bits = append(c.bits, 0) }, func(c *tree) { c.bits = c.bits[1:] }, func(c *tree) { c.refs = []*tree{{}} },
	} {
		b := treeOf(l.anchor(8).Body())
		edit(b)
		refused(t, l.SendExternal(l.node, b.cell()), exitUnderflow)
	}
	good(t, l.SendExternal(l.node, l.anchor(8).Body()))
}

func (m *AnchorExternal) resign(t *testing.T, chain int32, node attestation.Address, epoch uint32) {
	d := m.Digest(chain, node)
	m.Signature = [64]byte(ed25519.Sign(logKey(epoch), d[:]))
}

// TestAnchorEpoch checks that the next boot's key anchors and the last one's
// does not, and that the log only grows over epochs.
func TestAnchorEpoch(t *testing.T) {
	l := newLone(t)
	l.registerLone()
	good(t, l.SendExternal(l.node, l.anchor(7).Body()))
	old := l.anchor(9)
	l.Now += l.params.AnchorInterval
	l.registerLone()
	refused(t, l.SendExternal(l.node, old.Body()), CodeEpoch)
	l.refuses(CodeEpoch, l.anybody, ValueSmall, internal(old))
	refused(t, l.SendExternal(l.node, l.anchor(7).Body()), CodeNotLarger)
	good(t, l.SendExternal(l.node, l.anchor(8).Body()))
}

func TestAnchorInternal(t *testing.T) {
	l := newLone(t)
	l.refuses(CodeEpoch, l.anybody, ValueSmall, internal(l.anchor(1)))
	l.registerLone()
	good(t, l.SendExternal(l.node, l.anchor(1).Body()))
	// Anybody may pay for one, at once.
	m := l.anchor(2)
	balance := l.Balance(l.node)
	good(t, l.send(l.anybody, ValueSmall, internal(m)))
	done(t, l.anybody, 0)
	if s := l.nodeState(); s.Anchor != m.Anchor || s.AnchorTime != l.Now {
		t.Errorf("anchored %+v", s.Anchor)
	}
	if l.Balance(l.node).Cmp(balance) < 0 {
		t.Error("an anchor that somebody else pays cost the node")
	}
	l.refuses(CodeValueTooLow, l.anybody, ValueSmall-1, internal(l.anchor(3)))
	l.refuses(CodeNotLarger, l.anybody, ValueSmall, internal(l.anchor(2)))
	for name, edit := range map[string]func(*AnchorExternal){
		"size":      func(m *AnchorExternal) { m.Size++ },
		"root":      func(m *AnchorExternal) { m.Root[0] ^= 1 },
		"signature": func(m *AnchorExternal) { m.Signature[0] ^= 1 },
	} {
		m := l.anchor(3)
		edit(m)
		t.Run(name, func(t *testing.T) { l.refuses(CodeBadSignature, l.anybody, ValueSmall, internal(m)) })
	}
}

// TestAnchorBalance checks that no anchor that the node pays for eats into
// stake, unbonding stake, credits or the reserve.
func TestAnchorBalance(t *testing.T) {
	const cost = 2_000_000
	for name, prepare := range map[string]func(*lone){
		"nothing":   func(l *lone) {},
		"stake":     func(l *lone) { l.stake(20 * tvmtest.Coin) },
		"unbonding": func(l *lone) { l.stake(200 * tvmtest.Coin); l.unbond(50 * tvmtest.Coin) },
		"credits": func(l *lone) {
			l.stake(200 * tvmtest.Coin)
			l.reportReceipts(l.anybody, 1)
			l.registerLone()
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLone(t)
			l.registerLone()
			prepare(l)
			protected := l.nodeState().Protected()
			// The operator takes out all that nothing protects.
			spare := l.Balance(l.node).Uint64() - protected - NodeReserve
			l.refuses(CodeBalance, l.operator, ValueSmall, &Withdraw{Surplus: spare + 1})
			good(t, l.send(l.operator, ValueSmall, &Withdraw{Surplus: spare}))
			if got := l.Balance(l.node).Uint64(); got != protected+NodeReserve {
				t.Fatalf("%d are left, want %d", got, protected+NodeReserve)
			}
			refused(t, l.SendExternal(l.node, l.anchor(5).Body()), CodeBalance)
			good(t, l.anybody.Send(tvmtest.Message{To: l.node, Value: cost + 1_500_000, Bounce: true}))
			good(t, l.SendExternal(l.node, l.anchor(5).Body()))
			if got := l.Balance(l.node).Uint64(); got < protected+NodeReserve {
				t.Errorf("%d are left, below %d", got, protected+NodeReserve)
			}
		})
	}
}

// TestAnchorDigest compares both packages that know the digest.
func TestAnchorDigest(t *testing.T) {
	a := Anchor{Epoch: 3, Size: 1 << 40, Root: [32]byte{1, 2, 3}}
	n := attestation.Address{Workchain: 0, Hash: [32]byte{4, 5}}
	c := translog.Checkpoint{ChainID: -3, Node: n, Epoch: a.Epoch, Size: a.Size, Root: a.Root}
	if a.Digest(-3, n) != c.AnchorDigest() {
		t.Error("the contract's digest is not the log's")
	}
}
