package sim

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
)

// TD is a simulated trust domain: what its quotes say. The zero value is a TD
// with zero measurements that a policy accepts (SEPT_VE_DISABLE is set, debug
// is not).
type TD struct {
	MRTD          [48]byte
	RTMR          [4][48]byte
	ReportData    [64]byte
	MRConfigID    [48]byte
	MROwner       [48]byte
	MROwnerConfig [48]byte
	MRSEAM        [48]byte
	MRSIGNERSEAM  [48]byte
	SEAM          uint64   // SEAMATTRIBUTES
	Attributes    uint64   // TDATTRIBUTES; 0 means SEPT_VE_DISABLE, see Plain
	Plain         bool     // take Attributes as it is, also when 0
	XFAM          uint64   // 0 means 0x602e7
	TEETCBSVN     [16]byte // zero means 05 01 03
	Version       uint16   // 4 (default) or 5
	BodyType      uint16   // of version 5: 2, 3 (default) or 4
	TEETCBSVN2    [16]byte // of body types 3 and 4; zero means TEETCBSVN
	MRServiceTD   [48]byte
	Edit          Edit // changes below the body, for negative tests
}

// Edit changes parts of a quote before they are signed, or signs with the wrong
// key. The zero value changes nothing.
type Edit struct {
	Header   func([]byte) // of the quote, 48 bytes
	QEReport func([]byte) // report of the quoting enclave, 384 bytes
	Auth     []byte       // QE authentication data; default 32 zero bytes
	Chain    []byte       // certification data; default the PCK chain
	CertType uint16       // its type; default 5
	WrongPCK bool         // the report of the quoting enclave is signed by another key
	WrongAK  bool         // the quote is signed by another key
	Trailing []byte       // follows the quote, not signed
}

// Attribute bits of a TD, for [TD.Attributes].
const (
	TDDebug         = 1 << 0
	TDSeptVEDisable = 1 << 28
	TDMigratable    = 1 << 29
	TDPerfmon       = 1 << 63
)

var (
	qeVendor      = []byte{0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9, 0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f, 0x06, 0x07}
	defaultTCBSVN = [16]byte{5, 1, 3}
)

// Body encodes the report of the TD, as quotes carry it.
func (t TD) Body() []byte {
	if t.Attributes == 0 && !t.Plain {
		t.Attributes = TDSeptVEDisable
	}
	if t.XFAM == 0 {
		t.XFAM = 0x602e7
	}
	if t.TEETCBSVN == ([16]byte{}) {
		t.TEETCBSVN = defaultTCBSVN
	}
	if t.TEETCBSVN2 == ([16]byte{}) {
		t.TEETCBSVN2 = t.TEETCBSVN
	}
	le := binary.LittleEndian
	b := append([]byte(nil), t.TEETCBSVN[:]...)
	b = append(b, t.MRSEAM[:]...)
	b = append(b, t.MRSIGNERSEAM[:]...)
	b = le.AppendUint64(b, t.SEAM)
	b = le.AppendUint64(b, t.Attributes)
	b = le.AppendUint64(b, t.XFAM)
	for _, f := range [][48]byte{t.MRTD, t.MRConfigID, t.MROwner, t.MROwnerConfig, t.RTMR[0], t.RTMR[1], t.RTMR[2], t.RTMR[3]} {
		b = append(b, f[:]...)
	}
	b = append(b, t.ReportData[:]...)
	if t.bodyType() >= 3 {
		b = append(b, t.TEETCBSVN2[:]...)
		b = append(b, t.MRServiceTD[:]...)
	}
	if t.bodyType() == 4 {
		b = append(b, make([]byte, 237)...)
	}
	return b
}

func (t TD) bodyType() uint16 {
	if t.Version != 5 {
		return 2
	}
	if t.BodyType == 0 {
		return 3
	}
	return t.BodyType
}

// Quote mints a TDX quote. It is deterministic.
func (p *Intel) Quote(t TD) ([]byte, error) {
	body := t.Body()
	if t.Version == 0 {
		t.Version = 4
	}
	signed := quoteHeader(t.Version, 0x81, t.Edit)
	if t.Version == 5 {
		signed = binary.LittleEndian.AppendUint16(signed, t.bodyType())
		signed = binary.LittleEndian.AppendUint32(signed, uint32(len(body)))
	}
	return p.sign(append(signed, body...), t.Version, tdQE, t.Edit)
}

