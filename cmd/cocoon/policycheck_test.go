package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
)

// TestPolicyCheck: every error with its line, warnings, and the exit code.
func TestPolicyCheck(t *testing.T) {
	m := newMachine(t)
	good := attestation.DefaultPolicyTOML()
	bad := strings.NewReplacer("price_ceiling", "price_celing", `min_date = ""`, `min_date = "x"`).Replace(good)
	unknown := strings.Replace(good, "price_ceiling", "price_celing", 1)
	worse := strings.NewReplacer(`min_date = ""`, `min_date = "x"`, `attributes_allowed = "0000005800000000"`, `attributes_allowed = "0100005800000000"`).Replace(good)
	before, _, _ := strings.Cut(good, "price_ceiling")
	line := strings.Count(before, "\n") + 1
	for name, text := range map[string]string{"good.toml": good, "bad.toml": bad, "unknown.toml": unknown, "worse.toml": worse, "empty.toml": ""} {
		m.write(name, []byte(text))
	}
	if out, errs := m.run(0, "policy", "check", "@good.toml"); out != "VALID  "+m.path("good.toml")+" (0 warnings)\n" || errs != "" {
		t.Errorf("%s%s", out, errs)
	}
	out, _ := m.run(0, "policy", "check", "@policy.toml") // of the machine: simulated, any code
	if !strings.Contains(out, "WARNING  "+m.path("policy.toml")+":10: simulated_roots: simulated platforms") || !strings.Contains(out, "(2 warnings)") {
		t.Error(out)
	}
	for name, want := range map[string][]string{
		"bad.toml": {"unknown key price_celing"}, "unknown.toml": {fmt.Sprintf("ERROR  %s:%d: unknown key price_celing\n", m.path("unknown.toml"), line)},
		"worse.toml": {": tcb.min_date: \"x\" is not a date", ": tdx.attributes_allowed: attributes_allowed has debug bits"},
	} {
		out, errs := m.run(1, "policy", "check", "@"+name)
		for _, w := range want {
			if !strings.Contains(out, w) || strings.Count(out, "ERROR  ") != len(want) || !strings.Contains(errs, fmt.Sprintf(": %s\n", count(len(want), "error"))) {
				t.Errorf("%s: no %q in\n%s%s", name, w, out, errs)
			}
		}
	}
	if _, errs := m.run(1, "policy", "check", "@empty.toml"); !strings.Contains(errs, "an empty policy accepts nothing") {
		t.Error(errs)
	}
	var got struct {
		Valid, Simulated bool
		Errors, Warnings []attestation.PolicyProblem
	}
	out, _ = m.run(1, "policy", "check", "@worse.toml", "--json")
	if err := json.Unmarshal([]byte(out), &got); err != nil || got.Valid || len(got.Errors) != 2 || got.Errors[0].Line == 0 || got.Errors[0].Key == "" || got.Warnings == nil {
		t.Errorf("%v, %s", err, out)
	}
	out, _ = m.run(0, "policy", "check", "@policy.toml", "--json")
	if err := json.Unmarshal([]byte(out), &got); err != nil || !got.Valid || !got.Simulated || len(got.Errors) != 0 || len(got.Warnings) != 2 {
		t.Errorf("%v, %s", err, out)
	}
	if _, errs := m.run(1, "policy", "check"); !strings.Contains(errs, "`cocoon policy init` writes one") {
		t.Error(errs)
	}
	m.run(1, "policy", "check", "@good.toml", "@bad.toml")
	m.run(1, "policy", "check", "@none.toml")
}

// TestPolicyExplain: one line a rule.
func TestPolicyExplain(t *testing.T) {
	m := newMachine(t)
	m.write("good.toml", []byte(attestation.DefaultPolicyTOML()))
	out, errs := m.run(0, "policy", "explain", "@good.toml")
	for _, want := range []string{"tdx.debug                         TDX: the host must not be able to look into the TD (debug off).\n", "tcb.status  ", "snp.min_tcb  "} {
		if !strings.Contains(out, want) || errs != "" {
			t.Errorf("no %q in\n%s%s", want, out, errs)
		}
	}
	if out, _ := m.run(0, "policy", "explain", "@policy.toml"); !strings.HasPrefix(out, "SIMULATED: ") {
		t.Error(out)
	}
	out, _ = m.run(0, "policy", "explain", "@policy.toml", "--json")
	var got struct {
		Simulated bool
		Rules     []attestation.Rule
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil || !got.Simulated || len(got.Rules) < 20 || got.Rules[0].Rule != "policy.accept" {
		t.Errorf("%v, %s", err, out)
	}
	m.write("bad.toml", []byte("x = 1"))
	if _, errs := m.run(1, "policy", "explain", "@bad.toml"); !strings.Contains(errs, "bad.toml: policy: line 1: unknown key x") {
		t.Error(errs)
	}
}
