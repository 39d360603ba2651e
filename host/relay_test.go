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
	"time"

	"github.com/cocoon-go/cocoon/internal/pace"
)

const gatewayPath = "/.well-known/ohttp-gateway"

// testRelay puts a relay with short waits in front of a handler.
func testRelay(t *testing.T, idle, total time.Duration, enclave http.HandlerFunc) *httptest.Server {
	t.Helper()
	e := httptest.NewServer(enclave)
	t.Cleanup(e.Close)
	u, err := url.Parse(e.URL)
	if err != nil {
		t.Fatal(err)
	}
	own := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "own") })
	s := httptest.NewServer(pace.Handler(forward(u, own, slog.New(slog.DiscardHandler)), idle, total))
	t.Cleanup(s.Close)
	return s
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
func TestRelayPaths(t *testing.T) {
	t.Parallel()
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
		req, err := http.NewRequest(http.MethodPost, s.URL+path, strings.NewReader("abc"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header = http.Header{"Cookie": {"a=b"}, "X-Forwarded-For": {"192.0.2.1"}, "User-Agent": {"me"}, "Content-Type": {"a/b"}}
		resp, err := http.DefaultClient.Do(req)
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
	t.Parallel()
	const idle, total = 200 * time.Millisecond, 600 * time.Millisecond
	s := testRelay(t, idle, total, echo)
	for _, c := range []struct {
		path  string
		drops bool
		least time.Duration
		want  string
	}{
		{gatewayPath, false, idle, "HTTP/1.1 408"},
		{gatewayPath, true, total, "HTTP/1.1 408"},
		{"/.well-known/cocoon/endorsements", false, idle, ""},
		{"/nowhere", false, idle, ""},
	} {
		t.Run(fmt.Sprint(c.path, c.drops), func(t *testing.T) {
			t.Parallel()
			conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			begun := time.Now()
			_ = conn.SetReadDeadline(begun.Add(10 * time.Second))
			fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: relay\r\nContent-Length: 1000\r\n\r\n", c.path)
			if c.drops {
				tick := time.NewTicker(idle / 10)
				defer tick.Stop()
				go func() {
					for range 1000 {
						if _, err := conn.Write([]byte{1}); err != nil {
							return
						}
						<-tick.C
					}
				}()
			}
			answer, err := io.ReadAll(conn)
			took := time.Since(begun)
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() {
				t.Fatalf("the connection is held for %s", took)
			}
			if took < c.least/2 || !strings.HasPrefix(string(answer), c.want) {
				t.Errorf("after %s: %.60q", took, answer)
			}
		})
	}
}

// A client that takes nothing of its answer lets go of the enclave.
func TestRelayAnswerNotTaken(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{})
	s := testRelay(t, 200*time.Millisecond, time.Second, func(w http.ResponseWriter, r *http.Request) {
		defer close(gone)
		for buf := make([]byte, 64<<10); ; {
			if _, err := w.Write(buf); err != nil {
				return
			}
		}
	})
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /.well-known/cocoon/bundle HTTP/1.1\r\nHost: relay\r\n\r\n")
	select {
	case <-gone:
	case <-time.After(10 * time.Second):
		t.Fatal("the relay still waits for a client that takes nothing")
	}
}

// What goes on, however long, is not cut off; nor is the next request on the
// same connection.
func TestRelayLongAnswer(t *testing.T) {
	t.Parallel()
	const idle, total = 300 * time.Millisecond, 600 * time.Millisecond
	s := testRelay(t, idle, total, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		for range 12 {
			time.Sleep(idle / 4)
			_, _ = w.Write([]byte("piece "))
			_ = http.NewResponseController(w).Flush()
			if r.Context().Err() != nil {
				return
			}
		}
	})
	c := &http.Client{Transport: &http.Transport{}}
	defer c.CloseIdleConnections()
	for range 2 {
		resp, err := c.Post(s.URL+gatewayPath, "a/b", bytes.NewReader(make([]byte, 100)))
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
	t.Parallel()
	s := testRelay(t, 5*time.Second, 20*time.Second, echo)
	resp, err := http.Post(s.URL+gatewayPath, "a/b", io.LimitReader(zeros{}, maxSealed+1))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("status %d", resp.StatusCode)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
