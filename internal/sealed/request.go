package sealed

import (
	"fmt"
	"io"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/internal/bhttp/varint"
	"github.com/cocoon-go/cocoon/internal/ohttp"
)

// requestReader makes the frames of a request while it is read. A body of known
// length fills its frames; of another, each read becomes a frame.
type requestReader struct {
	sealer *ohttp.Sealer
	rest   []byte // encoded, and not in a frame yet
	body   io.ReadCloser
	left   int64 // of a body of known length, else -1
	ended  bool  // the end is in rest
	buf    *scratch
	out    []byte // sealed, and not read yet
	last   bool   // out is the final chunk
	err    error
}

func (r *requestReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(r.out) == 0 && r.err == nil {
		if r.last {
			r.err = io.EOF
		} else {
			r.err = r.seal()
		}
		if r.err != nil && r.buf != nil {
			r.buf.release()
			r.buf, r.out = nil, nil
		}
	}
	if r.err != nil {
		return 0, r.err
	}
	n := copy(p, r.out)
	r.out = r.out[n:]
	return n, nil
}

// Close closes the body of the inner request.
func (r *requestReader) Close() error { return r.body.Close() }

// seal makes the next frame.
func (r *requestReader) seal() error {
	if r.buf == nil {
		r.buf = scratches.Get().(*scratch)
	}
	f := r.buf.frame[:lengthSize]
	f = r.take(f)
	if len(r.rest) == 0 && !r.ended {
		var err error
		if f, err = r.content(f); err != nil {
			return err
		}
		f = r.take(f)
	}
	r.last = r.ended && len(r.rest) == 0
	var err error
	r.out, err = r.sealer.Append(r.buf.sealed[:0], pad(f), r.last)
	return err
}

// take moves what fits of rest into the frame.
func (r *requestReader) take(f []byte) []byte {
	n := min(len(r.rest), MaxFrame-len(f))
	f = append(f, r.rest[:n]...)
	r.rest = r.rest[n:]
	return f
}

// content reads some of the body into the frame, as a chunk of Binary HTTP.
func (r *requestReader) content(f []byte) ([]byte, error) {
	at := len(f) + 2 // the length of a chunk that fits takes at most two bytes
	if at >= MaxFrame {
		return f, nil // the head left no room
	}
	n, err := r.read(r.buf.frame[at:])
	if n > 0 {
		data := r.buf.frame[at : at+n]
		f = varint.Append(f, uint64(n))
		f = append(f, data...) // moves by one byte when the length took one
	}
	if err == io.EOF {
		r.ended = true
		r.rest = []byte{0, 0} // end of content, no trailer
		return f, nil
	}
	return f, err
}

// read reads from the body: all that fits when its length is known, else what
// there is. io.EOF, which may come with bytes, is the end.
func (r *requestReader) read(p []byte) (int, error) {
	if r.left < 0 {
		for range 100 {
			n, err := r.body.Read(p)
			if n > 0 || err != nil {
				return n, bodyError(err)
			}
		}
		return 0, io.ErrNoProgress
	}
	n, err := io.ReadFull(r.body, p[:min(r.left, int64(len(p)))])
	r.left -= int64(n)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return n, attestation.BadInput("request body is %d bytes shorter than its content length", r.left)
	}
	if err != nil || r.left > 0 {
		return n, bodyError(err)
	}
	var one [1]byte
	if m, err := io.ReadFull(r.body, one[:]); m > 0 {
		return n, attestation.BadInput("request body is longer than its content length")
	} else if err != io.EOF {
		return n, bodyError(err)
	}
	return n, io.EOF
}

func bodyError(err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return fmt.Errorf("request body: %w", err)
}
