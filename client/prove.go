package client

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/receipt"
	"github.com/cocoon-go/cocoon/attestation/translog"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/registry"
)

// ErrNotAnchored says that the chain does not cover a receipt yet. It is
// wrapped in an UnknownError: later it may, and an anchor that never comes is a
// fault that the contract punishes.
var ErrNotAnchored = errors.New("no anchor on the chain covers this receipt yet")

// Prove collects everything that shows a stranger, offline and in years, that
// a receipt is genuine, logged and anchored: by the first anchor that covered it,
// since at its time the evidence will be judged. Nothing of it is verified but the
// inclusion: that is VerifyProof's work, for whoever receives it.
func (c *Client) Prove(ctx context.Context, src Source, r *receipt.Receipt) (*receipt.Proof, error) {
	acc, err := c.chain.Account(ctx, r.Head.Node)
	if err != nil {
		return nil, err
	}
	rec, err := registry.NodeOf(acc)
	if err != nil {
		return nil, err
	}
	if rec.Anchor.Size <= r.Head.Index {
		return nil, attestation.Unknown("%w: the anchor has %d leaves, the receipt is leaf %d", ErrNotAnchored, rec.Anchor.Size, r.Head.Index)
	}
	epoch, ok := rec.Epoch(r.Head.Epoch)
	if !ok {
		return nil, attestation.Unknown("the chain does not hold epoch %d of the node any more: a proof must be exported while it does", r.Head.Epoch)
	}
	cp, txs, err := c.firstAnchor(ctx, acc, rec, &r.Head)
	if err != nil {
		return nil, err
	}
	tiles, err := c.tiles(src.Endpoint, cp.Size, cp.Root)
	if err != nil {
		return nil, err
	}
	hashes, err := tiles.InclusionProof(ctx, r.Head.Index)
	if err != nil {
		return nil, err
	}
	root, err := c.chain.Account(ctx, c.cfg.Registry)
	if err != nil {
		return nil, err
	}
	p := &receipt.Proof{
		Receipt:       r,
		Inclusion:     receipt.Inclusion{Index: r.Head.Index, Size: cp.Size, Hashes: hashes},
		Checkpoint:    *cp,
		AccountProof:  acc.Proof,
		Bundle:        src.Bundle,
		RegistryProof: root.Proof,
	}
	if p.Transactions, err = chain.EncodeTransactions(txs); err != nil {
		return nil, err
	}
	block, err := c.chain.Block(ctx, epoch.StartBlock)
	if err != nil {
		return nil, err
	}
	if p.BlockHeader, err = c.chain.HeaderProof(ctx, block); err != nil {
		return nil, err
	}
	for _, f := range src.Endorsements {
		p.Endorsements = append(p.Endorsements, receipt.Endorsement{Name: f.Name, Bytes: f.Data})
	}
	if err := p.VerifyInclusion(); err != nil {
		return nil, err
	}
	return p, nil
}

// tiles reads a log of a size and root from a relay.
func (c *Client) tiles(relay string, size uint64, root [32]byte) (*translog.TileReader, error) {
	return translog.NewTileReader(size, root, func(ctx context.Context, path string) ([]byte, error) {
		data, err := c.fetch(ctx, relay, "/log/"+path, 1<<14)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", fs.ErrNotExist, err)
		}
		return data, nil
	})
}

// depths are how many transactions of a node are read, one after the other, to
// find the anchor that covered a receipt first. A receipt that is exported at once
// needs the first.
var depths = []int{64, 512, 4096, 10_000}

// firstAnchor returns the oldest anchor that can be found that covers a receipt:
// its checkpoint, with the signature that brought it to the chain, and the
// transactions from the newest back to it. Its time is the one that the evidence is
// judged at.
func (c *Client) firstAnchor(ctx context.Context, acc *chain.Account, rec *registry.Node, h *receipt.Head) (*receipt.Checkpoint, []chain.Transaction, error) {
	made := time.Unix(int64(h.Time), 0)
	var found *receipt.Checkpoint
	var upTo []chain.Transaction
	seen := 0
	for _, depth := range depths {
		txs, err := c.chain.Transactions(ctx, acc, depth)
		if err != nil && found != nil {
			break // liteservers forget; a later anchor is as true
		} else if err != nil {
			return nil, nil, err
		}
		for i := range txs {
			a, sig, ok := anchorIn(&txs[i])
			if _, known := rec.Epoch(a.Epoch); ok && known && a.Epoch >= h.Epoch && a.Size > h.Index {
				found, upTo = &receipt.Checkpoint{Epoch: a.Epoch, Size: a.Size, Root: a.Root, Signature: sig}, txs[:i+1]
			}
		}
		if seen = len(txs); seen < depth || txs[seen-1].Time.Before(made) {
			break
		}
	}
	if found == nil {
		return nil, nil, attestation.Unknown("the transaction that anchored %d leaves is not among the last %d of the node", rec.Anchor.Size, seen)
	}
	return found, upTo, nil
}

// anchorIn returns the anchor that a transaction took.
func anchorIn(tx *chain.Transaction) (a contracts.Anchor, sig [64]byte, ok bool) {
	if tx.In == nil || tx.In.Msg == nil || tx.Aborted {
		return a, sig, false
	}
	return contracts.ParseAnchorMessage(tx.In.Msg.Payload())
}

// AnchorTx returns the hash of the transaction that anchored the size, for
// people who look at an explorer.
func (c *Client) AnchorTx(ctx context.Context, node attestation.Address, size uint64) (hash [32]byte, err error) {
	acc, err := c.chain.Account(ctx, node)
	if err != nil {
		return hash, err
	}
	txs, err := c.chain.Transactions(ctx, acc, 64)
	if err != nil {
		return hash, err
	}
	for _, tx := range txs {
		if a, _, ok := anchorIn(&tx); ok && a.Size == size {
			return tx.Hash, nil
		}
	}
	return hash, attestation.Unknown("no transaction among the last %d of the node anchored %d leaves", len(txs), size)
}

// WaitAnchored waits until the chain covers the receipt, looking every poll.
func (c *Client) WaitAnchored(ctx context.Context, r *receipt.Receipt, poll time.Duration) (*registry.Node, error) {
	for {
		rec, err := c.chain.Node(ctx, r.Head.Node)
		if err == nil && rec.Anchor.Size > r.Head.Index {
			return rec, nil
		}
		select {
		case <-ctx.Done():
			if err == nil {
				err = fmt.Errorf("%w: %w", ErrNotAnchored, ctx.Err())
			}
			return nil, attestation.Unknown("waiting for the anchor: %w", err)
		case <-time.After(poll):
		}
	}
}
