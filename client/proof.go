package client

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/receipt"
	"github.com/cocoon-go/cocoon/attestation/translog"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/registry"
)

// ErrNotAnchored says that the chain does not cover a receipt yet. It is
// wrapped in an UnknownError: later it may, and an anchor that never comes is a
// fault that the contract punishes.
var ErrNotAnchored = errors.New("no anchor on the chain covers this receipt yet")

// Prove collects everything that shows a stranger, offline and in years, that
// a receipt is genuine, logged and anchored. Nothing of it is verified but the
// inclusion: that is VerifyProof's work, for whoever receives it.
func (c *Client) Prove(ctx context.Context, src Source, r *receipt.Receipt) (*receipt.Proof, error) {
	acc, err := c.chain.Account(ctx, r.Head.Node)
	if err != nil {
		return nil, err
	}
	rec, err := registry.NodeOf(acc)
	if err != nil {
		return nil, err
	}
	if rec.Anchor.Size <= r.Head.Index {
		return nil, attestation.Unknown("%w: the anchor has %d leaves, the receipt is leaf %d", ErrNotAnchored, rec.Anchor.Size, r.Head.Index)
	}
	cp, err := c.anchorOf(ctx, acc, rec)
	if err != nil {
		return nil, err
	}
	tiles, err := translog.NewTileReader(rec.Anchor.Size, rec.Anchor.Root, func(ctx context.Context, path string) ([]byte, error) {
		data, err := c.fetch(ctx, src.Endpoint, "/log/"+path, 1<<14)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", fs.ErrNotExist, err)
		}
		return data, nil
	})
	if err != nil {
		return nil, err
	}
	hashes, err := tiles.InclusionProof(ctx, r.Head.Index)
	if err != nil {
		return nil, err
	}
	root, err := c.chain.Account(ctx, c.cfg.Registry)
	if err != nil {
		return nil, err
	}
	p := &receipt.Proof{
		Receipt:       r,
		Inclusion:     receipt.Inclusion{Index: r.Head.Index, Size: rec.Anchor.Size, Hashes: hashes},
		Checkpoint:    *cp,
		AccountProof:  acc.Proof,
		Bundle:        src.Bundle,
		RegistryProof: root.Proof,
	}
	for _, f := range src.Endorsements {
		p.Endorsements = append(p.Endorsements, receipt.Endorsement{Name: f.Name, Bytes: f.Data})
	}
	if err := p.VerifyInclusion(); err != nil {
		return nil, err
	}
	return p, nil
}

// anchorOf returns the anchored checkpoint with the signature that brought it
// to the chain, from the account's proved transactions.
func (c *Client) anchorOf(ctx context.Context, acc *chain.Account, rec *registry.Node) (*receipt.Checkpoint, error) {
	txs, err := c.chain.Transactions(ctx, acc, 64)
	if err != nil {
		return nil, err
	}
	for _, tx := range txs {
		if tx.In == nil || tx.In.Msg == nil || tx.Aborted {
			continue
		}
		a, sig, ok := contracts.ParseAnchorMessage(tx.In.Msg.Payload())
		if ok && a.Size == rec.Anchor.Size && a.Root == rec.Anchor.Root {
			return &receipt.Checkpoint{Epoch: a.Epoch, Size: a.Size, Root: a.Root, Signature: sig}, nil
		}
	}
	return nil, attestation.Unknown("the transaction that anchored %d leaves is not among the last %d of the node", rec.Anchor.Size, len(txs))
}

// AnchorTx returns the hash of the transaction that anchored the size, for
// people who look at an explorer.
func (c *Client) AnchorTx(ctx context.Context, node attestation.Address, size uint64) (hash [32]byte, err error) {
	acc, err := c.chain.Account(ctx, node)
	if err != nil {
		return hash, err
	}
	txs, err := c.chain.Transactions(ctx, acc, 64)
	if err != nil {
		return hash, err
	}
	for _, tx := range txs {
		if tx.In == nil || tx.In.Msg == nil {
			continue
		}
		if a, _, ok := contracts.ParseAnchorMessage(tx.In.Msg.Payload()); ok && a.Size == size && !tx.Aborted {
			return tx.Hash, nil
		}
	}
	return hash, attestation.Unknown("no transaction among the last %d of the node anchored %d leaves", len(txs), size)
}

// WaitAnchored waits until the chain covers the receipt, looking every poll.
func (c *Client) WaitAnchored(ctx context.Context, r *receipt.Receipt, poll time.Duration) (*registry.Node, error) {
	for {
		rec, err := c.chain.Node(ctx, r.Head.Node)
		if err == nil && rec.Anchor.Size > r.Head.Index {
			return rec, nil
		}
		select {
		case <-ctx.Done():
			if err == nil {
				err = fmt.Errorf("%w: %w", ErrNotAnchored, ctx.Err())
			}
			return nil, attestation.Unknown("waiting for the anchor: %w", err)
		case <-time.After(poll):
		}
	}
}

// Expect is what somebody who checks a proof brings along. All fields are
// required. Nothing of it may come from the proof.
type Expect struct {
	Policy   *attestation.Policy
	Registry attestation.Address
	Trusted  []chain.BlockID // masterchain blocks that the verifier trusts
}

// Checked is what a proof showed.
type Checked struct {
	Node       *registry.Node
	Epoch      registry.Epoch
	Claims     *attestation.Claims
	Verdict    *attestation.Verdict
	AnchoredAt time.Time   // the time the evidence was appraised at
	Block      chain.Block // whose state shows the anchor
	Simulated  bool
}

