package attestation

import (
	"encoding/hex"
	"fmt"

	"github.com/cocoon-go/cocoon/attestation/amd"
)

// AMDVerdict are the facts of an SEV-SNP report.
type AMDVerdict struct {
	Product        string `json:"product"`      // "Milan", "Genoa" or "Turin"
	ProductName    string `json:"product_name"` // as in the certificate
	ReportVersion  int    `json:"report_version"`
	SigningKey     string `json:"signing_key"` // "VCEK" or "VLEK"
	CSPID          string `json:"csp_id,omitempty"`
	ChipID         string `json:"chip_id"` // empty when nothing identifies the chip
	ChipIDMasked   bool   `json:"chip_id_masked"`
	VMPL           int    `json:"vmpl"`
	GuestSVN       int64  `json:"guest_svn"`
	GuestPolicy    string `json:"guest_policy"`  // 16 digits, most significant first
	PlatformInfo   string `json:"platform_info"` // 16 digits, most significant first
	LaunchDigest   string `json:"launch_digest"` // MEASUREMENT of the report
	HostData       string `json:"host_data"`
	FamilyID       string `json:"family_id"`
	ImageID        string `json:"image_id"`
	IDKeyDigest    string `json:"id_key_digest"`
	AuthorKey      string `json:"author_key_digest"`
	ReportID       string `json:"report_id"`
	ReportIDMA     string `json:"report_id_ma"`
	LaunchMit      string `json:"launch_mitigations,omitempty"`  // from report version 5 on
	CurrentMit     string `json:"current_mitigations,omitempty"` // from report version 5 on
	Firmware       string `json:"firmware"`                      // that runs, major.minor.build
	CommittedFirm  string `json:"committed_firmware"`
	RevocationDate string `json:"revocation_list"` // RFC 3339, when it was issued

	CurrentTCB   TCBVerdict `json:"current_tcb"`
	ReportedTCB  TCBVerdict `json:"reported_tcb"`
	CommittedTCB TCBVerdict `json:"committed_tcb"`
	LaunchTCB    TCBVerdict `json:"launch_tcb"`

	PolicyBits   map[string]bool `json:"policy_bits"`
	PlatformBits map[string]bool `json:"platform_bits"`
}

// TCBVerdict is an AMD TCB version.
type TCBVerdict struct {
	Raw        string `json:"raw"` // eight bytes, in the order of the report
	FMC        int    `json:"fmc"` // Turin only, else 0
	Bootloader int    `json:"bootloader"`
	TEE        int    `json:"tee"`
	SNP        int    `json:"snp"`
	Microcode  int    `json:"microcode"`
}

// Names of the bits of guest policy and platform info, in policies and verdicts.
var (
	snpPermits = map[string]func(amd.Policy) bool{ // a set bit lets the host do more
		"smt": amd.Policy.SMT, "cxl": amd.Policy.CXL, "migrate_ma": amd.Policy.MigrateMA, "debug": amd.Policy.Debug,
	}
	snpDemands = map[string]func(amd.Policy) bool{ // a set bit lets the host do less
		"single_socket": amd.Policy.SingleSocket, "mem_aes256_xts": amd.Policy.MemAES256XTS, "rapl_disabled": amd.Policy.RAPLDisabled,
		"ciphertext_hiding": amd.Policy.CiphertextHiding, "page_swap_disabled": amd.Policy.PageSwapDisabled,
	}
	snpPlatform = map[string]func(amd.PlatformInfo) bool{
		"smt": amd.PlatformInfo.SMT, "tsme": amd.PlatformInfo.TSME, "ecc": amd.PlatformInfo.ECC, "rapl_disabled": amd.PlatformInfo.RAPLDisabled,
		"ciphertext_hiding": amd.PlatformInfo.CiphertextHiding, "alias_check": amd.PlatformInfo.AliasCheckComplete, "tio": amd.PlatformInfo.TIO,
	}
)

func amdVerdict(f *amd.Facts) *AMDVerdict {
	r := &f.Report
	v := &AMDVerdict{
		Product: f.Product.String(), ProductName: f.ProductName, ReportVersion: int(r.Version), SigningKey: f.SigningKey.String(), CSPID: f.CSPID,
		ChipIDMasked: r.ChipIDMasked(), VMPL: int(r.VMPL), GuestSVN: int64(r.GuestSVN),
		GuestPolicy: fmt.Sprintf("%016x", uint64(r.Policy)), PlatformInfo: fmt.Sprintf("%016x", uint64(r.PlatformInfo)),
		LaunchDigest: hex.EncodeToString(r.Measurement[:]), HostData: hex.EncodeToString(r.HostData[:]),
		FamilyID: hex.EncodeToString(r.FamilyID[:]), ImageID: hex.EncodeToString(r.ImageID[:]),
		IDKeyDigest: hex.EncodeToString(r.IDKeyDigest[:]), AuthorKey: hex.EncodeToString(r.AuthorKeyDigest[:]),
		ReportID: hex.EncodeToString(r.ReportID[:]), ReportIDMA: hex.EncodeToString(r.ReportIDMA[:]),
		Firmware: firmware(r.Current), CommittedFirm: firmware(r.Committed),
		CurrentTCB: tcbVerdict(r.CurrentTCB, f.Current), ReportedTCB: tcbVerdict(r.ReportedTCB, f.Reported),
		CommittedTCB: tcbVerdict(r.CommittedTCB, f.Committed), LaunchTCB: tcbVerdict(r.LaunchTCB, f.Launch),
		PolicyBits: map[string]bool{}, PlatformBits: map[string]bool{},
	}
	if f.HasHardwareID {
		v.ChipID = hex.EncodeToString(f.HardwareID[:])
	}
	if r.Version >= 5 {
		v.LaunchMit, v.CurrentMit = fmt.Sprintf("%016x", r.LaunchMitigations), fmt.Sprintf("%016x", r.CurrentMitigations)
	}
	if f.Revocation.Checked {
		v.RevocationDate = stamp(f.Revocation.ThisUpdate)
	}
	for _, m := range []map[string]func(amd.Policy) bool{snpPermits, snpDemands} {
		for name, bit := range m {
			v.PolicyBits[name] = bit(r.Policy)
		}
	}
	for name, bit := range snpPlatform {
		v.PlatformBits[name] = bit(r.PlatformInfo)
	}
	return v
}

func firmware(v amd.FirmwareVersion) string {
	return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Build)
}

func tcbVerdict(raw amd.TCBVersion, t amd.TCB) TCBVerdict {
	return TCBVerdict{Raw: raw.String(), FMC: int(t.FMC), Bootloader: int(t.Bootloader), TEE: int(t.TEE), SNP: int(t.SNP), Microcode: int(t.Microcode)}
}
