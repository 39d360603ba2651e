package attestation

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cocoon-go/cocoon/attestation/intel"
)

// Rule is what a policy demands, in plain words.
type Rule struct {
	Rule string `json:"rule"` // the name that checks of a verdict have
	Text string `json:"text"`
}

// Explain lists every rule that the policy applies, in the order of a verdict.
func (p *Policy) Explain() []Rule {
	x := &explainer{p: p}
	x.origin()
	x.chain()
	x.ages()
	for _, kind := range p.f.Accept {
		switch kind {
		case KindTDX:
			x.tdx()
		case KindSNP:
			x.snp()
		case KindSGX:
			x.sgx()
		}
	}
	x.gpu()
	x.tpm()
	x.log()
	x.code()
	return x.rules
}

type explainer struct {
	p     *Policy
	rules []Rule
}

func (x *explainer) add(rule, format string, a ...any) {
	x.rules = append(x.rules, Rule{rule, fmt.Sprintf(format, a...)})
}

// when adds a rule that only some policies have.
func (x *explainer) when(on bool, rule, format string, a ...any) {
	if on {
		x.add(rule, format, a...)
	}
}

// choose adds one of two texts.
func (x *explainer) choose(on bool, rule, yes, no string) {
	if on {
		x.add(rule, "%s", yes)
		return
	}
	x.add(rule, "%s", no)
}

var kindNames = map[string]string{KindTDX: "Intel TDX", KindSNP: "AMD SEV-SNP", KindSGX: "Intel SGX", KindTPM: "TPM 2.0"}

func (x *explainer) origin() {
	var kinds []string
	for _, k := range x.p.f.Accept {
		kinds = append(kinds, kindNames[k])
	}
	x.add("policy.accept", "The machine must be one of: %s.", strings.Join(kinds, ", "))
	x.add("evidence.authentic", "Its evidence must be signed by hardware that the vendor vouches for: every signature up to the vendor's root key holds, "+
		"every document is valid at the time of the check, and nothing on the way is revoked.")
	for _, r := range x.p.roots {
		x.add("policy.simulated_roots", "SIMULATED: the root with fingerprint %s is accepted too. It protects nothing.", fingerprint(r))
	}
	x.add("binding.claims", "The evidence must be made for exactly the claims that the node presents.")
	x.add("binding.nonce", "When a fresh nonce was asked for, the evidence must answer it; when not, it must answer none.")
	x.choose(x.p.f.Evidence.LiveNonce, "evidence.live_nonce", "Every node must sign a fresh nonce each time before it is used.",
		"A fresh nonce is not demanded: the block that the claims name bounds the age of the evidence.")
}

func (x *explainer) chain() {
	if x.p.f.Evidence.UnsafeUnregistered {
		x.add("chain.registered", "UNSAFE: a node needs no registration on the chain. When it has one, it is checked.")
	} else {
		x.add("chain.registered", "The chain must have registered exactly these claims, shown by a proof from a block that you trust.")
	}
	x.add("chain.claims", "A registration counts only for these claims.")
	x.add("chain.id", "A registration counts only on the chain that the claims name.")
	x.add("chain.node", "A registration counts only for the node that the claims name.")
	x.add("chain.epoch", "Only the node's current epoch counts: after a restart the former one is over.")
	x.add("chain.order", "The registration must be later than the block that the claims name.")
	for _, s := range []struct {
		name string
		s    Source
	}{{"measurements", x.p.measurements}, {"models", x.p.models}} {
		if s.s.Registry && !s.s.Address.IsZero() {
			x.add("policy."+s.name+".registry", "The list of %s must be that of registry %s.", s.name, s.s.Address)
		}
	}
}

func (x *explainer) ages() {
	x.add("evidence.max_age", "Evidence must not be older than %s, counted from the block that the claims name.", period(x.p.maxAge))
	x.add("evidence.not_future", "Evidence must not be from the future.")
	x.add("endorsements.max_age", "The vendor's documents (of those that it renews every month) must not be older than %s.", period(x.p.endorseAge))
}

// period writes a duration in days when it is a number of them.
func period(d time.Duration) string {
	const day = 24 * time.Hour
	if d%day == 0 {
		return fmt.Sprintf("%d days", d/day)
	}
	return d.String()
}

// ratings say what Intel means by its words.
var ratings = map[intel.Status]string{
	intel.UpToDate:                             "all known holes are closed",
	intel.SWHardeningNeeded:                    "software must work around a known hole",
	intel.ConfigurationNeeded:                  "a setting of the machine must be changed",
	intel.ConfigurationAndSWHardeningNeeded:    "a setting must be changed, and software must work around a known hole",
	intel.OutOfDate:                            "the firmware has known holes",
	intel.OutOfDateConfigurationNeeded:         "the firmware has known holes, and a setting must be changed",
	intel.TDRelaunchAdvised:                    "the firmware was updated since the TD started",
	intel.TDRelaunchAdvisedConfigurationNeeded: "the firmware was updated since the TD started, and a setting must be changed",
}

func (x *explainer) tcb() {
	var list []string
	for _, s := range x.p.f.TCB.Status {
		list = append(list, fmt.Sprintf("%s (%s)", s, ratings[intel.Status(s)]))
	}
	x.add("tcb.status", "Intel must rate the platform, all parts together, as one of: %s.", strings.Join(list, "; "))
	x.when(!x.p.minTCBDate.IsZero(), "tcb.min_date", "The platform's level must be of %s or later.", x.p.minTCBDate.Format(time.DateOnly))
	x.when(len(x.p.f.TCB.DeniedAdvisories) > 0, "tcb.denied_advisories", "None of these advisories may apply to the platform: %s.", strings.Join(x.p.f.TCB.DeniedAdvisories, ", "))
	x.add("endorsements.min_tcb_evaluation", "Intel's rating must be of evaluation data number %d or later.", x.p.f.Endorsements.MinEvaluation)
}

