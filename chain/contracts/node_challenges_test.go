package contracts

import (
	"crypto/ed25519"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/receipt"
	"github.com/cocoon-go/cocoon/attestation/translog"
	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

// logged is a registered node with a stake of 150 coins and a real log.
type logged struct {
	*lone
	log     *testLog
	holder  *tvmtest.Actor
	receipt *receipt.Head // not in the log yet; its index is the log's size
}

func newLogged(t testing.TB, leaves int) *logged {
	t.Helper()
	l := &logged{lone: newFaulty(t), log: newTestLog(t, leaves)}
	l.holder = l.Actor("holder", 1000*tvmtest.Coin)
	l.receipt = l.newReceipt(uint64(leaves))
	return l
}

// newReceipt returns a receipt whose holder is the test's.
func (l *logged) newReceipt(index uint64) *receipt.Head {
	h := l.receiptHead(1, index, 1)
	h.Holder = receipt.Holder(pub(key("holder")))
	return h
}

// publish anchors the log as it is, by whoever pays.
func (l *logged) publish() {
	l.t.Helper()
	s := l.nodeState()
	a := Anchor{Epoch: s.Epoch, Size: uint64(len(l.log.leaves)), Root: l.log.root(len(l.log.leaves))}
	good(l.t, l.send(l.anybody, ValueSmall, internal(&AnchorExternal{a, l.signAnchor(a)})))
}

// challenge is the holder's.
func (l *logged) challenge() *ChallengeReceipt {
	m := &ChallengeReceipt{QueryID: 4, ChainID: tvmtest.GlobalID, Payout: l.holder.Address, Head: *l.receipt}
	m.SignReceipt = [64]byte(ed25519.Sign(receiptKey(l.receipt.Epoch), l.receipt.AppendTo(nil)))
	m.Sign(key("holder"))
	return m
}

// open sends it once the merge delay is over.
func (l *logged) open() [32]byte {
	l.t.Helper()
	l.Now = max(l.Now, l.receipt.Time+l.params.MergeDelay)
	m := l.challenge()
	good(l.t, l.send(l.anybody, l.bond()+ValueChallenge, m))
	done(l.t, l.anybody, 0)
	return m.ID()
}

func (l *logged) bond() uint64 { return l.params.ChallengeBond }

func (l *logged) challengeState(id [32]byte) Challenge {
	l.t.Helper()
	c, ok := l.nodeState().Book.Challenges[id]
	if !ok {
		l.t.Fatal("no such challenge is open")
	}
	return c
}

// credits returns what the node owes to somebody.
func (l *logged) credits(a *tvmtest.Actor) uint64 { return l.nodeState().Book.Credits[a.Address] }

// TestChallengeAnswered follows a challenge that was needless: the log held the
// receipt. Both bear half of the bond; the node loses nothing.
func TestChallengeAnswered(t *testing.T) {
	l := newLogged(t, 40)
	l.log.add(l.receipt.LeafHash())
	for range 30 {
		l.log.add([32]byte{9})
	}
	l.publish()
	before := l.nodeState()
	balance := l.Balance(l.node).Uint64()
	id := l.open()
	if got := l.Balance(l.node).Uint64() - balance; got > l.bond() || got < l.bond()-10_000 { // less storage
		t.Errorf("the challenge left %d in the contract, want the bond", got)
	}
	want := Challenge{
		Payout: l.holder.Address, Bond: l.bond(), Loss: l.params.ReceiptLoss, Deadline: l.Now + l.params.AnswerWindow,
		Number: 40, Hash: l.receipt.LeafHash(), Size: 71, Root: l.log.root(71),
	}
	if got := l.challengeState(id); got != want {
		t.Errorf("open is %+v, want %+v", got, want)
	}
	if s := l.nodeState(); s.Owed != before.Owed+l.bond() || s.Status != StatusActive {
		t.Errorf("with a challenge open: %+v", s)
	}
	l.refuses(CodeOpen, l.anybody, l.bond()+ValueChallenge, l.challenge())

	// The log grows; the challenge is about the tree of its time.
	l.log.add([32]byte{10})
	l.publish()
	good(t, l.send(l.operator, ValueAnswer, &Answer{QueryID: 6, Challenge: id, Proof: l.log.inclusion(40, 71)}))
	done(t, l.operator, 0)
	s := l.nodeState()
	if len(s.Book.Challenges) != 0 || s.Stake != before.Stake || s.Status != StatusActive || len(s.Book.Settled) != 0 {
		t.Errorf("after the answer: %+v", s)
	}
	if h, o := l.credits(l.holder), l.credits(l.operator); h != l.bond()/2 || o != l.bond()/2 || s.Owed != before.Owed+l.bond() {
		t.Errorf("holder is owed %d, who answered %d, all %d", h, o, s.Owed)
	}
	l.refuses(CodeNoChallenge, l.operator, ValueAnswer, &Answer{Challenge: id, Proof: l.log.inclusion(40, 71)})
	good(t, l.send(l.holder, ValueSmall, &Withdraw{}))
	good(t, l.send(l.operator, ValueSmall, &Withdraw{}))
	if s := l.nodeState(); s.Owed != before.Owed {
		t.Errorf("%d are owed after all was paid", s.Owed)
	}
	// He may ask again, and pays again.
	l.open()
}

// TestChallengeLate follows a challenge of a receipt that no anchor covered:
// lateness alone is no fault, but the bond comes back whole.
func TestChallengeLate(t *testing.T) {
	l := newLogged(t, 40)
	l.publish()
	before := l.nodeState()
	id := l.open()
	if c := l.challengeState(id); !c.Late || c.Size != 0 || c.Root != ([32]byte{}) {
		t.Errorf("open is %+v", c)
	}
	if c := l.challengeState(id); c.Verify(nil) == nil {
		t.Error("a challenge that can't be answered yet was")
	}
	l.log.add(l.receipt.LeafHash())
	answer := &Answer{Challenge: id, Proof: l.log.inclusion(40, 41)}
	l.refuses(CodeNotCovered, l.operator, ValueAnswer, answer)
	l.publish()
	good(t, l.send(l.operator, ValueAnswer, answer))
	done(t, l.operator, 0)
	if h, all := l.credits(l.holder), l.nodeState().Book.Credits; h != l.bond() || len(all) != 1 {
		t.Errorf("holder is owed %d, credits are %v", h, all)
	}
	if s := l.nodeState(); s.Stake != before.Stake || s.Status != StatusActive {
		t.Errorf("after the answer: %+v", s)
	}
}

// TestChallengeNotCovered: before an anchor covers the receipt there is no tree to prove
// against, and that is no fault of the proof.
func TestChallengeNotCovered(t *testing.T) {
	if err := (&Challenge{Number: 7}).Verify(nil); attestation.ExitCode(err) != 3 {
		t.Errorf("%v", err)
	}
}

// TestChallengeSnapshot checks that nobody can make proofs fail by growing the
// log: the first answer after the anchor fixes the tree, good or bad.
func TestChallengeSnapshot(t *testing.T) {
	l := newLogged(t, 40)
	l.publish()
	id := l.open()
	l.log.add(l.receipt.LeafHash())
	l.publish()
	for range 5 {
		l.log.add([32]byte{9})
	}
	l.publish() // behind the back of who made the proof
	stale := &Answer{QueryID: 6, Challenge: id, Proof: l.log.inclusion(40, 41)}
	good(t, l.send(l.operator, ValueAnswer, stale))
	done(t, l.operator, CodeBadProof)
	c := l.challengeState(id)
	if c.Size != 46 || c.Root != l.log.root(46) || !c.Late {
		t.Errorf("open is %+v", c)
	}
	l.refuses(CodeBadProof, l.operator, ValueAnswer, stale)
	l.log.add([32]byte{11})
	l.publish()
	proof := l.log.inclusion(40, int(c.Size))
	if err := c.Verify(proof); err != nil {
		t.Error(err)
	}
	good(t, l.send(l.operator, ValueAnswer, &Answer{Challenge: id, Proof: proof}))
	done(t, l.operator, 0)
}

// TestChallengeSilence follows a challenge that nobody answers.
func TestChallengeSilence(t *testing.T) {
	for _, covered := range []bool{true, false} {
		l := newLogged(t, 40)
		if covered {
			l.log.add([32]byte{1}) // another leaf in its place
		}
		l.publish()
		id := l.open()
		if covered {
			l.refuses(CodeBadProof, l.operator, ValueAnswer, &Answer{Challenge: id, Proof: l.log.inclusion(40, 41)})
			l.refuses(CodeBadProof, l.operator, ValueAnswer, &Answer{Challenge: id, Proof: l.log.inclusion(40, 41)[1:]})
			l.refuses(CodeBadProof, l.operator, ValueAnswer, &Answer{Challenge: id})
		}
		m := &Settle{QueryID: 8, Challenge: id}
		deadline := l.challengeState(id).Deadline
		l.Now = deadline
		l.refuses(CodeTooEarly, l.anybody, ValueReport, m)
		l.Now++
		l.refuses(CodeTooLate, l.operator, ValueAnswer, &Answer{Challenge: id})
		l.refuses(CodeValueTooLow, l.anybody, ValueReport-1, m)
		l.refuses(CodeNoChallenge, l.anybody, ValueReport, &Settle{Challenge: [32]byte{1}})
		before := l.nodeState()
		txs := l.send(l.anybody, ValueReport, m)
		done(t, l.anybody, 0)
		l.wantLost(before, txs, l.holder, l.params.ReceiptLoss, l.bond())
		l.refuses(CodeNoChallenge, l.anybody, ValueReport, m)
		l.stake(tvmtest.Coin)
		l.refuses(CodeSettled, l.anybody, l.bond()+ValueChallenge, l.challenge())
		good(t, l.send(l.holder, ValueSmall, &Withdraw{}))
		if got, want := l.holder.Last().Value, l.bond()+l.params.ReceiptLoss/2; got < want {
			t.Errorf("the holder got %d, want %d", got, want)
		}
	}
}

// wantLost is wantSlashed for a challenge: the challenger gets his bond besides.
func (l *lone) wantLost(before *NodeState, txs []tvmtest.Tx, by *tvmtest.Actor, loss, bond uint64) {
	l.t.Helper()
	s := l.nodeState()
	got := s.Book.Credits[by.Address] - before.Book.Credits[by.Address]
	if got != loss/2+bond {
		l.t.Errorf("the challenger is owed %d, want %d", got, loss/2+bond)
	}
	if s.Owed != before.Owed+loss/2 {
		l.t.Errorf("owed grew by %d, want %d", s.Owed-before.Owed, loss/2)
	}
	if got := before.Stake + before.Unbonding - s.Stake - s.Unbonding; got != loss {
		l.t.Errorf("lost %d, want %d", got, loss)
	}
	if s.Status != StatusInactive || len(s.Book.Settled) != len(before.Book.Settled)+1 || len(s.Book.Challenges) != len(before.Book.Challenges)-1 {
		l.t.Errorf("after the loss: %+v", s)
	}
	var burned uint64
	for _, tx := range txs {
		if tx.To == burnAddress {
			burned += tx.Value + tx.Import
		}
	}
	if burned < loss-loss/2-1_000_000 || burned > loss-loss/2 {
		l.t.Errorf("burned %d of a loss of %d", burned, loss)
	}
}

func TestChallengeReceiptRefused(t *testing.T) {
	l := newLogged(t, 40)
	l.publish()
	value := l.bond() + ValueChallenge
	m := l.challenge()

	// Time: after the merge delay, and so early that the answer comes before
	// unbonding can be over.
	l.Now = l.receipt.Time + l.params.MergeDelay - 1
	l.refuses(CodeTooEarly, l.anybody, value, m)
	l.Now++
	l.refuses(CodeValueTooLow, l.anybody, value-1, m)

	resign := func(m *ChallengeReceipt, epoch uint32) {
		m.SignReceipt = [64]byte(ed25519.Sign(receiptKey(epoch), m.Head.AppendTo(nil)))
		m.Sign(key("holder"))
	}
	for name, c := range map[string]struct {
		code int
		edit func(*ChallengeReceipt)
	}{
		"another node":           {CodeWrongNode, func(m *ChallengeReceipt) { m.Head.Node = l.root; resign(m, 1) }},
		"another workchain":      {CodeWrongNode, func(m *ChallengeReceipt) { m.Head.Node.Workchain = -1; resign(m, 1) }},
		"epoch to come":          {CodeEpoch, func(m *ChallengeReceipt) { m.Head.Epoch = 2; resign(m, 2) }},
		"epoch 0":                {CodeEpoch, func(m *ChallengeReceipt) { m.Head.Epoch = 0; resign(m, 1) }},
		"by another receipt key": {CodeBadSignature, func(m *ChallengeReceipt) { resign(m, 2) }},
		"receipt's signature":    {CodeBadSignature, func(m *ChallengeReceipt) { m.SignReceipt[0] ^= 1 }},
		"a receipt changed":      {CodeBadSignature, func(m *ChallengeReceipt) { m.Head.BodyDigest[0] ^= 1; m.Sign(key("holder")) }},
		"a receipt to come":      {CodeTooEarly, func(m *ChallengeReceipt) { m.Head.Time = l.Now + 1000; resign(m, 1) }},
	} {
		t.Run(name, func(t *testing.T) {
			m := l.challenge()
			c.edit(m)
			l.refuses(c.code, l.anybody, value, m)
		})
	}
	// What the client's own checks would stop.
	for name, c := range map[string]struct {
		code int
		edit func(*ChallengeReceipt)
	}{
		"another payout":      {CodeBadSignature, func(m *ChallengeReceipt) { m.Payout = l.anybody.Address }},
		"holder's signature":  {CodeBadSignature, func(m *ChallengeReceipt) { m.SignHolder[0] ^= 1 }},
		"for another chain":   {CodeBadSignature, func(m *ChallengeReceipt) { m.ChainID = -239; m.Sign(key("holder")); m.ChainID = tvmtest.GlobalID }},
		"somebody else's key": {CodeNotHolder, func(m *ChallengeReceipt) { m.Sign(key("stranger")) }},
		"a receipt of nobody's": {CodeNotHolder, func(m *ChallengeReceipt) {
			m.Head.Holder = [32]byte{}
			m.SignReceipt = [64]byte(ed25519.Sign(receiptKey(1), m.Head.AppendTo(nil)))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			m := l.challenge()
			c.edit(m)
			if _, err := m.Body(); err == nil {
				t.Error("a body was made")
			}
			head := build().MustStoreSlice(m.Head.AppendTo(nil), 8*receipt.HeadSize).EndCell()
			body := storeAddr(plain(opChallengeReceipt, 0), m.Payout).MustStoreSlice(m.HolderKey[:], 256).
				MustStoreRef(head).MustStoreRef(twoSignatures(m.SignReceipt, m.SignHolder)).EndCell()
			l.refusesBody(l.node, c.code, l.anybody, value, body)
		})
	}
	if m := l.challenge(); true {
		m.Payout = attestation.Address{}
		m.Sign(key("holder"))
		if _, err := m.Body(); err == nil {
			t.Error("a body without a payout address was made")
		}
	}
	body, err := m.Body()
	if err != nil {
		t.Fatal(err)
	}
	b := treeOf(body)
	b.refs[0].bits[31] ^= 1
	l.refusesBody(l.node, CodeBadFormat, l.anybody, value, b.cell())

	l.Now = l.receipt.Time + l.params.Unbonding - l.params.AnswerWindow
	good(t, l.send(l.anybody, value, m))
	done(t, l.anybody, 0)
	other := newLogged(t, 40)
	other.publish()
	other.Now = other.receipt.Time + other.params.Unbonding - other.params.AnswerWindow + 1
	other.refuses(CodeTooLate, other.anybody, value, other.challenge())
}

func TestAnswerRefused(t *testing.T) {
	l := newLogged(t, 40)
	l.log.add(l.receipt.LeafHash())
	l.publish()
	id := l.open()
	m := &Answer{Challenge: id, Proof: l.log.inclusion(40, 41)}
	l.refuses(CodeValueTooLow, l.operator, ValueAnswer-1, m)
	l.refuses(CodeNoChallenge, l.operator, ValueAnswer, &Answer{Challenge: [32]byte{1}, Proof: m.Proof})
	l.refuses(CodeBadProof, l.operator, ValueAnswer, &Answer{Challenge: id, Proof: append(m.Proof, [32]byte{})})
	if _, err := (&Answer{Proof: make([][32]byte, 65)}).Body(); err == nil {
		t.Error("a proof of 65 hashes was made")
	}
	l.Now = l.challengeState(id).Deadline // the last second counts
	good(t, l.send(l.anybody, ValueAnswer, m))
	done(t, l.anybody, 0)
	if got := l.credits(l.anybody); got != l.bond()/2 {
		t.Errorf("who answered is owed %d", got)
	}
}

// TestChallengeFreezes checks that no stake leaves while a challenge is open,
// that credits do, and that the stake is still there when silence loses.
func TestChallengeFreezes(t *testing.T) {
	l := newLogged(t, 40)
	l.publish()
	l.unbond(20 * tvmtest.Coin)
	l.Now += l.params.Unbonding - l.params.AnswerWindow
	l.receipt.Time = l.Now - l.params.MergeDelay
	id := l.open()
	l.Now += l.params.AnswerWindow
	l.refuses(CodeFrozen, l.operator, ValueSmall, &Withdraw{})
	before := l.nodeState()
	good(t, l.send(l.operator, ValueSmall, &Withdraw{Surplus: 1_000_000}))
	if s := l.nodeState(); s.Unbonding != before.Unbonding {
		t.Errorf("%d of the stake left", before.Unbonding-s.Unbonding)
	}
	l.Now++
	good(t, l.send(l.anybody, ValueReport, &Settle{Challenge: id}))
	if s := l.nodeState(); s.Stake != 120*tvmtest.Coin || s.Unbonding != 20*tvmtest.Coin {
		t.Errorf("after the loss: stake %d, unbonding %d", s.Stake, s.Unbonding)
	}
	good(t, l.send(l.operator, ValueSmall, &Withdraw{}))
	if got := l.operator.Last().Value; got < 20*tvmtest.Coin {
		t.Errorf("the operator got %d", got)
	}
}

// TestWindows checks that after a node retired the last challenge ends before
// its stake can leave, whenever it was opened.
func TestWindows(t *testing.T) {
	l := newLogged(t, 40)
	l.publish()
	l.receipt.Time = l.Now // the last second of service
	good(t, l.send(l.operator, ValueCheck, &Retire{}))
	l.unbond(l.nodeState().Stake)
	l.Now += l.params.Unbonding - l.params.AnswerWindow
	id := l.open()
	if d, u := l.challengeState(id).Deadline, l.nodeState().Book.UnbondingAt; d > u {
		t.Errorf("an answer counts until %d, and the stake leaves at %d", d, u)
	}
	l.Now++
	l.receipt = l.newReceipt(41)
	l.receipt.Time = l.Now - 1 - l.params.Unbonding + l.params.AnswerWindow
	l.refuses(CodeTooLate, l.anybody, l.bond()+ValueChallenge, l.challenge())
}

// TestChallengePastEpoch challenges what an earlier boot promised.
func TestChallengePastEpoch(t *testing.T) {
	l := newLogged(t, 40)
	l.publish()
	l.Now += 100
	l.registerLone()
	id := l.open()
	l.log.add(l.receipt.LeafHash()) // the next boot finds it on disk
	l.publish()
	good(t, l.send(l.operator, ValueAnswer, &Answer{Challenge: id, Proof: l.log.inclusion(40, 41)}))
	done(t, l.operator, 0)
}

// TestSettleWithoutStake gives the bond back where nothing is left to lose.
func TestSettleWithoutStake(t *testing.T) {
	l := newLogged(t, 40)
	l.publish()
	id := l.open()
	good(t, l.send(l.anybody, ValueReport, l.twoHeads(1, 1)))
	good(t, l.send(l.anybody, ValueReport, l.twoHeads(1, 2)))
	if s := l.nodeState(); s.Stake != 0 {
		t.Fatalf("%d are left", s.Stake)
	}
	l.Now = l.challengeState(id).Deadline + 1
	good(t, l.send(l.anybody, ValueReport, &Settle{Challenge: id}))
	done(t, l.anybody, 0)
	if got := l.credits(l.holder); got != l.bond() {
		t.Errorf("the holder is owed %d, want the bond", got)
	}
	l.receipt = l.newReceipt(41)
	l.receipt.Time = l.Now - l.params.MergeDelay
	l.refuses(CodeNoStake, l.anybody, l.bond()+ValueChallenge, l.challenge())
	l.refuses(CodeNoStake, l.anybody, l.bond()+ValueChallenge, l.challengeLog(3, [32]byte{1}))
}

// TestChallengeWithoutStake ends the registration of a node that has nothing to
// lose, and takes nothing from anybody.
func TestChallengeWithoutStake(t *testing.T) {
	l := newLogged(t, 40)
	l.lone = newLone(t)
	l.holder = l.Actor("holder", 1000*tvmtest.Coin)
	l.registerLone()
	l.receipt = l.newReceipt(40)
	l.publish()
	id := l.open()
	l.Now = l.challengeState(id).Deadline + 1
	good(t, l.send(l.anybody, ValueReport, &Settle{Challenge: id}))
	if s := l.nodeState(); s.Status != StatusInactive || s.Owed != l.bond() || l.credits(l.holder) != l.bond() {
		t.Errorf("after the settlement: %+v", s)
	}
}

// TestAnswerPaysForItself proves the dearest claims there can be, in a log of
// 2^48 - 1 leaves: half of the least bond pays for either.
func TestAnswerPaysForItself(t *testing.T) {
	l := newLogged(t, 1)
	l.params.ChallengeBond = MinChallengeBond
	good(t, l.send(l.anybody, ValueCheck, &Recheck{}))
	good(t, l.say(l.comfort()))
	const size, index, old = translog.MaxSize, 1<<47 - 1, 1<<47 - 1
	l.receipt = l.newReceipt(index)
	u := newUniform(tlog.Hash(l.receipt.LeafHash()))
	root, err := tlog.TreeHash(size, u)
	if err != nil {
		t.Fatal(err)
	}
	a := Anchor{1, size, root}
	good(t, l.send(l.anybody, ValueSmall, internal(&AnchorExternal{a, l.signAnchor(a)})))

	answer := func(id [32]byte, proof [][32]byte) {
		t.Helper()
		txs := good(t, l.send(l.operator, ValueAnswer, &Answer{Challenge: id, Proof: proof}))
		done(t, l.operator, 0)
		// An actor's own message is free here; a wallet pays for 17 cells of it.
		cost := ValueAnswer - l.operator.Last().Value + 400_000 + 400*48*256 + 17*40_000
		t.Logf("%d hashes: %d gas, %d nano", len(proof), txs[0].Gas, cost)
		if cost > MinChallengeBond/2 {
			t.Errorf("an answer costs %d, half of the least bond is %d", cost, MinChallengeBond/2)
		}
	}
	id := l.open()
	p, err := tlog.ProveRecord(size, index, u)
	if err != nil {
		t.Fatal(err)
	}
	answer(id, hashes(p))
	oldRoot, err := tlog.TreeHash(old, u)
	if err != nil {
		t.Fatal(err)
	}
	id, _ = l.openLog(l.challengeLog(old, oldRoot))
	c, err := tlog.ProveTree(size, old, u)
	if err != nil {
		t.Fatal(err)
	}
	answer(id, hashes(c))
}

// signedHead signs a head of any root.
func (l *logged) signedHead(epoch uint32, size uint64, root [32]byte) SignedHead {
	a := Anchor{epoch, size, root}
	return SignedHead{a, l.signAnchor(a)}
}

// challengeLog doubts that a head of the first epoch belongs to the log.
func (l *logged) challengeLog(size uint64, root [32]byte) *ChallengeLog {
	return &ChallengeLog{QueryID: 5, Head: l.signedHead(1, size, root)}
}

// openLog sends a challenge of the log and returns its id and state.
func (l *logged) openLog(m *ChallengeLog) ([32]byte, Challenge) {
	l.t.Helper()
	before := l.nodeState().Book.Challenges
	good(l.t, l.send(l.anybody, l.bond()+ValueChallenge, m))
	done(l.t, l.anybody, 0)
	for id, c := range l.nodeState().Book.Challenges {
		if _, old := before[id]; !old {
			return id, c
		}
	}
	l.t.Fatal("nothing was opened")
	return [32]byte{}, Challenge{}
}

func TestChallengeLogAnswered(t *testing.T) {
	l := newLogged(t, 40)
	l.publish()
	// A head before the anchor, the anchor before a head, and two heads.
	for _, c := range []struct {
		m         *ChallengeLog
		old, size int
	}{
		{l.challengeLog(17, l.log.root(17)), 17, 40},
		{&ChallengeLog{Head: l.signedHead(1, 30, l.log.root(30)), Other: ptr(l.signedHead(1, 8, l.log.root(8)))}, 8, 30},
		{&ChallengeLog{Head: l.signedHead(1, 8, l.log.root(8)), Other: ptr(l.signedHead(1, 31, l.log.root(31)))}, 8, 31},
	} {
		id, got := l.openLog(c.m)
		want := Challenge{
			Payout: l.anybody.Address, Bond: l.bond(), Loss: l.params.ForkLoss, Deadline: l.Now + l.params.AnswerWindow, Log: true,
			Number: uint64(c.old), Hash: l.log.root(c.old), Size: uint64(c.size), Root: l.log.root(c.size),
		}
		if got != want {
			t.Errorf("open is %+v, want %+v", got, want)
		}
		l.refuses(CodeOpen, l.anybody, l.bond()+ValueChallenge, c.m)
		proof := l.log.consistency(c.old, c.size)
		if err := got.Verify(proof); err != nil {
			t.Error(err)
		}
		l.refuses(CodeBadProof, l.operator, ValueAnswer, &Answer{Challenge: id, Proof: append(append([][32]byte(nil), proof...), [32]byte{})})
		credit := l.credits(l.operator)
		good(t, l.send(l.operator, ValueAnswer, &Answer{Challenge: id, Proof: proof}))
		done(t, l.operator, 0)
		if got := l.credits(l.operator) - credit; got != l.bond()/2 {
			t.Errorf("who answered is owed %d", got)
		}
	}
	// A head larger than the anchor.
	for range 10 {
		l.log.add([32]byte{5})
	}
	id, c := l.openLog(l.challengeLog(50, l.log.root(50)))
	if c.Number != 40 || c.Size != 50 {
		t.Errorf("open is %+v", c)
	}
	good(t, l.send(l.operator, ValueAnswer, &Answer{Challenge: id, Proof: l.log.consistency(40, 50)}))
	done(t, l.operator, 0)
	if s := l.nodeState(); s.Status != StatusActive || s.Stake != 150*tvmtest.Coin {
		t.Errorf("after all answers: %+v", s)
	}
}

func ptr[T any](v T) *T { return &v }

// TestChallengeLogForked challenges logs that no proof can join.
func TestChallengeLogForked(t *testing.T) {
	fork := newTestLog(t, 16)
	for range 20 {
		fork.add([32]byte{0xbb})
	}
	for name, m := range map[string]func(*logged) *ChallengeLog{
		"a head of another branch": func(l *logged) *ChallengeLog { return l.challengeLog(20, fork.root(20)) },
		"the anchor's size":        func(l *logged) *ChallengeLog { return l.challengeLog(40, [32]byte{1}) },
		"a larger head":            func(l *logged) *ChallengeLog { return l.challengeLog(50, [32]byte{2}) },
		"two heads of another epoch": func(l *logged) *ChallengeLog {
			return &ChallengeLog{Head: l.signedHead(1, 20, fork.root(20)), Other: ptr(l.signedHead(2, 25, l.log.root(25)))}
		},
		"one size, two epochs": func(l *logged) *ChallengeLog {
			return &ChallengeLog{Head: l.signedHead(1, 20, fork.root(20)), Other: ptr(l.signedHead(2, 20, l.log.root(20)))}
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLogged(t, 40)
			l.Now += 100
			l.registerLone()
			l.publish()
			id, c := l.openLog(m(l))
			for _, proof := range [][][32]byte{nil, l.log.consistency(20, 40), l.log.consistency(20, 25), fork.consistency(20, 36), {c.Root}, {c.Hash}} {
				if c.Verify(proof) == nil {
					t.Errorf("a proof joins %+v", c)
				}
				if txs := l.send(l.operator, ValueAnswer, &Answer{Challenge: id, Proof: proof}); !txs[0].Aborted {
					t.Errorf("an answer was taken: %v", txs)
				}
			}
			l.Now = c.Deadline + 1
			before := l.nodeState()
			txs := l.send(l.anybody, ValueReport, &Settle{Challenge: id})
			l.wantLost(before, txs, l.anybody, l.params.ForkLoss, l.bond())
			l.stake(tvmtest.Coin)
		})
	}
}

