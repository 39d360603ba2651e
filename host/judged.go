package host

import (
	"context"
	"fmt"

	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/registry"
)

// judged says what the registry would say to a registration, before anything is paid
// for it. The verifiers are left out: they may come and go until the message is
// there, and whoever sends it sees to that.
func (o *Operator) judged(ctx context.Context, c *contracts.Check) error {
	root, rec, err := o.judges(ctx)
	if err != nil {
		return err
	}
	code := root.State.JudgeNew(c, rec.Stake)
	if code == 0 || code == contracts.CodeVerifierSet {
		return nil
	}
	return foreseen(code, "%s", advice(code, c, root, rec))
}

// staked says whether the node has the stake that a registration needs.
func (o *Operator) staked(ctx context.Context) error {
	root, rec, err := o.judges(ctx)
	if err != nil || rec.Stake >= root.State.Params.MinStake {
		return err
	}
	return foreseen(contracts.CodeStake, "%s", advice(contracts.CodeStake, nil, root, rec))
}

func (o *Operator) judges(ctx context.Context) (*registry.Root, *registry.Node, error) {
	root, err := o.Root(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the registry: %w", err)
	}
	rec, err := o.Record(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the node's record: %w", err)
	}
	return root, rec, nil
}

// advice says what is wrong with a registration, and what to do about it.
func advice(code int, c *contracts.Check, root *registry.Root, rec *registry.Node) string {
	switch code {
	case contracts.CodeStake:
		return fmt.Sprintf("node %v has a stake of %s, registry %v wants %s: add the rest with `cocoon-node stake`",
			rec.Address, coinsText(rec.Stake), root.Address, coinsText(root.State.Params.MinStake))
	case contracts.CodePaused:
		return fmt.Sprintf("registry %v takes no registrations now", root.Address)
	case contracts.CodeRevoked:
		return fmt.Sprintf("machine %x is revoked by the registry", c.PlatformID)
	case contracts.CodeMeasurement:
		return fmt.Sprintf("registry %v does not list measurement %x: run an enclave that it lists (`cocoon-node gov show`)", root.Address, c.Measurement)
	case contracts.CodeCAKey:
		return fmt.Sprintf("registry %v does not list the key %x, which certified this machine's quotes", root.Address, c.Authority)
	case contracts.CodeFloor:
		return fmt.Sprintf("registry %v wants newer firmware of machines with FMSPC %x, or knows none: update the microcode, or ask its governors", root.Address, c.TDX.FMSPC)
	}
	return fmt.Sprintf("registry %v wants another state of this machine's firmware than its quote shows; `cocoon-node gov show` prints its floors", root.Address)
}
