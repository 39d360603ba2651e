package contracts

import (
	"crypto/ed25519"
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/receipt"
	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

// burnAddress is where burned coins go.
var burnAddress = attestation.Address{}

// receiptHead returns a receipt head of the node with something to tell it by.
func (f *fixture) receiptHead(epoch uint32, index uint64, salt byte) *receipt.Head {
	return &receipt.Head{Node: f.node, Epoch: epoch, Index: index, Time: f.Now, BlockSeqno: 1600, BodyDigest: [32]byte{salt}}
}

func signHead(h *receipt.Head, epoch uint32) [64]byte {
	return [64]byte(ed25519.Sign(receiptKey(epoch), h.AppendTo(nil)))
}

// twoReceipts proves that one index was given twice.
func (f *fixture) twoReceipts(epoch uint32, index uint64) *ReportReceipts {
	a, b := f.receiptHead(epoch, index, 1), f.receiptHead(epoch, index, 2)
	return &ReportReceipts{QueryID: 5, A: [124]byte(a.AppendTo(nil)), B: [124]byte(b.AppendTo(nil)), SignA: signHead(a, epoch), SignB: signHead(b, epoch)}
}

// reportReceipts proves it to the node.
func (f *fixture) reportReceipts(by *tvmtest.Actor, index uint64) {
	f.t.Helper()
	good(f.t, f.send(by, ValueReport, f.twoReceipts(f.nodeState().Epoch, index)))
	done(f.t, by, 0)
}

// twoHeads proves that the log forked at a size.
func (f *fixture) twoHeads(epoch uint32, size uint64) *ReportHeads {
	a, b := Anchor{epoch, size, [32]byte{1}}, Anchor{epoch, size, [32]byte{2}}
	return &ReportHeads{QueryID: 6, A: a, B: b, SignA: f.signAnchor(a), SignB: f.signAnchor(b)}
}

// newFaulty is a registered node with a stake of 150 coins.
func newFaulty(t testing.TB) *lone {
	l := newLone(t)
	l.stake(150 * tvmtest.Coin)
	l.registerLone()
	return l
}

// wantSlashed checks what a loss does to the state, and that half is burned.
func (l *lone) wantSlashed(before *NodeState, txs []tvmtest.Tx, by *tvmtest.Actor, loss uint64) {
	l.t.Helper()
	s := l.nodeState()
	if s.Status != StatusInactive || s.Expires > l.Now {
		l.t.Errorf("the registration goes on: status %v, expires %d", s.Status, s.Expires)
	}
	if got := before.Stake + before.Unbonding - s.Stake - s.Unbonding; got != loss {
		l.t.Errorf("lost %d, want %d", got, loss)
	}
	reward := s.Book.Credits[by.Address] - before.Book.Credits[by.Address]
	if reward != loss/2 || s.Owed-before.Owed != reward {
		l.t.Errorf("reward %d, owed %d more, want %d", reward, s.Owed-before.Owed, loss/2)
	}
	var burned uint64
	for _, tx := range txs {
		if tx.To == burnAddress {
			burned += tx.Value + tx.Import
		}
	}
	if burned < loss-loss/2-1_000_000 || burned > loss-loss/2 {
		l.t.Errorf("burned %d, want %d less the way there", burned, loss-loss/2)
	}
}

func TestReportHeads(t *testing.T) {
	l := newFaulty(t)
	before := l.nodeState()
	balance := l.Balance(l.node).Uint64()
	txs := l.send(l.anybody, ValueReport, l.twoHeads(1, 17))
	done(t, l.anybody, 0)
	l.wantSlashed(before, txs, l.anybody, l.params.ForkLoss)
	if s := l.nodeState(); s.Stake != 50*tvmtest.Coin {
		t.Errorf("stake is %d", s.Stake)
	}
	// The report paid for itself: only burned coins left the contract.
	if got := balance - l.Balance(l.node).Uint64(); got != l.params.ForkLoss/2 {
		t.Errorf("%d left the contract", got)
	}
	good(t, l.send(l.anybody, ValueSmall, &Withdraw{}))
	if got := l.anybody.Last().Value; got < l.params.ForkLoss/2 {
		t.Errorf("the reporter got %d", got)
	}
}

func TestReportHeadsRefused(t *testing.T) {
	l := newFaulty(t)
	l.refuses(CodeValueTooLow, l.anybody, ValueReport-1, l.twoHeads(1, 17))
	for name, c := range map[string]struct {
		code int
		edit func(*ReportHeads)
	}{
		"first signature":  {CodeBadSignature, func(m *ReportHeads) { m.SignA[1] ^= 1 }},
		"second signature": {CodeBadSignature, func(m *ReportHeads) { m.SignB[1] ^= 1 }},
		"first root":       {CodeBadSignature, func(m *ReportHeads) { m.A.Root[1] ^= 1 }},
		"second root":      {CodeBadSignature, func(m *ReportHeads) { m.B.Root[1] ^= 1 }},
		"size":             {CodeBadSignature, func(m *ReportHeads) { m.A.Size++; m.B.Size++ }},
		"epoch to come":    {CodeEpoch, func(m *ReportHeads) { m.A.Epoch, m.B.Epoch = 2, 2 }},
		"epoch 0":          {CodeEpoch, func(m *ReportHeads) { m.A.Epoch, m.B.Epoch = 0, 0 }},
		"another chain": {CodeBadSignature, func(m *ReportHeads) {
			m.SignA, m.SignB = signOn(l.node, -3, m.A), signOn(l.node, -3, m.B)
		}},
		"another node": {CodeBadSignature, func(m *ReportHeads) {
			m.SignA, m.SignB = signOn(l.root, tvmtest.GlobalID, m.A), signOn(l.root, tvmtest.GlobalID, m.B)
		}},
		"two sizes": {CodeBadSignature, func(m *ReportHeads) {
			other := Anchor{1, 18, m.B.Root}
			m.SignB = l.signAnchor(other)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			m := l.twoHeads(1, 17)
			c.edit(m)
			l.refuses(c.code, l.anybody, ValueReport, m)
		})
	}
	fresh := newLone(t)
	fresh.setProfile()
	fresh.refuses(CodeEpoch, fresh.anybody, ValueReport, fresh.twoHeads(0, 17))
	same := l.twoHeads(1, 17)
	body := plain(opReportHeads, 0).MustStoreUInt(1, 32).MustStoreUInt(17, 64).MustStoreSlice(same.A.Root[:], 256).MustStoreSlice(same.A.Root[:], 256).
		MustStoreRef(twoSignatures(same.SignA, same.SignA)).EndCell()
	l.refusesBody(l.node, CodeNotAFault, l.anybody, ValueReport, body)
	// A client doesn't send what can't be a fault.
	for _, edit := range []func(*ReportHeads){
		func(m *ReportHeads) { m.B = m.A }, func(m *ReportHeads) { m.B.Epoch++ }, func(m *ReportHeads) { m.B.Size++ },
	} {
		m := l.twoHeads(1, 17)
		edit(m)
		if _, err := m.Body(); err == nil {
			t.Errorf("%+v: a body was made", m)
		}
	}
}

func signOn(node attestation.Address, chain int32, a Anchor) [64]byte {
	d := a.Digest(chain, node)
	return [64]byte(ed25519.Sign(logKey(a.Epoch), d[:]))
}

func TestReportReceipts(t *testing.T) {
	l := newFaulty(t)
	before := l.nodeState()
	txs := l.send(l.anybody, ValueReport, l.twoReceipts(1, 3))
	done(t, l.anybody, 0)
	l.wantSlashed(before, txs, l.anybody, l.params.ReceiptLoss)
	// Once for one index, whatever the receipts; again for another.
	l.refuses(CodeSettled, l.operator, ValueReport, l.twoReceipts(1, 3))
	again := l.twoReceipts(1, 3)
	c := l.receiptHead(1, 3, 9)
	again.B, again.SignB = [124]byte(c.AppendTo(nil)), signHead(c, 1)
	l.refuses(CodeSettled, l.operator, ValueReport, again)
	before = l.nodeState()
	txs = l.send(l.anybody, ValueReport, l.twoReceipts(1, 4))
	l.wantSlashed(before, txs, l.anybody, l.params.ReceiptLoss)
	// A fork of the log at the same number is another fault.
	before = l.nodeState()
	txs = l.send(l.anybody, ValueReport, l.twoHeads(1, 3))
	l.wantSlashed(before, txs, l.anybody, l.params.ForkLoss)
	l.refuses(CodeSettled, l.anybody, ValueReport, l.twoHeads(1, 3))
}

func TestReportReceiptsRefused(t *testing.T) {
	l := newFaulty(t)
	l.refuses(CodeValueTooLow, l.anybody, ValueReport-1, l.twoReceipts(1, 3))
	resign := func(m *ReportReceipts, edit func(a, b *receipt.Head)) {
		a, _ := receipt.ParseHead(m.A[:])
		b, _ := receipt.ParseHead(m.B[:])
		edit(&a, &b)
		m.A, m.B = [124]byte(a.AppendTo(nil)), [124]byte(b.AppendTo(nil))
		m.SignA, m.SignB = signHead(&a, 1), signHead(&b, 1)
	}
	for name, c := range map[string]struct {
		code int
		edit func(*ReportReceipts)
	}{
		"first signature":  {CodeBadSignature, func(m *ReportReceipts) { m.SignA[1] ^= 1 }},
		"second signature": {CodeBadSignature, func(m *ReportReceipts) { m.SignB[1] ^= 1 }},
		"first receipt":    {CodeBadSignature, func(m *ReportReceipts) { m.A[123] ^= 1 }},
		"second receipt":   {CodeBadSignature, func(m *ReportReceipts) { m.B[123] ^= 1 }},
		"of another node":  {CodeWrongNode, func(m *ReportReceipts) { resign(m, func(a, b *receipt.Head) { a.Node, b.Node = l.root, l.root }) }},
		"of a workchain": {CodeWrongNode, func(m *ReportReceipts) {
			resign(m, func(a, b *receipt.Head) { a.Node.Workchain, b.Node.Workchain = -1, -1 })
		}},
		"of an epoch to come": {CodeEpoch, func(m *ReportReceipts) { resign(m, func(a, b *receipt.Head) { a.Epoch, b.Epoch = 2, 2 }) }},
		"by the log key": {CodeBadSignature, func(m *ReportReceipts) {
			m.SignA = [64]byte(ed25519.Sign(logKey(1), m.A[:]))
			m.SignB = [64]byte(ed25519.Sign(logKey(1), m.B[:]))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			m := l.twoReceipts(1, 3)
			c.edit(m)
			l.refuses(c.code, l.anybody, ValueReport, m)
		})
	}
	// What the client's checks would stop.
	raw := func(a, b *receipt.Head) *rawBody {
		m := &ReportReceipts{A: [124]byte(a.AppendTo(nil)), B: [124]byte(b.AppendTo(nil)), SignA: signHead(a, 1), SignB: signHead(b, 1)}
		if _, err := m.Body(); err == nil {
			t.Errorf("%+v: a body was made", m)
		}
		c := func(b [124]byte) *cellT { return build().MustStoreSlice(b[:], 992).EndCell() }
		return &rawBody{plain(opReportReceipts, 0).MustStoreRef(c(m.A)).MustStoreRef(c(m.B)).MustStoreRef(twoSignatures(m.SignA, m.SignB)).EndCell()}
	}
	a := l.receiptHead(1, 3, 1)
	l.refuses(CodeNotAFault, l.anybody, ValueReport, raw(a, a))
	l.refuses(CodeNotAFault, l.anybody, ValueReport, raw(a, l.receiptHead(1, 4, 2)))
	l.refuses(CodeNotAFault, l.anybody, ValueReport, raw(a, l.receiptHead(2, 3, 2)))
	for _, node := range []attestation.Address{l.root, {Workchain: -1, Hash: l.node.Hash}} {
		foreign := l.receiptHead(1, 3, 2)
		foreign.Node = node
		l.refuses(CodeWrongNode, l.anybody, ValueReport, raw(a, foreign))
		l.refuses(CodeWrongNode, l.anybody, ValueReport, raw(foreign, a))
	}
	for i := range 2 {
		body, _ := l.twoReceipts(1, 3).Body()
		b := treeOf(body)
		b.refs[i].bits[31] ^= 1
		l.refusesBody(l.node, CodeBadFormat, l.anybody, ValueReport, b.cell())
	}
}

// TestReportPastEpoch punishes what an earlier boot signed, as long as its
// record is kept, and not with other keys than its own.
func TestReportPastEpoch(t *testing.T) {
	l := newFaulty(t)
	l.Now += 1000
	l.registerLone()
	before := l.nodeState()
	wrong := l.twoReceipts(2, 3)
	a, b := l.receiptHead(2, 3, 1), l.receiptHead(2, 3, 2)
	wrong.SignA, wrong.SignB = signHead(a, 1), signHead(b, 1)
	l.refuses(CodeBadSignature, l.anybody, ValueReport, wrong)
	txs := l.send(l.anybody, ValueReport, l.twoReceipts(1, 3))
	l.wantSlashed(before, txs, l.anybody, l.params.ReceiptLoss)
	// The same index in another epoch is another fault.
	before = l.nodeState()
	txs = l.send(l.anybody, ValueReport, l.twoReceipts(2, 3))
	l.wantSlashed(before, txs, l.anybody, l.params.ReceiptLoss)
}

// TestSlashUnbonding takes the loss from stake on its way out too, and never
// more than there is.
func TestSlashUnbonding(t *testing.T) {
	l := newFaulty(t)
	l.unbond(50 * tvmtest.Coin)
	for i := range uint64(9) {
		l.reportReceipts(l.anybody, i)
	}
	if s := l.nodeState(); s.Stake != 10*tvmtest.Coin || s.Unbonding != 50*tvmtest.Coin {
		t.Fatalf("after nine receipts: stake %d, unbonding %d", s.Stake, s.Unbonding)
	}
	before := l.nodeState()
	txs := l.send(l.anybody, ValueReport, l.twoHeads(1, 1))
	l.wantSlashed(before, txs, l.anybody, 60*tvmtest.Coin)
	if s := l.nodeState(); s.Stake != 0 || s.Unbonding != 0 {
		t.Errorf("after the fork: %+v", s)
	}
	l.refuses(CodeNoStake, l.anybody, ValueReport, l.twoHeads(1, 2))
	// A fault that found nothing to take is not paid for: it waits for stake.
	l.stake(tvmtest.Coin)
	before = l.nodeState()
	txs = l.send(l.anybody, ValueReport, l.twoHeads(1, 2))
	l.wantSlashed(before, txs, l.anybody, tvmtest.Coin)
}

// TestFaultWithoutStake ends the registration where there is nothing to lose.
func TestFaultWithoutStake(t *testing.T) {
	l := newLone(t)
	l.registerLone()
	good(t, l.send(l.anybody, ValueReport, l.twoReceipts(1, 3)))
	done(t, l.anybody, 0)
	s := l.nodeState()
	if s.Status != StatusInactive || s.Owed != 0 || len(s.Book.Credits) != 0 || len(s.Book.Settled) != 0 {
		t.Errorf("after the fault: %+v", s)
	}
	l.refuses(CodeNoStake, l.anybody, ValueReport, l.twoReceipts(1, 3))
}

// TestSlashDropsPending checks that a registration that Root judged by the stake
// before does not become active.
func TestSlashDropsPending(t *testing.T) {
	l := newFaulty(t)
	h := l.heads()
	good(t, l.send(l.operator, ValueRegister, l.certified(h)))
	yes := l.answer()
	l.reportReceipts(l.anybody, 3)
	refused(t, l.say(l.answer()), CodeNotPending)
	if s := l.nodeState(); s.Epoch != 1 || s.Status != StatusInactive || s.Pending == nil || s.Pending.LT != 0 {
		t.Errorf("after the late answer: %+v", s)
	}
	// Nothing takes its place, and no stake leaves, while the answer may be under
	// way: it would confirm what was never judged.
	l.refuses(CodePending, l.operator, ValueRegister, l.certified(h, func(c *Certificate) { c.Measurement = [32]byte{0xbb} }))
	l.refuses(CodePending, l.operator, ValueSmall, &Unbond{Amount: 1})
	l.released(yes, l.platform)
	l.Now += pendingTimeout
	good(t, l.send(l.operator, ValueRegister, l.certified(l.heads())))
	good(t, l.say(l.answer()))
	if s := l.nodeState(); s.Epoch != 2 || s.Pending != nil {
		t.Errorf("after another registration: %+v", s)
	}
}

// TestRecheckWaits: while a registration of a live node waits for its answer, a
// recheck of the old one would take the new one's entry off Root's list.
func TestRecheckWaits(t *testing.T) {
	l := newFaulty(t)
	good(t, l.send(l.operator, ValueRegister, l.certified(l.heads())))
	l.refuses(CodePending, l.anybody, ValueCheck, &Recheck{})
	good(t, l.say(l.answer()))
	good(t, l.send(l.anybody, ValueCheck, &Recheck{}))
}

// TestSlashShortOfCoins punishes a node whose stake storage has eaten into.
func TestSlashShortOfCoins(t *testing.T) {
	l := newFaulty(t)
	good(t, l.send(l.operator, ValueSmall, &Withdraw{Surplus: l.Balance(l.node).Uint64() - l.nodeState().Protected() - NodeReserve}))
	l.Now += 10 * 365 * day
	l.reportReceipts(l.anybody, 0)
	for i := range uint64(15) {
		l.send(l.anybody, ValueReport, l.twoReceipts(1, i+1))
	}
	s := l.nodeState()
	if s.Stake != 0 {
		t.Errorf("%d of the stake are left", s.Stake)
	}
	if len(s.Book.Settled) != 15 {
		t.Errorf("%d faults were punished, want 15", len(s.Book.Settled))
	}
}
