package attestation

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/cocoon-go/cocoon/attestation/tpm"
)

// ModuleVerdict are the facts of a TPM.
type ModuleVerdict struct {
	KeyDigest    string `json:"key_digest"`
	Public       string `json:"public_digest,omitempty"` // by which a policy names a key
	Scheme       string `json:"scheme"`
	Hash         string `json:"hash"`
	Hierarchy    string `json:"hierarchy"`    // of the key, "unknown" when nothing shows it
	Confidential bool   `json:"confidential"` // the hardware of a confidential VM vouches for it
	Development  bool   `json:"development"`  // nobody but the policy does
	ExtraData    string `json:"extra_data"`
	Firmware     string `json:"firmware"`
	ResetCount   uint32 `json:"reset_count"` // counts boots
	RestartCount uint32 `json:"restart_count"`
	SafeClock    bool   `json:"safe_clock"`

	PCRs map[string]map[string]string `json:"pcrs"` // by bank and register

	Certificate *ModuleCertificate `json:"certificate,omitempty"`
	HCL         *HCLVerdict        `json:"hcl,omitempty"`
}

// ModuleCertificate is the certificate of a TPM's key, and how far revocation was
// checked.
type ModuleCertificate struct {
	Subject   string `json:"subject"` // may be empty
	Issuer    string `json:"issuer"`
	Serial    string `json:"serial"` // decimal
	SHA256    string `json:"sha256"`
	Root      string `json:"root"` // "sha256:" and the fingerprint
	NotBefore string `json:"not_before"`
	NotAfter  string `json:"not_after"`
	Checked   int    `json:"revocation_checked"`  // certificates of the chain that a list covers
	Unlisted  int    `json:"revocation_unlisted"` // that name no list
}

// HCLVerdict is what the paravisor of a confidential VM says. Settings that it
// does not report are absent.
type HCLVerdict struct {
	Hardware    string `json:"hardware"`  // "snp" or "tdx"
	UserData    string `json:"user_data"` // that the guest chose
	RuntimeData string `json:"runtime_data_sha256"`

	SecureBoot         *bool    `json:"secure_boot,omitempty"`
	Console            *bool    `json:"console,omitempty"`
	InteractiveConsole *bool    `json:"interactive_console,omitempty"`
	TPM                *bool    `json:"tpm,omitempty"`
	TPMPersisted       *bool    `json:"tpm_persisted,omitempty"`
	HardwareSealing    string   `json:"hardware_sealing,omitempty"`
	FilteredVPCI       *bool    `json:"filtered_vpci_devices,omitempty"`
	RootThumbprint     string   `json:"root_cert_thumbprint,omitempty"`
	UniqueID           string   `json:"vm_unique_id,omitempty"`
	CurrentTime        *int64   `json:"current_time,omitempty"`
	Other              []string `json:"other_settings,omitempty"` // names of those that are not known here
}

func moduleVerdict(t *tpm.Facts) *ModuleVerdict {
	v := &ModuleVerdict{
		KeyDigest: hex.EncodeToString(t.KeyDigest[:]), Scheme: t.Scheme.String(), Hash: t.Hash.String(), Hierarchy: t.Hierarchy.String(),
		Confidential: t.Confidential(), Development: t.Development, ExtraData: hex.EncodeToString(t.ExtraData), PCRs: map[string]map[string]string{},
	}
	if t.Public != [32]byte{} {
		v.Public = hex.EncodeToString(t.Public[:])
	}
	if len(t.Quotes) > 0 {
		q := &t.Quotes[0]
		v.Firmware, v.ResetCount, v.RestartCount, v.SafeClock = fmt.Sprintf("%016x", q.Firmware), q.ResetCount, q.RestartCount, q.Safe
	}
	for bank, regs := range t.PCRs {
		m := map[string]string{}
		for n, value := range regs {
			m[fmt.Sprint(n)] = hex.EncodeToString(value)
		}
		v.PCRs[bank.String()] = m
	}
	if c := t.Certificate; c != nil {
		v.Certificate = &ModuleCertificate{Subject: c.Subject, Issuer: c.Issuer, Serial: c.Serial, SHA256: hex.EncodeToString(c.Digest[:]), Root: fingerprint(c.Root),
			NotBefore: stamp(c.NotBefore), NotAfter: stamp(c.NotAfter), Checked: c.Revocation.Checked, Unlisted: c.Revocation.Unlisted}
	}
	if t.HCL != nil {
		v.HCL = hclVerdict(t.HCL)
	}
	return v
}

func hclVerdict(h *tpm.HCLFacts) *HCLVerdict {
	d, c := sha256.Sum256(h.RuntimeData), &h.VM
	return &HCLVerdict{
		Hardware: h.Kind.String(), UserData: hex.EncodeToString(h.UserData), RuntimeData: hex.EncodeToString(d[:]),
		SecureBoot: c.SecureBoot, Console: c.Console, InteractiveConsole: c.InteractiveConsole, TPM: c.TPM, TPMPersisted: c.TPMPersisted,
		HardwareSealing: c.HardwareSealing, FilteredVPCI: c.FilteredVPCI, RootThumbprint: c.RootThumbprint, UniqueID: c.UniqueID,
		CurrentTime: c.CurrentTime, Other: c.Other,
	}
}
