package attestation_test

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/eventlog"
	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/sim"
	"github.com/cocoon-go/cocoon/attestation/tpm"
	"github.com/cocoon-go/cocoon/attestation/vectortest"
)

// tpmWorld is a world whose machine also has a TPM that its host owns.
type tpmWorld struct {
	*world
	vendor *sim.TPMVendor
	tpm    *sim.TPM
	over   *attestation.Claims // that the quotes answer; nil means those of the bundle
	nonce  *[32]byte           // of a quote that is attached
	twice  bool
	item   func(*tpm.Evidence) // changes the evidence
	lists  time.Duration       // for which revocation lists are in force
}

func newTPMWorld(t testing.TB) *tpmWorld {
	w := &tpmWorld{world: newWorld(t), lists: 24 * time.Hour}
	var err error
	if w.vendor, err = sim.NewTPMVendor(sim.TPMVendorConfig{CRL: "http://crl.test/list.crl"}); err != nil {
		t.Fatal(err)
	}
	if w.tpm, err = w.vendor.NewTPM(sim.TPMConfig{}); err != nil {
		t.Fatal(err)
	}
	w.options("unsafe_host_tpm = true", w.vendor.RootFingerprint())
	return w
}

func (w *tpmWorld) options(section string, roots ...[32]byte) {
	w.policy = attestation.PolicyTOML(attestation.PolicyOptions{SimulatedRoots: append(roots, w.platform.RootFingerprint())})
	w.policy = strings.Replace(w.policy, "[tpm]", "[tpm]\n"+section, 1)
}

