package client

import (
	"context"
	"fmt"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/translog"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/registry"
)

// ForkError is wrapped by the [attestation.FalseError] of a node whose newest anchor does
// not continue an earlier one: [Client.ChallengeLog] takes that to the chain.
type ForkError struct{ Head *LogHead }

func (f *ForkError) Error() string {
	return fmt.Sprintf("the anchored log does not continue its own first %d receipts, as they were anchored in epoch %d", f.Head.Size, f.Head.Epoch)
}

// recentAnchors is how many of a node's transactions are looked at for earlier
// anchors.
const recentAnchors = 64

// checkHistory checks that the newest anchor continues those that the node's last
// transactions brought, of epochs that can still be challenged. It says how many
// that are: history that a liteserver has forgotten proves nothing either way.
func (c *Client) checkHistory(ctx context.Context, rec *registry.Node) (detail string, err error) {
	if rec.Anchor.Size == 0 {
		return "", nil
	}
	acc, err := c.chain.Account(ctx, rec.Address)
	if err != nil {
		return "", err
	}
	txs, err := c.chain.Transactions(ctx, acc, recentAnchors)
	if err != nil {
		return "; earlier anchors can't be read", nil
	}
	var earlier []*LogHead
	for i := range txs {
		a, sig, ok := anchorIn(&txs[i])
		if _, kept := rec.Epoch(a.Epoch); ok && kept && a.Size > 0 && a.Size < rec.Anchor.Size {
			earlier = append(earlier, &LogHead{rec.Address, contracts.SignedHead{Anchor: a, Signature: sig}})
		}
	}
	if err := c.continuesAll(ctx, rec, earlier); err != nil {
		return "", err
	}
	return fmt.Sprintf("; earlier anchors that it continues: %d", len(earlier)), nil
}

func (c *Client) continuesAll(ctx context.Context, rec *registry.Node, earlier []*LogHead) error {
	tiles, err := c.tiles(c.endpoint(rec), rec.Anchor.Size, rec.Anchor.Root)
	if err != nil {
		return err
	}
	for _, h := range earlier {
		_, proof, err := tiles.ConsistencyProof(ctx, h.Size)
		if err != nil {
			return err
		}
		if translog.VerifyConsistency(h.Size, h.Root, rec.Anchor.Size, rec.Anchor.Root, proof) != nil {
			return attestation.False("%w", &ForkError{h})
		}
	}
	return nil
}
