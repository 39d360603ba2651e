package attestation

import (
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	"github.com/cocoon-go/cocoon/attestation/eventlog"
)

// module judges a TPM. That its quotes answer the claims is proved before.
func (a *appraisal) module() {
	t := a.f.module(&a.s)
	if t == nil {
		a.noModule()
		return
	}
	a.rule(t.Confidential() || a.p.tpm.host, "tpm.confidential", "the hardware of a confidential VM vouches for the TPM", "an HCL report",
		map[bool]string{true: "an HCL report", false: "the host may own it"}[t.Confidential()])
	a.rule(!t.Development || a.p.tpm.host, "tpm.development", "the TPM is not one of development", "",
		map[bool]string{true: "a TPM of development", false: "no"}[t.Development])
	for _, n := range slices.Sorted(maps.Keys(a.p.tpm.pcrs)) {
		want := a.p.tpm.pcrs[n]
		got, ok := t.PCRs[eventlog.SHA256][n]
		text := hex.EncodeToString(got)
		if !ok {
			text = "not quoted"
		}
		a.rule(ok && slices.ContainsFunc(want, func(w []byte) bool { return string(w) == string(got) }), fmt.Sprintf("tpm.pcr%d", n),
			fmt.Sprintf("register %d has an accepted value", n), fmt.Sprintf("one of %d in the policy", len(want)), text)
	}
	if len(a.p.tpm.pcrs) == 0 {
		a.skip("registers of the TPM: the policy lists no values")
	}
	if a.f.Kind == KindTPM {
		a.skip("nonce of the TPM's quotes: nothing says what was asked, so they may be old")
	}
}

// noModule deals with registers that the policy lists, where there is no TPM. A
// policy that accepts TPMs as machines of their own may mean only those.
func (a *appraisal) noModule() {
	switch {
	case len(a.p.tpm.pcrs) == 0 && !a.p.log.pcrs():
	case a.s.Claims != nil && !slices.Contains(a.p.f.Accept, KindTPM):
		a.rule(false, "tpm.pcrs", "the machine has a TPM, whose registers the policy lists", "a TPM", "no TPM")
	default:
		a.skip("registers of the TPM, which the policy lists: there is no TPM in the evidence")
	}
}
