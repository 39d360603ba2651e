package chain

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
)

// Client reads a TON chain through liteservers that it does not trust. Make one
// with [Dial]. It may be used concurrently.
type Client struct {
	cfg      *GlobalConfig
	servers  []*server
	now      func() time.Time
	timeout  time.Duration
	maxParts int // bytes of the cells that show an account at a block
	oldTrust bool
	network  Network // that the caller wants; empty: any
	warn     func(string)
	sends    atomic.Uint32

	mu         sync.Mutex
	base       reached // newest proved key block, or the trusted block
	newest     *proved
	recent     map[uint32]*proved
	order      []uint32 // of recent, oldest first
	preferred  int
	crossCheck time.Time
	chainID    *int32
}

// Dial connects to the liteservers of a global config. It returns after one of
// them has shown the trusted block: a block older than [MaxTrustAge] is refused
// ([attestation.RefusedError]), see [GlobalConfig.Renew]. That no server does is
// "could not find out". Close the client when done.
func Dial(ctx context.Context, cfg *GlobalConfig, opts ...Option) (*Client, error) {
	c, err := newClient(cfg, opts)
	if err != nil {
		return nil, err
	}
	if err := c.begin(ctx); err != nil {
		c.Close()
		return nil, err
	}
	if c.warn != nil {
		c.warnVersion(ctx)
	}
	return c, nil
}

// newClient makes a client that has asked nobody yet.
func newClient(cfg *GlobalConfig, opts []Option) (*Client, error) {
	if cfg == nil || len(cfg.servers) == 0 {
		return nil, attestation.BadInput("no TON global config")
	}
	c := &Client{
		cfg: cfg, now: time.Now, timeout: defaultTimeout, maxParts: maxParts, base: reached{at: cfg.trusted}, recent: map[uint32]*proved{},
	}
	for _, o := range opts {
		if err := o(c); err != nil {
			return nil, err
		}
	}
	if c.network != "" {
		if err := cfg.CheckNetwork(c.network); err != nil {
			return nil, err
		}
	}
	for _, l := range cfg.servers {
		c.servers = append(c.servers, &server{liteserver: l})
	}
	return c, nil
}

// begin looks at the trusted block, and at the chain id if the caller wants a
// network.
func (c *Client) begin(ctx context.Context) error {
	var made time.Time
	err := c.ask(ctx, "the trusted block", func(ctx context.Context, s *server) error {
		h, err := s.header(ctx, c.cfg.trusted)
		made = h.time
		return err
	})
	if err != nil {
		return err
	}
	if age := c.now().Sub(made); age > MaxTrustAge && !c.oldTrust {
		return attestation.Refused("the trusted block of the TON global config is %d days old, at most %d: fetch a current config", int(age.Hours()/24), int(MaxTrustAge.Hours()/24))
	}
	if c.network != "" {
		_, err = c.ChainID(ctx)
	}
	return err
}

// Close ends all connections. Calls that run fail.
func (c *Client) Close() error {
	for _, s := range c.servers {
		s.close()
	}
	return nil
}

// KeyBlock returns the newest key block that was proved so far, for
// [GlobalConfig.Renew].
func (c *Client) KeyBlock() BlockID {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.base.at
}
