package tpm

import "encoding/binary"

// reader takes big-endian values off b, as the TPM writes them. After a read
// past the end, short is set and everything read is zero.
type reader struct {
	b     []byte
	short bool
}

func (r *reader) take(n int) []byte {
	if r.short || n > len(r.b) {
		r.short = true
		return nil
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) u8() uint8 {
	if v := r.take(1); v != nil {
		return v[0]
	}
	return 0
}

func (r *reader) u16() uint16 {
	if v := r.take(2); v != nil {
		return binary.BigEndian.Uint16(v)
	}
	return 0
}

func (r *reader) u32() uint32 {
	if v := r.take(4); v != nil {
		return binary.BigEndian.Uint32(v)
	}
	return 0
}

func (r *reader) u64() uint64 {
	if v := r.take(8); v != nil {
		return binary.BigEndian.Uint64(v)
	}
	return 0
}

// sized takes a TPM2B: a length of two bytes and that many bytes.
func (r *reader) sized() []byte { return r.take(int(r.u16())) }

// done reports whether everything was read, and no more.
func (r *reader) done() bool { return !r.short && len(r.b) == 0 }
