package tpm

import (
	"bytes"
	"fmt"

	"github.com/fxamacker/cbor/v2"

	"github.com/cocoon-go/cocoon/attestation/eventlog"
)

// Limits of [Evidence].
const (
	MaxEvidence     = 256 << 10 // bytes, encoded
	MaxQuotes       = 8
	MaxCertificates = 8
)

const evidenceID = "cocoon/tpm-evidence/v1"

// Evidence is what a machine presents about its TPM. Parsing proves nothing.
type Evidence struct {
	Quotes []Quote // 1 to [MaxQuotes], all by one key; usually one per bank

	// Public is the TPMT_PUBLIC of the attestation key. It may be missing only
	// beside an HCL report, which contains the key.
	Public []byte

	// Certificates are the key's certificate and those above it, in DER form,
	// optional. The root may be left out.
	Certificates [][]byte

	// HCL is the report of a confidential VM's virtual TPM, optional.
	HCL []byte

	// TDQuote is the TDX quote over the TD report in HCL, when evidence of the
	// TPM travels alone; in a bundle the quote stands beside it.
	TDQuote []byte
}

// Quote is one quote of a TPM and the register values that it is of.
type Quote struct {
	Attest    []byte // TPMS_ATTEST
	Signature []byte // TPMT_SIGNATURE
	PCRs      PCRs   // exactly those quoted
}

type wireQuote struct {
	Attest    []byte                      `cbor:"1,keyasint"`
	Signature []byte                      `cbor:"2,keyasint"`
	PCRs      map[uint16]map[uint8][]byte `cbor:"3,keyasint"`
}

type wireEvidence struct {
	ID           string      `cbor:"0,keyasint"`
	Quotes       []wireQuote `cbor:"1,keyasint"`
	Public       []byte      `cbor:"2,keyasint,omitempty"`
	Certificates [][]byte    `cbor:"3,keyasint,omitempty"`
	HCL          []byte      `cbor:"4,keyasint,omitempty"`
	TDQuote      []byte      `cbor:"5,keyasint,omitempty"`
}

// The modes of the encoding: RFC 8949 section 4.2.1, five levels at most.
var (
	encMode = must(cbor.EncOptions{
		Sort:          cbor.SortBytewiseLexical,
		IndefLength:   cbor.IndefLengthForbidden,
		TagsMd:        cbor.TagsForbidden,
		NilContainers: cbor.NilContainerAsEmpty, // so that null is no second way to write nothing
	}.EncMode())
	decMode = must(cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		MaxNestedLevels:   5,
		MaxArrayElements:  16,
		MaxMapPairs:       eventlog.NumPCRs + 1, // the library asks for 16 at least
	}.DecMode())
)

func must[T any](v T, err error) T {
	if err != nil {
		panic("tpm: CBOR options contradict each other: " + err.Error())
	}
	return v
}

// IsEvidence reports whether b starts like encoded evidence. It is a guess at
// the kind of a file, not a check.
func IsEvidence(b []byte) bool {
	return len(b) > len(evidenceID)+4 && bytes.Equal(b[3:3+len(evidenceID)], []byte(evidenceID))
}

// ParseEvidence reads the encoding of [Evidence.Encode] and no other. Quotes,
// key and reports are not looked into. Errors are bad input.
func ParseEvidence(b []byte) (*Evidence, error) {
	if len(b) > MaxEvidence {
		return nil, inputAt(StepEvidence, "%d bytes, at most %d", len(b), MaxEvidence)
	}
	var w wireEvidence
	if err := decMode.Unmarshal(b, &w); err != nil {
		return nil, inputAt(StepEvidence, "%w", err)
	}
	if w.ID != evidenceID {
		return nil, inputAt(StepEvidence, "type %q, want %q", w.ID, evidenceID)
	}
	e := &Evidence{Public: w.Public, Certificates: w.Certificates, HCL: w.HCL, TDQuote: w.TDQuote}
	for _, q := range w.Quotes {
		pcrs := make(PCRs, len(q.PCRs))
		for a, bank := range q.PCRs {
			pcrs[eventlog.Alg(a)] = make(map[int][]byte, len(bank))
			for i, v := range bank {
				pcrs[eventlog.Alg(a)][int(i)] = v
			}
		}
		e.Quotes = append(e.Quotes, Quote{q.Attest, q.Signature, pcrs})
	}
	again, err := e.Encode()
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(again, b) {
		return nil, inputAt(StepEvidence, "not in the deterministic encoding, or a key is missing")
	}
	return e, nil
}

// Encode returns the deterministic encoding. Errors are bad input.
func (e *Evidence) Encode() ([]byte, error) {
	if err := e.check(); err != nil {
		return nil, err
	}
	w := wireEvidence{ID: evidenceID, Public: e.Public, Certificates: e.Certificates, HCL: e.HCL, TDQuote: e.TDQuote}
	for _, q := range e.Quotes {
		pcrs, err := q.PCRs.wire()
		if err != nil {
			return nil, inputAt(StepEvidence, "%w", err)
		}
		w.Quotes = append(w.Quotes, wireQuote{q.Attest, q.Signature, pcrs})
	}
	b, err := encMode.Marshal(&w)
	if err != nil {
		return nil, inputAt(StepEvidence, "%w", err)
	}
	if len(b) > MaxEvidence {
		return nil, inputAt(StepEvidence, "%d bytes, at most %d", len(b), MaxEvidence)
	}
	return b, nil
}

func (p PCRs) wire() (map[uint16]map[uint8][]byte, error) {
	out := make(map[uint16]map[uint8][]byte, len(p))
	for a, bank := range p {
		out[uint16(a)] = make(map[uint8][]byte, len(bank))
		for i, v := range bank {
			if i < 0 || i >= eventlog.NumPCRs {
				return nil, fmt.Errorf("PCR %d; they are numbered from 0 to %d", i, eventlog.NumPCRs-1)
			}
			out[uint16(a)][uint8(i)] = v
		}
	}
	return out, nil
}

func (e *Evidence) check() error {
	switch {
	case len(e.Quotes) == 0 || len(e.Quotes) > MaxQuotes:
		return inputAt(StepEvidence, "%d quotes, from 1 to %d are allowed", len(e.Quotes), MaxQuotes)
	case len(e.Certificates) > MaxCertificates:
		return inputAt(StepEvidence, "%d certificates, at most %d", len(e.Certificates), MaxCertificates)
	case len(e.Public) == 0 && len(e.HCL) == 0:
		return inputAt(StepEvidence, "no attestation key: neither a public area nor an HCL report")
	case len(e.TDQuote) != 0 && len(e.HCL) == 0:
		return inputAt(StepEvidence, "a TDX quote without the HCL report that names it")
	}
	return nil
}
