package amd

import (
	"crypto/ecdsa"
	"crypto/sha512"
	"time"

	"github.com/cocoon-go/cocoon/attestation/internal/memo"
)

// Facts is what a verified report proves. It is a value: changing it changes
// nothing else.
type Facts struct {
	Report  Report
	Product Product // line of processors

	Current   TCB // runs now
	Reported  TCB // the endorsement key is for this one
	Committed TCB // cannot be rolled back below this
	Launch    TCB // ran when the guest was launched

	SigningKey  KeyKind // which key signed the report
	ProductName string  // as in the certificate, with stepping on some VCEKs
	CSPID       string  // cloud provider in a VLEK certificate

	// HardwareID identifies the chip, as CHIP_ID does: from the certificate of
	// a VCEK, also when the report masks its chip id; from the report when a
	// VLEK signed it. Zero, and HasHardwareID false, when a VLEK signed and
	// the host masked the chip id: then nothing identifies the chip.
	HardwareID    [ChipIDSize]byte
	HasHardwareID bool

	LeafDigest [32]byte // SHA-256 of the endorsement key's certificate, DER
	Root       [32]byte // SHA-256 of the root certificate, DER
	Simulated  bool     // the root is not AMD's

	Revocation Revocation // the list that was checked
	At         time.Time  // the time of verification
	NotBefore  time.Time  // latest start of all documents
	NotAfter   time.Time  // earliest end of all documents
}

// Verify parses a report and verifies it with the given endorsements at the
// given time. It proves that the report was signed by a chip (VCEK) or a cloud
// provider's key on a chip (VLEK) that AMD endorsed for the reported TCB; it
// judges nothing that the report says.
//
// On failure the facts are nil and the error wraps a [*StepError].
func Verify(report []byte, e *Endorsements, o Options, at time.Time) (*Facts, error) {
	r, err := parseSigned(report)
	if err != nil {
		return nil, err
	}
	c, err := VerifyChain(r, e, o, at)
	if err != nil {
		return nil, err
	}
	return c.verify(r, at)
}

// Verify parses a report and verifies it with an endorsement key that was
// verified before. It costs one P-384 verification. The chain's validity is
// checked again at the given time.
func (c *Chain) Verify(report []byte, at time.Time) (*Facts, error) {
	r, err := parseSigned(report)
	if err != nil {
		return nil, err
	}
	return c.verify(r, at)
}

// parseSigned parses a report and refuses one that says that it is not signed.
func parseSigned(report []byte) (*Report, error) {
	r, err := ParseReport(report)
	if err != nil {
		return nil, err
	}
	if r.SigningKey == none || r.MaskChipKey && r.SigningKey == VCEK {
		return nil, falseAt(StepReport, "the report is not signed: the host has masked the chip key")
	}
	return r, nil
}

func (c *Chain) verify(r *Report, at time.Time) (*Facts, error) {
	if at.Before(c.notBefore) || at.After(c.notAfter) {
		return nil, missing(StepValidity, "endorsements", "are valid from "+day(c.notBefore)+" to "+day(c.notAfter)+", not at "+day(at))
	}
	if err := c.leaf.bind(r); err != nil {
		return nil, falseAt(StepBinding, "%w", err)
	}
	digest := sha512.Sum384(r.signed[:])
	var sig [2*(scalarSize+3) + 2]byte
	if !ecdsa.VerifyASN1(c.leaf.key, digest[:], appendDERSignature(sig[:0], r.r[:], r.s[:])) {
		return nil, falseAt(StepSignature, "the %v did not sign this report", c.leaf.kind)
	}
	f := &Facts{
		Report: *r, Product: c.leaf.product,
		Current:    r.CurrentTCB.Decode(c.leaf.product),
		Reported:   r.ReportedTCB.Decode(c.leaf.product),
		Committed:  r.CommittedTCB.Decode(c.leaf.product),
		Launch:     r.LaunchTCB.Decode(c.leaf.product),
		SigningKey: c.leaf.kind, ProductName: c.leaf.productName, CSPID: c.leaf.cspID,
		LeafDigest: c.leafDigest, Root: c.root, Simulated: c.simulated,
		Revocation: c.revocation, At: at, NotBefore: c.notBefore, NotAfter: c.notAfter,
	}
	if c.leaf.kind == VCEK {
		copy(f.HardwareID[:], c.leaf.hwid)
		f.HasHardwareID = true
	} else if !r.ChipIDMasked() {
		f.HardwareID, f.HasHardwareID = r.ChipID, true
	}
	return f, nil
}

// selector is the key of the chain that [VerifyChain] would build: what the
// report selects, and from which documents.
func selector(r *Report, e *Endorsements) memo.Key {
	b := make([]byte, 0, 2+ChipIDSize+len(r.ReportedTCB))
	b = append(b, byte(r.SigningKey), byte(r.Product()))
	b = append(b, r.ChipID[:]...)
	return memo.KeyOf(append(b, r.ReportedTCB[:]...), e.set.Digest())
}

// appendDERSignature writes two big-endian numbers as the ASN.1 sequence that
// crypto/ecdsa reads.
func appendDERSignature(b, r, s []byte) []byte {
	b = append(b, 0x30, 0)
	for _, n := range [][]byte{r, s} {
		for len(n) > 1 && n[0] == 0 {
			n = n[1:]
		}
		if n[0]&0x80 != 0 {
			b = append(b, 2, byte(len(n)+1), 0)
		} else {
			b = append(b, 2, byte(len(n)))
		}
		b = append(b, n...)
	}
	b[1] = byte(len(b) - 2)
	return b
}
