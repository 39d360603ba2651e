package client

import (
	"errors"
	"fmt"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/registry"
)

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
