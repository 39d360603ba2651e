package attestation

import (
	"time"

	"github.com/cocoon-go/cocoon/attestation/amd"
	"github.com/cocoon-go/cocoon/attestation/intel"
	"github.com/cocoon-go/cocoon/attestation/nvidia"
	"github.com/cocoon-go/cocoon/attestation/tpm"
)

// Facts is what one piece of evidence proves, whatever a policy thinks of it.
// Exactly one vendor's part is set, but for a TPM: beside it stands the hardware
// that vouches for it, if any does.
type Facts struct {
	Kind    string          // one of the Kind constants
	Intel   *intel.Facts    // of kinds tdx and sgx
	AMD     *amd.Facts      // of kind snp
	Devices []*nvidia.Facts // of kind nvidia: GPUs and switches of one machine
	TPM     *tpm.Facts      // of kind tpm

	Tokens *nvidia.NRASFacts // of kind nras

	// Simulated says that the chains end in a root that the policy names as
	// simulated: the evidence proves nothing about real hardware.
	Simulated bool
	Root      [32]byte  // SHA-256 of the root certificate
	NotBefore time.Time // start of the validity of all endorsements in use together
	NotAfter  time.Time // its end
	// Issued is when the oldest endorsement in use that the vendor renews every
	// month was issued; zero when it renews none, as AMD.
	Issued time.Time
}

// ReportData returns the 64 bytes that the workload chose; zero for evidence
// that has no such field.
func (f *Facts) ReportData() [64]byte {
	switch {
	case f.AMD != nil:
		return f.AMD.Report.ReportData
	case f.Intel != nil:
		return f.Intel.ReportData()
	}
	return [64]byte{}
}

// Measurement returns the measurement digest that registries list. Evidence
// that has none gives zero and false.
func (f *Facts) Measurement() ([32]byte, bool) {
	if f.Intel != nil && f.Intel.TD != nil {
		return measurementOf(f.Intel.TD), true
	}
	if f.AMD != nil {
		return MeasurementSNP(f.AMD.Report.Measurement), true
	}
	return [32]byte{}, false
}

// PlatformID returns the id of the machine; see [PlatformID]. It is zero when
// nothing in the evidence identifies the machine, which [Policy.Appraise]
// refuses for claims.
func (f *Facts) PlatformID() [32]byte {
	switch {
	case f.AMD != nil && f.AMD.HasHardwareID:
		return PlatformID(KindSNP, f.AMD.HardwareID[:])
	case f.Intel != nil:
		return PlatformID(KindTDX, f.Intel.Platform.PPID[:])
	}
	return [32]byte{}
}

// MaxReportSize is the largest SEV-SNP report, in bytes, with the certificate
// table that may follow it.
const MaxReportSize = 64 << 10

// DetectKind guesses the kind of evidence in a file from its first bytes, ""
// when it is none that is known here.
func DetectKind(data []byte) string {
	if intel.IsQuote(data) {
		q, err := intel.ParseQuote(data)
		if err != nil || q.TEE == intel.TDX {
			return KindTDX
		}
		return KindSGX
	}
	switch {
	case amd.IsReport(data):
		return KindSNP
	case nvidia.IsEvidence(data):
		return KindNVIDIA
	case tpm.IsEvidence(data), tpm.IsAzureFile(data):
		return KindTPM
	case nvidia.IsNRASTokens(data):
		return KindNRAS
	}
	return ""
}

// VerifyEvidence proves that evidence is genuine at a time and returns what it
// proves. It does not judge: that is [Policy.Appraise], which also compares the
// nonce of a [Subject].
//
// An empty kind means [DetectKind]. Bytes that are no evidence are an
// [*InputError].
func (v *Verifier) VerifyEvidence(kind string, data []byte, e *Endorsements, at time.Time) (*Facts, error) {
	if kind == "" {
		if kind = DetectKind(data); kind == "" {
			return nil, BadInput("not a kind of evidence that is known here")
		}
	}
	if at.IsZero() {
		return nil, BadInput("no time to verify at")
	}
	if e == nil {
		e = new(Endorsements)
	}
	switch kind {
	case KindTDX, KindSGX:
		return v.verifyIntel(kind, data, e, at)
	case KindSNP:
		return v.verifyAMD(data, e, at)
	case KindNVIDIA:
		return v.verifyDevices(data, e, at)
	case KindTPM:
		return v.verifyTPM(data, e, at)
	case KindNRAS:
		return v.verifyTokens(data, e, at)
	}
	return nil, BadInput("unknown kind of evidence %q", kind)
}

func (v *Verifier) verifyIntel(kind string, data []byte, e *Endorsements, at time.Time) (*Facts, error) {
	q, err := intel.ParseQuote(data)
	if err != nil {
		return nil, err
	}
	if q.TEE.String() != kind {
		return nil, BadInput("evidence of kind %q is a %s quote", kind, q.TEE)
	}
	f, err := v.intel.Verify(q, &e.intel, at)
	if err != nil {
		return nil, err
	}
	return &Facts{
		Kind: kind, Intel: f, Simulated: f.Root != intel.RootFingerprint(), Root: f.Root,
		NotBefore: f.NotBefore, NotAfter: f.NotAfter, Issued: f.Issued,
	}, nil
}

// verifyAMD verifies a report, which the certificate table of the host may
// follow ("extended report").
func (v *Verifier) verifyAMD(data []byte, e *Endorsements, at time.Time) (*Facts, error) {
	if len(data) > MaxReportSize {
		return nil, BadInput("report: %d bytes with the certificate table, the limit is %d", len(data), MaxReportSize)
	}
	set := &e.amd
	if len(data) > amd.ReportSize {
		docs, err := amd.ParseCertTable(data[amd.ReportSize:])
		if err != nil {
			return nil, err
		}
		if len(docs) > 0 {
			set = set.Clone()
		}
		for _, d := range docs {
			if err := set.Add(d); err != nil {
				return nil, err
			}
		}
		data = data[:amd.ReportSize]
	}
	f, err := v.amd.Verify(data, set, at)
	if err != nil {
		return nil, err
	}
	return &Facts{Kind: KindSNP, AMD: f, Simulated: f.Simulated, Root: f.Root, NotBefore: f.NotBefore, NotAfter: f.NotAfter}, nil
}
