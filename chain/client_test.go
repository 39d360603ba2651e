package chain_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"math/big"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/devnet"
)

func start(t testing.TB, o devnet.Options) *devnet.Chain {
	t.Helper()
	c, err := devnet.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// slowest is how long an answer may take that comes.
const slowest = 20 * time.Second

func testContext(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func config(t testing.TB, c *devnet.Chain) *chain.GlobalConfig {
	t.Helper()
	cfg, err := chain.ParseGlobalConfig(c.GlobalConfig())
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func dial(t testing.TB, c *devnet.Chain, opts ...chain.Option) *chain.Client {
	t.Helper()
	cl, err := chain.Dial(testContext(t), config(t, c), append([]chain.Option{chain.WithClock(c.Now), chain.WithTimeout(slowest)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cl.Close() })
	return cl
}

func addr(b byte) attestation.Address {
	a := attestation.Address{}
	for i := range a.Hash {
		a.Hash[i] = b
	}
	return a
}

func testWallet(t testing.TB, c *devnet.Chain, seed byte) *chain.Wallet {
	t.Helper()
	w, err := chain.NewWallet(ed25519.NewKeyFromSeed(bytesOf(seed)), c.GlobalID())
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func bytesOf(b byte) []byte {
	out := make([]byte, 32)
	for i := range out {
		out[i] = b
	}
	return out
}

func TestReader(t *testing.T) {
	c := start(t, devnet.Options{BlockInterval: -1})
	ctx := testContext(t)
	w := testWallet(t, c, 1)
	if err := c.Faucet(ctx, w.Address(), 5e9); err != nil {
		t.Fatal(err)
	}
	cl := dial(t, c)
	head, err := cl.Head(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if want := c.Head(); head.Seqno != want.ID.SeqNo || string(head.RootHash[:]) != string(want.ID.RootHash) || head.Time.Unix() != int64(want.UTime) {
		t.Errorf("head %v, want %v", head, want.ID)
	}
	if id, err := cl.ChainID(ctx); err != nil || id != devnet.DefaultGlobalID {
		t.Errorf("chain id %d, err %v", id, err)
	}
	acc, err := cl.Account(ctx, w.Address())
	if err != nil {
		t.Fatal(err)
	}
	if !acc.Exists || acc.Active() || acc.Balance.Cmp(big.NewInt(5e9)) != 0 || acc.Block != head {
		t.Errorf("account %+v", acc)
	}
	none, err := cl.Account(ctx, addr(9))
	if err != nil || none.Exists || none.Balance.Sign() != 0 {
		t.Errorf("absent account %+v, err %v", none, err)
	}
	// a block by number, old and new, and a number to come
	for _, n := range []uint32{1, 2, 50, 100, head.Seqno - 1, head.Seqno} {
		b, err := cl.Block(ctx, n)
		if err != nil || b.Seqno != n {
			t.Errorf("block %d: %v, err %v", n, b, err)
		}
	}
	var unknown *attestation.UnknownError
	if _, err := cl.Block(ctx, head.Seqno+1); !errors.As(err, &unknown) {
		t.Errorf("future block: %v", err)
	}
	// a get-method, executed here
	faucet, err := chain.NewWallet(c.FaucetWallet(), c.GlobalID())
	if err != nil {
		t.Fatal(err)
	}
	fa, err := cl.Account(ctx, faucet.Address())
	if err != nil {
		t.Fatal(err)
	}
	res, err := fa.RunGetMethod("seqno")
	if err != nil || len(res) != 1 || res[0].(*big.Int).Int64() != 1 {
		t.Errorf("seqno: %v, err %v", res, err)
	}
	var exit *chain.ExitError
	if _, err := fa.RunGetMethod("no_such_method"); !errors.As(err, &exit) || exit.Code != 11 {
		t.Errorf("unknown method: %v", err)
	}
	if _, err := acc.RunGetMethod("seqno"); !errors.As(err, &unknown) {
		t.Errorf("get-method without code: %v", err)
	}
	txs, err := cl.Transactions(ctx, fa, 10)
	if err != nil || len(txs) != 1 || len(txs[0].Out) != 1 || txs[0].ExitCode != 0 || txs[0].Aborted {
		t.Errorf("transactions %+v, err %v", txs, err)
	}
	// offline
	trusted := config(t, c).Trusted()
	for _, a := range []*chain.Account{acc, none, fa} {
		got, err := chain.VerifyAccountProof(a.Proof, a.Address, trusted)
		if err != nil {
			t.Fatalf("%s: %v", a.Address, err)
		}
		if got.Block != a.Block || got.Exists != a.Exists || got.Balance.Cmp(a.Balance) != 0 || got.LastHash != a.LastHash {
			t.Errorf("offline %+v, online %+v", got, a)
		}
	}
}

func testKey(seed byte) ed25519.PrivateKey { return ed25519.NewKeyFromSeed(bytesOf(seed)) }