func TestChallengeLogRefused(t *testing.T) {
	l := newLogged(t, 40)
	value := l.bond() + ValueChallenge
	l.refuses(CodeNotAFault, l.anybody, value, l.challengeLog(17, l.log.root(17))) // no anchor yet
	l.publish()
	raw := func(head SignedHead, other *SignedHead) *rawBody {
		b := plain(opChallengeLog, 0).MustStoreRef(head.cell())
		if other == nil {
			return &rawBody{b.MustStoreBoolBit(false).EndCell()}
		}
		return &rawBody{b.MustStoreMaybeRef(other.cell()).EndCell()}
	}
	head := l.signedHead(1, 17, l.log.root(17))
	l.refuses(CodeValueTooLow, l.anybody, value-1, raw(head, nil))
	l.refuses(CodeNotAFault, l.anybody, value, raw(l.signedHead(1, 40, l.log.root(40)), nil))
	l.refuses(CodeNotAFault, l.anybody, value, raw(head, &head))
	l.refuses(CodeNotAFault, l.anybody, value, raw(l.signedHead(1, 0, l.log.root(0)), nil))
	l.refuses(CodeNotAFault, l.anybody, value, raw(head, ptr(l.signedHead(1, 0, [32]byte{1}))))
	for _, m := range []*ChallengeLog{{Head: head, Other: &head}, {Head: head, Other: ptr(l.signedHead(1, 0, [32]byte{1}))}, {Head: l.signedHead(1, 0, [32]byte{}), Other: &head}} {
		if _, err := m.Body(); err == nil {
			t.Errorf("%+v: a body was made", m)
		}
	}
	for name, c := range map[string]struct {
		code int
		edit func(*SignedHead)
	}{
		"signature":     {CodeBadSignature, func(h *SignedHead) { h.Signature[0] ^= 1 }},
		"size":          {CodeBadSignature, func(h *SignedHead) { h.Size++ }},
		"root":          {CodeBadSignature, func(h *SignedHead) { h.Root[0] ^= 1 }},
		"epoch to come": {CodeEpoch, func(h *SignedHead) { h.Epoch = 2 }},
		"epoch 0":       {CodeEpoch, func(h *SignedHead) { h.Epoch = 0 }},
		"another chain": {CodeBadSignature, func(h *SignedHead) { h.Signature = signOn(l.node, -3, h.Anchor) }},
	} {
		t.Run(name, func(t *testing.T) {
			bad := head
			c.edit(&bad)
			l.refuses(c.code, l.anybody, value, raw(bad, nil))
			good := l.signedHead(1, 18, l.log.root(18))
			l.refuses(c.code, l.anybody, value, raw(good, &bad))
		})
	}
	fresh := newLogged(t, 1)
	bare := newLone(t)
	fresh.lone = bare
	bare.setProfile()
	fresh.refuses(CodeEpoch, bare.anybody, value, raw(fresh.signedHead(1, 17, [32]byte{1}), nil))
}

