package intel

import (
	"bytes"
	"encoding/binary"

	"github.com/cocoon-go/cocoon/attestation/fault"
)

// MaxQuoteSize is the largest quote that [ParseQuote] reads, in bytes,
// including what follows it in the buffer.
const MaxQuoteSize = 1 << 20

// TEE is the kind of trusted environment that a quote speaks of.
type TEE uint32

// The kinds, with the values of the quote header.
const (
	SGX TEE = 0x00
	TDX TEE = 0x81
)

// String returns "sgx" or "tdx".
func (t TEE) String() string {
	if t == TDX {
		return "tdx"
	}
	return "sgx"
}

// BodyType is the kind of report inside a quote, with the values of quote
// version 5. Older versions imply it.
type BodyType uint16

// The body types and their lengths.
const (
	BodySGX    BodyType = 1 // SGX enclave report, 384 bytes
	BodyTD10   BodyType = 2 // TD report 1.0, 584 bytes
	BodyTD15   BodyType = 3 // TD report 1.5, 648 bytes
	BodyTD15Ex BodyType = 4 // TD report 1.5 extended, 885 bytes
)

const (
	headerSize     = 48
	reportSize     = 384 // an SGX enclave report, also that of the quoting enclave
	signatureSize  = 64  // r || s
	oeHeaderSize   = 16
	keyTypeP256    = 2
	certTypeChain  = 5 // PEM chain: PCK certificate, PCK CA, root
	certTypeReport = 6 // QE report certification data
)

func (t BodyType) size() int {
	switch t {
	case BodySGX:
		return reportSize
	case BodyTD10:
		return 584
	case BodyTD15:
		return 648
	case BodyTD15Ex:
		return 885
	}
	return 0
}

var qeVendorIntel = [16]byte{0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9, 0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f, 0x06, 0x07}

// Quote is a parsed quote. Nothing in it is trusted. It holds slices of the
// buffer that it was parsed from, which the caller must not change afterwards.
type Quote struct {
	Version     uint16   // 3, 4 or 5
	TEE         TEE      // kind of environment
	BodyType    BodyType // kind of report
	Body        []byte   // the report
	OpenEnclave bool     // the quote came inside an Open Enclave remote report
	Trailing    int      // bytes that follow the quote in the buffer: padding, not signed

	signed      []byte // header to body: what the attestation key signs
	signature   []byte
	attestKey   []byte // x || y
	qeReport    []byte
	qeSignature []byte
	qeAuth      []byte
	certType    uint16
	certData    []byte
}

// ParseQuote reads a quote or an Open Enclave remote report. It checks shape
// only: lengths, versions, types. Bytes after the quote are counted in
// [Quote.Trailing]; clouds pad the buffer. Errors are [*fault.InputError].
func ParseQuote(b []byte) (*Quote, error) {
	if len(b) > MaxQuoteSize {
		return nil, fault.BadInput("quote: %d bytes, the limit is %d", len(b), MaxQuoteSize)
	}
	if len(b) < headerSize {
		return nil, fault.BadInput("quote: %d bytes is shorter than the header", len(b))
	}
	q := new(Quote)
	if IsOpenEnclave(b) {
		size := binary.LittleEndian.Uint64(b[8:])
		if size > uint64(len(b)-oeHeaderSize) {
			return nil, fault.BadInput("open enclave report: announces %d bytes, %d follow", size, len(b)-oeHeaderSize)
		}
		q.OpenEnclave = true
		q.Trailing = len(b) - oeHeaderSize - int(size)
		b = b[oeHeaderSize : oeHeaderSize+int(size)]
		if len(b) < headerSize {
			return nil, fault.BadInput("open enclave report: holds %d bytes, shorter than a quote header", len(b))
		}
	}
	start, err := q.parseHeader(b)
	if err != nil {
		return nil, err
	}
	end := start + q.BodyType.size()
	if len(b) < end {
		return nil, fault.BadInput("quote: %d bytes is shorter than header and body (%d)", len(b), end)
	}
	q.Body, q.signed = b[start:end:end], b[:end:end]
	if q.OpenEnclave && q.TEE != SGX {
		return nil, fault.BadInput("open enclave report: holds a %s quote, want sgx", q.TEE)
	}
	return q, q.parseSignatureData(b[end:])
}

