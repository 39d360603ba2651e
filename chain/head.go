package chain

import (
	"context"

	"github.com/cocoon-go/cocoon/attestation"
)

// Head implements [Reader].
func (c *Client) Head(ctx context.Context) (Block, error) {
	p, err := c.head(ctx)
	if err != nil {
		return Block{}, err
	}
	return p.Block, nil
}

func (c *Client) head(ctx context.Context) (*proved, error) {
	var best *proved
	err := c.ask(ctx, "the masterchain head", func(ctx context.Context, s *server) error {
		p, err := c.headFrom(ctx, s)
		if err != nil {
			return err
		}
		best = p
		return c.fresh(p.Block)
	})
	if err != nil {
		return nil, err
	}
	return c.compare(ctx, best)
}

// fresh checks the age of a head.
func (c *Client) fresh(b Block) error {
	switch age := c.now().Sub(b.Time); {
	case age > MaxHeadAge:
		return attestation.Unknown("the newest block %d is %d s old, at most %d s: the liteserver is behind, the chain has stopped, or this clock is fast", b.Seqno, int(age.Seconds()), int(MaxHeadAge.Seconds()))
	case age < -maxHeadAhead:
		return attestation.Unknown("the newest block %d is %d s in the future: this clock is slow", b.Seqno, int(-age.Seconds()))
	}
	return nil
}

// headFrom asks one server for its head and proves it. A server that is behind
// what was proved before does not take the head back.
func (c *Client) headFrom(ctx context.Context, s *server) (*proved, error) {
	id, err := s.head(ctx)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	newest, base := c.newest, c.base.at
	c.mu.Unlock()
	if newest != nil && id.Seqno <= newest.Seqno {
		if id.Seqno == newest.Seqno && id != newest.ID() {
			// either a lie, or a fork that the server can prove
			if _, err := c.prove(ctx, s, id); err != nil {
				return nil, err
			}
		}
		return newest, nil
	}
	if id.Seqno < base.Seqno {
		return nil, attestation.Unknown("liteserver %s: its newest block %d is before the trusted block %d", s, id.Seqno, base.Seqno)
	}
	return c.prove(ctx, s, id)
}
