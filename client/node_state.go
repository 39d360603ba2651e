package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/translog"
	"github.com/cocoon-go/cocoon/chain/registry"
)

// Steps of [Client.CheckNode].
const (
	StepServes  = "bundle"
	StepPolicy  = "evidence-now"
	StepLogHead = "log"
)

func nodeTrail() Trail {
	t := Trail{
		{Name: StepServes, Text: "the relay serves the bundle that the node registered"},
		{Name: StepPolicy, Text: "your policy accepts the node now"},
		{Name: StepLogHead, Text: "the log that the relay serves continues the one that the chain holds"},
	}
	for i := range t {
		t[i].Outcome = NotChecked
	}
	return t
}

// CheckNode compares what a node's relay says now with what the chain holds of the
// node, and judges it under the policy. The error joins all that is wrong: a relay
// that serves another bundle, or a log that contradicts the anchored one, is an
// [attestation.ChainError] or an [attestation.FalseError]; one that can't be asked an
// [attestation.UnknownError]. A node without an active registration has nothing to
// be compared with: its steps are not checked.
func (c *Client) CheckNode(ctx context.Context, addr attestation.Address) (*registry.Node, Trail, error) {
	rec, err := c.chain.Node(ctx, addr)
	if err != nil {
		return nil, nil, err
	}
	for {
		trail, err := c.checkNode(ctx, rec)
		if err == nil {
			return rec, trail, nil
		}
		// A node that booted meanwhile is right about something newer.
		again, rerr := c.chain.Node(ctx, addr)
		if rerr != nil || again.Current == rec.Current {
			return rec, trail, err
		}
		rec = again
	}
}

func (c *Client) checkNode(ctx context.Context, rec *registry.Node) (Trail, error) {
	t := nodeTrail()
	root, err := c.root.get(ctx)
	if err != nil {
		return t, err
	}
	epoch, err := c.current(rec, root)
	if err != nil && !epoch.Active {
		for i := range t {
			t[i].Detail = fmt.Sprintf("the node has no active registration, its status is %q", rec.Status)
		}
		return t, nil
	}
	p, perr := c.fetchPapers(ctx, c.endpoint(rec))
	if perr == nil && p.parsed.Digest() != epoch.ClaimsDigest {
		perr = attestation.ChainDisagrees("the relay serves the bundle %x, the node registered %x", p.parsed.Digest(), epoch.ClaimsDigest)
	}
	now := c.cfg.Now()
	t.Set(StepServes, now, fmt.Sprintf("claims %x", epoch.ClaimsDigest), perr)
	if perr == nil {
		_, perr = c.verifyPapers(ctx, rec, root, c.endpoint(rec), p)
		t.Set(StepPolicy, now, "", perr)
	}
	detail, lerr := c.checkLog(ctx, rec, epoch)
	if lerr == nil {
		var more string
		more, lerr = c.checkHistory(ctx, rec)
		detail += more
	}
	t.Set(StepLogHead, now, detail, lerr)
	return t, errors.Join(perr, lerr)
}

// checkLog compares the log's head that a relay serves with the anchored one.
func (c *Client) checkLog(ctx context.Context, rec *registry.Node, epoch registry.Epoch) (detail string, err error) {
	endpoint := c.endpoint(rec)
	note, err := c.fetch(ctx, endpoint, "/log/checkpoint", 64<<10)
	if err != nil {
		return "", err
	}
	size, root, err := translog.ParseNote(note, rec.Address, epoch.LogKey)
	if err != nil {
		return "", fmt.Errorf("checkpoint of the relay: %w", err)
	}
	if size < rec.Anchor.Size {
		return "", attestation.ChainDisagrees("the relay serves a log of %d receipts, the chain holds one of %d", size, rec.Anchor.Size)
	}
	if rec.Anchor.Size == 0 {
		return fmt.Sprintf("%d receipts, none anchored yet", size), nil
	}
	detail = fmt.Sprintf("%d receipts, %d of them anchored at %s", size, rec.Anchor.Size, rec.Anchor.Time.UTC().Format(time.RFC3339))
	tiles, err := c.tiles(endpoint, size, root)
	if err != nil {
		return "", err
	}
	_, proof, err := tiles.ConsistencyProof(ctx, rec.Anchor.Size)
	if err != nil {
		return "", err
	}
	if err := translog.VerifyConsistency(rec.Anchor.Size, rec.Anchor.Root, size, root, proof); err != nil {
		return "", fmt.Errorf("the relay's log contradicts the anchored one: %w", err)
	}
	return detail, nil
}