// Enclave is a simulated SGX enclave.
type Enclave struct {
	MRENCLAVE, MRSIGNER [32]byte
	ProdID, SVN         uint16
	Debug               bool
	ReportData          [64]byte
	Version             uint16 // 3 (default) or 4
	OpenEnclave         bool   // wrap the quote as EGo and Open Enclave do
	Edit                Edit   // changes below the body, for negative tests
}

// EnclaveQuote mints an SGX quote. It is deterministic.
func (p *Intel) EnclaveQuote(e Enclave) ([]byte, error) {
	if e.Version == 0 {
		e.Version = 3
	}
	b := make([]byte, 384)
	copy(b, p.cpusvn[:])
	b[48] = 5 // initialised, 64 bit
	if e.Debug {
		b[48] |= 2
	}
	b[56] = 3 // XFRM: x87, SSE
	copy(b[64:], e.MRENCLAVE[:])
	copy(b[128:], e.MRSIGNER[:])
	binary.LittleEndian.PutUint16(b[256:], e.ProdID)
	binary.LittleEndian.PutUint16(b[258:], e.SVN)
	copy(b[320:], e.ReportData[:])
	q, err := p.sign(append(quoteHeader(e.Version, 0, e.Edit), b...), e.Version, sgxQE, e.Edit)
	if err != nil || !e.OpenEnclave {
		return q, err
	}
	le := binary.LittleEndian
	oe := le.AppendUint32(nil, 1)
	oe = le.AppendUint32(oe, 2)
	oe = le.AppendUint64(oe, uint64(len(q)))
	return append(oe, q...), nil
}

func quoteHeader(version uint16, tee uint32, e Edit) []byte {
	h := make([]byte, 48)
	binary.LittleEndian.PutUint16(h, version)
	binary.LittleEndian.PutUint16(h[2:], 2)
	binary.LittleEndian.PutUint32(h[4:], tee)
	copy(h[12:], qeVendor)
	if e.Header != nil {
		e.Header(h)
	}
	return h
}

// Product numbers of Intel's quoting enclaves.
const (
	sgxQE = 1
	tdQE  = 2
)

// qeReport makes the report of the quoting enclave, which vouches for the
// attestation key.
func (p *Intel) qeReport(product uint16, auth []byte) []byte {
	r := make([]byte, 384)
	copy(r, p.cpusvn[:])
	r[48] = 0x11 | 0x04 // initialised, 64 bit, provisioning key
	copy(r[128:], p.qeSigner[:])
	binary.LittleEndian.PutUint16(r[256:], product)
	binary.LittleEndian.PutUint16(r[258:], 4)
	key := rawPublicKey(p.ak)
	d := sha256.Sum256(append(key[:], auth...))
	copy(r[320:], d[:])
	return r
}

// sign appends the signature data to header and body.
func (p *Intel) sign(signed []byte, version, product uint16, e Edit) ([]byte, error) {
	le := binary.LittleEndian
	pck, ak := p.pckKey, p.ak
	if e.WrongPCK {
		pck = p.ak
	}
	if e.WrongAK {
		ak = p.pckKey
	}
	if e.Auth == nil {
		e.Auth = make([]byte, 32)
	}
	if e.Chain == nil {
		e.Chain = p.PCKChain()
	}
	if e.CertType == 0 {
		e.CertType = 5
	}
	report := p.qeReport(product, e.Auth)
	if e.QEReport != nil {
		e.QEReport(report)
	}
	qeSig, err := signRaw(pck, report)
	if err != nil {
		return nil, err
	}
	sig, err := signRaw(ak, signed)
	if err != nil {
		return nil, err
	}
	c := append(report, qeSig...)
	c = le.AppendUint16(c, uint16(len(e.Auth)))
	c = append(c, e.Auth...)
	c = le.AppendUint16(c, e.CertType)
	c = le.AppendUint32(c, uint32(len(e.Chain)))
	c = append(c, e.Chain...)
	key := rawPublicKey(p.ak)
	s := append(sig, key[:]...)
	if version > 3 {
		s = le.AppendUint16(s, 6)
		s = le.AppendUint32(s, uint32(len(c)))
	}
	s = append(s, c...)
	out := le.AppendUint32(slices.Clone(signed), uint32(len(s)))
	return append(append(out, s...), e.Trailing...), nil
}
