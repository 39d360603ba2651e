package client

import (
	"context"
	"errors"
	"fmt"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/receipt"
	"github.com/cocoon-go/cocoon/attestation/translog"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/registry"
)

// ErrUnread is wrapped by the error of a challenge of which it is not known whether
// it would be won, because the node's log can't be read.
var ErrUnread = errors.New("the log can't be read, so it is not known whether a challenge would be won")

// ChallengeReceipt makes the challenge of a receipt that is not in its node's log
// although the merge delay is over (docs/spec/contracts-node.md, section 9). Bond
// and reward go to payout. The log is read first, from the node's relay, or from
// relay where the chain names none: where it holds the receipt the challenge would
// be lost, and is an [attestation.RefusedError]. Where it can't be read the error
// wraps [ErrUnread], unless unread says that it need not be. What the contract would
// refuse wraps [ForeseenError].
func (c *Client) ChallengeReceipt(ctx context.Context, f *receipt.File, payout attestation.Address, relay string, unread bool) (*Fault, error) {
	rec, err := c.accused(ctx, f.Receipt.Head.Node)
	if err != nil {
		return nil, err
	}
	id, err := c.chain.ChainID(ctx)
	if err != nil {
		return nil, err
	}
	m := contracts.ChallengeReceipt{ChainID: id, Payout: payout, Head: f.Receipt.Head, SignReceipt: f.Receipt.Signature}
	m.Sign(f.HolderKey())
	out, err := challengeReceipt(rec, f.Receipt, &m)
	if err != nil {
		return nil, err
	}
	if u := c.endpoint(rec); u != "" {
		relay = u
	}
	if err := winnable(c.Covered(ctx, relay, rec, f.Receipt), unread, "the log holds the receipt, and the chain covers it"); err != nil {
		return nil, err
	}
	return out, nil
}

// challengeReceipt looks for what the contract would refuse.
func challengeReceipt(rec *registry.Node, r *receipt.Receipt, m *contracts.ChallengeReceipt) (*Fault, error) {
	p, err := rules(rec)
	if err != nil {
		return nil, err
	}
	e, err := keptEpoch(rec, r.Head.Epoch)
	if err != nil {
		return nil, err
	}
	if err := r.Verify(e.ReceiptKey); err != nil {
		return nil, err
	}
	now, made := rec.At.Time.Unix(), int64(r.Head.Time)
	if from := made + int64(p.MergeDelay); now < from {
		return nil, foreseen(contracts.CodeTooEarly, "the node may anchor the receipt until %s; try again then", moment(from))
	}
	if end := made + int64(p.Unbonding) - int64(p.AnswerWindow); now > end {
		return nil, foreseen(contracts.CodeTooLate, "a challenge of this receipt had to come before %s", moment(end))
	}
	if _, err := m.Body(); err != nil { // the holder's part
		return nil, err
	}
	f, err := opened(rec, m.ID(), p, p.ReceiptLoss)
	if err != nil {
		return nil, err
	}
	f.Message = func(q uint64) Message { m := *m; m.QueryID = q; return &m }
	return f, nil
}

// errTiles is wrapped by errors of reading a log, also where what a relay sends is
// false: that says nothing of what the node could show. A challenge asks the node,
// and a relay that lies would make others pay for answers.
var errTiles = errors.New("reading the log")

// winnable says by what the log shows whether the node could answer.
func winnable(shown error, unread bool, lost string) error {
	var false_ *attestation.FalseError
	switch {
	case shown == nil:
		return attestation.Refused("%s: a challenge would be lost", lost)
	case errors.Is(shown, ErrNotAnchored), unread:
		return nil
	case errors.As(shown, &false_) && !errors.Is(shown, errTiles):
		return nil // the log itself shows it
	}
	return fmt.Errorf("%w: %w", ErrUnread, shown)
}

// ChallengeLog makes the challenge of a log of which two heads seem to contradict
// each other. Without a second one the head is compared with the node's newest
// anchor. Two heads of one size and epoch need no challenge: see
// [Client.ReportHeads]. Who sends it, and is paid, is the sender: a single head for
// which he has a challenge open is refused. The log is read first, and errors are, as
// [Client.ChallengeReceipt] says.
func (c *Client) ChallengeLog(ctx context.Context, a, b *LogHead, sender attestation.Address, unread bool) (*Fault, error) {
	if b != nil {
		if err := mayDiffer(a, b); err != nil {
			return nil, err
		}
	}
	rec, err := c.accused(ctx, a.Node)
	if err != nil {
		return nil, err
	}
	id, err := c.chain.ChainID(ctx)
	if err != nil {
		return nil, err
	}
	if b == nil {
		if _, open, ok := OpenLogChallenge(rec, a, nil, sender); ok {
			return nil, openAlready(open)
		}
		if b, err = c.newestAnchor(ctx, rec, a); err != nil {
			return nil, err
		}
	}
	out, err := challengeLog(rec, id, a, b)
	if err != nil {
		return nil, err
	}
	if err := winnable(c.continues(ctx, rec, a, b), unread, "the log that the relay serves has both heads"); err != nil {
		return nil, err
	}
	return out, nil
}

