package client

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
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
		_, sent, err := x.post(t.Context(), "http://relay.test", io.NopCloser(strings.NewReader("sealed")))
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
	post := func() (bool, error) {
		_, sent, err := x.post(t.Context(), s.URL, io.NopCloser(strings.NewReader("sealed")))
		return sent, err
	}
	if sent, err := post(); !sent || err == nil {
		t.Errorf("broken off: sent %v, %v", sent, err)
	}
	s.Close()
	if sent, err := post(); sent || err == nil {
		t.Errorf("nobody listens: sent %v, %v", sent, err)
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
