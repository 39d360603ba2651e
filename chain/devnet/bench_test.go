package devnet_test

import (
	"crypto/ed25519"
	"encoding/binary"
	"math/big"
	"testing"
	"time"

	"github.com/xssnick/tonutils-go/ton"
	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/devnet"
)

// BenchmarkTransactions is the speed of a chain that keeps its blocks on disk:
// wallets pay four others each, the payments pass the queue into the next
// block. Signing the messages is not part of it, accepting them is.
func BenchmarkTransactions(b *testing.B) {
	const wallets, payments = 250, 4
	keys := make([]*chain.Wallet, wallets)
	accounts := map[attestation.Address]uint64{}
	for i := range keys {
		seed := make([]byte, ed25519.SeedSize)
		binary.BigEndian.PutUint32(seed, uint32(i+1))
		w, err := chain.NewWallet(ed25519.NewKeyFromSeed(seed), devnet.DefaultGlobalID)
		if err != nil {
			b.Fatal(err)
		}
		keys[i], accounts[w.Address()] = w, 1e15
	}
	clock := devnet.NewClock(time.Unix(1_900_000_000, 0))
	c := start(b, devnet.Options{Dir: b.TempDir(), BlockInterval: -1, Now: clock.Now, Accounts: accounts, DeferInternal: true})
	round := func(seqno uint32) []*cell.Cell {
		var out []*cell.Cell
		for i, w := range keys {
			var msgs []chain.Message
			for k := range payments {
				msgs = append(msgs, chain.Message{To: keys[(i+k+1)%wallets].Address(), Amount: big.NewInt(1e8), NoBounce: true})
			}
			m, err := w.Transfer(seqno, c.Now().Add(time.Minute), seqno == 0, msgs...)
			if err != nil {
				b.Fatal(err)
			}
			out = append(out, m)
		}
		return out
	}
	seqno := uint32(0)
	run := func() {
		b.StopTimer()
		messages := round(seqno)
		seqno++
		b.StartTimer()
		for _, m := range messages {
			if err := c.Send(m); err != nil {
				b.Fatal(err)
			}
		}
		if err := c.Mine(2); err != nil {
			b.Fatal(err)
		}
		if err := clock.Advance(time.Second); err != nil {
			b.Fatal(err)
		}
	}
	run() // deploys the wallets
	b.ResetTimer()
	b.ReportAllocs()
	for range b.N {
		run()
	}
	b.StopTimer()
	client := api(b, c, ton.ProofCheckPolicyUnsafe)
	head, err := client.GetMasterchainInfo(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	for _, w := range keys {
		n, err := client.RunGetMethod(b.Context(), head, tonAddr(w.Address()), "seqno")
		if err != nil || n.MustInt(0).Uint64() != uint64(seqno) {
			b.Fatalf("a wallet sent %v times, want %d: %v", n, seqno, err)
		}
		acc, err := client.GetAccount(b.Context(), head, tonAddr(w.Address()))
		if err != nil {
			b.Fatal(err)
		}
		// Without what it received it would have lost 0.4 a round, fees are less.
		if lost := 1e15 - acc.State.Balance.Nano().Uint64(); lost > uint64(seqno)*3e7 {
			b.Fatalf("a wallet lost %d nano in %d rounds: payments did not arrive", lost, seqno)
		}
	}
	b.ReportMetric(float64(b.N*wallets*(1+payments))/b.Elapsed().Seconds(), "tx/s")
}
