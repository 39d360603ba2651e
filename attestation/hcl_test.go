package attestation_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/eventlog"
	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/sim"
	"github.com/cocoon-go/cocoon/attestation/tpm"
)

// hclWorld is a world whose enclave runs under a paravisor: the hardware names the
// key of the TPM, and the TPM answers the claims.
type hclWorld struct {
	*world
	tpm     *sim.TPM
	log     *sim.EventLog
	runtime func(string) string // changes what the paravisor says, before the hardware signs it
	said    func(string) string // after it
	over    *attestation.Claims // that the quotes answer; nil means those of the bundle
	quote   sim.TPMQuote
	live    bool // a quote over the nonce of the world is attached
	other   *sim.TPM
}

// rsaKey is slow to make.
var rsaKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// paravisor turns a world into one under a paravisor.
func paravisor(t testing.TB, w *world) *hclWorld {
	t.Helper()
	vendor, err := sim.NewTPMVendor(sim.TPMVendorConfig{})
	if err != nil {
		t.Fatal(err)
	}
	h := &hclWorld{world: w, log: tcg2(eventlog.SHA256)}
	key, err := rsaKey()
	if err != nil {
		t.Fatal(err)
	}
	if h.tpm, err = vendor.NewTPM(sim.TPMConfig{Scheme: tpm.RSASSA, Key: key}); err != nil {
		t.Fatal(err)
	}
	h.tpm.Boot(h.log)
	c := w.claims.Body.Configuration
	if err := h.tpm.Extend(attestation.ConfigurationPCR, append([]byte("cocoon/configuration/v1\n"), c[:]...)); err != nil {
		t.Fatal(err)
	}
	w.td.RTMR, w.report.HostData = [4][48]byte{}, [32]byte{}
	m := attestation.MeasurementTDX(w.td.MRTD, w.td.RTMR[0], w.td.RTMR[1], w.td.RTMR[2])
	if w.kind == attestation.KindSNP {
		m = attestation.MeasurementSNP(w.report.Measurement)
	}
	w.registered.Measurements = nil
	w.set("[tpm]", fmt.Sprintf("[tpm]\nparavisors = [\"%x\"]\npcrs = {\"2\" = [\"%x\"]}", m, h.log.PCRs(eventlog.SHA256)[2]))
	w.eventLog(named(hash("kernel"), hash("loader")))
	return h
}

func (h *hclWorld) evidenceOver(report, runtime []byte, nonce *[32]byte) []byte {
	h.t.Helper()
	c := h.claims
	if h.over != nil {
		c = h.over
	}
	q := h.quote
	x := tpm.ExtraData(claimsDigest(h.t, c), nonce)
	q.ExtraData = x[:]
	m := h.tpm
	if h.other != nil {
		m = h.other
	}
	quote, err := m.Quote(q)
	if err != nil {
		h.t.Fatal(err)
	}
	kind := tpm.TDX
	if h.kind == attestation.KindSNP {
		kind = tpm.SNP
	}
	e := &tpm.Evidence{Quotes: []tpm.Quote{quote}, HCL: sim.HCLReport(kind, report, runtime)}
	b, err := e.Encode()
	if err != nil {
		h.t.Fatal(err)
	}
	return b
}

func (h *hclWorld) verify() (*attestation.Verified, error) {
	h.t.Helper()
	raw, err := h.tpm.RuntimeData([64]byte{7})
	if err != nil {
		h.t.Fatal(err)
	}
	runtime := string(raw)
	if h.runtime != nil {
		runtime = h.runtime(runtime)
	}
	if h.td.ReportData == ([64]byte{}) {
		h.td.ReportData = sim.RuntimeReportData([]byte(runtime))
	}
	if h.said != nil {
		runtime = h.said(runtime)
	}
	edit := h.edit
	h.edit = func(b *attestation.Bundle) {
		report := sim.TDReport(h.td.ReportData)
		if h.kind == attestation.KindSNP {
			report = b.Evidence[0].Data
		}
		b.Evidence = append(b.Evidence, attestation.Item{Kind: attestation.KindTPM, Data: h.evidenceOver(report, []byte(runtime), nil)})
		if h.live {
			b.Attachments = append(b.Attachments, attestation.Item{Kind: attestation.AttachLive + attestation.KindTPM, Data: h.evidenceOver(report, []byte(runtime), h.nonce)})
		}
		if h.log != nil {
			b.EventLog = h.log.Bytes()
		}
		if edit != nil {
			edit(b)
		}
	}
	return h.world.verify()
}

// hclWorlds are the two machines.
func hclWorlds(t testing.TB) map[string]func() *hclWorld {
	return map[string]func() *hclWorld{
		"snp": func() *hclWorld { return paravisor(t, newSNPWorld(t)) },
		"tdx": func() *hclWorld { return paravisor(t, newWorld(t)) },
	}
}

