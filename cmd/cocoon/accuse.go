package main

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/receipt"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/client"
	"github.com/cocoon-go/cocoon/host"
	"github.com/cocoon-go/cocoon/internal/command"
)

// accusation is what a command takes to the contract of a node, once.
type accusation struct {
	node attestation.Address
	what string // in words, the same for the same files: see host.Operator.Send
	look func(context.Context) (*client.Fault, error)
}

// accuser is who pays for accusations, and is paid.
type accuser struct {
	sess     *session
	key      ed25519.PrivateKey
	wallet   attestation.Address
	payments string // directory that remembers what was begun
}

// accuser connects to the chain with a wallet. Payments are remembered beside the
// file that says why. The caller closes the session.
func (s *settings) accuser(ctx context.Context, env *command.Env, wallet, beside string) (*accuser, error) {
	data, err := command.ReadFile(wallet, 4<<10)
	if err != nil {
		return nil, err
	}
	p := &accuser{payments: filepath.Join(filepath.Dir(beside), "payments")}
	if p.key, err = chain.ParseWalletKey(string(data)); err != nil {
		return nil, err
	}
	if p.sess, err = s.connect(ctx, env, nil); err != nil {
		return nil, err
	}
	if err := p.address(ctx); err != nil {
		p.sess.close()
		return nil, err
	}
	warnSimulated(env.Stderr, simulated(p.sess.policy))
	return p, nil
}

func (p *accuser) address(ctx context.Context) error {
	id, err := p.sess.chain.ChainID(ctx)
	if err != nil {
		return err
	}
	w, err := chain.NewWallet(p.key, id)
	if err != nil {
		return err
	}
	p.wallet = w.Address()
	return nil
}

// open opens the wallet's payments. The caller closes them.
func (p *accuser) open(ctx context.Context, env *command.Env) (*host.Operator, error) {
	o, err := host.OpenOperator(ctx, p.sess.chain, p.key, p.sess.root, 0, p.payments)
	if err != nil {
		return nil, err
	}
	o.Note = func(text string) { env.Logf("%s", text) }
	return o, nil
}

// bring sends an accusation, unless that was begun before, and returns the open
// payments. What the contract would refuse is an error before anything is made or
// paid. Nothing is looked for when one is on its way: it changes what is found.
func (p *accuser) bring(ctx context.Context, env *command.Env, a *accusation) (*host.Operator, error) {
	var f *client.Fault
	if _, err := os.Stat(p.payments); err != nil { // nothing was begun here: nothing is made yet
		if f, err = a.look(ctx); err != nil {
			return nil, err
		}
	}
	o, err := p.open(ctx, env)
	if err != nil {
		return nil, err
	}
	if err := send(ctx, o, a, f); err != nil {
		o.Close()
		return nil, err
	}
	if t := o.Repeated(); !t.IsZero() {
		env.Logf("this was begun at %s, and is done; nothing was paid for it again", t.Format(time.RFC3339))
	}
	return o, nil
}

func send(ctx context.Context, o *host.Operator, a *accusation, f *client.Fault) error {
	if begun, err := o.Begun(ctx, a.what); begun || err != nil {
		return err
	}
	if f == nil {
		var err error
		if f, err = a.look(ctx); err != nil {
			return err
		}
	}
	return o.Send(ctx, a.what, f.Value, func(q uint64) host.Message { return f.Message(q) }, a.node)
}

// collect takes what an accusation brought.
func (p *accuser) collect(ctx context.Context, env *command.Env, node attestation.Address, id [32]byte) (uint64, *host.Operator, error) {
	o, err := p.open(ctx, env)
	if err != nil {
		return 0, nil, err
	}
	amount, err := o.Collect(ctx, node, id)
	if err != nil {
		o.Close()
		return 0, nil, err
	}
	if t := o.Repeated(); !t.IsZero() {
		env.Logf("this was begun at %s, and is done", t.Format(time.RFC3339))
	}
	return amount, o, nil
}

// signed is a file with something that a node's enclave signed.
type signed struct {
	path    string
	receipt *receipt.Receipt // nil: none
	head    *client.LogHead  // nil: none
}

// readSigned reads a receipt, a proof, which holds a receipt and a log head, or the
// file of a log head.
func readSigned(path string) (*signed, error) {
	data, err := command.ReadFile(path, receipt.MaxProof)
	if err != nil {
		return nil, err
	}
	out := &signed{path: path}
	switch kind := command.KindOf(data); kind {
	case command.ProofFile:
		var p *receipt.Proof
		if p, err = receipt.ParseProof(data); err == nil {
			out.receipt, out.head = p.Receipt, client.HeadOf(p)
		}
	case command.ReceiptFile:
		var f *receipt.File
		if f, err = receipt.ParseFile(data); err == nil {
			out.receipt = f.Receipt
		}
	case "":
		if out.head, err = client.ParseLogHead(data); err != nil {
			return nil, fmt.Errorf("%s is neither a receipt, a proof nor a log head: %w", path, err)
		}
	default:
		return nil, attestation.BadInput("%s is %v: want a receipt, a proof or a log head", path, kind)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return out, nil
}

func readAllSigned(paths []string) ([]*signed, error) {
	out := make([]*signed, len(paths))
	for i, path := range paths {
		var err error
		if out[i], err = readSigned(path); err != nil {
			return nil, err
		}
	}
	return out, nil
}
