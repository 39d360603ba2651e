package tpm

import (
	"crypto/sha256"
	"encoding/binary"
)

// Sizes of an HCL report in bytes.
const (
	MaxHCL = 32 << 10

	hclHeader   = 32
	hclHardware = 1184 // room for an SEV-SNP report; a TD report leaves the end empty
	hclData     = hclHeader + hclHardware
	hclRuntime  = hclData + 20

	snpReport, snpReportData = 1184, 0x50
	tdReport, tdReportData   = 1024, 128
)

// Values of the headers of an HCL report (OpenHCL,
// openhcl_attestation_protocol, igvm_attest/get.rs).
const (
	hclMagic       = "HCLA"
	hclRequestAK   = 2 // AK_CERT_REQUEST
	hclDataVersion = 1
	hclHashSHA256  = 1
)

// HardwareKind is the kind of hardware evidence that an HCL report stands on.
type HardwareKind uint32

// The kinds, with their numbers in an HCL report.
const (
	SNP HardwareKind = 2 // AMD SEV-SNP report
	TDX HardwareKind = 4 // Intel TD report, and the quote made of it
)

// String returns "snp" or "tdx".
func (k HardwareKind) String() string {
	switch k {
	case SNP:
		return "snp"
	case TDX:
		return "tdx"
	}
	return "unknown hardware"
}

// Hardware is what the caller has verified about the machine. It must come from
// the facts of package amd or intel, never from the HCL report that is checked
// with it.
type Hardware struct {
	Kind       HardwareKind
	ReportData [64]byte // of the verified SEV-SNP report or TDX quote
}

// HCL is a parsed HCL report: what the paravisor of an Azure confidential VM, a
// part of the measured guest, says about the virtual TPM that it runs. The
// report lies in NV index 0x01400001 of that TPM.
type HCL struct {
	Version  uint32 // of the header, 1 or 2
	Kind     HardwareKind
	Report   []byte // SEV-SNP report or TD report; a TD report is not signed
	Runtime  Runtime
	reported [64]byte // report data that Report claims
	raw      []byte   // runtime data
}

// ParseHCL reads an HCL report, which zeros may follow, as they do in the NV
// index. It checks shape only: sizes that agree, known versions and kinds, a
// status of zero, and reserved fields and padding of zeros. Errors are bad
// input.
func ParseHCL(b []byte) (*HCL, error) {
	if len(b) < hclRuntime || len(b) > MaxHCL {
		return nil, inputAt(StepEvidence, "HCL report of %d bytes, from %d to %d are allowed", len(b), hclRuntime, MaxHCL)
	}
	le := binary.LittleEndian
	u32 := func(off int) uint32 { return le.Uint32(b[off:]) }
	h := &HCL{Version: u32(4), Kind: HardwareKind(u32(hclData + 8))}
	size, data := u32(8), u32(hclData)
	runtime := u32(hclData + 16)
	switch {
	case string(b[:4]) != hclMagic:
		return nil, inputAt(StepEvidence, "HCL report starts with %q, want %q", b[:4], hclMagic)
	case h.Version != 1 && h.Version != 2:
		return nil, inputAt(StepEvidence, "HCL report of version %d; 1 and 2 are known", h.Version)
	case u32(12) != hclRequestAK || u32(16) != 0 || !zero(b[20:hclHeader]):
		return nil, inputAt(StepEvidence, "HCL report: request type %d with status %d, want %d with 0 and reserved fields of zero", u32(12), u32(16), hclRequestAK)
	case h.Kind != SNP && h.Kind != TDX:
		return nil, inputAt(StepEvidence, "HCL report of hardware %d; 2 (SNP) and 4 (TDX) are known", h.Kind)
	case u32(hclData+4) != hclDataVersion || u32(hclData+12) != hclHashSHA256:
		return nil, inputAt(StepEvidence, "HCL report: runtime data of version %d with hash %d, want 1 with 1 (SHA-256)", u32(hclData+4), u32(hclData+12))
	case runtime > MaxHCL || data != runtime+20 || size != hclRuntime+runtime || uint64(size) > uint64(len(b)):
		return nil, inputAt(StepEvidence, "HCL report: sizes %d, %d and %d contradict each other or the %d bytes given", size, data, runtime, len(b))
	case !zero(b[size:]):
		return nil, inputAt(StepEvidence, "HCL report: data after its end")
	}
	h.raw = clone(b[hclRuntime:size])
	if err := h.cut(b[hclHeader:hclData]); err != nil {
		return nil, err
	}
	rt, err := parseRuntime(h.raw)
	if err != nil {
		return nil, inputAt(StepEvidence, "HCL report: runtime data: %w", err)
	}
	h.Runtime = *rt
	return h, nil
}

// cut takes the hardware report out of its area.
func (h *HCL) cut(area []byte) error {
	n, off := snpReport, snpReportData
	if h.Kind == TDX {
		n, off = tdReport, tdReportData
	}
	if !zero(area[n:]) {
		return inputAt(StepEvidence, "HCL report: data after the TD report")
	}
	h.Report = clone(area[:n])
	copy(h.reported[:], area[off:])
	return nil
}

// RuntimeData returns the runtime data, the JSON whose digest the hardware
// report holds.
func (h *HCL) RuntimeData() []byte { return clone(h.raw) }

// bind checks that the verified hardware report names this runtime data: its
// report data is the SHA-256 of it, then zeros.
func (h *HCL) bind(hw *Hardware) error {
	if hw.Kind != h.Kind {
		return falseAt(StepHCL, "the HCL report stands on %v, the verified hardware evidence is of kind %v", h.Kind, hw.Kind)
	}
	if h.reported != hw.ReportData {
		return falseAt(StepHCL, "the HCL report holds a hardware report with other report data than the verified one")
	}
	var want [64]byte
	d := sha256.Sum256(h.raw)
	copy(want[:], d[:])
	if hw.ReportData != want {
		return falseAt(StepHCL, "the report data of the hardware is not the digest of the runtime data")
	}
	return nil
}

func zero(b []byte) bool {
	var v byte
	for _, x := range b {
		v |= x
	}
	return v == 0
}
