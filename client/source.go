package client

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/internal/endorse"
)

// Source is what a proof needs beside the chain: keep it with the receipt, since
// a node serves the bundle of its current epoch only.
type Source struct {
	Endpoint     string // URL of the node's relay, for the log's tiles
	Bundle       []byte
	Endorsements []EndorsementFile
}

// Source returns what to keep of a node for proofs. Thousands of nodes are
// remembered, and the bundles of a few hundred of them; that of any other is
// fetched and verified again, and is an [attestation.UnknownError] when the node
// does not serve it any more. The result must not be changed.
func (n *Node) Source(ctx context.Context) (Source, error) {
	c := n.client
	if p, ok := c.papers.get(n.verified.Digest()); ok {
		return c.source(n, p), nil
	}
	p, err := c.fetchPapers(ctx, n.endpoint)
	if err != nil {
		return Source{}, err
	}
	if p.parsed.Digest() != n.verified.Digest() {
		return Source{}, attestation.Unknown("the relay of node %v serves the bundle of another epoch now", n.record.Address)
	}
	if _, err := c.judge(p, n.verified.Registered()); err != nil {
		return Source{}, err
	}
	c.keepPapers(p)
	return c.source(n, p), nil
}

func (c *Client) source(n *Node, p *papers) Source {
	return Source{n.endpoint, p.bundle, c.withOwn(p.files)}
}

// FetchSource asks a relay for what a proof needs of an enclave, by its claims
// digest. A relay that serves another enclave now is an [attestation.UnknownError].
// Nothing is verified: that is VerifyProof's work.
func (c *Client) FetchSource(ctx context.Context, endpoint string, claims [32]byte) (Source, error) {
	p, err := c.fetchPapers(ctx, endpoint)
	if err != nil {
		return Source{}, err
	}
	if p.parsed.Digest() != claims {
		return Source{}, attestation.Unknown("the relay %s serves the bundle of another epoch now", endpoint)
	}
	return Source{endpoint, p.bundle, c.withOwn(p.files)}, nil
}

// withOwn adds the endorsements that this client brings.
func (c *Client) withOwn(files []EndorsementFile) []EndorsementFile {
	return append(append([]EndorsementFile(nil), c.cfg.Endorsements...), files...)
}

// papers is what a node serves to be verified by.
type papers struct {
	bundle []byte
	set    [32]byte          // digest of the set of endorsements
	size   int               // of the set
	files  []EndorsementFile // the set

	parsed *attestation.Bundle // only until they are kept
}

// fetchPapers reads bundle and endorsements from a relay. Endorsements are the
// relay's to serve, and optional: without them the verifier says exactly which
// one is missing.
func (c *Client) fetchPapers(ctx context.Context, endpoint string) (*papers, error) {
	data, err := c.fetch(ctx, endpoint, "/.well-known/cocoon/bundle", attestation.MaxBundleSize)
	if err != nil {
		return nil, err
	}
	p := &papers{bundle: data}
	if p.parsed, err = attestation.ParseBundle(data); err != nil {
		return nil, err
	}
	enc, err := c.fetch(ctx, endpoint, endorse.Path, endorse.MaxSize)
	if err != nil {
		c.cfg.Log.Info("relay serves no endorsements", "err", err)
		return p, nil
	}
	served, err := endorse.Parse(enc)
	if err != nil {
		return nil, fmt.Errorf("endorsements of the relay: %w", err)
	}
	p.set, p.size = sha256.Sum256(enc), len(enc)
	for _, f := range served {
		p.files = append(p.files, EndorsementFile(f))
	}
	return p, nil
}

// judge verifies papers against what the chain has registered.
func (c *Client) judge(p *papers, r *attestation.Registered) (*attestation.Verified, error) {
	set, err := Endorsements(c.withOwn(p.files))
	if err != nil {
		return nil, err
	}
	return c.verifier.Verify(attestation.Input{Bundle: p.parsed, Endorsements: set, At: c.cfg.Now(), Registered: r})
}

// Limits of what is kept of papers, in bytes. A bundle has some 50 KB; nodes whose
// operators fetch the same documents share them. A set that is larger than all may be
// is not kept: it is fetched again when a receipt needs it.
const (
	maxBundles = 8 << 20
	maxSets    = 4 << 20
)

// drawer keeps the papers of the nodes that were used last, in bounded memory.
// Safe for concurrent use.
type drawer struct {
	mu      sync.Mutex
	bundles lru[[32]byte, *papers]           // by claims digest; guarded by mu
	sets    lru[[32]byte, []EndorsementFile] // by digest; guarded by mu
}

func newDrawer() drawer {
	const entries = 1 << 12
	return drawer{bundles: newLRU[[32]byte, *papers](entries, maxBundles), sets: newLRU[[32]byte, []EndorsementFile](entries, maxSets)}
}

// keepPapers keeps papers that were verified.
func (c *Client) keepPapers(p *papers) {
	if p.size > maxSets {
		c.cfg.Log.Warn("a node's endorsements are too large to remember: they are fetched from it again to keep a receipt", "bytes", p.size, "limit", maxSets)
	}
	c.papers.put(p)
}

// put keeps papers that were verified.
func (d *drawer) put(p *papers) {
	d.mu.Lock()
	defer d.mu.Unlock()
	digest := p.parsed.Digest()
	d.bundles.put(digest, &papers{bundle: p.bundle, set: p.set, size: p.size}, len(p.bundle))
	if p.size > 0 {
		d.sets.put(p.set, p.files, p.size)
	}
}

// get returns the papers with a claims digest.
func (d *drawer) get(digest [32]byte) (*papers, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	kept, ok := d.bundles.get(digest)
	if !ok || kept.size == 0 {
		return kept, ok
	}
	p := *kept
	p.files, ok = d.sets.get(kept.set)
	return &p, ok
}
