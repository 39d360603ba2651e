package sealed

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/cocoon-go/cocoon/internal/ohttp"
)

// Sizes of frames in bytes.
const (
	MinFrame = 64
	MaxFrame = ohttp.MaxChunk // 16 KiB
	MaxData  = MaxFrame - lengthSize

	lengthSize = 2
)

// MaxHeader is the most bytes of Binary HTTP before the content, and again of
// the trailer.
const MaxHeader = 64 << 10

// errFrame says that the peer, who is authentic, made a bad frame.
var errFrame = errors.New("bad frame")

// bucket returns the size of the frame that holds n bytes of data: the smallest
// 64*2^k that has room for them and their length.
func bucket(n int) int {
	size := MinFrame
	for size < n+lengthSize {
		size *= 2
	}
	return size
}

// isBucket reports whether frames have that size.
func isBucket(size int) bool {
	return size >= MinFrame && size <= MaxFrame && size&(size-1) == 0
}

// pad turns b, whose first two bytes are free and the rest data, into a frame.
// Its capacity must be [MaxFrame].
func pad(b []byte) []byte {
	n := len(b)
	binary.BigEndian.PutUint16(b, uint16(n-lengthSize))
	b = b[:bucket(n-lengthSize)]
	clear(b[n:])
	return b
}

// unpad returns the data of a frame. Any bucket that has room is good, so that
// a peer may hide more than it must. Only the last frame may be without data.
func unpad(frame []byte, last bool) ([]byte, error) {
	size := len(frame)
	if !isBucket(size) {
		return nil, fmt.Errorf("%w: %d bytes", errFrame, size)
	}
	n := int(binary.BigEndian.Uint16(frame))
	if n > size-lengthSize {
		return nil, fmt.Errorf("%w: %d bytes of data in %d", errFrame, n, size)
	}
	if n == 0 && !last {
		return nil, fmt.Errorf("%w: no data", errFrame)
	}
	for _, c := range frame[lengthSize+n:] {
		if c != 0 {
			return nil, fmt.Errorf("%w: padding is not zero", errFrame)
		}
	}
	return frame[lengthSize : lengthSize+n], nil
}

// frameReader reads the data of the frames of a message. io.EOF means that the
// authenticated end was there.
type frameReader struct {
	r    *ohttp.Reader
	data []byte // of the frame that is being read
	err  error
}

// next gets the next frame with data.
func (f *frameReader) next() error {
	for len(f.data) == 0 && f.err == nil {
		var chunk []byte
		var last bool
		if chunk, last, f.err = f.r.Next(); f.err == nil {
			f.data, f.err = unpad(chunk, last)
		}
	}
	if len(f.data) > 0 {
		return nil
	}
	return f.err
}

func (f *frameReader) Read(p []byte) (int, error) {
	if err := f.next(); err != nil {
		return 0, err
	}
	n := copy(p, f.data)
	f.data = f.data[n:]
	return n, nil
}

func (f *frameReader) ReadByte() (byte, error) {
	if err := f.next(); err != nil {
		return 0, err
	}
	c := f.data[0]
	f.data = f.data[1:]
	return c, nil
}

// scratch is what one direction needs to make frames.
type scratch struct {
	frame  [MaxFrame]byte
	sealed [ohttp.HeaderSize + 8 + MaxFrame + 16]byte
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// release wipes the plaintext and gives s back.
func (s *scratch) release() {
	clear(s.frame[:])
	scratches.Put(s)
}

// ctxReader is a reader with its context: when that is over, so is reading. It
// can't interrupt a read that is under way; deadlines below do.
type ctxReader struct {
	err func() error
	r   io.Reader
}

func (c ctxReader) Read(p []byte) (int, error) {
	if err := c.err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
