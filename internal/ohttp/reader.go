package ohttp

import (
	"fmt"
	"io"
	"sync"

	"github.com/cocoon-go/cocoon/internal/bhttp/varint"
)

// Reader opens the chunks of one message. Use either Next or Read. Errors wrap
// [ErrTruncated], [ErrAuthentication] or [ErrMalformed], or are what the reader
// below returned; they are sticky. Not safe for concurrent use.
type Reader struct {
	src    io.Reader
	prefix int // bytes before the first chunk, 0 when they were read
	start  func(prefix []byte) (opener, error)
	op     opener

	buf  *[bufSize]byte // read and not yet used: buf[r:w]
	r, w int
	rest []byte // of the chunk that Read is in
	done bool   // the final chunk was opened
	end  error  // what src ended with
	err  error
}

// bufSize is room for a chunk and what may lie before it.
const bufSize = 32 << 10

var buffers = sync.Pool{New: func() any { return new([bufSize]byte) }}

// Next returns the plaintext of the next chunk, which is valid until the next
// call, and whether it is the final one. After the final one it returns io.EOF.
func (r *Reader) Next() (chunk []byte, last bool, err error) {
	if r.err == nil && r.done {
		r.err = io.EOF
	}
	if r.err == nil {
		if r.buf == nil {
			r.buf = buffers.Get().(*[bufSize]byte)
		}
		if chunk, r.err = r.next(); r.err == nil {
			return chunk, r.done, nil
		}
	}
	r.release()
	return nil, false, r.err
}

// Read implements io.Reader.
func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(r.rest) == 0 {
		var err error
		if r.rest, _, err = r.Next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// release wipes the buffer and gives it back.
func (r *Reader) release() {
	if r.buf != nil {
		clear(r.buf[:])
		buffers.Put(r.buf)
		r.buf, r.rest = nil, nil
	}
}

func (r *Reader) next() ([]byte, error) {
	if r.op == nil {
		if err := r.fill(r.prefix); err != nil {
			return nil, truncated(err)
		}
		op, err := r.start(r.buf[r.r : r.r+r.prefix])
		if err != nil {
			return nil, err
		}
		r.op = op
		r.r += r.prefix
	}
	if err := r.fill(1); err != nil {
		return nil, truncated(err)
	}
	if err := r.fill(varint.SizeOf(r.buf[r.r])); err != nil {
		return nil, truncated(err)
	}
	v, n, err := varint.Parse(r.buf[r.r:r.w])
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	r.r += n
	if v == 0 {
		return r.last()
	}
	// "A receiver MUST treat the receipt of a chunk that contains no data as
	// equivalent to a decryption error, unless that chunk is the final chunk."
	if v <= tagSize || v > MaxChunk+tagSize {
		return nil, fmt.Errorf("%w: chunk of %d bytes", ErrMalformed, v)
	}
	size := int(v)
	if err := r.fill(size); err != nil {
		return nil, truncated(err)
	}
	sealed := r.buf[r.r : r.r+size]
	r.r += size
	chunk, err := r.op.open(nil, sealed)
	if err != nil {
		return nil, ErrAuthentication
	}
	return chunk, nil
}

// last opens the final chunk, which goes to the end of the input.
func (r *Reader) last() ([]byte, error) {
	err := r.fill(MaxChunk + tagSize + 1)
	if err == nil {
		return nil, fmt.Errorf("%w: final chunk is over %d bytes", ErrMalformed, MaxChunk+tagSize)
	}
	if err != io.EOF {
		return nil, truncated(err)
	}
	sealed := r.buf[r.r:r.w]
	if len(sealed) < tagSize {
		return nil, ErrTruncated
	}
	chunk, err := r.op.open(final, sealed)
	if err != nil {
		return nil, &FinalError{Size: len(sealed) - tagSize}
	}
	r.r, r.done = r.w, true
	return chunk, nil
}

// fill reads until n bytes are in the buffer, or returns what the input ended
// with.
func (r *Reader) fill(n int) error {
	if r.r == r.w {
		r.r, r.w = 0, 0
	} else if r.r+n > bufSize {
		r.w = copy(r.buf[:], r.buf[r.r:r.w])
		r.r = 0
	}
	for empty := 0; r.w-r.r < n; empty++ {
		if r.end != nil {
			return r.end
		}
		if empty == 100 {
			return io.ErrNoProgress
		}
		var m int
		if m, r.end = r.src.Read(r.buf[r.w:]); m > 0 {
			r.w += m
			empty = 0
		}
	}
	return nil
}
