package chain

import (
	"context"
	"errors"

	"github.com/cocoon-go/cocoon/attestation"
)

// proved is a masterchain block with its proof from the trusted block.
type proved struct {
	Block
	path   path
	server string
}

func (p *proved) reached() reached { return reached{p.ID(), p.path} }

// prove shows that a block not before the base is on the chain, and remembers it.
func (c *Client) prove(ctx context.Context, s *server, id BlockID) (*proved, error) {
	c.mu.Lock()
	base, known := c.base, c.recent[id.Seqno]
	c.mu.Unlock()
	if known != nil && known.ID() == id {
		return known, nil
	}
	if id == base.at {
		h, err := s.header(ctx, id)
		if err != nil {
			return nil, err
		}
		return c.remember(&proved{h.of(id), base.path, s.String()}, base)
	}
	p, key, err := s.walk(ctx, base, id)
	if err != nil {
		return nil, err
	}
	return c.remember(p, key)
}

// walk goes from a block that is proved to a newer one. It also returns the last
// key block on the way, or the start.
func (s *server) walk(ctx context.Context, from reached, id BlockID) (p *proved, key reached, err error) {
	const what = "the masterchain"
	w, to := way{at: from.at}, from
	key = from
	var h blockHeader
	for n := 0; w.at != id; {
		before := w.at
		steps, err := s.links(ctx, w.at, id)
		if err != nil {
			return nil, key, err
		}
		if n += len(steps); n > maxLinks {
			return nil, key, attestation.Unknown("block %d is more than %d links from the trusted block: renew it", id.Seqno, maxLinks)
		}
		var k *reached
		if h, k, err = to.follow(&w, steps); err != nil {
			return nil, key, s.lie(what, err)
		}
		if k != nil {
			key = *k
		}
		if w.at == before || w.at.Seqno > id.Seqno {
			return nil, key, s.lie(what, errors.New("the proof does not lead to the block"))
		}
	}
	return &proved{h.of(id), to.path, s.String()}, key, nil
}

// remember keeps a proved block, and the key block on its way as new base.
func (c *Client) remember(p *proved, base reached) (*proved, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old := c.recent[p.Seqno]; old != nil && old.ID() != p.ID() {
		return nil, forked(old.server, p.server, old.ID(), p.ID())
	}
	if c.recent[p.Seqno] == nil {
		c.order = append(c.order, p.Seqno)
		if len(c.order) > maxRecent {
			delete(c.recent, c.order[0])
			c.order = c.order[1:]
		}
	}
	c.recent[p.Seqno] = p
	// A trusted block that is no key block gives way to the key block before it.
	if base.at.Seqno > c.base.at.Seqno || c.base.at == c.cfg.trusted {
		c.base = base
	}
	if c.newest == nil || p.Seqno > c.newest.Seqno {
		c.newest = p
	}
	return p, nil
}

// ancestor proves the block with a number that lies before p, with a backward
// link from p.
func (c *Client) ancestor(ctx context.Context, s *server, p *proved, seqno uint32) (*proved, error) {
	const what = "an old block"
	id, err := s.lookup(ctx, seqno)
	if err != nil {
		return nil, err
	}
	steps, err := s.links(ctx, p.ID(), id)
	if err != nil {
		return nil, err
	}
	w, to := way{at: p.ID()}, p.reached()
	h, _, err := to.follow(&w, steps)
	if err != nil {
		return nil, s.lie(what, err)
	}
	if w.at != id {
		return nil, s.lie(what, errors.New("the proof does not lead to the block"))
	}
	return &proved{h.of(id), to.path, s.String()}, nil
}
