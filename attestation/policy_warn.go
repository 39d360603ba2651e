package attestation

import (
	"slices"
	"strings"
	"time"

	"github.com/cocoon-go/cocoon/attestation/amd"
	"github.com/cocoon-go/cocoon/attestation/intel"
)

// Warnings lists what is worth knowing about a policy before it is relied on:
// what lowers safety, and what has no effect.
func (p *Policy) Warnings() []PolicyProblem {
	w := &warner{lines: keyLines([]byte(p.text))}
	f := &p.f
	if len(p.roots) > 0 {
		w.add("simulated_roots", "simulated platforms are accepted, which protect nothing: for development only")
	}
	w.unsafe("unsafe_any_measurement", f.UnsafeAnyMeasurement, "any code may run in the enclave")
	w.unsafe("unsafe_any_model", f.UnsafeAnyModel, "any model may answer")
	w.unsafe("evidence.unsafe_unregistered", f.Evidence.UnsafeUnregistered, "nodes that the chain does not know are accepted")
	if f.Evidence.UnsafeUnregistered && (p.measurements.Registry || p.models.Registry) {
		w.add("evidence.unsafe_unregistered", "lists come from the registry, which is not read for a node that is not registered")
	}
	if p.endorseAge > 60*24*time.Hour {
		w.add("endorsements.max_age", "Intel renews its documents every month; older ones rate a platform by what was known then")
	}
	w.tcb(p)
	w.tdx(p)
	w.snp(p)
	w.gpu(p)
	w.tpm(p)
	if len(p.mrenclave)+len(p.mrsigner) > 0 {
		w.effect(p, KindSGX, "sgx")
	}
	w.unsafe("sgx.unsafe_debug", f.SGX.UnsafeDebug, "the host may look into enclaves")
	return w.out
}

type warner struct {
	lines map[string]int
	out   []PolicyProblem
}

func (w *warner) add(key, text string) {
	w.out = append(w.out, PolicyProblem{lineOf(w.lines, key), key, text})
}

func (w *warner) unsafe(key string, on bool, text string) {
	if on {
		w.add(key, text)
	}
}

// effect warns of a section about a kind that is not accepted.
func (w *warner) effect(p *Policy, kind, key string) {
	if !slices.Contains(p.f.Accept, kind) {
		w.add(key, "it has no effect: accept does not name "+kind)
	}
}

func (w *warner) tcb(p *Policy) {
	for _, s := range p.f.TCB.Status {
		if strings.HasPrefix(s, string(intel.OutOfDate)) || strings.HasPrefix(s, string(intel.TDRelaunchAdvised)) {
			w.add("tcb.status", s+" is accepted: platforms whose firmware has known holes")
		}
	}
}

func (w *warner) tdx(p *Policy) {
	t := &p.f.TDX
	if len(p.mrseam) > 0 {
		w.effect(p, KindTDX, "tdx.mrseam")
	}
	w.unsafe("tdx.unsafe_debug", t.UnsafeDebug, "the host may look into TDs")
	if t.UnsafeDebug && p.attrAllowed&0xff == 0 {
		w.add("tdx.unsafe_debug", "it has no effect: attributes_allowed has no debug bit")
	}
	w.unsafe("tdx.unsafe_sept_ve_enabled", t.UnsafeSeptVEDisable, "the host may turn page faults into exceptions in the TD")
	w.unsafe("tdx.unsafe_service_td", t.UnsafeServiceTD, "a service TD may have power over the TD")
}

func (w *warner) snp(p *Policy) {
	s := &p.f.SNP
	w.unsafe("snp.unsafe_debug", s.UnsafeDebug, "the host may look into guests")
	w.unsafe("snp.unsafe_migration", s.UnsafeMigration, "a migration agent may move the guest elsewhere")
	if _, ok := p.snp.floors[amd.Milan]; ok && slices.Contains(p.f.Accept, KindSNP) {
		w.add("snp.min_tcb.milan", "Milan's root seed has been extracted by software (arXiv 2605.12990): its reports can be forged")
	}
	if slices.Contains(s.SigningKeys, amd.VLEK.String()) {
		w.add("snp.signing_keys", "VLEK is accepted: the cloud provider's word that a chip is one of its own")
	}
}
