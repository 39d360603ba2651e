package chain

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/receipt"
	"github.com/cocoon-go/cocoon/attestation/sim"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/registry"
	"github.com/cocoon-go/cocoon/internal/command"
)

// Amounts in nano. They are as small as the contracts take them.
const (
	rootCoins = 100_000_000 // for the registry's storage; stays there
	nodeCoins = 200_000_000 // what is over its reserve comes back
	stake     = 10_000_000  // stays bound for two days and more
	loss      = 1_000_000
	deposit   = 50_000_000
	paid      = 20_000_000 // by the first voucher
	final     = 30_000_000 // by both vouchers
)

const day = 86400

// scenario is what the steps build up.
type scenario struct {
	*payer
	t   *testing.T
	ctx context.Context

	machine  *sim.Intel
	params   contracts.Params
	root     attestation.Address
	platform attestation.Address
	node     attestation.Address

	receiptKey, logKey, holderKey, clientKey ed25519.PrivateKey
	heads                                    *attestation.Heads
	head                                     receipt.Head // leaf 1 of the log
	log                                      hashes
	channel                                  attestation.Address
}

// TestScenario runs every step, and says what each cost.
func TestScenario(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	defer cancel()
	s := &scenario{t: t, ctx: ctx, payer: openPayer(t, ctx)}
	for _, k := range []*ed25519.PrivateKey{&s.receiptKey, &s.logKey, &s.holderKey, &s.clientKey} {
		var err error
		if _, *k, err = ed25519.GenerateKey(rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	first, err := s.balance(ctx)
	if err != nil {
		t.Fatal(err)
	}
	have := first
	defer func() {
		if t.Failed() {
			s.rescue()
		}
	}()
	for _, step := range []struct {
		name string
		run  func() error
	}{
		{"deploy the registry", s.deployRoot},
		{"deploy the machine's contract", s.deployPlatform},
		{"deploy the node", s.deployNode},
		{"stake", s.addStake},
		{"register by a TDX quote", s.register},
		{"anchor", s.anchor},
		{"read with proofs", s.read},
		{"open a channel", s.openChannel},
		{"settle a voucher", s.settle},
		{"close the channel", s.closeChannel},
		{"challenge a receipt", s.challenge},
		{"answer the challenge", s.answer},
		{"take the credits", s.withdraw},
		{"end the registration", s.retire},
		{"unbond the stake", s.unbond},
		{"take what is over", s.takeSurplus},
	} {
		began := time.Now()
		if err := step.run(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		now, err := s.balance(ctx)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%-30s %14s  %s", step.name, signed(have, now), time.Since(began).Round(100*time.Millisecond))
		have = now
	}
	t.Logf("%-30s %14s", "in all", signed(first, have))
	s.report(first - have)
}

func signed(before, after uint64) string {
	if after < before {
		return "-" + command.Coins(before-after)
	}
	return "+" + command.Coins(after-before)
}

// mostSpent is what a run may take from the wallet: fees, and what stays in
// contracts.
const mostSpent = 550_000_000

// report says what is left where, and what went in fees.
func (s *scenario) report(spent uint64) {
	fees := spent
	for _, c := range []struct {
		name string
		at   attestation.Address
		why  string
	}{
		{"registry", s.root, "stays: storage"},
		{"machine", s.platform, "stays: storage"},
		{"node", s.node, "the stake can be withdrawn in two days and an hour; the rest stays: storage"},
		{"channel", s.channel, "closed"},
	} {
		a, err := s.client.Account(s.ctx, c.at)
		if err != nil {
			s.t.Error(err)
			continue
		}
		fees -= a.Balance.Uint64()
		s.t.Logf("%-9s %s holds %s: %s", c.name, c.at, command.Coins(a.Balance.Uint64()), c.why)
	}
	s.t.Logf("fees: %s", command.Coins(fees))
	if spent > mostSpent {
		s.t.Errorf("the scenario took %s, more than %s", command.Coins(spent), command.Coins(uint64(mostSpent)))
	}
}

// rescue takes back what a run that failed has left in channel and node.
func (s *scenario) rescue() {
	if s.channel != (attestation.Address{}) {
		s.t.Logf("closing the channel: %v", s.closeChannel())
	}
	if s.node != (attestation.Address{}) {
		s.t.Logf("taking the surplus of the node: %v", s.takeSurplus())
	}
	s.t.Logf("registry %s, node %s, channel %s", s.root, s.node, s.channel)
}

func public(k ed25519.PrivateKey) [32]byte { return [32]byte(k.Public().(ed25519.PublicKey)) }

// td is the TD whose measurement the registry lists.
func td() sim.TD { return sim.TD{MRTD: [48]byte{1}, RTMR: [4][48]byte{{2}, {3}, {4}, {5}}} }

// deployRoot starts a registry that lists a simulated CA and one measurement.
func (s *scenario) deployRoot() error {
	var err error
	if s.machine, err = sim.NewIntel(nil, sim.IntelOptions{Now: time.Now()}); err != nil {
		return err
	}
	quote, err := s.machine.Quote(td())
	if err != nil {
		return err
	}
	info, err := contracts.ReadQuote(quote)
	if err != nil {
		return err
	}
	governor, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	quorum, err := contracts.NewQuorum(1, governor)
	if err != nil {
		return err
	}
	s.params = contracts.DefaultParams()
	s.params.MinStake, s.params.ForkLoss, s.params.ReceiptLoss = stake, loss, loss
	s.params.ChallengeBond = contracts.MinChallengeBond
	s.params.AnchorInterval, s.params.MergeDelay = 1, 2
	s.params.AnswerWindow, s.params.Unbonding, s.params.GovernanceDelay = day, 2*day+3600, 2*day+7200
	if err := s.params.Check(); err != nil {
		return err
	}
	state := contracts.NewRoot(quorum, s.params)
	state.Platform, state.Nonce = contracts.PlatformCodeID(), query()
	state.AddCAKey(contracts.CAPlatform, info.CA)
	state.Floors[info.FMSPC] = contracts.FloorOf(info.TCB)
	state.Measurements[info.Measurement] = contracts.Measurement{Flags: contracts.MeasurementAccepted}
	addr, init, err := contracts.RootAddress(state)
	if err != nil {
		return err
	}
	s.root = addr
	m, err := order(addr, init, rootCoins, nil)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(s.ctx, stepTimeout)
	defer cancel()
	if _, err := s.Send(ctx, s.run+" registry", m); err != nil {
		return err
	}
	_, err = s.client.WaitAccount(ctx, addr, (*chain.Account).Active)
	return err
}

func (s *scenario) deployPlatform() error {
	ppid := s.machine.PPID()
	addr, init, err := contracts.PlatformAddress(s.root, attestation.PlatformID("tdx", ppid[:]))
	if err != nil {
		return err
	}
	s.platform = addr
	q := query()
	m, err := order(addr, init, contracts.ValueRenew, &contracts.RenewPlatform{QueryID: q})
	if err != nil {
		return err
	}
	return s.ask(s.ctx, "machine", q, m)
}

func (s *scenario) deployNode() error {
	addr, init, err := contracts.NodeAddress(s.root, s.Address(), 0)
	if err != nil {
		return err
	}
	s.node = addr
	q := query()
	coins, err := order(addr, init, nodeCoins, nil)
	if err != nil {
		return err
	}
	profile, err := order(addr, nil, contracts.ValueSmall, &contracts.SetProfile{QueryID: q, Profile: contracts.Profile{
		PromptPrice: 1, CompletionPrice: 2, Endpoint: "https://node.invalid",
	}})
	if err != nil {
		return err
	}
	return s.ask(s.ctx, "node", q, coins, profile)
}

// toNode asks the node.
func (s *scenario) toNode(name string, q, value uint64, m message) error {
	out, err := order(s.node, nil, value, m)
	if err != nil {
		return err
	}
	return s.ask(s.ctx, name, q, out)
}

func (s *scenario) addStake() error {
	q := query()
	return s.toNode("stake", q, stake+contracts.ValueSmall, &contracts.Stake{QueryID: q})
}

// register mints a quote over claims that name the newest block that contracts
// can look up.
func (s *scenario) register() error {
	now, err := s.client.Head(s.ctx)
	if err != nil {
		return err
	}
	block, err := s.client.Block(s.ctx, now.Seqno/100*100)
	if err != nil {
		return err
	}
	identity, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	s.heads = &attestation.Heads{
		ChainID: s.chainID, Node: s.node, Epoch: 1, BlockSeqno: block.Seqno, BlockRoot: block.RootHash, BodyDigest: [32]byte{9},
		ReceiptKey: public(s.receiptKey), LogKey: public(s.logKey), IdentityKey: [32]byte(identity),
	}
	d := td()
	digest := s.heads.Digest()
	copy(d.ReportData[:], digest[:])
	quote, err := s.machine.Quote(d)
	if err != nil {
		return err
	}
	cells, ca, err := contracts.QuoteCells(quote)
	if err != nil {
		return err
	}
	q := query()
	return s.toNode("register", q, contracts.ValueRegister, &contracts.RegisterTDX{
		QueryID: q, Heads: s.heads, CA: contracts.PublicKey{X: [32]byte(ca[:32]), Y: [32]byte(ca[32:])}, Quote: cells,
	})
}

// hashes are the stored hashes of a log in memory.
type hashes []tlog.Hash

func (h *hashes) add(index int64, leaf [32]byte) error {
	more, err := tlog.StoredHashesForRecordHash(index, leaf, h)
	*h = append(*h, more...)
	return err
}

// ReadHashes implements tlog.HashReader.
func (h *hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var out []tlog.Hash
	for _, i := range indexes {
		out = append(out, (*h)[i])
	}
	return out, nil
}

// logSize is the number of leaves that the anchor covers.
const logSize = 3

// anchor brings the head of a log to the chain by an external message, which the
// node pays for. Leaf 1 is the receipt that is challenged later.
func (s *scenario) anchor() error {
	now, err := s.client.Head(s.ctx)
	if err != nil {
		return err
	}
	s.head = receipt.Head{
		Node: s.node, Epoch: 1, Index: 1, Time: uint32(now.Time.Unix()), BlockSeqno: now.Seqno,
		Holder: receipt.Holder(public(s.holderKey)), BodyDigest: [32]byte{7},
	}
	for i := range int64(logSize) {
		leaf := [32]byte{byte(i)}
		if i == 1 {
			leaf = s.head.LeafHash()
		}
		if err := s.log.add(i, leaf); err != nil {
			return err
		}
	}
	root, err := tlog.TreeHash(logSize, &s.log)
	if err != nil {
		return err
	}
	a := contracts.Anchor{Epoch: 1, Size: logSize, Root: root}
	digest := a.Digest(s.chainID, s.node)
	m := &contracts.AnchorExternal{Anchor: a, Signature: [64]byte(ed25519.Sign(s.logKey, digest[:]))}
	ctx, cancel := context.WithTimeout(s.ctx, stepTimeout)
	defer cancel()
	_, err = s.client.SendExternal(ctx, s.node, nil, m.Body(), func(a *chain.Account) bool {
		n, err := registry.NodeOf(a)
		return err == nil && n.Anchor.Size == logSize && n.Anchor.Root == [32]byte(root)
	})
	return err
}

// read checks what the chain proves of node and registry, online and from the
// bytes of the proof alone.
func (s *scenario) read() error {
	r := registry.Reader{Reader: s.client}
	root, err := r.Root(s.ctx, s.root)
	if err != nil {
		return err
	}
	if len(root.Nodes) != 1 || root.Nodes[0] != s.node || root.State.Params != s.params {
		s.t.Errorf("registry lists %v with parameters %+v", root.Nodes, root.State.Params)
	}
	acc, err := s.client.Account(s.ctx, s.node)
	if err != nil {
		return err
	}
	offline, err := chain.VerifyAccountProof(acc.Proof, s.node, s.trusted)
	if err != nil {
		return err
	}
	for _, a := range []*chain.Account{acc, offline} {
		n, err := registry.NodeOf(a)
		if err != nil {
			return err
		}
		e, ok := n.Epoch(1)
		if !ok || !e.Active || n.Current != 1 || e.ClaimsDigest != s.heads.Digest() || e.LogKey != s.heads.LogKey || n.Stake != stake ||
			n.Anchor.Size != logSize || n.Operator != s.Address() || n.Endpoint != "https://node.invalid" {
			s.t.Errorf("node is %+v", n)
		}
	}
	txs, err := s.client.Transactions(s.ctx, acc, 20)
	if err != nil {
		return err
	}
	if len(txs) < 5 || txs[0].Aborted {
		s.t.Errorf("node has %d transactions, the newest %+v", len(txs), txs[0])
	}
	p, err := r.Platform(s.ctx, s.root, e1(acc))
	if err != nil {
		return err
	}
	if _, held := p.Slot(s.node); !held {
		s.t.Errorf("the machine's slots are %+v", p.State)
	}
	return nil
}

// e1 returns the machine's id from the node's record.
func e1(a *chain.Account) [32]byte {
	n, err := registry.NodeOf(a)
	if err != nil {
		return [32]byte{}
	}
	return n.Epochs[1].PlatformID
}

func (s *scenario) openChannel() error {
	k := contracts.ChannelKey{Node: s.node, ClientKey: public(s.clientKey), Payout: s.Address(), Delay: contracts.MinChannelDelay}
	if _, err := rand.Read(k.Salt[:]); err != nil {
		return err
	}
	addr, init, err := contracts.ChannelAddress(k)
	if err != nil {
		return err
	}
	s.channel = addr
	d := &contracts.Deposit{QueryID: query(), Amount: deposit}
	m, err := order(addr, init, d.Value(), d)
	if err != nil {
		return err
	}
	if err := s.ask(s.ctx, "channel", d.QueryID, m); err != nil {
		return err
	}
	return s.channelIs(deposit, 0, false)
}

func (s *scenario) channelIs(deposited, paid uint64, closed bool) error {
	a, err := s.client.Account(s.ctx, s.channel)
	if err != nil {
		return err
	}
	c, err := contracts.ParseChannel(a.Data)
	if err != nil {
		return err
	}
	if c.Deposited != deposited || c.Paid != paid || c.Closed != closed {
		s.t.Errorf("channel is %+v, want %d deposited, %d paid, closed %v", c, deposited, paid, closed)
	}
	return nil
}

func (s *scenario) toChannel(name string, q uint64, m message) error {
	out, err := order(s.channel, nil, contracts.ValueChannel, m)
	if err != nil {
		return err
	}
	return s.ask(s.ctx, name, q, out)
}

func (s *scenario) settle() error {
	v, err := contracts.NewVoucher(s.clientKey, s.chainID, s.channel, paid)
	if err != nil {
		return err
	}
	q := query()
	if err := s.toChannel("voucher", q, &contracts.SettleVoucher{QueryID: q, Voucher: v}); err != nil {
		return err
	}
	return s.channelIs(deposit, paid, false)
}

func (s *scenario) closeChannel() error {
	f, err := contracts.NewFinalStatement(s.clientKey, s.chainID, s.channel, s.Address(), final)
	if err != nil {
		return err
	}
	q := query()
	if err := s.toChannel("close", q, &contracts.CloseNow{QueryID: q, Final: f}); err != nil {
		return err
	}
	return s.channelIs(deposit, final, true)
}

// challenge asks for the proof that the log holds the receipt, once the merge
// delay is over by the chain's own time.
func (s *scenario) challenge() error {
	for {
		now, err := s.client.Head(s.ctx)
		if err != nil {
			return err
		}
		if uint32(now.Time.Unix()) > s.head.Time+s.params.MergeDelay {
			break
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-s.ctx.Done():
			return s.ctx.Err()
		}
	}
	m := &contracts.ChallengeReceipt{QueryID: query(), ChainID: s.chainID, Payout: s.Address(), Head: s.head}
	m.SignReceipt = [64]byte(ed25519.Sign(s.receiptKey, s.head.AppendTo(nil)))
	m.Sign(s.holderKey)
	if err := s.toNode("challenge", m.QueryID, s.params.ChallengeBond+contracts.ValueChallenge, m); err != nil {
		return err
	}
	n, err := s.nodeRecord()
	if err != nil {
		return err
	}
	if c, open := n.State.Book.Challenges[m.ID()]; !open || c.Late || c.Size != logSize || c.Number != 1 {
		s.t.Errorf("open challenges are %+v", n.State.Book.Challenges)
	}
	return nil
}

func (s *scenario) nodeRecord() (*registry.Node, error) {
	return registry.Reader{Reader: s.client}.Node(s.ctx, s.node)
}

func (s *scenario) answer() error {
	p, err := tlog.ProveRecord(logSize, 1, &s.log)
	if err != nil {
		return err
	}
	m := &contracts.Answer{QueryID: query(), Challenge: s.head.LeafHash()}
	for _, h := range p {
		m.Proof = append(m.Proof, h)
	}
	if err := s.toNode("answer", m.QueryID, contracts.ValueAnswer, m); err != nil {
		return err
	}
	n, err := s.nodeRecord()
	if err != nil {
		return err
	}
	if len(n.State.Book.Challenges) != 0 || n.Stake != stake || n.State.Book.Credits[s.Address()] != s.params.ChallengeBond {
		s.t.Errorf("after the answer: stake %d, %+v", n.Stake, n.State.Book)
	}
	return nil
}

func (s *scenario) withdraw() error {
	q := query()
	return s.toNode("credits", q, contracts.ValueSmall, &contracts.Withdraw{QueryID: q})
}

func (s *scenario) retire() error {
	q := query()
	if err := s.toNode("retire", q, contracts.ValueCheck, &contracts.Retire{QueryID: q}); err != nil {
		return err
	}
	root, err := registry.Reader{Reader: s.client}.Root(s.ctx, s.root)
	if err != nil {
		return err
	}
	if len(root.Nodes) != 0 {
		s.t.Errorf("the registry still lists %v", root.Nodes)
	}
	return nil
}

func (s *scenario) unbond() error {
	q := query()
	return s.toNode("unbond", q, contracts.ValueSmall, &contracts.Unbond{QueryID: q, Amount: stake})
}

// takeSurplus leaves the node what it owes, and its reserve.
func (s *scenario) takeSurplus() error {
	a, err := s.client.Account(s.ctx, s.node)
	if err != nil {
		return err
	}
	n, err := registry.NodeOf(a)
	if err != nil {
		return err
	}
	reserve := contracts.NodeReserveRetired
	if n.Status == "active" {
		reserve = contracts.NodeReserve
	}
	keep := n.State.Stake + n.State.Unbonding + n.State.Owed + reserve + 1_000_000 // for storage until then
	have := a.Balance.Uint64()
	if have <= keep {
		s.t.Errorf("node holds %d, of which %d must stay", have, keep)
		return nil
	}
	q := query()
	return s.toNode("surplus", q, contracts.ValueSmall, &contracts.Withdraw{QueryID: q, Surplus: have - keep})
}
