package host

import (
	"context"
	"crypto/ed25519"
	"errors"
	"math/big"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xssnick/tonutils-go/tl"
	"github.com/xssnick/tonutils-go/ton"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/devnet"
	"github.com/cocoon-go/cocoon/chain/registry"
)

// elsewhere is another network, on which the operator's wallet has coins and the
// registry is not.
type elsewhere struct {
	*devnet.Chain
	client *chain.Client
	sent   atomic.Int64 // messages that anybody sent
}

func newElsewhere(t *testing.T, key ed25519.PrivateKey) *elsewhere {
	t.Helper()
	c, err := devnet.Start(devnet.Options{BlockInterval: 20 * time.Millisecond, GlobalID: devnet.DefaultGlobalID - 1, Seed: []byte("elsewhere")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	cfg, err := chain.ParseGlobalConfig(c.GlobalConfig())
	if err != nil {
		t.Fatal(err)
	}
	e := &elsewhere{Chain: c}
	if e.client, err = chain.Dial(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.client.Close() })
	w, err := chain.NewWallet(key, c.GlobalID())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Faucet(t.Context(), w.Address(), 100e9); err != nil {
		t.Fatal(err)
	}
	if _, err := e.client.WaitAccount(t.Context(), w.Address(), func(a *chain.Account) bool { return a.Balance.Cmp(big.NewInt(100e9)) == 0 }); err != nil {
		t.Fatal(err)
	}
	c.Liteservers()[0].Inject(devnet.Fault{Forge: func(q, honest tl.Serializable) tl.Serializable {
		if _, ok := q.(ton.SendMessage); ok {
			e.sent.Add(1)
		}
		return honest
	}})
	return e
}

// TestOtherNetwork gives an operator the config of another network. Whatever he
// asks for, nothing is signed.
func TestOtherNetwork(t *testing.T) {
	p := newOnePlatform(t)
	home := p.operator(0)
	n, bundle := p.net, p.bundle(home)
	proposal, err := Propose(t.Context(), home.reader, n.Registry, "pause", nil, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	root, err := home.Root(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := proposal.Sign(root.State.Governance, n.Governor); err != nil {
		t.Fatal(err)
	}
	there := newElsewhere(t, n.Operator)
	verifier := ed25519.NewKeyFromSeed(make([]byte, 32))
	pub := verifier.Public().(ed25519.PublicKey)
	for name, do := range map[string]func(ctx context.Context, o *Operator) error{
		"deploy": func(ctx context.Context, o *Operator) error {
			return o.Deploy(ctx, contracts.Profile{Endpoint: "https://a.example"})
		},
		"register":   func(ctx context.Context, o *Operator) error { return o.Register(ctx, always(bundle)) },
		"stake":      func(ctx context.Context, o *Operator) error { return o.Stake(ctx, 1e9) },
		"unstake":    func(ctx context.Context, o *Operator) error { return o.Unstake(ctx, 1e9) },
		"withdraw":   func(ctx context.Context, o *Operator) error { return o.Withdraw(ctx, 0) },
		"unregister": func(ctx context.Context, o *Operator) error { return o.Unregister(ctx) },
		"anchor":     func(ctx context.Context, o *Operator) error { return o.Anchor(ctx, &contracts.SignedHead{}) },
		"submit":     func(ctx context.Context, o *Operator) error { return o.Submit(ctx, proposal) },
		"execute":    func(ctx context.Context, o *Operator) error { return o.Execute(ctx, 1) },
		"collect": func(ctx context.Context, o *Operator) error {
			_, err := o.Collect(ctx, home.Node, [32]byte{1})
			return err
		},
		"verifier stake":    func(ctx context.Context, o *Operator) error { return o.StakeVerifier(ctx, verifier, 1e9) },
		"verifier leave":    func(ctx context.Context, o *Operator) error { return o.LeaveVerifiers(ctx, pub) },
		"verifier refresh":  func(ctx context.Context, o *Operator) error { return o.RefreshVerifier(ctx, pub) },
		"verifier withdraw": func(ctx context.Context, o *Operator) error { return o.WithdrawVerifier(ctx, pub) },
		"challenge": func(ctx context.Context, o *Operator) error {
			return o.Send(ctx, "challenge", contracts.ValueChallenge+1e8, func(q uint64) Message { return &contracts.Retire{QueryID: q} }, home.Node)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			o, err := OpenOperator(t.Context(), there.client, n.Operator, n.Registry, 0, dir)
			if err != nil {
				t.Fatal(err)
			}
			defer o.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			err = do(ctx, o)
			var bad *attestation.InputError
			var disagrees *attestation.ChainError
			var refused *attestation.RefusedError
			if !errors.As(err, &bad) && !errors.As(err, &disagrees) && !errors.As(err, &refused) {
				t.Errorf("error %v", err)
			}
			if n := there.sent.Swap(0); n != 0 {
				t.Errorf("%d messages were signed and sent: %v", n, err)
			}
			if files, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(files) > 1 {
				t.Errorf("it remembers %v, err %v", files, err)
			}
		})
	}
	acc, err := there.client.Account(t.Context(), mustWallet(t, n.Operator, there.GlobalID()))
	if err != nil || acc.Active() || acc.Balance.Cmp(big.NewInt(100e9)) != 0 {
		t.Errorf("the wallet holds %v, err %v", acc.Balance, err)
	}
}

// TestNoNode asks for what only a node's contract can do, where there is none.
func TestNoNode(t *testing.T) {
	p := newOnePlatform(t)
	dir := t.TempDir()
	o, err := OpenOperator(t.Context(), p.client, p.net.Operator, p.net.Registry, 5, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	for name, err := range map[string]error{
		"unstake": o.Unstake(t.Context(), 1e9), "withdraw": o.Withdraw(t.Context(), 0),
	} {
		if !errors.Is(err, registry.ErrNoContract) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if files, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(files) > 1 {
		t.Errorf("it remembers %v, err %v", files, err)
	}
}

func mustWallet(t *testing.T, key ed25519.PrivateKey, chainID int32) attestation.Address {
	t.Helper()
	w, err := chain.NewWallet(key, chainID)
	if err != nil {
		t.Fatal(err)
	}
	return w.Address()
}
