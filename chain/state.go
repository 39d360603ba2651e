package chain

import (
	"context"
	"fmt"

	"github.com/cocoon-go/cocoon/attestation"
)

// Reading what was: the state of an account after an older block.

// AccountAt implements [Reader].
func (c *Client) AccountAt(ctx context.Context, b Block, addr attestation.Address) (*Account, error) {
	p, err := c.provedAt(ctx, b.Seqno)
	if err != nil {
		return nil, err
	}
	if p.ID() != b.ID() {
		return nil, attestation.ChainDisagrees("block %s is not the chain's, which has %s", b.ID(), p.ID())
	}
	return c.accountAt(ctx, p, addr)
}

// provedAt proves the block with a number, like Block.
func (c *Client) provedAt(ctx context.Context, seqno uint32) (*proved, error) {
	if seqno == 0 {
		return nil, attestation.BadInput("block 0 is the zerostate")
	}
	c.mu.Lock()
	known := c.recent[seqno]
	c.mu.Unlock()
	if known != nil {
		return known, nil
	}
	h, err := c.head(ctx)
	if err != nil {
		return nil, err
	}
	return c.before(ctx, h, seqno)
}

// before proves a block that is not newer than a proved one.
func (c *Client) before(ctx context.Context, h *proved, seqno uint32) (b *proved, err error) {
	if h.Seqno == seqno {
		return h, nil
	}
	if h.Seqno < seqno {
		return nil, attestation.Unknown("block %d: the chain is at %d", seqno, h.Seqno)
	}
	err = c.ask(ctx, fmt.Sprintf("block %d", seqno), func(ctx context.Context, s *server) error {
		b, err = c.ancestor(ctx, s, h, seqno)
		return err
	})
	return b, err
}
