package main

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/registry"
	"github.com/cocoon-go/cocoon/chain/tonfile"
	"github.com/cocoon-go/cocoon/host"
	"github.com/cocoon-go/cocoon/internal/atomicfile"
	"github.com/cocoon-go/cocoon/internal/command"
)

type signFlags struct {
	ton           tonfile.Flags
	registry, key string
	yes           bool
}

// govSign asks only what can still be submitted, and only who may approve it.
func govSign(ctx context.Context, env *command.Env, f *signFlags) error {
	if len(env.Args) != 1 || !f.ton.Given() || f.key == "" {
		return attestation.BadInput("gov sign needs one file, --key and --ton-config; --help explains")
	}
	p, err := readProposal(env.Args[0])
	if err != nil {
		return err
	}
	key, err := walletKey(env, f.key)
	if err != nil {
		return err
	}
	root, err := registryFlag(f.registry, p)
	if err != nil {
		return err
	}
	c, err := dial(ctx, env, f.ton)
	if err != nil {
		return err
	}
	defer c.Close()
	r, _, err := signable(ctx, c, p, root, key)
	if err != nil {
		return err
	}
	if err := ask(env, r, f.yes); err != nil {
		return err
	}
	// Asking took time: what is signed is what was shown, but the registry may have
	// gone on.
	_, record, err := signable(ctx, c, p, root, key)
	if err != nil {
		return err
	}
	if err := p.Sign(record.State.Governance, key); err != nil {
		return err
	}
	if err := writeProposal(env.Args[0], p, atomicfile.Write); err != nil {
		return err
	}
	if r, err = p.Review(record, p.ChainID); err != nil {
		return err
	}
	if env.JSON {
		return env.PrintJSON(r)
	}
	_, err = fmt.Fprintf(env.Stdout, "signed; approvals %d of %d needed\n", r.Valid(), r.Needed)
	return err
}

// registryFlag returns the registry that a proposal is for. The one that the user
// named must be that.
func registryFlag(value string, p *host.Proposal) (attestation.Address, error) {
	if value == "" {
		return p.Registry, nil
	}
	root, err := command.ReadAddress(value)
	if err == nil && root != p.Registry {
		err = attestation.BadInput("the proposal is for registry %v, this is %v", p.Registry, root)
	}
	return root, err
}

// review looks at a proposal with a registry, and returns its record too.
func review(ctx context.Context, c *chain.Client, p *host.Proposal, root attestation.Address) (*host.Review, *registry.Root, error) {
	id, err := c.ChainID(ctx)
	if err != nil {
		return nil, nil, err
	}
	if err := p.CheckChain(id); err != nil {
		return nil, nil, err // its registry need not be there
	}
	record, err := registry.Reader{Reader: c}.Root(ctx, root)
	if err != nil {
		return nil, nil, err
	}
	r, err := p.Review(record, id)
	return r, record, err
}

// signable is a review of what a key can approve.
func signable(ctx context.Context, c *chain.Client, p *host.Proposal, root attestation.Address, key ed25519.PrivateKey) (*host.Review, *registry.Root, error) {
	r, record, err := review(ctx, c, p, root)
	if err == nil {
		err = r.Err()
	}
	if err == nil {
		err = host.CheckGovernor(record.State.Governance, key)
	}
	return r, record, err
}

// ask shows a proposal and has a person on a terminal type the name of its action.
func ask(env *command.Env, r *host.Review, yes bool) error {
	to := env.Stdout
	if env.JSON {
		to = env.Stderr
	}
	writeReview(to, r)
	if yes {
		return nil
	}
	if !terminal(env.Stdin) {
		return attestation.BadInput("nobody can be asked: standard input is no terminal; read it and sign with --yes")
	}
	return confirm(env, r.Action)
}

// confirm demands the name of the action from standard input.
func confirm(env *command.Env, action string) error {
	fmt.Fprintf(env.Stderr, "Type %s to sign this, anything else to leave it: ", action)
	line, err := bufio.NewReader(io.LimitReader(env.Stdin, 256)).ReadString('\n')
	if err != nil {
		fmt.Fprintln(env.Stderr)
	}
	if got := strings.TrimSpace(line); got != action {
		return attestation.BadInput("not signed: %.40q is not %s", got, action)
	}
	return nil
}

// terminal says whether a person may sit at the other end.
func terminal(r io.Reader) bool {
	f, ok := r.(*os.File)
	if !ok {
		return false
	}
	fi, err := f.Stat()
	return err == nil && fi.Mode()&os.ModeCharDevice != 0
}
