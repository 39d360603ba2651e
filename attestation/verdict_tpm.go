package attestation

import (
	"encoding/hex"
	"fmt"

	"github.com/cocoon-go/cocoon/attestation/tpm"
)

// ModuleVerdict are the facts of a TPM.
type ModuleVerdict struct {
	KeyDigest    string `json:"key_digest"`
	Scheme       string `json:"scheme"`
	Confidential bool   `json:"confidential"` // the hardware of a confidential VM vouches for it
	Development  bool   `json:"development"`  // the host may control it
	ExtraData    string `json:"extra_data"`
	Firmware     string `json:"firmware"`
	ResetCount   uint32 `json:"reset_count"` // counts boots

	PCRs map[string]map[string]string `json:"pcrs"` // by bank and register
}

func moduleVerdict(t *tpm.Facts) *ModuleVerdict {
	v := &ModuleVerdict{
		KeyDigest: hex.EncodeToString(t.KeyDigest[:]), Scheme: t.Scheme.String(), Confidential: t.Confidential(), Development: t.Development,
		ExtraData: hex.EncodeToString(t.ExtraData), PCRs: map[string]map[string]string{},
	}
	if len(t.Quotes) > 0 {
		v.Firmware, v.ResetCount = fmt.Sprintf("%016x", t.Quotes[0].Firmware), t.Quotes[0].ResetCount
	}
	for bank, regs := range t.PCRs {
		m := map[string]string{}
		for n, value := range regs {
			m[fmt.Sprint(n)] = hex.EncodeToString(value)
		}
		v.PCRs[bank.String()] = m
	}
	return v
}
