package attestation_test

import (
	"strings"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/fault"
)

// TestPolicyRegistry: the address of a registry is taken as people have it.
func TestPolicyRegistry(t *testing.T) {
	const raw = "0:ca6e321c7cce9ecedf0a8ca2492ec8592494aa5fb5ce0387dff96ef6af982a3e"
	for _, s := range []string{raw, "EQDKbjIcfM6ezt8KjKJJLshZJJSqX7XOA4ff-W72r5gqPrHF"} {
		p, err := attestation.ParsePolicy([]byte(strings.Replace(attestation.DefaultPolicyTOML(), `models = "from registry"`, `models = "from registry `+s+`"`, 1)))
		if err != nil || p.Models().Address.String() != raw || !p.Models().Registry {
			t.Errorf("%s: %v", s, err)
		}
	}
}

func TestDefaultPolicy(t *testing.T) {
	text := attestation.DefaultPolicyTOML()
	p, err := attestation.ParsePolicy([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if p.Text() != text || len(p.SimulatedRoots()) != 0 || p.LiveNonce() || p.MaxAge() != 168*time.Hour || p.PriceCeiling() != 1000000000 ||
		!p.Measurements().Registry || !p.Models().Registry || !p.Models().Address.IsZero() {
		t.Errorf("default policy: %+v", p)
	}
	for _, line := range strings.Split(text, "\n") {
		key, _, isKey := strings.Cut(line, "=")
		if isKey && !strings.HasPrefix(line, "#") && strings.HasPrefix(strings.TrimSpace(key), "unsafe_") {
			t.Errorf("the default policy has %q", line)
		}
	}
	registry := attestation.Address{Workchain: -1, Hash: [32]byte{9}}
	p, err = attestation.ParsePolicy([]byte(attestation.PolicyTOML(attestation.PolicyOptions{SimulatedRoots: [][32]byte{{1}, {2}}, Registry: registry})))
	if err != nil {
		t.Fatal(err)
	}
	if r := p.SimulatedRoots(); len(r) != 2 || r[1] != [32]byte{2} || p.Measurements().Address != registry || p.Models().Address != registry {
		t.Errorf("filled in: %v, %v", r, p.Models())
	}
	p.SimulatedRoots()[0][0] = 9
	if p.SimulatedRoots()[0][0] != 1 {
		t.Error("a policy was changed from outside")
	}
}

// TestBadPolicy: a policy that is empty, not understood or contradicts itself
// is bad input and says why.
func TestBadPolicy(t *testing.T) {
	good := attestation.DefaultPolicyTOML()
	hex := func(n int) string { return strings.Repeat("11", n) }
	for _, c := range []struct{ name, from, to, want string }{
		{"empty", good, "", "empty policy accepts nothing"},
		{"blank", good, " \n\t\n", "empty policy accepts nothing"},
		{"only comments", good, "# nothing\n", `version ""`},
		{"version", "policy/v1", "policy/v2", `version "cocoon/policy/v2"`},
		{"no TOML", good, "version = ", "policy:"},
		{"not TOML in line 3", good, "version = \"cocoon/policy/v1\"\n\naccept = [tdx]\n", "line 3"},
		{"unknown key", "price_ceiling", "price_celing", "unknown key price_celing"},
		{"unknown key in a section", "max_age = \"168h\"", "maxage = \"168h\"", "unknown key evidence.maxage"},
		{"key twice", "price_ceiling = 1000000000", "price_ceiling = 1\nprice_ceiling = 2", "price_ceiling is already defined"},
		{"wrong type", "live_nonce = false", "live_nonce = 1", "line"},
		{"negative price", "price_ceiling = 1000000000", "price_ceiling = -1", "policy:"},
		{"accepts nothing", `accept = ["tdx", "snp"]`, "accept = []", "accept: names no kind"},
		{"accepts an unknown kind", `accept = ["tdx", "snp"]`, `accept = ["tdy"]`, `accept: unknown kind "tdy"`},
		{"accepts sgx without enclaves", `accept = ["tdx", "snp"]`, `accept = ["sgx"]`, "sgx needs sgx.mrenclave or sgx.mrsigner"},
		{"simulated root without prefix", "simulated_roots = []", `simulated_roots = ["` + hex(32) + `"]`, "simulated_roots"},
		{"simulated root of 31 bytes", "simulated_roots = []", `simulated_roots = ["sha256:` + hex(31) + `"]`, "simulated_roots"},
		{"no measurements", `measurements = "from registry"`, "", "measurements: want a list"},
		{"measurements of nothing", `measurements = "from registry"`, "measurements = []", "an empty list accepts nothing"},
		{"measurement of 31 bytes", `measurements = "from registry"`, `measurements = ["` + hex(31) + `"]`, "not 64 hexadecimal digits"},
		{"measurement that is a number", `measurements = "from registry"`, "measurements = [1]", "not 64 hexadecimal digits"},
		{"measurements from elsewhere", `measurements = "from registry"`, `measurements = "from anywhere"`, "measurements: want a list"},
		{"registry without address", `models = "from registry"`, `models = "from registry x"`, "models: address"},
		{"registry with a wrong letter", `models = "from registry"`, `models = "from registry EQDKbjIcfM6ezt8KjKJJLshZJJSqX7XOA4ff-W72r5gqPrHG"`, "models: address \"EQDKbjIcfM6ezt8KjKJJLshZJJSqX7XOA4ff-W72r5gqPrHG\": its checksum"},
		{"any and a list", "version =", "unsafe_any_measurement = true\nversion =", "measurements: a list, and the unsafe_any_ option"},
		{"any model and a list", "version =", "unsafe_any_model = true\nversion =", "models: a list, and the unsafe_any_ option"},
		{"no age", `max_age = "168h"`, `max_age = ""`, "evidence.max_age"},
		{"age 0", `max_age = "168h"`, `max_age = "0s"`, "evidence.max_age"},
		{"age of endorsements", `max_age = "720h"`, `max_age = "-1h"`, "endorsements.max_age"},
		{"evaluation", "min_tcb_evaluation = 0", "min_tcb_evaluation = -1", "min_tcb_evaluation: negative"},
		{"no status", `status = ["UpToDate", "SWHardeningNeeded"]`, "status = []", "tcb.status: names no status"},
		{"status Revoked", `"SWHardeningNeeded"]`, `"Revoked"]`, `"Revoked" can't be accepted`},
		{"status NotSupported", `"SWHardeningNeeded"]`, `"NotSupported"]`, `"NotSupported" can't be accepted`},
		{"status in lower case", `"UpToDate",`, `"uptodate",`, `unknown status "uptodate"`},
		{"date", `min_date = ""`, `min_date = "1.2.2025"`, "tcb.min_date"},
		{"MRSEAM of 32 bytes", "mrseam = []", `mrseam = ["` + hex(32) + `"]`, "tdx.mrseam"},
		{"attributes of 7 bytes", `attributes_allowed = "0000005800000000"`, `attributes_allowed = "` + hex(7) + `"`, "tdx.attributes_allowed"},
		{"required attribute that is not allowed", `attributes_required = "0000001000000000"`, `attributes_required = "0000003000000000"`, "attributes_required has bits that attributes_allowed has not"},
		{"required XFAM that is not allowed", `xfam_required = "0300000000000000"`, `xfam_required = "0301000000000000"`, "xfam_required has bits"},
		{"debug without its option", `attributes_allowed = "0000005800000000"`, `attributes_allowed = "0100005800000000"`, "unsafe_debug is not set"},
		{"page faults against the mask", "mrseam = []", "mrseam = []\nunsafe_sept_ve_enabled = true", "unsafe_sept_ve_enabled is set"},
		{"MRENCLAVE of 31 bytes", "mrenclave = []", `mrenclave = ["` + hex(31) + `"]`, "sgx.mrenclave"},
		{"MRSIGNER of 31 bytes", "mrsigner = []", `mrsigner = ["` + hex(31) + `"]`, "sgx.mrsigner"},
		{"no signing key", `signing_keys = ["VCEK"]`, "signing_keys = []", "snp.signing_keys: names no key"},
		{"unknown signing key", `signing_keys = ["VCEK"]`, `signing_keys = ["vcek"]`, `snp.signing_keys: unknown name "vcek"`},
		{"debug as a permit", `permit = ["smt"]`, `permit = ["debug"]`, `snp.permit: unknown name "debug"`},
		{"unknown demand", "\nrequire = []", "\nrequire = [\"smt\"]", `snp.require: unknown name "smt"`},
		{"unknown platform bit", "platform_require = []", `platform_require = ["x"]`, `snp.platform_require: unknown name "x"`},
		{"id key of 32 bytes", "id_keys = []", `id_keys = ["` + hex(32) + `"]`, "snp.id_keys"},
		{"author key of 32 bytes", "author_keys = []", `author_keys = ["` + hex(32) + `"]`, "snp.author_keys"},
		{"unknown product", "min_tcb.genoa", "min_tcb.naples", `unknown product "naples"`},
		{"floor without microcode", "microcode = 84", "", "wants bootloader, tee, snp and microcode"},
		{"floor above a byte", "microcode = 84", "microcode = 256", "policy:"},
		{"Genoa with an FMC", "bootloader = 10", "bootloader = 10\nfmc = 1", "fmc belongs to turin"},
		{"Turin without an FMC", "min_tcb.genoa", "min_tcb.turin", "fmc belongs to turin"},
		{"no product", "[snp.min_tcb.genoa]\nbootloader = 10\ntee = 0\nsnp = 23\nmicrocode = 84", "", "snp.min_tcb: names no product"},
	} {
		if !strings.Contains(good, c.from) {
			t.Fatalf("%s: no %q in the default policy", c.name, c.from)
		}
		p, err := attestation.ParsePolicy([]byte(strings.Replace(good, c.from, c.to, 1)))
		if p != nil || fault.FamilyOf(err) != fault.FamilyInput || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	if _, err := attestation.ParsePolicy(make([]byte, attestation.MaxPolicySize+1)); fault.FamilyOf(err) != fault.FamilyInput {
		t.Errorf("too large: %v", err)
	}
	// Every reason is given, not the first.
	_, err := attestation.ParsePolicy([]byte(strings.NewReplacer(`min_date = ""`, `min_date = "x"`, "mrseam = []", `mrseam = ["x"]`).Replace(good)))
	if err == nil || !strings.Contains(err.Error(), "min_date") || !strings.Contains(err.Error(), "mrseam") {
		t.Errorf("two reasons: %v", err)
	}
}

// TestSNPOnlyPolicy: a policy for AMD alone needs no setting of Intel.
func TestSNPOnlyPolicy(t *testing.T) {
	text := strings.NewReplacer(`accept = ["tdx", "snp"]`, `accept = ["snp"]`, `status = ["UpToDate", "SWHardeningNeeded"]`, "status = []").Replace(attestation.DefaultPolicyTOML())
	if _, err := attestation.ParsePolicy([]byte(text)); err != nil {
		t.Error(err)
	}
}
