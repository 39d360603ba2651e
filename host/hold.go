package host

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"math/big"
	"path/filepath"
	"sync"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/registry"
)

// answers answers challenges from now on, whatever becomes of the enclaves, until ctx
// ends. The function that it returns ends it, and waits.
func (n *node) answers(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	log := StoredLog(filepath.Join(n.Dir, LogDir), n.Dir, n.op.Node)
	log.Head = n.newestHead
	a := &answerer{LogSource: log, op: n.op, busy: &n.busy, idle: n.idle.Load}
	var wait sync.WaitGroup
	wait.Go(func() { a.run(ctx, func(*registry.Node) bool { return true }) })
	return func() {
		cancel()
		wait.Wait()
	}
}

// newestHead returns what the enclave signs now, else the newest that is stored.
func (n *node) newestHead(ctx context.Context) (*contracts.SignedHead, error) {
	if proc := n.serving.Load(); proc != nil {
		if h, err := proc.head(ctx); err == nil {
			return h, nil
		}
	}
	return headIn(n.Dir).load()
}

// hold waits when no enclave can be registered, since that is refused or the wallet
// can't pay it, while the node has something to lose: its challenges must be
// answered, from what the wallet has or gets, so `up` must not end. It returns true when what the registry
// says, or the stake, is another, or the wallet holds enough, so that it may be tried
// again.
func (n *node) hold(ctx context.Context, cause error) bool {
	var refused *attestation.RefusedError
	var short *chain.ShortError
	if !errors.As(cause, &refused) && !errors.As(cause, &short) {
		return false
	}
	defer n.idle.Store(false)
	tick := time.NewTicker(n.lookEvery)
	defer tick.Stop()
	var first *[32]byte
	for ctx.Err() == nil {
		now, holds, err := n.policy(ctx)
		switch {
		case err != nil: // it is asked again
		case !holds:
			return false
		case first == nil:
			n.Log.Error("no enclave runs: the node is not registered anew; challenges of its log are answered until this ends", "err", cause)
			first = &now
			n.idle.Store(true)
		case now != *first:
			n.Log.Info("the registry's policy, the slots or the node's stake are others now: trying again")
			return true
		case short != nil && n.canPay(ctx, short.Needs):
			n.Log.Info("the wallet holds enough now: trying again")
			return true
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	return false
}

// canPay says whether the wallet is known to hold an amount, in nanocoins.
func (n *node) canPay(ctx context.Context, amount *big.Int) bool {
	acc, err := n.op.Client.Account(ctx, n.op.Wallet())
	return err == nil && acc.Balance.Cmp(amount) >= 0
}

// policy returns a digest of what a registration is judged by, and whether the node
// has something to lose.
func (n *node) policy(ctx context.Context) (digest [32]byte, holds bool, err error) {
	rec, err := n.op.Record(ctx)
	if errors.Is(err, registry.ErrNoContract) {
		return digest, false, nil // nobody can challenge a node that is not there
	} else if err != nil {
		return digest, false, err
	}
	root, err := n.op.Root(ctx)
	if err != nil {
		return digest, false, err
	}
	slots, err := slotStatus(ctx, n.op.reader, rec, root)
	if err != nil && !errors.Is(err, registry.ErrFrozen) {
		return digest, false, err
	}
	data, err := json.Marshal(struct {
		*Registry
		Stake uint64
		Full  bool
	}{Describe(root.State), rec.Stake, slots != nil && slots.Held >= slots.Limit})
	return sha256.Sum256(data), atStake(rec), err
}
