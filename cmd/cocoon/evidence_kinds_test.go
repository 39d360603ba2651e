package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/amd"
	"github.com/cocoon-go/cocoon/attestation/eventlog"
	"github.com/cocoon-go/cocoon/attestation/sim"
	"github.com/cocoon-go/cocoon/attestation/vectortest"
)

// subject is a file with what it takes to accept it.
type subject struct {
	kind   string
	roots  [][32]byte
	data   []byte
	papers map[string][]byte
	page   []string // what the page says
}

func snpSubject(t *testing.T) subject {
	t.Helper()
	vendor, err := sim.NewAMD(sim.AMDConfig{Product: amd.Genoa})
	if err != nil {
		t.Fatal(err)
	}
	chip, err := vendor.NewChip(sim.AMDChipConfig{ChipID: [amd.ChipIDSize]byte{1, 2, 3}})
	if err != nil {
		t.Fatal(err)
	}
	report, err := chip.Report(sim.AMDReport{})
	if err != nil {
		t.Fatal(err)
	}
	list, err := vendor.CRL(judged.Add(-time.Hour), judged.AddDate(0, 1, 0))
	if err != nil {
		t.Fatal(err)
	}
	s := subject{kind: attestation.KindSNP, roots: [][32]byte{vendor.Root()}, data: report, papers: map[string][]byte{"list.der": list},
		page: []string{"AMD SEV-SNP", "SIMULATED."}}
	for i, name := range []string{"vcek.der", "ask.der", "ark.der"} {
		s.papers[name] = chip.Documents()[i]
	}
	return s
}

