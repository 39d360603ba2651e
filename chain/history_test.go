package chain_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/devnet"
)

// Transactions and headers that were read once can be checked without a chain.
func TestHistoryProofs(t *testing.T) {
	l := newLyingChain(t, devnet.Options{})
	cl, ctx := dial(t, l.Chain), testContext(t)
	acc, err := cl.Account(ctx, l.faucet)
	if err != nil {
		t.Fatal(err)
	}
	txs, err := cl.Transactions(ctx, acc, 3)
	if err != nil {
		t.Fatal(err)
	}
	proof := func(txs []chain.Transaction) []byte {
		t.Helper()
		b, err := chain.EncodeTransactions(txs)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	good := proof(txs)
	got, err := chain.VerifyTransactions(good, acc)
	if err != nil || len(got) != 3 {
		t.Fatalf("%d transactions, %v", len(got), err)
	}
	for i := range got {
		if got[i].Hash != txs[i].Hash || got[i].Time != txs[i].Time {
			t.Errorf("transaction %d: %+v, want %+v", i, got[i], txs[i])
		}
	}
	other, absent := *acc, *acc
	other.LastHash, absent.Exists = txs[1].Hash, false
	var isFalse *attestation.FalseError
	var input *attestation.InputError
	for name, c := range map[string]struct {
		proof []byte
		acc   *chain.Account
		want  any
	}{
		"a gap":                 {proof([]chain.Transaction{txs[0], txs[2]}), acc, &isFalse},
		"not the newest":        {proof(txs[1:]), acc, &isFalse},
		"twice":                 {proof([]chain.Transaction{txs[0], txs[0]}), acc, &isFalse},
		"of another state":      {good, &other, &isFalse},
		"of no account":         {good, &absent, &input},
		"no bytes":              {nil, acc, &input},
		"too many bytes":        {make([]byte, chain.MaxTransactionsProof+1), acc, &input},
		"with a byte after it":  {append(bytes.Clone(good), 0), acc, &input},
		"without its last byte": {good[:len(good)-1], acc, &input},
	} {
		if got, err := chain.VerifyTransactions(c.proof, c.acc); got != nil || !errors.As(err, c.want) {
			t.Errorf("%s: %d transactions, %v", name, len(got), err)
		}
	}
	for _, none := range [][]chain.Transaction{nil, {{}}} {
		if _, err := chain.EncodeTransactions(none); !errors.As(err, &input) {
			t.Errorf("encoding %d that are not from a chain: %v", len(none), err)
		}
	}

	b, err := cl.Block(ctx, 3)
	if err != nil {
		t.Fatal(err)
	}
	header, err := cl.HeaderProof(ctx, b)
	if err != nil {
		t.Fatal(err)
	}
	if h, err := chain.VerifyHeader(header, b.Seqno, b.RootHash); err != nil || h.Time != b.Time || h.Seqno != b.Seqno {
		t.Errorf("header %+v, %v", h, err)
	}
	for name, c := range map[string]struct {
		proof []byte
		seqno uint32
		root  [32]byte
		want  any
	}{
		"another number": {header, 4, b.RootHash, &isFalse},
		"another block":  {header, 3, [32]byte{1}, &isFalse},
		"no bytes":       {nil, 3, b.RootHash, &input},
		"too many":       {make([]byte, chain.MaxHeaderProof+1), 3, b.RootHash, &input},
		"two roots":      {good, 3, b.RootHash, &input},
	} {
		if h, err := chain.VerifyHeader(c.proof, c.seqno, c.root); h != (chain.Block{}) || !errors.As(err, c.want) {
			t.Errorf("header, %s: %+v, %v", name, h, err)
		}
	}
	for i := range 8 * len(header) { // one proof has one encoding
		bad := bytes.Clone(header)
		bad[i/8] ^= 1 << (i % 8)
		if h, err := chain.VerifyHeader(bad, b.Seqno, b.RootHash); err == nil || h != (chain.Block{}) {
			t.Fatalf("header with bit %d changed: %+v", i, h)
		}
	}
	for i := range len(good) {
		bad := bytes.Clone(good)
		bad[i] ^= 1 << (i % 8)
		if got, err := chain.VerifyTransactions(bad, acc); err == nil || got != nil {
			t.Fatalf("transactions with byte %d changed: %+v", i, got)
		}
	}
}

// In years somebody's trusted block is newer than a proof: the chain of that day
// still knows the block that the proof leads to.
func TestProofInYears(t *testing.T) {
	l := newLyingChain(t, devnet.Options{})
	acc, err := dial(t, l.Chain).Account(testContext(t), l.faucet)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.clock.Advance(5 * 365 * 24 * time.Hour); err != nil {
		t.Fatal(err)
	}
	if err := l.SetParam(-100, cell.BeginCell().MustStoreUInt(9, 8).EndCell()); err != nil { // a key block
		t.Fatal(err)
	}
	if err := l.Mine(3); err != nil {
		t.Fatal(err)
	}
	old := dial(t, l.Chain, chain.WithOldTrustUnsafe())
	if _, err := old.Head(testContext(t)); err != nil {
		t.Fatal(err)
	}
	today := old.KeyBlock()
	var unknown *attestation.UnknownError
	if _, err := chain.VerifyAccountProof(acc.Proof, l.faucet, today); !errors.As(err, &unknown) {
		t.Errorf("a block that is newer than the proof: %v", err)
	}
	way, err := chain.ProofBlocks(acc.Proof)
	if err != nil {
		t.Fatal(err)
	}
	last := way[len(way)-1]
	b, err := old.Block(testContext(t), last.Seqno)
	if err != nil || b.ID() != last {
		t.Fatalf("block %v, the proof leads to %v: %v", b.ID(), last, err)
	}
	if got, err := chain.VerifyAccountProof(acc.Proof, l.faucet, b.ID()); err != nil || got.LastHash != acc.LastHash {
		t.Errorf("%v", err)
	}
}

// FuzzHistoryProofs looks for panics and for a second proof of anything.
func FuzzHistoryProofs(f *testing.F) {
	l := newLyingChain(f, devnet.Options{})
	cl, ctx := dial(f, l.Chain), testContext(f)
	acc, err := cl.Account(ctx, l.faucet)
	if err != nil {
		f.Fatal(err)
	}
	txs, err := cl.Transactions(ctx, acc, 2)
	if err != nil {
		f.Fatal(err)
	}
	b, err := cl.Block(ctx, 3)
	if err != nil {
		f.Fatal(err)
	}
	header, err := cl.HeaderProof(ctx, b)
	if err != nil {
		f.Fatal(err)
	}
	seeds := map[string]bool{string(header): true}
	for i := range txs {
		p, err := chain.EncodeTransactions(txs[:i+1])
		if err != nil {
			f.Fatal(err)
		}
		seeds[string(p)] = true
	}
	for p := range seeds {
		f.Add([]byte(p))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		if _, err := chain.VerifyTransactions(p, acc); err == nil && !seeds[string(p)] {
			t.Error("another proof of transactions was accepted")
		}
		if _, err := chain.VerifyHeader(p, b.Seqno, b.RootHash); err == nil && !seeds[string(p)] {
			t.Error("another proof of a header was accepted")
		}
	})
}
