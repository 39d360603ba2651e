package host

import (
	"bytes"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
)

// pieces is both ends of an answer that passes. Each piece leaves at once, except
// that the header waits for the first, and the last for the end: so neither takes
// a write of its own.
type pieces struct {
	http.ResponseWriter
	from  io.ReadCloser
	some  bool // a piece was written and not flushed; the proxy's lock guards it
	ended atomic.Bool
}

func (p *pieces) Read(b []byte) (int, error) {
	n, err := p.from.Read(b)
	p.ended.Store(err == io.EOF)
	return n, err
}

func (p *pieces) Close() error { return p.from.Close() }

func (p *pieces) Write(b []byte) (int, error) {
	p.some = true
	return p.ResponseWriter.Write(b)
}

type piecesKey struct{}

// FlushError implements what http.ResponseController looks for.
func (p *pieces) FlushError() error {
	if !p.some || p.ended.Load() {
		return nil
	}
	p.some = false
	return http.NewResponseController(p.ResponseWriter).Flush()
}

// maxSmall bounds the requests that are read before they are passed on, and so
// take one write and wake the enclave once.
const maxSmall = 16 << 10

// inMemory is a request's body that was read.
type inMemory struct{ *bytes.Reader }

func (inMemory) Close() error { return nil }

// readSmall reads the body of a request that is small.
func readSmall(r *http.Request) error {
	if r.ContentLength <= 0 || r.ContentLength > maxSmall {
		return nil
	}
	b := make([]byte, r.ContentLength)
	if _, err := io.ReadFull(r.Body, b); err != nil {
		return err
	}
	r.Body = inMemory{bytes.NewReader(b)}
	return nil
}

// buffers lends the memory that answers are copied through.
type buffers struct{ sync.Pool }

func (b *buffers) Get() []byte {
	if p, ok := b.Pool.Get().(*[]byte); ok {
		return *p
	}
	return make([]byte, 32<<10)
}

func (b *buffers) Put(p []byte) { b.Pool.Put(&p) }
