package contracts

import (
	"crypto/ed25519"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/receipt"
	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

// TestNodeRandom lets two honest nodes, of which one registers by TDX quotes, a
// dishonest node, an honest client, an attacker and governance send messages in
// random order. After each, no coin is lost (the world checks that), every node
// owes what its book says and holds what it owes, and is registered only if the
// registry's lists and the platform said so. At the end no honest party lost more
// than fees, and every fault was punished. COCOON_LONG runs more of them.
func TestNodeRandom(t *testing.T) {
	seeds := uint64(16)
	if os.Getenv("COCOON_LONG") != "" {
		seeds = 1000
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			newTown(t, seed).run()
		})
	}
}

// resident is a node with its log.
type resident struct {
	*fixture
	honest   bool
	tdx      bool       // registers by quotes of the fixture's machine
	says     *QuoteInfo // what they say
	machine  [32]byte   // platform id
	log      *testLog
	promises []promise
	messages uint64 // that its operator sent
	slashed  uint64
}

// promise is a receipt that a client got.
type promise struct {
	head   *receipt.Head
	holder string // whose key
	kept   bool   // its leaf stands in the log
}

type town struct {
	*fixture
	rng              *rand.Rand
	good, tdx, bad   *resident
	third            *resident      // one node more than the machine has slots
	jury             *tvmtest.Actor // who stakes for the verifiers
	client, attacker *tvmtest.Actor
	clientMessages   uint64
	sent             []*cell.Cell // bodies that anybody sent, for replays
	evidence         []func() bool
	challenges       map[[32]byte]*resident
}

const initialCoins = 5000 * tvmtest.Coin

func newTown(t *testing.T, seed uint64) *town {
	f := newFixture(t, withPlatforms, slots(2), func(s *RootState) { s.Measurements[snpMeasurement] = Measurement{Flags: MeasurementAccepted} })
	w := &town{fixture: f, rng: rand.New(rand.NewPCG(seed, 7)), challenges: map[[32]byte]*resident{}}
	w.client, w.attacker = f.Actor("client", initialCoins), f.Actor("attacker", 10*initialCoins)
	w.open([32]byte{0xee}, f.platformID())
	w.good, w.bad = w.resident("honest", [32]byte{0xee}), w.resident("dishonest", [32]byte{0xee})
	w.tdx = w.resident("honest, by quotes", f.platformID())
	w.third = w.resident("third", [32]byte{0xee})
	w.good.honest, w.tdx.honest = true, true
	return w
}

func (w *town) all() []*resident { return []*resident{w.good, w.tdx, w.bad} }

func (w *town) resident(name string, machine [32]byte) *resident {
	f := *w.fixture
	r := &resident{fixture: &f, machine: machine, tdx: machine == w.platformID(), log: newTestLog(w.t, 0)}
	if r.tdx {
		info, err := ReadQuote(mint(w.t, w.intel, testTD()))
		if err != nil {
			w.t.Fatal(err)
		}
		r.says = info
	}
	r.operator = w.Actor(name, initialCoins)
	a, si, err := NodeAddress(w.root, r.operator.Address, 7)
	if err != nil {
		w.t.Fatal(err)
	}
	r.node = a
	good(w.t, r.operator.Send(tvmtest.Message{To: a, Value: tvmtest.Coin, StateInit: si}))
	r.stake(w.start.Params.MinStake)
	r.boot()
	return r
}

