package attestation_test

import (
	"encoding/binary"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/amd"
	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/sim"
)

var genoa = sync.OnceValues(func() (*sim.AMD, error) { return sim.NewAMD(sim.AMDConfig{Product: amd.Genoa}) })

// newSNPWorld is [newWorld] on a simulated SEV-SNP machine.
func newSNPWorld(t testing.TB) *world {
	t.Helper()
	v, err := genoa()
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	w.kind, w.vendor = attestation.KindSNP, v
	w.chip.ChipID = [64]byte{7}
	w.report.Measurement = [48]byte{5}
	w.report.HostData = w.claims.Body.Configuration
	w.crl = [2]time.Time{now.Add(-200 * 24 * time.Hour), now.Add(100 * 24 * time.Hour)}
	w.policy = attestation.PolicyTOML(attestation.PolicyOptions{SimulatedRoots: [][32]byte{v.Root()}})
	w.registered.Measurements = [][32]byte{attestation.MeasurementSNP(w.report.Measurement)}
	return w
}

func (w *world) snpEndorsements() *attestation.Endorsements {
	w.t.Helper()
	e := attestation.NewEndorsements()
	list, err := w.vendor.CRL(w.crl[0], w.crl[1], w.revoked...)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, d := range append(w.minted.Documents(), list) {
		if err := e.AddFile("document.der", d); err != nil {
			w.t.Fatal(err)
		}
	}
	if e.Len() != 4 {
		w.t.Fatalf("%d documents", e.Len())
	}
	if w.endorse != nil {
		w.endorse(e)
	}
	return e
}

func TestVerifySNP(t *testing.T) {
	w := newSNPWorld(t)
	v, err := w.verify()
	if err != nil {
		t.Fatal(err)
	}
	f := v.Verdict().Facts
	if v.Kind() != attestation.KindSNP || v.Measurement() != attestation.MeasurementSNP(w.report.Measurement) {
		t.Errorf("kind %s, measurement %x", v.Kind(), v.Measurement())
	}
	if !v.Simulated() || v.PlatformID() != attestation.PlatformID("snp", w.chip.ChipID[:]) || f.Product != "Genoa" || f.IntelVerdict != nil {
		t.Errorf("simulated %v, platform %x, facts %+v", v.Simulated(), v.PlatformID(), f)
	}
	if f.Measurement == "" || f.LaunchDigest[:2] != "05" || !f.PolicyBits["smt"] || f.PolicyBits["debug"] || f.ReportedTCB.SNP != 23 {
		t.Errorf("facts %+v", f.AMDVerdict)
	}
}

