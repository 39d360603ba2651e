package cursor

import (
	"encoding/binary"
	"math"
	"testing"
)

func TestReader(t *testing.T) {
	b := []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}
	r := Reader{B: b, Order: binary.BigEndian}
	if r.U8() != 1 || r.U16() != 0x0203 || r.U32() != 0x04050607 || r.U64() != 0x08090a0b0c0d0e0f || r.Done() {
		t.Error("big-endian values")
	}
	if v := r.Take(1); len(v) != 1 || cap(v) != 1 || v[0] != 16 || !r.Done() || r.Short {
		t.Errorf("last byte %v, %+v", v, r)
	}
	r = Reader{B: b, Order: binary.LittleEndian}
	if r.U16() != 0x0201 || r.U32() != 0x06050403 || r.U64() != 0x0e0d0c0b0a090807 {
		t.Error("little-endian values")
	}
	// Past the end: nothing, and nothing ever after.
	if r.U32() != 0 || !r.Short || r.Done() || r.U8() != 0 || r.Take(0) != nil {
		t.Errorf("past the end: %+v", r)
	}
	r = Reader{B: b, Order: binary.LittleEndian}
	if r.Take(math.MaxUint64) != nil || !r.Short {
		t.Error("too many bytes")
	}
	for _, read := range []func(*Reader){func(r *Reader) { r.U8() }, func(r *Reader) { r.U16() }, func(r *Reader) { r.U32() }, func(r *Reader) { r.U64() }} {
		r := Reader{Order: binary.BigEndian}
		if read(&r); !r.Short {
			t.Error("a value out of nothing")
		}
	}
}
