package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/xssnick/tonutils-go/tlb"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/receipt"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/registry"
)

// A receipt is judged at the time of the first anchor that covered it. A proof shows
// the state of node and registry after a block that has this anchor, and what led to
// that state: see docs/spec/receipt.md, section 8.

// maxAfterAnchor is how much later than the anchor the block of a proof may be, when
// the registry has changed since.
const maxAfterAnchor = 10 * time.Minute

// Limits of what an exporter reads.
const (
	maxInBlock = 10_000 // transactions of a node in one masterchain block
	maxBack    = 1024   // and from now back to the anchor, where states are forgotten
)

// anchored is how the chain took a receipt.
type anchored struct {
	node, registry *chain.Account // after one block
	checkpoint     receipt.Checkpoint
	passage        []byte // proof of what led to the node's state
}

// findAnchor finds the first anchor that covers a receipt. What was sent to the node
// before or after it makes neither the search nor the proof longer: the search is
// among states, and the proof goes back to the start of the anchor's block only.
func (c *Client) findAnchor(ctx context.Context, h *receipt.Head) (*anchored, error) {
	head, err := c.chain.Account(ctx, h.Node)
	if err != nil {
		return nil, err
	}
	rec, err := registry.NodeOf(head)
	if err != nil {
		return nil, err
	}
	if rec.Anchor.Size <= h.Index {
		return nil, attestation.Unknown("%w: the anchor has %d leaves, the receipt is leaf %d", ErrNotAnchored, rec.Anchor.Size, h.Index)
	}
	a, err := c.atAnchor(ctx, h)
	if err == nil || attestation.ExitCode(err) != exitUnknown {
		return a, err
	}
	a, late := c.sinceAnchor(ctx, head, h)
	if late != nil {
		return nil, fmt.Errorf("%w; and from its state of now back: %w", err, late)
	}
	return a, nil
}

// atAnchor proves from the first masterchain block that has the anchor.
func (c *Client) atAnchor(ctx context.Context, h *receipt.Head) (*anchored, error) {
	before, first, txs, err := c.around(ctx, h.Node, h.BlockSeqno, h.Index)
	if err != nil {
		return nil, err
	}
	a := &anchored{node: first}
	if a.registry, err = c.chain.AccountAt(ctx, first.Block, c.cfg.Registry); err != nil {
		return nil, err
	}
	if err := a.prove(txs, before, h.Index); err != nil {
		return nil, err
	}
	return a, nil
}

// around returns the states of a node before and after the masterchain block in which
// a leaf was first anchored, and the transactions between them, newest first.
func (c *Client) around(ctx context.Context, node attestation.Address, since uint32, index uint64) (before, first *chain.Account, txs []chain.Transaction, err error) {
	before, first, err = c.chain.FirstState(ctx, node, since, func(a *chain.Account) (bool, error) {
		size, err := anchoredSize(a)
		return size > index, err
	})
	if err != nil {
		return nil, nil, nil, fmt.Errorf("looking for the block of the anchor (an archive liteserver knows all states): %w", err)
	}
	txs, err = c.chain.History(ctx, first, maxInBlock, func(t *chain.Transaction) bool { return t.After(before) })
	return before, first, txs, err
}

// sinceAnchor proves from the newest state, for liteservers that have no older ones:
// where little came to the node since, and nothing to the registry.
func (c *Client) sinceAnchor(ctx context.Context, head *chain.Account, h *receipt.Head) (*anchored, error) {
	a := &anchored{node: head}
	var err error
	if a.registry, err = c.chain.AccountAt(ctx, head.Block, c.cfg.Registry); err != nil {
		return nil, err
	}
	begins := func(t *chain.Transaction) bool {
		anchor, _, ok := anchorIn(t)
		return ok && anchor.Size <= h.Index || t.After(nil)
	}
	txs, err := c.chain.History(ctx, head, maxBack, begins)
	if err != nil {
		return nil, err
	}
	if len(txs) == 0 || !begins(&txs[len(txs)-1]) {
		return nil, attestation.Unknown("the anchor before the receipt's is not among the last %d transactions of the node", len(txs))
	}
	if err := a.prove(txs, nil, h.Index); err != nil {
		return nil, err
	}
	i := covering(txs, h.Index)
	if txs[i].Time.Add(maxAfterAnchor).Before(a.registry.Block.Time) && a.registry.LastLT >= txs[i].LT {
		return nil, attestation.Unknown("the registry has changed since the anchor")
	}
	return a, nil
}

// prove encodes transactions from the newest of the node's state back.
func (a *anchored) prove(txs []chain.Transaction, before *chain.Account, index uint64) error {
	if err := errors.Join(a.node.Provable(), a.registry.Provable()); err != nil {
		return err
	}
	i := covering(txs, index)
	if i < 0 {
		return attestation.Unknown("the transaction that anchored leaf %d is not among %d of the node", index, len(txs))
	}
	anchor, sig, _ := anchorIn(&txs[i])
	a.checkpoint = receipt.Checkpoint{Epoch: anchor.Epoch, Size: anchor.Size, Root: anchor.Root, Signature: sig}
	var err error
	a.passage, err = chain.EncodePassage(txs, i, before)
	return err
}

// covering returns which of the transactions, newest first, was the first that
// anchored a leaf; -1 for none.
func covering(txs []chain.Transaction, index uint64) int {
	for i := len(txs) - 1; i >= 0; i-- {
		if a, _, ok := anchorIn(&txs[i]); ok && a.Size > index {
			return i
		}
	}
	return -1
}

// anchorIn returns the anchor that a transaction took.
func anchorIn(tx *chain.Transaction) (a contracts.Anchor, sig [64]byte, ok bool) {
	if tx.In == nil || tx.In.Msg == nil || tx.Aborted {
		return a, sig, false
	}
	body := tx.In.Msg.Payload()
	if a, sig, ok = contracts.ParseAnchorMessage(body); !ok {
		return a, sig, false
	}
	// What looks like one form of an anchor and came as the other is something else,
	// which the contract may have let pass.
	want := tlb.MsgTypeInternal
	if body.BitsSize() == contracts.AnchorExternalBits {
		want = tlb.MsgTypeExternalIn
	}
	return a, sig, tx.In.MsgType == want
}

// anchoredSize returns how many leaves a node has anchored; none before it is one.
func anchoredSize(a *chain.Account) (uint64, error) {
	if !a.Active() {
		return 0, nil
	}
	return contracts.AnchoredSize(a.Data)
}
