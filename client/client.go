package client

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/receipt"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/registry"
)

// Limits of what a client reads and waits for.
const (
	maxRequest  = 16 << 20
	callTimeout = 20 * time.Second // one fetch of a bundle, a tile, endorsements
)

// Config says how a Client works. Policy, Chain and Registry are required.
type Config struct {
	// Policy is what is accepted. There is no default.
	Policy *attestation.Policy
	// Chain reads TON with proofs; see chain.Dial.
	Chain chain.Reader
	// Registry is the root contract whose nodes are used.
	Registry attestation.Address
	// Nodes restricts the client to these nodes. Empty: all of the registry.
	Nodes []attestation.Address
	// Endpoints overrides where nodes are reached, by address. By default the
	// node's own record says it.
	Endpoints map[attestation.Address]string
	// Endorsements are used beside those that a node's relay serves.
	Endorsements []EndorsementFile
	// Keep, when set, is called with the receipt of every answer, and the node
	// that gave it, before the body ends with io.EOF. Its error ends the body
	// instead of io.EOF. It is called concurrently for concurrent answers.
	Keep func(*receipt.File, *Node) error
	// HTTP reaches relays. Default: a transport that follows no redirect, uses
	// no proxy from the environment, and limits every wait.
	HTTP http.RoundTripper
	// Now is the clock, default time.Now.
	Now func() time.Time
	// Log gets what an operator of this client may want to know. Default:
	// silence. It never gets a prompt, an answer or a key.
	Log *slog.Logger
}

// EndorsementFile is a document that attestation.Endorsements.AddFile reads.
type EndorsementFile struct {
	Name string
	Data []byte
}

// Client sends requests to verified nodes. Make one with [New].
type Client struct {
	cfg      Config
	verifier *attestation.Verifier
	chain    registry.Reader
	http     *http.Client
	traced   bool // http calls the hooks of httptrace: its transport is package http's

	root proved[registry.Root]

	papers drawer

	mu       sync.Mutex // guards what follows
	nodes    lru[attestation.Address, *proved[Node]]
	failed   lru[attestation.Address, time.Time] // until when a node is asked last
	blocks   lru[uint32, time.Time]
	prepared lru[[32]byte, *exchange] // made ahead, by claims digest
}

// Node is a node that was verified. Its methods return copies.
type Node struct {
	client   *Client
	verified *attestation.Verified
	record   *registry.Node
	lists    [32]byte  // digest of the registry's lists that it was judged by
	ends     time.Time // when it is verified anew
	endpoint string
}

// Verified returns the proof that the node passed.
func (n *Node) Verified() *attestation.Verified { return n.verified }

// Record returns the node's proved record. It must not be changed.
func (n *Node) Record() *registry.Node { return n.record }

// Endpoint returns the URL of the node's relay.
func (n *Node) Endpoint() string { return n.endpoint }