// boot tries to register the next epoch. It is registered only if the registry's
// lists and the platform allow it, and if they do an honest one is.
func (r *resident) boot() bool {
	r.t.Helper()
	r.messages++
	want, before := r.allowed(), r.nodeState().Epoch
	var m bodyMaker
	switch c := r.nodeState().Current; {
	case r.tdx && before%2 == 1 && c != nil && c.Knows(r.says, r.Now):
		m = r.again(r.heads())
	case r.tdx:
		m = r.registration(r.heads())
	default:
		m = r.certified(r.heads(), func(c *Certificate) { c.PlatformID, c.Expiry = r.machine, r.Now+9*day })
	}
	r.send(r.operator, ValueRegister, m)
	s := r.nodeState()
	is := s.Epoch == before+1
	if is != (s.Epoch != before) || is && (s.Status != StatusActive || want != 0) {
		r.t.Errorf("epoch %d after %d, %v; the lists say %s", s.Epoch, before, s.Status, ErrorName(want))
	}
	if r.honest && is != (want == 0) {
		r.t.Errorf("an honest node is registered: %v; the lists say %s", is, ErrorName(want))
	}
	if v := r.rootState().Verifiers; want == CodeVerifierSet && v != nil {
		r.verifiers = *v // he has learned of the new set
	}
	return is
}

func (w *town) run() {
	for range 70 {
		w.Now += uint32(w.rng.IntN(3600))
		if w.rng.IntN(6) == 0 {
			w.Now += uint32(w.rng.IntN(day / 2))
		}
		w.good.behave()
		w.tdx.behave()
		switch w.rng.IntN(10) {
		case 0, 1:
			w.ask([]*resident{w.good, w.tdx}[w.rng.IntN(2)])
		case 8:
			w.decide()
		case 9:
			w.recheck()
			w.third.boot()
		case 2:
			w.ask(w.bad)
		case 3, 4:
			w.misbehave()
		case 5, 6:
			w.attack()
		}
		w.doubt()
		w.check()
	}
	w.end()
}

// ask gets a receipt of a node for the client or the attacker.
func (w *town) ask(r *resident) {
	s := r.nodeState()
	if s.Status != StatusActive || w.Now >= s.Expires {
		return
	}
	p := promise{holder: "client", kept: r.honest || w.rng.IntN(2) == 0}
	if w.rng.IntN(3) == 0 {
		p.holder = "attacker"
	}
	p.head = r.receiptHead(s.Epoch, uint64(len(r.log.leaves)), byte(w.rng.IntN(256)))
	p.head.Holder = receipt.Holder(pub(key(p.holder)))
	r.promises = append(r.promises, p)
	if p.kept {
		r.log.add(p.head.LeafHash())
	} else if w.rng.IntN(2) == 0 {
		r.log.add([32]byte{0xbd}) // or whatever comes next takes its place
	}
}

// behave does what an honest operator and his enclave do.
func (r *resident) behave() {
	s := r.nodeState()
	if s.Status != StatusActive || r.Now+day > s.Expires {
		r.boot()
	}
	r.publish()
	r.answerAll()
}

// publish anchors the log if it grew: the node pays if it may, else the operator.
func (r *resident) publish() {
	s := r.nodeState()
	n := len(r.log.leaves)
	if uint64(n) <= s.Anchor.Size || s.Epoch == 0 {
		return
	}
	m := &AnchorExternal{Anchor: Anchor{s.Epoch, uint64(n), r.log.root(n)}}
	m.Signature = r.signAnchor(m.Anchor)
	if txs := r.SendExternal(r.node, m.Body()); txs[0].Accepted {
		return
	}
	r.messages++
	r.send(r.operator, ValueSmall, internal(m))
}

// answerAll answers every open challenge that a proof can answer.
func (r *resident) answerAll() {
	for id, c := range r.nodeState().Book.Challenges {
		proof, ok := r.proofFor(c)
		if !ok {
			continue
		}
		r.messages++
		r.send(r.operator, ValueAnswer, &Answer{Challenge: id, Proof: proof})
		if c, open := r.nodeState().Book.Challenges[id]; open && r.honest {
			proof, _ := r.proofFor(c)
			r.messages++
			good(r.t, r.send(r.operator, ValueAnswer, &Answer{Challenge: id, Proof: proof}))
		}
	}
}

