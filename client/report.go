package client

import (
	"context"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/receipt"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/registry"
)

// ReportReceipts makes the report of two receipts with one index
// (docs/spec/contracts-node.md, section 8). Two that may both be right are an
// [attestation.InputError], a signature that does not hold is an
// [attestation.FalseError], and what the contract would refuse wraps [ForeseenError].
func (c *Client) ReportReceipts(ctx context.Context, a, b *receipt.Receipt) (*Fault, error) {
	if err := OneIndex(&a.Head, &b.Head); err != nil {
		return nil, err
	}
	rec, err := c.accused(ctx, a.Head.Node)
	if err != nil {
		return nil, err
	}
	return reportReceipts(rec, a, b)
}

// OneIndex says why two receipts are no fault, whoever signed them: nil says that
// one key may not have signed both.
func OneIndex(a, b *receipt.Head) error {
	switch {
	case *a == *b:
		return attestation.BadInput("these are one receipt: they prove nothing")
	case a.Node != b.Node:
		return attestation.BadInput("these are receipts of two nodes, %v and %v: they prove nothing", a.Node, b.Node)
	case a.Epoch != b.Epoch || a.Index != b.Index:
		return attestation.BadInput("these receipts have index %d of epoch %d and index %d of epoch %d: both may be right", a.Index, a.Epoch, b.Index, b.Epoch)
	}
	return nil
}

func reportReceipts(rec *registry.Node, a, b *receipt.Receipt) (*Fault, error) {
	p, err := rules(rec)
	if err != nil {
		return nil, err
	}
	e, err := keptEpoch(rec, a.Head.Epoch)
	if err != nil {
		return nil, err
	}
	for _, r := range []*receipt.Receipt{a, b} {
		if err := r.Verify(e.ReceiptKey); err != nil {
			return nil, err
		}
	}
	m := contracts.ReportReceipts{
		A: [receipt.HeadSize]byte(a.Head.AppendTo(nil)), B: [receipt.HeadSize]byte(b.Head.AppendTo(nil)), SignA: a.Signature, SignB: b.Signature,
	}
	f, err := reported(rec, m.ID(), p.ReceiptLoss)
	if err != nil {
		return nil, err
	}
	f.Message = func(q uint64) Message { m := m; m.QueryID = q; return &m }
	return f, nil
}

// ReportHeads makes the report of two heads of one size. Without a second one, the
// chain is asked for the anchor of that size. Errors are those of
// [Client.ReportReceipts].
func (c *Client) ReportHeads(ctx context.Context, a, b *LogHead) (*Fault, error) {
	if b != nil {
		if err := OneSize(a, b); err != nil {
			return nil, err
		}
	}
	rec, err := c.accused(ctx, a.Node)
	if err != nil {
		return nil, err
	}
	if b == nil {
		if b, err = c.anchorLike(ctx, a); err != nil {
			return nil, err
		}
	}
	id, err := c.chain.ChainID(ctx)
	if err != nil {
		return nil, err
	}
	return reportHeads(rec, id, a, b)
}

// anchorLike finds the anchor of the same size that another log must have had.
func (c *Client) anchorLike(ctx context.Context, a *LogHead) (*LogHead, error) {
	b, err := c.anchored(ctx, a.Node, func(on contracts.Anchor) bool { return on.Size == a.Size && on.Epoch == a.Epoch })
	switch {
	case err != nil:
		return nil, err
	case b == nil:
		return nil, attestation.BadInput("none of the node's last transactions anchored %d receipts in epoch %d, to compare the head with: bring a second head of that size, or challenge the log", a.Size, a.Epoch)
	case b.Root == a.Root:
		return nil, attestation.BadInput("the chain has this very head: it proves nothing")
	}
	return b, nil
}

// OneSize says why two heads of a log are no fault, whoever signed them: nil says
// that one key may not have signed both.
func OneSize(a, b *LogHead) error {
	switch {
	case a.Node != b.Node:
		return attestation.BadInput("these are heads of two nodes, %v and %v: they prove nothing", a.Node, b.Node)
	case a.Epoch != b.Epoch || a.Size != b.Size:
		return attestation.BadInput("these heads have %d receipts, signed in epoch %d, and %d receipts, signed in epoch %d: both may be right; a challenge of the log has the node prove it",
			a.Size, a.Epoch, b.Size, b.Epoch)
	case a.Root == b.Root:
		return attestation.BadInput("these are one head: they prove nothing")
	}
	return nil
}

func reportHeads(rec *registry.Node, chainID int32, a, b *LogHead) (*Fault, error) {
	p, err := rules(rec)
	if err != nil {
		return nil, err
	}
	e, err := keptEpoch(rec, a.Epoch)
	if err != nil {
		return nil, err
	}
	for _, h := range []*LogHead{a, b} {
		if err := h.verify(chainID, e); err != nil {
			return nil, err
		}
	}
	m := contracts.ReportHeads{A: a.Anchor, B: b.Anchor, SignA: a.Signature, SignB: b.Signature}
	f, err := reported(rec, m.ID(), p.ForkLoss)
	if err != nil {
		return nil, err
	}
	f.Message = func(q uint64) Message { m := m; m.QueryID = q; return &m }
	return f, nil
}
