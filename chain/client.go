package chain

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/xssnick/tonutils-go/tl"
	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
)

// Limits in time. They are part of docs/spec/light-client.md.
const (
	// MaxHeadAge is how old the head may be: an older one says nothing about now.
	MaxHeadAge = 120 * time.Second
	// maxHeadAhead is how far the head may be ahead of this machine's clock.
	maxHeadAhead = 60 * time.Second
	// MaxTrustAge is how old the trusted block of a config may be: validators of
	// that time have since taken their stakes back.
	MaxTrustAge = 30 * 24 * time.Hour

	defaultTimeout  = 5 * time.Second  // of one query
	crossCheckEvery = 10 * time.Second // between comparisons of two servers
	crossCheckWait  = 2 * time.Second
	maxRecent       = 256 // proved blocks that are remembered
)

// Reader is what the rest of this module needs of a chain. [*Client] implements
// it; tests may bring their own. All methods may be called concurrently, and all
// results are proved.
type Reader interface {
	// Head returns the newest masterchain block, proved from the trusted block.
	// A head older than MaxHeadAge is "could not find out". Heads do not go back.
	Head(ctx context.Context) (Block, error)
	// Block returns the masterchain block with a number, proved.
	Block(ctx context.Context, seqno uint32) (Block, error)
	// Account returns the state of an account at the head.
	Account(ctx context.Context, addr attestation.Address) (*Account, error)
	// Transactions returns up to limit of the newest transactions of an account,
	// newest first.
	Transactions(ctx context.Context, acc *Account, limit int) ([]Transaction, error)
	// History is Transactions up to and with the one that last names, when it comes
	// before the limit.
	History(ctx context.Context, acc *Account, limit int, last func(*Transaction) bool) ([]Transaction, error)
	// AccountAt returns the state of an account after a block that was proved.
	// Liteservers that are no archives have the states of a day or so.
	AccountAt(ctx context.Context, b Block, addr attestation.Address) (*Account, error)
	// FirstState finds out after which masterchain block something began to hold of
	// an account, and returns the account after that block and after the one before
	// it. What began to hold holds at the head, does not hold after the block
	// since, and never ends.
	FirstState(ctx context.Context, addr attestation.Address, since uint32, holds func(*Account) (bool, error)) (before, first *Account, err error)
	// HeaderProof returns a proof of the header of a proved block, for
	// VerifyHeader.
	HeaderProof(ctx context.Context, b Block) ([]byte, error)
	// ChainID returns configuration parameter 19.
	ChainID(ctx context.Context) (int32, error)
}

// Option changes how a [Client] works.
type Option func(*Client) error

// WithClock replaces the clock that the age of the head is judged by.
func WithClock(now func() time.Time) Option {
	return func(c *Client) error { c.now = now; return nil }
}

// WithTimeout sets how long one query to one liteserver may take; default 5 s.
func WithTimeout(d time.Duration) Option {
	return func(c *Client) error {
		if d <= 0 {
			return attestation.BadInput("liteserver timeout %v", d)
		}
		c.timeout = d
		return nil
	}
}

// WithOldTrustUnsafe accepts a trusted block older than [MaxTrustAge]. Who holds
// two thirds of the keys of validators of that time, who have nothing at stake
// any more, can then show any chain.
func WithOldTrustUnsafe() Option {
	return func(c *Client) error { c.oldTrust = true; return nil }
}

// Client reads a TON chain through liteservers that it does not trust. Make one
// with [Dial]. It may be used concurrently.
type Client struct {
	cfg      *GlobalConfig
	servers  []*server
	now      func() time.Time
	timeout  time.Duration
	oldTrust bool
	network  Network // that the caller wants; empty: any
	warn     func(string)

	mu         sync.Mutex
	base       BlockID // newest proved key block, or the trusted block
	path       []link  // from the trusted block to base
	newest     *proved
	recent     map[uint32]*proved
	order      []uint32 // of recent, oldest first
	preferred  int
	crossCheck time.Time
	chainID    *int32
}

// proved is a masterchain block with its proof from the trusted block.
type proved struct {
	Block
	links  []link
	server string
}

