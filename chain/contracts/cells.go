package contracts

import (
	"errors"
	"math/big"
	"slices"

	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
)

// maxItems bounds every dictionary that a parser walks.
const maxItems = 1 << 16

// reader reads a cell strictly: the first thing that does not fit is kept as
// the error, and everything after it reads as zero.
type reader struct {
	s    *cell.Slice
	what string
	err  error
}

func read(c *cell.Cell, what string) *reader {
	r := &reader{what: what}
	if c == nil {
		r.fail(errors.New("no cell"))
		return r
	}
	s, err := c.BeginParse()
	if err != nil {
		r.fail(err)
		return r
	}
	if c.IsSpecial() {
		r.fail(errors.New("cell is not an ordinary one"))
	}
	r.s = s
	return r
}

func readSlice(s *cell.Slice, what string) *reader { return &reader{s: s, what: what} }

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = attestation.BadInput("%s: %v", r.what, err)
	}
}

func (r *reader) u(bits uint) uint64 {
	if r.err != nil {
		return 0
	}
	v, err := r.s.LoadUInt(bits)
	if err != nil {
		r.fail(err)
	}
	return v
}

func (r *reader) u8() uint8   { return uint8(r.u(8)) }
func (r *reader) u16() uint16 { return uint16(r.u(16)) }
func (r *reader) u32() uint32 { return uint32(r.u(32)) }
func (r *reader) u64() uint64 { return r.u(64) }
func (r *reader) bool() bool  { return r.u(1) == 1 }

func (r *reader) bytes(dst []byte) {
	if r.err != nil {
		return
	}
	b, err := r.s.LoadSlice(uint(8 * len(dst)))
	if err != nil {
		r.fail(err)
		return
	}
	copy(dst, b)
}

func (r *reader) b32() (v [32]byte) { r.bytes(v[:]); return v }
func (r *reader) b16() (v [16]byte) { r.bytes(v[:]); return v }

// addr reads a standard address: 267 bits.
func (r *reader) addr() attestation.Address {
	var a attestation.Address
	if p := r.u(3); r.err == nil && p != 0b100 {
		r.fail(errors.New("not a standard address"))
	}
	a.Workchain = int32(int8(r.u(8)))
	a.Hash = r.b32()
	return a
}

// maybeAddr reads addr_none or a standard address.
func (r *reader) maybeAddr() *attestation.Address {
	if r.err != nil {
		return nil
	}
	p, err := r.s.PreloadUInt(2)
	if err != nil {
		r.fail(err)
		return nil
	}
	if p == 0 {
		r.u(2)
		return nil
	}
	a := r.addr()
	return &a
}

func (r *reader) ref() *cell.Cell {
	if r.err != nil {
		return nil
	}
	c, err := r.s.LoadRefCell()
	if err != nil {
		r.fail(err)
	}
	return c
}

func (r *reader) maybeRef() *cell.Cell {
	if !r.bool() {
		return nil
	}
	return r.ref()
}

// dict walks a dictionary with keys of keyBits in ascending order. It counts on the
// way: a few cells that refer to one another can be a dictionary without end.
func (r *reader) dict(keyBits uint, f func(key *reader, value *reader)) {
	root := r.maybeRef()
	if r.err != nil || root == nil {
		return
	}
	items, err := root.AsDict(keyBits).Iterator(false, false)
	if err != nil {
		r.fail(err)
		return
	}
	for n := 1; r.err == nil && items.Next(); n++ {
		if n > maxItems {
			r.fail(errors.New("dictionary is too large"))
			return
		}
		r.item(items.Item(), f)
	}
	if err := items.Err(); err != nil {
		r.fail(err)
	}
}

// item reads one item of a dictionary, all of it.
func (r *reader) item(it cell.DictItem, f func(key *reader, value *reader)) {
	k, v := read(it.Key, r.what+" key"), readSlice(it.Value, r.what+" value")
	f(k, v)
	if k.end(); k.err != nil {
		r.fail(k.err)
	}
	if v.end(); v.err != nil {
		r.fail(v.err)
	}
}

// tag reads a constant prefix.
func (r *reader) tag(bits uint, want uint64) {
	if got := r.u(bits); r.err == nil && got != want {
		r.err = attestation.BadInput("%s: tag %#x, want %#x", r.what, got, want)
	}
}

// end demands that nothing is left.
func (r *reader) end() {
	if r.err == nil && (r.s.BitsLeft() != 0 || r.s.RefsNum() != 0) {
		r.fail(errors.New("trailing data"))
	}
}

func build() *cell.Builder { return cell.BeginCell() }

func storeAddr(b *cell.Builder, a attestation.Address) *cell.Builder {
	return b.MustStoreUInt(0b100, 3).MustStoreInt(int64(int8(a.Workchain)), 8).MustStoreSlice(a.Hash[:], 256)
}

func storeDict(b *cell.Builder, d *cell.Dictionary) *cell.Builder {
	if d == nil || d.IsEmpty() {
		return b.MustStoreBoolBit(false)
	}
	return b.MustStoreMaybeRef(d.AsCell())
}

// makeDict builds a dictionary from a map; value cells become the values.
func makeDict[K comparable](keyBits uint, m map[K]*cell.Cell, key func(K) *big.Int) *cell.Dictionary {
	if len(m) == 0 {
		return nil
	}
	d := cell.NewDict(keyBits)
	for k, v := range m {
		if err := d.SetIntKey(key(k), v); err != nil {
			panic("contracts: dictionary value does not fit: " + err.Error())
		}
	}
	return d
}

func hashKey(k [32]byte) *big.Int { return new(big.Int).SetBytes(k[:]) }

// textCell stores text in one cell, at most 127 bytes of printable ASCII.
func textCell(s string) (*cell.Cell, error) {
	if err := checkText(s); err != nil {
		return nil, err
	}
	return build().MustStoreSlice([]byte(s), uint(8*len(s))).EndCell(), nil
}

func checkText(s string) error {
	if len(s) > 127 {
		return attestation.BadInput("text of %d bytes, at most 127 fit", len(s))
	}
	if slices.ContainsFunc([]byte(s), func(c byte) bool { return c < 0x20 || c > 0x7e }) {
		return attestation.BadInput("text %q: only printable ASCII is stored", s)
	}
	return nil
}

func (r *reader) text() string {
	t := read(r.ref(), r.what+" text")
	if r.err != nil {
		return ""
	}
	if t.err == nil && t.s.BitsLeft()%8 != 0 {
		t.fail(errors.New("text is not whole bytes"))
	}
	var b []byte
	if t.err == nil {
		b = make([]byte, t.s.BitsLeft()/8)
		t.bytes(b)
	}
	t.end()
	if t.err == nil {
		if err := checkText(string(b)); err != nil {
			t.err = err
		}
	}
	if t.err != nil {
		r.fail(t.err)
		return ""
	}
	return string(b)
}
