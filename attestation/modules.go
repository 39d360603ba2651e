package attestation

import (
	"time"

	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/tpm"
)

// verifyTPM verifies evidence of a TPM that stands alone, with the hardware
// evidence that it rests on, if any.
func (v *Verifier) verifyTPM(data []byte, e *Endorsements, at time.Time) (*Facts, error) {
	ev, e, err := parseTPM(data, e)
	if err != nil {
		return nil, err
	}
	kind, hardware, err := ev.Hardware()
	if err != nil {
		return nil, err
	}
	f := &Facts{Kind: KindTPM}
	if kind != 0 {
		if hardware == nil {
			return nil, Unknown("evidence of the TPM rests on a TDX quote that is not with it")
		}
		if kind == tpm.SNP {
			f, err = v.verifyAMD(hardware, e, at)
		} else {
			f, err = v.verifyIntel(KindTDX, hardware, e, at)
		}
		if err != nil {
			return nil, err
		}
		f.Kind = KindTPM
	}
	if f.TPM, err = v.verifyQuotes(ev, f, e, at); err != nil {
		return nil, err
	}
	if c := f.TPM.Certificate; c != nil && kind == 0 {
		f.Root, f.NotBefore, f.NotAfter = c.Root, c.NotBefore, c.NotAfter
	} else if c != nil {
		f.NotBefore, f.NotAfter = later(f.NotBefore, c.NotBefore), earlier(f.NotAfter, c.NotAfter)
	}
	f.Simulated = f.Simulated || f.TPM.Simulated
	return f, nil
}

// parseTPM reads the forms of TPM evidence; documents that a file carries are
// added to a copy of the set.
func parseTPM(data []byte, e *Endorsements) (*tpm.Evidence, *Endorsements, error) {
	if !tpm.IsAzureFile(data) {
		ev, err := tpm.ParseEvidence(data)
		return ev, e, err
	}
	file, err := tpm.ParseAzureFile(data)
	if err != nil {
		return nil, nil, err
	}
	if file.VCEK == nil {
		return file.Evidence, e, nil
	}
	set := e.amd.Clone()
	if err := set.Add(file.VCEK); err != nil {
		return nil, nil, err
	}
	with := *e
	with.amd = *set
	return file.Evidence, &with, nil
}

// verifyQuotes verifies the quotes of a TPM beside verified facts of the
// hardware.
func (v *Verifier) verifyQuotes(ev *tpm.Evidence, hardware *Facts, e *Endorsements, at time.Time) (*tpm.Facts, error) {
	var hw *tpm.Hardware
	switch {
	case len(ev.HCL) == 0: // nothing of the hardware vouches for this TPM
	case hardware.AMD != nil:
		hw = &tpm.Hardware{Kind: tpm.SNP, ReportData: hardware.ReportData()}
	case hardware.Intel != nil && hardware.Intel.TD != nil:
		hw = &tpm.Hardware{Kind: tpm.TDX, ReportData: hardware.ReportData()}
	}
	return tpm.Verify(ev, hw, &e.tpm, v.policy.tpm.options(v.policy.roots), at)
}

// verifyModule verifies the TPM of a bundle: at most one, whose quotes answer
// the claims.
func (v *Verifier) verifyModule(b *Bundle, c *Claims, nonce *[32]byte, hardware *Facts, e *Endorsements, at time.Time) (*tpm.Facts, error) {
	var found *Item
	for i := range b.Evidence {
		if b.Evidence[i].Kind != KindTPM {
			continue
		}
		if found != nil {
			return nil, fault.BadInput("bundle: evidence of more than one TPM")
		}
		found = &b.Evidence[i]
	}
	if found == nil {
		return nil, nil
	}
	if nonce != nil {
		found = b.live(found)
	}
	ev, err := tpm.ParseEvidence(found.Data)
	if err != nil {
		return nil, err
	}
	f, err := v.verifyQuotes(ev, hardware, e, at)
	if err != nil {
		return nil, err
	}
	want := tpm.ExtraData(c.Digest(), nonce)
	if err := f.CheckExtraData(want[:]); err != nil {
		return nil, err
	}
	return f, nil
}
