package chain

import (
	"context"
	"errors"
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

// FirstState implements [Reader]. It looks near the head first, since liteservers
// forget, at less than a hundred blocks.
func (c *Client) FirstState(ctx context.Context, addr attestation.Address, since uint32, holds func(*Account) (bool, error)) (before, first *Account, err error) {
	h, err := c.head(ctx)
	if err != nil {
		return nil, nil, err
	}
	since = max(since, 1)
	if since > h.Seqno {
		return nil, nil, attestation.Unknown("block %d: the chain is at %d", since, h.Seqno)
	}
	at := func(seqno uint32) (*Account, bool, error) {
		p, err := c.before(ctx, h, seqno)
		if err != nil {
			return nil, false, err
		}
		a, err := c.accountAt(ctx, p, addr)
		if err != nil {
			return nil, false, err
		}
		ok, err := holds(a)
		return a, ok, err
	}
	first, ok, err := at(h.Seqno)
	if err != nil {
		return nil, nil, err
	}
	if !ok {
		return nil, nil, attestation.Unknown("account %s: it does not hold at block %d", addr, h.Seqno)
	}
	// Growing steps back, until it does not hold or nobody has the state any more;
	// then smaller ones: the block may lie between what is known and what is gone.
	floor, step := since, uint32(1)
	var gone error
	for before == nil {
		seqno := floor
		if first.Block.Seqno-floor > step {
			seqno = first.Block.Seqno - step
		}
		a, ok, err := at(seqno)
		var unknown *attestation.UnknownError
		switch {
		case errors.As(err, &unknown) && ctx.Err() == nil:
			gone, floor = err, seqno
		case err != nil:
			return nil, nil, err
		case !ok:
			before = a
			continue
		case seqno == since:
			return nil, nil, attestation.ChainDisagrees("account %s: it holds at block %d already", addr, since)
		default:
			first = a
		}
		if gone == nil {
			step = min(2*step, 1<<30)
		} else if step = (first.Block.Seqno - floor) / 2; step == 0 {
			return nil, nil, gone
		}
	}
	for first.Block.Seqno-before.Block.Seqno > 1 {
		a, ok, err := at(before.Block.Seqno + (first.Block.Seqno-before.Block.Seqno)/2)
		if err != nil {
			return nil, nil, err
		}
		if ok {
			first = a
		} else {
			before = a
		}
	}
	return before, first, nil
}
