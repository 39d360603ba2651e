package chain

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/xssnick/tonutils-go/tl"

	"github.com/cocoon-go/cocoon/attestation"
)

// turns returns the servers in the order in which they are asked: the one that
// answered well last first, those that lied last.
func (c *Client) turns() []int {
	c.mu.Lock()
	first := c.preferred
	c.mu.Unlock()
	out := make([]int, len(c.servers))
	for i := range out {
		out[i] = (first + i) % len(out)
	}
	slices.SortStableFunc(out, func(a, b int) int { return int(c.servers[a].lies.Load() - c.servers[b].lies.Load()) })
	return out
}

// ask runs f on one server after the other until one gives a good answer. Servers
// that were not reached are tried once more: a connection may just have ended.
// What proved blocks contradict ends it.
func (c *Client) ask(ctx context.Context, what string, f func(context.Context, *server) error) error {
	var errs []error
	todo := c.turns()
	for round := range 2 {
		var again []int
		for _, i := range todo {
			err := c.try(ctx, i, f)
			var disagrees *attestation.ChainError
			switch {
			case err == nil:
				return nil
			case errors.As(err, &disagrees):
				return err
			case errors.Is(err, errConnection) && round == 0:
				again = append(again, i)
				continue
			case ctx.Err() != nil:
				return attestation.Unknown("%s: %w", what, errors.Join(append(errs, err, ctx.Err())...))
			}
			errs = append(errs, err)
		}
		todo = again
	}
	return unreachable(what, errs)
}

// try runs f on a server, and remembers how that went.
func (c *Client) try(ctx context.Context, i int, f func(context.Context, *server) error) error {
	ctx, cancel := patience(ctx, c.timeout)
	defer cancel()
	err := f(ctx, c.servers[i])
	var lie *LyingServerError
	if errors.As(err, &lie) {
		c.servers[i].lies.Add(1)
	}
	if err == nil {
		c.mu.Lock()
		c.preferred = i
		c.mu.Unlock()
	}
	return err
}

// answerOf asserts the type of an answer.
func answerOf[T any](s *server, what string, resp tl.Serializable) (T, error) {
	v, ok := resp.(T)
	if !ok {
		return v, s.lie(what, fmt.Errorf("answer of type %T", resp))
	}
	return v, nil
}
