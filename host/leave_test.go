package host

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xssnick/tonutils-go/tlb"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/receipt"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/devnet/network"
)

// leaver is the operator of a node that served, and its log.
type leaver struct {
	*onePlatform
	op                       *Operator
	dir                      string // the node's
	receiptKey, logKey, held ed25519.PrivateKey
	heads                    []receipt.Head
	log                      *memoryLog
}

const leaverStake = 20_000_000_000

func seedKey(name string) ed25519.PrivateKey {
	s := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(s[:])
}

// newLeaver registers a node, whose enclave gives receipts and signs heads.
func newLeaver(t *testing.T, receipts int, edits ...func(*contracts.Params)) *leaver {
	t.Helper()
	p := newOnePlatform(t, func(o *network.Options) {
		params := o.Params
		o.Params = func(c *contracts.Params) {
			params(c)
			c.MinStake, c.ForkLoss, c.ReceiptLoss = 5e9, 2e9, 1e9
			c.MergeDelay, c.AnchorInterval = 1, 1
			for _, edit := range edits {
				edit(c)
			}
		}
	})
	l := &leaver{onePlatform: p, op: p.operator(0), dir: t.TempDir(), receiptKey: seedKey("receipts"), logKey: seedKey("log"), held: seedKey("holder")}
	if err := errors.Join(l.op.Stake(t.Context(), leaverStake), l.op.Told()); err != nil {
		t.Fatal(err)
	}
	b := p.bundleWith(l.op, func(c *attestation.Claims) {
		c.ReceiptKey, c.LogKey = [32]byte(l.receiptKey.Public().(ed25519.PublicKey)), [32]byte(l.logKey.Public().(ed25519.PublicKey))
	})
	if err := errors.Join(l.op.Register(t.Context(), always(b)), l.op.Told()); err != nil {
		t.Fatal(err)
	}
	l.heads = headsOf(l.op.Node, receipts)
	for i := range l.heads {
		l.heads[i].Time, l.heads[i].Holder = uint32(time.Now().Add(-time.Minute).Unix()), receipt.Holder([32]byte(l.held.Public().(ed25519.PublicKey)))
	}
	l.log = writeLog(t, l.dir, l.op.Node, l.heads)
	return l
}

func (l *leaver) source() LogSource { return StoredLog(l.dir, l.dir, l.op.Node) }

// signed is the head of the first leaves, as the enclave signs it.
func (l *leaver) signed(size int64) *contracts.SignedHead {
	h := &contracts.SignedHead{Anchor: contracts.Anchor{Epoch: 1, Size: uint64(size), Root: l.log.root(l.T, size)}}
	d := h.Digest(l.net.Chain.GlobalID(), l.op.Node)
	h.Signature = [64]byte(ed25519.Sign(l.logKey, d[:]))
	return h
}

func (l *leaver) anchored(size int64) {
	l.Helper()
	if err := errors.Join(l.op.Anchor(l.Context(), l.signed(size)), l.op.Told()); err != nil {
		l.Fatal(err)
	}
}

// challenge asks for a receipt.
func (l *leaver) challenge(index uint64) {
	l.Helper()
	m := &contracts.ChallengeReceipt{ChainID: l.net.Chain.GlobalID(), Payout: l.op.Wallet(), Head: l.heads[index]}
	m.SignReceipt = [64]byte(ed25519.Sign(l.receiptKey, l.heads[index].AppendTo(nil)))
	m.Sign(l.held)
	l.ask(fmt.Sprintf("challenge receipt %d", index), func(q uint64) Message { m.QueryID = q; return m })
}

// challengeLog asks whether the log goes on from a head.
func (l *leaver) challengeLog(size int64) {
	l.Helper()
	l.ask("challenge the log", func(q uint64) Message { return &contracts.ChallengeLog{QueryID: q, Head: *l.signed(size)} })
}

