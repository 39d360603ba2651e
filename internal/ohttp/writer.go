package ohttp

import (
	"errors"
	"fmt"
	"io"

	"github.com/cocoon-go/cocoon/internal/bhttp/varint"
)

// MaxChunk is the most plaintext in a chunk, in bytes: what every
// implementation of the draft must be able to read.
const MaxChunk = 1 << 14

// final is the additional data of a final chunk.
var final = []byte("final")

var errSealed = errors.New("ohttp: the message has had its final chunk")

// Sealer seals one message, chunk by chunk. After an error it is of no more
// use. Not safe for concurrent use.
type Sealer struct {
	prefix []byte // goes before the first chunk
	seal   sealer
	done   bool
}

// Append seals chunk and appends it to dst with its length before it; the
// first call also appends what a message starts with. A final chunk may be
// empty, another may not, and none is over [MaxChunk] bytes. After the final
// chunk the stream below must end. dst must not overlap chunk.
func (s *Sealer) Append(dst, chunk []byte, last bool) ([]byte, error) {
	switch {
	case s.done:
		return dst, errSealed
	case len(chunk) > MaxChunk:
		return dst, fmt.Errorf("ohttp: chunk of %d bytes, at most %d", len(chunk), MaxChunk)
	case len(chunk) == 0 && !last:
		return dst, errors.New("ohttp: only a final chunk may be empty")
	}
	dst = append(dst, s.prefix...)
	s.prefix = nil
	s.done = last
	if last {
		return s.seal.appendSealed(append(dst, 0), final, chunk)
	}
	return s.seal.appendSealed(varint.Append(dst, uint64(len(chunk)+tagSize)), nil, chunk)
}

// Writer seals what is written to it. Each Write becomes one chunk, or several
// when it is over [MaxChunk] bytes, and each chunk one Write below. Close makes
// the final chunk; without it the message is truncated. Not safe for
// concurrent use.
type Writer struct {
	s   *Sealer
	w   io.Writer
	buf []byte
	err error // sticky
}

// NewWriter returns a Writer that seals with s to w.
func NewWriter(w io.Writer, s *Sealer) *Writer { return &Writer{s: s, w: w} }

// Write seals p.
func (w *Writer) Write(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		m := min(MaxChunk, len(p)-n)
		if err := w.chunk(p[n:n+m], false); err != nil {
			return n, err
		}
		n += m
	}
	return n, w.err
}

// Close seals an empty final chunk. It does not close the writer below.
func (w *Writer) Close() error { return w.chunk(nil, true) }

func (w *Writer) chunk(p []byte, last bool) error {
	if w.err != nil {
		return w.err
	}
	if w.buf, w.err = w.s.Append(w.buf[:0], p, last); w.err != nil {
		return w.err
	}
	if _, w.err = w.w.Write(w.buf); w.err != nil {
		return w.err
	}
	if last {
		w.buf, w.err = nil, errSealed
	}
	return nil
}
