package amd

import (
	"encoding/binary"
)

// Sizes in bytes (56860, table 23).
const (
	ReportSize      = 0x4a0 // a whole report
	SignedSize      = 0x2a0 // the part that the signature covers
	ReportDataSize  = 64
	MeasurementSize = 48
	ChipIDSize      = 64

	scalarSize = 48 // of the 72 bytes that R and S have each, little-endian
	fieldSize  = 72
)

// Offsets of the fields of a report (56860, table 23).
const (
	offVersion         = 0x000
	offGuestSVN        = 0x004
	offPolicy          = 0x008
	offFamilyID        = 0x010
	offImageID         = 0x020
	offVMPL            = 0x030
	offAlgorithm       = 0x034
	offCurrentTCB      = 0x038
	offPlatformInfo    = 0x040
	offSignerInfo      = 0x048
	offReserved1       = 0x04c
	offReportData      = 0x050
	offMeasurement     = 0x090
	offHostData        = 0x0c0
	offIDKeyDigest     = 0x0e0
	offAuthorKeyDigest = 0x110
	offReportID        = 0x140
	offReportIDMA      = 0x160
	offReportedTCB     = 0x180
	offFMS             = 0x188 // version 3 and later
	offReserved2       = 0x18b
	offChipID          = 0x1a0
	offCommittedTCB    = 0x1e0
	offCurrentVersion  = 0x1e8
	offReserved3       = 0x1eb
	offCommitted       = 0x1ec
	offReserved4       = 0x1ef
	offLaunchTCB       = 0x1f0
	offLaunchMit       = 0x1f8 // version 5 and later
	offCurrentMit      = 0x200
	offReserved5       = 0x208
	offSignature       = 0x2a0
	offReserved6       = offSignature + 2*fieldSize
)

// algorithmP384 is ECDSA P-384 with SHA-384, the only signature algorithm
// (56860, table 138).
const algorithmP384 = 1

// FirmwareVersion is a version of the SNP firmware.
type FirmwareVersion struct{ Major, Minor, Build uint8 }

// Report is a parsed attestation report. It proves nothing until it comes out
// of a verifier as part of [Facts].
type Report struct {
	Version  uint32   // 2 to 5
	GuestSVN uint32   // security version that the guest's owner gave it
	Policy   Policy   // what the guest demands of the host
	FamilyID [16]byte // set by the guest's owner in the id block
	ImageID  [16]byte // set by the guest's owner in the id block
	VMPL     uint32   // privilege level that asked for the report, 0 (most) to 3

	CurrentTCB   TCBVersion // runs now
	ReportedTCB  TCBVersion // the endorsement key is for this one
	CommittedTCB TCBVersion // cannot be rolled back below this
	LaunchTCB    TCBVersion // ran when the guest was launched

	PlatformInfo PlatformInfo // how the machine is set up
	AuthorKeyEn  bool         // AuthorKeyDigest is in use
	MaskChipKey  bool         // the VCEK may not sign; such reports are not signed
	SigningKey   KeyKind      // which key signed the report

	ReportData      [ReportDataSize]byte  // chosen by the guest
	Measurement     [MeasurementSize]byte // launch digest
	HostData        [32]byte              // given by the host at launch
	IDKeyDigest     [48]byte              // SHA-384 of the key that signed the id block; zero without one
	AuthorKeyDigest [48]byte              // SHA-384 of the key that signed the id key
	ReportID        [32]byte              // of this guest
	ReportIDMA      [32]byte              // report id of the migration agent; all ones without one

	HasCPUID                bool // version 3 and later: the next three are set
	Family, Model, Stepping uint8

	ChipID    [ChipIDSize]byte // zero when the host masks it
	Current   FirmwareVersion  // that runs
	Committed FirmwareVersion  // that can't be rolled back

	LaunchMitigations  uint64 // version 5: mitigation vectors
	CurrentMitigations uint64

	r, s   [scalarSize]byte // big-endian
	signed [SignedSize]byte
}

// Product returns the product line named by the CPUID fields, or
// [UnknownProduct]: version 2 reports do not carry them.
func (r *Report) Product() Product {
	if !r.HasCPUID {
		return UnknownProduct
	}
	return productOf(r.Family, r.Model)
}

// ChipIDMasked reports whether the host hid the chip id.
func (r *Report) ChipIDMasked() bool { return r.ChipID == [ChipIDSize]byte{} }

// turinLike: only the first eight bytes of the chip id are set.
func (r *Report) turinLike() bool {
	return !r.ChipIDMasked() && allZero(r.ChipID[Turin.hwidSize():])
}

// Bytes returns a copy of the signed part of the report.
func (r *Report) Bytes() []byte { return append([]byte(nil), r.signed[:]...) }

