package attestation_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/sim"
)

// keys lists the keys of a JSON object, in order.
func keys(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	return strings.Join(slices.Sorted(maps.Keys(m)), " ")
}

// TestVerdictKeys pins the keys of the JSON form: programs read them.
func TestVerdictKeys(t *testing.T) {
	common := "debug measurement not_after not_before platform report_data root"
	w := newWorld(t)
	v, err := w.verify()
	if err != nil {
		t.Fatal(err)
	}
	verdict := v.Verdict()
	if got, want := keys(t, verdict), "accepted at authentic checks facts kind not_checked refusals simulated"; got != want {
		t.Errorf("verdict: %s", got)
	}
	if got, want := keys(t, verdict.Checks[1]), "expected got outcome rule text"; got != want {
		t.Errorf("check: %s", got)
	}
	sorted := func(s string) string { return strings.Join(slices.Sorted(slices.Values(strings.Fields(s))), " ") }
	if got, want := keys(t, verdict.Facts), sorted(common+" advisories body_type cpusvn fmspc module_status mrconfigid mrowner mrownerconfig mrseam mrsignerseam mrtd "+
		"migratable pceid pcesvn pck_ca perfmon platform_status ppid qe_status quote_version rtmr0 rtmr1 rtmr2 rtmr3 seam_attributes sept_ve_disable "+
		"tcb_date tcb_evaluation_data_number tcb_status td_attributes tee_tcb_svn trailing_bytes xfam"); got != want {
		t.Errorf("facts of a TD:\n%s, want\n%s", got, want)
	}
	v, err = newSNPWorld(t).verify()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := keys(t, v.Verdict().Facts), sorted(common+" author_key_digest chip_id chip_id_masked committed_firmware committed_tcb current_tcb family_id firmware "+
		"guest_policy guest_svn host_data id_key_digest image_id launch_digest launch_tcb platform_bits platform_info policy_bits product product_name "+
		"report_id report_id_ma report_version reported_tcb revocation_list signing_key vmpl"); got != want {
		t.Errorf("facts of an SNP guest:\n%s, want\n%s", got, want)
	}
}

// TestVerdictLists: empty lists are [] in JSON, never null.
func TestVerdictLists(t *testing.T) {
	w := newWorld(t)
	v, err := w.verify()
	if err != nil {
		t.Fatal(err)
	}
	for _, verdict := range []*attestation.Verdict{v.Verdict(), attestation.FailedVerdict("tdx", now, attestation.False("x"))} {
		b, err := json.Marshal(verdict)
		if err != nil || strings.Contains(string(b), "null") {
			t.Errorf("%s, %v", b, err)
		}
	}
}

// TestFactsOfTheRefused: facts are there also when the policy refuses.
func TestFactsOfTheRefused(t *testing.T) {
	w := newWorld(t)
	w.td.Attributes = sim.TDSeptVEDisable | sim.TDDebug
	_, err := w.verify()
	v := attestation.VerdictOf(fmt.Errorf("node 1: %w", err))
	if v == nil || !v.Authentic || v.Accepted || v.Facts == nil || !v.Facts.Debug || v.Facts.TCBStatus != "UpToDate" || v.At != now {
		t.Errorf("verdict %+v", v)
	}
}

func TestComponents(t *testing.T) {
	w := newWorld(t)
	w.booted(ccel())
	v, err := w.verify()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range v.Verdict().Facts.Components {
		got = append(got, fmt.Sprintf("%d %s %s", c.Register, c.Role, c.Text))
	}
	if want := "0 configuration SecureBoot=01|0 separator 4 bytes|1 kernel |2 action Exit Boot Services Invocation"; strings.Join(got, "|") != want {
		t.Errorf("components %q", got)
	}
}

// TestFamilies: each family has its exit code, alone, wrapped and joined.
func TestFamilies(t *testing.T) {
	all := []error{attestation.BadInput("i"), attestation.Unknown("u"), attestation.Refused("r"), attestation.ChainDisagrees("c"), attestation.False("f")}
	codes := []int{1, 3, 4, 5, 2}
	for i, err := range all {
		if got := attestation.ExitCode(fmt.Errorf("outer: %w", err)); got != codes[i] {
			t.Errorf("%v: exit code %d, want %d", err, got, codes[i])
		}
		if got := attestation.ExitCode(errors.Join(all[:i+1]...)); got != codes[i] {
			t.Errorf("joined up to %v: exit code %d, want %d", err, got, codes[i])
		}
		if fault.FamilyOf(attestation.FailedVerdict("tdx", now, err).Err()) != fault.FamilyOf(err) {
			t.Errorf("%v changes its family in a verdict", err)
		}
	}
	if attestation.ExitCode(nil) != 0 || attestation.ExitCode(errors.New("plain")) != 1 {
		t.Error("exit codes of nil and of a plain error")
	}
}

// TestVerdictKeysDocumented: every key that a verdict can have, of any kind of
// evidence, is in docs/spec/verdict.md, and is written in small letters.
func TestVerdictKeysDocumented(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join("..", "docs", "spec", "verdict.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, tables, ok := strings.Cut(string(doc), "\n## 2. Keys\n")
	if !ok {
		t.Fatal("no section 2")
	}
	words := map[string]bool{}
	for _, w := range regexp.MustCompile("`[a-z0-9_]+`").FindAllString(tables, -1) {
		words[strings.Trim(w, "`")] = true
	}
	all := jsonKeys(reflect.TypeFor[attestation.Verdict](), map[reflect.Type]bool{})
	if len(all) < 150 {
		t.Errorf("only %d keys", len(all))
	}
	for _, k := range all {
		if !words[k] {
			t.Errorf("%s is not documented", k)
		}
	}
}

// jsonKeys returns the keys of a type and of all that it holds.
func jsonKeys(t reflect.Type, seen map[reflect.Type]bool) (keys []string) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return jsonKeys(t.Elem(), seen)
	}
	if t.Kind() != reflect.Struct || t == reflect.TypeFor[time.Time]() || seen[t] {
		return nil
	}
	seen[t] = true
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() || name == "-" {
			continue
		}
		if name != "" {
			keys = append(keys, name)
		}
		keys = append(keys, jsonKeys(f.Type, seen)...)
	}
	return keys
}
