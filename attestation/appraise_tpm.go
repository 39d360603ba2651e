package attestation

import (
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	"github.com/cocoon-go/cocoon/attestation/eventlog"
	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/tpm"
)

// module judges a TPM: who vouches for it, then its registers.
func (a *appraisal) module() {
	t := a.f.module(&a.s)
	if t == nil {
		a.noModule()
		return
	}
	a.vouched(t)
	if t.Confidential() {
		a.paravisor(t)
	}
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
	if len(a.p.tpm.pcrs) == 0 && !a.p.log.pcrs() {
		a.skip("registers of the TPM: the policy lists no values")
	}
}

// vouched judges who says that the key is in a TPM, and in whose.
func (a *appraisal) vouched(t *tpm.Facts) {
	named := t.Public != [32]byte{} && slices.Contains(a.p.tpm.keys, t.Public)
	got := "an authority says that it is a TPM; the host may own it"
	switch {
	case t.Confidential():
		got = "an HCL report"
	case t.Certificate == nil:
		got = "nobody; the host may own it"
	}
	a.rule(t.Confidential() || named || t.Certificate != nil && a.p.tpm.host, "tpm.confidential",
		"the hardware of a confidential VM vouches for the TPM", "an HCL report", got)
	if t.Development {
		a.rule(named || t.Certificate != nil && slices.Contains(a.p.roots, t.Certificate.Root), "tpm.development",
			"a TPM of development is one that the policy names", "a key or a root that the policy names", fmt.Sprintf("key %x", t.Public))
	}
}

// paravisor judges the part of a confidential VM that keeps the TPM. The report
// data of its hardware names the TPM's key, and whatever runs in the VM chose
// that report data: only code that is known to name no other key than that of
// the TPM which it keeps itself can be believed. So its measurement counts, and
// not that of the guest, which the registers hold.
func (a *appraisal) paravisor(t *tpm.Facts) {
	m, _ := a.f.Measurement()
	a.rule(slices.Contains(a.p.tpm.paravisors, m), "tpm.paravisor", "the paravisor that keeps the TPM is accepted",
		fmt.Sprintf("one of %d in the policy", len(a.p.tpm.paravisors)), hex.EncodeToString(m[:]))
	vm := &t.HCL.VM
	a.rule(vm.Fresh() || a.p.tpm.persisted, "tpm.persisted", "the TPM's key was made in this boot", "no state from the host's disk", persistence(vm))
	a.skip("that nobody but the TPM has its key: it rests on the measured paravisor")
	a.skip("settings of the confidential VM, such as its console and secure boot: the host chose them, facts has them, no rule judges them")
}

func persistence(vm *tpm.VMConfiguration) string {
	switch {
	case vm.TPMPersisted == nil:
		return "the paravisor does not say"
	case *vm.TPMPersisted:
		return "the paravisor says that it may come from there"
	case vm.Fresh():
		return "the paravisor says that there is none"
	}
	return fmt.Sprintf("state that the hardware sealed (%.32q)", vm.HardwareSealing)
}

// bindingOfModule checks that the TPM of a confidential VM signed these claims.
// The report data of the hardware names the TPM's key, which is proved before.
func (a *appraisal) bindingOfModule() {
	t, c := a.f.module(&a.s), a.s.Claims
	what := "no nonce"
	if a.s.Nonce != nil {
		what = "the nonce of this verification"
	}
	want := tpm.ExtraData(c.Digest(), a.s.Nonce)
	a.check(string(t.ExtraData) == string(want[:]), fault.FamilyFalse, "binding.claims",
		"the quotes of the TPM, whose key the report data names, answer these claims and "+what, hex.EncodeToString(want[:]), hex.EncodeToString(t.ExtraData))
	a.liveNonce()
	value := ConfigurationPCRValue(c.Body.Configuration)
	a.check(string(t.PCRs[eventlog.SHA256][ConfigurationPCR]) == string(value[:]), fault.FamilyFalse, "binding.configuration",
		"the guest runs the configuration that it claims", fmt.Sprintf("PCR%d %x", ConfigurationPCR, value), hex.EncodeToString(t.PCRs[eventlog.SHA256][ConfigurationPCR]))
}

// noModule deals with registers that the policy lists, where there is no TPM. A
// policy that accepts TPMs as machines of their own, or guests of paravisors, may
// mean only those.
func (a *appraisal) noModule() {
	switch {
	case len(a.p.tpm.pcrs) == 0 && !a.p.log.pcrs():
	case a.s.Claims != nil && !slices.Contains(a.p.f.Accept, KindTPM) && len(a.p.tpm.paravisors) == 0:
		a.rule(false, "tpm.pcrs", "the machine has a TPM, whose registers the policy lists", "a TPM", "no TPM")
	default:
		a.skip("registers of the TPM, which the policy lists: there is no TPM in the evidence")
	}
}
