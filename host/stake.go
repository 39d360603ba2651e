package host

import (
	"context"
	"errors"
	"fmt"
	"math/big"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/registry"
	"github.com/cocoon-go/cocoon/internal/command"
)

// Stake adds nano coins from the wallet to the node's stake. Where the node has no
// contract yet the same payment deploys it.
func (o *Operator) Stake(ctx context.Context, amount uint64) error {
	what := fmt.Sprintf("stake %s coins on node %v", command.Coins(amount), o.Node)
	if found, err := o.resume(ctx, what); found || err != nil {
		return err // before the look at the record: the contract may be there by now
	}
	_, err := o.Record(ctx)
	missing := errors.Is(err, registry.ErrNoContract)
	if err != nil && !missing {
		return err
	}
	return o.do(ctx, what, func(query uint64) ([]chain.Message, error) {
		body, err := (&contracts.Stake{QueryID: query}).Body()
		stake := chain.Message{To: o.Node, Amount: nano(amount + contracts.ValueSmall), Body: body}
		if err != nil || !missing {
			return []chain.Message{stake}, err
		}
		o.note("node %v has no contract yet: it is deployed with %s, which stay yours as its balance", o.Node, coinsText(balance))
		first, err := o.deployment()
		return []chain.Message{first, stake}, err
	}, o.Node)
}

// Unstake starts the way out for a part of the stake, in nano coins. What the
// contract would refuse is refused before.
func (o *Operator) Unstake(ctx context.Context, amount uint64) error {
	check := func(rec *registry.Node, _ *big.Int) error { return checkUnstake(rec, amount) }
	return o.sendNode(ctx, fmt.Sprintf("unstake %s coins of node %v", command.Coins(amount), o.Node), check, func(q uint64) Message {
		return &contracts.Unbond{QueryID: q, Amount: amount}
	})
}

// Withdraw pays credits, unbonded stake and a part of the surplus, in nano coins,
// to the wallet. What the contract would refuse is refused before.
func (o *Operator) Withdraw(ctx context.Context, surplus uint64) error {
	check := func(rec *registry.Node, balance *big.Int) error { return checkWithdraw(rec, balance, surplus) }
	return o.sendNode(ctx, fmt.Sprintf("withdraw from node %v, with a surplus of %s coins", o.Node, command.Coins(surplus)), check, func(q uint64) Message {
		return &contracts.Withdraw{QueryID: q, Surplus: surplus}
	})
}

// sendNode is Send to the node's contract, which must be there, once a check of its
// record and balance passed.
func (o *Operator) sendNode(ctx context.Context, what string, check func(*registry.Node, *big.Int) error, message func(query uint64) Message) error {
	if found, err := o.resume(ctx, what); found || err != nil {
		return err // before the look at the record: it may be done by now
	}
	if err := o.atHome(ctx); err != nil {
		return err
	}
	acc, err := o.Client.Account(ctx, o.Node)
	if err != nil {
		return err
	}
	rec, err := registry.NodeOf(acc)
	if errors.Is(err, registry.ErrNoContract) {
		return fmt.Errorf("%w: are registry, wallet, --index and network those of the node?", err)
	} else if err != nil {
		return err
	}
	if err := check(rec, acc.Balance); err != nil {
		return err
	}
	return o.Send(ctx, what, contracts.ValueSmall, message, o.Node)
}

// Unregister ends the node's registration, so that its stake may leave. Its slot
// is free then: the machine's platform answers in the node's stead. What the
// contract would refuse is refused before.
func (o *Operator) Unregister(ctx context.Context) error {
	what := fmt.Sprintf("unregister node %v", o.Node)
	if found, err := o.resume(ctx, what); found || err != nil {
		return err // before the look at the record: it may be over by now
	}
	if err := o.atHome(ctx); err != nil {
		return err
	}
	rec, err := o.Record(ctx)
	if errors.Is(err, registry.ErrNoContract) {
		return foreseen(contracts.CodeNotRegistered, "node %v has no contract: are registry, wallet, --index and network those of the node?", o.Node)
	} else if err != nil {
		return err
	}
	if err := o.checkUnregister(ctx, rec); err != nil {
		return err
	}
	to := []attestation.Address{o.Node}
	if e, ok := rec.Epoch(rec.Current); ok {
		platform, _, err := contracts.PlatformAddress(o.Registry, e.PlatformID)
		if err != nil {
			return err
		}
		to = append(to, platform)
	}
	return o.Send(ctx, what, contracts.ValueCheck, func(q uint64) Message { return &contracts.Retire{QueryID: q} }, to...)
}
