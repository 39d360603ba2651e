package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/registry"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A transport of the caller's need not know httptrace: what it has read of a
// request counts as sent.
func TestSent(t *testing.T) {
	broken := errors.New("broken")
	for _, c := range []struct {
		name string
		rt   roundTrip
		sent bool
	}{
		{"read", func(r *http.Request) (*http.Response, error) { r.Body.Read(make([]byte, 1)); return nil, broken }, true},
		{"not read", func(*http.Request) (*http.Response, error) { return nil, broken }, false},
	} {
		x := &Client{http: &http.Client{Transport: c.rt}}
		length := int64(-1)
		_, sent, err := x.post(t.Context(), "http://relay.test", io.NopCloser(strings.NewReader("sealed")), length)
		var unknown *attestation.UnknownError
		if sent != c.sent || !errors.As(err, &unknown) || !errors.Is(err, broken) {
			t.Errorf("%s: sent %v, %v", c.name, sent, err)
		}
	}
}

// A connection that can't be made has sent nothing, one that breaks may have.
func TestSentOverNetwork(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		panic(http.ErrAbortHandler)
	}))
	x := &Client{http: &http.Client{Transport: &http.Transport{}}}
	post := func(length int64) (bool, error) {
		_, sent, err := x.post(t.Context(), s.URL, io.NopCloser(strings.NewReader("sealed")), length)
		return sent, err
	}
	for _, x.traced = range []bool{false, true} {
		for _, length := range []int64{-1, 6} {
			if sent, err := post(length); !sent || err == nil {
				t.Errorf("broken off: sent %v, %v", sent, err)
			}
		}
	}
	s.Close()
	for _, x.traced = range []bool{false, true} {
		if sent, err := post(6); sent || err == nil {
			t.Errorf("nobody listens: sent %v, %v", sent, err)
		}
	}
}

// A small request takes one write: header and body wake the relay once.
func TestOneWrite(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }))
	defer s.Close()
	var writes atomic.Int32
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		return countedConn{conn, &writes}, err
	}
	x := &Client{traced: true, http: &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}}
	body, length, err := sealWhole(io.NopCloser(strings.NewReader("sealed")), 6)
	if err != nil {
		t.Fatal(err)
	}
	raw, _, err := x.post(t.Context(), s.URL, body, length)
	if err != nil {
		t.Fatal(err)
	}
	raw.Body.Close()
	if n := writes.Load(); n != 1 {
		t.Errorf("%d writes", n)
	}
}

type countedConn struct {
	net.Conn
	writes *atomic.Int32
}

func (c countedConn) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(p)
}

// A node is asked later than others when it failed, not when the caller gave up or
// asked for what can't be sent.
func TestBlame(t *testing.T) {
	errBroken := errors.New("connection reset")
	for name, c := range map[string]struct {
		edit    func(*http.Request)
		gateway func(ctx context.Context, f *fleet, cancel context.CancelFunc) error
		blamed  bool
		code    int
	}{
		"cancelled":        {gateway: func(_ context.Context, _ *fleet, cancel context.CancelFunc) error { cancel(); return context.Canceled }, code: 3},
		"given up at once": {gateway: func(ctx context.Context, _ *fleet, _ context.CancelFunc) error { <-ctx.Done(); return ctx.Err() }, code: 3},
		"given up after a while": {gateway: func(ctx context.Context, f *fleet, _ context.CancelFunc) error {
			<-ctx.Done()
			f.now = f.now.Add(patience)
			return ctx.Err()
		}, blamed: true, code: 3},
		"broken":             {gateway: func(context.Context, *fleet, context.CancelFunc) error { return errBroken }, blamed: true, code: 3},
		"with trailers":      {edit: func(r *http.Request) { r.Trailer = http.Header{"X": {"y"}} }, code: 1},
		"with a huge header": {edit: func(r *http.Request) { r.Header.Set("Accept", strings.Repeat("x", 1<<17)) }, code: 1},
		"too large":          {edit: func(r *http.Request) { r.ContentLength = maxRequest + 1 }, code: 1},
	} {
		inBubble := func(t *testing.T) { // where a caller gives up while the gateway waits, and not before
			f := newFleet(t)
			n := f.get(1)
			f.client.cfg.Nodes = []attestation.Address{n.record.Address}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if !strings.HasPrefix(name, "given up") {
				cancel()
				ctx, cancel = context.WithCancel(t.Context())
			}
			defer cancel()
			f.gateway = func(r *http.Request) (*http.Response, error) {
				if c.gateway == nil {
					t.Error("the request was sent")
					return nil, errBroken
				}
				return nil, c.gateway(r.Context(), f, cancel)
			}
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://cocoon/v1/chat/completions", strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			if c.edit != nil {
				c.edit(req)
			}
			resp, err := f.client.RoundTrip(req)
			if resp != nil || attestation.ExitCode(err) != c.code {
				t.Errorf("%v", err)
			}
			if _, ok := f.client.failed.get(n.record.Address); ok != c.blamed {
				t.Errorf("the node is blamed: %v", ok)
			}
		}
		t.Run(name, func(t *testing.T) { synctest.Test(t, inBubble) })
	}
}