func (l *leaver) ask(what string, m func(uint64) Message) {
	l.Helper()
	bond := contracts.DefaultParams().ChallengeBond
	if err := errors.Join(l.op.Send(l.Context(), what, bond+contracts.ValueChallenge, m, l.op.Node), l.op.Told()); err != nil {
		l.Fatal(err)
	}
}

// pass lets time pass, for the chain.
func (p *onePlatform) pass(d time.Duration) {
	p.Helper()
	p.ahead.Add(int64(d))
	for _, err := p.client.Head(p.Context()); err != nil; _, err = p.client.Head(p.Context()) {
		if p.Context().Err() != nil {
			p.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// answersPaid counts the answers that the contract got.
func (l *leaver) answersPaid() (n int) {
	l.Helper()
	acc := must(l.client.Account(l.Context(), l.op.Node))
	for _, tx := range must(l.client.Transactions(l.Context(), acc, 256)) {
		in, ok := tx.In.Msg.(*tlb.InternalMessage)
		if body := in.Body.MustBeginParse(); ok && body.BitsLeft() >= 32 && body.MustLoadUInt(32) == 0xc0c0011d {
			n++
		}
	}
	return n
}

// TestLeave: an operator who has left answers, from the disk alone, whatever is
// asked before his stake may go, and takes all of it with him.
func TestLeave(t *testing.T) {
	l := newLeaver(t, 5)
	l.anchored(3)
	if err := headIn(l.dir).save(l.signed(5)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(l.op.Unregister(t.Context()), l.op.Told()); err != nil {
		t.Fatal(err)
	}
	l.challenge(1)
	l.challengeLog(2)
	l.challenge(4) // no anchor covers it
	if err := errors.Join(l.op.Unstake(t.Context(), leaverStake), l.op.Told()); err != nil {
		t.Fatal(err)
	}
	done, err := l.op.Answer(t.Context(), l.source())
	if err != nil || len(done) != 3 {
		t.Fatalf("%d answered, %v", len(done), err)
	}
	rec := must(l.op.Record(t.Context()))
	if len(rec.State.Book.Challenges) != 0 || rec.Anchor.Size != 5 || l.answersPaid() != 3 {
		t.Errorf("%d open, %d anchored, %d paid", len(rec.State.Book.Challenges), rec.Anchor.Size, l.answersPaid())
	}
	before := l.balance(l.op)
	if done, err := l.op.Answer(t.Context(), l.source()); err != nil || len(done) != 0 || l.balance(l.op) != before {
		t.Errorf("again: %d answered, %v, cost %d", len(done), err, before-l.balance(l.op))
	}
	l.pass(3*24*time.Hour + time.Minute)
	if err := errors.Join(l.op.Withdraw(t.Context(), 0), l.op.Told()); err != nil {
		t.Fatal(err)
	}
	rec = must(l.op.Record(t.Context()))
	if got := l.balance(l.op) - before; rec.State.Stake+rec.State.Unbonding != 0 || got < leaverStake {
		t.Errorf("of the stake of %d %d came back; %d and %d are left", uint64(leaverStake), got, rec.State.Stake, rec.State.Unbonding)
	}
	if err := l.op.KeepAnswering(t.Context(), l.source()); err != nil { // it ends: nothing is at stake
		t.Error(err)
	}
}

// TestAnswerInVain: what can't be answered is said, and costs nothing.
func TestAnswerInVain(t *testing.T) {
	l := newLeaver(t, 4)
	l.anchored(2)
	l.challenge(1)
	l.challenge(3)
	before := l.balance(l.op)
	elsewhere := StoredLog(t.TempDir(), l.dir, l.op.Node)
	for says, source := range map[string]LogSource{"is missing": elsewhere, "no anchor covers receipt 3, nor does a signed head": elsewhere} {
		if done, err := l.op.Answer(t.Context(), source); len(done) != 0 || err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%d answered, %v; want %q", len(done), err, says)
		}
	}
	// A head that the chain would refuse.
	forged := l.signed(4)
	forged.Root[0] ^= 1
	old := l.signed(4)
	old.Epoch = 7
	for says, h := range map[string]*contracts.SignedHead{"not signed by the log key": forged, "the head is of epoch 7": old} {
		if err := headIn(l.dir).save(h); err != nil {
			t.Fatal(err)
		}
		if _, err := l.op.Answer(t.Context(), elsewhere); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v; want %q", err, says)
		}
	}
	if after := l.balance(l.op); after != before {
		t.Errorf("it cost %d", before-after)
	}
	// The one that can be answered is.
	if done, err := l.op.Answer(t.Context(), l.source()); len(done) != 1 || err == nil {
		t.Errorf("%d answered, %v", len(done), err)
	}
	l.pass(25 * time.Hour)
	before = l.balance(l.op)
	if done, err := l.op.Answer(t.Context(), l.source()); len(done) != 0 || err == nil || !strings.Contains(err.Error(), "takes 1 coins of stake") || l.balance(l.op) != before {
		t.Errorf("too late: %d answered, %v", len(done), err)
	}
}

// TestAnswerCrash ends an answer at each durable step. It is paid once.
func TestAnswerCrash(t *testing.T) {
	l := newLeaver(t, 16)
	l.anchored(16)
	index := uint64(0)
	for at := 1; at <= 5; at++ { // begun, signed, landed, done, told
		for _, after := range []bool{false, true} {
			paid, dir := l.answersPaid(), t.TempDir()
			l.challenge(index)
			index++
			o := life(t, l.op, l.net.Operator, dir, &crash{at: at, after: after})
			if _, err := o.Answer(t.Context(), l.source()); !errors.Is(err, errCrash) {
				t.Fatalf("step %d: %v", at, err)
			}
			o.Close()
			o = life(t, l.op, l.net.Operator, dir, &crash{})
			if _, err := o.Answer(t.Context(), l.source()); err != nil {
				t.Fatalf("step %d %v: %v", at, after, err)
			}
			o.Close()
			if open, n := must(l.op.Record(t.Context())).State.Book.Challenges, l.answersPaid()-paid; len(open) != 0 || n != 1 {
				t.Errorf("step %d %v: %d open, %d paid", at, after, len(open), n)
			}
		}
	}
}

// TestAnchorCrash ends an anchor by the wallet at each durable step. The same again
// finds it, although the chain has the head by then.
func TestAnchorCrash(t *testing.T) {
	l := newLeaver(t, 16)
	size := int64(0)
	for at := 1; at <= 5; at++ { // begun, signed, landed, done, told
		for _, after := range []bool{false, true} {
			size++
			head, dir := l.signed(size), t.TempDir()
			o := life(t, l.op, l.net.Operator, dir, &crash{at: at, after: after})
			if err := errors.Join(o.Anchor(t.Context(), head), o.Told()); !errors.Is(err, errCrash) {
				t.Fatalf("step %d: %v", at, err)
			}
			o.Close()
			if at < 5 || !after { // else the user knows: the same is another, which the contract refuses
				o = life(t, l.op, l.net.Operator, dir, &crash{})
				if err := errors.Join(o.Anchor(t.Context(), head), o.Told()); err != nil {
					t.Fatalf("step %d %v: %v", at, after, err)
				}
				o.Close()
			}
			if got := must(l.op.Record(t.Context())).Anchor.Size; got != uint64(size) {
				t.Errorf("step %d %v: %d anchored, want %d", at, after, got, size)
			}
		}
	}
}

// TestAnswerAgain: a challenge that is made again, after an answer whose outcome
// nobody was told, is answered again.
func TestAnswerAgain(t *testing.T) {
	l := newLeaver(t, 2)
	l.anchored(2)
	l.challenge(1)
	dir := t.TempDir()
	o := life(t, l.op, l.net.Operator, dir, &crash{at: 5})
	if _, err := o.Answer(t.Context(), l.source()); !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	o.Close()
	l.challenge(1)
	o = life(t, l.op, l.net.Operator, dir, &crash{})
	done, err := o.Answer(t.Context(), l.source())
	if open := must(o.Record(t.Context())).State.Book.Challenges; err != nil || len(done) != 1 || len(open) != 0 || l.answersPaid() != 2 {
		t.Errorf("%d answered, %v, %d open, %d paid", len(done), err, len(open), l.answersPaid())
	}
}

// TestAnswerRaces: what happens on the chain between a look at it and an answer.
func TestAnswerRaces(t *testing.T) {
	l := newLeaver(t, 6)
	other := must(OpenOperator(t.Context(), l.client, l.net.Operator, l.net.Registry, 0, t.TempDir()))
	l.challenge(1) // late: the first anchor counts, and the contract fixes it with the first answer
	l.anchored(3)
	source, looks := l.source(), 0
	tiles := source.Tiles
	source.Tiles = func(ctx context.Context, path string) ([]byte, error) {
		if looks++; looks == 1 {
			if err := errors.Join(other.Anchor(ctx, l.signed(5)), other.Told()); err != nil {
				return nil, err
			}
		}
		return tiles(ctx, path)
	}
	if done, err := l.op.Answer(t.Context(), source); err != nil || len(done) != 1 || l.answersPaid() != 2 {
		t.Errorf("another anchor came between: %d answered, %v, %d paid", len(done), err, l.answersPaid())
	}

	// Somebody else answers it: nothing is paid, or what was paid comes back.
	l.challenge(2)
	a := &answerer{LogSource: l.source(), op: l.op, busy: new(sync.Mutex), idle: func() bool { return false }}
	var id [32]byte
	for id = range must(l.op.Record(t.Context())).State.Book.Challenges {
	}
	looks = 0
	a.Tiles = func(ctx context.Context, path string) ([]byte, error) {
		if looks++; looks == 1 {
			if _, err := other.Answer(ctx, l.source()); err != nil {
				return nil, err
			}
		}
		return tiles(ctx, path)
	}
	if done, err := a.answer(t.Context(), id); done || err != nil {
		t.Errorf("answered by somebody else meanwhile: %v, %v", done, err)
	}
	before := l.balance(l.op)
	if done, err := a.answer(t.Context(), id); done || err != nil || l.balance(l.op) != before {
		t.Errorf("answered by somebody else: %v, %v", done, err)
	}

	// An answer whose outcome was not known is found.
	l.challenge(4)
	for id = range must(l.op.Record(t.Context())).State.Book.Challenges {
	}
	dir := t.TempDir()
	o := life(t, l.op, l.net.Operator, dir, &crash{at: 3, after: true})
	if _, err := o.Answer(t.Context(), l.source()); !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	o.Close()
	a.op = life(t, l.op, l.net.Operator, dir, &crash{})
	if done, err := a.answer(t.Context(), id); !done || err != nil {
		t.Errorf("begun before: %v, %v", done, err)
	}

	// A head of an epoch that is over is no reason to complain, unless it is needed.
	old := l.signed(6)
	old.Epoch = 9
	if err := headIn(l.dir).save(old); err != nil {
		t.Fatal(err)
	}
	if _, err := l.op.Answer(t.Context(), l.source()); err != nil {
		t.Error(err)
	}
}

func TestLastHead(t *testing.T) {
	f := headIn(t.TempDir())
	if h, err := f.load(); h != nil || err != nil {
		t.Errorf("none: %v, %v", h, err)
	}
	want := &contracts.SignedHead{Anchor: contracts.Anchor{Epoch: 3, Size: 9, Root: [32]byte{1}}, Signature: [64]byte{2}}
	if err := f.save(want); err != nil {
		t.Fatal(err)
	}
	if h, err := f.load(); err != nil || *h != *want {
		t.Errorf("%+v, %v", h, err)
	}
	if filepath.Base(string(f)) != HeadFile {
		t.Error(f)
	}
}
