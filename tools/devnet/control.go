package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/xssnick/tonutils-go/ton"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/devnet"
	"github.com/cocoon-go/cocoon/internal/command"
)

// clock runs with the machine's, ahead of it by what it was advanced.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

// catchUp goes on from the time of a stored chain that was advanced, so that it
// does not stand still until the machine's clock is there.
func (c *clock) catchUp(utime uint32) {
	if d := time.Unix(int64(utime), 0).Sub(c.now()); d > 0 {
		c.ahead.Add(int64(d))
	}
}

// latest is where the clock stops: block times have 32 bits, which end in 2106.
var latest = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)

// advance moves the clock on, though not behind latest.
func (c *clock) advance(d time.Duration) error {
	for {
		ahead := c.ahead.Load()
		if now := time.Now().Add(time.Duration(ahead)); now.Add(d).After(latest) {
			return fmt.Errorf("advance: it is %s, and the clock goes until %s", now.UTC().Format(time.RFC3339), latest.Format(time.RFC3339))
		}
		if c.ahead.CompareAndSwap(ahead, ahead+int64(d)) {
			return nil
		}
	}
}

// Bounds of one order.
const (
	maxMine     = 10_000
	maxAdvance  = 10 * 365 * 24 * time.Hour
	maxDelay    = 10 * time.Minute
	grantWithin = time.Minute
)

// control takes orders over HTTP on a loopback address: docs/spec/devnet.md lists
// them. Whoever reaches it is obeyed.
type control struct {
	chain *devnet.Chain
	clock *clock
}

// listen takes an address of this machine.
func listen(addr string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("--control %q: %w", addr, err)
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return nil, fmt.Errorf("--control %q: want an address of this machine such as 127.0.0.1:0: whoever reaches it is obeyed", addr)
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("--control: %w", err)
	}
	return ln, nil
}

// serve takes orders until ctx ends.
func (c *control) serve(ctx context.Context, ln net.Listener) {
	s := &http.Server{Handler: c.handler(), ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() { s.Close() })
	go s.Serve(ln)
}

func (c *control) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", c.order(func(context.Context, url.Values) error { return nil }))
	mux.HandleFunc("POST /mine", c.order(c.mine))
	mux.HandleFunc("POST /clock", c.order(c.advance))
	mux.HandleFunc("POST /grant", c.order(c.grant))
	mux.HandleFunc("POST /fault", c.order(c.fault))
	mux.HandleFunc("POST /disconnect", c.order(c.disconnect))
	return mux
}

// order answers a good order with the status after it, and another with what is
// wrong.
func (c *control) order(do func(context.Context, url.Values) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Origin") != "" { // a web page in a browser of this machine
			http.Error(w, "orders don't come from web pages", http.StatusForbidden)
			return
		}
		if err := do(r.Context(), r.URL.Query()); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(c.status())
	}
}

func (c *control) status() any {
	var servers []string
	for _, s := range c.chain.Liteservers() {
		servers = append(servers, s.Addr().String())
	}
	h := c.chain.Head()
	return map[string]any{
		"chain_id": c.chain.GlobalID(), "block": h.ID.SeqNo, "block_time": time.Unix(int64(h.UTime), 0).UTC(),
		"clock": c.chain.Now().UTC(), "liteservers": servers,
	}
}

func number(q url.Values, key string, least, most int) (int, error) {
	n, err := strconv.Atoi(q.Get(key))
	if err != nil || n < least || n > most {
		return 0, fmt.Errorf("%s: want a number from %d to %d", key, least, most)
	}
	return n, nil
}

func duration(q url.Values, key string, most time.Duration) (time.Duration, error) {
	d, err := time.ParseDuration(q.Get(key))
	if err != nil || d < 0 || d > most {
		return 0, fmt.Errorf("%s: want a time such as 72h, at most %s", key, most)
	}
	return d, nil
}

// only refuses parameters that an order does not know.
func only(q url.Values, keys ...string) error {
	for k := range q {
		known := false
		for _, x := range keys {
			known = known || x == k
		}
		if !known {
			return fmt.Errorf("unknown parameter %.40q", k)
		}
	}
	return nil
}

func (c *control) mine(_ context.Context, q url.Values) error {
	n, err := number(q, "blocks", 1, maxMine)
	if err := errors.Join(err, only(q, "blocks")); err != nil {
		return err
	}
	return c.chain.Mine(n)
}

func (c *control) advance(_ context.Context, q url.Values) error {
	d, err := duration(q, "advance", maxAdvance)
	if err := errors.Join(err, only(q, "advance")); err != nil {
		return err
	}
	if err := c.clock.advance(d); err != nil {
		return err
	}
	return c.chain.Mine(1) // so that the chain has the new time
}

func (c *control) grant(ctx context.Context, q url.Values) error {
	to, err := attestation.ParseAddress(q.Get("to"))
	if err != nil {
		return fmt.Errorf("to: %w", err)
	}
	nano, err := command.ParseCoins(q.Get("coins"))
	if err != nil || nano == 0 {
		return errors.Join(errors.New("coins: want an amount such as 12.5"), err)
	}
	if err := only(q, "to", "coins"); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, grantWithin)
	defer cancel()
	return c.chain.Faucet(ctx, to, nano)
}

func (c *control) server(q url.Values) (*devnet.Liteserver, error) {
	all := c.chain.Liteservers()
	n, err := number(q, "server", 1, len(all))
	if err != nil {
		return nil, err
	}
	return all[n-1], nil
}

func (c *control) disconnect(_ context.Context, q url.Values) error {
	s, err := c.server(q)
	if err := errors.Join(err, only(q, "server")); err != nil {
		return err
	}
	s.Disconnect()
	return nil
}

// fault makes a liteserver misbehave; without a fault it is honest again.
func (c *control) fault(_ context.Context, q url.Values) error {
	s, err := c.server(q)
	if err := errors.Join(err, only(q, "server", "drop", "refuse", "delay", "duplicate", "head", "error")); err != nil {
		return err
	}
	var f devnet.Fault
	for key, on := range map[string]*bool{"drop": &f.Drop, "refuse": &f.Refuse} {
		if *on = q.Has(key); q.Get(key) != "" {
			return fmt.Errorf("%s takes no value: leave it out to switch it off", key)
		}
	}
	if q.Has("delay") {
		if f.Delay, err = duration(q, "delay", maxDelay); err != nil {
			return err
		}
	}
	if q.Has("duplicate") {
		if f.Duplicate, err = number(q, "duplicate", 1, 100); err != nil {
			return err
		}
	}
	if q.Has("head") {
		n, err := number(q, "head", 1, int(c.chain.Head().ID.SeqNo))
		if err != nil {
			return err
		}
		f.Head = uint32(n)
	}
	if q.Has("error") {
		f.Error = &ton.LSError{Code: 601, Text: q.Get("error")}
	}
	s.Inject(f)
	return nil
}
