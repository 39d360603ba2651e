package llama

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"strings"
	"unicode/utf8"
)

// Limits of a model file. They are far above what the engine can run and stop
// a crafted file from asking for memory that its size does not justify.
const (
	maxMetadata   = 1024
	maxTensors    = 8192
	maxName       = 256     // bytes of a key or a tensor name
	maxText       = 1 << 20 // bytes of a string value
	maxArray      = 1 << 20 // elements of an array
	maxAlignment  = 1 << 16
	maxDimensions = 4
)

// The tensor types that the engine reads.
const (
	typeF32  = 0
	typeF16  = 1
	typeQ8_0 = 8
)

// tensor is one entry of the tensor table.
type tensor struct {
	dims   []uint64 // innermost first
	count  uint64   // product of dims
	kind   uint32
	offset uint64 // in the data section
	size   uint64 // bytes there
}

// GGUF is a parsed model file, version 3, little endian: metadata and tensors
// of type F32, F16 and Q8_0. It refers to the bytes it was parsed from.
type GGUF struct {
	meta    map[string]any // uint64, int64, float64, bool, string, []string, []int64 or nil for other arrays
	tensors map[string]tensor
	data    []byte
}

// ParseGGUF reads a model file. It refuses duplicate names, tensors outside the
// file, overlapping or unaligned tensors, bytes behind the last tensor, and
// anything over the limits of docs/spec/engine.md section 7.
func ParseGGUF(b []byte) (*GGUF, error) {
	r := &reader{b: b}
	if magic := r.u32(); magic != 0x46554747 {
		return nil, fmt.Errorf("gguf: bad magic %#08x", magic)
	}
	if v := r.u32(); v != 3 {
		return nil, fmt.Errorf("gguf: version %d, want 3", v)
	}
	tensors, keys := r.u64(), r.u64()
	if tensors > maxTensors || keys > maxMetadata {
		return nil, fmt.Errorf("gguf: %d tensors and %d keys are too many", tensors, keys)
	}
	f := &GGUF{meta: map[string]any{}, tensors: map[string]tensor{}}
	if err := f.readMeta(r, keys); err != nil {
		return nil, err
	}
	align, err := f.alignment()
	if err != nil {
		return nil, err
	}
	size, err := f.readTensors(r, tensors, align)
	if err != nil {
		return nil, err
	}
	start := pad(uint64(r.p), align)
	if have := uint64(len(b)); start > have || have-start != size {
		return nil, fmt.Errorf("gguf: file of %d bytes does not hold the %d bytes of tensors it lists", have, size)
	}
	f.data = b[start:]
	return f, nil
}

func (f *GGUF) readMeta(r *reader, keys uint64) error {
	for range keys {
		name := r.text(maxName)
		v := r.value(r.u32(), true)
		if r.err != nil {
			return r.err
		}
		if _, dup := f.meta[name]; dup || name == "" {
			return fmt.Errorf("gguf: key %q is empty or twice", name)
		}
		f.meta[name] = v
	}
	return nil
}

// alignment is of tensors, in bytes: a power of two.
func (f *GGUF) alignment() (uint64, error) {
	v, ok := f.meta["general.alignment"]
	if !ok {
		return 32, nil
	}
	align, ok := v.(uint64)
	if !ok || bits.OnesCount64(align) != 1 || align < 4 || align > maxAlignment {
		return 0, fmt.Errorf("gguf: alignment %v, want a power of two from 4 to %d", v, maxAlignment)
	}
	return align, nil
}