// TestChallengeLogWindows checks that heads can be doubted until shortly before
// the stake behind them can leave.
func TestChallengeLogWindows(t *testing.T) {
	l := newLogged(t, 40)
	l.publish()
	l.Now += 100
	l.registerLone() // epoch 1 closes
	closed := l.Now
	window := l.params.Unbonding - l.params.AnswerWindow
	head := l.signedHead(1, 17, l.log.root(17))
	l.Now = closed + window
	l.openLog(&ChallengeLog{Head: head})
	l.Now++
	m := &ChallengeLog{Head: l.signedHead(1, 18, l.log.root(18))}
	l.refuses(CodeTooLate, l.anybody, l.bond()+ValueChallenge, m)
	l.refuses(CodeTooLate, l.anybody, l.bond()+ValueChallenge, &ChallengeLog{Head: l.signedHead(2, 19, l.log.root(19)), Other: &m.Head})
	// The current epoch's heads count as long as it lives, and the window after.
	l.openLog(&ChallengeLog{Head: l.signedHead(2, 19, l.log.root(19))})
	good(t, l.send(l.operator, ValueCheck, &Retire{}))
	ended := l.Now
	l.Now = ended + window
	l.openLog(&ChallengeLog{Head: l.signedHead(2, 20, l.log.root(20))})
	l.Now++
	l.refuses(CodeTooLate, l.anybody, l.bond()+ValueChallenge, &ChallengeLog{Head: l.signedHead(2, 21, l.log.root(21))})
}
