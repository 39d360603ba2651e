package attestation_test

import (
	"crypto/sha256"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/sim"
	"github.com/cocoon-go/cocoon/attestation/vectortest"
)

// switches are simulated ones, and the documents about them.
func switches(t *testing.T, reports ...sim.NVIDIAReport) ([]byte, *attestation.Endorsements) {
	t.Helper()
	e := attestation.NewEndorsements()
	var list []json.RawMessage
	for i, r := range reports {
		d, err := gpuVendor().NewDevice(sim.NVIDIADeviceConfig{Chip: "LS_10", ID: [8]byte{9, byte(i)}})
		if err != nil {
			t.Fatal(err)
		}
		report, err := d.Report(gpuVendor(), r)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, deviceJSON(t, report, chainOf(d)))
		docs, err := d.Endorsements(gpuVendor(), now.Add(-time.Hour), now.Add(24*time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		for j, doc := range docs {
			if err := e.AddFile(fmt.Sprint(i, j), doc); err != nil {
				t.Fatal(err)
			}
		}
	}
	data, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	return data, e
}

// A switch alone is judged like other evidence; what its GPUs are stays open.
func TestSwitchAlone(t *testing.T) {
	for _, c := range []struct {
		name    string
		reports []sim.NVIDIAReport
		policy  func(*world)
		family  fault.Family
		rules   string
	}{
		{"one", []sim.NVIDIAReport{{}}, func(*world) {}, fault.FamilyNone, ""},
		{"four", make([]sim.NVIDIAReport, 4), func(*world) {}, fault.FamilyNone, ""},
		{"two nonces", []sim.NVIDIAReport{{Nonce: [32]byte{1}}, {Nonce: [32]byte{2}}}, func(*world) {}, fault.FamilyFalse, "gpu.topology"},
		{"GPUs wanted", []sim.NVIDIAReport{{}}, func(w *world) { w.set("min_count = 0", "min_count = 1") }, fault.FamilyRefused, "gpu.min_count"},
		{"not accepted", []sim.NVIDIAReport{{}}, func(w *world) { w.set(`features = ["spt", "mpt", "ppcie"]`, `features = ["spt"]`) }, fault.FamilyRefused, "gpu.kinds"},
	} {
		t.Run(c.name, func(t *testing.T) {
			data, e := switches(t, c.reports...)
			w := &world{t: t, policy: attestation.PolicyTOML(attestation.PolicyOptions{SimulatedRoots: gpuVendor().Roots()})}
			c.policy(w)
			f, err := w.verifier().VerifyEvidence("", data, e, now)
			if err != nil {
				t.Fatal(err)
			}
			v := w.verifier().Policy().Appraise(f, attestation.Subject{At: now})
			var got []string
			for _, k := range v.Checks {
				if k.Outcome != attestation.Pass {
					got = append(got, k.Rule)
				}
			}
			if fault.FamilyOf(v.Err()) != c.family || strings.Join(got, " ") != c.rules || !v.Authentic || len(v.Facts.GPUs) != len(c.reports) {
				t.Errorf("rules %q, %v", got, v.Err())
			}
			if !slices.ContainsFunc(v.NotChecked, func(s string) bool { return strings.HasPrefix(s, "topology: switches alone") }) {
				t.Errorf("not checked: %q", v.NotChecked)
			}
		})
	}
}

// A node does not have switches alone.
func TestSwitchesWithoutGPUs(t *testing.T) {
	w := newGPUWorld(t)
	nonce, err := w.claims.GPUNonce()
	if err != nil {
		t.Fatal(err)
	}
	d, err := gpuVendor().NewDevice(sim.NVIDIADeviceConfig{Chip: "LS_10", ID: [8]byte{9}})
	if err != nil {
		t.Fatal(err)
	}
	r, err := d.Report(gpuVendor(), sim.NVIDIAReport{Nonce: nonce})
	if err != nil {
		t.Fatal(err)
	}
	data, err := d.Evidence(r)
	if err != nil {
		t.Fatal(err)
	}
	w.claims.Body.GPUEvidence = [][32]byte{sha256.Sum256(data)}
	w.edit = func(b *attestation.Bundle) {
		b.Evidence = append(b.Evidence, attestation.Item{Kind: attestation.KindNVIDIA, Data: data})
	}
	w.set("min_count = 0", "min_count = 0\nunsafe_without_rim = true\nunsafe_without_revocation = true")
	_, err = w.world.verify()
	if err == nil {
		t.Fatal("accepted")
	}
	checkRule(t, attestation.VerdictOf(err), "gpu.topology", "no GPU among 1 devices")
}

// TestVectorSwitchAlone is the same with a real switch.
func TestVectorSwitchAlone(t *testing.T) {
	m := struct {
		NVIDIA []struct {
			Report, Chain, Arch string
			Source              struct{ Path string }
		}
	}{}
	if err := json.Unmarshal(vectortest.Read(t, "manifest.json"), &m); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, x := range m.NVIDIA {
		if x.Arch != "LS10" || strings.Contains(x.Source.Path, "InvalidSignature") {
			continue // what its publisher broke is for the tests of package nvidia
		}
		n++
		w := &world{t: t, policy: attestation.DefaultPolicyTOML()}
		w.set("min_count = 0", "min_count = 0\nunsafe_without_rim = true\nunsafe_without_revocation = true")
		f, err := w.verifier().VerifyEvidence("", deviceJSON(t, vectortest.Read(t, x.Report), vectortest.Read(t, x.Chain)), nil, now)
		if err != nil {
			t.Fatal(err)
		}
		v := w.verifier().Policy().Appraise(f, attestation.Subject{At: now})
		if !v.Accepted || v.Simulated || v.Facts.GPUs[0].Kind != "ls10" {
			t.Errorf("%s: %v", x.Report, v.Err())
		}
		if slices.ContainsFunc(v.Checks, func(c attestation.Check) bool { return c.Rule == "gpu.golden" }) ||
			!slices.ContainsFunc(v.NotChecked, func(s string) bool { return strings.Contains(s, "not compared, for documents are missing") }) {
			t.Errorf("%s: measurements that nobody compared: %+v, %q", x.Report, v.Checks, v.NotChecked)
		}
	}
	if n == 0 {
		t.Error("no switch among the vectors")
	}
}

// Measurements that differ or were not compared are never called golden.
func TestGoldenWords(t *testing.T) {
	for _, c := range []struct {
		name, option string
		edit         func(*gpuWorld)
		rule, note   string // text of the rule, empty for none; what was not checked
	}{
		{"golden", "", func(*gpuWorld) {}, "the measurements of the device are those that the vendor published", ""},
		{"differs", "unsafe_measurements_differ = true", func(w *gpuWorld) { w.report.Measurements = map[int][]byte{9: make([]byte, 48)} },
			"the policy lets measurements differ from those that the vendor published (unsafe_measurements_differ)", ""},
		{"missing", "unsafe_without_rim = true\nunsafe_without_revocation = true\nunsafe_measurements_differ = true", func(w *gpuWorld) { w.endorse = nil }, "", "published measurements: not compared"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newGPUWorld(t)
			w.set("min_count = 0", "min_count = 1\n"+c.option)
			c.edit(w)
			v, err := w.verify()
			if err != nil {
				t.Fatal(err)
			}
			text := ""
			for _, k := range v.Verdict().Checks {
				if k.Rule == "gpu.golden" {
					text = k.Text
				}
			}
			if text != c.rule || c.note != "" && !slices.ContainsFunc(v.Verdict().NotChecked, func(s string) bool { return strings.Contains(s, c.note) }) {
				t.Errorf("rule %q, not checked %q", text, v.Verdict().NotChecked)
			}
		})
	}
}

// A live nonce is not the GPUs': their reports answer the claims.
func TestGPULiveNonce(t *testing.T) {
	n := [32]byte{7}
	for _, nonce := range []*[32]byte{nil, &n} {
		w := newGPUWorld(t)
		w.nonce = nonce
		w.change = func(c *attestation.Claims) { w.td.ReportData = attestation.ReportData(claimsDigest(t, c), nonce) }
		v, err := w.verify()
		if err != nil {
			t.Fatal(err)
		}
		if got := slices.ContainsFunc(v.Verdict().NotChecked, func(s string) bool { return strings.HasPrefix(s, "that the GPUs answer the nonce") }); got != (nonce != nil) {
			t.Errorf("nonce %v: not checked %q", nonce != nil, v.Verdict().NotChecked)
		}
	}
}

// deviceJSON is a report with its chain in PEM, in the form that NVIDIA's tools
// write.
func deviceJSON(t *testing.T, report, chain []byte) json.RawMessage {
	t.Helper()
	b, err := json.Marshal(map[string]any{"evidence": report, "certificate": chain})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func chainOf(d *sim.NVIDIADevice) (out []byte) {
	for _, c := range d.Chain {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return out
}
