package devnet_test

import (
	"maps"
	"math/big"
	"testing"
	"time"

	"github.com/xssnick/tonutils-go/tlb"
	"github.com/xssnick/tonutils-go/ton"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/devnet"
)

// TestQueuesAcrossBlocks sends payments between accounts of both workchains with
// DeferInternal, so each waits in a queue for the next block, and stops the chain
// while they wait. An unmodified client sees every state under full proof
// checking, the light client proves the accounts, also from the proof alone.
func TestQueuesAcrossBlocks(t *testing.T) {
	clock := devnet.NewClock(time.Unix(1_900_000_000, 0))
	o := devnet.Options{Dir: t.TempDir(), BlockInterval: -1, Now: clock.Now, DeferInternal: true, MaxTransactions: 2}
	c := start(t, o)
	faucet, err := chain.NewWallet(c.FaucetWallet(), c.GlobalID())
	if err != nil {
		t.Fatal(err)
	}
	receivers := []attestation.Address{{Hash: [32]byte{1}}, {Hash: [32]byte{0x90}}, {Workchain: -1, Hash: [32]byte{2}}, {Hash: [32]byte{0x91}}, {Workchain: -1, Hash: [32]byte{3}}}
	pay := func(seqno uint32) {
		t.Helper()
		var msgs []chain.Message
		for i, a := range receivers {
			msgs = append(msgs, chain.Message{To: a, Amount: big.NewInt(int64(i+1) * 1e9), NoBounce: true})
		}
		m, err := faucet.Transfer(seqno, c.Now().Add(time.Minute), false, msgs...)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Send(m); err != nil {
			t.Fatal(err)
		}
	}
	// arrived counts the payments that each receiver has, as an unmodified client
	// proves it
	arrived := func() (n int) {
		t.Helper()
		client := api(t, c, ton.ProofCheckPolicySecure)
		head, err := client.GetMasterchainInfo(testContext(t))
		if err != nil {
			t.Fatal(err)
		}
		for i, a := range receivers {
			acc, err := client.GetAccount(testContext(t), head, tonAddr(a))
			if err != nil {
				t.Fatal(err)
			}
			if acc.State == nil {
				continue
			}
			// a millionth may have gone for storage
			n += int((acc.State.Balance.Nano().Int64() + 1000) / (int64(i+1) * 1e9))
		}
		return n
	}
	restart := func() {
		t.Helper()
		before := c.Head().ID
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		c = start(t, o)
		if !c.Head().ID.Equals(before) {
			t.Fatalf("head %v after the restart, %v before", c.Head().ID, before)
		}
	}
	mine := func() {
		t.Helper()
		if err := clock.Advance(time.Second); err != nil {
			t.Fatal(err)
		}
		if err := c.Mine(1); err != nil {
			t.Fatal(err)
		}
	}
	// A block has room for two transactions of a workchain. The masterchain takes
	// its two messages from the basechain's block that it registers, the
	// basechain's three wait for a block after, and one of them for the next.
	total := 0
	for seqno := range uint32(3) {
		pay(seqno)
		for _, want := range []int{2, 4, 5, 5} {
			mine()
			if n := arrived(); n != total+want {
				t.Errorf("payment %d, block %d: %d arrived, want %d", seqno, c.Head().ID.SeqNo, n, total+want)
			}
			restart()
		}
		total += 5
	}
	// and back: nobody in the masterchain takes this one
	m, err := faucet.Transfer(3, c.Now().Add(time.Minute), false, chain.Message{To: attestation.Address{Workchain: -1, Hash: [32]byte{4}}, Amount: big.NewInt(1e9)})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Send(m); err != nil {
		t.Fatal(err)
	}
	for _, want := range []map[int32]int{{0: 1, -1: 1}, {0: 0, -1: 0}} {
		mine()
		restart()
		if q, err := c.QueueLengths(); err != nil || !maps.Equal(q, want) {
			t.Errorf("queues %v, err %v; want %v", q, err, want)
		}
	}
	queues, err := c.QueueLengths()
	if err != nil || queues[0] != 0 || queues[-1] != 0 {
		t.Errorf("left in the queues: %v, err %v", queues, err)
	}
	cfg, err := chain.ParseGlobalConfig(c.GlobalConfig())
	if err != nil {
		t.Fatal(err)
	}
	cl, err := chain.Dial(testContext(t), cfg, chain.WithClock(c.Now))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	back, err := cl.Account(testContext(t), faucet.Address())
	if err != nil {
		t.Fatal(err)
	}
	if txs, err := cl.Transactions(testContext(t), back, 1); err != nil || txs[0].In.MsgType != tlb.MsgTypeInternal || !txs[0].In.AsInternal().Bounced {
		t.Errorf("the faucet's last transaction %+v, err %v; want what came back", txs, err)
	}
	for i, a := range receivers {
		acc, err := cl.Account(testContext(t), a)
		if err != nil {
			t.Fatal(err)
		}
		got, err := chain.VerifyAccountProof(acc.Proof, a, cfg.Trusted())
		// an account without code pays for its storage: less than a coin's millionth here
		if want := int64(i+1) * 3e9; err != nil || got.Balance.Int64() > want || got.Balance.Int64() < want-1000 {
			t.Errorf("%s: balance %v, err %v; want %d", a, got.Balance, err, want)
		}
		txs, err := cl.Transactions(testContext(t), acc, 10)
		if err != nil || len(txs) != 3 {
			t.Errorf("%s: %d transactions, err %v; want 3", a, len(txs), err)
		}
	}
}
