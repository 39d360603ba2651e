package contracts

import (
	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/fault"
)

// TDXTCB is what the contract reads out of a TDX quote for the floor to judge.
// Bytes stand in the order of the quote.
type TDXTCB struct {
	CPUSVN       [16]byte // components in the PCK certificate
	PCESVN       uint16
	TEESVN       [16]byte // TEE_TCB_SVN
	TEESVNNow    [16]byte // TEE_TCB_SVN2, the same as TEESVN in quotes without
	QESVN        uint16
	QESigner     [32]byte
	TDAttributes [8]byte
	XFAM         [8]byte
}

func (r *reader) tdxTCB() (t TDXTCB) {
	t.CPUSVN = r.b16()
	t.PCESVN = r.u16()
	t.TEESVN = r.b16()
	t.TEESVNNow = r.b16()
	t.QESVN = r.u16()
	t.QESigner = r.b32()
	r.bytes(t.TDAttributes[:])
	r.bytes(t.XFAM[:])
	return t
}

// Cell returns the encoding.
func (t TDXTCB) Cell() *cell.Cell {
	return build().MustStoreSlice(t.CPUSVN[:], 128).MustStoreUInt(uint64(t.PCESVN), 16).
		MustStoreSlice(t.TEESVN[:], 128).MustStoreSlice(t.TEESVNNow[:], 128).
		MustStoreUInt(uint64(t.QESVN), 16).MustStoreSlice(t.QESigner[:], 256).
		MustStoreSlice(t.TDAttributes[:], 64).MustStoreSlice(t.XFAM[:], 64).EndCell()
}

// NoModule in [TDXFloor.Modules] refuses a TDX module number.
const NoModule = 255

// TDXFloor is the least TCB that Root accepts from one FMSPC. Components are
// compared one by one.
type TDXFloor struct {
	CPUSVN       [16]byte
	PCESVN       uint16
	TEESVN       [16]byte // bytes 0 and 1 count only where byte 1 of the quote's is 0
	Modules      [16]byte // index: TDX module number, byte 1 of TEE_TCB_SVN; value: least version, byte 0, or NoModule
	QESVN        uint16
	QESigner     [32]byte
	TDRequired   [8]byte // bits of TDATTRIBUTES that must be set
	TDAllowed    [8]byte // bits that may be set
	XFAMRequired [8]byte
	XFAMAllowed  [8]byte
}

// FloorOf returns the strictest floor that accepts t. It accepts no other TDX
// module than t's, and no other attributes. Governance starts from it.
func FloorOf(t TDXTCB) TDXFloor {
	f := TDXFloor{
		CPUSVN: t.CPUSVN, PCESVN: t.PCESVN, TEESVN: t.TEESVN, QESVN: t.QESVN, QESigner: t.QESigner,
		TDRequired: t.TDAttributes, TDAllowed: t.TDAttributes, XFAMRequired: t.XFAM, XFAMAllowed: t.XFAM,
	}
	for i := range f.TEESVN {
		f.TEESVN[i] = min(t.TEESVN[i], t.TEESVNNow[i])
	}
	for i := range f.Modules {
		f.Modules[i] = NoModule
	}
	for _, svn := range [][16]byte{t.TEESVN, t.TEESVNNow} {
		if n := svn[1]; int(n) < len(f.Modules) {
			f.Modules[n] = min(f.Modules[n], svn[0])
		}
	}
	return f
}

// Judge is what Root decides on a quote under this floor: nil, or a refusal
// that names the contract's error.
func (f TDXFloor) Judge(t TDXTCB) error {
	code := f.judge(t)
	if code == 0 {
		return nil
	}
	return fault.Refused("TCB is below the registry's floor: %s", ErrorName(code))
}

func (f TDXFloor) judge(t TDXTCB) int {
	switch {
	case !bytesAtLeast(t.CPUSVN, f.CPUSVN):
		return CodeQuoteCPUSVN
	case t.PCESVN < f.PCESVN:
		return CodeQuotePCESVN
	case t.QESVN < f.QESVN:
		return CodeQuoteQESVN
	case t.QESigner != f.QESigner:
		return CodeQuoteQESigner
	case !hasBits(t.TDAttributes, f.TDRequired, f.TDAllowed):
		return CodeQuoteTDAttributes
	case !hasBits(t.XFAM, f.XFAMRequired, f.XFAMAllowed):
		return CodeQuoteXFAM
	}
	if code := f.judgeTEESVN(t.TEESVN); code != 0 {
		return code
	}
	return f.judgeTEESVN(t.TEESVNNow)
}

func (f TDXFloor) judgeTEESVN(svn [16]byte) int {
	version, module := svn[0], svn[1]
	components := svn
	if module != 0 {
		components[0], components[1] = 255, 255
	}
	switch {
	case !bytesAtLeast(components, f.TEESVN):
		return CodeQuoteTEESVN
	case int(module) >= len(f.Modules) || f.Modules[module] == NoModule || version < f.Modules[module]:
		return CodeQuoteModule
	}
	return 0
}

func bytesAtLeast(a, b [16]byte) bool {
	for i := range a {
		if a[i] < b[i] {
			return false
		}
	}
	return true
}

func hasBits(v, required, allowed [8]byte) bool {
	for i := range v {
		if v[i]&required[i] != required[i] || v[i]&^allowed[i] != 0 {
			return false
		}
	}
	return true
}

// Cell returns the encoding, QuoteFloor of quote_tcb.tolk.
func (f TDXFloor) Cell() *cell.Cell {
	return build().MustStoreSlice(f.CPUSVN[:], 128).MustStoreUInt(uint64(f.PCESVN), 16).
		MustStoreSlice(f.TEESVN[:], 128).MustStoreSlice(f.Modules[:], 128).
		MustStoreUInt(uint64(f.QESVN), 16).MustStoreSlice(f.QESigner[:], 256).
		MustStoreSlice(f.TDRequired[:], 64).MustStoreSlice(f.TDAllowed[:], 64).
		MustStoreSlice(f.XFAMRequired[:], 64).MustStoreSlice(f.XFAMAllowed[:], 64).EndCell()
}

func parseFloor(c *cell.Cell) (TDXFloor, error) {
	r := read(c, "TDX floor")
	f := TDXFloor{CPUSVN: r.b16(), PCESVN: r.u16(), TEESVN: r.b16(), Modules: r.b16(), QESVN: r.u16(), QESigner: r.b32()}
	for _, d := range [][]byte{f.TDRequired[:], f.TDAllowed[:], f.XFAMRequired[:], f.XFAMAllowed[:]} {
		r.bytes(d)
	}
	r.end()
	if r.err != nil {
		return TDXFloor{}, r.err
	}
	for _, p := range [][2][8]byte{{f.TDRequired, f.TDAllowed}, {f.XFAMRequired, f.XFAMAllowed}} {
		if !hasBits(p[1], p[0], [8]byte{255, 255, 255, 255, 255, 255, 255, 255}) {
			return TDXFloor{}, attestation.BadInput("TDX floor: demands bits that it does not allow")
		}
	}
	return f, nil
}