// readTensors reads the table of tensors and returns the bytes that they take.
// Writers lay them out in table order without gaps but padding. We demand it:
// then no byte is read twice and none goes unread.
func (f *GGUF) readTensors(r *reader, n, align uint64) (size uint64, err error) {
	for range n {
		name := r.text(maxName)
		t, err := r.tensor()
		if r.err != nil {
			return 0, r.err
		}
		if err != nil {
			return 0, fmt.Errorf("gguf: tensor %q: %w", name, err)
		}
		if _, dup := f.tensors[name]; dup || name == "" {
			return 0, fmt.Errorf("gguf: tensor %q is unnamed or twice", name)
		}
		if t.offset != size {
			return 0, fmt.Errorf("gguf: tensor %q: offset %d, want %d", name, t.offset, size)
		}
		f.tensors[name] = t
		size = pad(t.offset+t.size, align)
	}
	return size, r.err
}

func pad(n, align uint64) uint64 { return (n + align - 1) &^ (align - 1) }

// reader reads little-endian values and remembers the first error; after it,
// every read gives zero.
type reader struct {
	b   []byte
	p   int
	err error
}

func (r *reader) take(n uint64) []byte {
	if r.err == nil && n > uint64(len(r.b)-r.p) {
		r.err = fmt.Errorf("gguf: file ends at byte %d inside a field", len(r.b))
	}
	if r.err != nil {
		return nil
	}
	r.p += int(n)
	return r.b[r.p-int(n) : r.p]
}

