package tpm

import (
	"bytes"
	"maps"

	"github.com/cocoon-go/cocoon/attestation/eventlog"
)

// PCRs are register values by bank and index.
type PCRs map[eventlog.Alg]map[int][]byte

// Clone returns a deep copy.
func (p PCRs) Clone() PCRs {
	out := make(PCRs, len(p))
	for a, bank := range p {
		out[a] = maps.Clone(bank)
		for i, v := range bank {
			out[a][i] = clone(v)
		}
	}
	return out
}

// checkPCRs checks that values are exactly the registers that a selects, and
// that the quoted digest is theirs. h is the hash of the signing scheme, which
// the TPM also uses here (TPM2 part 3, 18.4).
func (a *Attest) checkPCRs(values PCRs, h eventlog.Alg) error {
	d := h.Hash().New()
	used := 0
	for _, s := range a.Selection {
		for _, i := range s.PCRs {
			v, ok := values[s.Bank][i]
			if !ok {
				return inputAt(StepEvidence, "PCR %d of bank %v is quoted, but its value is not given", i, s.Bank)
			}
			if len(v) != s.Bank.Hash().Size() {
				return inputAt(StepEvidence, "PCR %d of bank %v has %d bytes", i, s.Bank, len(v))
			}
			d.Write(v)
			used++
		}
	}
	given := 0
	for a, bank := range values {
		if len(bank) == 0 {
			return inputAt(StepEvidence, "no values of PCR bank %v", a)
		}
		given += len(bank)
	}
	if given != used {
		return inputAt(StepEvidence, "%d PCR values for %d quoted ones: what is not quoted is not proven", given, used)
	}
	if !bytes.Equal(d.Sum(nil), a.PCRDigest) {
		return falseAt(StepPCRs, "the values of the PCRs do not have the quoted digest")
	}
	return nil
}