// A node that can't be verified is blamed, and the next one asked; a caller who
// went away has no other node asked for him.
func TestBlameOfNodes(t *testing.T) {
	f := newFleet(t)
	bad, good := f.add(1).Address, f.get(2).record.Address
	f.client.entry(bad).load = func(context.Context, *Node) (*Node, error) { return nil, attestation.False("a lie") }
	sent := 0
	f.gateway = func(r *http.Request) (*http.Response, error) { sent++; return nil, errors.New("broken") }
	f.client.cfg.Nodes = []attestation.Address{bad, good}
	for range 20 {
		f.client.failed = newLRU[attestation.Address, time.Time](maxNodes, maxNodes)
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://cocoon/v1/x", nil)
		if _, err := f.client.RoundTrip(req); err == nil {
			t.Fatal("answered")
		}
		if _, ok := f.client.failed.get(good); !ok {
			t.Error("the node that broke off is not blamed")
		}
	}
	if sent != 20 {
		t.Errorf("%d of 20 requests were sent", sent)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	req, _ := http.NewRequestWithContext(ctx, http.MethodPost, "http://cocoon/v1/x", nil)
	if _, err := f.client.RoundTrip(req); !errors.Is(err, context.Canceled) || sent != 20 {
		t.Errorf("%d sent, %v", sent, err)
	}
}

// A request of usual size goes out with its length, at once; a large one is sealed
// while it is sent.
func TestSealedWhole(t *testing.T) {
	f := newFleet(t)
	f.client.cfg.Nodes = []attestation.Address{f.get(1).record.Address}
	for content, whole := range map[int]bool{0: true, 2: true, maxSealedWhole: true, maxSealedWhole + 1: false} {
		f.gateway = func(r *http.Request) (*http.Response, error) {
			sent, err := io.ReadAll(r.Body)
			if err != nil || len(sent) < content {
				t.Errorf("%d bytes of content: %d bytes sent, %v", content, len(sent), err)
			}
			if want := int64(len(sent)); whole && r.ContentLength != want || !whole && r.ContentLength != -1 {
				t.Errorf("%d bytes of content, %d bytes sent: length %d", content, len(sent), r.ContentLength)
			}
			return nil, errors.New("broken")
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://cocoon/v1/x", strings.NewReader(strings.Repeat("x", content)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.client.RoundTrip(req); !errors.Is(err, ErrMayHaveRun) {
			t.Errorf("%d bytes of content: %v", content, err)
		}
	}
}

// Nodes are picked at random, each once, and the same number of times in the long
// run.
func TestPick(t *testing.T) {
	for _, size := range []int{0, 1, 5, 64, 1000} {
		all := make([]int, size)
		for i := range all {
			all[i] = i
		}
		first := make([]int, size)
		const n, rounds = 10, 20_000
		for range rounds {
			seen := map[int]bool{}
			got := pick(all, n)
			for _, v := range got {
				seen[v] = true
			}
			if len(got) != min(n, size) || len(seen) != len(got) {
				t.Fatalf("%v of %d", got, size)
			}
			for _, v := range got {
				first[v]++
			}
		}
		want := rounds * min(n, size) / max(size, 1)
		for v, times := range first {
			if size == 5 && times != rounds || times < want/2 || times > want*2 {
				t.Errorf("%d of %d was picked %d times, want about %d", v, size, times, want)
			}
		}
	}
}

// Those that failed come last, also in a long list, until their time is over.
func TestCandidates(t *testing.T) {
	f := newFleet(t)
	for i := range 10_000 {
		a := attestation.Address{Hash: [32]byte{byte(i), byte(i >> 8), 1}}
		f.client.cfg.Nodes = append(f.client.cfg.Nodes, a)
		if i >= 5000 {
			f.client.fail(a)
		}
	}
	failed := func() (n int) {
		got, err := f.client.candidates(t.Context())
		if err != nil || len(got) != mostAsked {
			t.Fatalf("%d, %v", len(got), err)
		}
		for _, a := range got {
			if int(a.Hash[0])+int(a.Hash[1])<<8 >= 5000 {
				n++
			}
		}
		return n
	}
	if n := failed(); n != 0 {
		t.Errorf("%d of %d failed a moment ago", n, mostAsked)
	}
	f.now = f.now.Add(penalty)
	later := 0
	for range 50 {
		later += failed()
	}
	if later == 0 {
		t.Error("nodes that failed once are never asked again")
	}
}

func BenchmarkCandidates(b *testing.B) {
	f := newFleet(b)
	for i := range 10_000 {
		f.client.cfg.Nodes = append(f.client.cfg.Nodes, attestation.Address{Hash: [32]byte{byte(i), byte(i >> 8), 1}})
	}
	for b.Loop() {
		if _, err := f.client.candidates(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

// The proxy answers requests by names of loopback, and by those that were allowed.
func TestProxyHosts(t *testing.T) {
	f := newFleet(t)
	f.client.cfg.Nodes = []attestation.Address{f.get(1).record.Address}
	f.gateway = func(*http.Request) (*http.Response, error) { return nil, errors.New("broken") }
	const served = http.StatusServiceUnavailable // it went on to the node
	ask := func(h http.Handler, host, origin string, length int64) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodPost, "/v1/chat/completions", strings.NewReader("{}"))
		r.Host, r.ContentLength = host, length
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	closed, open := f.client.Proxy(), f.client.Proxy("ai.example", "192.0.2.7", "2001:db8::7")
	for _, c := range []struct {
		host, origin string
		closed, open int
	}{
		{"127.0.0.1:8421", "", served, served},
		{"ai.example:8421", "", 403, served},
		{"AI.example", "", 403, served},
		{"192.0.2.7:80", "", 403, served},
		{"[2001:db8::7]:80", "", 403, served},
		{"evil.example", "", 403, 403},
		{"ai.example.evil.example", "", 403, 403},
		{"", "", 403, 403},
		{"ai.example", "http://evil.example", 403, 403},
		{"ai.example", "http://ai.example", 403, 403},
	} {
		if got := ask(closed, c.host, c.origin, 2).Code; got != c.closed {
			t.Errorf("%q from %q: %d, want %d", c.host, c.origin, got, c.closed)
		}
		if got := ask(open, c.host, c.origin, 2).Code; got != c.open {
			t.Errorf("%q from %q, allowed: %d, want %d", c.host, c.origin, got, c.open)
		}
	}
	w := ask(closed, "localhost", "", maxRequest+1)
	var v struct {
		Error struct{ Message, Type, Code string }
	}
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil || w.Code != http.StatusRequestEntityTooLarge || v.Error.Code != "cocoon_too_large" || v.Error.Message == "" || v.Error.Type == "" {
		t.Errorf("too large: %d, %s", w.Code, w.Body)
	}
}

func TestLocalHost(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "localhost:8421": true, "127.0.0.1": true, "127.0.0.1:8421": true, "127.9.9.9:1": true, "[::1]:8421": true, "[::1]": true,
		"127.evil.example": false, "127.0.0.1.evil.example:8421": false, "localhost.evil.example": false, "10.0.0.1": false, "": false, "[::2]:1": false,
	} {
		if got := localHost(host); got != want {
			t.Errorf("%q: %v", host, got)
		}
	}
}

// A node whose operator moves is asked where it is now, without a new verdict.
func TestMoved(t *testing.T) {
	c := &Client{}
	old := &Node{endpoint: "http://old.test", lists: [32]byte{1}}
	n := c.renewed(old, &registry.Node{Endpoint: "http://new.test"})
	if n.endpoint != "http://new.test" || n.lists != old.lists || old.endpoint != "http://old.test" {
		t.Errorf("%+v", n)
	}
}

// A registry may list many nodes, and a caller ask for any: memory stays bounded.
func TestBoundedNodes(t *testing.T) {
	c := &Client{cfg: Config{Now: time.Now}}
	c.forgetAll()
	for i := range maxNodes + 100 {
		a := attestation.Address{Hash: [32]byte{byte(i), byte(i >> 8)}}
		c.entry(a)
		c.fail(a)
	}
	if c.nodes.len() != maxNodes || c.failed.len() != maxNodes {
		t.Errorf("%d nodes, %d failed", c.nodes.len(), c.failed.len())
	}
}

// OpenAI's clients repeat what failed: not what may have run.
func TestProxyRepeats(t *testing.T) {
	for err, want := range map[error]string{
		attestation.Unknown("no connection"):                               "",
		fmt.Errorf("%w; %w", attestation.Unknown("broken"), ErrMayHaveRun): "false",
		attestation.Refused("no"):                                          "false",
	} {
		w := httptest.NewRecorder()
		proxyFailed(w, err)
		if got := w.Header().Get("X-Should-Retry"); got != want {
			t.Errorf("%v: %q", err, got)
		}
	}
}
