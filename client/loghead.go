package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/receipt"
	"github.com/cocoon-go/cocoon/attestation/translog"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/registry"
)

// LogHead is a head of a node's log, signed for the contract: whoever has two that
// contradict each other can prove it to the chain.
type LogHead struct {
	Node attestation.Address
	contracts.SignedHead
}

// MaxLogHead bounds the file of a head, in bytes.
const MaxLogHead = 4 << 10

// wireHead is a head in JSON: what a relay serves, with the node.
type wireHead struct {
	Node      *attestation.Address `json:"node,omitempty"`
	Epoch     uint32               `json:"epoch"`
	Size      uint64               `json:"size"`
	Root      []byte               `json:"root"`
	Signature []byte               `json:"signature"`
}

// Encode returns the file of a head (docs/spec/log.md, section 4).
func (h *LogHead) Encode() ([]byte, error) {
	b, err := json.Marshal(wireHead{&h.Node, h.Epoch, h.Size, h.Root[:], h.Signature[:]})
	return append(b, '\n'), err
}

// ParseLogHead reads what [LogHead.Encode] writes. It checks shape only.
func ParseLogHead(data []byte) (*LogHead, error) {
	w, err := parseHead(data)
	if err != nil {
		return nil, err
	}
	if w.Node == nil {
		return nil, attestation.BadInput("log head: it does not say of which node; `cocoon node ADDRESS --save-head FILE` writes one that does")
	}
	return w.of(*w.Node), nil
}

func parseHead(data []byte) (*wireHead, error) {
	if len(data) > MaxLogHead {
		return nil, attestation.BadInput("log head: %d bytes, at most %d", len(data), MaxLogHead)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	w := new(wireHead)
	if err := dec.Decode(w); err != nil {
		return nil, attestation.BadInput("log head: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, attestation.BadInput("log head: something follows its end")
	}
	switch {
	case len(w.Root) != 32 || len(w.Signature) != 64:
		return nil, attestation.BadInput("log head: a root of %d and a signature of %d bytes, want 32 and 64", len(w.Root), len(w.Signature))
	case w.Epoch == 0:
		return nil, attestation.BadInput("log head: epoch 0; epochs count from 1")
	case w.Size > translog.MaxSize:
		return nil, attestation.BadInput("log head: %d leaves, a log has at most %d", w.Size, uint64(translog.MaxSize))
	}
	return w, nil
}

func (w *wireHead) of(node attestation.Address) *LogHead {
	return &LogHead{node, contracts.SignedHead{Anchor: contracts.Anchor{Epoch: w.Epoch, Size: w.Size, Root: [32]byte(w.Root)}, Signature: [64]byte(w.Signature)}}
}

// HeadOf returns the head that a proof holds; nil when the proof was made before
// there was one.
func HeadOf(p *receipt.Proof) *LogHead {
	c := &p.Checkpoint
	if c.Epoch == 0 || c.Size == 0 {
		return nil
	}
	return &LogHead{p.Receipt.Head.Node, contracts.SignedHead{Anchor: contracts.Anchor{Epoch: c.Epoch, Size: c.Size, Root: c.Root}, Signature: c.Signature}}
}

// verify checks that the log key of an epoch signed the head, for this chain.
func (h *LogHead) verify(chainID int32, e registry.Epoch) error {
	c := translog.Checkpoint{ChainID: chainID, Node: h.Node, Epoch: h.Epoch, Size: h.Size, Root: h.Root}
	return c.VerifyAnchor(e.LogKey, h.Signature)
}

// LogHead asks a node's relay for the head that its enclave signs for the contract
// now, and verifies the signature.
func (c *Client) LogHead(ctx context.Context, node attestation.Address) (*LogHead, error) {
	rec, err := c.accused(ctx, node)
	if err != nil {
		return nil, err
	}
	data, err := c.fetch(ctx, c.endpoint(rec), "/log/anchor", MaxLogHead)
	if err != nil {
		return nil, err
	}
	w, err := parseHead(data)
	if err != nil {
		return nil, err
	}
	h := w.of(node)
	e, ok := rec.Epoch(h.Epoch)
	if !ok {
		return nil, attestation.ChainDisagrees("the relay serves a log head of epoch %d, the node's current one is %d", h.Epoch, rec.Current)
	}
	id, err := c.chain.ChainID(ctx)
	if err != nil {
		return nil, err
	}
	if err := h.verify(id, e); err != nil {
		return nil, err
	}
	return h, nil
}

// lookBack are how many transactions of a node are read, one after the other.
var lookBack = []int{64, 512, 4096, 10_000}

// anchored looks in the newest transactions of a node for an anchor that it took,
// with its signature. It returns nil when there is none.
func (c *Client) anchored(ctx context.Context, node attestation.Address, want func(contracts.Anchor) bool) (*LogHead, error) {
	acc, err := c.chain.Account(ctx, node)
	if err != nil {
		return nil, err
	}
	for _, depth := range lookBack {
		txs, err := c.chain.Transactions(ctx, acc, depth)
		if err != nil {
			return nil, err
		}
		for i := range txs {
			if a, sig, ok := anchorIn(&txs[i]); ok && want(a) {
				return &LogHead{node, contracts.SignedHead{Anchor: a, Signature: sig}}, nil
			}
		}
		if len(txs) < depth {
			break
		}
	}
	return nil, nil
}
