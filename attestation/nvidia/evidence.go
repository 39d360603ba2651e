package nvidia

import (
	"bytes"
	"encoding/binary"
	"encoding/pem"
)

// Limits of [Evidence], in bytes.
const (
	MaxEvidence    = 128 << 10
	maxCertificate = 8 << 10
)

const evidenceID = "cocoon/nvidia/v1"

// evidencePrefix starts the form of bundles: a map of three, key 0, a text of
// sixteen bytes.
var evidencePrefix = append([]byte{0xa3, 0x00, 0x70}, evidenceID...)

// Evidence is what one device hands out: its report and the certificates of the
// key that signed it. Parsing proves nothing.
type Evidence struct {
	Report []byte   // SPDM GET_MEASUREMENTS, request and response
	Chain  [][]byte // DER, leaf first, root last
}

// NewEvidence joins a report and its certificates in PEM form, as the driver
// hands them out.
func NewEvidence(report, chainPEM []byte) (*Evidence, error) {
	chain, err := splitPEM(chainPEM)
	if err != nil {
		return nil, err
	}
	return (&Evidence{Report: report, Chain: chain}).checked()
}

// ParseEvidence reads the form of bundles. Only sizes are checked; report and
// certificates are not looked into. The result refers to data.
//
// The form is one deterministic CBOR item (RFC 8949, section 4.2.1), and any
// other encoding is refused:
//
//	{0: "cocoon/nvidia/v1", 1: report, 2: [leaf, ..., root]}
func ParseEvidence(data []byte) (*Evidence, error) {
	if len(data) > MaxEvidence {
		return nil, inputAt(StepReport, "evidence of %d bytes, limit %d", len(data), MaxEvidence)
	}
	b, ok := bytes.CutPrefix(data, evidencePrefix)
	if !ok {
		return nil, inputAt(StepReport, "evidence: not of type %q", evidenceID)
	}
	e := &Evidence{}
	if e.Report, b, ok = cutBytes(b, 0x01); !ok || len(b) < 2 || b[0] != 0x02 {
		return nil, inputAt(StepReport, "evidence: malformed")
	}
	n := b[1] - cborArray // of another item it is larger than any length
	if n > maxCertificates {
		return nil, inputAt(StepReport, "evidence: malformed")
	}
	for b = b[2:]; n > 0; n-- {
		var c []byte
		if c, b, ok = cutBytes(b); !ok {
			return nil, inputAt(StepReport, "evidence: malformed")
		}
		e.Chain = append(e.Chain, c)
	}
	if len(b) != 0 {
		return nil, inputAt(StepReport, "evidence: %d bytes after its end", len(b))
	}
	return e.checked()
}

// Encode returns the form of bundles.
func (e *Evidence) Encode() ([]byte, error) {
	if err := e.check(); err != nil {
		return nil, err
	}
	out := appendBytes(append(bytes.Clone(evidencePrefix), 0x01), e.Report)
	out = append(out, 0x02, cborArray+byte(len(e.Chain)))
	for _, c := range e.Chain {
		out = appendBytes(out, c)
	}
	if len(out) > MaxEvidence {
		return nil, inputAt(StepReport, "evidence of %d bytes, limit %d", len(out), MaxEvidence)
	}
	return out, nil
}

// Heads of CBOR items: a byte string whose length follows in one, two or four
// bytes, or is added to the first of them when below 24; an array.
const (
	cborBytes = 0x40
	cborArray = 0x80
)

func appendBytes(out, b []byte) []byte {
	switch n := len(b); {
	case n < 24:
		out = append(out, cborBytes+byte(n))
	case n < 1<<8:
		out = append(out, cborBytes+24, byte(n))
	case n < 1<<16:
		out = binary.BigEndian.AppendUint16(append(out, cborBytes+25), uint16(n))
	default:
		out = binary.BigEndian.AppendUint32(append(out, cborBytes+26), uint32(n))
	}
	return append(out, b...)
}

// cutBytes takes a byte string, after a key, off b. Its length has to be written
// in the shortest form.
func cutBytes(b []byte, key ...byte) (s, rest []byte, ok bool) {
	if b, ok = bytes.CutPrefix(b, key); !ok || len(b) < 1 {
		return nil, nil, false
	}
	n, head, least := uint64(b[0]-cborBytes), 0, uint64(0) // of another item it is larger than any length
	switch b[0] {
	case cborBytes + 24:
		head, least = 1, 24
	case cborBytes + 25:
		head, least = 2, 1<<8
	case cborBytes + 26:
		head, least = 4, 1<<16
	default:
		if n > 23 {
			return nil, nil, false
		}
	}
	if b = b[1:]; len(b) < head {
		return nil, nil, false
	}
	if head > 0 {
		n = 0
		for _, x := range b[:head] {
			n = n<<8 | uint64(x)
		}
	}
	if b = b[head:]; n < least || n > uint64(len(b)) {
		return nil, nil, false
	}
	return b[:n:n], b[n:], true
}

func (e *Evidence) checked() (*Evidence, error) {
	if err := e.check(); err != nil {
		return nil, err
	}
	return e, nil
}

func (e *Evidence) check() error {
	if len(e.Report) == 0 || len(e.Report) > MaxReport {
		return inputAt(StepReport, "report of %d bytes, want 1 to %d", len(e.Report), MaxReport)
	}
	if len(e.Chain) == 0 || len(e.Chain) > maxCertificates {
		return inputAt(StepChain, "%d certificates, want 1 to %d", len(e.Chain), maxCertificates)
	}
	for i, c := range e.Chain {
		if len(c) == 0 || len(c) > maxCertificate {
			return inputAt(StepChain, "certificate %d of %d bytes, want 1 to %d", i, len(c), maxCertificate)
		}
	}
	return nil
}

// splitPEM returns the certificates of a PEM text in order. White space and NULs
// may follow the last one.
func splitPEM(b []byte) ([][]byte, error) {
	if len(b) > MaxEvidence {
		return nil, inputAt(StepChain, "%d bytes of PEM, limit %d", len(b), MaxEvidence)
	}
	var out [][]byte
	for {
		p, rest := pem.Decode(b)
		if p == nil {
			if len(out) == 0 || len(bytes.Trim(b, "\x00 \t\r\n")) != 0 {
				return nil, inputAt(StepChain, "the certificates are not in PEM form")
			}
			return out, nil
		}
		if p.Type != "CERTIFICATE" {
			return nil, inputAt(StepChain, "unexpected PEM block %.64q", p.Type)
		}
		if len(out) == maxCertificates {
			return nil, inputAt(StepChain, "more than %d certificates", maxCertificates)
		}
		out = append(out, p.Bytes)
		b = rest
	}
}
