package attestation

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/intel"
)

func (a *appraisal) intel() {
	i := a.f.Intel
	if i == nil {
		return
	}
	a.tcb(i)
	if i.TD != nil {
		a.td(i.TD, i.BodyType)
	} else {
		a.enclave(i.Enclave)
	}
	if i.Trailing > 0 {
		a.skip("%d bytes that follow the quote in its buffer: nobody signed them, and nothing was read from them", i.Trailing)
	}
}

func (a *appraisal) tcb(i *intel.Facts) {
	a.rule(slices.Contains(a.p.f.TCB.Status, string(i.Status)) && !slices.Contains(neverAccepted, i.Status), "tcb.status",
		"the vendor rates the platform well enough", strings.Join(a.p.f.TCB.Status, ", "),
		fmt.Sprintf("%s (platform %s, module %s, quoting enclave %s)", i.Status, i.PlatformStatus, orNone(i.ModuleStatus), i.QEStatus))
	if !a.p.minTCBDate.IsZero() {
		a.rule(!i.TCBDate.Before(a.p.minTCBDate), "tcb.min_date", "the level of the platform is recent enough",
			"at least "+a.p.minTCBDate.Format(time.DateOnly), i.TCBDate.Format(time.DateOnly))
	}
	var denied []string
	for _, d := range a.p.f.TCB.DeniedAdvisories {
		if slices.ContainsFunc(i.Advisories, func(s string) bool { return strings.EqualFold(s, d) }) {
			denied = append(denied, d)
		}
	}
	if len(a.p.f.TCB.DeniedAdvisories) > 0 {
		a.rule(len(denied) == 0, "tcb.denied_advisories", "no denied advisory applies to the platform",
			"none of "+strings.Join(a.p.f.TCB.DeniedAdvisories, ", "), strings.Join(denied, ", "))
	}
	a.rule(i.Evaluation >= a.p.f.Endorsements.MinEvaluation, "endorsements.min_tcb_evaluation", "the vendor's rating is not an old one",
		fmt.Sprintf("evaluation data number %d or higher", a.p.f.Endorsements.MinEvaluation), fmt.Sprint(i.Evaluation))
}

func orNone(s intel.Status) string {
	if s == "" {
		return "not rated"
	}
	return string(s)
}

func (a *appraisal) td(td *intel.TDReport, body intel.BodyType) {
	p, t := a.p, &a.p.f.TDX
	a.rule(!td.Debug() || t.UnsafeDebug, "tdx.debug", "the host can't look into the TD", "debug off", onOff("debug", td.Debug()))
	a.rule(td.SeptVEDisable() || t.UnsafeSeptVEDisable, "tdx.sept_ve_disable", "the host can't turn page faults into exceptions in the TD",
		"SEPT_VE_DISABLE on", onOff("SEPT_VE_DISABLE", td.SeptVEDisable()))
	a.mask("tdx.attributes", "TDATTRIBUTES", td.Attributes(), p.attrRequired, p.attrAllowed)
	a.mask("tdx.xfam", "XFAM", td.Features(), p.xfamRequired, p.xfamAllowed)
	if len(p.mrseam) > 0 {
		a.rule(slices.ContainsFunc(p.mrseam, func(m []byte) bool { return string(m) == string(td.MRSEAM[:]) }),
			"tdx.mrseam", "the TDX module is accepted", fmt.Sprintf("one of %d in the policy", len(p.mrseam)), hex.EncodeToString(td.MRSEAM[:]))
	}
	if body >= intel.BodyTD15 {
		a.rule(td.MRServiceTD == [48]byte{} || t.UnsafeServiceTD, "tdx.service_td", "no service TD has power over the TD",
			"MRSERVICETD zero", hex.EncodeToString(td.MRServiceTD[:]))
	}
	if a.s.Claims == nil {
		a.skip("configuration in RTMR3: no claims were given to compare it with")
		return
	}
	for _, z := range []struct {
		name string
		v    [48]byte
	}{{"MRCONFIGID", td.MRConfigID}, {"MROWNER", td.MROwner}, {"MROWNERCONFIG", td.MROwnerConfig}} {
		a.rule(z.v == [48]byte{}, "tdx."+strings.ToLower(z.name), "nothing but the claims configures the TD", z.name+" zero", hex.EncodeToString(z.v[:]))
	}
	if a.f.module(&a.s).Confidential() {
		return // in a register of the TPM
	}
	want := ConfigurationRTMR3(a.s.Claims.Body.Configuration)
	a.check(td.RTMR[3] == want, fault.FamilyFalse, "binding.configuration", "the TD runs the configuration that it claims",
		"RTMR3 "+hex.EncodeToString(want[:]), hex.EncodeToString(td.RTMR[3][:]))
}

// mask compares bits with those that must and those that may be set.
func (a *appraisal) mask(rule, name string, got, required, allowed uint64) {
	a.rule(got&required == required && got&^allowed == 0, rule, name+" has the bits that it must have and no others than it may have",
		fmt.Sprintf("%s with %s", maskText(required), maskText(allowed)), maskText(got))
}

// maskText writes bits in the byte order of the quote.
func maskText(v uint64) string {
	return hex.EncodeToString(binary.LittleEndian.AppendUint64(nil, v))
}

func onOff(name string, on bool) string {
	if on {
		return name + " on"
	}
	return name + " off"
}

func (a *appraisal) enclave(e *intel.SGXReport) {
	a.rule(!e.Debug() || a.p.f.SGX.UnsafeDebug, "sgx.debug", "the host can't look into the enclave", "debug off", onOff("debug", e.Debug()))
	in := func(list [][]byte, v []byte) bool {
		return slices.ContainsFunc(list, func(b []byte) bool { return string(b) == string(v) })
	}
	if len(a.p.mrenclave) > 0 {
		a.rule(in(a.p.mrenclave, e.MRENCLAVE[:]), "sgx.mrenclave", "the enclave is accepted",
			fmt.Sprintf("one of %d in the policy", len(a.p.mrenclave)), hex.EncodeToString(e.MRENCLAVE[:]))
	}
	if len(a.p.mrsigner) > 0 {
		a.rule(in(a.p.mrsigner, e.MRSIGNER[:]), "sgx.mrsigner", "the signer of the enclave is accepted",
			fmt.Sprintf("one of %d in the policy", len(a.p.mrsigner)), hex.EncodeToString(e.MRSIGNER[:]))
	}
}
