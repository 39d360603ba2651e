package chain

import (
	"context"
	"errors"

	"github.com/cocoon-go/cocoon/attestation"
)

// maxCompared is how many other servers are asked for a second opinion.
const maxCompared = 3

func forked(s1, s2 string, b1, b2 BlockID) error {
	return &attestation.ChainError{Err: &ForkError{Servers: [2]string{s1, s2}, Blocks: [2]BlockID{b1, b2}}}
}

// compareDue says whether it is time to ask others, and takes the turn.
func (c *Client) compareDue() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if !c.crossCheck.IsZero() && now.Sub(c.crossCheck) < crossCheckEvery {
		return false
	}
	c.crossCheck = now
	return true
}

// compare asks other servers for their heads now and then, and demands that one of
// two heads is an ancestor of the other. It returns the newest one. A server that
// does not answer in time does not matter.
func (c *Client) compare(ctx context.Context, p *proved) (*proved, error) {
	if !c.compareDue() || len(c.servers) < 2 {
		return p, nil
	}
	ctx, cancel := patience(ctx, min(crossCheckWait, c.timeout))
	defer cancel()
	type answer struct {
		p   *proved
		s   *server
		err error
	}
	answers := make(chan answer, maxCompared)
	n := 0
	for _, s := range c.servers {
		if s.String() == p.server || n == maxCompared {
			continue
		}
		n++
		go func() {
			q, err := c.sameChain(ctx, s, p)
			answers <- answer{q, s, err}
		}()
	}
	for range n {
		a := <-answers
		var lie *LyingServerError
		var fork *attestation.ChainError
		switch {
		case errors.As(a.err, &fork):
			return nil, a.err
		case errors.As(a.err, &lie):
			a.s.lies.Add(1)
		case a.err == nil && a.p.Seqno > p.Seqno:
			p = a.p
		}
	}
	return p, c.fresh(p.Block)
}

// sameChain proves the head of s and that p is on its chain, or the other way
// round.
func (c *Client) sameChain(ctx context.Context, s *server, p *proved) (*proved, error) {
	id, err := s.head(ctx)
	if err != nil {
		return nil, err
	}
	if id.Seqno < c.KeyBlock().Seqno {
		return p, nil // far behind: it can't disagree about what it does not know
	}
	q, err := c.prove(ctx, s, id)
	if err != nil {
		return nil, err
	}
	if q.Seqno > p.Seqno {
		return q, c.descends(ctx, s, q, p, p.server)
	}
	if q.Seqno < p.Seqno {
		for _, t := range c.servers {
			if t.String() == p.server {
				return q, c.descends(ctx, t, p, q, s.String())
			}
		}
	}
	return q, nil
}

// descends demands that the older of two blocks, which other has shown, is on the
// chain of the newer, which s knows.
func (c *Client) descends(ctx context.Context, s *server, newer, older *proved, other string) error {
	old, err := c.ancestor(ctx, s, newer, older.Seqno)
	if err != nil {
		return err
	}
	if old.ID() != older.ID() {
		return forked(s.String(), other, old.ID(), older.ID())
	}
	return nil
}