// Claims are bound to the hardware by the TPM of a paravisor.
func TestVerifyHCL(t *testing.T) {
	for name, make := range hclWorlds(t) {
		t.Run(name, func(t *testing.T) {
			h := make()
			h.t = t
			v, err := h.verify()
			if err != nil {
				t.Fatal(err)
			}
			f := v.Verdict().Facts.TPM
			want := tpm.ExtraData(h.claims.Digest(), nil)
			if f.ExtraData != fmt.Sprintf("%x", want) || !f.Confidential || f.Development || f.Scheme != "rsassa" || f.Hash != "sha256" || f.Certificate != nil {
				t.Errorf("TPM in the verdict: %+v", f)
			}
			c := f.HCL
			if c == nil || c.Hardware != name || !strings.HasPrefix(c.UserData, "07") || c.SecureBoot == nil || !*c.SecureBoot || c.Console == nil || *c.Console ||
				c.TPMPersisted == nil || *c.TPMPersisted || c.UniqueID == "" || c.InteractiveConsole != nil {
				t.Errorf("paravisor in the verdict: %+v", c)
			}
			for _, s := range []string{"nobody but the TPM has its key", "settings of the confidential VM"} {
				if !slices.ContainsFunc(v.Verdict().NotChecked, func(n string) bool { return strings.Contains(n, s) }) {
					t.Errorf("%q is not among what was not checked", s)
				}
			}
			if v.PlatformID() == [32]byte{} {
				t.Error("no machine")
			}
			// Live.
			h = make()
			h.t, h.live = t, true
			n := [32]byte{9}
			h.nonce = &n
			if v, err = h.verify(); err != nil {
				t.Fatal(err)
			}
			want = tpm.ExtraData(h.claims.Digest(), &n)
			if got := v.Verdict().Facts.TPM.ExtraData; got != fmt.Sprintf("%x", want) {
				t.Errorf("the quote answers %s, want %x", got, want)
			}
		})
	}
}