// parseHeader fills version and types and returns where the body starts.
func (q *Quote) parseHeader(b []byte) (int, error) {
	q.Version = binary.LittleEndian.Uint16(b)
	q.TEE = TEE(binary.LittleEndian.Uint32(b[4:]))
	if !bytes.Equal(b[12:28], qeVendorIntel[:]) {
		return 0, fault.BadInput("quote: the quoting enclave's vendor %x is not Intel", b[12:28])
	}
	if k := binary.LittleEndian.Uint16(b[2:]); k != keyTypeP256 {
		return 0, fault.BadInput("quote: attestation key type %d, want %d (ECDSA P-256)", k, keyTypeP256)
	}
	if q.TEE != SGX && q.TEE != TDX {
		return 0, fault.BadInput("quote: unknown TEE type %#x", uint32(q.TEE))
	}
	switch q.Version {
	case 3:
		if q.TEE != SGX {
			return 0, fault.BadInput("quote: version 3 is for SGX only")
		}
		q.BodyType = BodySGX
		return headerSize, nil
	case 4:
		q.BodyType = BodySGX
		if q.TEE == TDX {
			q.BodyType = BodyTD10
		}
		return headerSize, nil
	case 5:
		return headerSize + 6, q.parseBodyDescriptor(b)
	}
	return 0, fault.BadInput("quote: unknown version %d", q.Version)
}

// parseBodyDescriptor reads type and size of the body in a version 5 quote.
func (q *Quote) parseBodyDescriptor(b []byte) error {
	if len(b) < headerSize+6 {
		return fault.BadInput("quote: version 5 ends before its body descriptor")
	}
	q.BodyType = BodyType(binary.LittleEndian.Uint16(b[headerSize:]))
	size := binary.LittleEndian.Uint32(b[headerSize+2:])
	if want := q.BodyType.size(); want == 0 || uint32(want) != size {
		return fault.BadInput("quote: unknown body type %d of %d bytes", q.BodyType, size)
	}
	if (q.BodyType == BodySGX) != (q.TEE == SGX) {
		return fault.BadInput("quote: body type %d does not fit TEE type %s", q.BodyType, q.TEE)
	}
	return nil
}

func (q *Quote) parseSignatureData(b []byte) error {
	r := reader{b: b}
	s := reader{b: r.take32()}
	if r.short {
		return fault.BadInput("quote: ends inside its signature data")
	}
	q.Trailing += len(r.b)
	q.signature = s.take(signatureSize)
	q.attestKey = s.take(64)
	c := &s
	if q.Version > 3 {
		if t := s.u16(); !s.short && t != certTypeReport {
			return fault.BadInput("quote: outer certification data of type %d, want %d", t, certTypeReport)
		}
		c = &reader{b: s.take32()}
	}
	q.qeReport = c.take(reportSize)
	q.qeSignature = c.take(signatureSize)
	q.qeAuth = c.take(int(c.u16()))
	q.certType = c.u16()
	q.certData = c.take32()
	if s.short || c.short {
		return fault.BadInput("quote: a field reaches beyond the signature data")
	}
	if len(s.b) != 0 || len(c.b) != 0 {
		return fault.BadInput("quote: unread bytes inside the signature data")
	}
	if q.certType < 1 || q.certType > certTypeChain {
		return fault.BadInput("quote: certification data of type %d is not known", q.certType)
	}
	return nil
}

// IsOpenEnclave reports whether b starts like an Open Enclave remote report
// with an SGX quote in it: u32 version 1, u32 type 2, u64 size.
func IsOpenEnclave(b []byte) bool {
	return len(b) >= oeHeaderSize && binary.LittleEndian.Uint32(b) == 1 && binary.LittleEndian.Uint32(b[4:]) == 2
}

// IsQuote reports whether b starts like a quote of any version: its quoting
// enclave is Intel's. It is a guess at the kind of a file, not a check.
func IsQuote(b []byte) bool {
	if IsOpenEnclave(b) {
		b = b[oeHeaderSize:]
	}
	if len(b) < headerSize {
		return false
	}
	return bytes.Equal(b[12:28], qeVendorIntel[:])
}

// reader takes fields from the front of b; short latches the first shortage.
type reader struct {
	b     []byte
	short bool
}

func (r *reader) take(n int) []byte {
	if r.short || n < 0 || n > len(r.b) {
		r.short = true
		return nil
	}
	x := r.b[:n:n]
	r.b = r.b[n:]
	return x
}

func (r *reader) u16() uint16 {
	if x := r.take(2); x != nil {
		return binary.LittleEndian.Uint16(x)
	}
	return 0
}

// take32 takes what a 32-bit length in front announces.
func (r *reader) take32() []byte {
	x := r.take(4)
	if x == nil {
		return nil
	}
	n := binary.LittleEndian.Uint32(x)
	if n > MaxQuoteSize {
		r.short = true
		return nil
	}
	return r.take(int(n))
}