func gpuSubject(t *testing.T) subject {
	t.Helper()
	m, err := sim.NewNVIDIAMachine(sim.NVIDIAMachineConfig{GPUs: 1})
	if err != nil {
		t.Fatal(err)
	}
	report, err := m.Devices[0].Report(m.Vendor, m.Report([32]byte{7}))
	if err != nil {
		t.Fatal(err)
	}
	data, err := m.Devices[0].Evidence(report)
	if err != nil {
		t.Fatal(err)
	}
	files, err := m.Endorsements(judged.Add(-time.Hour), judged.Add(24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	s := subject{kind: attestation.KindNVIDIA, roots: m.Vendor.Roots(), data: data, papers: map[string][]byte{},
		page: []string{"NVIDIA", "SIMULATED."}}
	for _, f := range files {
		s.papers[f.Name] = f.Data
	}
	return s
}

// TestKindsOfEvidence: what is no TD goes through the same command: accepted with
// its documents, unknown without them, in words, in JSON and as a page.
func TestKindsOfEvidence(t *testing.T) {
	for _, s := range []subject{snpSubject(t), gpuSubject(t)} {
		t.Run(s.kind, func(t *testing.T) {
			m := newMachine(t)
			m.write("evidence.bin", s.data)
			policy := attestation.PolicyTOML(attestation.PolicyOptions{SimulatedRoots: s.roots})
			m.write("policy.toml", []byte(strings.Replace(policy, `measurements = "from registry"`, "unsafe_any_measurement = true", 1)))
			if err := os.Mkdir(m.path("papers"), 0o755); err != nil {
				t.Fatal(err)
			}
			for name, data := range s.papers {
				m.write("papers/"+name, data)
			}
			with := []string{"--endorsements", "@papers"}
			words := func(more ...string) []string { return append(append([]string{}, with...), more...) }

			out, _ := m.alone(0, "evidence.bin", words()...)
			wantLines(t, out, "SIMULATED", "ACCEPTED", "NOT CHECKED")
			out, _ = m.alone(0, "evidence.bin", words("--json")...)
			var v attestation.Verdict
			if err := json.Unmarshal([]byte(out), &v); err != nil || v.Kind != s.kind || !v.Authentic || !v.Accepted || !v.Simulated {
				t.Errorf("%v, %+v", err, v)
			}
			page, _ := m.alone(0, "evidence.bin", words("--html")...)
			standsAlone(t, page)
			wantLines(t, page, append(s.page, "<h1>ACCEPTED</h1>", "What was not checked")...)

			_, errs := m.alone(3, "evidence.bin")
			wantLines(t, errs, "get it from http")
			// every document is needed, and the command says which one lacks
			for name := range s.papers {
				if name == "ark.der" {
					continue // the root is known by its fingerprint, or comes in the chain
				}
				if err := os.Rename(m.path("papers/"+name), m.path(name)); err != nil {
					t.Fatal(err)
				}
				out, errs := m.alone(3, "evidence.bin", words()...)
				wantLines(t, out, "COULD NOT FIND OUT")
				wantLines(t, errs, "get it from http")
				if err := os.Rename(m.path(name), m.path("papers/"+name)); err != nil {
					t.Fatal(err)
				}
			}
			changed := append([]byte{}, s.data...)
			changed[len(changed)/3] ^= 4
			m.write("evidence.bin", changed)
			code, out, errs := m.any("verify", "evidence", "@evidence.bin", "--policy", "@policy.toml", "--at", judged.Format(time.RFC3339), "--endorsements", "@papers")
			if (code != 1 && code != 2) || errs == "" || strings.Contains(out, "ACCEPTED") {
				t.Errorf("a changed bit: exit code %d\n%s%s", code, out, errs)
			}
		})
	}
}

// TestNotEvidence: files that belong to evidence are told where they go.
func TestNotEvidence(t *testing.T) {
	m := newMachine(t)
	gpu := gpuSubject(t)
	l := &sim.EventLog{Banks: []eventlog.Alg{eventlog.SHA256}}
	l.Add(4, eventlog.EFIBootServicesApp, []byte("kernel"), []byte("path"))
	files := map[string]string{"list.der": "give it with --endorsements", "log.bin": "give it with --event-log"}
	m.write("list.der", snpSubject(t).papers["list.der"])
	m.write("log.bin", l.Bytes())
	for name, data := range gpu.papers {
		m.write(name, data)
		files[name] = "give it with --endorsements"
	}
	for name, want := range files {
		_, errs := m.alone(1, name)
		wantLines(t, errs, want)
	}
	m.write("bad.toml", []byte(attestation.DefaultPolicyTOML()+"\n[tdx]\n"))
	if _, errs := m.run(1, "verify", "evidence", "@quote.bin", "--policy", "@bad.toml"); !strings.Contains(errs, "policy") {
		t.Error(errs)
	}
}

// TestRealKinds: one real file of every kind is told apart, and its result is that
// of a policy that knows nothing of its code.
func TestRealKinds(t *testing.T) {
	dir := vectortest.Dir(t)
	m := newMachine(t)
	m.write("policy.toml", []byte(attestation.DefaultPolicyTOML()))
	for _, c := range []struct{ file, papers, at, kind string }{
		{"tdx/quotes/go-tdx-guest-00b2526ab190.bin", "tdx/collateral/00806f050000-2025-07.json", "2025-07-10T00:00:00Z", attestation.KindTDX},
		{"sgx/quotes/automata-dcap-attestation-743a7a64fe92.bin", "sgx/collateral", "2025-08-20T00:00:00Z", attestation.KindSGX},
		{"snp/reports/go-sev-guest-v2-377e6241d3b3.bin", "snp/crl", "2025-06-01T00:00:00Z", attestation.KindSNP},
		{"azure-vtpm/az-snp-vtpm-evidence-v1.json", "snp/crl", "2025-06-01T00:00:00Z", attestation.KindTPM},
	} {
		m.write("evidence.bin", vectortest.Read(t, c.file))
		_, out, errs := m.any("verify", "evidence", "@evidence.bin", "--policy", "@policy.toml", "--at", c.at, "--endorsements", filepath.Join(dir, c.papers), "--json")
		var v attestation.Verdict
		if err := json.Unmarshal([]byte(out), &v); err != nil || v.Kind != c.kind || v.Simulated {
			t.Errorf("%s: %v, kind %q\n%s", c.file, err, v.Kind, errs)
		}
		if v.Accepted {
			t.Errorf("%s is accepted by a policy that takes none of its code", c.file)
		}
	}
}