func (r *resident) proofFor(c Challenge) ([][32]byte, bool) {
	n := uint64(len(r.log.leaves))
	if c.Log {
		if c.Size > n || c.Number >= c.Size || r.log.root(int(c.Number)) != c.Hash || r.log.root(int(c.Size)) != c.Root {
			return nil, false
		}
		return r.log.consistency(int(c.Number), int(c.Size)), true
	}
	size := c.Size
	if size == 0 {
		size = r.nodeState().Anchor.Size
	}
	if c.Number >= size || size > n || r.log.leaves[c.Number] != c.Hash {
		return nil, false
	}
	return r.log.inclusion(int(c.Number), int(size)), true
}

// misbehave does what a dishonest operator may try: cheat, and take his stake
// away before anybody proves it.
func (w *town) misbehave() {
	r := w.bad
	s := r.nodeState()
	send := func(value uint64, m bodyMaker) { w.deliver(r.operator, r.node, value, m) }
	switch w.rng.IntN(12) {
	case 0:
		r.publish()
	case 1:
		r.boot()
	case 2:
		send(ValueCheck, &Retire{})
	case 3:
		send(ValueSmall, &Unbond{Amount: 1 + w.rng.Uint64N(max(s.Stake, 1))})
	case 4:
		send(ValueSmall, &Unbond{Amount: max(s.Stake, 1)})
	case 5, 6:
		send(ValueSmall, &Withdraw{Surplus: w.rng.Uint64N(2) * w.rng.Uint64N(tvmtest.Coin)})
	case 7:
		r.answerAll()
	case 8:
		if s.Epoch > 0 && s.Status == StatusActive && w.Now < s.Expires {
			m := r.twoHeads(s.Epoch, 1+w.rng.Uint64N(50))
			w.prove(r, m, faultLoss(w, true), faultKey(1, s.Epoch, m.A.Size))
		}
	case 9:
		if s.Epoch > 0 && s.Status == StatusActive && w.Now < s.Expires {
			index := w.rng.Uint64N(50)
			w.prove(r, r.twoReceipts(s.Epoch, index), faultLoss(w, false), faultKey(2, s.Epoch, index))
		}
	case 10:
		send(10*tvmtest.Coin, &Stake{})
	case 11:
		r.operator.Refuse = !r.operator.Refuse
	}
}

// faultLoss is what the registry's parameters say a fault costs.
func faultLoss(w *town, fork bool) uint64 {
	if fork {
		return w.start.Params.ForkLoss
	}
	return w.start.Params.ReceiptLoss
}

func faultKey(kind uint8, epoch uint32, number uint64) [32]byte {
	return sha(build().MustStoreUInt(uint64(kind), 8).MustStoreUInt(uint64(epoch), 32).MustStoreUInt(number, 64).EndCell().MustBeginParse().MustLoadSlice(104))
}

// prove has the client report a fault, some time before the stake behind it can
// be gone.
func (w *town) prove(r *resident, m bodyMaker, loss uint64, id [32]byte) {
	deadline := w.Now + w.start.Params.Unbonding
	w.evidence = append(w.evidence, func() bool {
		if w.Now+2*day < deadline && w.rng.IntN(4) != 0 {
			return false
		}
		w.punished(r, loss, id, w.client, ValueReport, m)
		return true
	})
}

// punished sends a message that must cost a node its loss, or what it has.
func (w *town) punished(r *resident, loss uint64, id [32]byte, by *tvmtest.Actor, value uint64, m bodyMaker) {
	w.t.Helper()
	before := r.nodeState()
	if before.Book.Settled[id] {
		return
	}
	have := before.Stake + before.Unbonding
	if have+r.slashed < w.start.Params.MinStake {
		w.t.Errorf("of the stake behind a fault %d are left and %d were lost: the rest escaped", have, r.slashed)
	}
	w.clientMessages++
	w.deliver(by, r.node, value, m)
	after := r.nodeState()
	lost := have - after.Stake - after.Unbonding
	if lost != min(loss, have) {
		w.t.Errorf("a fault cost %d, want %d", lost, min(loss, have))
	}
	if after.Status == StatusActive && w.Now < after.Expires {
		w.t.Error("a node goes on after its fault was proved")
	}
	if lost > 0 && !after.Book.Settled[id] {
		w.t.Error("a fault that was paid for is not settled")
	}
}

