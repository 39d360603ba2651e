package nvidia

import (
	"bytes"
	"encoding/pem"

	"github.com/fxamacker/cbor/v2"
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

// wireEvidence is the form in bundles (docs/spec/nvidia.md).
type wireEvidence struct {
	ID     string   `cbor:"0,keyasint"`
	Report []byte   `cbor:"1,keyasint"`
	Chain  [][]byte `cbor:"2,keyasint"`
}

var (
	encMode = must(cbor.CoreDetEncOptions().EncMode())
	decMode = must(cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		MaxNestedLevels:   4,
		MaxArrayElements:  16,
		MaxMapPairs:       16,
	}.DecMode())
)

func must[T any](v T, err error) T {
	if err != nil {
		panic("nvidia: CBOR options: " + err.Error())
	}
	return v
}

// NewEvidence joins a report and its certificates in PEM form, as the driver
// hands them out.
func NewEvidence(report, chainPEM []byte) (*Evidence, error) {
	chain, err := splitPEM(chainPEM)
	if err != nil {
		return nil, err
	}
	e := &Evidence{Report: report, Chain: chain}
	return e, e.check()
}

// ParseEvidence reads the deterministic CBOR form of bundles. Only sizes are
// checked; report and certificates are not looked into.
func ParseEvidence(data []byte) (*Evidence, error) {
	if len(data) > MaxEvidence {
		return nil, inputAt(StepReport, "evidence of %d bytes, limit %d", len(data), MaxEvidence)
	}
	var w wireEvidence
	if err := decMode.Unmarshal(data, &w); err != nil {
		return nil, inputAt(StepReport, "evidence: %w", err)
	}
	if w.ID != evidenceID {
		return nil, inputAt(StepReport, "evidence: type %.64q, want %q", w.ID, evidenceID)
	}
	e := &Evidence{Report: w.Report, Chain: w.Chain}
	again, err := e.Encode()
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(again, data) {
		return nil, inputAt(StepReport, "evidence: not in the deterministic encoding")
	}
	return e, nil
}

// Encode returns the form of bundles.
func (e *Evidence) Encode() ([]byte, error) {
	if err := e.check(); err != nil {
		return nil, err
	}
	out, err := encMode.Marshal(wireEvidence{evidenceID, e.Report, e.Chain})
	if err != nil {
		return nil, inputAt(StepReport, "evidence: %w", err)
	}
	if len(out) > MaxEvidence {
		return nil, inputAt(StepReport, "evidence of %d bytes, limit %d", len(out), MaxEvidence)
	}
	return out, nil
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
