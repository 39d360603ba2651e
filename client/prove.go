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
	"github.com/cocoon-go/cocoon/chain/registry"
)

// ErrNotAnchored says that the chain does not cover a receipt yet. It is
// wrapped in an UnknownError: later it may, and an anchor that never comes is a
// fault that the contract punishes.
var ErrNotAnchored = errors.New("no anchor on the chain covers this receipt yet")

// Prove collects everything that shows a stranger, offline and in years, that
// a receipt is genuine, logged and anchored: by the first anchor that covered it,
// since at its time the evidence will be judged. It needs the states of that time,
// which liteservers that are no archives have for some hours to a day. Nothing of it
// is verified but the inclusion: that is VerifyProof's work, for whoever receives it.
func (c *Client) Prove(ctx context.Context, src Source, r *receipt.Receipt) (*receipt.Proof, error) {
	a, err := c.findAnchor(ctx, &r.Head)
	if err != nil {
		return nil, err
	}
	rec, err := registry.NodeOf(a.node)
	if err != nil {
		return nil, err
	}
	epoch, ok := rec.Epoch(r.Head.Epoch)
	if !ok {
		return nil, attestation.Unknown("epoch %d of node %v is not on the chain at block %d", r.Head.Epoch, rec.Address, rec.At.Seqno)
	}
	cp := &a.checkpoint
	tiles, err := c.tiles(src.Endpoint, cp.Size, cp.Root)
	if err != nil {
		return nil, err
	}
	hashes, err := tiles.InclusionProof(ctx, r.Head.Index)
	if err != nil {
		return nil, err
	}
	p := &receipt.Proof{
		Receipt:       r,
		Inclusion:     receipt.Inclusion{Index: r.Head.Index, Size: cp.Size, Hashes: hashes},
		Checkpoint:    *cp,
		AccountProof:  a.node.Proof,
		Bundle:        src.Bundle,
		RegistryProof: a.registry.Proof,
		Passage:       a.passage,
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

// Covered checks that the log which a relay serves holds a receipt under the anchor
// that the chain has now. It is less than a proof, and needs no old state of the
// chain. A receipt that is not there is false, one that no anchor covers yet
// [ErrNotAnchored].
func (c *Client) Covered(ctx context.Context, relay string, n *registry.Node, r *receipt.Receipt) error {
	if n.Anchor.Size <= r.Head.Index {
		return attestation.Unknown("%w: the anchor has %d leaves, the receipt is leaf %d", ErrNotAnchored, n.Anchor.Size, r.Head.Index)
	}
	tiles, err := c.tiles(relay, n.Anchor.Size, n.Anchor.Root)
	if err != nil {
		return err
	}
	hashes, err := tiles.InclusionProof(ctx, r.Head.Index)
	if err != nil {
		return fmt.Errorf("%w: %w", errTiles, err)
	}
	return translog.VerifyInclusion(r.Head.LeafHash(), r.Head.Index, n.Anchor.Size, n.Anchor.Root, hashes)
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

// AnchorTx returns the hash of the transaction that first anchored so many leaves of a
// node's log or more, for people who look at an explorer. A transaction that the
// liteservers have forgotten is an [attestation.UnknownError].
func (c *Client) AnchorTx(ctx context.Context, node attestation.Address, size uint64) (hash [32]byte, err error) {
	if size == 0 {
		return hash, attestation.BadInput("nothing anchors a log of no leaves")
	}
	_, _, txs, err := c.around(ctx, node, 1, size-1)
	if err != nil {
		return hash, err
	}
	i := covering(txs, size-1)
	if i < 0 {
		return hash, attestation.Unknown("no transaction among %d of the node anchored %d leaves", len(txs), size)
	}
	return txs[i].Hash, nil
}

// WaitAnchored waits until the chain covers the receipt, looking every poll. It
// ends without when ctx does, with an [attestation.UnknownError]: one that wraps
// [ErrNotAnchored] where the chain could be read.
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
