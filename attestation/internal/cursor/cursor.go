// Package cursor takes binary values off a byte slice.
package cursor

import "encoding/binary"

// Reader takes values off B. After a read past the end, Short is set and
// everything read is zero. It never panics and allocates nothing.
type Reader struct {
	B     []byte // what is left
	Order binary.ByteOrder
	Short bool
}

// Take takes n bytes, nil when there are fewer. They share memory with B.
func (r *Reader) Take(n uint64) []byte {
	if r.Short || n > uint64(len(r.B)) {
		r.Short = true
		return nil
	}
	v := r.B[:n:n]
	r.B = r.B[n:]
	return v
}

// U8 takes one byte.
func (r *Reader) U8() uint8 {
	if v := r.Take(1); v != nil {
		return v[0]
	}
	return 0
}

// U16 takes two bytes.
func (r *Reader) U16() uint16 {
	if v := r.Take(2); v != nil {
		return r.Order.Uint16(v)
	}
	return 0
}

// U32 takes four bytes.
func (r *Reader) U32() uint32 {
	if v := r.Take(4); v != nil {
		return r.Order.Uint32(v)
	}
	return 0
}

// U64 takes eight bytes.
func (r *Reader) U64() uint64 {
	if v := r.Take(8); v != nil {
		return r.Order.Uint64(v)
	}
	return 0
}

// Done reports whether everything was read, and no more.
func (r *Reader) Done() bool { return !r.Short && len(r.B) == 0 }
