package chain

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/xssnick/tonutils-go/tlb"
	"github.com/xssnick/tonutils-go/ton"
	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
)

// sendTo is how many liteservers get an external message each time it is sent.
const sendTo = 3

// sendMessage hands an external message to liteservers, each time to others: one that
// says that it has taken it may have dropped it, and nobody could tell. Success means
// that one says so, not that the message is on the chain.
func (c *Client) sendMessage(ctx context.Context, boc []byte) error {
	turns := c.turns()
	n := min(sendTo, len(turns))
	first := int(c.sends.Add(1)-1) % len(turns) * n
	errs := make(chan error, n)
	for i := range n {
		s := c.servers[turns[(first+i)%len(turns)]]
		go func() { errs <- c.give(ctx, s, boc) }()
	}
	var all []error
	for range n {
		err := <-errs
		if err == nil {
			return nil
		}
		all = append(all, err)
	}
	return unreachable("sending a message", all)
}

// give hands an external message to one server.
func (c *Client) give(ctx context.Context, s *server, boc []byte) error {
	ctx, cancel := patience(ctx, c.timeout)
	defer cancel()
	resp, err := s.query(ctx, ton.SendMessage{Body: boc})
	if err != nil {
		return err
	}
	r, err := answerOf[ton.SendMessageStatus](s, "sending a message", resp)
	if err == nil && r.Status != 1 {
		err = fmt.Errorf("liteserver %s: status %d", s, r.Status)
	}
	return err
}

// SendExternal gives up when liteservers have refused a message this often, and
// this many masterchain blocks later still do.
const (
	maxRefusals   = 3
	refusedBlocks = 2
)

// refusals are those of a message in a row. A liteserver also refuses a message
// that has landed, before the effect can be proved.
type refusals struct {
	n     int
	last  error
	since uint32    // head at the first
	late  time.Time // of the masterchain, that many blocks later
}

func (r *refusals) add(acc *Account, err error) {
	if r.n == 0 {
		r.since = acc.Block.Seqno
	}
	r.n, r.last = r.n+1, err
}

// note takes down how sending ended, and returns what is no refusal.
func (r *refusals) note(acc *Account, err error) error {
	var said *saidError
	if errors.As(err, &said) {
		r.add(acc, said)
		return nil
	}
	*r = refusals{}
	return err
}

// final says whether what was refused can't have landed: the contract's shard,
// which may be behind, has come as far as the masterchain was then.
func (r *refusals) final(acc *Account) bool {
	if r.n < maxRefusals || acc.Block.Seqno < r.since+refusedBlocks {
		return false
	}
	if r.late.IsZero() {
		r.late = acc.Block.Time
	}
	return !acc.ShardTime.Before(r.late)
}

// SendExternal sends an external message to a contract until done is true of
// the contract's proved state, and returns that state. It looks before it sends,
// so an effect that is there already sends nothing, and it sends again while the
// effect is missing: the contract must take the message once (by a counter, a
// size that only grows, ...).
//
// When liteservers keep refusing the message the error is in the family "refused
// by policy" and holds what they say; their word is not proved, but the effect is
// missing.
func (c *Client) SendExternal(ctx context.Context, to attestation.Address, init *tlb.StateInit, body *cell.Cell, done func(*Account) bool) (*Account, error) {
	msg, err := tlb.ToCell(&tlb.ExternalMessage{DstAddr: tonAddress(to), StateInit: init, Body: body})
	if err != nil {
		return nil, attestation.BadInput("external message: %v", err)
	}
	b, err := boc(msg)
	if err != nil {
		return nil, err
	}
	var sent time.Time
	var refused refusals
	var looks Looks
	for {
		acc, err := c.Account(ctx, to)
		if err != nil {
			return nil, err
		}
		if done(acc) {
			return acc, nil
		}
		if refused.final(acc) {
			return nil, attestation.Refused("contract %s does not take the message: %w", to, refused.last)
		}
		if sent.IsZero() || time.Since(sent) >= resendEvery || refused.n > 0 {
			sent = time.Now()
			if err := refused.note(acc, c.sendMessage(ctx, b)); err != nil && ctx.Err() != nil {
				return nil, err
			}
		}
		if err := looks.pause(ctx); err != nil {
			return nil, attestation.Unknown("contract %s: the effect of the message is not there: %w", to, err)
		}
	}
}

// WaitAccount returns the state of an account as soon as done is true of it. It looks
// five times a second until ctx ends, which is "could not find out"; done must not
// block.
func (c *Client) WaitAccount(ctx context.Context, addr attestation.Address, done func(*Account) bool) (*Account, error) {
	var looks Looks
	for {
		acc, err := c.Account(ctx, addr)
		if err != nil {
			return nil, err
		}
		if done(acc) {
			return acc, nil
		}
		if err := looks.pause(ctx); err != nil {
			return nil, attestation.Unknown("account %s: what was waited for is not there: %w", addr, err)
		}
	}
}
