package chain_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xssnick/tonutils-go/tlb"
	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/devnet"
)

// passage is an account with some transactions, and its states between them.
type passage struct {
	cl     *chain.Client
	newest *chain.Account
	txs    []chain.Transaction // newest first
	states []*chain.Account    // before each of them
}

func newPassage(t testing.TB) *passage {
	t.Helper()
	l := newLyingChain(t, devnet.Options{})
	cl, ctx := dial(t, l.Chain), testContext(t)
	p := &passage{cl: cl}
	var err error
	if p.newest, err = cl.Account(ctx, l.faucet); err != nil {
		t.Fatal(err)
	}
	if p.txs, err = cl.Transactions(ctx, p.newest, 4); err != nil || len(p.txs) != 4 {
		t.Fatalf("%d transactions, %v", len(p.txs), err)
	}
	for i := range p.txs {
		before, first, err := cl.FirstState(ctx, l.faucet, 1, func(a *chain.Account) (bool, error) { return a.LastLT >= p.txs[i].LT, nil })
		if err != nil {
			t.Fatal(err)
		}
		if first.LastLT != p.txs[i].LT || !p.txs[i].After(before) || first.Block.Seqno != before.Block.Seqno+1 {
			t.Fatalf("transaction %d: the state of block %d has %d, that of block %d %d", i, before.Block.Seqno, before.LastLT, first.Block.Seqno, first.LastLT)
		}
		p.states = append(p.states, before)
	}
	return p
}