// New returns a Client. It opens no connection. A configuration without policy,
// chain or registry is an [attestation.InputError].
func New(cfg Config) (*Client, error) {
	switch {
	case cfg.Policy == nil:
		return nil, attestation.BadInput("client: a policy is needed; `cocoon policy init` writes one")
	case cfg.Chain == nil:
		return nil, attestation.BadInput("client: a chain to read is needed")
	case cfg.Registry.IsZero():
		return nil, attestation.BadInput("client: the address of a registry is needed")
	}
	v, err := attestation.NewVerifier(cfg.Policy)
	if err != nil {
		return nil, err
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	rt := cfg.HTTP
	if rt == nil {
		rt = &http.Transport{
			DialContext:           (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
			TLSHandshakeTimeout:   10 * time.Second,
			ResponseHeaderTimeout: 10 * time.Minute, // queueing and a long prompt; the enclave has its own limit
			MaxIdleConnsPerHost:   16,
			IdleConnTimeout:       90 * time.Second,
			DisableCompression:    true,
		}
	}
	c := &Client{
		cfg: cfg, verifier: v, chain: registry.Reader{Reader: cfg.Chain}, traced: cfg.HTTP == nil,
		http: &http.Client{Transport: rt, CheckRedirect: func(*http.Request, []*http.Request) error {
			return errors.New("relays do not redirect")
		}},
	}
	c.forgetAll()
	c.root = proved[registry.Root]{
		now: cfg.Now, valid: func(*registry.Root, time.Time) bool { return true },
		load: func(ctx context.Context, _ *registry.Root) (*registry.Root, error) {
			return c.chain.Root(ctx, cfg.Registry)
		},
	}
	return c, nil
}

// Node returns a verified node: from memory while its verdict, its proved record
// and the registry's lists are fresh, else after looking anew. Calls for one
// node at the same time share the work.
func (c *Client) Node(ctx context.Context, addr attestation.Address) (*Node, error) {
	return c.entry(addr).get(ctx)
}

// entry returns what is known of a node, or a place for it.
func (c *Client) entry(addr attestation.Address) *proved[Node] {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p, ok := c.nodes.get(addr); ok {
		return p
	}
	p := &proved[Node]{
		now:   c.cfg.Now,
		valid: func(n *Node, now time.Time) bool { return now.Before(n.ends) },
	}
	p.load = func(ctx context.Context, old *Node) (*Node, error) {
		n, err := c.renew(ctx, addr, old)
		if err == nil {
			c.weigh(addr, p, n)
		}
		return n, err
	}
	c.nodes.put(addr, p, entrySize)
	return p
}

// weigh counts the memory of a node that was loaded, unless it was dropped
// meanwhile.
func (c *Client) weigh(addr attestation.Address, p *proved[Node], n *Node) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if kept, ok := c.nodes.get(addr); ok && kept == p {
		c.nodes.put(addr, p, n.size())
	}
}

// Limits of memory. Ten thousand nodes as they are take some 90 MB, of nodes that
// claim as much as they may fewer are remembered.
const (
	maxNodes     = 10_000
	maxNodeBytes = 100 << 20
	entrySize    = 1 << 10 // of a node of which nothing is known yet
	maxPrepared  = 256     // some 5 KB each
	maxBlocks    = 64
)

// forgetAll empties what is remembered.
func (c *Client) forgetAll() {
	c.papers = newDrawer()
	c.nodes = newLRU[attestation.Address, *proved[Node]](maxNodes, maxNodeBytes)
	c.failed = newLRU[attestation.Address, time.Time](maxNodes, maxNodes)
	c.blocks = newLRU[uint32, time.Time](maxBlocks, maxBlocks)
	c.prepared = newLRU[[32]byte, *exchange](maxPrepared, maxPrepared)
}

// size returns about how much memory a node takes.
func (n *Node) size() int {
	const epoch, entry = 400, 128
	size := entrySize + n.verified.Size() + len(n.endpoint) + len(n.record.Endpoint)
	if s := n.record.State; s != nil {
		size += 2*epoch*(len(s.Past)+1) + entry*(len(s.Book.Credits)+len(s.Book.Settled)) + 2*entry*len(s.Book.Challenges)
	}
	return size
}

// renew reads the record, and verifies again only when the registration or the
// registry's lists changed, or the verdict has ended.
func (c *Client) renew(ctx context.Context, addr attestation.Address, old *Node) (*Node, error) {
	rec, err := c.chain.Node(ctx, addr)
	if err != nil {
		return nil, err
	}
	root, err := c.root.get(ctx)
	if err != nil {
		return nil, err
	}
	if old != nil && c.cfg.Now().Before(old.ends) && listsOf(root) == old.lists {
		if e, err := c.current(rec, root); err == nil && e.ClaimsDigest == old.verified.Digest() {
			return c.renewed(old, rec), nil
		}
	}
	return c.verify(ctx, rec, root, c.endpoint(rec))
}

// renewed is a node whose verdict stands, with what the chain says of it now. An
// operator may have moved.
func (c *Client) renewed(old *Node, rec *registry.Node) *Node {
	fresh := *old
	fresh.record, fresh.endpoint = rec, c.endpoint(rec)
	return &fresh
}

// listsOf returns the digest of the lists of a registry that nodes are judged by.
func listsOf(r *registry.Root) [32]byte {
	h := sha256.New()
	for _, list := range [][][32]byte{r.Measurements, r.Models} {
		fmt.Fprintf(h, "%d\n", len(list))
		for i := range list {
			h.Write(list[i][:])
		}
	}
	return [32]byte(h.Sum(nil))
}

func (c *Client) endpoint(rec *registry.Node) string {
	if u := c.cfg.Endpoints[rec.Address]; u != "" {
		return u
	}
	return rec.Endpoint
}

// Forget drops what is known of a node, so that the next request verifies it
// anew.
func (c *Client) Forget(addr attestation.Address) {
	c.mu.Lock()
	p, ok := c.nodes.get(addr)
	c.mu.Unlock()
	if !ok {
		return
	}
	if n := p.forget(); n != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.prepared.remove(n.verified.Digest())
	}
}

// refusals joins why nodes were not used, each with its address.
func refusals(why map[attestation.Address]error, order []attestation.Address) error {
	errs := make([]error, 0, len(order))
	for _, a := range order {
		if err := why[a]; err != nil {
			errs = append(errs, fmt.Errorf("node %v: %w", a, err))
		}
	}
	return errors.Join(errs...)
}