// ParseReport reads a report of exactly [ReportSize] bytes. It checks shape
// only: a known version, known signature algorithm and policy bits, and that
// every reserved byte, signed or not, is zero. Errors are bad input.
func ParseReport(b []byte) (*Report, error) {
	if len(b) != ReportSize {
		return nil, inputAt(StepReport, "%d bytes, want %d", len(b), ReportSize)
	}
	le := binary.LittleEndian
	r := &Report{
		Version:      le.Uint32(b[offVersion:]),
		GuestSVN:     le.Uint32(b[offGuestSVN:]),
		Policy:       Policy(le.Uint64(b[offPolicy:])),
		VMPL:         le.Uint32(b[offVMPL:]),
		PlatformInfo: PlatformInfo(le.Uint64(b[offPlatformInfo:])),
		Current:      FirmwareVersion{Build: b[offCurrentVersion], Minor: b[offCurrentVersion+1], Major: b[offCurrentVersion+2]},
		Committed:    FirmwareVersion{Build: b[offCommitted], Minor: b[offCommitted+1], Major: b[offCommitted+2]},
	}
	if r.Version < 2 || r.Version > 5 {
		return nil, inputAt(StepReport, "version %d; versions 2 to 5 are known", r.Version)
	}
	if r.Policy&policyMustBeOne == 0 || r.Policy&^policyKnown != 0 {
		return nil, inputAt(StepReport, "guest policy %#x: bit 17 must be set and bits 26 to 63 clear", uint64(r.Policy))
	}
	if r.VMPL > 3 {
		return nil, inputAt(StepReport, "VMPL %d; levels are 0 to 3", r.VMPL)
	}
	if a := le.Uint32(b[offAlgorithm:]); a != algorithmP384 {
		return nil, inputAt(StepReport, "signature algorithm %d; only 1 (ECDSA P-384 with SHA-384) is known", a)
	}
	info := le.Uint32(b[offSignerInfo:])
	r.AuthorKeyEn, r.MaskChipKey, r.SigningKey = info&1 != 0, info&2 != 0, KeyKind(info>>2&7)
	if info>>5 != 0 || r.SigningKey > VLEK && r.SigningKey != none {
		return nil, inputAt(StepReport, "unknown signer info %#x", info)
	}
	for _, f := range []struct {
		dst []byte
		off int
	}{
		{r.FamilyID[:], offFamilyID}, {r.ImageID[:], offImageID},
		{r.CurrentTCB[:], offCurrentTCB}, {r.ReportedTCB[:], offReportedTCB},
		{r.CommittedTCB[:], offCommittedTCB}, {r.LaunchTCB[:], offLaunchTCB},
		{r.ReportData[:], offReportData}, {r.Measurement[:], offMeasurement},
		{r.HostData[:], offHostData}, {r.IDKeyDigest[:], offIDKeyDigest},
		{r.AuthorKeyDigest[:], offAuthorKeyDigest}, {r.ReportID[:], offReportID},
		{r.ReportIDMA[:], offReportIDMA}, {r.ChipID[:], offChipID}, {r.signed[:], 0},
	} {
		copy(f.dst, b[f.off:])
	}
	fms, mit := offFMS, offLaunchMit
	if r.Version >= 3 {
		r.HasCPUID, r.Family, r.Model, r.Stepping = true, b[offFMS], b[offFMS+1], b[offFMS+2]
		fms = offReserved2
	}
	if r.Version >= 5 {
		r.LaunchMitigations, r.CurrentMitigations = le.Uint64(b[offLaunchMit:]), le.Uint64(b[offCurrentMit:])
		mit = offReserved5
	}
	for _, z := range [][2]int{
		{offReserved1, offReportData}, {fms, offChipID}, {offReserved3, offCommitted},
		{offReserved4, offLaunchTCB}, {mit, offSignature},
		{offSignature + scalarSize, offSignature + fieldSize},
		{offSignature + fieldSize + scalarSize, offReserved6}, {offReserved6, ReportSize},
	} {
		if !allZero(b[z[0]:z[1]]) {
			return nil, inputAt(StepReport, "reserved bytes %#x to %#x are not zero", z[0], z[1]-1)
		}
	}
	for i := range scalarSize {
		r.r[i] = b[offSignature+scalarSize-1-i]
		r.s[i] = b[offSignature+fieldSize+scalarSize-1-i]
	}
	return r, nil
}

// maxGuess is the largest version number at which a file still looks like a report.
const maxGuess = 0xff

// IsReport reports whether b starts like a report of any version: size, a small
// version number and signature algorithm. It is a guess at the kind of a file,
// not a check.
func IsReport(b []byte) bool {
	if len(b) < ReportSize {
		return false
	}
	v := binary.LittleEndian.Uint32(b[offVersion:])
	return v >= 1 && v <= maxGuess && binary.LittleEndian.Uint32(b[offAlgorithm:]) == algorithmP384
}

func allZero(b []byte) bool {
	var v byte
	for _, x := range b {
		v |= x
	}
	return v == 0
}
