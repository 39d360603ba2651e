package bhttp

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/cocoon-go/cocoon/internal/bhttp/varint"
)

// Limits bounds what is read. Both must be positive.
type Limits struct {
	// Header is the most bytes of framing indicator, control data, informational
	// responses and header section together, and again of the trailer section.
	Header int
	// Content is the most bytes of content.
	Content int64
}

// DefaultLimits are 64 KiB of header and 16 MiB of content.
var DefaultLimits = Limits{Header: 64 << 10, Content: 16 << 20}

// ReadRequest reads the head of a request of either framing. When r has a
// method ReadByte it is read directly, else through a buffer.
//
// Errors wrap [ErrInvalid] or [ErrTooLarge], or what r returned. A message
// that ends early wraps io.ErrUnexpectedEOF too.
func ReadRequest(r io.Reader, lim Limits) (*Request, error) {
	d := newDecoder(r, lim)
	defer d.free()
	known, err := d.framing(knownRequest, indeterminateRequest)
	if err != nil {
		return nil, err
	}
	for range 4 {
		n, err := d.varint()
		if err == nil {
			err = d.bytes(n)
		}
		if err != nil {
			return nil, short(err)
		}
	}
	if err := d.section(known); err != nil {
		return nil, err
	}
	s := d.strings()
	req := &Request{RequestHead: RequestHead{s[0].Name, s[0].Value, s[1].Name, s[1].Value, s[2:]}}
	if err := req.check(); err != nil {
		return nil, err
	}
	req.Body, err = newBody(d.r, lim, known, req.Fields, false)
	if err != nil {
		return nil, err
	}
	return req, nil
}

// ReadResponse reads the head of a response of either framing; otherwise it is
// like [ReadRequest].
func ReadResponse(r io.Reader, lim Limits) (*Response, error) {
	d := newDecoder(r, lim)
	defer d.free()
	known, err := d.framing(knownResponse, indeterminateResponse)
	if err != nil {
		return nil, err
	}
	for {
		status, err := d.varint()
		if err != nil {
			return nil, short(err)
		}
		informational := status >= 100 && status <= 199
		if !informational {
			if err := checkStatus(int(min(status, 1000))); err != nil {
				return nil, err
			}
		}
		if err := d.section(known); err != nil {
			return nil, err
		}
		fields := d.strings()
		if err := checkFields(fields); err != nil {
			return nil, err
		}
		if informational {
			d.head.reset()
			continue
		}
		res := &Response{Status: int(status), Fields: fields}
		res.Body, err = newBody(d.r, lim, known, fields, true)
		if err != nil {
			return nil, err
		}
		return res, nil
	}
}

// source is what is read from.
type source interface {
	io.Reader
	io.ByteReader
}

// head collects the strings of a head before they become one string.
type head struct {
	text []byte
	ends []int // of each string in text
}

var heads = sync.Pool{New: func() any { return &head{text: make([]byte, 0, 4096)} }}

// reset forgets the strings and wipes them: they are somebody's request.
func (h *head) reset() {
	clear(h.text)
	h.text, h.ends = h.text[:0], h.ends[:0]
}

type decoder struct {
	r    source
	left uint64 // bytes that may still be read
	head *head
}

func newDecoder(r io.Reader, lim Limits) *decoder {
	src, ok := r.(source)
	if !ok {
		src = bufio.NewReaderSize(r, 4096)
	}
	return &decoder{r: src, left: uint64(max(lim.Header, 0)), head: heads.Get().(*head)}
}

func (d *decoder) free() {
	d.head.reset()
	heads.Put(d.head)
	d.head = nil
}

// ReadByte counts, for varint.Read.
func (d *decoder) ReadByte() (byte, error) {
	if d.left == 0 {
		return 0, fmt.Errorf("%w: header is over the limit", ErrTooLarge)
	}
	c, err := d.r.ReadByte()
	if err == nil {
		d.left--
	}
	return c, err
}

// varint reads an integer. The error is io.EOF itself when the message ended
// before it.
func (d *decoder) varint() (uint64, error) {
	v, err := varint.Read(d)
	if errors.Is(err, varint.ErrNotMinimal) {
		err = fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return v, err
}

// bytes reads one string of n bytes.
func (d *decoder) bytes(n uint64) error {
	if n > d.left {
		return fmt.Errorf("%w: header is over the limit", ErrTooLarge)
	}
	d.left -= n
	h := d.head
	at := len(h.text)
	if need := at + int(n); need > cap(h.text) {
		grown := make([]byte, at, max(need, 2*cap(h.text)))
		copy(grown, h.text)
		clear(h.text)
		h.text = grown
	}
	h.text = h.text[:at+int(n)]
	_, err := io.ReadFull(d.r, h.text[at:])
	h.ends = append(h.ends, len(h.text))
	return err
}

// strings returns what was read, in pairs.
func (d *decoder) strings() []Field {
	all := string(d.head.text)
	out := make([]Field, len(d.head.ends)/2)
	at := 0
	for i := range out {
		n, v := d.head.ends[2*i], d.head.ends[2*i+1]
		out[i] = Field{all[at:n], all[n:v]}
		at = v
	}
	return out
}

func (d *decoder) framing(known, indeterminate uint64) (bool, error) {
	v, err := d.varint()
	if err != nil {
		return false, short(err)
	}
	if v != known && v != indeterminate {
		return false, fmt.Errorf("%w: framing indicator %d, want %d or %d", ErrInvalid, v, known, indeterminate)
	}
	return v == known, nil
}

// section reads a field section; none when the message ended before it:
// "Decoders MUST treat missing truncated fields as equivalent to having been
// sent with the length field set to zero" (RFC 9292, section 3.8).
func (d *decoder) section(known bool) error {
	first := true
	var stop uint64 // value of d.left at the end of a section of known length
	if known {
		n, err := d.varint()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return short(err)
		}
		if n > d.left {
			return fmt.Errorf("%w: header is over the limit", ErrTooLarge)
		}
		stop, first = d.left-n, false
	}
	for lines := 0; !known || d.left > stop; lines++ {
		n, err := d.varint()
		if first && err == io.EOF {
			return nil
		}
		if err != nil {
			return short(err)
		}
		first = false
		if n == 0 && !known {
			return nil
		}
		if n == 0 {
			return fmt.Errorf("%w: empty field name", ErrInvalid)
		}
		if lines == MaxFields {
			return fmt.Errorf("%w: more than %d fields", ErrTooLarge, MaxFields)
		}
		if err := d.inside(known, stop, n); err != nil {
			return err
		}
		if err := d.bytes(n); err != nil {
			return short(err)
		}
		if n, err = d.varint(); err != nil {
			return short(err)
		}
		if err := d.inside(known, stop, n); err != nil {
			return err
		}
		if err := d.bytes(n); err != nil {
			return short(err)
		}
	}
	if known && d.left != stop {
		return errOverrun
	}
	return nil
}

var errOverrun = fmt.Errorf("%w: field line runs over the end of its section", ErrInvalid)

// inside checks that n more bytes end before a section of known length does.
func (d *decoder) inside(known bool, stop, n uint64) error {
	if known && (d.left < stop || n > d.left-stop) {
		return errOverrun
	}
	return nil
}

// short turns the end of the input at a place where a message can't end into
// an error of an invalid message.
func short(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return fmt.Errorf("%w: %w", ErrInvalid, io.ErrUnexpectedEOF)
	}
	return err
}
