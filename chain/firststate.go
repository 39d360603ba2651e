package chain

import (
	"context"
	"errors"

	"github.com/cocoon-go/cocoon/attestation"
)

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
	s := firstState{c: c, addr: addr, head: h, since: since, holds: holds}
	var ok bool
	if s.first, ok, err = s.at(ctx, h.Seqno); err != nil {
		return nil, nil, err
	}
	if !ok {
		return nil, nil, attestation.Unknown("account %s: it does not hold at block %d", addr, h.Seqno)
	}
	if err := s.back(ctx); err != nil {
		return nil, nil, err
	}
	if err := s.halve(ctx); err != nil {
		return nil, nil, err
	}
	return s.before, s.first, nil
}

// firstState looks for the state in which something begins to hold: not in before,
// in first.
type firstState struct {
	c     *Client
	addr  attestation.Address
	head  *proved
	since uint32
	holds func(*Account) (bool, error)

	before, first *Account
}

// at reads the state after a block.
func (s *firstState) at(ctx context.Context, seqno uint32) (*Account, bool, error) {
	p, err := s.c.before(ctx, s.head, seqno)
	if err != nil {
		return nil, false, err
	}
	a, err := s.c.accountAt(ctx, p, s.addr)
	if err != nil {
		return nil, false, err
	}
	ok, err := s.holds(a)
	return a, ok, err
}

// back goes back in growing steps, until it does not hold or nobody has the state any
// more; then in smaller ones: the block may lie between what is known and what is gone.
func (s *firstState) back(ctx context.Context) error {
	floor, step := s.since, uint32(1)
	var gone error
	for s.before == nil {
		seqno := floor
		if s.first.Block.Seqno-floor > step {
			seqno = s.first.Block.Seqno - step
		}
		a, ok, err := s.at(ctx, seqno)
		var unknown *attestation.UnknownError
		switch {
		case errors.As(err, &unknown) && ctx.Err() == nil:
			gone, floor = err, seqno
		case err != nil:
			return err
		case !ok:
			s.before = a
			return nil
		case seqno == s.since:
			return attestation.ChainDisagrees("account %s: it holds at block %d already", s.addr, s.since)
		default:
			s.first = a
		}
		if gone == nil {
			step = min(2*step, 1<<30)
		} else if step = (s.first.Block.Seqno - floor) / 2; step == 0 {
			return gone
		}
	}
	return nil
}

// halve narrows it down to two blocks, one after the other.
func (s *firstState) halve(ctx context.Context) error {
	for {
		from, to := s.before.Block.Seqno, s.first.Block.Seqno
		if to-from <= 1 {
			return nil
		}
		a, ok, err := s.at(ctx, from+(to-from)/2)
		if err != nil {
			return err
		}
		if ok {
			s.first = a
		} else {
			s.before = a
		}
	}
}