// TestRefusedHCL changes one thing at a time.
func TestRefusedHCL(t *testing.T) {
	replace := func(from, to string) func(string) string {
		return func(s string) string {
			if !strings.Contains(s, from) {
				t.Fatalf("no %q in the runtime data", from)
			}
			return strings.Replace(s, from, to, 1)
		}
	}
	for _, c := range []struct {
		name   string
		family fault.Family
		rules  string // that do not pass; empty when there are no facts
		want   string
		change func(*hclWorld)
	}{
		{"other claims", fault.FamilyFalse, "", "another nonce", func(h *hclWorld) {
			other := *h.claims
			other.Epoch++
			h.over = &other
		}},
		{"no answer to the nonce", fault.FamilyFalse, "", "another nonce", func(h *hclWorld) { h.nonce = new([32]byte); h.nonce[0] = 1 }},
		{"the policy wants a nonce", fault.FamilyRefused, "evidence.live_nonce", "live nonce", func(h *hclWorld) { h.set("live_nonce = false", "live_nonce = true") }},
		{"another paravisor", fault.FamilyRefused, "tpm.paravisor", "one of 1 in the policy", func(h *hclWorld) { h.td.MRTD[3], h.report.Measurement[3] = 1, 1 }},
		{"a paravisor among the measurements alone", fault.FamilyRefused, "tpm.paravisor", "one of 1 in the policy", func(h *hclWorld) {
			h.td.MRTD[3], h.report.Measurement[3] = 1, 1
			h.registered.Measurements = [][32]byte{attestation.MeasurementSNP(h.report.Measurement), attestation.MeasurementTDX(h.td.MRTD, [48]byte{}, [48]byte{}, [48]byte{})}
		}},
		{"a driver that the firmware loaded", fault.FamilyRefused, "tpm.pcr2", "expected one of 1 in the policy", func(h *hclWorld) {
			h.log.Add(2, eventlog.EFIBootServicesDriver, []byte("driver"), nil)
			h.tpm.Boot(h.log)
		}},
		{"another kernel", fault.FamilyRefused, "event_log.pcr4", "is none of them", func(h *hclWorld) {
			h.log.Add(4, eventlog.EFIBootServicesApp, []byte("one more"), nil)
			h.tpm.Boot(h.log)
		}},
		{"a log that lies", fault.FamilyFalse, "tpm.event_log event_log.pcr4", "expected PCR 4", func(h *hclWorld) { h.log.Add(4, eventlog.EFIBootServicesApp, []byte("one more"), nil) }},
		{"another configuration", fault.FamilyFalse, "binding.configuration", "expected PCR15", func(h *hclWorld) {
			if err := h.tpm.Extend(attestation.ConfigurationPCR, []byte("more")); err != nil {
				t.Fatal(err)
			}
		}},
		{"configuration not quoted", fault.FamilyFalse, "binding.configuration", "expected PCR15", func(h *hclWorld) { h.quote.PCRs = []int{0, 1, 2, 3, 4, 5, 6, 7, 9} }},
		{"key from the host's disk", fault.FamilyRefused, "tpm.persisted", "may come from there", func(h *hclWorld) {
			h.runtime = replace(`"tpm-persisted":false`, `"tpm-persisted":true`)
		}},
		{"nothing said of the key's age", fault.FamilyRefused, "tpm.persisted", "does not say", func(h *hclWorld) {
			h.runtime = replace(`"tpm-persisted":false,`, "")
		}},
		{"key that the hardware sealed", fault.FamilyRefused, "tpm.persisted", "that the hardware sealed", func(h *hclWorld) {
			h.runtime = replace(`"tpm-persisted":false`, `"tpm-persisted":false,"hardware-sealing-policy":"hash"`)
		}},
		{"runtime data that the hardware did not name", fault.FamilyFalse, "", "not the digest of the runtime data", func(h *hclWorld) { h.said = replace(`"secure-boot":true`, `"secure-boot":false`) }},
		{"another TPM", fault.FamilyFalse, "", "did not sign", func(h *hclWorld) {
			vendor, err := sim.NewTPMVendor(sim.TPMVendorConfig{})
			if err != nil {
				t.Fatal(err)
			}
			if h.other, err = vendor.NewTPM(sim.TPMConfig{Scheme: tpm.RSASSA}); err != nil {
				t.Fatal(err)
			}
			h.other.PCRs = h.tpm.PCRs
		}},
		{"hardware that names the claims", fault.FamilyFalse, "", "not the digest of the runtime data", func(h *hclWorld) {
			h.td.ReportData = attestation.ReportData(claimsDigest(t, h.claims), nil)
		}},
		{"no TPM", fault.FamilyFalse, "binding.claims binding.configuration measurements", "the report data names these claims", func(h *hclWorld) {
			h.edit = func(b *attestation.Bundle) { b.Evidence, b.EventLog = b.Evidence[:1], nil }
			h.set("required = true", "required = false")
		}},
	} {
		for kind, make := range hclWorlds(t) {
			t.Run(c.name+" "+kind, func(t *testing.T) {
				h := make()
				h.t = t
				c.change(h)
				v, err := h.verify()
				if v != nil || fault.FamilyOf(err) != c.family || !strings.Contains(err.Error(), c.want) {
					t.Fatalf("family %d, %v", fault.FamilyOf(err), err)
				}
				var got []string
				for _, k := range attestation.VerdictOf(err).Checks {
					if k.Outcome != attestation.Pass && k.Rule != "evidence.authentic" && k.Rule != "event_log.pcr4" || slices.Contains(strings.Fields(c.rules), k.Rule) && k.Outcome != attestation.Pass {
						got = append(got, k.Rule)
					}
				}
				if strings.Join(got, " ") != c.rules {
					t.Errorf("rules %q, want %q", got, c.rules)
				}
			})
		}
	}
}

// A report that the guest asked for itself names whatever key it likes.
func TestHCLFromGuest(t *testing.T) {
	h := paravisor(t, newSNPWorld(t))
	h.report.VMPL = 2
	_, err := h.verify()
	checkRule(t, attestation.VerdictOf(err), "snp.vmpl", "VMPL 2")
}

// What a paravisor keeps on the disk counts when the policy says so; registers
// may be judged by their values.
func TestHCLPolicy(t *testing.T) {
	h := paravisor(t, newSNPWorld(t))
	h.runtime = func(s string) string { return strings.Replace(s, `"tpm-persisted":false`, `"tpm-persisted":true`, 1) }
	h.set("[tpm]", "[tpm]\nunsafe_persisted_tpm = true")
	h.set("pcrs = {", "pcrs = {\"4\" = [\""+fmt.Sprintf("%x", h.tpm.PCRs[eventlog.SHA256][4])+"\"], ")
	h.set(named(hash("kernel"), hash("loader")), "required = false\n")
	h.log = nil
	if _, err := h.verify(); err != nil {
		t.Error(err)
	}
	for _, c := range []struct{ section, want string }{
		{`paravisors = ["` + strings.Repeat("11", 32) + `"]`, "any code could run on them"},
		{`paravisors = ["` + strings.Repeat("11", 32) + `"]` + "\npcrs = {\"7\" = [\"" + strings.Repeat("11", 32) + "\"]}", "any code could run on them"},
		{`paravisors = ["` + strings.Repeat("11", 32) + `"]` + "\npcrs = {\"4\" = [\"" + strings.Repeat("11", 32) + "\"]}", "register 2, of what the firmware starts"},
		{`paravisors = ["` + strings.Repeat("11", 32) + `"]` + "\npcrs = {\"2\" = [\"" + strings.Repeat("11", 32) + "\"]}", "register 4, of what the firmware starts"},
		{`paravisors = ["11"]`, "is not 64 hexadecimal digits"},
	} {
		_, err := attestation.ParsePolicy([]byte(strings.Replace(attestation.DefaultPolicyTOML(), "[tpm]", "[tpm]\n"+c.section, 1)))
		if fault.FamilyOf(err) != fault.FamilyInput || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.section, err)
		}
	}
	// A machine without a paravisor is judged by its own measurement under such a
	// policy.
	w := newWorld(t)
	w.set("[tpm]", fmt.Sprintf("[tpm]\nparavisors = [\"%s\"]\npcrs = {\"2\" = [\"%[1]s\"], \"4\" = [\"%[1]s\"]}", strings.Repeat("11", 32)))
	if _, err := w.verify(); err != nil {
		t.Error(err)
	}
}

