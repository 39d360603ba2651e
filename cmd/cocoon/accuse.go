package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/registry"
	"github.com/cocoon-go/cocoon/client"
	"github.com/cocoon-go/cocoon/host"
	"github.com/cocoon-go/cocoon/internal/command"
)

// accusation is what a command takes to the contract of a node, once.
type accusation struct {
	kind string // "fault" or "challenge": what output calls it
	node attestation.Address
	what string // in words, the same for the same files: see host.Operator.Send
	look func(context.Context, *accuser) (*client.Fault, error)
	// id names it in the node's record. Zero: not known of one that is over.
	id func(rec *registry.Node, wallet attestation.Address) [32]byte
	// show says what became of it, by the record after it.
	show func(env *command.Env, p *accuser, rec *registry.Node) error
}

// accuserFlags are the flags of the commands that accuse a node.
type accuserFlags struct {
	settings
	wallet  string
	collect bool
}

func (f *accuserFlags) register(fs *flag.FlagSet, accusation string) {
	f.settings.register(fs)
	fs.StringVar(&f.wallet, "wallet", "", "`file` with the key of the wallet that pays and is paid")
	fs.BoolVar(&f.collect, "collect", false, "take what an earlier "+accusation+" by the same files brought")
}

// accuse takes an accusation to the chain, or collects what it brought.
func (f *accuserFlags) accuse(ctx context.Context, env *command.Env, a *accusation) error {
	p, err := f.accuser(ctx, env, env.Args[0])
	if err != nil {
		return err
	}
	defer p.sess.close()
	if f.collect {
		return p.collect(ctx, env, a)
	}
	o, err := p.bring(ctx, env, a)
	if err != nil {
		return err
	}
	defer o.Close()
	rec, err := p.record(ctx, a.node)
	if err != nil {
		return err
	}
	return errors.Join(a.show(env, p, rec), o.Told())
}

// accuser is who pays for accusations, and is paid.
type accuser struct {
	sess     *session
	key      ed25519.PrivateKey
	wallet   attestation.Address
	payments string // directory that remembers what was begun
}

// accuser connects to the chain with the wallet. Payments are remembered beside
// the file that says why. The caller closes the session.
func (f *accuserFlags) accuser(ctx context.Context, env *command.Env, beside string) (*accuser, error) {
	data, err := command.ReadFile(f.wallet, 4<<10)
	if err != nil {
		return nil, err
	}
	p := &accuser{payments: filepath.Join(filepath.Dir(beside), "payments")}
	if p.key, err = chain.ParseWalletKey(string(data)); err != nil {
		return nil, err
	}
	if p.sess, err = f.connect(ctx, env, nil); err != nil {
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

func (p *accuser) record(ctx context.Context, node attestation.Address) (*registry.Node, error) {
	return registry.Reader{Reader: p.sess.chain}.Node(ctx, node)
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
		if f, err = a.look(ctx, p); err != nil {
			return nil, err
		}
	}
	o, err := p.open(ctx, env)
	if err != nil {
		return nil, err
	}
	if err := p.send(ctx, o, a, f); err != nil {
		o.Close()
		return nil, err
	}
	if t := o.Repeated(); !t.IsZero() {
		env.Logf("this was begun at %s, and is done; nothing was paid for it again", t.Format(time.RFC3339))
	}
	return o, nil
}

func (p *accuser) send(ctx context.Context, o *host.Operator, a *accusation, f *client.Fault) error {
	if begun, err := o.Begun(ctx, a.what); begun || err != nil {
		return err
	}
	if f == nil {
		var err error
		if f, err = a.look(ctx, p); err != nil {
			return err
		}
	}
	return o.Send(ctx, a.what, f.Value, func(q uint64) host.Message { return f.Message(q) }, a.node)
}

// collect takes what an accusation brought, and says how much.
func (p *accuser) collect(ctx context.Context, env *command.Env, a *accusation) error {
	rec, err := p.record(ctx, a.node)
	if err != nil {
		return err // before anything is made
	}
	id := a.id(rec, p.wallet)
	o, err := p.open(ctx, env)
	if err != nil {
		return err
	}
	defer o.Close()
	amount, err := o.Collect(ctx, a.node, id)
	if err != nil {
		return err
	}
	if t := o.Repeated(); !t.IsZero() {
		env.Logf("this was begun at %s, and is done", t.Format(time.RFC3339))
	}
	var name *string
	of := "the " + a.kind
	if id != [32]byte{} {
		hex := hexOf(id)
		name, of = &hex, a.kind+" "+hex
	}
	if env.JSON {
		err = env.PrintJSON(map[string]any{a.kind: name, "node": a.node, "collected_nano": amount})
	} else {
		_, err = fmt.Fprintf(env.Stdout, "collected %s of %s\n", command.Coins(amount), of)
	}
	return errors.Join(err, o.Told())
}
