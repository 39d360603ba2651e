package attestation_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/fault"
)

// TestPolicyProblems: every problem is named with its line.
func TestPolicyProblems(t *testing.T) {
	text := attestation.DefaultPolicyTOML()
	line := func(s string) int {
		before, _, ok := strings.Cut(text, s)
		if !ok {
			t.Fatalf("no %q in the policy", s)
		}
		return strings.Count(before, "\n") + 1
	}
	for _, c := range []struct {
		name  string
		edits []string // pairs
		want  []string
	}{
		{"unknown keys", []string{"price_ceiling", "price_celing", "live_nonce", "life_nonce"},
			[]string{fmt.Sprintf("line %d: unknown key price_celing", line("price_ceiling")), fmt.Sprintf("line %d: unknown key evidence.life_nonce", line("live_nonce"))}},
		{"two sections", []string{`min_date = ""`, `min_date = "x"`, "id_keys = []", `id_keys = ["x"]`},
			[]string{fmt.Sprintf(`line %d: tcb.min_date: "x" is not a date`, line("min_date")), fmt.Sprintf(`line %d: snp.id_keys: "x" is not 96`, line("id_keys"))}},
		{"a key that is missing", []string{`signing_keys = ["VCEK"]`, ""}, []string{fmt.Sprintf("line %d: snp.signing_keys: names no key", line("[snp]"))}},
		{"a subsection", []string{"snp = 23\n", ""}, []string{fmt.Sprintf("line %d: snp.min_tcb.genoa: wants bootloader", line("[snp.min_tcb.genoa]"))}},
		{"contradiction", []string{`attributes_allowed = "0000005800000000"`, `attributes_allowed = "0000000800000000"`},
			[]string{fmt.Sprintf("line %d: tdx.attributes_required: attributes_required has bits", line("attributes_required"))}},
		{"a wrong type", []string{"live_nonce = false", "live_nonce = 1"}, []string{fmt.Sprintf("line %d: ", line("live_nonce"))}},
		{"an advisory that is none", []string{"denied_advisories = []", `denied_advisories = ["00837"]`}, []string{fmt.Sprintf(`line %d: tcb.denied_advisories: "00837"`, line("denied_advisories"))}},
		{"no line", []string{`version = "cocoon/policy/v1"`, ""}, []string{`version: version ""`}},
	} {
		_, err := attestation.ParsePolicy([]byte(strings.NewReplacer(c.edits...).Replace(text)))
		got := attestation.PolicyProblems(fmt.Errorf("file: %w", err))
		if len(got) != len(c.want) || fault.FamilyOf(err) != fault.FamilyInput {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		for i := range got {
			if !strings.HasPrefix(got[i].Error(), c.want[i]) || !strings.Contains(err.Error(), got[i].Error()) {
				t.Errorf("%s: %q, want %q", c.name, got[i].Error(), c.want[i])
			}
		}
	}
}

// TestPolicyWarnings: the default policy is without fault; what lowers safety or
// has no effect is said, with its line.
func TestPolicyWarnings(t *testing.T) {
	text := attestation.DefaultPolicyTOML()
	for _, c := range []struct {
		from, to, want string
	}{
		{"", "", ""},
		{"simulated_roots = []", `simulated_roots = ["sha256:` + strings.Repeat("11", 32) + `"]`, "simulated_roots: simulated platforms"},
		{`measurements = "from registry"`, "unsafe_any_measurement = true", "unsafe_any_measurement: any code"},
		{`models = "from registry"`, "unsafe_any_model = true", "unsafe_any_model: any model"},
		{"live_nonce = false", "unsafe_unregistered = true", "evidence.unsafe_unregistered: nodes|evidence.unsafe_unregistered: lists come"},
		{`max_age = "720h"`, `max_age = "9000h"`, "endorsements.max_age: Intel renews"},
		{`"SWHardeningNeeded"]`, `"OutOfDate"]`, "tcb.status: OutOfDate is accepted"},
		{`"SWHardeningNeeded"]`, `"TDRelaunchAdvised"]`, "tcb.status: TDRelaunchAdvised is accepted"},
		{"mrseam = []", "unsafe_debug = true", "tdx.unsafe_debug: the host|tdx.unsafe_debug: it has no effect"},
		{"mrseam = []", "unsafe_service_td = true", "tdx.unsafe_service_td: "},
		{`attributes_required = "0000001000000000"`, "attributes_required = \"0000000000000000\"\nunsafe_sept_ve_enabled = true", "tdx.unsafe_sept_ve_enabled: "},
		{`accept = ["tdx", "snp"]`, `accept = ["snp"]`, ""},
		{`"VCEK"]`, `"VCEK", "VLEK"]`, "snp.signing_keys: VLEK"},
		{"id_keys = []", "unsafe_debug = true", "snp.unsafe_debug: "},
		{"id_keys = []", "unsafe_migration = true", "snp.unsafe_migration: "},
		{"snp.min_tcb.genoa", "snp.min_tcb.milan", "snp.min_tcb.milan: Milan's"},
		{"mrenclave = []", `mrenclave = ["` + strings.Repeat("11", 32) + `"]`, "sgx: it has no effect"},
		{"mrenclave = []", "unsafe_debug = true", "sgx.unsafe_debug: "},
	} {
		p, err := attestation.ParsePolicy([]byte(strings.Replace(text, c.from, c.to, 1)))
		if err != nil {
			t.Errorf("%s: %v", c.to, err)
			continue
		}
		want := strings.Split(c.want, "|")
		if c.want == "" {
			want = nil
		}
		got := p.Warnings()
		if len(got) != len(want) {
			t.Errorf("%s: %v", c.to, got)
			continue
		}
		for i, g := range got {
			if !strings.HasPrefix(g.Key+": "+g.Text, want[i]) || g.Line == 0 {
				t.Errorf("%s: line %d, %s: %s; want %q", c.to, g.Line, g.Key, g.Text, want[i])
			}
		}
	}
}

// TestExplain: every check that a verdict can have is explained, under its name.
func TestExplain(t *testing.T) {
	w, s := newWorld(t), newSNPWorld(t)
	w.booted(ccel())
	w.set(`min_date = ""`, `min_date = "2025-01-01"`)
	w.set("denied_advisories = []", `denied_advisories = ["INTEL-SA-00001"]`)
	w.set("mrseam = []", `mrseam = ["`+strings.Repeat("00", 48)+`"]`)
	w.registered.Registry = attestation.Address{Hash: [32]byte{0x11}}
	for range 2 {
		w.set(`= "from registry"`, `= "from registry `+w.registered.Registry.String()+`"`)
	}
	w.td.Version = 5
	s.set("id_keys = []", `id_keys = ["`+strings.Repeat("00", 48)+`"]`)
	s.set("author_keys = []", `author_keys = ["`+strings.Repeat("00", 48)+`"]`)
	for _, x := range []*world{w, s} {
		v, err := x.verify()
		if err != nil {
			t.Fatal(err)
		}
		explained := map[string]string{}
		for _, r := range x.verifier().Policy().Explain() {
			explained[r.Rule] += r.Text
			if r.Text == "" || r.Text[len(r.Text)-1] != '.' || strings.Contains(r.Text, "%!") {
				t.Errorf("%s: %q", r.Rule, r.Text)
			}
		}
		checks := v.Verdict().Checks
		if len(checks) < 20 {
			t.Errorf("only %d checks", len(checks))
		}
		for _, c := range checks {
			if explained[c.Rule] == "" {
				t.Errorf("%s is not explained", c.Rule)
			}
		}
	}
	// SGX, and what is unsafe.
	text := strings.NewReplacer(`accept = ["tdx", "snp"]`, `accept = ["sgx"]`, "mrenclave = []", `mrenclave = ["`+strings.Repeat("11", 32)+`"]`,
		`measurements = "from registry"`, "unsafe_any_measurement = true").Replace(attestation.DefaultPolicyTOML())
	p, err := attestation.ParsePolicy([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	all := fmt.Sprint(p.Explain())
	for _, want := range []string{"tcb.status", "UpToDate (all known holes are closed)", "sgx.debug", "sgx.mrenclave", "UNSAFE: the code that runs may be any", "at most 1000000000 nano coins", "older than 7 days"} {
		if !strings.Contains(all, want) {
			t.Errorf("no %q in %s", want, all)
		}
	}
}
