package system

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cocoon-go/cocoon/internal/endorse"
)

// relay stands where an operator stands: between clients and an enclave. It
// records every byte that it gets and gives, and lies where a test says so. The
// hooks are set before the first request.
type relay struct {
	url    string
	server *httptest.Server
	target atomic.Pointer[string] // URL of the enclave
	heard  recorder
	posts  atomic.Int64 // requests to the gateway

	bundle       func(honest []byte) []byte
	endorsements func() []byte
	tile         func(path string, honest []byte) []byte
	public       map[string]http.HandlerFunc // in place of public files, by path
	gateway      http.HandlerFunc            // in place of passing requests on
}

// recorder keeps what went over all connections of a listener.
type recorder struct {
	mu   sync.Mutex
	data bytes.Buffer
}

func (r *recorder) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.data.Write(p)
}

func (r *recorder) bytes() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return bytes.Clone(r.data.Bytes())
}

type recordingListener struct {
	net.Listener
	to io.Writer
}

func (l recordingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return recordingConn{c, l.to}, nil
}

type recordingConn struct {
	net.Conn
	to io.Writer
}

func (c recordingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.to.Write(p[:n])
	return n, err
}

func (c recordingConn) Write(p []byte) (int, error) {
	c.to.Write(p)
	return c.Conn.Write(p)
}

// newRelay returns a relay in front of an enclave.
func (r *runtime) newRelay(t testing.TB, change ...func(*relay)) *relay {
	t.Helper()
	l := &relay{}
	l.target.Store(&r.url)
	l.endorsements = func() []byte { return r.w.endorsementSet(t) }
	for _, f := range change {
		f(l)
	}
	l.server = httptest.NewUnstartedServer(l)
	l.server.Listener = recordingListener{l.server.Listener, &l.heard}
	l.server.Start()
	l.url = l.server.URL
	t.Cleanup(l.server.Close)
	return l
}

func (l *relay) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case l.public[r.URL.Path] != nil:
		l.public[r.URL.Path](w, r)
	case r.URL.Path == "/.well-known/ohttp-gateway":
		l.posts.Add(1)
		if l.gateway != nil {
			l.gateway(w, r)
			return
		}
		l.pass(w, r)
	case r.URL.Path == endorse.Path:
		w.Write(l.endorsements())
	case r.URL.Path == "/.well-known/cocoon/bundle" && l.bundle != nil:
		w.Write(l.bundle(l.fetch(r.URL.Path)))
	case strings.HasPrefix(r.URL.Path, "/log/tile/") && l.tile != nil:
		data := l.tile(r.URL.Path, l.fetch(r.URL.Path))
		if data == nil {
			http.NotFound(w, r)
			return
		}
		w.Write(data)
	default:
		l.pass(w, r)
	}
}

// pass hands a request on as it is.
func (l *relay) pass(w http.ResponseWriter, r *http.Request) {
	u, err := url.Parse(*l.target.Load())
	if err != nil {
		panic(err)
	}
	p := httputil.NewSingleHostReverseProxy(u)
	p.FlushInterval = -1
	p.ServeHTTP(w, r)
}

// fetch asks the enclave for one of its public files.
func (l *relay) fetch(path string) []byte {
	resp, err := http.Get(*l.target.Load() + path)
	if err != nil {
		return nil
	}
	defer resp.Body.Close()
	data, _ := io.ReadAll(resp.Body)
	return data
}

// forward sends a sealed request to the enclave and returns its whole answer.
func (l *relay) forward(r *http.Request) (status int, contentType string, body []byte) {
	in, err := io.ReadAll(r.Body)
	if err != nil {
		return http.StatusBadGateway, "", nil
	}
	return l.send(r.Header.Get("Content-Type"), in)
}

func (l *relay) send(contentType string, sealed []byte) (int, string, []byte) {
	resp, err := http.Post(*l.target.Load()+"/.well-known/ohttp-gateway", contentType, bytes.NewReader(sealed))
	if err != nil {
		return http.StatusBadGateway, "", nil
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return http.StatusBadGateway, "", nil
	}
	return resp.StatusCode, resp.Header.Get("Content-Type"), body
}

// holds reports which part of a secret is in data, plain or in the encodings
// that a program might use.
func holds(data []byte, secret string) (what string, found bool) {
	const part = 8 // shorter pieces turn up by chance
	for i := 0; i+part <= len(secret); i++ {
		p := secret[i : i+part]
		if bytes.Contains(data, []byte(p)) {
			return fmt.Sprintf("%q", p), true
		}
		h := hex.EncodeToString([]byte(p))
		if bytes.Contains(data, []byte(h)) || bytes.Contains(data, []byte(strings.ToUpper(h))) {
			return fmt.Sprintf("%q in hexadecimal", p), true
		}
	}
	for skip := range min(3, len(secret)) {
		rest := secret[skip:]
		rest = rest[:len(rest)/3*3]
		for i := 0; i+9 <= len(rest); i += 3 {
			for _, e := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
				if b := e.EncodeToString([]byte(rest[i : i+9])); bytes.Contains(data, []byte(b)) {
					return fmt.Sprintf("%q in base64", rest[i:i+9]), true
				}
			}
		}
	}
	return "", false
}

// heardNothingOf fails the test when the relay saw any part of a secret, in a
// request or in an answer.
func (l *relay) heardNothingOf(t testing.TB, secret string) {
	t.Helper()
	data := l.heard.bytes()
	if what, found := holds(data, secret); found {
		t.Errorf("the server received %s of the prompt, in %d bytes", what, len(data))
	}
}

// heardNoRequest fails the test when a request left the client, sealed or not.
func (l *relay) heardNoRequest(t testing.TB, secret string) {
	t.Helper()
	if n := l.posts.Load(); n != 0 {
		t.Errorf("the server received %d sealed requests, want none", n)
	}
	if bytes.Contains(l.heard.bytes(), []byte("POST ")) {
		t.Error("the server received a POST")
	}
	l.heardNothingOf(t, secret)
}
