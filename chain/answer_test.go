package chain_test

import (
	"strings"
	"testing"
	"time"

	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/devnet"
)

// An answer that should be one tree of cells is not taken when it is two.
func TestParseCell(t *testing.T) {
	one, two := cell.BeginCell().MustStoreUInt(1, 8).EndCell(), cell.BeginCell().MustStoreUInt(2, 8).EndCell()
	for n, roots := range [][]*cell.Cell{{}, {one}, {one, two}} {
		b, err := chain.SerializeCells(roots...)
		if err != nil && n > 0 {
			t.Fatal(err)
		}
		if c, err := chain.ParseCell(b); (err == nil) != (n == 1) || (c != nil) != (n == 1) {
			t.Errorf("%d roots: %v, %v", n, c, err)
		}
	}
}

// TestCheckTransactions: a transaction is that of an account and a time, not only the
// one with a hash.
func TestCheckTransactions(t *testing.T) {
	p := newPassage(t)
	var roots []*cell.Cell
	for _, tx := range p.txs {
		roots = append(roots, chain.TransactionCell(tx))
	}
	good, err := chain.SerializeCells(roots...)
	if err != nil {
		t.Fatal(err)
	}
	a, first, n := p.newest.Address, p.txs[0], len(p.txs)
	if got, err := chain.CheckTransactions(good, a, first.LT, first.Hash, n); err != nil || len(got) != n {
		t.Fatalf("%d transactions, %v", len(got), err)
	}
	other := a
	other.Hash[31]++
	for name, err := range map[string]error{
		"of another account": errorOf(chain.CheckTransactions(good, other, first.LT, first.Hash, n)),
		"of another time":    errorOf(chain.CheckTransactions(good, a, first.LT+1, first.Hash, n)),
		"another one":        errorOf(chain.CheckTransactions(good, a, first.LT, p.txs[1].Hash, n)),
		"more than asked":    errorOf(chain.CheckTransactions(good, a, first.LT, first.Hash, n-1)),
		"none":               errorOf(chain.CheckTransactions(nil, a, first.LT, first.Hash, n)),
	} {
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func errorOf[T any](_ T, err error) error { return err }

// TestTransferExpiry: the wallet has 32 bits for the time until which a message is good.
func TestTransferExpiry(t *testing.T) {
	w := testWallet(t, start(t, devnet.Options{BlockInterval: -1}), 1)
	for at, good := range map[int64]bool{-1: false, 0: true, 1<<32 - 1: true, 1 << 32: false} {
		c, err := w.Transfer(0, time.Unix(at, 0), false, pay(addr(1), 1))
		if (err == nil) != good || (c != nil) != good || !good && attestation.ExitCode(err) != 1 {
			t.Errorf("until %d: %v", at, err)
		}
	}
}

// TestTooManyLinks: who trusts a block that is too many key blocks back is told so,
// and the last one that is not is proved, with a proof that a reader takes.
func TestTooManyLinks(t *testing.T) {
	clock := devnet.NewClock(time.Unix(1_800_000_000, 0))
	c := start(t, devnet.Options{BlockInterval: -1, Now: clock.Now, KeyInterval: time.Second})
	cfg, ctx := config(t, c), testContext(t)
	mine := func(n int) {
		for range n {
			if err := clock.Advance(2 * time.Second); err != nil {
				t.Fatal(err)
			}
			if err := c.Mine(1); err != nil {
				t.Fatal(err)
			}
		}
	}
	mine(chain.MaxLinks) // a key block each
	cl, err := chain.Dial(ctx, cfg, chain.WithClock(clock.Now), chain.WithTimeout(slowest))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	acc, err := cl.Account(ctx, addr(1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := chain.VerifyAccountProof(acc.Proof, addr(1), cfg.Trusted()); err != nil {
		t.Error(err)
	}
	if b, err := chain.ProofBlocks(acc.Proof); err != nil || len(b) != chain.MaxLinks+1 {
		t.Errorf("%d blocks on the way, %v", len(b), err)
	}
	mine(1)
	more, err := chain.Dial(ctx, cfg, chain.WithClock(clock.Now), chain.WithTimeout(slowest))
	if err != nil {
		t.Fatal(err)
	}
	defer more.Close()
	if h, err := more.Head(ctx); attestation.ExitCode(err) != 3 || !strings.Contains(err.Error(), "links from the trusted block: renew it") {
		t.Errorf("%v, %v", h, err)
	}
}