func (w *tpmWorld) evidence(extra [32]byte) []byte {
	w.t.Helper()
	e, err := w.tpm.Evidence(extra[:])
	if err != nil {
		w.t.Fatal(err)
	}
	if w.item != nil {
		w.item(e)
	}
	b, err := e.Encode()
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

func (w *tpmWorld) documents(e *attestation.Endorsements) {
	w.t.Helper()
	lists, err := w.vendor.CRLs(now.Add(-time.Hour), now.Add(w.lists), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	for i, l := range lists {
		if err := e.AddFile(fmt.Sprint(i), l); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *tpmWorld) verify() (*attestation.Verified, error) {
	w.t.Helper()
	if w.endorse == nil {
		w.endorse = w.documents
	}
	edit := w.edit
	w.edit = func(b *attestation.Bundle) {
		over := b.Digest()
		if w.over != nil {
			over = w.over.Digest()
		}
		data := w.evidence(tpm.ExtraData(over, nil))
		for range map[bool]int{false: 1, true: 2}[w.twice] {
			b.Evidence = append(b.Evidence, attestation.Item{Kind: attestation.KindTPM, Data: data})
		}
		if w.nonce != nil {
			b.Attachments = append(b.Attachments, attestation.Item{Kind: attestation.AttachLive + attestation.KindTPM, Data: w.evidence(tpm.ExtraData(over, w.nonce))})
		}
		if edit != nil {
			edit(b)
		}
	}
	return w.world.verify()
}

func TestVerifyTPM(t *testing.T) {
	w := newTPMWorld(t)
	v, err := w.verify()
	if err != nil {
		t.Fatal(err)
	}
	f := v.Verdict().Facts.TPM
	want := tpm.ExtraData(w.claims.Digest(), nil)
	if f == nil || f.Confidential || !f.Development || f.ExtraData != fmt.Sprintf("%x", want) || len(f.PCRs["sha256"]) != eventlog.NumPCRs {
		t.Errorf("TPM in the verdict: %+v", f)
	}
	simulated := fmt.Sprintf("SIMULATED sha256:%x", w.vendor.RootFingerprint())
	if !slices.ContainsFunc(v.Verdict().Checks, func(c attestation.Check) bool { return c.Got == simulated }) {
		t.Errorf("no check says %s", simulated)
	}
	if v.NotAfter() != now.Add(w.lists) || v.Verdict().Facts.NotAfter != now.Add(w.lists).UTC().Format(time.RFC3339) {
		t.Errorf("good until %v, the verdict says %s; want the end of the TPM's documents", v.NotAfter(), v.Verdict().Facts.NotAfter)
	}
}

// With a live nonce, the attached quote over it counts.
func TestLiveTPM(t *testing.T) {
	w := newTPMWorld(t)
	n := [32]byte{7}
	w.nonce, w.world.nonce = &n, &n
	d := claimsDigest(t, w.claims)
	w.td.ReportData = attestation.ReportData(d, &n)
	v, err := w.verify()
	if err != nil {
		t.Fatal(err)
	}
	want := tpm.ExtraData(d, &n)
	if got := v.Verdict().Facts.TPM.ExtraData; got != fmt.Sprintf("%x", want) {
		t.Errorf("the quote answers %s, want %x", got, want)
	}
	w = newTPMWorld(t)
	w.world.nonce, w.td.ReportData = &n, attestation.ReportData(claimsDigest(t, w.claims), &n)
	if v, err := w.verify(); v != nil || !slices.Contains(families(err), fault.FamilyFalse) {
		t.Errorf("a TPM that did not answer the nonce: %v", err)
	}
}

func claimsDigest(t testing.TB, c *attestation.Claims) [32]byte {
	t.Helper()
	if _, _, err := c.Encode(); err != nil {
		t.Fatal(err)
	}
	return c.Digest()
}

func TestRefusedTPM(t *testing.T) {
	zeros := strings.Repeat("00", 32)
	for _, c := range []struct {
		name   string
		family fault.Family
		want   string
		change func(*tpmWorld)
	}{
		{"the host's", fault.FamilyRefused, "the host may own it", func(w *tpmWorld) { w.options("", w.vendor.RootFingerprint()) }},
		{"root not named", fault.FamilyFalse, "root", func(w *tpmWorld) { w.options("unsafe_host_tpm = true") }},
		{"quotes over other claims", fault.FamilyFalse, "nonce", func(w *tpmWorld) {
			other := *w.claims
			other.Epoch++
			claimsDigest(t, &other)
			w.over = &other
		}},
		{"two", fault.FamilyInput, "more than one TPM", func(w *tpmWorld) { w.twice = true }},
		{"no documents", fault.FamilyUnknown, "revocation list", func(w *tpmWorld) { w.endorse = func(*attestation.Endorsements) {} }},
		{"documents over", fault.FamilyUnknown, "revocation list", func(w *tpmWorld) { w.at = now.Add(25 * time.Hour) }},
		{"values changed", fault.FamilyFalse, "pcrs", func(w *tpmWorld) {
			w.item = func(e *tpm.Evidence) {
				e.Quotes[0].PCRs[eventlog.SHA256][3] = make([]byte, 32)
				e.Quotes[0].PCRs[eventlog.SHA256][3][0] = 1
			}
		}},
		{"no key of the vendor", fault.FamilyUnknown, "nobody vouches", func(w *tpmWorld) { w.item = func(e *tpm.Evidence) { e.Certificates = nil } }},
		{"other registers", fault.FamilyRefused, "register 4 has an accepted value", func(w *tpmWorld) {
			w.options("unsafe_host_tpm = true\npcrs = {\"4\" = [\""+strings.Repeat("11", 32)+"\"]}", w.vendor.RootFingerprint())
		}},
		{"registers demanded of a machine without a TPM", fault.FamilyRefused, "the machine has a TPM", func(w *tpmWorld) {
			w.options("unsafe_host_tpm = true\npcrs = {\"4\" = [\""+zeros+"\"]}", w.vendor.RootFingerprint())
			w.edit = func(b *attestation.Bundle) { b.Evidence = b.Evidence[:1] }
		}},
		{"garbage", fault.FamilyInput, "tpm evidence", func(w *tpmWorld) {
			w.edit = func(b *attestation.Bundle) { b.Evidence[1].Data = []byte{1} }
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newTPMWorld(t)
			c.change(w)
			v, err := w.verify()
			if v != nil || !slices.Contains(families(err), c.family) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("families %v, %v", families(err), err)
			}
		})
	}
	w := newTPMWorld(t)
	w.options("unsafe_host_tpm = true\npcrs = {\"4\" = [\""+zeros+"\"]}", w.vendor.RootFingerprint())
	if _, err := w.verify(); err != nil {
		t.Errorf("registers that the policy names: %v", err)
	}
}

// Evidence of a TPM that stands alone.
func TestTPMAlone(t *testing.T) {
	w := newTPMWorld(t)
	zeros := strings.Repeat("00", 32)
	w.options("unsafe_host_tpm = true\npcrs = {\"4\" = [\""+zeros+"\"]}", w.vendor.RootFingerprint())
	w.policy = strings.Replace(w.policy, `accept = [`, `accept = ["tpm", `, 1)
	e := attestation.NewEndorsements()
	w.documents(e)
	f, err := w.verifier().VerifyEvidence("", w.evidence([32]byte{1}), e, now)
	if err != nil {
		t.Fatal(err)
	}
	v := w.verifier().Policy().Appraise(f, attestation.Subject{At: now})
	if !v.Accepted || !v.Simulated || v.Kind != attestation.KindTPM || !f.NotAfter.Equal(now.Add(w.lists)) ||
		!slices.ContainsFunc(v.NotChecked, func(s string) bool { return strings.Contains(s, "nonce of the TPM's quotes") }) {
		t.Errorf("good until %v, %+v", f.NotAfter, v)
	}
	strict, err := attestation.ParsePolicy([]byte(attestation.DefaultPolicyTOML()))
	if err != nil {
		t.Fatal(err)
	}
	if v := strict.Appraise(f, attestation.Subject{At: now}); v.Accepted {
		t.Error("a policy without TPMs accepts one")
	}
}

// A key that only the policy names: nobody vouches for it, and nothing says that
// a vendor does.
func TestDevelopmentKey(t *testing.T) {
	w := newTPMWorld(t)
	w.item = func(e *tpm.Evidence) { e.Certificates = nil }
	key := fmt.Sprintf("unsafe_development_keys = [\"%x\"]", sha256.Sum256(w.tpm.Public))
	w.options("unsafe_host_tpm = true\n"+key+"\npcrs = {\"4\" = [\""+strings.Repeat("00", 32)+"\"]}", w.vendor.RootFingerprint())
	w.policy = strings.Replace(w.policy, `accept = [`, `accept = ["tpm", `, 1)
	f, err := w.verifier().VerifyEvidence("", w.evidence([32]byte{1}), nil, now)
	if err != nil {
		t.Fatal(err)
	}
	v := w.verifier().Policy().Appraise(f, attestation.Subject{At: now})
	if v.Authentic || v.Checks[0].Rule != "evidence.authentic" || !strings.Contains(v.Checks[0].Got, "nobody vouches") || v.Facts.Root != "" || v.Facts.NotAfter != "" {
		t.Errorf("%+v, %+v", v, v.Facts)
	}
}

// A TPM of a confidential VM with a certificate, too: both count, and so do the
// ends of both.
func TestCertificateBesideHardware(t *testing.T) {
	s := newSNPWorld(t)
	vendor, err := sim.NewTPMVendor(sim.TPMVendorConfig{CRL: "http://crl.test/list.crl"})
	if err != nil {
		t.Fatal(err)
	}
	m, err := vendor.NewTPM(sim.TPMConfig{Scheme: tpm.RSASSA})
	if err != nil {
		t.Fatal(err)
	}
	runtime, err := m.RuntimeData([64]byte{})
	if err != nil {
		t.Fatal(err)
	}
	s.td.ReportData = sim.RuntimeReportData(runtime)
	report := s.evidence().Data
	ev, err := m.Evidence([]byte("question"))
	if err != nil {
		t.Fatal(err)
	}
	ev.HCL = sim.HCLReport(tpm.SNP, report, runtime)
	data, err := ev.Encode()
	if err != nil {
		t.Fatal(err)
	}
	s.policy = strings.Replace(attestation.PolicyTOML(attestation.PolicyOptions{SimulatedRoots: [][32]byte{s.vendor.Root(), vendor.RootFingerprint()}}), `accept = [`, `accept = ["tpm", `, 1)
	s.policy = strings.Replace(s.policy, "[tpm]", "[tpm]\npcrs = {\"4\" = [\""+strings.Repeat("00", 32)+"\"]}", 1)
	e := s.endorsements()
	lists, err := vendor.CRLs(now.Add(-time.Hour), now.Add(time.Hour), nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, l := range lists {
		if err := e.AddFile(fmt.Sprint(i), l); err != nil {
			t.Fatal(err)
		}
	}
	f, err := s.verifier().VerifyEvidence("", data, e, now)
	if err != nil {
		t.Fatal(err)
	}
	if !f.NotAfter.Equal(now.Add(time.Hour)) || !f.TPM.Confidential() || f.AMD == nil {
		t.Errorf("good until %v, confidential %v", f.NotAfter, f.TPM.Confidential())
	}
}

// TestVectorsAzure verifies real evidence of Azure's confidential VMs.
func TestVectorsAzure(t *testing.T) {
	at := time.Date(2025, 9, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		file, documents string
		at              time.Time
	}{
		{"az-snp-vtpm-evidence-v1.json", "snp/crl/milan-2025-05-06_2026-05-12.crl.der", at},
		{"az-snp-vtpm-evidence-v2.json", "snp/crl/milan-2025-05-06_2026-05-12.crl.der", at},
		{"az-snp-vtpm-evidence-genoa.json", "snp/crl/genoa-2024-10-23_2025-11-03.crl.der", at},
		{"az-tdx-vtpm-evidence-v1.json", "tdx/collateral/00806f050000-2025-06.json", time.Unix(1749034298, 0)},
	} {
		t.Run(c.file, func(t *testing.T) {
			data := vectortest.Read(t, "azure-vtpm/"+c.file)
			f, err := strict(t).VerifyEvidence("", data, setOf(t, vectortest.Read(t, c.documents)), c.at)
			if err != nil {
				t.Fatal(err)
			}
			if f.Kind != attestation.KindTPM || f.TPM == nil || !f.TPM.Confidential() || f.Simulated || (f.AMD == nil) == (f.Intel == nil) || f.NotAfter.Before(c.at) {
				t.Errorf("facts %+v", f)
			}
			v := strict(t).Policy().Appraise(f, attestation.Subject{At: c.at})
			if v.Accepted || v.Simulated || !slices.ContainsFunc(v.Checks, func(x attestation.Check) bool { return x.Rule == "policy.accept" && x.Outcome == attestation.Fail }) {
				t.Errorf("the default policy accepts a TPM: %+v", v)
			}
			if _, err := strict(t).VerifyEvidence("", data, nil, c.at); fault.FamilyOf(err) != fault.FamilyUnknown {
				t.Errorf("without documents: %v", err)
			}
		})
	}
}
