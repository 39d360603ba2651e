package host

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cocoon-go/cocoon/internal/memnet"
	"github.com/cocoon-go/cocoon/internal/pace"
)

const gatewayPath = "/.well-known/ohttp-gateway"

// testRelay puts a relay with short waits in front of a handler, in the test's bubble:
// its clock goes on when all wait. Whatever is dialled is the relay.
func testRelay(t *testing.T, idle, total time.Duration, enclave http.HandlerFunc) (relay *memnet.Listener) {
	t.Helper()
	inside := serveInMemory(t, enclave)
	own := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "own") })
	u := &url.URL{Scheme: "http", Host: "enclave"}
	return serveInMemory(t, pace.Handler(forward(inside.Dial, u, own, slog.New(slog.DiscardHandler)), idle, total))
}

func serveInMemory(t *testing.T, h http.Handler) *memnet.Listener {
	t.Helper()
	l := memnet.Listen()
	s := &http.Server{Handler: h}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() {
		s.Close()
		time.Sleep(time.Hour) // package http lets go of connections in its own time
	})
	return l
}

// toRelay is a client whose connections are to the relay.
func toRelay(relay *memnet.Listener) *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: relay.Dial, IdleConnTimeout: time.Minute}}
}

func echo(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	fmt.Fprintf(w, "%s %d", r.URL.Path, len(b))
}

// The relay passes the public paths, and no header that could tell a client from
// another.
func TestRelayPaths(t *testing.T) { synctest.Test(t, testRelayPaths) }

func testRelayPaths(t *testing.T) {
	var seen http.Header
	s := testRelay(t, time.Second, time.Second, func(w http.ResponseWriter, r *http.Request) { seen = r.Header; echo(w, r) })
	for path, want := range map[string]string{
		gatewayPath:                             gatewayPath + " 3",
		"/.well-known/cocoon/bundle":            "/.well-known/cocoon/bundle 3",
		"/.well-known/cocoon/endorsements":      "own",
		"/log/tile/0/000.p/3":                   "/log/tile/0/000.p/3 3",
		"/.well-known/cocoon/state":             "404 page not found\n",
		"/":                                     "404 page not found\n",
		"/.well-known/cocoon/bundle/../../etc/": "404 page not found\n",
	} {
		req, err := http.NewRequest(http.MethodPost, "http://relay"+path, strings.NewReader("abc"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header = http.Header{"Cookie": {"a=b"}, "X-Forwarded-For": {"192.0.2.1"}, "User-Agent": {"me"}, "Content-Type": {"a/b"}}
		resp, err := toRelay(s).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", path, got, err)
		}
	}
	if seen.Get("Cookie") != "" || seen.Get("User-Agent") != "" || seen.Get("X-Forwarded-For") != "" || seen.Get("Content-Type") != "a/b" {
		t.Errorf("the enclave was told %v", seen)
	}
}

// A request in drops ends when its time is over, and the client is told whose
// fault that was.
func TestRelayTrickle(t *testing.T) {
	const idle, total = 2 * time.Second, 6 * time.Second
	for _, c := range []struct {
		path  string
		drops bool
		after time.Duration
		want  string
	}{
		{gatewayPath, false, idle, "HTTP/1.1 408"},
		{gatewayPath, true, total, "HTTP/1.1 408"},
		{"/.well-known/cocoon/endorsements", false, idle, ""},
		{"/nowhere", false, idle, ""},
	} {
		t.Run(fmt.Sprint(c.path, c.drops), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				conn, err := testRelay(t, idle, total, echo).Dial(t.Context(), "", "")
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				begun := time.Now()
				_ = conn.SetReadDeadline(begun.Add(time.Minute))
				fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: relay\r\nContent-Length: 1000\r\n\r\n", c.path)
				if c.drops {
					go func() {
						for range 1000 {
							if _, err := conn.Write([]byte{1}); err != nil {
								return
							}
							time.Sleep(idle / 10)
						}
					}()
				}
				answer, err := io.ReadAll(conn)
				took := time.Since(begun)
				var timeout net.Error
				if errors.As(err, &timeout) && timeout.Timeout() {
					t.Fatalf("the connection is held for %s", took)
				}
				if took < c.after || took > c.after+idle || !strings.HasPrefix(string(answer), c.want) {
					t.Errorf("after %s: %.60q", took, answer)
				}
			})
		})
	}
}

// A client that takes nothing of its answer lets go of the enclave. The proxy waits
// for a lock then, which no bubble's clock can wait for: this is the system's network.
func TestRelayAnswerNotTaken(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{})
	e := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(gone)
		for buf := make([]byte, 64<<10); ; {
			if _, err := w.Write(buf); err != nil {
				return
			}
		}
	}))
	t.Cleanup(e.Close)
	u, err := url.Parse(e.URL)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(pace.Handler(forward(new(net.Dialer).DialContext, u, http.NotFoundHandler(), slog.New(slog.DiscardHandler)), 200*time.Millisecond, time.Second))
	t.Cleanup(s.Close)
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /.well-known/cocoon/bundle HTTP/1.1\r\nHost: relay\r\n\r\n")
	select {
	case <-gone:
	case <-time.After(time.Minute):
		t.Fatal("the relay still waits for a client that takes nothing")
	}
}

// What goes on, however long, is not cut off; nor is the next request on the
// same connection.
func TestRelayLongAnswer(t *testing.T) { synctest.Test(t, testRelayLongAnswer) }

func testRelayLongAnswer(t *testing.T) {
	const idle, total = 3 * time.Second, 6 * time.Second
	relay := testRelay(t, idle, total, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		for range 12 {
			time.Sleep(idle * 3 / 4)
			_, _ = w.Write([]byte("piece "))
			_ = http.NewResponseController(w).Flush()
			if r.Context().Err() != nil {
				return
			}
		}
	})
	c := toRelay(relay)
	for range 2 {
		resp, err := c.Post("http://relay"+gatewayPath, "a/b", bytes.NewReader(make([]byte, 100)))
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || string(b) != strings.Repeat("piece ", 12) {
			t.Fatalf("%q, %v", b, err)
		}
		time.Sleep(idle + idle/3) // longer than a deadline that was left over
	}
}

// A request over the limit is the client's fault.
func TestRelayTooLarge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		relay := testRelay(t, 5*time.Second, 20*time.Second, echo)
		resp, err := toRelay(relay).Post("http://relay"+gatewayPath, "a/b", io.LimitReader(zeros{}, maxSealed+1))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("status %d", resp.StatusCode)
		}
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
