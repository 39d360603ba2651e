package chain_test

import (
	"errors"
	"math/big"
	"testing"

	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/devnet"
)

// TestNeeds gives a wallet exactly what a payment is said to need, and one
// nanocoin less: the first pays every message, the second is refused before
// anything is signed.
func TestNeeds(t *testing.T) {
	t.Parallel()
	c := start(t, devnet.Options{BlockInterval: 20e6})
	cl := dial(t, c)
	ctx := testContext(t)
	many := func(n int, workchain int32, body *cell.Cell) []chain.Message {
		var out []chain.Message
		for i := range n {
			to := addr(byte(i))
			to.Workchain = workchain
			out = append(out, chain.Message{To: to, Amount: big.NewInt(int64(i)), NoBounce: true, Body: body})
		}
		return out
	}
	text := cell.BeginCell().MustStoreSlice(make([]byte, 100), 800).MustStoreRef(cell.BeginCell().MustStoreSlice(make([]byte, 120), 960).EndCell()).EndCell()
	node := testWallet(t, c, 0x77).StateInit()
	node.Code = contracts.NodeCode() // the largest that is deployed
	for i, tc := range []struct {
		name string
		msgs []chain.Message
	}{
		{"one", many(1, 0, nil)},
		{"one with text", many(1, 0, text)},
		{"as many as there may be", many(chain.MaxWalletMessages, 0, nil)},
		{"many with text", many(40, 0, text)},
		{"into the masterchain", many(3, -1, text)},
		{"with a contract's code", []chain.Message{{To: addr(1), Amount: big.NewInt(1e9), StateInit: node, Body: text, NoBounce: true}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			j := &chain.MemoryJournal{}
			w := writer(t, cl, byte(0x60+i), j)
			var sum int64
			for _, m := range tc.msgs {
				sum += m.Amount.Int64()
			}
			need, err := w.Needs(ctx, tc.msgs...)
			if err != nil {
				t.Fatal(err)
			}
			fund(t, c, cl, w.Address(), need.Uint64()-1)
			var bad *attestation.InputError
			if _, err := w.Send(ctx, "p", tc.msgs...); !errors.As(err, &bad) {
				t.Fatalf("with one nanocoin too little: %v", err)
			}
			if in, err := j.Pending(); in != nil || err != nil || balance(t, cl, w.Address()) != need.Int64()-1 {
				t.Fatalf("with one nanocoin too little: signed %v, err %v", in, err)
			}
			fund(t, c, cl, w.Address(), 1000) // storage takes a little
			// the first order deploys the wallet, so it is the dearest
			s, err := w.Send(ctx, "p", tc.msgs...)
			if err != nil {
				t.Fatal(err)
			}
			acc, err := cl.Account(ctx, w.Address())
			if err != nil {
				t.Fatal(err)
			}
			txs, err := cl.Transactions(ctx, acc, 10)
			if err != nil {
				t.Fatal(err)
			}
			for _, tx := range txs {
				if tx.LT == s.LT {
					left, fees := acc.Balance.Int64(), need.Int64()-sum
					t.Logf("%d messages: %d gas, %d of %d fees were not needed", len(tx.Out), tx.GasUsed, left, fees)
					if left < 0 || left > fees*3/4 {
						t.Errorf("%d of %d fees were not needed: that is far off", left, fees)
					}
					return
				}
			}
			t.Error("the wallet's transaction is not there")
		})
	}
}

// writer makes a writer whose wallet holds nothing.
func writer(t *testing.T, cl *chain.Client, seed byte, j chain.Journal) *chain.Writer {
	t.Helper()
	w, err := chain.NewWriter(testContext(t), cl, testKey(seed), j)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// fund adds coins to an address.
func fund(t *testing.T, c *devnet.Chain, cl *chain.Client, to attestation.Address, nano uint64) {
	t.Helper()
	ctx := testContext(t)
	before, err := cl.Account(ctx, to)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Faucet(ctx, to, nano); err != nil {
		t.Fatal(err)
	}
	if _, err := cl.WaitAccount(ctx, to, func(a *chain.Account) bool { return a.LastLT > before.LastLT }); err != nil {
		t.Fatal(err)
	}
}
