package system

import (
	"bytes"
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xssnick/tonutils-go/tl"
	"github.com/xssnick/tonutils-go/ton"
	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/receipt"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/devnet"
	"github.com/cocoon-go/cocoon/client"
)

// Liteservers that lie, by the test that has them. Number 0 stays honest.
const (
	lyingBefore = 1 + iota
	lyingAfter
	lyingBeside
)

// forge answers a query with something else, or returns nil to stay honest.
type forge func(q, honest tl.Serializable) tl.Serializable

// told counts the lies that were told.
func (f forge) fault(told *atomic.Int64) devnet.Fault {
	return devnet.Fault{Forge: func(q, honest tl.Serializable) tl.Serializable {
		if lie := f(q, honest); lie != nil {
			told.Add(1)
			return lie
		}
		return honest
	}}
}

// forgeAccount changes the answers about one account.
func forgeAccount(a attestation.Address, f func(q ton.GetAccountState, honest *ton.AccountState)) forge {
	return func(q, honest tl.Serializable) tl.Serializable {
		gq, ok := q.(ton.GetAccountState)
		if !ok || !bytes.Equal(gq.Account.ID, a.Hash[:]) {
			return nil
		}
		s, ok := honest.(ton.AccountState)
		if !ok {
			return nil
		}
		f(gq, &s)
		return s
	}
}

func forgeHead(f func(*ton.BlockIDExt)) forge {
	return func(_, honest tl.Serializable) tl.Serializable {
		a, ok := honest.(ton.MasterchainInfo)
		if !ok {
			return nil
		}
		a.Last = a.Last.Copy()
		f(a.Last)
		return a
	}
}

func forgeLookup(f func(ton.LookupBlock, *ton.BlockHeader)) forge {
	return func(q, honest tl.Serializable) tl.Serializable {
		lq, ok := q.(ton.LookupBlock)
		a, isHeader := honest.(ton.BlockHeader)
		if !ok || !isHeader {
			return nil
		}
		a.ID = a.ID.Copy()
		f(lq, &a)
		return a
	}
}

// flipData changes one bit of a contract's data, which get-methods compute
// from, and leaves code and balance.
func flipData(state *cell.Cell) *cell.Cell {
	b := state.MustBeginParse()
	n := b.BitsLeft()
	out := cell.BeginCell().MustStoreSlice(b.MustLoadSlice(n), n)
	last := int(state.RefsNum()) - 1
	for i := range last {
		out.MustStoreRef(state.MustPeekRef(i))
	}
	return out.MustStoreRef(flipBit(state.MustPeekRef(last), 30)).EndCell()
}

func flipBit(c *cell.Cell, bit uint) *cell.Cell {
	n := c.BitsSize()
	d := c.MustBeginParse().MustLoadSlice(n)
	d[bit/8] ^= 0x80 >> (bit % 8)
	b := cell.BeginCell().MustStoreSlice(d, n)
	for i := range int(c.RefsNum()) {
		b.MustStoreRef(c.MustPeekRef(i))
	}
	return b.EndCell()
}