// A TPM that stands alone on hardware evidence is only worth what its paravisor
// is worth.
func TestHCLAlone(t *testing.T) {
	h := paravisor(t, newSNPWorld(t))
	h.set(`accept = [`, `accept = ["tpm", `)
	h.set("pcrs = {", "pcrs = {\"4\" = [\""+fmt.Sprintf("%x", h.tpm.PCRs[eventlog.SHA256][4])+"\"], ")
	raw, err := h.tpm.RuntimeData([64]byte{})
	if err != nil {
		t.Fatal(err)
	}
	for paravisor, want := range map[byte]attestation.Outcome{0: attestation.Pass, 1: attestation.Fail} {
		h.report.Measurement[3] = paravisor
		h.td.ReportData = sim.RuntimeReportData(raw)
		data := h.evidenceOver(h.evidence().Data, raw, nil)
		f, err := h.verifier().VerifyEvidence("", data, h.endorsements(), now)
		if err != nil {
			t.Fatal(err)
		}
		v := h.verifier().Policy().Appraise(f, attestation.Subject{At: now, EventLog: h.log.Bytes()})
		i := slices.IndexFunc(v.Checks, func(c attestation.Check) bool { return c.Rule == "tpm.paravisor" })
		if i < 0 || v.Checks[i].Outcome != want || v.Accepted != (want == attestation.Pass) {
			t.Errorf("paravisor %d: %v", paravisor, v.Err())
		}
		// With claims, the quotes must answer them.
		v = h.verifier().Policy().Appraise(f, attestation.Subject{At: now, Claims: h.claims, EventLog: h.log.Bytes()})
		if slices.ContainsFunc(v.Checks, func(c attestation.Check) bool { return c.Rule == "binding.claims" && c.Outcome != attestation.Pass }) {
			t.Errorf("claims that the quotes answer: %v", v.Err())
		}
		other := *h.claims
		other.Epoch++
		claimsDigest(t, &other)
		checkRule(t, h.verifier().Policy().Appraise(f, attestation.Subject{At: now, Claims: &other}), "binding.claims", "")
	}
}

// unsafe_host_tpm is about TPMs that an authority certified; keys of development
// count because the policy names them, and only those.
func TestWhoVouches(t *testing.T) {
	w := newTPMWorld(t)
	key := fmt.Sprintf("unsafe_development_keys = [\"%x\"]", sha256.Sum256(w.tpm.Public))
	w.options(key, w.vendor.RootFingerprint())
	w.item = func(e *tpm.Evidence) { e.Certificates = nil }
	if _, err := w.verify(); err != nil {
		t.Errorf("a key that the policy names: %v", err)
	}
	f, err := w.verifier().VerifyEvidence("", w.evidence([32]byte{1}), nil, now)
	if err != nil {
		t.Fatal(err)
	}
	// Judged by a policy that does not name it.
	w.options("unsafe_host_tpm = true", w.vendor.RootFingerprint())
	v := w.verifier().Policy().Appraise(f, attestation.Subject{At: now})
	checkRule(t, v, "tpm.confidential", "nobody")
	checkRule(t, v, "tpm.development", "key ")

	w = newTPMWorld(t)
	w.options("", w.vendor.RootFingerprint())
	_, err = w.verify()
	checkRule(t, attestation.VerdictOf(err), "tpm.confidential", "an authority says")
	w = newTPMWorld(t)
	if v, err := w.verify(); err != nil || v.Verdict().Facts.TPM.Certificate == nil || v.Verdict().Facts.TPM.Certificate.Checked != 2 || v.Verdict().Facts.TPM.Public == "" {
		t.Errorf("a certified TPM: %v", err)
	}
}
