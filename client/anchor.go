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
	return a, a.prove(txs, before, h.Index)
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

// firstAnchor finds in a proved passage the transaction that was the first to anchor
// a leaf. That it was the first, the passage must show.
func firstAnchor(p *chain.Passage, index uint64) (*chain.Transaction, error) {
	if err := beginsBefore(p, index); err != nil {
		return nil, err
	}
	for i := len(p.Transactions) - 1; i >= 0; i-- {
		tx := &p.Transactions[i]
		if tx.Hidden {
			return nil, attestation.Unknown("the proof does not show what transaction %x did", tx.Hash)
		}
		if a, _, ok := anchorIn(tx); ok && a.Size > index {
			return tx, nil
		}
	}
	return nil, attestation.ChainDisagrees("no transaction of the proof anchored leaf %d", index)
}

// beginsBefore checks that no anchor covered a leaf where a passage begins.
func beginsBefore(p *chain.Passage, index uint64) error {
	oldest := &p.Transactions[len(p.Transactions)-1]
	switch a, _, ok := anchorIn(oldest); {
	case p.Before != nil && p.Before.Active:
		size, err := contracts.AnchoredSize(p.Before.Data)
		if err != nil {
			return err
		}
		if size > index {
			return attestation.ChainDisagrees("the proof shows a later anchor than the first: one of %d leaves had covered leaf %d before", size, index)
		}
	case p.Before != nil, p.Begins:
	case !ok || a.Size > index:
		return attestation.Unknown("the proof does not show that no earlier anchor covered leaf %d; export it again", index)
	}
	return nil
}

// anchor finds the transaction that brought the checkpoint to the chain. When the
// chain took it is the one time of the receipt that nobody can choose.
func (w *walk) anchor() (at time.Time, detail string, err error) {
	if len(w.p.Passage) == 0 {
		return at, "", attestation.Unknown("the proof does not show when its checkpoint was anchored; export it again")
	}
	passage, err := chain.VerifyPassage(w.p.Passage, w.acc)
	if err != nil {
		return at, "", fmt.Errorf("anchor: %w", err)
	}
	tx, err := firstAnchor(passage, w.p.Receipt.Head.Index)
	if err != nil {
		return at, "", err
	}
	cp := &w.p.Checkpoint
	if a, sig, _ := anchorIn(tx); a.Epoch != cp.Epoch || a.Size != cp.Size || a.Root != cp.Root || sig != cp.Signature {
		return at, "", attestation.ChainDisagrees("transaction %x, the first that anchored leaf %d, did not anchor the checkpoint of the proof", tx.Hash, w.p.Receipt.Head.Index)
	}
	w.AnchoredAt, w.AnchorTx, w.anchorLT = tx.Time.UTC(), tx.Hash, tx.LT
	return w.AnchoredAt, fmt.Sprintf("transaction %x", tx.Hash), nil
}

// errNotOfAnchor says that a registry's lists may not be those of the anchor.
var errNotOfAnchor = errors.New("the proof does not show what the registry listed at the time of the anchor")

// registry reads the lists of the registry as they were when the receipt was
// anchored: after the block that shows the node, which is hardly later than the
// anchor, unless nothing came to the registry in between. What it took off them
// later is no reason against the answer, and what it had taken off before is one.
func (w *walk) registry() (at time.Time, detail string, err error) {
	acc, err := chain.VerifyAccountProof(w.p.RegistryProof, w.want.Registry, w.want.Trusted...)
	if err != nil {
		return at, "", fmt.Errorf("chain: registry: %w", err)
	}
	if w.root, err = registry.RootOf(acc); err != nil {
		return at, "", fmt.Errorf("chain: %w", err)
	}
	at = acc.Block.Time
	switch {
	case acc.Block != w.Block:
		return at, "", attestation.Unknown("%w: its state is of block %s, the node's of block %s; export it again", errNotOfAnchor, acc.Block.ID(), w.Block.ID())
	case at.After(w.AnchoredAt.Add(maxAfterAnchor)) && acc.LastLT >= w.anchorLT:
		return at, "", attestation.Unknown("%w, but what it listed at %s; export it again, from an archive liteserver", errNotOfAnchor, at.UTC().Format(time.RFC3339))
	}
	if w.root.State.Revoked[w.Epoch.PlatformID] {
		return at, "", attestation.Refused("the registry had revoked the machine of epoch %d, platform %x, when the receipt was anchored: its keys may be known to others", w.Epoch.Number, w.Epoch.PlatformID)
	}
	return at, fmt.Sprintf("registry %v, block %d", w.root.Address, acc.Block.Seqno), nil
}
