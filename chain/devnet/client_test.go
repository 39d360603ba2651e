package devnet_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"testing"
	"time"

	"github.com/xssnick/tonutils-go/address"
	"github.com/xssnick/tonutils-go/liteclient"
	"github.com/xssnick/tonutils-go/tlb"
	"github.com/xssnick/tonutils-go/ton"
	"github.com/xssnick/tonutils-go/ton/wallet"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/devnet"
)

func start(t testing.TB, o devnet.Options) *devnet.Chain {
	t.Helper()
	c, err := devnet.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func testContext(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// api connects an unmodified tonutils-go client to the chain.
func api(t testing.TB, c *devnet.Chain, policy ton.ProofCheckPolicy) *ton.APIClient {
	t.Helper()
	var cfg liteclient.GlobalConfig
	if err := json.Unmarshal(c.GlobalConfig(), &cfg); err != nil {
		t.Fatal(err)
	}
	pool := liteclient.NewConnectionPool()
	t.Cleanup(pool.Stop)
	if err := pool.AddConnectionsFromConfig(testContext(t), &cfg); err != nil {
		t.Fatal(err)
	}
	a := ton.NewAPIClient(pool, policy)
	a.SetTrustedBlockFromConfig(&cfg)
	return a
}

func addr(b byte) attestation.Address {
	a := attestation.Address{}
	for i := range a.Hash {
		a.Hash[i] = b
	}
	return a
}

func tonAddr(a attestation.Address) *address.Address {
	return address.NewAddress(0, byte(a.Workchain), a.Hash[:])
}

// TestUnmodifiedClient drives the chain with tonutils-go as anybody would use
// it, under each of its proof policies.
func TestUnmodifiedClient(t *testing.T) {
	c := start(t, devnet.Options{BlockInterval: 50 * time.Millisecond})
	ctx := testContext(t)
	for name, policy := range map[string]ton.ProofCheckPolicy{"unsafe": ton.ProofCheckPolicyUnsafe, "fast": ton.ProofCheckPolicyFast, "secure": ton.ProofCheckPolicySecure} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := api(t, c, policy)
			api := root.WithRetryTimeout(2, 10*time.Second)
			head, err := api.GetMasterchainInfo(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if head.SeqNo < 101 {
				t.Errorf("head is block %d, want at least 101", head.SeqNo)
			}
			key := ed25519.NewKeyFromSeed([]byte("0123456789012345678901234567" + name)[:32])
			w, err := wallet.FromPrivateKey(api, key, wallet.ConfigV5R1Final{NetworkGlobalID: c.GlobalID()})
			if err != nil {
				t.Fatal(err)
			}
			wa := attestation.Address{Hash: [32]byte(w.WalletAddress().Data())}
			if err := c.Faucet(ctx, wa, 5e9); err != nil {
				t.Fatal(err)
			}
			if head, err = api.WaitForBlock(c.Head().ID.SeqNo).GetMasterchainInfo(ctx); err != nil {
				t.Fatal(err)
			}
			acc, err := api.GetAccount(ctx, head, w.WalletAddress())
			if err != nil {
				t.Fatal(err)
			}
			if got := acc.State.Balance.Nano().Uint64(); got != 5e9 {
				t.Errorf("balance %d, want 5e9", got)
			}
			none, err := api.GetAccount(ctx, head, tonAddr(addr(0xee)))
			if err != nil || none.IsActive {
				t.Errorf("absent account: active %v, err %v", none.IsActive, err)
			}
			shards, err := api.GetBlockShardsInfo(ctx, head)
			if err != nil || len(shards) != 1 {
				t.Fatalf("shards %v, err %v", shards, err)
			}
			for _, b := range []*ton.BlockIDExt{head, shards[0]} {
				if _, err := api.GetBlockData(ctx, b); err != nil {
					t.Error(err)
				}
			}
			conf, err := api.GetBlockchainConfig(ctx, head, 8, 19, 34)
			if err != nil || len(conf.All()) != 3 {
				t.Errorf("config: %v", err)
			}
			if _, err = api.GetBlockchainConfig(ctx, head); err != nil {
				t.Error(err)
			}
			dest := tonAddr(addr(name[0]))
			tx, block, err := w.SendWaitTransaction(ctx, wallet.SimpleMessage(dest, tlb.MustFromTON("1"), nil))
			if err != nil {
				t.Fatal(err)
			}
			if acc, err = api.WaitForBlock(block.SeqNo).GetAccount(ctx, block, w.WalletAddress()); err != nil {
				t.Fatal(err)
			}
			list, err := api.ListTransactions(ctx, w.WalletAddress(), 10, acc.LastTxLT, acc.LastTxHash)
			// the receiver has no code: the payment comes back as a third one
			if err != nil || len(list) != 3 {
				t.Errorf("%d transactions, err %v", len(list), err)
			}
			res, err := api.RunGetMethod(ctx, block, w.WalletAddress(), "seqno")
			if err != nil || res.MustInt(0).Int64() != 1 {
				t.Errorf("seqno: %v, err %v", res, err)
			}
			if _, err := api.RunGetMethod(ctx, block, tonAddr(addr(0xee)), "seqno"); err == nil {
				t.Error("get-method of an absent account succeeded")
			}
			// the transaction in its block, with proof
			shards, err = api.GetBlockShardsInfo(ctx, block)
			if err != nil {
				t.Fatal(err)
			}
			sh := shards[0]
			for {
				one, err := api.GetTransaction(ctx, sh, w.WalletAddress(), tx.LT)
				if err == nil {
					if string(one.Hash) != string(tx.Hash) {
						t.Error("other transaction")
					}
					break
				}
				if sh, err = api.LookupBlock(ctx, 0, sh.Shard, sh.SeqNo-1); err != nil {
					t.Fatal(err)
				}
			}
			if ids, _, err := api.GetBlockTransactionsV2(ctx, sh, 100); err != nil || len(ids) < 2 {
				t.Errorf("block transactions %v, err %v", ids, err)
			}
		})
	}
	bad := api(t, c, ton.ProofCheckPolicySecure)
	wrong := c.Head().ID.Copy()
	wrong.RootHash[0] ^= 1
	bad.SetTrustedBlock(wrong)
	if _, err := bad.GetMasterchainInfo(ctx); err == nil {
		t.Error("wrong trusted block accepted")
	}
}
