package host

import (
	"context"
	"errors"
	"fmt"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/contracts"
)

// Recheck has the registry judge a node's registration by today's policy, whoever's
// the node is: a no ends it. One that is over gives its slot and its place on the list
// back. It is paid only where something changes by it ([Foresee]); what it returns was
// foreseen, and is done unless there is an error. What an earlier call began is
// finished, and not paid again.
func (o *Operator) Recheck(ctx context.Context, node attestation.Address) (Foreseen, error) {
	what := fmt.Sprintf("recheck node %v in registry %v", node, o.Registry)
	if _, err := o.resume(ctx, what); err != nil && !paidRefusal(err) {
		return Foreseen{}, err
	}
	if err := o.Told(); err != nil {
		return Foreseen{}, err
	}
	root, err := o.Root(ctx)
	if err != nil {
		return Foreseen{}, err
	}
	f, err := Foresee(ctx, o.reader, root, node)
	if err != nil {
		return f, err
	}
	switch {
	case f.Effect == EffectWaits:
		return f, foreseen(contracts.CodePending, "%s; try again in ten minutes", f.Reason)
	case !f.pays():
		return f, nil
	}
	to, err := o.answersRecheck(ctx, node)
	if err != nil {
		return f, err
	}
	err = o.Send(ctx, what, contracts.ValueCheck, func(q uint64) Message { return &contracts.Recheck{QueryID: q} }, to...)
	if paidRefusal(err) && f.Effect == EffectEnds {
		err = o.confirmEnded(ctx, node, err)
	}
	return f, errors.Join(err, o.Told())
}

// paidRefusal says whether an error is the word of a contract that was paid.
func paidRefusal(err error) bool {
	var r *RefusalError
	return errors.As(err, &r) && !r.Foreseen
}

// confirmEnded returns the refusal unless the registration is over: then the
// registry's no, which the answer brings, is what was asked for.
func (o *Operator) confirmEnded(ctx context.Context, node attestation.Address, refusal error) error {
	rec, err := o.reader.Node(ctx, node)
	if err != nil {
		return err
	}
	if live(rec) {
		return refusal
	}
	return nil
}

// answersRecheck returns the contracts that may answer: the node, the machine's
// platform when it gets a slot back, and the registry where there never was a
// registration.
func (o *Operator) answersRecheck(ctx context.Context, node attestation.Address) ([]attestation.Address, error) {
	rec, err := o.reader.Node(ctx, node)
	if err != nil {
		return nil, err
	}
	to := []attestation.Address{node, o.Registry}
	if e, ok := rec.Epoch(rec.Current); ok {
		platform, _, err := contracts.PlatformAddress(o.Registry, e.PlatformID)
		if err != nil {
			return nil, err
		}
		to = append(to, platform)
	}
	return to, nil
}

// Prune sends one message of a plan ([PlanPruning]). A plan is of one state of the
// registry: make it anew after an error.
func (o *Operator) Prune(ctx context.Context, p Pruning) error {
	what := fmt.Sprintf("prune %d nodes from %v on in registry %v", p.Count, p.Start, o.Registry)
	err := o.Send(ctx, what, contracts.ValuePrune, func(q uint64) Message {
		return &contracts.Prune{QueryID: q, Start: p.Start.Hash, Count: p.Count}
	}, o.Registry)
	return errors.Join(err, o.Told())
}
