package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/xssnick/tonutils-go/tlb"
	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/registry"
)

// registerTimeout is how long a registration may take before it is an error.
const registerTimeout = 3 * time.Minute

// deploy creates the node's contract.
func (n *node) deploy(ctx context.Context, body *cell.Cell) error {
	_, init, err := contracts.NodeAddress(n.Registry, n.writer.Address(), n.Index)
	if err != nil {
		return err
	}
	var si tlb.StateInit
	if err := tlb.LoadFromCell(&si, init.MustBeginParse()); err != nil {
		return fmt.Errorf("initial state of the node: %w", err)
	}
	// The first message brings the money that the contract keeps; the second
	// one's rest comes back.
	_, err = n.writer.Send(ctx, "deploy-"+n.addr.String(),
		chain.Message{To: n.addr, Amount: nano(balance), StateInit: &si},
		chain.Message{To: n.addr, Amount: nano(contracts.ValueSmall), Body: body})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, registerTimeout)
	defer cancel()
	_, err = n.awaitNode(ctx, func(r *registry.Node) bool { return r.Endpoint == n.Public })
	return err
}

// register puts the enclave's bundle on the chain as the node's next epoch, and
// returns the record once it is active.
func (n *node) register(ctx context.Context, proc *process) (*registry.Node, error) {
	ctx, cancel := context.WithTimeout(ctx, registerTimeout)
	defer cancel()
	bundle, err := proc.bundle(ctx)
	if err != nil {
		return nil, err
	}
	op := n.operator()
	if err := op.seekSlot(ctx, bundle, n.Log); err != nil {
		return nil, err
	}
	if bundle, err = proc.bundle(ctx); err != nil { // again: it names a block, and that took time
		return nil, err
	}
	claims, err := bundle.Claims()
	if err != nil {
		return nil, err
	}
	digest := bundle.Digest()
	query := NewQueryID()
	body, err := registration(bundle, &claims.Heads, query)
	if err != nil {
		return nil, err
	}
	n.Log.Info("registering", "epoch", claims.Epoch, "claims", fmt.Sprintf("%x", digest[:8]))
	id := fmt.Sprintf("register-%x", digest)
	sent, err := n.writer.Send(ctx, id, chain.Message{To: n.addr, Amount: nano(contracts.ValueRegister), Body: body})
	if err != nil {
		return nil, err
	}
	var refused *attestation.RefusedError
	if err := op.awaitDone(ctx, query, sent.LT, n.addr); errors.As(err, &refused) {
		return nil, err
	} // any other failure says nothing: the record does
	return n.awaitNode(ctx, func(r *registry.Node) bool {
		e, ok := r.Epoch(claims.Epoch)
		return ok && r.Current == claims.Epoch && e.Active && e.ClaimsDigest == digest
	})
}

// operator speaks for the node to contracts, with the node's wallet and journal.
func (n *node) operator() *Operator {
	return &Operator{Client: n.client, Registry: n.Registry, Node: n.addr, index: n.Index, writer: n.writer, reader: n.reg}
}

// bundle returns the enclave's newest.
func (p *process) bundle(ctx context.Context) (*attestation.Bundle, error) {
	data, err := p.get(ctx, "/.well-known/cocoon/bundle", attestation.MaxBundleSize)
	if err != nil {
		return nil, err
	}
	return attestation.ParseBundle(data)
}

// registration builds the message for the kind of evidence in the bundle.
func registration(b *attestation.Bundle, heads *attestation.Heads, query uint64) (*cell.Cell, error) {
	data, err := tdxQuote(b)
	if err != nil {
		return nil, err
	}
	quote, ca, err := contracts.QuoteCells(data)
	if err != nil {
		return nil, err
	}
	m := &contracts.RegisterTDX{
		QueryID: query, Heads: heads,
		CA: contracts.PublicKey{X: [32]byte(ca[:32]), Y: [32]byte(ca[32:])}, Quote: quote,
	}
	return m.Body()
}

// anchor puts the log's head on the chain whenever it grew, until ctx ends.
func (n *node) anchor(ctx context.Context, proc *process) error {
	tick := time.NewTicker(n.AnchorEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := n.anchorOnce(ctx, proc); err != nil && ctx.Err() == nil {
			n.Log.Warn("anchoring failed; it is tried again", "err", err)
		}
	}
}

// ParseAnchor reads what an enclave answers at /log/anchor. Nothing of it is
// verified: the contract does.
func ParseAnchor(data []byte) (*contracts.SignedHead, error) {
	var v struct {
		Epoch     uint32 `json:"epoch"`
		Size      uint64 `json:"size"`
		Root      []byte `json:"root"`
		Signature []byte `json:"signature"`
	}
	if err := json.Unmarshal(data, &v); err != nil {
		return nil, attestation.BadInput("the enclave's anchor can't be read: %w", err)
	}
	if len(v.Root) != 32 || len(v.Signature) != 64 {
		return nil, attestation.BadInput("the enclave's anchor has a root of %d and a signature of %d bytes", len(v.Root), len(v.Signature))
	}
	return &contracts.SignedHead{
		Anchor: contracts.Anchor{Epoch: v.Epoch, Size: v.Size, Root: [32]byte(v.Root)}, Signature: [64]byte(v.Signature),
	}, nil
}

func (n *node) anchorOnce(ctx context.Context, proc *process) error {
	ctx, cancel := context.WithTimeout(ctx, max(time.Minute, n.AnchorEvery))
	defer cancel()
	data, err := proc.get(ctx, "/log/anchor", 1<<12)
	if err != nil {
		return err
	}
	v, err := ParseAnchor(data)
	if err != nil {
		return err
	}
	rec, err := n.reg.Node(ctx, n.addr)
	if err != nil {
		return err
	}
	if v.Size <= rec.Anchor.Size {
		return nil // nothing new
	}
	m := &contracts.AnchorExternal{Anchor: v.Anchor, Signature: v.Signature}
	if wait := time.Until(rec.Anchor.Time.Add(rec.AnchorInterval)); wait > 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
	_, err = n.client.SendExternal(ctx, n.addr, nil, m.Body(), func(a *chain.Account) bool {
		r, err := registry.NodeOf(a)
		return err == nil && r.Anchor.Size >= v.Size
	})
	if err == nil {
		n.Log.Info("anchored", "size", v.Size)
	}
	return err
}