// newestAnchor returns the anchor of a record with its signature, so that it is the
// same when the challenge arrives.
func (c *Client) newestAnchor(ctx context.Context, rec *registry.Node, a *LogHead) (*LogHead, error) {
	if rec.Anchor.Size == 0 {
		return nil, foreseen(contracts.CodeNotAFault, "the node has no anchor yet: bring a second head")
	}
	b, err := c.anchored(ctx, rec.Address, func(on contracts.Anchor) bool { return on.Size == rec.Anchor.Size && on.Root == rec.Anchor.Root })
	if err != nil {
		return nil, err
	}
	if b == nil {
		return nil, attestation.Unknown("none of the node's last transactions shows the signature of its newest anchor, of %d receipts", rec.Anchor.Size)
	}
	if err := mayDiffer(a, b); err != nil {
		return nil, err
	}
	return b, nil
}

// mayDiffer says what need not be challenged.
func mayDiffer(a, b *LogHead) error {
	switch {
	case a.Node != b.Node:
		return attestation.BadInput("these are heads of two nodes, %v and %v: they prove nothing", a.Node, b.Node)
	case a.Size == 0 || b.Size == 0:
		return attestation.BadInput("a head of 0 receipts: the empty log starts every log")
	case a.Size == b.Size && a.Root == b.Root:
		return attestation.BadInput("these are heads of one log: they prove nothing")
	case a.Size == b.Size && a.Epoch == b.Epoch:
		return attestation.BadInput("two heads of one size, %d, are a proof already: `cocoon report` takes them to the chain, without a bond", a.Size)
	}
	return nil
}

// challengeLog looks for what the contract would refuse.
func challengeLog(rec *registry.Node, chainID int32, a, b *LogHead) (*Fault, error) {
	p, err := rules(rec)
	if err != nil {
		return nil, err
	}
	for _, h := range []*LogHead{a, b} {
		if err := challengeableHead(rec, chainID, p, h); err != nil {
			return nil, err
		}
	}
	m := contracts.ChallengeLog{Head: a.SignedHead, Other: &b.SignedHead}
	f, err := opened(rec, m.ID(rec.State.Anchor), p, p.ForkLoss)
	if err != nil {
		return nil, err
	}
	f.Message = func(q uint64) Message { m := m; m.QueryID = q; return &m }
	return f, nil
}

// challengeableHead checks signature and window of a head.
func challengeableHead(rec *registry.Node, chainID int32, p contracts.Params, h *LogHead) error {
	e, err := keptEpoch(rec, h.Epoch)
	if err != nil {
		return err
	}
	if err := h.verify(chainID, e); err != nil {
		return err
	}
	ended := rec.State.Expires
	if h.Epoch != rec.Current {
		ended = rec.State.Past[h.Epoch].ClosedAt
	}
	if end := int64(ended) + int64(p.Unbonding) - int64(p.AnswerWindow); rec.At.Time.Unix() > end {
		return foreseen(contracts.CodeTooLate, "a challenge of a head of epoch %d had to come before %s", h.Epoch, moment(end))
	}
	return nil
}

// continues checks that the log which the node's relay serves has both heads.
func (c *Client) continues(ctx context.Context, rec *registry.Node, a, b *LogHead) error {
	older, newer := a, b
	if older.Size > newer.Size {
		older, newer = newer, older
	}
	if older.Size == newer.Size {
		return attestation.False("two roots of one size")
	}
	tiles, err := c.tiles(c.endpoint(rec), newer.Size, newer.Root)
	if err != nil {
		return err
	}
	_, proof, err := tiles.ConsistencyProof(ctx, older.Size)
	if err != nil {
		return fmt.Errorf("%w: %w", errTiles, err)
	}
	return translog.VerifyConsistency(older.Size, older.Root, newer.Size, newer.Root, proof)
}

// OpenLogChallenge finds the open challenge of two heads, or that of a sender of one
// and whatever it was compared with.
func OpenLogChallenge(rec *registry.Node, a, b *LogHead, sender attestation.Address) (id [32]byte, c contracts.Challenge, ok bool) {
	if b != nil {
		id = (&contracts.ChallengeLog{Head: a.SignedHead, Other: &b.SignedHead}).ID(contracts.Anchor{})
		c, ok = rec.State.Book.Challenges[id]
		return id, c, ok
	}
	for id, c := range rec.State.Book.Challenges {
		if c.Log && c.Payout == sender && (c.Number == a.Size && c.Hash == a.Root || c.Size == a.Size && c.Root == a.Root) {
			return id, c, true
		}
	}
	return id, c, false
}