// doubt is the honest client: it reports what it saw, asks where its receipts
// are, and ends what nobody answered.
func (w *town) doubt() {
	w.evidence = slices.DeleteFunc(w.evidence, func(try func() bool) bool { return try() })
	for _, r := range w.all() {
		s := r.nodeState()
		for i, p := range r.promises {
			age := w.Now - p.head.Time
			if p.holder != "client" || age < w.start.Params.MergeDelay {
				continue
			}
			if age+w.start.Params.AnswerWindow+day < w.start.Params.Unbonding && w.rng.IntN(3) != 0 {
				continue
			}
			r.promises[i].holder = "asked"
			if uint64(len(r.log.leaves)) > p.head.Index && r.log.leaves[p.head.Index] == p.head.LeafHash() && s.Anchor.Size > p.head.Index {
				continue // the tiles show it
			}
			if age+w.start.Params.AnswerWindow > w.start.Params.Unbonding || s.Stake+s.Unbonding == 0 {
				continue
			}
			w.clientMessages++
			m := w.challengeOf(p, "client", w.client)
			good(w.t, w.deliver(w.client, r.node, w.start.Params.ChallengeBond+ValueChallenge, m))
			w.challenges[m.ID()] = r
		}
		for id, c := range s.Book.Challenges {
			if w.Now <= c.Deadline {
				continue
			}
			if r.honest {
				w.t.Error("an honest node did not answer")
			}
			w.punished(r, c.Loss, id, w.client, ValueReport, &Settle{Challenge: id})
		}
	}
}

func (w *town) challengeOf(p promise, holder string, payout *tvmtest.Actor) *ChallengeReceipt {
	m := &ChallengeReceipt{ChainID: tvmtest.GlobalID, Payout: payout.Address, Head: *p.head}
	m.SignReceipt = [64]byte(ed25519.Sign(receiptKey(p.head.Epoch), p.head.AppendTo(nil)))
	m.Sign(key(holder))
	return m
}

// attack sends what an attacker may: challenges without reason, other people's
// messages again, and nonsense, to anybody.
func (w *town) attack() {
	w.attacker.Refuse = w.rng.IntN(4) == 0
	to := w.all()[w.rng.IntN(3)]
	value := w.rng.Uint64N(tvmtest.Coin)
	var m bodyMaker
	switch w.rng.IntN(12) {
	case 0, 1:
		if len(to.promises) == 0 {
			return
		}
		m = w.challengeOf(to.promises[w.rng.IntN(len(to.promises))], "attacker", w.attacker)
		if _, err := m.Body(); err != nil {
			return // not his receipt
		}
	case 2, 3:
		n := len(to.log.leaves)
		if n == 0 {
			return
		}
		size := 1 + w.rng.IntN(n)
		e := to.nodeState().Epoch
		a := Anchor{e, uint64(size), to.log.root(size)}
		m = &ChallengeLog{Head: SignedHead{a, to.signAnchor(a)}}
	case 4, 5, 6:
		if len(w.sent) == 0 {
			return
		}
		m = &rawBody{w.sent[w.rng.IntN(len(w.sent))]}
		if w.rng.IntN(4) == 0 {
			w.deliver(w.attacker, w.root, value, m)
			return
		}
	case 7:
		m = &Withdraw{}
	case 8:
		m = &Recheck{}
	case 9:
		for id := range to.nodeState().Book.Challenges {
			m = []bodyMaker{&Answer{Challenge: id, Proof: [][32]byte{{1}}}, &Settle{Challenge: id}}[w.rng.IntN(2)]
		}
		if m == nil {
			return
		}
	case 10:
		m = to.twoHeads(1, 5)
		m.(*ReportHeads).SignB[0] ^= 1
	case 11:
		w.deliver(w.attacker, w.root, ValuePrune, &Prune{Count: MaxPrune})
		return
	}
	w.deliver(w.attacker, to.node, value, m)
}

