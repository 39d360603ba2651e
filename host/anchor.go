package host

import (
	"context"
	"encoding/json"
	"fmt"
	"math/big"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/registry"
)

// anchorTimeout is how long one attempt to anchor may take that the contract pays.
const anchorTimeout = time.Minute

// anchor puts the log's head on the chain whenever it grew, until ctx ends.
func (n *node) anchor(ctx context.Context, proc *process, rec *registry.Node) {
	repeat(ctx, n.anchorPeriod(ctx, rec), func() error { return n.anchorOnce(ctx, proc) }, func(err error, in time.Duration) {
		n.Log.Warn("anchoring failed; it is tried again", "err", err, "in", in)
	})
}

// anchorPeriod returns the time between anchors, and warns when the operator asked
// for one that is too long for the registry.
func (n *node) anchorPeriod(ctx context.Context, rec *registry.Node) time.Duration {
	root, err := n.op.Root(ctx)
	if err != nil {
		every, _ := anchorEvery(n.AnchorEvery, 0, rec.AnchorInterval)
		n.Log.Warn("the registry's merge delay is not known: anchoring as often as the contract takes it, or as --anchor-every says", "every", every, "err", err)
		return every
	}
	every, fits := anchorEvery(n.AnchorEvery, root.MergeDelay, rec.AnchorInterval)
	if !fits {
		n.Log.Warn("--anchor-every is too long: a receipt must be anchored within the registry's merge delay, or the enclave stops serving and anybody may challenge its log for free; leave the option out, or ask for half of that delay",
			"anchor_every", every, "merge_delay", root.MergeDelay)
	}
	return every
}

// anchorEvery returns the time between anchors: what was asked for, else half of the
// merge delay, so that an anchor that fails can be tried again in time, and not less
// than the interval in which the contract takes anchors. fits is false when what was
// asked for is longer than that.
func anchorEvery(asked, mergeDelay, interval time.Duration) (every time.Duration, fits bool) {
	every = max(mergeDelay/2, interval, time.Second)
	if asked > 0 {
		return asked, asked <= every
	}
	return every, true
}

// Waits between attempts after failures.
const (
	firstRetry = time.Second
	lastRetry  = 30 * time.Second
)

// repeat does something time and again until ctx ends. What fails is tried again
// after a second, two, four and so on, and not later than it would be otherwise.
func repeat(ctx context.Context, every time.Duration, do func() error, failed func(err error, in time.Duration)) {
	wait, retry := every, firstRetry
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		start := time.Now()
		err := do()
		if err == nil {
			wait, retry = max(0, every-time.Since(start)), firstRetry
		} else if ctx.Err() == nil {
			wait, retry = min(retry, every), min(2*retry, lastRetry)
			failed(err, wait)
		}
	}
}

// anchorOnce anchors the enclave's newest head, when the chain has a smaller one. The
// contract pays, or, when it holds too little for that, the wallet.
func (n *node) anchorOnce(ctx context.Context, proc *process) error {
	before, err := n.awaitInterval(ctx)
	if err != nil {
		return err
	}
	short, cancel := context.WithTimeout(ctx, anchorTimeout)
	defer cancel()
	h, err := proc.head(short)
	if err != nil {
		return err
	}
	acc, err := n.op.Client.Account(short, n.op.Node)
	if err != nil {
		return err
	}
	rec, err := registry.NodeOf(acc)
	if err != nil {
		return err
	}
	if h.Size <= rec.Anchor.Size {
		return nil // nothing new
	}
	if need := anchorNeeds(rec.State); acc.Balance.Cmp(need) < 0 {
		n.Log.Warn("the node's contract holds too little to pay for anchors, so the wallet pays: send coins to the contract", "node", n.op.Node.String(), "holds_nano", acc.Balance, "needs_nano", need)
		err = n.anchorByWallet(ctx, h)
	} else if err = n.anchorByNode(short, h); err != nil && n.overtaken(ctx, before, h) {
		n.Log.Warn("somebody anchors older heads whenever the contract takes one, so the wallet pays", "node", n.op.Node.String())
		err = n.anchorByWallet(ctx, h)
	}
	if err == nil {
		n.Log.Info("anchored", "size", h.Size)
	}
	return err
}

// overtaken reports whether an anchor has come since a record, and another head than
// ours: anybody who has signed heads may bring them, and the contract then takes none
// that it pays for the interval. One that the wallet pays for it always takes.
func (n *node) overtaken(ctx context.Context, before *registry.Node, h *contracts.SignedHead) bool {
	rec, err := n.op.Record(ctx)
	return err == nil && rec.Anchor.Time.After(before.Anchor.Time) && rec.Anchor.Size < h.Size
}

// awaitInterval waits until the contract takes another anchor that it pays. It
// returns the record from before.
func (n *node) awaitInterval(ctx context.Context) (*registry.Node, error) {
	rec, err := n.op.Record(ctx)
	if err != nil {
		return nil, err
	}
	wait := time.Until(rec.Anchor.Time.Add(rec.AnchorInterval))
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(min(wait, rec.AnchorInterval)):
		return rec, nil
	}
}

// rentSlack is for what the contract owes for its storage since its last
// transaction, in nanocoins: about three weeks.
const rentSlack = 5_000_000

// anchorNeeds returns what a node's contract must hold to pay for an anchor, in
// nanocoins.
func anchorNeeds(s *contracts.NodeState) *big.Int {
	need := nano(s.Protected())
	return need.Add(need, nano(contracts.NodeReserve+anchorCost+rentSlack))
}

// anchorByNode has the contract pay.
func (n *node) anchorByNode(ctx context.Context, h *contracts.SignedHead) error {
	m := &contracts.AnchorExternal{Anchor: h.Anchor, Signature: h.Signature}
	_, err := n.op.Client.SendExternal(ctx, n.op.Node, nil, m.Body(), func(a *chain.Account) bool {
		r, err := registry.NodeOf(a)
		return err == nil && r.Anchor.Size >= h.Size
	})
	return err
}

// anchorByWallet has the wallet pay.
func (n *node) anchorByWallet(ctx context.Context, h *contracts.SignedHead) error {
	n.busy.Lock()
	defer n.busy.Unlock()
	ctx, cancel := context.WithTimeout(ctx, registerTimeout)
	defer cancel()
	if err := n.op.Anchor(ctx, h); err != nil {
		return fmt.Errorf("anchoring %d receipts by the wallet: %w", h.Size, err)
	}
	return n.op.Told()
}

// ParseAnchor reads what an enclave answers at /log/anchor. Nothing of it is
// verified: the contract does.
func ParseAnchor(data []byte) (*contracts.SignedHead, error) {
	var v struct {
		Epoch     uint32 `json:"epoch"`
		Size      uint64 `json:"size"`
		Root      []byte `json:"root"`
		Signature []byte `json:"signature"`
	}
	if err := json.Unmarshal(data, &v); err != nil {
		return nil, attestation.BadInput("the enclave's anchor can't be read: %w", err)
	}
	if len(v.Root) != 32 || len(v.Signature) != 64 {
		return nil, attestation.BadInput("the enclave's anchor has a root of %d and a signature of %d bytes", len(v.Root), len(v.Signature))
	}
	return &contracts.SignedHead{
		Anchor: contracts.Anchor{Epoch: v.Epoch, Size: v.Size, Root: [32]byte(v.Root)}, Signature: [64]byte(v.Signature),
	}, nil
}