func (x *explainer) tdx() {
	t := &x.p.f.TDX
	x.tcb()
	x.choose(t.UnsafeDebug, "tdx.debug", "UNSAFE: TDX: the host may look into the TD.", "TDX: the host must not be able to look into the TD (debug off).")
	x.choose(t.UnsafeSeptVEDisable, "tdx.sept_ve_disable", "UNSAFE: TDX: SEPT_VE_DISABLE may be off.",
		"TDX: the host must not be able to turn page faults into exceptions in the TD (SEPT_VE_DISABLE on).")
	x.add("tdx.attributes", "TDX: TDATTRIBUTES must have the bits %s, and may have no others than %s.", maskText(x.p.attrRequired), maskText(x.p.attrAllowed))
	x.add("tdx.xfam", "TDX: XFAM must have the bits %s, and may have no others than %s.", maskText(x.p.xfamRequired), maskText(x.p.xfamAllowed))
	x.when(len(x.p.mrseam) > 0, "tdx.mrseam", "TDX: the TDX module must be one of %d that the policy lists.", len(x.p.mrseam))
	x.choose(t.UnsafeServiceTD, "tdx.service_td", "UNSAFE: TDX: a service TD may have power over the TD.", "TDX: no service TD may have power over the TD.")
	for _, n := range []string{"MRCONFIGID", "MROWNER", "MROWNERCONFIG"} {
		x.add("tdx."+strings.ToLower(n), "TDX: %s must be zero: nothing but the claims configures the TD.", n)
	}
	x.add("binding.configuration", "TDX: RTMR3 must hold the configuration that the claims name, and nothing else.")
	x.add("tdx.event_log", "TDX: an event log, when there is one, must replay to the registers.")
}

func (x *explainer) snp() {
	s := &x.p.f.SNP
	x.add("snp.signing_key", "SEV-SNP: the report must be signed by: %s.", strings.Join(s.SigningKeys, ", "))
	x.add("snp.product", "SEV-SNP: the processor must be of: %s.", strings.Join(slices.Sorted(maps.Keys(s.MinTCB)), ", "))
	for _, name := range slices.Sorted(maps.Keys(s.MinTCB)) {
		x.add("snp.min_tcb", "SEV-SNP, %s: firmware reported, committed and at launch must be at least %s.", name, tcbText(x.p.snp.floors[snpProducts[name]]))
	}
	x.choose(s.UnsafeDebug, "snp.debug", "UNSAFE: SEV-SNP: the host may look into the guest.", "SEV-SNP: the host must not be able to look into the guest (debug off).")
	x.add("snp.vmpl", "SEV-SNP: the most privileged level of the guest (VMPL 0) must have asked for the report.")
	x.add("snp.policy", "SEV-SNP: the guest policy may let the host use: %s; it must demand: %s.", orNothing(x.p.snp.permit), orNothing(s.Require))
	x.add("snp.platform", "SEV-SNP: the platform must have: %s.", orNothing(s.PlatformRequire))
	x.when(len(x.p.snp.idKeys) > 0, "snp.id_key", "SEV-SNP: the id block must be signed by one of %d keys that the policy lists.", len(x.p.snp.idKeys))
	x.when(len(x.p.snp.authorKeys) > 0, "snp.author_key", "SEV-SNP: its author must be one of %d keys that the policy lists.", len(x.p.snp.authorKeys))
	x.add("snp.chip_id", "SEV-SNP: the machine must be told from others: its chip id may not be hidden from a report that the chip's own key did not sign.")
	x.add("binding.configuration", "SEV-SNP: HOST_DATA must hold the configuration that the claims name.")
}

func orNothing(list []string) string {
	if len(list) == 0 {
		return "nothing"
	}
	return strings.Join(list, ", ")
}

func (x *explainer) sgx() {
	if !slices.Contains(x.p.f.Accept, KindTDX) {
		x.tcb()
	}
	x.choose(x.p.f.SGX.UnsafeDebug, "sgx.debug", "UNSAFE: SGX: the host may look into the enclave.", "SGX: the host must not be able to look into the enclave (debug off).")
	x.when(len(x.p.mrenclave) > 0, "sgx.mrenclave", "SGX: the enclave must be one of %d that the policy lists.", len(x.p.mrenclave))
	x.when(len(x.p.mrsigner) > 0, "sgx.mrsigner", "SGX: the signer of the enclave must be one of %d that the policy lists.", len(x.p.mrsigner))
}

func (x *explainer) code() {
	x.source("measurements", "The code that runs", x.p.measurements)
	x.add("claims.self_test", "The enclave must have passed its self-test at boot.")
	x.source("models", "At least one of the node's models", x.p.models)
	x.add("price_ceiling", "A node may ask at most %d nano coins per 1000 tokens.", x.p.f.PriceCeiling)
}

func (x *explainer) source(rule, what string, s Source) {
	switch {
	case s.Any:
		x.add(rule, "UNSAFE: %s may be any.", lowerFirst(what))
	case s.Registry && s.Address.IsZero():
		x.add(rule, "%s must be on the list of the registry that you name.", what)
	case s.Registry:
		x.add(rule, "%s must be on the list of registry %s.", what, s.Address)
	default:
		x.add(rule, "%s must be one of %d that the policy lists.", what, len(s.Digests))
	}
}

func lowerFirst(s string) string { return strings.ToLower(s[:1]) + s[1:] }
