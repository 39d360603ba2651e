package pace

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cocoon-go/cocoon/internal/memnet"
)

const (
	idle  = 2 * time.Second
	total = 6 * time.Second
)

// serve runs a server in the test's bubble, whose clock goes on when all wait.
func serve(t *testing.T, h http.HandlerFunc) *memnet.Listener {
	t.Helper()
	l := memnet.Listen()
	s := &http.Server{Handler: Handler(h, idle, total)}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() {
		s.Close()
		time.Sleep(time.Minute) // package http lets go of connections in its own time
	})
	return l
}

func dial(t *testing.T, l *memnet.Listener) net.Conn {
	t.Helper()
	c, err := l.Dial(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(time.Hour)) // only ends tests that fail
	return c
}

// drip sends bytes until that fails, a tenth of idle apart.
func drip(c net.Conn) {
	for {
		if _, err := c.Write([]byte{1}); err != nil {
			return
		}
		time.Sleep(idle / 10)
	}
}

// TestBody: a body that stops, or comes in drops, ends the handler's reads.
func TestBody(t *testing.T) {
	for name, c := range map[string]struct {
		drops bool
		want  time.Duration
	}{
		"nothing comes": {false, idle},
		"drops come":    {true, total},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				type end struct {
					err  error
					slow bool
					took time.Duration
				}
				got := make(chan end, 1)
				l := serve(t, func(_ http.ResponseWriter, r *http.Request) {
					begun := time.Now()
					_, err := io.Copy(io.Discard, r.Body)
					got <- end{err, Slow(r), time.Since(begun)}
				})
				conn := dial(t, l)
				fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
				if c.drops {
					go drip(conn)
				}
				e := <-got
				var timeout net.Error
				if !errors.As(e.err, &timeout) || !timeout.Timeout() || !e.slow {
					t.Errorf("the handler got %v, slow %v", e.err, e.slow)
				}
				if e.took != c.want {
					t.Errorf("it took %s, want %s", e.took, c.want)
				}
			})
		})
	}
}

// TestQuickBody: a client that sends well is not slow, nor one that goes away.
func TestQuickBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := make(chan bool, 1)
		l := serve(t, func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			slow <- Slow(r)
		})
		for _, body := range []string{"0123456789", "01234"} {
			conn := dial(t, l)
			fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n%s", body)
			if len(body) < 10 {
				conn.Close()
			}
			if <-slow {
				t.Errorf("%q was slow", body)
			}
		}
	})
}

// TestUnreadBody: nobody reads the body, and its client stops sending it.
func TestUnreadBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := dial(t, serve(t, func(w http.ResponseWriter, _ *http.Request) { http.NotFound(w, nil) }))
		begun := time.Now()
		fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n")
		_, err := io.ReadAll(conn) // to the end of the connection
		var timeout net.Error
		if took := time.Since(begun); took > 2*idle || errors.As(err, &timeout) && timeout.Timeout() {
			t.Errorf("after %s: %v", took, err)
		}
	})
}

// TestAnswerNotTaken: a client that takes nothing ends the handler's writes.
func TestAnswerNotTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := make(chan error, 1)
		l := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			var err error
			for big := make([]byte, 1<<20); err == nil; {
				if _, err = w.Write(big); err == nil {
					err = http.NewResponseController(w).Flush()
				}
			}
			got <- err
		})
		begun := time.Now()
		fmt.Fprintf(dial(t, l), "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		var timeout net.Error
		if err := <-got; !errors.As(err, &timeout) || !timeout.Timeout() || time.Since(begun) != idle {
			t.Errorf("after %s: %v", time.Since(begun), err)
		}
	})
}

// TestSlowAnswer: an answer in pieces may take longer than any limit.
func TestSlowAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const pieces = 12
		l := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			for range pieces {
				_, _ = io.WriteString(w, "piece") // waits in a buffer
				time.Sleep(idle * 2)
				_ = http.NewResponseController(w).Flush()
				time.Sleep(idle / 2)
			}
		})
		conn := dial(t, l)
		fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if b, err := io.ReadAll(resp.Body); err != nil || len(b) != pieces*len("piece") {
			t.Errorf("a slow stream: %d bytes, %v", len(b), err)
		}
	})
}

// TestNextRequest: deadlines of a request do not end the next one on its
// connection, nor does its body reach into it.
func TestNextRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var first io.Reader
		l := serve(t, func(_ http.ResponseWriter, r *http.Request) {
			if first == nil {
				first = r.Body
				_, _ = io.Copy(io.Discard, r.Body)
				return
			}
			time.Sleep(total) // the first body's time is over
			if _, err := first.Read(make([]byte, 1)); !errors.Is(err, http.ErrBodyReadAfterClose) {
				t.Errorf("the first request's body: %v", err)
			}
			select {
			case <-r.Context().Done():
				t.Error("the first request's body ended the second request")
			case <-time.After(idle / 4):
			}
		})
		conn := dial(t, l)
		in := bufio.NewReader(conn)
		for _, request := range []string{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"} {
			if _, err := io.WriteString(conn, request); err != nil {
				t.Fatal(err)
			}
			resp, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
		}
	})
}

// TestPipeline: many requests, and nobody takes the answers, which the handler does
// not write itself.
func TestPipeline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := dial(t, serve(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 60<<10)) }))
		for {
			_, err := io.WriteString(conn, strings.Repeat("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 100))
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() {
				t.Fatal("the server waits for good")
			}
			if err != nil {
				return
			}
		}
	})
}