// TestRefusedSNP: one test for each rule about SEV-SNP; the rule named is the
// only one that does not pass.
func TestRefusedSNP(t *testing.T) {
	floor := func(s string) func(*world) {
		return func(w *world) { w.policy = strings.Replace(w.policy, "snp = 23", s, 1) }
	}
	set := func(from, to string) func(*world) {
		return func(w *world) {
			if !strings.Contains(w.policy, from) {
				t.Fatalf("policy without %q", from)
			}
			w.policy = strings.Replace(w.policy, from, to, 1)
		}
	}
	old := amd.TCB{Bootloader: 10, SNP: 22, Microcode: 84}
	for _, c := range []refusal{
		{"kind not accepted", set(`accept = ["tdx", "snp"]`, `accept = ["tdx"]`), fault.FamilyRefused, "policy.accept", "expected tdx, got snp"},
		{"debug", func(w *world) { w.report.Policy = 0x30000 | 1<<19 }, fault.FamilyRefused, "snp.debug snp.policy", "debug is set"},
		{"migration", func(w *world) { w.report.Policy = 0x30000 | 1<<18 }, fault.FamilyRefused, "snp.policy", "migrate_ma is set"},
		{"CXL", func(w *world) { w.report.Policy = 0x30000 | 1<<21 }, fault.FamilyRefused, "snp.policy", "cxl is set"},
		{"SMT", set(`permit = ["smt"]`, `permit = []`), fault.FamilyRefused, "snp.policy", "smt is set"},
		{"required bit", set("\nrequire = []", "\nrequire = [\"ciphertext_hiding\"]"), fault.FamilyRefused, "snp.policy", "ciphertext_hiding is not set"},
		{"platform bit", set("platform_require = []", `platform_require = ["tsme"]`), fault.FamilyRefused, "snp.platform", "tsme is not set"},
		{"VMPL", func(w *world) { w.report.VMPL = 1 }, fault.FamilyRefused, "snp.vmpl", "VMPL 1"},
		{"product", set("[snp.min_tcb.genoa]", "[snp.min_tcb.milan]"), fault.FamilyRefused, "snp.product", "expected milan, got genoa"},
		{"boot loader", set("bootloader = 10", "bootloader = 11"), fault.FamilyRefused, "snp.min_tcb", "bootloader 11"},
		{"TEE", set("tee = 0", "tee = 1"), fault.FamilyRefused, "snp.min_tcb", "tee 1"},
		{"SNP firmware", floor("snp = 24"), fault.FamilyRefused, "snp.min_tcb", "snp 24"},
		{"microcode", set("microcode = 84", "microcode = 85"), fault.FamilyRefused, "snp.min_tcb", "microcode 85"},
		{"committed TCB", func(w *world) { w.report.Committed = &old }, fault.FamilyRefused, "snp.min_tcb", "committed bootloader 10, tee 0, snp 22"},
		{"launch TCB", func(w *world) { w.report.Launch = &old }, fault.FamilyRefused, "snp.min_tcb", "at launch bootloader 10, tee 0, snp 22"},
		{"VLEK", func(w *world) { w.chip.VLEK = true }, fault.FamilyRefused, "snp.signing_key", "expected VCEK, got VLEK"},
		{"VLEK without chip id", func(w *world) {
			w.chip.VLEK, w.report.MaskChipID = true, true
			set(`signing_keys = ["VCEK"]`, `signing_keys = ["VLEK"]`)(w)
		}, fault.FamilyRefused, "snp.chip_id", "hidden"},
		{"id key", set("id_keys = []", `id_keys = ["`+strings.Repeat("11", 48)+`"]`), fault.FamilyRefused, "snp.id_key", "one of 1"},
		{"author key", set("author_keys = []", `author_keys = ["`+strings.Repeat("11", 48)+`"]`), fault.FamilyRefused, "snp.author_key", "one of 1"},
		{"HOST_DATA", func(w *world) { w.report.HostData[0] ^= 1 }, fault.FamilyFalse, "binding.configuration", "HOST_DATA"},
		{"report data", func(w *world) { w.td.ReportData = [64]byte{1} }, fault.FamilyFalse, "binding.claims", "report data"},
		{"measurement", func(w *world) { w.report.Measurement[0] ^= 1 }, fault.FamilyRefused, "measurements", "the code that runs is accepted"},

		{"several roots named", set("sha256:", "sha256:00"+strings.Repeat("00", 31)+`", "sha256:`), fault.FamilyNone, "", ""},
		{"no root named", func(w *world) { w.policy = attestation.DefaultPolicyTOML() }, fault.FamilyFalse, "evidence.authentic", "neither AMD's nor named"},
		{"stale list", func(w *world) { w.crl[1] = now.Add(-time.Hour) }, fault.FamilyUnknown, "evidence.authentic", "revocation list of ARK-Genoa: expired"},
		{"no documents", func(w *world) { w.endorse = func(e *attestation.Endorsements) { *e = *attestation.NewEndorsements() } }, fault.FamilyUnknown, "evidence.authentic", "https://kdsintf.amd.com/vcek/v1/Genoa/07"},
		{"changed report", func(w *world) { w.report.EditSigned = func(b []byte) { b[0x50] ^= 1 } }, fault.FamilyFalse, "evidence.authentic", "did not sign"},
	} {
		c.run(t, newSNPWorld(t))
	}
}

// TestUnsafeSNP: each unsafe_ option lets exactly its rule go.
func TestUnsafeSNP(t *testing.T) {
	for _, c := range []struct {
		option string
		edit   func(*world)
	}{
		{"unsafe_debug = true", func(w *world) { w.report.Policy = 0x30000 | 1<<19 }},
		{"unsafe_migration = true", func(w *world) { w.report.Policy = 0x30000 | 1<<18 }},
	} {
		w := newSNPWorld(t)
		c.edit(w)
		w.policy = strings.Replace(w.policy, "[snp]\n", "[snp]\n"+c.option+"\n", 1)
		if _, err := w.verify(); err != nil {
			t.Errorf("%s: %v", c.option, err)
		}
	}
}

// TestExtendedReport verifies a report that the host's certificate table
// follows.
func TestExtendedReport(t *testing.T) {
	w := newSNPWorld(t)
	w.bundle()
	report := w.evidence().Data
	docs := w.minted.Documents()
	table := make([]byte, 24*(len(docs)+1))
	for i, d := range docs {
		table[24*i] = 1
		binary.LittleEndian.PutUint32(table[24*i+16:], uint32(len(table)))
		binary.LittleEndian.PutUint32(table[24*i+20:], uint32(len(d)))
		table = append(table, d...)
	}
	list, err := w.vendor.CRL(w.crl[0], w.crl[1])
	if err != nil {
		t.Fatal(err)
	}
	e := attestation.NewEndorsements()
	if err := e.AddFile("crl", list); err != nil {
		t.Fatal(err)
	}
	v := w.verifier()
	f, err := v.VerifyEvidence("", append(report, table...), e, now)
	if err != nil || f.Kind != attestation.KindSNP || f.PlatformID() == ([32]byte{}) {
		t.Fatalf("%v", err)
	}
	if e.Len() != 1 {
		t.Errorf("the shared set has grown to %d documents", e.Len())
	}
	if _, err := v.VerifyEvidence("", append(report, 1, 2, 3), e, now); fault.FamilyOf(err) != fault.FamilyInput {
		t.Errorf("garbage after the report: %v", err)
	}
}
