package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
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

	root proved[registry.Root]

	mu     sync.Mutex
	nodes  map[attestation.Address]*proved[Node]
	failed map[attestation.Address]time.Time // until when a node is asked last
	blocks map[uint32]time.Time
}

// Node is a node that was verified. Its methods return copies.
type Node struct {
	verified *attestation.Verified
	record   *registry.Node
	root     *registry.Root // whose lists it was judged by
	endpoint string
	bundle   []byte
	files    []EndorsementFile // that served to verify
	prepared chan *exchange    // made ahead, at most one
}

// Verified returns the proof that the node passed.
func (n *Node) Verified() *attestation.Verified { return n.verified }

// Record returns the node's proved record. It must not be changed.
func (n *Node) Record() *registry.Node { return n.record }

// Endpoint returns the URL of the node's relay.
func (n *Node) Endpoint() string { return n.endpoint }

// Bundle returns the bundle as it was fetched.
func (n *Node) Bundle() []byte { return append([]byte(nil), n.bundle...) }

// Endorsements returns the documents that served to verify it.
func (n *Node) Endorsements() []EndorsementFile { return append([]EndorsementFile(nil), n.files...) }

// New returns a Client. It opens no connection.
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
		cfg: cfg, verifier: v, chain: registry.Reader{Reader: cfg.Chain},
		http: &http.Client{Transport: rt, CheckRedirect: func(*http.Request, []*http.Request) error {
			return errors.New("relays do not redirect")
		}},
		nodes:  map[attestation.Address]*proved[Node]{},
		failed: map[attestation.Address]time.Time{},
		blocks: map[uint32]time.Time{},
	}
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
	c.mu.Lock()
	p := c.nodes[addr]
	if p == nil {
		p = &proved[Node]{
			now:   c.cfg.Now,
			valid: func(n *Node, now time.Time) bool { return now.Before(n.verified.NotAfter()) },
			load:  func(ctx context.Context, old *Node) (*Node, error) { return c.renew(ctx, addr, old) },
		}
		makeRoom(c.nodes)
		c.nodes[addr] = p
	}
	c.mu.Unlock()
	return p.get(ctx)
}

// maxNodes bounds the memory of nodes: one takes up to 20 MiB, with its bundle and
// documents, when its operator means ill.
const maxNodes = 256

// makeRoom drops something, whatever it is, from a map that is full.
func makeRoom[V any](m map[attestation.Address]V) {
	for k := range m {
		if len(m) < maxNodes {
			return
		}
		delete(m, k)
	}
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
	if old != nil && c.cfg.Now().Before(old.verified.NotAfter()) && sameLists(root, old.root) {
		if e, err := c.current(rec); err == nil && e.ClaimsDigest == old.verified.Digest() {
			return c.renewed(old, rec, root), nil
		}
	}
	return c.verify(ctx, rec, root, c.endpoint(rec))
}

// renewed is a node whose verdict stands, with what the chain says of it now. An
// operator may have moved.
func (c *Client) renewed(old *Node, rec *registry.Node, root *registry.Root) *Node {
	fresh := *old
	fresh.record, fresh.root, fresh.endpoint = rec, root, c.endpoint(rec)
	return &fresh
}

// sameLists says whether two records of a registry judge a node the same.
func sameLists(a, b *registry.Root) bool {
	return slices.Equal(a.Measurements, b.Measurements) && slices.Equal(a.Models, b.Models)
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
	p := c.nodes[addr]
	c.mu.Unlock()
	if p != nil {
		p.forget()
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
