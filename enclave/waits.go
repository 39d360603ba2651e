package enclave

import (
	"io"
	"net/http"
	"time"
)

// Waits bounds how long a peer may take to send a request, or to take its
// answer. Zero fields have defaults.
type Waits struct {
	Header time.Duration // for an HTTP header; default 10 s
	Idle   time.Duration // for one piece of a sealed request or of an answer; default 30 s
	Total  time.Duration // for a whole sealed request; default 3 minutes
}

func (w *Waits) defaults() {
	for _, d := range []struct {
		to       *time.Duration
		fallback time.Duration
	}{{&w.Header, 10 * time.Second}, {&w.Idle, 30 * time.Second}, {&w.Total, 3 * time.Minute}} {
		if *d.to <= 0 {
			*d.to = d.fallback
		}
	}
}

// idleReader extends a deadline before every read: a body that trickles is cut
// off when a piece, or the whole of it, takes too long.
type idleReader struct {
	r      io.Reader
	extend func() error
}

func (i *idleReader) Read(p []byte) (int, error) {
	if err := i.extend(); err != nil {
		return 0, err
	}
	return i.r.Read(p)
}

// paced gives up on a peer that stops taking its answer, which would hold a slot
// of the engine for good, and on one that stops sending a body that nobody
// reads.
func paced(h http.Handler, idle time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := &pacedWriter{ResponseWriter: w, rc: http.NewResponseController(w), idle: idle}
		if r.ContentLength != 0 {
			_ = p.rc.SetReadDeadline(time.Now().Add(idle))
		}
		p.extend() // the last request on this connection left its own
		h.ServeHTTP(p, r)
	})
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
