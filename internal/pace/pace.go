package host

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// paced gives up on peers that send a request, or take an answer, in drops: each
// piece must pass within idle, and a request within total.
func paced(h http.Handler, idle, total time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := &pacedWriter{ResponseWriter: w, rc: http.NewResponseController(w), idle: idle}
		if r.ContentLength != 0 {
			_ = p.rc.SetReadDeadline(time.Now().Add(idle)) // for bodies that nobody reads
			b := &pacedBody{ReadCloser: r.Body, rc: p.rc, idle: idle, end: time.Now().Add(total)}
			r = r.WithContext(context.WithValue(r.Context(), bodyKey{}, b))
			r.Body = b
		}
		p.extend() // the last request on this connection left its own
		h.ServeHTTP(p, r)
	})
}

type bodyKey struct{}

// cameSlowly reports whether a request was given up because its body did not
// come in time. The error of a proxy does not always tell.
func cameSlowly(r *http.Request) bool {
	b, ok := r.Context().Value(bodyKey{}).(*pacedBody)
	return ok && b.slow.Load()
}

// pacedBody extends the deadline of the connection before every read. Package
// http lifts it when the body is whole: an answer may take longer.
type pacedBody struct {
	io.ReadCloser
	rc   *http.ResponseController
	idle time.Duration
	end  time.Time
	slow atomic.Bool

	mu     sync.Mutex
	closed bool // the connection may be in another request
}

func (b *pacedBody) Read(p []byte) (int, error) {
	next := time.Now().Add(b.idle)
	if next.After(b.end) {
		next = b.end
	}
	if err := b.deadline(next); err != nil {
		return 0, err
	}
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		b.slow.Store(true)
	}
	return n, err
}

func (b *pacedBody) deadline(at time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return http.ErrBodyReadAfterClose
	}
	return b.rc.SetReadDeadline(at)
}

func (b *pacedBody) Close() error {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	return b.ReadCloser.Close()
}

// pacedWriter extends the deadline of the connection before every write.
type pacedWriter struct {
	http.ResponseWriter
	rc   *http.ResponseController
	idle time.Duration
}

func (p *pacedWriter) extend() { _ = p.rc.SetWriteDeadline(time.Now().Add(p.idle)) }

func (p *pacedWriter) WriteHeader(status int) {
	p.extend()
	p.ResponseWriter.WriteHeader(status)
}

func (p *pacedWriter) Write(b []byte) (int, error) {
	p.extend()
	return p.ResponseWriter.Write(b)
}

// FlushError implements what http.ResponseController looks for.
func (p *pacedWriter) FlushError() error {
	p.extend()
	return p.rc.Flush()
}

// Unwrap lets http.ResponseController reach the connection.
func (p *pacedWriter) Unwrap() http.ResponseWriter { return p.ResponseWriter }
