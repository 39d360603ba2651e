package host

import (
	"context"
	"crypto/ed25519"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/devnet/elsewhere"
	"github.com/cocoon-go/cocoon/chain/registry"
)

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
	there := elsewhere.New(t, n.Operator)
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
			o, err := OpenOperator(t.Context(), there.Client, n.Operator, n.Registry, 0, dir)
			if err != nil {
				t.Fatal(err)
			}
			defer o.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			err = do(ctx, o)
			var bad *attestation.InputError
			var disagrees *attestation.ChainError
			var refused *attestation.RefusedError
			if !errors.As(err, &bad) && !errors.As(err, &disagrees) && !errors.As(err, &refused) {
				t.Errorf("error %v", err)
			}
			there.Unsent(t)
			if files, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(files) > 1 {
				t.Errorf("it remembers %v, err %v", files, err)
			}
		})
	}
	there.Unspent(t)
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
