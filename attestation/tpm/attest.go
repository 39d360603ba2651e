package tpm

import (
	"github.com/cocoon-go/cocoon/attestation/eventlog"
)

// Limits of the structures of a TPM.
const (
	MaxAttest    = 2048 // bytes in a TPMS_ATTEST
	MaxSignature = 1024 // bytes in a TPMT_SIGNATURE
	MaxPublic    = 1024 // bytes in a TPMT_PUBLIC
	MaxBanks     = 16   // PCR banks in a quote
	MaxExtraData = 66   // bytes, the size of a TPMT_HA with SHA-512 (TPM2 part 2, 10.4.3)
)

const (
	attestMagic = 0xff544347 // TPM_GENERATED_VALUE: a restricted key signs it only for the TPM (TPM2 part 2, 6.2)
	attestQuote = 0x8018     // TPM_ST_ATTEST_QUOTE (TPM2 part 2, 6.9)
)

// Attest is a quote: a TPMS_ATTEST of type TPM_ST_ATTEST_QUOTE (TPM2 part 2,
// 10.12.12). It proves nothing until it comes out of [Verify] as part of
// [Facts].
type Attest struct {
	QualifiedSigner []byte      // qualified name of the key: hash algorithm and digest (TPM2 part 1, 16.2)
	ExtraData       []byte      // the caller's nonce, at most [MaxExtraData] bytes
	Clock           uint64      // milliseconds that the TPM was powered
	ResetCount      uint32      // resets since the TPM was cleared: counts boots
	RestartCount    uint32      // restarts and resumes since the last reset
	Safe            bool        // false: the clock may have gone back since an unclean shutdown
	Firmware        uint64      // the maker's firmware version
	Selection       []Selection // which PCRs the digest is of, in the order of the digest
	PCRDigest       []byte      // of the concatenated values of the selected PCRs
}

// Selection names PCRs of one bank.
type Selection struct {
	Bank eventlog.Alg
	PCRs []int // ascending; empty when the TPM lacks the bank
}

// ParseAttest reads a TPMS_ATTEST and nothing after it. It checks shape only:
// the magic number, that it is a quote, flags that are 0 or 1, known banks, at
// most once each, and at least one PCR. Errors are bad input.
func ParseAttest(b []byte) (*Attest, error) {
	if len(b) > MaxAttest {
		return nil, inputAt(StepEvidence, "quote of %d bytes, at most %d", len(b), MaxAttest)
	}
	r := newReader(b)
	if m := r.U32(); m != attestMagic {
		return nil, inputAt(StepEvidence, "quote starts with %08x, want %08x: not made by a TPM", m, uint32(attestMagic))
	}
	if t := r.U16(); t != attestQuote {
		return nil, inputAt(StepEvidence, "attestation of type %#04x, want %#04x (quote)", t, uint16(attestQuote))
	}
	a := &Attest{QualifiedSigner: clone(r.sized()), ExtraData: clone(r.sized())}
	a.Clock, a.ResetCount, a.RestartCount = r.U64(), r.U32(), r.U32()
	safe := r.U8()
	a.Safe, a.Firmware = safe == 1, r.U64()
	if err := a.parseSelection(r); err != nil {
		return nil, err
	}
	a.PCRDigest = clone(r.sized())
	if !r.Done() {
		return nil, inputAt(StepEvidence, "quote of the wrong length")
	}
	if safe > 1 {
		return nil, inputAt(StepEvidence, "quote: clock flag %d, want 0 or 1", safe)
	}
	if len(a.ExtraData) > MaxExtraData {
		return nil, inputAt(StepEvidence, "quote: %d bytes of extra data, at most %d", len(a.ExtraData), MaxExtraData)
	}
	if !isName(a.QualifiedSigner) {
		return nil, inputAt(StepEvidence, "quote: the signer's qualified name has %d bytes, want a hash algorithm and its digest", len(a.QualifiedSigner))
	}
	return a, nil
}

// parseSelection reads a TPML_PCR_SELECTION (TPM2 part 2, 10.9.7).
func (a *Attest) parseSelection(r *reader) error {
	n := r.U32()
	if n == 0 || n > MaxBanks { // zero too when there is none
		return inputAt(StepEvidence, "quote: %d PCR banks, from 1 to %d are allowed", n, MaxBanks)
	}
	total := 0
	for range n {
		s := Selection{Bank: eventlog.Alg(r.U16())}
		bits := r.Take(uint64(r.U8()))
		if r.Short || s.Bank.Hash() == 0 {
			return inputAt(StepEvidence, "quote: truncated, or PCR bank %v, which cannot be computed here", s.Bank)
		}
		for _, o := range a.Selection {
			if o.Bank == s.Bank {
				return inputAt(StepEvidence, "quote: PCR bank %v is selected twice", s.Bank)
			}
		}
		// PC Client TPMs have 24 PCRs; some write a fourth, empty byte.
		if len(bits) != 3 && (len(bits) != 4 || bits[3] != 0) {
			return inputAt(StepEvidence, "quote: selection %x, want three bytes for 24 PCRs", bits)
		}
		for i := range eventlog.NumPCRs {
			if bits[i/8]>>(i%8)&1 == 1 {
				s.PCRs = append(s.PCRs, i)
			}
		}
		total += len(s.PCRs)
		a.Selection = append(a.Selection, s)
	}
	if total == 0 {
		return inputAt(StepEvidence, "quote: no PCR is selected")
	}
	return nil
}

// isName reports whether b has the form of a name that is a digest.
func isName(b []byte) bool {
	if len(b) < 2 {
		return false
	}
	h := eventlog.Alg(uint16(b[0])<<8 | uint16(b[1])).Hash()
	return h != 0 && len(b) == 2+h.Size()
}

func clone(b []byte) []byte { return append([]byte(nil), b...) }