// deliver sends a message and keeps its body for replays.
func (w *town) deliver(from *tvmtest.Actor, to attestation.Address, value uint64, m bodyMaker) []tvmtest.Tx {
	w.t.Helper()
	b, err := m.Body()
	if err != nil {
		w.t.Fatal(err)
	}
	w.sent = append(w.sent, b)
	if from == w.bad.operator {
		value = min(value, from.Balance.Uint64())
	}
	for _, r := range w.all() {
		if r.node == to && r.operator != from { // only faults take stake by other people's messages
			before := r.nodeState()
			defer func() {
				after := r.nodeState()
				r.slashed += before.Stake + before.Unbonding - after.Stake - after.Unbonding
			}()
		}
	}
	return from.Send(tvmtest.Message{To: to, Value: value, Bounce: true, Body: b})
}

// check is what holds after every message.
func (w *town) check() {
	w.t.Helper()
	for _, r := range w.all() {
		s := r.nodeState()
		var owed uint64
		for _, c := range s.Book.Credits {
			owed += c
		}
		for _, c := range s.Book.Challenges {
			owed += c.Bond
		}
		if owed != s.Owed {
			w.t.Errorf("a node says that it owes %d, its book says %d", s.Owed, owed)
		}
		if b := w.Balance(r.node).Uint64(); b < s.Protected() {
			w.t.Errorf("a node holds %d and owes %d", b, s.Protected())
		}
	}
	for _, r := range []*resident{w.good, w.tdx} {
		if s := r.nodeState(); s.Stake != w.start.Params.MinStake || len(s.Book.Settled) != 0 {
			w.t.Fatalf("an honest node lost stake: %d are left, faults %v", s.Stake, s.Book.Settled)
		}
	}
	w.checkSlots()
	if b := w.Balance(w.root).Uint64(); b < tvmtest.Coin-100_000_000 {
		w.t.Errorf("the registry lost coins: %d are left", b)
	}
}

// end waits until everything is over and lets the honest parties take what is
// theirs.
func (w *town) end() {
	w.attacker.Refuse = false
	w.wait(8)
	if len(w.evidence) != 0 {
		w.t.Errorf("%d faults were not reported", len(w.evidence))
	}
	for id, r := range w.challenges {
		if r.honest && r.nodeState().Book.Settled[id] {
			w.t.Error("an honest node lost a challenge")
		}
	}
	const fees = 70_000_000 // of any message, more than the dearest
	for _, r := range []*resident{w.good, w.tdx} {
		w.leave(r, fees)
	}
	for _, x := range w.all() {
		if x.nodeState().Book.Credits[w.client.Address] > 0 {
			w.clientMessages++
			good(w.t, x.send(w.client, ValueSmall, &Withdraw{}))
		}
	}
	if got := w.client.Balance.Uint64(); got+fees/2*w.clientMessages < initialCoins {
		w.t.Errorf("the honest client lost %d by %d messages", initialCoins-got, w.clientMessages)
	}
}

// wait lets days go by.
func (w *town) wait(days int) {
	for range days {
		w.Now += day
		w.good.behave()
		w.tdx.behave()
		w.doubt()
		w.check()
	}
}

// leave has an honest operator take his stake and what is left.
func (w *town) leave(r *resident, fees uint64) {
	w.t.Helper()
	r.messages += 4
	r.send(r.operator, ValueCheck, &Retire{}) // refused when nothing is registered
	good(w.t, r.send(r.operator, ValueSmall, &Unbond{Amount: r.nodeState().Stake}))
	w.Now += w.start.Params.Unbonding
	r.answerAll()
	good(w.t, r.send(r.operator, ValueSmall, &Withdraw{}))
	spare := w.Balance(r.node).Uint64() - r.nodeState().Protected() - NodeReserveRetired
	good(w.t, r.send(r.operator, ValueSmall, &Withdraw{Surplus: spare}))
	if lost := initialCoins - r.operator.Balance.Uint64(); r.operator.Balance.Uint64() < initialCoins && lost > fees*(r.messages+1)+NodeReserveRetired {
		w.t.Errorf("the honest operator lost %d by %d messages", lost, r.messages)
	}
}
