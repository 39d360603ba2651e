package tongo

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tonkeeper/tongo/config"
	"github.com/tonkeeper/tongo/liteapi"
	"github.com/tonkeeper/tongo/tlb"
	"github.com/tonkeeper/tongo/ton"
	"github.com/tonkeeper/tongo/wallet"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/devnet"
)

// world is a dev chain with queues and key blocks, and a client of it.
type world struct {
	*devnet.Chain
	t   *testing.T
	ctx context.Context
	api *liteapi.Client
}

func newWorld(t *testing.T) *world {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	c, err := devnet.Start(devnet.Options{Liteservers: 2, Validators: 4, BlockInterval: -1, DeferInternal: true, KeyInterval: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	path := filepath.Join(t.TempDir(), "global.json")
	if err := os.WriteFile(path, c.GlobalConfig(), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := config.ParseConfigFile(path)
	if err != nil {
		t.Fatal(err)
	}
	api, err := liteapi.NewClient(liteapi.WithConfigurationFile(*file), liteapi.WithProofPolicy(liteapi.ProofPolicyFast),
		liteapi.WithInitializationContext(ctx))
	if err != nil {
		t.Fatal(err)
	}
	return &world{c, t, ctx, api}
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// mine makes blocks, and waits until the client has seen the last one.
func (w *world) mine(n int) ton.BlockIDExt {
	w.t.Helper()
	if err := w.Mine(n); err != nil {
		w.t.Fatal(err)
	}
	return must[ton.BlockIDExt](w.t)(w.api.WaitMasterchainBlock(w.ctx, w.Head().ID.SeqNo, time.Minute))
}

// TestWallet: its wallet has our address, is deployed and pays, and it reads what
// our client reads: balance, transactions in their blocks, a get-method.
func TestWallet(t *testing.T) {
	w := newWorld(t)
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	theirs := must[wallet.Wallet](t)(wallet.New(key, wallet.V5R1, w.api, wallet.WithNetworkGlobalID(w.GlobalID())))
	ours := must[*chain.Wallet](t)(chain.NewWallet(key, w.GlobalID()))
	if got, want := theirs.GetAddress().ToRaw(), ours.Address().String(); got != want {
		t.Fatalf("address %s, want %s", got, want)
	}
	if err := w.Faucet(w.ctx, ours.Address(), 10e9); err != nil {
		t.Fatal(err)
	}
	w.mine(3)
	to := ton.AccountID{Address: [32]byte{9}}
	if err := theirs.Send(w.ctx, wallet.SimpleTransfer{Amount: 1e9, Address: to, Comment: "paid"}); err != nil {
		t.Fatal(err)
	}
	w.mine(4)
	if n := must[uint32](t)(w.api.GetSeqno(w.ctx, theirs.GetAddress())); n != 1 {
		t.Errorf("seqno %d", n)
	}
	got := must[tlb.ShardAccount](t)(w.api.GetAccountState(w.ctx, to))
	if balance := got.Account.Account.Storage.Balance.Grams; got.Account.SumType != "Account" || balance < 99e7 || balance > 1e9 {
		t.Errorf("receiver: %s with %d", got.Account.SumType, balance)
	}
	all := must[[]ton.Transaction](t)(w.api.GetLastTransactions(w.ctx, theirs.GetAddress(), 10))
	if len(all) != 2 {
		t.Fatalf("%d transactions", len(all))
	}
	for _, tx := range all {
		one := must[ton.Transaction](t)(w.api.GetOneTransactionFromBlock(w.ctx, theirs.GetAddress(), tx.BlockID, tx.Lt))
		if one.Hash() != tx.Hash() {
			t.Errorf("transaction %d: %v, want %v", tx.Lt, one.Hash(), tx.Hash())
		}
	}
	state := must[*chain.Account](t)(w.account(ours.Address()))
	mine := must[tlb.ShardAccount](t)(w.api.GetAccountState(w.ctx, theirs.GetAddress()))
	if state.LastLT != mine.LastTransLt || state.LastHash != mine.LastTransHash {
		t.Errorf("last transaction %d, our client says %d", mine.LastTransLt, state.LastLT)
	}
}

// account reads with our client, from the same servers.
func (w *world) account(a attestation.Address) (*chain.Account, error) {
	cfg, err := chain.ParseGlobalConfig(w.GlobalConfig())
	if err != nil {
		return nil, err
	}
	c, err := chain.Dial(w.ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.Account(w.ctx, a)
}

// TestBlocks: it decodes whole blocks, states, the configuration and proofs.
func TestBlocks(t *testing.T) {
	w := newWorld(t)
	last := w.mine(40)
	for _, id := range append(must[[]ton.BlockIDExt](t)(w.api.GetAllShardsInfo(w.ctx, last)), last) {
		b := must[tlb.Block](t)(w.api.GetBlock(w.ctx, id)) // its hash is compared
		if b.Info.SeqNo != id.Seqno {
			t.Errorf("block %d has number %d", id.Seqno, b.Info.SeqNo)
		}
		h := must[tlb.BlockInfo](t)(w.api.GetBlockHeader(w.ctx, id, 0))
		if h.SeqNo != id.Seqno {
			t.Errorf("header of %d has number %d", id.Seqno, h.SeqNo)
		}
		if _, _, _, err := w.api.GetState(w.ctx, id); err != nil {
			t.Errorf("state of %d: %v", id.Seqno, err)
		}
	}
	if id := must[int32](t)(w.api.GetNetworkGlobalID(w.ctx)); id != w.GlobalID() {
		t.Errorf("global id %d", id)
	}
	first, _, err := w.api.LookupBlock(w.ctx, ton.BlockID{Workchain: -1, Shard: 1 << 63, Seqno: 1}, 1, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.api.GetBlockProof(w.ctx, first, &last); err != nil {
		t.Errorf("forward: %v", err)
	}
	if _, err := w.api.GetBlockProof(w.ctx, last, &first); err != nil {
		t.Errorf("backward: %v", err)
	}
	params := must[tlb.ConfigParams](t)(w.api.GetConfigAll(w.ctx, 0))
	if _, err := ton.ConvertBlockchainConfigStrict(params); err != nil {
		t.Errorf("configuration: %v", err)
	}
}