// Dial connects to the liteservers of a global config. It returns after one of
// them has shown the trusted block: a block older than [MaxTrustAge] is refused,
// see [GlobalConfig.Renew]. Close the client when done.
func Dial(ctx context.Context, cfg *GlobalConfig, opts ...Option) (*Client, error) {
	if cfg == nil || len(cfg.servers) == 0 {
		return nil, attestation.BadInput("no TON global config")
	}
	c := &Client{cfg: cfg, now: time.Now, timeout: defaultTimeout, base: cfg.trusted, recent: map[uint32]*proved{}}
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
	var made time.Time
	err := c.ask(ctx, "the trusted block", func(ctx context.Context, s *server) error {
		h, err := s.header(ctx, cfg.trusted)
		made = h.time
		return err
	})
	if err == nil {
		age := c.now().Sub(made)
		if age > MaxTrustAge && !c.oldTrust {
			err = attestation.Refused("the trusted block of the TON global config is %d days old, at most %d: fetch a current config", int(age.Hours()/24), int(MaxTrustAge.Hours()/24))
		}
	}
	if err == nil && c.network != "" {
		_, err = c.ChainID(ctx)
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	if c.warn != nil {
		c.warnVersion(ctx)
	}
	return c, nil
}

// Close ends all connections. Calls that run fail.
func (c *Client) Close() error {
	for _, s := range c.servers {
		s.close()
	}
	return nil
}

// ask runs f on one server after the other until one gives a good answer.
func (c *Client) ask(ctx context.Context, what string, f func(context.Context, *server) error) error {
	var errs []error
	c.mu.Lock()
	first := c.preferred
	c.mu.Unlock()
	todo := make([]int, len(c.servers))
	for i := range todo {
		todo[i] = (first + i) % len(todo)
	}
	slices.SortStableFunc(todo, func(a, b int) int { return int(c.servers[a].lies.Load() - c.servers[b].lies.Load()) })
	for round := range 2 {
		var again []int
		for _, i := range todo {
			s := c.servers[i]
			err := func() error {
				qctx, cancel := context.WithTimeout(ctx, c.timeout)
				defer cancel()
				return f(qctx, s)
			}()
			var (
				lie   *LyingServerError
				chain *attestation.ChainError
			)
			switch {
			case err == nil:
				c.mu.Lock()
				c.preferred = i
				c.mu.Unlock()
				return nil
			case errors.As(err, &chain):
				return err
			case errors.As(err, &lie):
				s.lies.Add(1)
			case errors.Is(err, errConnection) && round == 0:
				again = append(again, i) // the connection may just have ended
				continue
			}
			if ctx.Err() != nil {
				return attestation.Unknown("%s: %w", what, errors.Join(append(errs, err, ctx.Err())...))
			}
			errs = append(errs, err)
		}
		todo = again
	}
	return unreachable(what, errs)
}

// Head implements [Reader].
func (c *Client) Head(ctx context.Context) (Block, error) {
	p, err := c.head(ctx)
	if err != nil {
		return Block{}, err
	}
	return p.Block, nil
}

func (c *Client) head(ctx context.Context) (*proved, error) {
	var best *proved
	err := c.ask(ctx, "the masterchain head", func(ctx context.Context, s *server) error {
		p, err := c.headFrom(ctx, s)
		if err != nil {
			return err
		}
		best = p
		return c.fresh(p.Block)
	})
	if err != nil {
		return nil, err
	}
	return c.compare(ctx, best)
}

// fresh checks the age of a head.
func (c *Client) fresh(b Block) error {
	switch age := c.now().Sub(b.Time); {
	case age > MaxHeadAge:
		return attestation.Unknown("the newest block %d is %d s old, at most %d s: the liteserver is behind, the chain has stopped, or this clock is fast", b.Seqno, int(age.Seconds()), int(MaxHeadAge.Seconds()))
	case age < -maxHeadAhead:
		return attestation.Unknown("the newest block %d is %d s in the future: this clock is slow", b.Seqno, int(-age.Seconds()))
	}
	return nil
}

// headFrom asks one server for its head and proves it. A server that is behind
// what was proved before does not take the head back.
func (c *Client) headFrom(ctx context.Context, s *server) (*proved, error) {
	id, err := s.head(ctx)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	newest, base := c.newest, c.base
	c.mu.Unlock()
	if newest != nil && id.Seqno <= newest.Seqno {
		if id.Seqno == newest.Seqno && id != newest.ID() {
			// either a lie, or a fork that the server can prove
			if _, err := c.prove(ctx, s, id); err != nil {
				return nil, err
			}
		}
		return newest, nil
	}
	if id.Seqno < base.Seqno {
		return nil, attestation.Unknown("liteserver %s: its newest block %d is before the trusted block %d", s, id.Seqno, base.Seqno)
	}
	return c.prove(ctx, s, id)
}

// prove shows that a block not before the base is on the chain, and remembers it.
func (c *Client) prove(ctx context.Context, s *server, id BlockID) (*proved, error) {
	c.mu.Lock()
	base, path := c.base, slices.Clip(c.path)
	known := c.recent[id.Seqno]
	c.mu.Unlock()
	if known != nil && known.ID() == id {
		return known, nil
	}
	if id == base {
		h, err := s.header(ctx, id)
		if err != nil {
			return nil, err
		}
		return c.remember(&proved{h.of(id), path, s.String()}, base, path)
	}
	w, links := way{at: base}, path
	newBase, newPath := base, path
	var h blockHeader
	for w.at != id {
		steps, err := s.links(ctx, w.at, id)
		if err != nil {
			return nil, err
		}
		before := w.at
		for _, l := range steps {
			if h, err = w.step(l); err != nil {
				return nil, s.lie("the masterchain", err)
			}
			if links = append(links, l); len(links) > maxLinks { // no account proof may have more
				return nil, attestation.Unknown("block %d is more than %d links from the trusted block: renew it", id.Seqno, maxLinks)
			}
			if l.toKey {
				newBase, newPath = w.at, slices.Clip(links)
			}
		}
		if w.at == before || w.at.Seqno > id.Seqno {
			return nil, s.lie("the masterchain", errors.New("the proof does not lead to the block"))
		}
	}
	return c.remember(&proved{h.of(id), slices.Clip(links), s.String()}, newBase, newPath)
}

// remember keeps a proved block, and the key block on its way as new base.
func (c *Client) remember(p *proved, base BlockID, path []link) (*proved, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old := c.recent[p.Seqno]; old != nil && old.ID() != p.ID() {
		return nil, forked(old.server, p.server, old.ID(), p.ID())
	}
	if c.recent[p.Seqno] == nil {
		c.order = append(c.order, p.Seqno)
		if len(c.order) > maxRecent {
			delete(c.recent, c.order[0])
			c.order = c.order[1:]
		}
	}
	c.recent[p.Seqno] = p
	if base.Seqno > c.base.Seqno || len(c.path) == 0 {
		c.base, c.path = base, path
	}
	if c.newest == nil || p.Seqno > c.newest.Seqno {
		c.newest = p
	}
	return p, nil
}

func forked(s1, s2 string, b1, b2 BlockID) error {
	return &attestation.ChainError{Err: &ForkError{Servers: [2]string{s1, s2}, Blocks: [2]BlockID{b1, b2}}}
}

// compare asks another server for its head now and then, and demands that one of
// the two heads is an ancestor of the other. It returns the newer one. A server
// that does not answer in time does not matter.
func (c *Client) compare(ctx context.Context, p *proved) (*proved, error) {
	c.mu.Lock()
	due := c.now().Sub(c.crossCheck) >= crossCheckEvery || c.crossCheck.IsZero()
	if due {
		c.crossCheck = c.now()
	}
	c.mu.Unlock()
	if !due || len(c.servers) < 2 {
		return p, nil
	}
	ctx, cancel := context.WithTimeout(ctx, min(crossCheckWait, c.timeout))
	defer cancel()
	type answer struct {
		p   *proved
		s   *server
		err error
	}
	answers := make(chan answer, len(c.servers))
	n := 0
	for _, s := range c.servers {
		if s.String() == p.server || n == 3 {
			continue
		}
		n++
		go func() {
			q, err := c.sameChain(ctx, s, p)
			answers <- answer{q, s, err}
		}()
	}
	for range n {
		a := <-answers
		var (
			lie  *LyingServerError
			fork *attestation.ChainError
		)
		switch {
		case errors.As(a.err, &fork):
			return nil, a.err
		case errors.As(a.err, &lie):
			a.s.lies.Add(1)
		case a.err == nil && a.p.Seqno > p.Seqno:
			p = a.p
		}
	}
	return p, c.fresh(p.Block)
}

// sameChain proves the head of s and that p is on its chain, or the other way
// round.
func (c *Client) sameChain(ctx context.Context, s *server, p *proved) (*proved, error) {
	id, err := s.head(ctx)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	base := c.base
	c.mu.Unlock()
	if id.Seqno < base.Seqno {
		return p, nil // far behind: it can't disagree about what it does not know
	}
	q, err := c.prove(ctx, s, id)
	if err != nil {
		return nil, err
	}
	switch {
	case q.Seqno > p.Seqno:
		old, err := c.ancestor(ctx, s, q, p.Seqno)
		if err != nil {
			return nil, err
		}
		if old.ID() != p.ID() {
			return nil, forked(p.server, s.String(), p.ID(), old.ID())
		}
	case q.Seqno < p.Seqno:
		for _, t := range c.servers {
			if t.String() != p.server {
				continue
			}
			old, err := c.ancestor(ctx, t, p, q.Seqno)
			if err != nil {
				return nil, err
			}
			if old.ID() != q.ID() {
				return nil, forked(p.server, s.String(), old.ID(), q.ID())
			}
		}
	}
	return q, nil
}

// ancestor proves the block with a number that lies before p, with a backward
// link from p.
func (c *Client) ancestor(ctx context.Context, s *server, p *proved, seqno uint32) (*proved, error) {
	id, err := s.lookup(ctx, seqno)
	if err != nil {
		return nil, err
	}
	steps, err := s.links(ctx, p.ID(), id)
	if err != nil {
		return nil, err
	}
	w, links := way{at: p.ID()}, slices.Clip(p.links)
	var h blockHeader
	for _, l := range steps {
		if h, err = w.step(l); err != nil {
			return nil, s.lie("an old block", err)
		}
		links = append(links, l)
	}
	if w.at != id {
		return nil, s.lie("an old block", errors.New("the proof does not lead to the block"))
	}
	return &proved{h.of(id), links, s.String()}, nil
}

// Block implements [Reader]. A block that the chain does not have yet is "could
// not find out".
func (c *Client) Block(ctx context.Context, seqno uint32) (Block, error) {
	p, err := c.provedAt(ctx, seqno)
	if err != nil {
		return Block{}, err
	}
	return p.Block, nil
}

// KeyBlock returns the newest key block that was proved so far, for
// [GlobalConfig.Renew].
func (c *Client) KeyBlock() BlockID {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.base
}

// Account implements [Reader].
func (c *Client) Account(ctx context.Context, addr attestation.Address) (*Account, error) {
	h, err := c.head(ctx)
	if err != nil {
		return nil, err
	}
	return c.accountAt(ctx, h, addr)
}

func (c *Client) accountAt(ctx context.Context, h *proved, addr attestation.Address) (*Account, error) {
	if addr.Workchain < -128 || addr.Workchain > 127 {
		return nil, attestation.BadInput("account %s: no such workchain", addr)
	}
	var acc *Account
	var parts *accountParts
	err := c.ask(ctx, "account "+addr.String(), func(ctx context.Context, s *server) (err error) {
		if parts, err = s.account(ctx, h.ID(), addr); err != nil {
			return err
		}
		if acc, err = parts.verify(h.ID(), addr); err != nil {
			return s.lie("account "+addr.String(), err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := c.checkChainID(acc.ChainID()); err != nil {
		return nil, err
	}
	acc.Proof, err = encodeProof(addr, c.cfg.trusted, h.links, parts)
	return acc, err
}

// ChainID implements [Reader]. It is asked and proved once. A chain of another
// network than that of the config's zerostate is "chain disagrees".
func (c *Client) ChainID(ctx context.Context) (int32, error) {
	c.mu.Lock()
	id := c.chainID
	c.mu.Unlock()
	if id != nil {
		return *id, nil
	}
	h, err := c.head(ctx)
	if err != nil {
		return 0, err
	}
	var n int32
	err = c.ask(ctx, "the chain id", func(ctx context.Context, s *server) error {
		proof, err := s.config(ctx, h.ID(), configParams)
		if err != nil {
			return err
		}
		if _, n, err = checkConfigSafe(h.ID(), proof, configParams); err != nil {
			return s.lie("the chain id", err)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	if err := c.checkChainID(n); err != nil {
		return 0, err
	}
	c.mu.Lock()
	c.chainID = &n
	c.mu.Unlock()
	return n, nil
}

// Params returns configuration parameters at the head, by number, proved.
// A parameter that does not exist is left out.
func (c *Client) Params(ctx context.Context, ids ...int32) (map[int32]*cell.Cell, error) {
	h, err := c.head(ctx)
	if err != nil {
		return nil, err
	}
	want := slices.Clone(ids)
	for _, id := range []int32{8, 19} {
		if !slices.Contains(want, id) {
			want = append(want, id)
		}
	}
	out := map[int32]*cell.Cell{}
	err = c.ask(ctx, "the configuration", func(ctx context.Context, s *server) error {
		proof, err := s.config(ctx, h.ID(), want)
		if err != nil {
			return err
		}
		root, _, err := checkConfigSafe(h.ID(), proof, want)
		if err != nil {
			return s.lie("the configuration", err)
		}
		kvs, err := root.AsDict(32).LoadAll()
		if err != nil {
			return err
		}
		for _, kv := range kvs {
			id := int32(kv.Key.MustLoadInt(32))
			if slices.Contains(ids, id) {
				out[id] = kv.Value.MustLoadRef().MustToCell()
			}
		}
		return nil
	})
	return out, err
}

func checkConfigSafe(mc BlockID, proof []*cell.Cell, params []int32) (root *cell.Cell, globalID int32, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("malformed proof: %v", r)
		}
	}()
	if err := checkLevels(proof...); err != nil {
		return nil, 0, err
	}
	return checkConfig(mc, proof, params)
}

// answerOf asserts the type of an answer.
func answerOf[T any](s *server, what string, resp tl.Serializable) (T, error) {
	v, ok := resp.(T)
	if !ok {
		return v, s.lie(what, fmt.Errorf("answer of type %T", resp))
	}
	return v, nil
}
