package bhttp

import (
	"fmt"
	"io"

	"github.com/cocoon-go/cocoon/internal/bhttp/varint"
)

// Body reads the content of a message, and then its trailer. It returns what
// has arrived and does not wait for more.
type Body struct {
	r        source
	lim      Limits
	known    bool
	response bool
	length   int64 // of known content, else -1
	declared int64 // content-length field, -1 without
	began    bool  // a length or a chunk was read
	left     uint64
	total    uint64
	trailer  []Field
	err      error // sticky
}

func newBody(r source, lim Limits, known bool, fields []Field, response bool) (*Body, error) {
	declared, err := contentLength(fields)
	if err != nil {
		return nil, err
	}
	b := &Body{r: r, lim: lim, known: known, response: response, length: -1, declared: declared}
	if known {
		n, err := varint.Read(r)
		if err != nil && err != io.EOF {
			return nil, b.wrap(err)
		}
		if err := b.room(n); err != nil {
			return nil, err
		}
		b.began, b.left, b.total, b.length = true, n, n, int64(n)
		if err := b.checkLength(); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// Length returns the number of bytes of content of a known-length message, and
// -1 for an indeterminate-length one.
func (b *Body) Length() int64 { return b.length }

// Trailer returns the trailer fields. There are none before Read has returned
// io.EOF.
func (b *Body) Trailer() []Field { return b.trailer }

// Read reads content. It returns io.EOF when content, trailer and padding have
// ended well and the reader below too. Errors are those of [ReadRequest], and
// they are sticky.
func (b *Body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	if b.left == 0 {
		if b.err = b.next(); b.err != nil {
			return 0, b.err
		}
	}
	if uint64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.r.Read(p)
	b.left -= uint64(n)
	switch {
	case err == io.EOF && b.left > 0:
		b.err = short(err)
	case err != nil && err != io.EOF:
		b.err = err
	}
	if n > 0 {
		return n, nil // an error comes with the next call
	}
	return 0, b.err
}

// next begins the next chunk, or ends the message.
func (b *Body) next() error {
	if !b.known {
		n, err := varint.Read(b.r)
		switch {
		case err == io.EOF && !b.began:
			n = 0 // truncated after the header section
		case err != nil:
			return b.wrap(err)
		}
		b.began = true
		if err := b.room(n); err != nil {
			return err
		}
		b.total += n
		if b.left = n; n > 0 {
			return nil
		}
	}
	if err := b.checkLength(); err != nil {
		return err
	}
	if err := b.end(); err != nil {
		return err
	}
	return io.EOF
}

// end reads trailer and padding up to the end of the reader.
func (b *Body) end() error {
	d := newDecoder(b.r, b.lim)
	defer d.free()
	if err := d.section(b.known); err != nil {
		return err
	}
	trailer := d.strings()
	if err := checkFields(trailer); err != nil {
		return err
	}
	for n := 0; ; n++ {
		c, err := b.r.ReadByte()
		if err == io.EOF {
			b.trailer = trailer
			return nil
		}
		if err != nil {
			return err
		}
		if c != 0 {
			return fmt.Errorf("%w: padding is not zero", ErrInvalid)
		}
		if n == MaxPadding {
			return fmt.Errorf("%w: more than %d bytes of padding", ErrTooLarge, MaxPadding)
		}
	}
}

// room checks that n more bytes of content are within the limit.
func (b *Body) room(n uint64) error {
	if n > uint64(max(b.lim.Content, 0))-b.total {
		return fmt.Errorf("%w: content is over %d bytes", ErrTooLarge, b.lim.Content)
	}
	return nil
}

// checkLength compares the content with the content-length field. A response
// without content may carry the length that it would have (RFC 9110, section
// 8.6).
func (b *Body) checkLength() error {
	if b.declared < 0 || b.declared == int64(b.total) || b.response && b.total == 0 {
		return nil
	}
	return fmt.Errorf("%w: content-length is %d, content has %d bytes", ErrInvalid, b.declared, b.total)
}

func (b *Body) wrap(err error) error {
	if err == varint.ErrNotMinimal {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return short(err)
}