func (r *reader) u8() uint8 {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) u16() uint16 {
	if b := r.take(2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

func (r *reader) u32() uint32 {
	if b := r.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (r *reader) u64() uint64 {
	if b := r.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (r *reader) text(limit uint64) string {
	n := r.u64()
	if r.err == nil && n > limit {
		r.err = fmt.Errorf("gguf: string of %d bytes at byte %d, limit %d", n, r.p, limit)
	}
	b := r.take(n)
	if !utf8.Valid(b) && r.err == nil {
		r.err = fmt.Errorf("gguf: string before byte %d is not UTF-8", r.p)
	}
	return string(b)
}

// value reads one metadata value of the given type (GGUF specification,
// gguf_metadata_value_type). Arrays do not nest.
func (r *reader) value(kind uint32, array bool) any {
	switch kind {
	case 0:
		return uint64(r.u8())
	case 1:
		return int64(int8(r.u8()))
	case 2:
		return uint64(r.u16())
	case 3:
		return int64(int16(r.u16()))
	case 4:
		return uint64(r.u32())
	case 5:
		return int64(int32(r.u32()))
	case 6:
		return float64(math.Float32frombits(r.u32()))
	case 7:
		b := r.u8()
		if b > 1 && r.err == nil {
			r.err = fmt.Errorf("gguf: boolean %d before byte %d", b, r.p)
		}
		return b == 1
	case 8:
		return r.text(maxText)
	case 9:
		if array {
			return r.array()
		}
	case 10:
		return r.u64()
	case 11:
		return int64(r.u64())
	case 12:
		return math.Float64frombits(r.u64())
	}
	if r.err == nil {
		r.err = fmt.Errorf("gguf: value type %d before byte %d", kind, r.p)
	}
	return nil
}

// array reads an array: strings as []string, integers as []int64, and other
// types, which the engine has no use for, as nil.
func (r *reader) array() any {
	kind, n := r.u32(), r.u64()
	if r.err == nil && (n > maxArray || n > uint64(len(r.b)-r.p)) { // an element takes a byte or more
		r.err = fmt.Errorf("gguf: array of %d elements at byte %d", n, r.p)
	}
	if r.err != nil {
		return nil
	}
	var texts []string
	var ints []int64
	for range n {
		switch v := r.value(kind, false).(type) {
		case string:
			texts = append(texts, v)
		case int64:
			ints = append(ints, v)
		case uint64:
			if v > math.MaxInt64 {
				r.err = fmt.Errorf("gguf: array element %d is too large", v)
			}
			ints = append(ints, int64(v))
		}
		if r.err != nil {
			return nil
		}
	}
	switch {
	case texts != nil:
		return texts
	case ints != nil:
		return ints
	}
	return nil
}

func (r *reader) tensor() (t tensor, err error) {
	n := r.u32()
	if n == 0 || n > maxDimensions {
		return t, fmt.Errorf("%d dimensions", n)
	}
	t.count = 1
	for range n {
		d := r.u64()
		hi, lo := bits.Mul64(t.count, d)
		if d == 0 || hi != 0 || lo > 1<<40 {
			return t, fmt.Errorf("dimension %d", d)
		}
		t.dims, t.count = append(t.dims, d), lo
	}
	t.kind, t.offset = r.u32(), r.u64()
	switch t.kind {
	case typeF32:
		t.size = 4 * t.count
	case typeF16:
		t.size = 2 * t.count
	case typeQ8_0:
		if t.dims[0]%32 != 0 {
			return t, fmt.Errorf("Q8_0 rows of %d", t.dims[0])
		}
		t.size = t.count / 32 * 34
	default:
		return t, fmt.Errorf("type %d is not supported", t.kind)
	}
	return t, nil
}

// text returns the string under a key.
func (f *GGUF) text(key string) (string, error) {
	if v, ok := f.meta[key].(string); ok {
		return v, nil
	}
	return "", fmt.Errorf("gguf: no string %q", key)
}

// integer returns the integer under a key, which must lie in [low, high].
func (f *GGUF) integer(key string, low, high int) (int, error) {
	n, ok := int64(0), false
	switch v := f.meta[key].(type) {
	case int64:
		n, ok = v, true
	case uint64:
		n, ok = int64(v), v <= math.MaxInt64
	}
	if !ok || n < int64(low) || n > int64(high) {
		return 0, fmt.Errorf("gguf: %q is not an integer from %d to %d", key, low, high)
	}
	return int(n), nil
}

// License returns what the file states as the licence of its weights, or "".
func (f *GGUF) License() string {
	s, _ := f.text("general.license")
	return strings.ToValidUTF8(s, "")
}

// floats decodes a tensor of exactly these dimensions, innermost first. Each
// value of the three types is exact in float32.
func (f *GGUF) floats(name string, dims ...int) ([]float32, error) {
	t, ok := f.tensors[name]
	if !ok {
		return nil, fmt.Errorf("gguf: no tensor %q", name)
	}
	same := len(t.dims) == len(dims)
	for i := range dims {
		same = same && t.dims[i] == uint64(dims[i])
	}
	if !same {
		return nil, fmt.Errorf("gguf: tensor %q has dimensions %v, want %v", name, t.dims, dims)
	}
	out := make([]float32, t.count)
	b := f.data[t.offset : t.offset+t.size]
	switch t.kind {
	case typeF32:
		for i := range out {
			out[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
		}
	case typeF16:
		for i := range out {
			out[i] = half(binary.LittleEndian.Uint16(b[2*i:]))
		}
	case typeQ8_0: // blocks of 32: a half-precision scale, then 32 signed bytes
		for i := 0; i < len(out); i += 32 {
			block := b[i/32*34:]
			scale := half(binary.LittleEndian.Uint16(block))
			for j := range 32 {
				out[i+j] = float32(scale * float32(int8(block[2+j])))
			}
		}
	}
	for _, v := range out {
		if v-v != 0 { // NaN or infinite
			return nil, fmt.Errorf("gguf: tensor %q holds a value that is not finite", name)
		}
	}
	return out, nil
}

// half converts an IEEE 754 half-precision number.
func half(h uint16) float32 {
	sign, exponent, fraction := uint32(h>>15)<<31, uint32(h>>10)&31, uint32(h)&1023
	switch exponent {
	case 0: // zero and subnormal: fraction * 2^-24
		v := float32(fraction) / (1 << 24)
		return math.Float32frombits(math.Float32bits(v) | sign)
	case 31:
		return math.Float32frombits(sign | 0xff<<23 | fraction<<13)
	}
	return math.Float32frombits(sign | (exponent+112)<<23 | fraction<<13)
}