// A liteserver lies to a client that is about to send its first request. The
// client can't find out, blames the server, and sends nothing. When the server
// is honest again, so is the answer.
func TestLyingLiteserver(t *testing.T) {
	t.Parallel()
	w := shared
	r, other := w.bootFresh(t), w.takeNode(t)
	ctx := testContext(t)
	server := w.net.Chain.Liteservers()[lyingBefore]
	ask := func(q tl.Serializable) tl.Serializable {
		a, err := w.net.Chain.Answer(ctx, q)
		if err != nil {
			t.Error(err)
		}
		return a
	}
	before := func() *ton.BlockIDExt { // this node was registered
		a := ask(ton.LookupBlock{Mode: 1, ID: &ton.BlockInfoShort{Workchain: -1, Shard: -1 << 63, Seqno: 101}})
		return a.(ton.BlockHeader).ID
	}()
	for _, c := range []struct {
		name  string
		lie   forge
		fault devnet.Fault // in place of lie
		says  string
		blame bool // the error names the server as a liar
	}{
		{name: "account: a bit of the node's state", blame: true, says: "lies about account",
			lie: forgeAccount(r.node, func(_ ton.GetAccountState, s *ton.AccountState) { s.State = flipBit(s.State, 400) })},
		{name: "account: the state of another node", blame: true, says: "lies about account",
			lie: forgeAccount(r.node, func(q ton.GetAccountState, s *ton.AccountState) {
				q.Account.ID = other.Hash[:]
				s.State = ask(q).(ton.AccountState).State
			})},
		{name: "account: another node, with its proof", blame: true, says: "lies about account",
			lie: forgeAccount(r.node, func(q ton.GetAccountState, s *ton.AccountState) {
				q.Account.ID = other.Hash[:]
				*s = ask(q).(ton.AccountState)
			})},
		{name: "account: there is no such node", blame: true, says: "lies about account",
			lie: forgeAccount(r.node, func(_ ton.GetAccountState, s *ton.AccountState) { s.State = nil })},
		{name: "account: the node before it was registered", blame: true, says: "lies about account",
			lie: forgeAccount(r.node, func(q ton.GetAccountState, s *ton.AccountState) {
				id := s.ID
				q.ID = before
				*s = ask(q).(ton.AccountState)
				s.ID = id
			})},
		{name: "account: a bit of the registry", blame: true, says: "lies about account",
			lie: forgeAccount(w.net.Registry, func(_ ton.GetAccountState, s *ton.AccountState) { s.State = flipBit(s.State, 400) })},
		{name: "get-method: a bit of the node's data", blame: true, says: "lies about account",
			lie: forgeAccount(r.node, func(_ ton.GetAccountState, s *ton.AccountState) { s.State = flipData(s.State) })},
		{name: "get-method: a bit of the registry's data", blame: true, says: "lies about account",
			lie: forgeAccount(w.net.Registry, func(_ ton.GetAccountState, s *ton.AccountState) { s.State = flipData(s.State) })},
		{name: "block: another one", says: "block ",
			lie: forgeLookup(func(q ton.LookupBlock, h *ton.BlockHeader) {
				id := *q.ID
				id.Seqno--
				*h = ask(ton.LookupBlock{Mode: q.Mode, ID: &id}).(ton.BlockHeader)
			})},
		{name: "block: another root hash", says: "block ",
			lie: forgeLookup(func(_ ton.LookupBlock, h *ton.BlockHeader) { h.ID.RootHash[0] ^= 1 })},
		{name: "head: another root hash", says: "the masterchain head",
			lie: forgeHead(func(b *ton.BlockIDExt) { b.RootHash[0] ^= 1 })},
		{name: "head: a number that is not there", says: "the masterchain head",
			lie: forgeHead(func(b *ton.BlockIDExt) { b.SeqNo += 1_000_000 })},
		{name: "chain id: no proof", blame: true, says: "lies about",
			lie: func(_, honest tl.Serializable) tl.Serializable {
				a, ok := honest.(ton.ConfigAll)
				if !ok {
					return nil
				}
				a.ConfigProof = nil
				return a
			}},
		{name: "an hour-old head", fault: devnet.Fault{Head: oldBlock}, says: "s old, at most 120 s: the liteserver is behind"},
		{name: "an error", fault: devnet.Fault{Error: &ton.LSError{Code: 651, Text: "too busy"}}, says: "too busy"},
		{name: "silence", fault: devnet.Fault{Refuse: true}, says: "the masterchain head"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var options []chain.Option
			if c.fault.Refuse {
				options = append(options, chain.WithTimeout(3*time.Second)) // enough for Dial on any machine
			}
			cl, err := w.dial(ctx, lyingBefore, options...)
			if err != nil {
				t.Fatal(err)
			}
			defer cl.Close()
			l := r.newRelay(t)
			u := r.newUser(t, l, func(cfg *client.Config) { cfg.Chain = cl })
			var told atomic.Int64
			fault := c.fault
			if c.lie != nil {
				fault = c.lie.fault(&told)
			}
			server.Inject(fault)
			defer server.Inject(devnet.Fault{})
			secret := newSecret()
			_, err = u.ask(t, secret, false)
			wantError(t, err, unknown, secret, c.says)
			var liar *chain.LyingServerError
			if c.blame && !errors.As(err, &liar) {
				t.Errorf("nobody is blamed: %v", err)
			}
			if c.lie != nil && told.Load() == 0 {
				t.Error("the lie was not told")
			}
			l.heardNoRequest(t, secret)
			if c.fault.Refuse {
				return // its timeout is too short for more
			}
			server.Inject(devnet.Fault{})
			u.mustAsk(t, secret)
		})
	}
}