func (p *passage) encode(t testing.TB, n, hidden int, before *chain.Account) []byte {
	t.Helper()
	b, err := chain.EncodePassage(p.txs[:n], hidden, before)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestPassage(t *testing.T) {
	p := newPassage(t)
	for n := 1; n <= 4; n++ {
		for hidden := range n {
			before := p.states[n-1]
			got, err := chain.VerifyPassage(p.encode(t, n, hidden, before), p.newest)
			if err != nil || len(got.Transactions) != n || got.Begins != (n == 4) || got.Before == nil {
				t.Fatalf("%d, %d hidden: %+v, %v", n, hidden, got, err)
			}
			for i, tx := range got.Transactions {
				want := p.txs[i]
				if tx.Hash != want.Hash || tx.LT != want.LT || !tx.Time.Equal(want.Time) || tx.Hidden != (i < hidden) {
					t.Errorf("transaction %d: %+v, want %+v", i, tx, want)
				}
				if !tx.Hidden && (tx.Aborted != want.Aborted || tx.In.MsgType != want.In.MsgType || tx.In.Msg.Payload().HashKey(0) != want.In.Msg.Payload().HashKey()) {
					t.Errorf("transaction %d: %+v, want %+v", i, tx.In, want.In)
				}
			}
			if !got.Before.Active || got.Before.Data.HashKey(0) != before.Data.HashKey() {
				t.Errorf("the state before %d: %+v", n, got.Before)
			}
		}
	}
	got, err := chain.VerifyPassage(p.encode(t, 2, 0, nil), p.newest)
	if err != nil || got.Before != nil || got.Begins {
		t.Errorf("%+v, %v", got, err)
	}
}

// The whole life of an account, from before it was there.
func TestPassageFromTheStart(t *testing.T) {
	l := newLyingChain(t, devnet.Options{})
	cl, ctx := dial(t, l.Chain), testContext(t)
	if err := l.Faucet(ctx, addr(0x77), 1e9); err != nil {
		t.Fatal(err)
	}
	before, first, err := cl.FirstState(ctx, addr(0x77), 1, func(a *chain.Account) (bool, error) { return a.Exists, nil })
	if err != nil || before.Exists || !first.Exists {
		t.Fatal(err)
	}
	all := func(*chain.Transaction) bool { return false }
	txs, err := cl.History(ctx, first, 10, all)
	if err != nil || len(txs) != 1 || !txs[0].After(before) || !txs[0].After(nil) {
		t.Fatalf("%+v, %v", txs, err)
	}
	b, err := chain.EncodePassage(txs, 0, before)
	if err != nil {
		t.Fatal(err)
	}
	got, err := chain.VerifyPassage(b, first)
	if err != nil || !got.Begins || got.Before == nil || got.Before.Active {
		t.Errorf("%+v, %v", got, err)
	}
}

// What the account does not have is false, and malformed bytes are bad input.
func TestPassageRefuses(t *testing.T) {
	p := newPassage(t)
	good := p.encode(t, 3, 1, p.states[2])
	other, absent, late, elsewhere := *p.newest, *p.newest, *p.newest, *p.newest
	other.LastHash, absent.Exists = p.txs[1].Hash, false
	late.LastLT++
	elsewhere.Address.Hash[0]++
	gap := func(txs ...chain.Transaction) []byte {
		b, err := chain.EncodePassage(txs, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	var isFalse *attestation.FalseError
	var input *attestation.InputError
	for name, c := range map[string]struct {
		proof []byte
		acc   *chain.Account
		want  any
	}{
		"a gap":                         {gap(p.txs[0], p.txs[2]), p.newest, &isFalse},
		"not the newest":                {gap(p.txs[1:]...), p.newest, &isFalse},
		"twice":                         {gap(p.txs[0], p.txs[0]), p.newest, &isFalse},
		"of another state":              {good, &other, &isFalse},
		"of another time":               {good, &late, &isFalse},
		"of another account":            {good, &elsewhere, &isFalse},
		"the state before another":      {p.encode(t, 3, 1, p.states[1]), p.newest, &isFalse},
		"no state before":               {p.encode(t, 3, 1, &absent), p.newest, &isFalse},
		"the state before a hidden one": {p.encode(t, 3, 3, p.states[2]), p.newest, &isFalse},
		"of no account":                 {good, &absent, &input},
		"no bytes":                      {nil, p.newest, &input},
		"too many bytes":                {make([]byte, chain.MaxPassage+1), p.newest, &input},
		"with a byte after it":          {append(bytes.Clone(good), 0), p.newest, &input},
		"without its last byte":         {good[:len(good)-1], p.newest, &input},
		"an account proof":              {p.newest.Proof, p.newest, &input},
		"a number in two bytes":         {append([]byte{good[0], 0x18, 0}, good[2:]...), p.newest, &input},
		"keys in another order":         {swapped(t, good), p.newest, &input},
	} {
		if got, err := chain.VerifyPassage(c.proof, c.acc); got != nil || !errors.As(err, c.want) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	for _, b := range [][]byte{nil, make([]byte, chain.MaxPassage+1)} { // before a byte is read
		if _, err := chain.VerifyPassage(b, p.newest); err == nil || !strings.Contains(err.Error(), "bytes, want 1 to") {
			t.Errorf("%d bytes: %v", len(b), err)
		}
	}
	for _, none := range [][]chain.Transaction{nil, {{}}} {
		if _, err := chain.EncodePassage(none, 0, nil); !errors.As(err, &input) {
			t.Errorf("encoding %d that are not from a chain: %v", len(none), err)
		}
	}
	for i := range 8 * len(good) { // one proof has one encoding
		bad := bytes.Clone(good)
		bad[i/8] ^= 1 << (i % 8)
		if got, err := chain.VerifyPassage(bad, p.newest); err == nil || got != nil {
			t.Fatalf("bit %d changed: %+v", i, got)
		}
	}
}

// swapped returns a passage with its two last keys in the other order.
func swapped(t *testing.T, good []byte) []byte {
	t.Helper()
	i := bytes.LastIndex(good, []byte{1, 0x59}) // transactions: between 256 and 65,535 bytes
	if i < 0 {
		t.Fatal("no transactions")
	}
	end := i + 4 + int(binary.BigEndian.Uint16(good[i+2:]))
	if end >= len(good) || good[end] != 2 {
		t.Fatal("no state before")
	}
	return slices.Concat(good[:i], good[end:], good[i:end])
}

// A dishonest exporter leaves out what would speak against him. What is not there is
// not taken for something else.
func TestPassagePruned(t *testing.T) {
	p := newPassage(t)
	tx := chain.TransactionCell(p.txs[0])
	if tx.MustPeekRef(0).MustPeekRef(0).RefsNum() == 0 {
		t.Fatal("the message has no cell below it")
	}
	state := chain.StateCell(p.states[0])
	last := int(tx.RefsNum()) - 1
	for name, c := range map[string]struct {
		tx, before *cell.Cell
		good       bool
	}{
		"nothing left out":  {tx, state, true},
		"below the body":    {pruned(tx, 0, 0, 0), state, true},
		"all messages":      {pruned(tx, 0), nil, true}, // it is hidden then
		"the code before":   {tx, pruned(state, 0), true},
		"the transaction":   {pruned(tx), nil, false},
		"the message":       {pruned(tx, 0, 0), nil, false},
		"the description":   {pruned(tx, last), nil, false},
		"the state update":  {pruned(tx, last-1), nil, false},
		"the state before":  {tx, pruned(state), false},
		"the data before":   {tx, pruned(state, 1), false},
		"before, of hidden": {pruned(tx, 0), state, false},
	} {
		got, err := chain.VerifyPassage(chain.PassageOf(t, c.before, c.tx), p.newest)
		if c.good != (err == nil) || (got == nil) != (err != nil) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// A pruned cell whose hash makes it look like a message is none.
func TestPassagePrunedMessage(t *testing.T) {
	for i := range uint64(100_000) {
		c := pruned(cell.BeginCell().MustStoreUInt(i, 64).EndCell())
		if tlb.Parse(new(tlb.Message), c) != nil {
			continue
		}
		if m, err := chain.ReadMessage(c); err == nil {
			t.Errorf("read as %v", m.Msg.Payload())
		}
		return
	}
	t.Error("none looks like a message")
}

// pruned returns c without the cell at the end of a way of references.
func pruned(c *cell.Cell, way ...int) *cell.Cell {
	if len(way) == 0 {
		p, err := cell.BeginCell().MustStoreUInt(1, 8).MustStoreUInt(1, 8).MustStoreSlice(c.Hash(0), 256).MustStoreUInt(uint64(c.Depth(0)), 16).EndCellSpecial(true)
		if err != nil {
			panic(err)
		}
		return p
	}
	s := c.MustBeginParse()
	n := s.BitsLeft()
	out := cell.BeginCell().MustStoreSlice(s.MustLoadSlice(n), n)
	for i := range int(c.RefsNum()) {
		r := c.MustPeekRef(i)
		if i == way[0] {
			r = pruned(r, way[1:]...)
		}
		out.MustStoreRef(r)
	}
	return out.EndCell()
}

// However large the messages are, a hidden transaction takes some 250 bytes and one
// that is shown less than a kilobyte. The body of its message must be there.
func TestPassageSize(t *testing.T) {
	l := newLyingChain(t, devnet.Options{})
	cl, ctx := dial(t, l.Chain), testContext(t)
	w, err := chain.NewWriter(ctx, cl, l.FaucetWallet(), nil)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for ctx.Err() == nil {
			_ = l.Mine(1)
			time.Sleep(5 * time.Millisecond)
		}
	}()
	const n = 200
	flood := make([]chain.Message, n)
	for i := range flood {
		flood[i] = chain.Message{To: addr(0x78), Amount: big.NewInt(3e9), NoBounce: true, Body: junk(440, 1)}
	}
	if _, err := w.Send(ctx, "junk", flood...); err != nil {
		t.Fatal(err)
	}
	before, first, err := cl.FirstState(ctx, addr(0x78), 1, func(a *chain.Account) (bool, error) { return a.Exists, nil })
	if err != nil {
		t.Fatal(err)
	}
	txs, err := cl.History(ctx, first, 10*n, func(x *chain.Transaction) bool { return x.After(before) })
	if err != nil || len(txs) != n {
		t.Fatalf("%d transactions in a block, %v", len(txs), err)
	}
	for hidden, limit := range map[int]int{n: 400 * n, 0: 1000 * n} {
		b, err := chain.EncodePassage(txs, hidden, nil)
		if err != nil || len(b) > limit {
			t.Errorf("%d hidden: %d bytes, %v", hidden, len(b), err)
		}
		t.Logf("%d of %d transactions hidden: %d bytes", hidden, n, len(b))
		if _, err := chain.VerifyPassage(b, first); err != nil {
			t.Error(err)
		}
	}
	tx := chain.TransactionCell(txs[0]) // the newest
	for want, c := range map[bool]*cell.Cell{true: pruned(tx, 0, 0, 0, 2), false: pruned(tx, 0, 0, 0)} {
		if _, err := chain.VerifyPassage(chain.PassageOf(t, nil, c), first); (err == nil) != want {
			t.Errorf("without a part of the body: %v", err)
		}
	}
}

// junk is a message body of n different cells of 127 bytes.
func junk(n int, salt uint64) *cell.Cell {
	var level []*cell.Cell
	fill := bytes.Repeat([]byte{0xa5}, 119)
	for i := range n - n/4 {
		level = append(level, cell.BeginCell().MustStoreUInt(salt<<32|uint64(i), 64).MustStoreSlice(fill, 952).EndCell())
	}
	for len(level) > 1 {
		var up []*cell.Cell
		for c := range slices.Chunk(level, 4) {
			b := cell.BeginCell().MustStoreUInt(salt, 64).MustStoreSlice(fill, 952)
			for _, r := range c {
				b.MustStoreRef(r)
			}
			up = append(up, b.EndCell())
		}
		level = up
	}
	return level[0]
}

// FuzzPassage looks for panics and for a second proof of anything.
func FuzzPassage(f *testing.F) {
	p := newPassage(f)
	seeds := map[string]bool{}
	for n := 1; n <= 3; n++ {
		seeds[string(p.encode(f, n, n-1, p.states[n-1]))] = true
		seeds[string(p.encode(f, n, 0, nil))] = true
	}
	for s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := chain.VerifyPassage(b, p.newest); err == nil && !seeds[string(b)] {
			t.Error("another proof of transactions was accepted")
		}
	})
}

// What began to hold of an account is found wherever it began, and what a liteserver
// says instead is not believed.
func TestFirstState(t *testing.T) {
	l := newLyingChain(t, devnet.Options{})
	cl, ctx := dial(t, l.Chain), testContext(t)
	head, err := cl.Head(ctx)
	if err != nil {
		t.Fatal(err)
	}
	from := func(seqno uint32) func(*chain.Account) (bool, error) {
		return func(a *chain.Account) (bool, error) { return a.Block.Seqno >= seqno, nil }
	}
	for seqno := uint32(2); seqno <= head.Seqno; seqno += 3 {
		before, first, err := cl.FirstState(ctx, l.faucet, 1, from(seqno))
		if err != nil || before.Block.Seqno != seqno-1 || first.Block.Seqno != seqno {
			t.Fatalf("from block %d on: %+v, %v", seqno, first, err)
		}
	}
	broken := errors.New("broken")
	var unknown *attestation.UnknownError
	var disagrees *attestation.ChainError
	for name, c := range map[string]struct {
		since uint32
		holds func(*chain.Account) (bool, error)
		want  func(error) bool
	}{
		"never":              {1, from(head.Seqno + 1), func(err error) bool { return errors.As(err, &unknown) }},
		"before it may":      {50, from(50), func(err error) bool { return errors.As(err, &disagrees) }},
		"after the head":     {head.Seqno + 1, from(1), func(err error) bool { return errors.As(err, &unknown) }},
		"can't be found out": {1, func(*chain.Account) (bool, error) { return true, broken }, func(err error) bool { return errors.Is(err, broken) }},
	} {
		if before, first, err := cl.FirstState(ctx, l.faucet, c.since, c.holds); before != nil || first != nil || err == nil || !c.want(err) {
			t.Errorf("%s: %+v, %v", name, first, err)
		}
	}
	if acc, err := cl.AccountAt(ctx, chain.Block{Seqno: 50, RootHash: [32]byte{1}}, l.faucet); acc != nil || !errors.As(err, &disagrees) {
		t.Errorf("a block of another chain: %v, %v", acc, err)
	}
}

// A liteserver that is no archive has forgotten old states: what it still has is
// found, and the rest is not known.
func TestForgottenState(t *testing.T) {
	l := newLyingChain(t, devnet.Options{Keep: 50})
	if err := l.Mine(41); err != nil {
		t.Fatal(err)
	}
	cl, ctx := dial(t, l.Chain), testContext(t)
	head, err := cl.Head(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var unknown *attestation.UnknownError
	oldest := head.Seqno // whose state is there
	for ; oldest > 1; oldest-- {
		b, err := cl.Block(ctx, oldest-1)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := cl.AccountAt(ctx, b, l.faucet); err != nil {
			if !errors.As(err, &unknown) {
				t.Error(err)
			}
			break
		}
	}
	if n := head.Seqno - oldest; n < 49 || n > 70 {
		t.Fatalf("%d states are there", n)
	}
	for seqno := oldest - 4; seqno <= head.Seqno; seqno += 1 + seqno%3 {
		_, first, err := cl.FirstState(ctx, l.faucet, 1, func(a *chain.Account) (bool, error) { return a.Block.Seqno >= seqno, nil })
		if seqno > oldest && (err != nil || first.Block.Seqno != seqno) || seqno <= oldest && !errors.As(err, &unknown) {
			t.Errorf("from block %d on, of %d: %v", seqno, head.Seqno, err)
		}
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, _, err := cl.FirstState(ended, l.faucet, 1, func(*chain.Account) (bool, error) { return true, nil }); !errors.As(err, &unknown) {
		t.Error(err)
	}
}
