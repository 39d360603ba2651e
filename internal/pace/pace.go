// Package pace gives up on HTTP/1 peers that send a request, or take an answer, in
// drops: whoever does holds a connection, and maybe a slot of an engine, for good.
// It works on the connection's deadlines, so the handler's reads and writes fail;
// nothing waits in a goroutine of its own.
package pace

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

// Handler paces the peers of h: each piece of a request's body or of an answer
// must pass within idle, and a whole body within total. A body that h does not
// read must come within idle too. An answer may take any time, as long as pieces
// pass.
func Handler(h http.Handler, idle, total time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := &writer{ResponseWriter: w, rc: http.NewResponseController(w), idle: idle}
		if r.ContentLength != 0 {
			_ = p.rc.SetReadDeadline(time.Now().Add(idle)) // for bodies that nobody reads
			paced := &body{ReadCloser: r.Body, rc: p.rc, idle: idle, end: time.Now().Add(total)}
			r = r.WithContext(context.WithValue(r.Context(), bodyKey{}, paced))
			r.Body = paced
			defer paced.over()
		}
		h.ServeHTTP(p, r)
		p.extend() // for what package http has yet to write
	})
}

type bodyKey struct{}

// Slow reports whether a request was given up because its body did not
// come in time. The error of a proxy does not always tell.
func Slow(r *http.Request) bool {
	b, ok := r.Context().Value(bodyKey{}).(*body)
	return ok && b.slow.Load()
}

// body extends the deadline of the connection before every read. Package
// http lifts it when the body is whole: an answer may take longer.
type body struct {
	io.ReadCloser
	rc   *http.ResponseController
	idle time.Duration
	end  time.Time
	slow atomic.Bool

	mu     sync.Mutex
	closed bool // the connection may be in another request
}

func (b *body) Read(p []byte) (int, error) {
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

func (b *body) deadline(at time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return http.ErrBodyReadAfterClose
	}
	return b.rc.SetReadDeadline(at)
}

func (b *body) Close() error {
	b.over()
	return b.ReadCloser.Close()
}

// over leaves the connection alone from now on.
func (b *body) over() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
}

// writer extends the deadline of the connection before every write.
type writer struct {
	http.ResponseWriter
	rc   *http.ResponseController
	idle time.Duration
}

func (p *writer) extend() { _ = p.rc.SetWriteDeadline(time.Now().Add(p.idle)) }

func (p *writer) WriteHeader(status int) {
	p.extend()
	p.ResponseWriter.WriteHeader(status)
}

func (p *writer) Write(b []byte) (int, error) {
	p.extend()
	return p.ResponseWriter.Write(b)
}

// FlushError implements what http.ResponseController looks for.
func (p *writer) FlushError() error {
	p.extend()
	return p.rc.Flush()
}

// Unwrap lets http.ResponseController reach the connection.
func (p *writer) Unwrap() http.ResponseWriter { return p.ResponseWriter }
