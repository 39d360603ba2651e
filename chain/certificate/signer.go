package certificate

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/registry"
)

// Memory keeps what a verifier has signed, so that it never signs two
// certificates in conflict, which would cost its stake.
type Memory interface {
	// Update calls decide with the certificate that was signed last for an epoch
	// of a node on a chain, nil if there is none, and keeps what it returns. It
	// returns nil only when that can't be lost any more. Two calls for one epoch,
	// in whatever processes of this verifier, happen one after the other. An error
	// of decide is returned as it is, and changes nothing.
	Update(ctx context.Context, about About, decide func(last *contracts.Certificate) (*contracts.Certificate, error)) error
}

// About names an epoch of a node on a chain.
type About struct {
	ChainID int32
	Node    attestation.Address
	Epoch   uint32
}

// Signer is an honest verifier: what it signs never conflicts with what it signed
// before (docs/spec/contracts-verifier.md, section 4). All fields are required.
// It is safe for concurrent use if Chain and Memory are.
type Signer struct {
	Key      ed25519.PrivateKey
	Registry attestation.Address // whose verifier it is
	Chain    chain.Reader        // with proofs
	Memory   Memory
}

// Sign certifies what the verifier's own policy accepted, as the node's operator
// asked. The errors: [*attestation.ChainError], the chain says otherwise than the
// claims; [*attestation.RefusedError], it must not be signed, now or ever;
// [*attestation.FalseError], the request is not the operator's;
// [*attestation.UnknownError], the chain can't be read.
func (s *Signer) Sign(ctx context.Context, v *attestation.Verified, r *Request) (*File, error) {
	if len(s.Key) != ed25519.PrivateKeySize || s.Chain == nil || s.Memory == nil || s.Registry.IsZero() {
		return nil, attestation.BadInput("verifier: a key, a registry, a chain and a memory are needed")
	}
	if v == nil || r == nil {
		return nil, attestation.BadInput("verifier: nothing to sign")
	}
	c, err := statement(v, r)
	if err != nil {
		return nil, err
	}
	if err := s.checkChain(ctx, &v.Claims().Heads, r, c); err != nil {
		return nil, err
	}
	about := About{c.ChainID, c.Node, c.Epoch}
	err = s.Memory.Update(ctx, about, func(last *contracts.Certificate) (*contracts.Certificate, error) {
		return c, mayFollow(last, c)
	})
	if err != nil {
		return nil, err
	}
	d := c.Digest()
	return &File{*c, map[[32]byte][64]byte{[32]byte(s.Key.Public().(ed25519.PublicKey)): [64]byte(ed25519.Sign(s.Key, d[:]))}}, nil
}

// statement says what the evidence proved, until when the operator asks.
func statement(v *attestation.Verified, r *Request) (*contracts.Certificate, error) {
	c := contracts.NewCertificate(&v.Claims().Heads)
	switch kind := v.Kind(); kind {
	case attestation.KindSNP:
		c.Kind = contracts.KindSNP
	case attestation.KindTDX:
		c.Kind = contracts.KindTDXQuorum
	default:
		return nil, attestation.Refused("evidence of kind %q is not certified", kind)
	}
	c.PlatformID, c.Measurement, c.Expiry = v.PlatformID(), v.Measurement(), r.Expiry
	if end := v.EvidenceNotAfter().Unix(); int64(r.Expiry) > end {
		return nil, attestation.Refused("the certificate is wanted until %s, the verification is good until %s", stamp(int64(r.Expiry)), stamp(end))
	}
	return &c, nil
}

// checkChain compares the claims with the chain: a real and recent block, the
// node's next epoch, the request of its operator. It sets the number of the set.
func (s *Signer) checkChain(ctx context.Context, h *attestation.Heads, r *Request, c *contracts.Certificate) error {
	id, err := s.Chain.ChainID(ctx)
	if err != nil {
		return err
	}
	if id != h.ChainID {
		return attestation.ChainDisagrees("the claims are for chain %d, this is chain %d", h.ChainID, id)
	}
	reader := registry.Reader{Reader: s.Chain}
	node, err := reader.Node(ctx, h.Node)
	if err != nil {
		return fmt.Errorf("reading the node's record: %w", err)
	}
	switch {
	case node.Root != s.Registry:
		return attestation.Refused("node %v belongs to registry %v, not to %v", h.Node, node.Root, s.Registry)
	case h.Epoch != node.Current+1:
		return attestation.ChainDisagrees("the claims are of epoch %d, the node's next is %d", h.Epoch, node.Current+1)
	}
	if err := r.check(c.ClaimsDigest, node.Operator, id); err != nil {
		return err
	}
	if err := s.checkBlock(ctx, h, c); err != nil {
		return err
	}
	root, err := reader.Root(ctx, s.Registry)
	if err != nil {
		return fmt.Errorf("reading the registry: %w", err)
	}
	return s.checkSet(root, c)
}

// checkBlock wants the claims to name a block that a registration can name now.
func (s *Signer) checkBlock(ctx context.Context, h *attestation.Heads, c *contracts.Certificate) error {
	head, err := s.Chain.Head(ctx)
	if err != nil {
		return err
	}
	switch {
	case h.BlockSeqno > head.Seqno:
		return attestation.ChainDisagrees("the claims name block %d, the chain is at block %d", h.BlockSeqno, head.Seqno)
	case head.Seqno-h.BlockSeqno >= contracts.KnownBlocks:
		return attestation.Refused("the claims name block %d, which is too old to register with; let the enclave make its evidence again", h.BlockSeqno)
	case int64(c.Expiry) <= head.Time.Unix():
		return attestation.Refused("the certificate would have expired at %s", stamp(int64(c.Expiry)))
	}
	block, err := s.Chain.Block(ctx, h.BlockSeqno)
	if err != nil {
		return fmt.Errorf("reading block %d: %w", h.BlockSeqno, err)
	}
	if block.RootHash != h.BlockRoot {
		return attestation.ChainDisagrees("the claims name another block %d than the chain has", h.BlockSeqno)
	}
	return nil
}

// checkSet wants the registry to count this verifier.
func (s *Signer) checkSet(root *registry.Root, c *contracts.Certificate) error {
	key := [32]byte(s.Key.Public().(ed25519.PublicKey))
	if set := root.State.Verifiers; set != nil {
		for _, k := range set.Quorum.Keys {
			if k == key {
				c.Set = set.Number
				return nil
			}
		}
	}
	return attestation.Refused("registry %v does not count this verifier: it is not listed, or has too little stake", root.Address)
}

// mayFollow refuses what an honest verifier must not sign after the last that it
// signed for the same epoch: anything but the same with another expiry or set, or
// claims over a block with which the last can't be registered any more.
func mayFollow(last, next *contracts.Certificate) error {
	if last == nil {
		return nil
	}
	same := *last
	same.Expiry, same.Set = next.Expiry, next.Set
	if same == *next || int64(next.BlockSeqno) >= int64(last.BlockSeqno)+contracts.KnownBlocks {
		return nil
	}
	return attestation.Refused("another boot of epoch %d of node %v was certified over block %d: register that one, or ask again with claims over block %d or later",
		next.Epoch, next.Node, last.BlockSeqno, uint64(last.BlockSeqno)+contracts.KnownBlocks)
}

func stamp(unix int64) string { return time.Unix(unix, 0).UTC().Format(time.RFC3339) }