// No get-method is ever left to a liteserver, on the whole way of a request and
// its proof.
func TestNoRemoteMethod(t *testing.T) {
	t.Parallel()
	w := shared
	r := w.bootFresh(t)
	ctx := testContext(t)
	var queries, remote atomic.Int64
	w.net.Chain.Liteservers()[lyingBeside].Inject(devnet.Fault{Forge: func(q, honest tl.Serializable) tl.Serializable {
		queries.Add(1)
		if _, ok := q.(ton.RunSmcMethod); ok {
			remote.Add(1)
		}
		return honest
	}})
	cl, err := w.dial(ctx, lyingBeside)
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	u := r.newUser(t, r.newRelay(t), func(cfg *client.Config) { cfg.Chain = cl })
	f := u.mustAsk(t, newSecret())
	node, err := u.Node(ctx, r.node)
	if err != nil {
		t.Fatal(err)
	}
	r.anchor(t)
	src, err := node.Source(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := u.Prove(ctx, src, f.Receipt); err != nil {
		t.Fatal(err)
	}
	if queries.Load() == 0 || remote.Load() != 0 {
		t.Errorf("%d queries, %d of them get-methods", queries.Load(), remote.Load())
	}
}

// A liteserver begins to lie when the node is verified already. The request goes
// to an enclave that was proved; what can't be proved any more is the block that
// the receipt names, so the answer does not end well.
func TestLiesAfterVerification(t *testing.T) {
	t.Parallel()
	w := shared
	r := w.bootFresh(t)
	ctx := testContext(t)
	server := w.net.Chain.Liteservers()[lyingAfter]
	for name, fault := range map[string]devnet.Fault{
		"a head that does not go on": {Head: oldBlock},
		"another head":               forgeHead(func(b *ton.BlockIDExt) { b.FileHash[0] ^= 1 }).fault(new(atomic.Int64)),
		"silence":                    {Error: &ton.LSError{Code: 651, Text: "too busy"}},
	} {
		t.Run(name, func(t *testing.T) {
			cl, err := w.dial(ctx, lyingAfter)
			if err != nil {
				t.Fatal(err)
			}
			defer cl.Close()
			l := r.newRelay(t)
			u := r.newUser(t, l, func(cfg *client.Config) { cfg.Chain = cl })
			u.mustAsk(t, newSecret())
			seen, err := cl.Head(ctx)
			if err != nil {
				t.Fatal(err)
			}
			r.awaitHead(t, seen.Seqno+1)
			server.Inject(fault)
			defer server.Inject(devnet.Fault{})
			before := r.size(t)
			secret := newSecret()
			a, err := u.ask(t, secret, false)
			wantError(t, err, unknown, secret, "the block it names")
			if len(a.body) == 0 || len(u.receipts()) != 1 || client.ReceiptOf(a.resp) != nil {
				t.Errorf("%d bytes of answer, %d receipts kept", len(a.body), len(u.receipts()))
			}
			if n := r.size(t); n != before+1 {
				t.Errorf("the log went from %d to %d leaves", before, n)
			}
			l.heardNothingOf(t, secret)
			server.Inject(devnet.Fault{})
			u.mustAsk(t, newSecret())
		})
	}
}

// The chain's head does not cover a receipt, yet or at all.
func TestNotCovered(t *testing.T) {
	t.Parallel()
	w := shared
	r := w.bootFresh(t)
	ctx := testContext(t)
	l := r.newRelay(t)
	u := r.newUser(t, l)
	first, second := u.mustAsk(t, newSecret()).Receipt, u.mustAsk(t, newSecret()).Receipt
	node, err := u.Node(ctx, r.node)
	if err != nil {
		t.Fatal(err)
	}
	src, err := node.Source(ctx)
	if err != nil {
		t.Fatal(err)
	}
	early, err := w.client.Account(ctx, r.node)
	if err != nil {
		t.Fatal(err)
	}

	// before any anchor
	_, err = u.Prove(ctx, src, first)
	wantError(t, err, unknown, "", "no anchor on the chain covers this receipt yet", "the anchor has 0 leaves, the receipt is leaf 0")
	if !errors.Is(err, client.ErrNotAnchored) {
		t.Errorf("not ErrNotAnchored: %v", err)
	}
	short, cancel := context.WithTimeout(ctx, 150*time.Millisecond)
	defer cancel()
	_, err = u.WaitAnchored(short, first, 20*time.Millisecond)
	wantError(t, err, unknown, "", "waiting for the anchor")

	// after it, for a receipt that came later
	if rec := r.anchor(t); rec.Anchor.Size != 2 {
		t.Fatalf("anchor of %d leaves", rec.Anchor.Size)
	}
	third := u.mustAsk(t, newSecret()).Receipt
	_, err = u.Prove(ctx, src, third)
	wantError(t, err, unknown, "", "the anchor has 2 leaves, the receipt is leaf 2")

	cfg, err := chain.ParseGlobalConfig(w.net.Chain.GlobalConfig())
	if err != nil {
		t.Fatal(err)
	}
	expect := client.Expect{Policy: w.policy(t), Registry: w.net.Registry, Trusted: []chain.BlockID{cfg.Trusted()}}
	prove := func() *receipt.Proof {
		p, err := u.Prove(ctx, src, first)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	if _, err := client.VerifyProof(prove(), expect); err != nil {
		t.Fatalf("a good proof: %v", err)
	}
	for _, c := range []struct {
		name string
		edit func(*receipt.Proof)
		want family
		says string
	}{
		{"of a receipt behind the head", func(p *receipt.Proof) { p.Receipt = third }, chainSay, "the chain's head has 2 leaves, the receipt claims to be leaf 2"},
		{"of another leaf", func(p *receipt.Proof) { p.Receipt = second }, isFalse, "inclusion"},
		{"with the account before the anchor", func(p *receipt.Proof) { p.AccountProof = early.Proof }, chainSay, "the checkpoint of the proof, of 2 leaves, is not on the chain, whose head has 0"},
		{"without the account", func(p *receipt.Proof) { p.AccountProof = nil }, unknown, "exported before the receipt was anchored"},
		{"without the registry", func(p *receipt.Proof) { p.RegistryProof = nil }, unknown, "exported before the receipt was anchored"},
		{"with a larger checkpoint", func(p *receipt.Proof) { p.Checkpoint.Size++ }, chainSay, "the checkpoint of the proof, of 3 leaves, is not on the chain"},
		{"with another signature", func(p *receipt.Proof) { p.Checkpoint.Signature[3] ^= 1 }, isFalse, "checkpoint"},
		{"with another path", func(p *receipt.Proof) { p.Inclusion.Hashes[0][0] ^= 1 }, isFalse, "inclusion"},
	} {
		p := prove()
		c.edit(p)
		_, err := client.VerifyProof(p, expect)
		if err == nil {
			t.Errorf("%s: accepted", c.name)
			continue
		}
		t.Run(c.name, func(t *testing.T) { wantError(t, err, c.want, "", c.says) })
	}
	foreign := expect
	foreign.Trusted = []chain.BlockID{{Seqno: 1, RootHash: [32]byte{1}}}
	_, err = client.VerifyProof(prove(), foreign)
	wantError(t, err, unknown, "", "trusted")

	// a relay that lies about the log's tiles, or hides them
	covered := func(relay string, x *receipt.Receipt) error {
		rec, err := w.reader.Node(ctx, r.node)
		if err != nil {
			t.Fatal(err)
		}
		return u.Covered(ctx, relay, rec, x)
	}
	if err := covered(l.url, second); err != nil {
		t.Error(err)
	}
	foreignLeaf := *second
	foreignLeaf.Head.Time++
	wantError(t, covered(l.url, &foreignLeaf), isFalse, "", "not in the tree")
	if err := covered(l.url, third); !errors.Is(err, client.ErrNotAnchored) {
		t.Errorf("not ErrNotAnchored: %v", err)
	}
	changed := r.newRelay(t, func(l *relay) { l.tile = func(_ string, b []byte) []byte { b[0] ^= 1; return b } })
	src.Endpoint = changed.url
	_, err = u.Prove(ctx, src, first)
	wantError(t, err, isFalse, "", "tile")
	wantError(t, covered(changed.url, first), isFalse, "", "tile")
	hidden := r.newRelay(t, func(l *relay) { l.tile = func(string, []byte) []byte { return nil } })
	src.Endpoint = hidden.url
	_, err = u.Prove(ctx, src, first)
	wantError(t, err, unknown, "", "tile")
	wantError(t, covered(hidden.url, first), unknown, "", "tile")

	// nothing was lost by waiting
	src.Endpoint = l.url
	r.anchor(t)
	p, err := u.Prove(ctx, src, third)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.VerifyProof(p, expect); err != nil {
		t.Fatal(err)
	}
}
