// Package varint reads and writes the variable-length integers of RFC 9000,
// section 16, which Binary HTTP and Oblivious HTTP use for every length.
//
// Decoding is strict: an integer has one encoding, the shortest. RFC 9000
// allows longer ones; this package refuses them ([ErrNotMinimal]), so that
// nobody on the way can re-encode a length and mark a message with it.
package varint

import (
	"errors"
	"io"
)

// Max is the largest integer that can be encoded.
const Max = 1<<62 - 1

// ErrNotMinimal says that an integer was not in its shortest encoding.
var ErrNotMinimal = errors.New("variable-length integer is not in its shortest form")

// Len returns the number of bytes of the encoding of v: 1, 2, 4 or 8. It
// panics when v is over [Max].
func Len(v uint64) int {
	switch {
	case v < 1<<6:
		return 1
	case v < 1<<14:
		return 2
	case v < 1<<30:
		return 4
	case v <= Max:
		return 8
	}
	panic("varint: value over 2^62-1")
}

// Append appends the encoding of v. It panics when v is over [Max].
func Append(b []byte, v uint64) []byte {
	switch Len(v) {
	case 1:
		return append(b, byte(v))
	case 2:
		return append(b, byte(v>>8)|0x40, byte(v))
	case 4:
		return append(b, byte(v>>24)|0x80, byte(v>>16), byte(v>>8), byte(v))
	}
	return append(b, byte(v>>56)|0xc0, byte(v>>48), byte(v>>40), byte(v>>32),
		byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
}

// SizeOf returns the size in bytes of the encoding that starts with first.
func SizeOf(first byte) int { return 1 << (first >> 6) }

// Parse decodes the integer at the start of b and returns its size n. n is 0
// when b ends inside the integer.
func Parse(b []byte) (v uint64, n int, err error) {
	if len(b) == 0 || len(b) < SizeOf(b[0]) {
		return 0, 0, nil
	}
	n = SizeOf(b[0])
	v = uint64(b[0] & 0x3f)
	for _, c := range b[1:n] {
		v = v<<8 | uint64(c)
	}
	if Len(v) != n {
		return 0, 0, ErrNotMinimal
	}
	return v, n, nil
}

// Read decodes the next integer of r. The error is io.EOF when r was at its
// end, and io.ErrUnexpectedEOF when it ended inside the integer.
func Read(r io.ByteReader) (uint64, error) {
	c, err := r.ReadByte()
	if err != nil {
		return 0, err
	}
	n := SizeOf(c)
	v := uint64(c & 0x3f)
	for i := 1; i < n; i++ {
		c, err := r.ReadByte()
		if err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
		v = v<<8 | uint64(c)
	}
	if Len(v) != n {
		return 0, ErrNotMinimal
	}
	return v, nil
}