// VerifyProof checks a proof from bytes alone: it opens no socket and reads no
// clock. The order is receipt, log, chain, registration, evidence: answer to
// hardware root. The evidence is appraised at the time of the anchor, with the
// registry's lists as the proof shows them.
func VerifyProof(p *receipt.Proof, want Expect) (*Checked, error) {
	if want.Policy == nil || want.Registry.IsZero() || len(want.Trusted) == 0 {
		return nil, attestation.BadInput("verifying a proof needs a policy, a registry and a trusted block")
	}
	if len(p.AccountProof) == 0 || len(p.RegistryProof) == 0 {
		return nil, attestation.Unknown("%w: the proof was exported before the receipt was anchored; export it again", ErrNotAnchored)
	}
	h := &p.Receipt.Head
	acc, err := chain.VerifyAccountProof(p.AccountProof, h.Node, want.Trusted...)
	if err != nil {
		return nil, fmt.Errorf("chain: node: %w", err)
	}
	node, err := registry.NodeOf(acc)
	if err != nil {
		return nil, fmt.Errorf("chain: %w", err)
	}
	if node.Root != want.Registry {
		return nil, attestation.ChainDisagrees("node %v belongs to registry %v, not to %v", node.Address, node.Root, want.Registry)
	}
	epoch, ok := node.Epoch(h.Epoch)
	if !ok {
		return nil, attestation.ChainDisagrees("epoch %d of node %v is not on the chain", h.Epoch, h.Node)
	}
	if err := p.Receipt.Verify(epoch.ReceiptKey); err != nil {
		return nil, fmt.Errorf("receipt: %w", err)
	}
	if p.Receipt.Body.ClaimsDigest != epoch.ClaimsDigest {
		return nil, attestation.ChainDisagrees("the receipt names other claims than epoch %d registered", h.Epoch)
	}
	if err := verifyLogged(p, node, acc.ChainID()); err != nil {
		return nil, err
	}
	if err := p.VerifyOpening(); err != nil {
		return nil, fmt.Errorf("opening: %w", err)
	}
	c := &Checked{Node: node, Epoch: epoch, AnchoredAt: node.Anchor.Time, Block: acc.Block}
	if err := c.appraise(p, want, acc.ChainID()); err != nil {
		return nil, err
	}
	return c, nil
}

// verifyLogged walks from the receipt to the anchor that the chain shows.
func verifyLogged(p *receipt.Proof, node *registry.Node, chainID int32) error {
	cp := p.Checkpoint
	if cp.Size != node.Anchor.Size || cp.Root != node.Anchor.Root {
		return attestation.ChainDisagrees("the checkpoint of the proof is not the one on the chain")
	}
	if node.Anchor.Size <= p.Receipt.Head.Index {
		return attestation.ChainDisagrees("the chain's head has %d leaves, the receipt claims to be leaf %d", node.Anchor.Size, p.Receipt.Head.Index)
	}
	signer, ok := node.Epoch(cp.Epoch)
	if !ok {
		return attestation.ChainDisagrees("epoch %d, whose key signed the checkpoint, is not on the chain", cp.Epoch)
	}
	log := p.Log(chainID)
	if err := log.VerifyAnchor(signer.LogKey, cp.Signature); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	if err := p.VerifyInclusion(); err != nil {
		return fmt.Errorf("inclusion: %w", err)
	}
	return nil
}

// appraise judges the evidence behind the receipt at the time of the anchor.
func (c *Checked) appraise(p *receipt.Proof, want Expect, chainID int32) error {
	racc, err := chain.VerifyAccountProof(p.RegistryProof, want.Registry, want.Trusted...)
	if err != nil {
		return fmt.Errorf("chain: registry: %w", err)
	}
	root, err := registry.RootOf(racc)
	if err != nil {
		return fmt.Errorf("chain: %w", err)
	}
	bundle, err := attestation.ParseBundle(p.Bundle)
	if err != nil {
		return err
	}
	if bundle.Digest() != c.Epoch.ClaimsDigest {
		return attestation.ChainDisagrees("the bundle of the proof is not the one that epoch %d registered", c.Epoch.Number)
	}
	files := make([]EndorsementFile, len(p.Endorsements))
	for i, e := range p.Endorsements {
		files[i] = EndorsementFile{e.Name, e.Bytes}
	}
	set, err := Endorsements(files)
	if err != nil {
		return err
	}
	v, err := attestation.NewVerifier(want.Policy)
	if err != nil {
		return err
	}
	// The contract accepted the claims' block as recent when it registered them:
	// a registration is at most that much younger than the block.
	verified, err := v.Verify(attestation.Input{
		Bundle: bundle, Endorsements: set, At: c.AnchoredAt,
		Registered: &attestation.Registered{
			Registry: want.Registry, ChainID: chainID, Node: c.Node.Address, Epoch: c.Epoch.Number,
			ClaimsDigest: c.Epoch.ClaimsDigest, BlockTime: c.Epoch.RegisteredAt, RegisteredAt: c.Epoch.RegisteredAt,
			Measurements: root.Measurements, Models: root.Models,
		},
	})
	if err != nil {
		return err
	}
	c.Claims, c.Verdict, c.Simulated = verified.Claims(), verified.Verdict(), verified.Simulated()
	b := &p.Receipt.Body
	if b.CompletionTokens > 0 {
		for _, m := range verified.Models() {
			if m.Digest == b.ModelDigest {
				return nil
			}
		}
		return attestation.Refused("the model of the receipt is none that the policy accepts")
	}
	return nil
}
