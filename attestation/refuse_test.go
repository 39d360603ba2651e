package attestation_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/eventlog"
	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/intel"
	"github.com/cocoon-go/cocoon/attestation/sim"
)

// refusal is one change to a good world and what must come of it: exactly the
// rules named (separated by spaces) do not pass, the error has the family and
// says a part of want. No rules mean that it is accepted.
type refusal struct {
	name   string
	edit   func(*world)
	family fault.Family
	rules  string
	want   string
}

func (c *refusal) run(t *testing.T, w *world) {
	t.Run(c.name, func(t *testing.T) {
		w.t = t
		c.edit(w)
		v, err := w.verify()
		if (v == nil) == (err == nil) {
			t.Fatalf("result %v with error %v", v, err)
		}
		if fault.FamilyOf(err) != c.family || (err != nil && !strings.Contains(err.Error(), c.want)) {
			t.Fatalf("family %d, %v; want family %d, %q", fault.FamilyOf(err), err, c.family, c.want)
		}
		if err == nil || c.rules == "" {
			return
		}
		verdict := attestation.VerdictOf(err)
		if verdict == nil || verdict.Accepted {
			t.Fatalf("verdict %+v", verdict)
		}
		var got []string
		for _, k := range verdict.Checks {
			if k.Outcome != attestation.Pass {
				got = append(got, k.Rule)
			}
		}
		if strings.Join(got, " ") != c.rules || len(verdict.Refusals) != len(got) {
			t.Errorf("rules %q, refusals %q; want %q", got, verdict.Refusals, c.rules)
		}
	})
}

func (w *world) verifier() *attestation.Verifier {
	w.t.Helper()
	p, err := attestation.ParsePolicy([]byte(w.policy))
	if err != nil {
		w.t.Fatal(err)
	}
	v, err := attestation.NewVerifier(p)
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

// set replaces a line of the policy.
func (w *world) set(from, to string) {
	w.t.Helper()
	if !strings.Contains(w.policy, from) {
		w.t.Fatalf("no %q in the policy", from)
	}
	w.policy = strings.Replace(w.policy, from, to, 1)
}

func policy(from, to string) func(*world) { return func(w *world) { w.set(from, to) } }

// ccel is a log of a boot, and its registers.
func ccel() (*sim.EventLog, [4][48]byte) {
	l := &sim.EventLog{Banks: []eventlog.Alg{eventlog.SHA384}}
	l.AddVariable(1, eventlog.EFIVariableDriverConfig, "SecureBoot", []byte{1})
	l.AddData(1, eventlog.Separator, []byte{0, 0, 0, 0})
	l.Add(2, eventlog.EFIBootServicesApp, []byte("kernel image"), []byte("path"))
	l.AddData(3, eventlog.EFIAction, []byte("Exit Boot Services Invocation"))
	var r [4][48]byte
	for i, v := range l.PCRs(eventlog.SHA384) {
		copy(r[i-1][:], v)
	}
	return l, r
}

// booted gives the TD the registers of a log.
func (w *world) booted(l *sim.EventLog, r [4][48]byte) {
	r[3] = w.td.RTMR[3]
	w.td.RTMR = r
	w.registered.Measurements = [][32]byte{attestation.MeasurementTDX(w.td.MRTD, r[0], r[1], r[2])}
	w.edit = func(b *attestation.Bundle) { b.EventLog = l.Bytes() }
}

// TestRefused: one test for each check of Verify and for each rule about TDX.
// The rules named are the only ones that do not pass, so that the test fails
// when the check is deleted.
func TestRefused(t *testing.T) {
	other, err := sim.NewIntel(seeded("other"), sim.IntelOptions{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	nonce := [32]byte(sha256.Sum256([]byte("nonce")))
	live := func(w *world) { // the bundle carries a live quote over the nonce
		w.nonce = &nonce
		w.edit = func(b *attestation.Bundle) {
			w.td.ReportData = attestation.ReportData(w.claims.Digest(), &nonce)
			i := w.evidence()
			b.Attachments = append(b.Attachments, attestation.Item{Kind: attestation.AttachLive + i.Kind, Data: i.Data})
		}
	}
	rated := func(s intel.Status) func(*world) { return func(w *world) { w.collateral.PlatformStatus = s } }
	unregistered := func(w *world) {
		w.registered = nil
		w.set("live_nonce = false", "live_nonce = false\nunsafe_unregistered = true")
		w.set(`measurements = "from registry"`, fmt.Sprintf(`measurements = ["%x"]`, attestation.MeasurementTDX(w.td.MRTD, w.td.RTMR[0], w.td.RTMR[1], w.td.RTMR[2])))
		w.set(`models = "from registry"`, fmt.Sprintf(`models = ["%x"]`, w.claims.Body.Models[0].Digest))
	}
	for _, c := range []refusal{
		// Authenticity.
		{"simulated root not named", func(w *world) { w.policy = attestation.DefaultPolicyTOML() }, fault.FamilyFalse, "evidence.authentic", "neither Intel's nor a simulated root"},
		{"wrong root", func(w *world) {
			w.policy = attestation.PolicyTOML(attestation.PolicyOptions{SimulatedRoots: [][32]byte{other.RootFingerprint()}})
		}, fault.FamilyFalse, "evidence.authentic", "neither Intel's nor"},
		{"endorsements of another platform", func(w *world) {
			j, err := other.Endorsements(sim.Collateral{At: now})
			if err != nil {
				t.Fatal(err)
			}
			w.endorse = func(e *attestation.Endorsements) {
				*e = *attestation.NewEndorsements()
				if err := e.AddFile("other", j); err != nil {
					t.Fatal(err)
				}
			}
		}, fault.FamilyFalse, "evidence.authentic", "another root"},
		{"no endorsements", func(w *world) { w.endorse = func(e *attestation.Endorsements) { *e = *attestation.NewEndorsements() } },
			fault.FamilyUnknown, "evidence.authentic", "tdx/certification/v4/tcb?fmspc=514d00000000"},
		{"expired endorsements", func(w *world) { w.collateral.Valid = -time.Minute }, fault.FamilyUnknown, "evidence.authentic", "expired at"},
		{"endorsements of the future", func(w *world) { w.collateral.Issued = -time.Minute }, fault.FamilyUnknown, "evidence.authentic", "not valid before"},
		{"revoked", func(w *world) { w.collateral.RevokePCK = true }, fault.FamilyFalse, "evidence.authentic", "PCK certificate of this platform is revoked"},
		{"wrong attestation key", func(w *world) { w.td.Edit.WrongAK = true }, fault.FamilyFalse, "evidence.authentic", "attestation key's signature"},
		{"truncated quote", func(w *world) {
			w.edit = func(b *attestation.Bundle) { b.Evidence[0].Data = b.Evidence[0].Data[:900] }
		}, fault.FamilyInput, "evidence.authentic", "ends inside"},
		{"SGX quote as TDX", func(w *world) {
			w.edit = func(b *attestation.Bundle) {
				q, err := w.platform.EnclaveQuote(sim.Enclave{})
				if err != nil {
					t.Fatal(err)
				}
				b.Evidence[0].Data = q
			}
		}, fault.FamilyInput, "evidence.authentic", `"tdx" is a sgx quote`},

		// What is in the bundle.
		{"no evidence of a machine", func(w *world) {
			w.edit = func(b *attestation.Bundle) { b.Evidence[0].Kind = "tpm" }
		}, fault.FamilyUnknown, "", "no evidence of kind tdx or snp"},
		{"two machines", func(w *world) {
			w.edit = func(b *attestation.Bundle) { b.Evidence = append(b.Evidence, b.Evidence[0]) }
		}, fault.FamilyInput, "", "evidence of two machines"},
		{"evidence that nobody verifies", func(w *world) {
			w.edit = func(b *attestation.Bundle) {
				b.Evidence = append(b.Evidence, attestation.Item{Kind: "quantum", Data: []byte{1}})
			}
		}, fault.FamilyUnknown, "evidence.authentic", `"quantum"`},
		{"changed body", func(w *world) {
			w.edit = func(b *attestation.Bundle) { b.Body = append([]byte(nil), b.Body...); b.Body[len(b.Body)-1] ^= 1 }
		}, fault.FamilyFalse, "", "not the one that the heads name"},

		// Binding to the claims.
		{"report data", func(w *world) { w.td.ReportData = [64]byte{1} }, fault.FamilyFalse, "binding.claims", "the report data names these claims"},
		{"report data with a second half", func(w *world) {
			if _, _, err := w.claims.Encode(); err != nil {
				t.Fatal(err)
			}
			w.td.ReportData = attestation.ReportData(w.claims.Digest(), &nonce)
		}, fault.FamilyFalse, "binding.nonce", "the report data has no nonce"},
		{"live nonce", live, fault.FamilyNone, "", ""},
		{"live nonce asked for and got", func(w *world) { live(w); w.set("live_nonce = false", "live_nonce = true") }, fault.FamilyNone, "", ""},
		{"live nonce not answered", func(w *world) { w.nonce = &nonce }, fault.FamilyFalse, "binding.nonce", "the nonce of this verification"},
		{"another live nonce", func(w *world) { live(w); n := nonce; n[0] ^= 1; w.nonce = &n }, fault.FamilyFalse, "binding.nonce", "the nonce of this verification"},
		{"live nonce not used", policy("live_nonce = false", "live_nonce = true"), fault.FamilyRefused, "evidence.live_nonce", "a live nonce is used"},
		{"configuration", func(w *world) { w.td.RTMR[3] = [48]byte{1} }, fault.FamilyFalse, "binding.configuration", "RTMR3"},
		{"no configuration measured", func(w *world) { w.td.RTMR[3] = [48]byte{} }, fault.FamilyFalse, "binding.configuration", "RTMR3"},
		{"configuration of others", func(w *world) { w.claims.Body.Configuration[0] ^= 1 }, fault.FamilyFalse, "binding.configuration", "RTMR3"},
		{"MRCONFIGID", func(w *world) { w.td.MRConfigID[47] = 1 }, fault.FamilyRefused, "tdx.mrconfigid", "MRCONFIGID zero"},
		{"MROWNER", func(w *world) { w.td.MROwner[47] = 1 }, fault.FamilyRefused, "tdx.mrowner", "MROWNER zero"},
		{"MROWNERCONFIG", func(w *world) { w.td.MROwnerConfig[47] = 1 }, fault.FamilyRefused, "tdx.mrownerconfig", "MROWNERCONFIG zero"},

		// What the chain says.
		{"no state of the chain", func(w *world) { w.registered = nil }, fault.FamilyUnknown, "chain.registered measurements models", "no proved state of the chain was given"},
		{"unregistered, on purpose", unregistered, fault.FamilyNone, "", ""},
		{"other claims registered", func(w *world) { w.registered.ClaimsDigest = [32]byte{1} }, fault.FamilyChain, "chain.claims", "the chain has registered these claims"},
		{"another chain", func(w *world) { w.registered.ChainID = -239 }, fault.FamilyChain, "chain.id", "expected -239, got -3"},
		{"another node", func(w *world) { w.registered.Node.Hash[0] ^= 1 }, fault.FamilyChain, "chain.node", "of this node"},
		{"an older epoch", func(w *world) { w.registered.Epoch = 8 }, fault.FamilyChain, "chain.epoch", "expected 8, got 7"},
		{"registered before its block", func(w *world) { w.registered.RegisteredAt = w.registered.BlockTime.Add(-time.Second) }, fault.FamilyChain, "chain.order", "registered after the block"},
		{"another registry for measurements", func(w *world) {
			w.set(`measurements = "from registry"`, `measurements = "from registry 0:`+strings.Repeat("11", 32)+`"`)
		}, fault.FamilyUnknown, "policy.measurements.registry", "0:1111"},
		{"another registry for models", func(w *world) {
			w.set(`models = "from registry"`, `models = "from registry 0:`+strings.Repeat("11", 32)+`"`)
		}, fault.FamilyUnknown, "policy.models.registry", "0:1111"},
		{"the registry that the policy names", func(w *world) {
			w.registered.Registry = attestation.Address{Hash: [32]byte{0x11}}
			w.policy = attestation.PolicyTOML(attestation.PolicyOptions{SimulatedRoots: [][32]byte{w.platform.RootFingerprint()}, Registry: w.registered.Registry})
		}, fault.FamilyNone, "", ""},

		// Ages.
		{"older than allowed", func(w *world) {
			w.registered.BlockTime = now.Add(-168*time.Hour - time.Second)
		}, fault.FamilyRefused, "evidence.max_age", "at most 168h0m0s, got 168h0m1s"},
		{"just young enough", func(w *world) { w.registered.BlockTime = now.Add(-168 * time.Hour) }, fault.FamilyNone, "", ""},
		{"from the future", func(w *world) {
			w.registered.BlockTime = now.Add(time.Second)
			w.registered.RegisteredAt = now.Add(time.Second)
		}, fault.FamilyFalse, "evidence.not_future", "not from the future"},
		{"old endorsements", func(w *world) { w.collateral.Issued = 721 * time.Hour }, fault.FamilyRefused, "endorsements.max_age", "at most 720h0m0s, got 721h0m0s"},
		{"evaluation", policy("min_tcb_evaluation = 0", "min_tcb_evaluation = 19"), fault.FamilyRefused, "endorsements.min_tcb_evaluation", "evaluation data number 19 or higher, got 18"},

		// Rating.
		{"stale TCB", rated(intel.OutOfDate), fault.FamilyRefused, "tcb.status", "got OutOfDate (platform OutOfDate"},
		{"configuration needed", rated(intel.ConfigurationNeeded), fault.FamilyRefused, "tcb.status", "ConfigurationNeeded"},
		{"hardening needed", rated(intel.SWHardeningNeeded), fault.FamilyNone, "", ""},
		{"revoked TCB", rated(intel.Revoked), fault.FamilyRefused, "tcb.status", "got Revoked"},
		{"old TDX module", func(w *world) { w.collateral.ModuleStatus = intel.OutOfDate }, fault.FamilyRefused, "tcb.status", "module OutOfDate"},
		{"old quoting enclave", func(w *world) { w.collateral.QEStatus = intel.OutOfDate }, fault.FamilyRefused, "tcb.status", "quoting enclave OutOfDate"},
		{"no level", func(w *world) { w.td.TEETCBSVN = [16]byte{5, 1, 0} }, fault.FamilyRefused, "tcb.status", "got NotSupported"},
		{"old TCB date", policy(`min_date = ""`, `min_date = "2025-05-15"`), fault.FamilyRefused, "tcb.min_date", "at least 2025-05-15, got 2025-05-14"},
		{"TCB date just new enough", policy(`min_date = ""`, `min_date = "2025-05-14"`), fault.FamilyNone, "", ""},
		{"denied advisory", func(w *world) {
			w.collateral.Advisories = []string{"INTEL-SA-00001", "INTEL-SA-00002"}
			w.set("denied_advisories = []", `denied_advisories = ["intel-sa-00002", "INTEL-SA-00003"]`)
		}, fault.FamilyRefused, "tcb.denied_advisories", "got intel-sa-00002"},
		{"advisories that are not denied", func(w *world) {
			w.collateral.Advisories = []string{"INTEL-SA-00001"}
			w.set("denied_advisories = []", `denied_advisories = ["INTEL-SA-00003"]`)
		}, fault.FamilyNone, "", ""},

		// The TD.
		{"debug TD", func(w *world) { w.td.Attributes = sim.TDSeptVEDisable | sim.TDDebug }, fault.FamilyRefused, "tdx.debug tdx.attributes", "debug on"},
		{"another untrusted attribute", func(w *world) { w.td.Attributes = sim.TDSeptVEDisable | 1<<4 }, fault.FamilyRefused, "tdx.debug tdx.attributes", "debug on"},
		{"page faults", func(w *world) { w.td.Plain = true }, fault.FamilyRefused, "tdx.sept_ve_disable tdx.attributes", "SEPT_VE_DISABLE off"},
		{"migratable", func(w *world) { w.td.Attributes = sim.TDSeptVEDisable | sim.TDMigratable }, fault.FamilyRefused, "tdx.attributes", "TDATTRIBUTES"},
		{"performance counters", func(w *world) { w.td.Attributes = sim.TDSeptVEDisable | sim.TDPerfmon }, fault.FamilyRefused, "tdx.attributes", "0000001000000080"},
		{"required attribute", policy(`attributes_required = "0000001000000000"`, `attributes_required = "0000005000000000"`), fault.FamilyRefused, "tdx.attributes", "TDATTRIBUTES"},
		{"XFAM bit not allowed", func(w *world) { w.td.XFAM = 0x602e7 | 1<<8 }, fault.FamilyRefused, "tdx.xfam", "XFAM"},
		{"XFAM bit missing", func(w *world) { w.td.XFAM = 1 }, fault.FamilyRefused, "tdx.xfam", "XFAM"},
		{"SEAM", policy("mrseam = []", `mrseam = ["`+strings.Repeat("11", 48)+`"]`), fault.FamilyRefused, "tdx.mrseam", "one of 1 in the policy"},
		{"SEAM that is listed", policy("mrseam = []", `mrseam = ["`+strings.Repeat("00", 48)+`"]`), fault.FamilyNone, "", ""},
		{"service TD", func(w *world) { w.td.Version, w.td.MRServiceTD = 5, [48]byte{1} }, fault.FamilyRefused, "tdx.service_td", "MRSERVICETD zero"},

		// Code, models, self-test.
		{"measurement not listed", func(w *world) { w.td.MRTD[0] ^= 1 }, fault.FamilyRefused, "measurements", "1 in the registry"},
		{"another kernel", func(w *world) { w.td.RTMR[1][0] ^= 1 }, fault.FamilyRefused, "measurements", "the code that runs is accepted"},
		{"no measurement listed", func(w *world) { w.registered.Measurements = nil }, fault.FamilyRefused, "measurements", "0 in the registry"},
		{"measurement not in the policy", policy(`measurements = "from registry"`, `measurements = ["`+strings.Repeat("11", 32)+`"]`), fault.FamilyRefused, "measurements", "1 in the policy"},
		{"model not listed", func(w *world) { w.registered.Models = [][32]byte{{1}} }, fault.FamilyRefused, "models", "the node serves an accepted model"},
		{"model not in the policy", policy(`models = "from registry"`, `models = ["`+strings.Repeat("11", 32)+`"]`), fault.FamilyRefused, "models", "1 in the policy"},
		{"self-test failed", func(w *world) { w.claims.Body.SelfTest.Passed = false }, fault.FamilyRefused, "claims.self_test", "passed its self-test"},
		{"kind not accepted", policy(`accept = ["tdx", "snp"]`, `accept = ["snp"]`), fault.FamilyRefused, "policy.accept tdx.attributes tdx.xfam", "expected snp, got tdx"},

		// Event log.
		{"event log", func(w *world) { w.booted(ccel()) }, fault.FamilyNone, "", ""},
		{"event log of another boot", func(w *world) {
			l, r := ccel()
			w.booted(l, r)
			l.Add(2, eventlog.EFIBootServicesApp, []byte("one more"), nil)
		}, fault.FamilyFalse, "tdx.event_log", "expected RTMR 1 "},
		{"event log that reaches RTMR3", func(w *world) {
			l, r := ccel()
			w.booted(l, r)
			l.AddData(4, eventlog.EventTag, []byte("foreign"))
		}, fault.FamilyFalse, "tdx.event_log", "expected RTMR 3 "},
		{"event log whose text was changed", func(w *world) {
			l, r := ccel()
			w.booted(l, r)
			l.Events[1].Data = []byte{0, 0, 0, 1}
		}, fault.FamilyFalse, "tdx.event_log", "does not have its digest"},
		{"event log that is none", func(w *world) {
			w.edit = func(b *attestation.Bundle) { b.EventLog = []byte("hello") }
		}, fault.FamilyInput, "tdx.event_log", "event log"},
	} {
		c.run(t, newWorld(t))
	}
}

// TestUnsafe: each unsafe_ option lets exactly its rule go.
func TestUnsafe(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func(*world)
	}{
		{"unsafe_debug", func(w *world) {
			w.td.Attributes = sim.TDSeptVEDisable | sim.TDDebug
			w.set(`attributes_allowed = "0000005800000000"`, "attributes_allowed = \"0100005800000000\"\nunsafe_debug = true")
		}},
		{"unsafe_sept_ve_enabled", func(w *world) {
			w.td.Plain = true
			w.set(`attributes_required = "0000001000000000"`, "attributes_required = \"0000000000000000\"\nunsafe_sept_ve_enabled = true")
		}},
		{"unsafe_service_td", func(w *world) {
			w.td.Version, w.td.MRServiceTD = 5, [48]byte{1}
			w.set("mrseam = []", "mrseam = []\nunsafe_service_td = true")
		}},
		{"unsafe_any_measurement", func(w *world) {
			w.td.MRTD[0] ^= 1
			w.set(`measurements = "from registry"`, "unsafe_any_measurement = true")
		}},
		{"unsafe_any_model", func(w *world) {
			w.registered.Models = nil
			w.set(`models = "from registry"`, "unsafe_any_model = true")
		}},
	} {
		w := newWorld(t)
		c.edit(w)
		v, err := w.verify()
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if strings.HasPrefix(c.name, "unsafe_any") && !slices.ContainsFunc(v.Verdict().NotChecked, func(s string) bool { return strings.Contains(s, c.name) }) {
			t.Errorf("%s is not among %q", c.name, v.Verdict().NotChecked)
		}
	}
}

// TestVerifyInput: what the caller forgot is bad input, never accepted.
func TestVerifyInput(t *testing.T) {
	w := newWorld(t)
	v, b := w.verifier(), w.bundle()
	for name, in := range map[string]attestation.Input{
		"no bundle": {At: now, Endorsements: w.endorsements(), Registered: w.registered},
		"no time":   {Bundle: b, Endorsements: w.endorsements(), Registered: w.registered},
	} {
		if got, err := v.Verify(in); got != nil || fault.FamilyOf(err) != fault.FamilyInput {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if v, err := attestation.NewVerifier(nil); v != nil || fault.FamilyOf(err) != fault.FamilyInput {
		t.Errorf("nil policy: %v", err)
	}
	if v, err := attestation.NewVerifier(new(attestation.Policy)); v != nil || fault.FamilyOf(err) != fault.FamilyInput {
		t.Errorf("zero policy: %v", err)
	}
}

// TestAttachedEndorsements: without endorsements of the caller, those that
// travel with the bundle are used.
func TestAttachedEndorsements(t *testing.T) {
	w := newWorld(t)
	j, err := w.platform.Endorsements(w.collateral)
	if err != nil {
		t.Fatal(err)
	}
	b := w.bundle()
	in := attestation.Input{Bundle: b, Registered: w.registered, At: now}
	if _, err := w.verifier().Verify(in); fault.FamilyOf(err) != fault.FamilyUnknown {
		t.Errorf("without endorsements: %v", err)
	}
	b.Attachments = []attestation.Item{{Kind: attestation.AttachEndorsements, Data: j}, {Kind: "other", Data: []byte{1}}}
	if _, err := w.verifier().Verify(in); err != nil {
		t.Errorf("with endorsements: %v", err)
	}
	b.Attachments[0].Data = []byte("nonsense")
	if _, err := w.verifier().Verify(in); fault.FamilyOf(err) != fault.FamilyInput {
		t.Errorf("with nonsense: %v", err)
	}
}

// TestNotAfter: a verification is good until the first thing ends on which it
// rests.
func TestNotAfter(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func(*world)
		want time.Time
	}{
		{"last key", func(*world) {}, now.Add(46 * time.Hour)},
		{"documents", func(w *world) { w.collateral.Valid = time.Hour }, now.Add(time.Hour)},
		{"age of the block", func(w *world) { w.registered.BlockTime = now.Add(-167 * time.Hour) }, now.Add(time.Hour)},
		{"age of the documents", func(w *world) { w.collateral.Issued = 719 * time.Hour }, now.Add(time.Hour)},
	} {
		w := newWorld(t)
		c.edit(w)
		v, err := w.verify()
		if err != nil || v.NotAfter() != c.want {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
			continue
		}
		if _, err := v.KeyConfig(c.want.Add(time.Second)); fault.FamilyOf(err) != fault.FamilyUnknown {
			t.Errorf("%s: key configuration after the end: %v", c.name, err)
		}
	}
}

// TestVerifiedIsClosed: changing what a Verified returned, or what it was made
// from, changes nothing in it, and its zero value is useless.
func TestVerifiedIsClosed(t *testing.T) {
	w := newWorld(t)
	v, err := w.verify()
	if err != nil {
		t.Fatal(err)
	}
	digest := v.Digest()
	c := v.Claims()
	c.Body.KeyConfigs[0].Config[0] ^= 1
	c.Body.Models[1].Digest[0] ^= 1
	c.Epoch++
	v.Models()[0].Name = "changed"
	v.Registered().Models[0][0] ^= 1
	v.Verdict().Accepted = false
	v.Verdict().Checks[0].Outcome = attestation.Fail
	v.Verdict().Facts.Advisories = append(v.Verdict().Facts.Advisories, "changed")
	w.registered.Epoch, w.claims.Epoch = 99, 99
	k, err := v.KeyConfig(now)
	if err != nil {
		t.Fatal(err)
	}
	k[0] ^= 1
	k, _ = v.KeyConfig(now)
	if string(k) != "first" || v.Claims().Epoch != 7 || v.Claims().Digest() != digest || v.Models()[0].Name != "b" || v.Registered().Epoch != 7 ||
		v.Registered().Models[0] != w.claims.Body.Models[1].Digest || !v.Verdict().Accepted || v.Verdict().Checks[0].Outcome != attestation.Pass {
		t.Error("a Verified was changed from outside")
	}
	zero := new(attestation.Verified)
	for name, f := range map[string]func(){
		"Claims": func() { zero.Claims() }, "Digest": func() { zero.Digest() }, "Verdict": func() { zero.Verdict() },
		"Simulated": func() { zero.Simulated() }, "NotAfter": func() { zero.NotAfter() }, "PlatformID": func() { zero.PlatformID() },
		"Models": func() { zero.Models() }, "Registered": func() { zero.Registered() }, "KeyConfig": func() { _, _ = zero.KeyConfig(now) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s of a zero Verified returns", name)
				}
			}()
			f()
		}()
	}
}

// TestAppraiseAlone judges a single piece of evidence: what can't be checked
// without claims and chain is listed, not passed in silence.
func TestAppraiseAlone(t *testing.T) {
	w := newWorld(t)
	v := w.verifier()
	f, err := v.VerifyEvidence("", w.evidence().Data, w.endorsements(), now)
	if err != nil {
		t.Fatal(err)
	}
	verdict := v.Policy().Appraise(f, attestation.Subject{At: now})
	if !verdict.Accepted || verdict.Err() != nil {
		t.Fatalf("%v", verdict.Err())
	}
	for _, want := range []string{"report data", "registration", "age of the evidence", "RTMR3", "measurement", "models", "side channels", "measured code"} {
		if !slices.ContainsFunc(verdict.NotChecked, func(s string) bool { return strings.Contains(s, want) }) {
			t.Errorf("%q is not among %q", want, verdict.NotChecked)
		}
	}
}

// TestAppraiseOtherPolicy: facts on a simulated root are refused by a policy
// that does not name it, whoever verified them.
func TestAppraiseOtherPolicy(t *testing.T) {
	w := newWorld(t)
	f, err := w.verifier().VerifyEvidence("", w.evidence().Data, w.endorsements(), now)
	if err != nil {
		t.Fatal(err)
	}
	p, err := attestation.ParsePolicy([]byte(attestation.DefaultPolicyTOML()))
	if err != nil {
		t.Fatal(err)
	}
	v := p.Appraise(f, attestation.Subject{At: now})
	if v.Accepted || len(v.Refusals) != 1 || !strings.Contains(v.Refusals[0], "SIMULATED sha256:") {
		t.Errorf("refusals %q", v.Refusals)
	}
}

// TestEnclave judges SGX evidence, which no bundle holds.
func TestEnclave(t *testing.T) {
	w := newWorld(t)
	good := sim.Enclave{MRENCLAVE: [32]byte{1}, MRSIGNER: [32]byte{2}}
	j, err := w.platform.EnclaveEndorsements(w.collateral)
	if err != nil {
		t.Fatal(err)
	}
	e := attestation.NewEndorsements()
	if err := e.AddFile("collateral.json", j); err != nil {
		t.Fatal(err)
	}
	w.set(`accept = ["tdx", "snp"]`, `accept = ["sgx"]`)
	w.set("mrenclave = []", `mrenclave = ["01`+strings.Repeat("00", 31)+`"]`)
	w.set("mrsigner = []", `mrsigner = ["02`+strings.Repeat("00", 31)+`"]`)
	v := w.verifier()
	for _, c := range []struct {
		edit func(*sim.Enclave)
		rule string
	}{
		{func(*sim.Enclave) {}, ""},
		{func(e *sim.Enclave) { e.OpenEnclave = true }, ""},
		{func(e *sim.Enclave) { e.Debug = true }, "sgx.debug"},
		{func(e *sim.Enclave) { e.MRENCLAVE[0]++ }, "sgx.mrenclave"},
		{func(e *sim.Enclave) { e.MRSIGNER[0]++ }, "sgx.mrsigner"},
	} {
		enclave := good
		c.edit(&enclave)
		q, err := w.platform.EnclaveQuote(enclave)
		if err != nil {
			t.Fatal(err)
		}
		f, err := v.VerifyEvidence("", q, e, now)
		if err != nil || f.Kind != attestation.KindSGX {
			t.Fatal(err)
		}
		verdict := v.Policy().Appraise(f, attestation.Subject{At: now})
		var failed []string
		for _, k := range verdict.Checks {
			if k.Outcome != attestation.Pass {
				failed = append(failed, k.Rule)
			}
		}
		if strings.Join(failed, " ") != c.rule || (verdict.Err() == nil) != (c.rule == "") {
			t.Errorf("%q failed, want %q", failed, c.rule)
		}
	}
}

// TestVerifyEvidenceInput: what is no evidence, and what can't be verified.
func TestVerifyEvidenceInput(t *testing.T) {
	w := newWorld(t)
	v := w.verifier()
	q := w.evidence().Data
	s := newSNPWorld(t)
	s.bundle()
	report := s.evidence().Data
	for _, c := range []struct {
		name, kind string
		data       []byte
		at         time.Time
		family     fault.Family
	}{
		{"text", "", []byte("hello"), now, fault.FamilyInput},
		{"nothing", "", nil, now, fault.FamilyInput},
		{"unknown kind", "quantum", q, now, fault.FamilyInput},
		{"GPU", attestation.KindNVIDIA, q, now, fault.FamilyInput},
		{"TPM", attestation.KindTPM, q, now, fault.FamilyInput},
		{"another kind", attestation.KindSGX, q, now, fault.FamilyInput},
		{"SNP that is TDX", attestation.KindSNP, q, now, fault.FamilyInput},
		{"no time", attestation.KindTDX, q, time.Time{}, fault.FamilyInput},
		{"no endorsements", attestation.KindTDX, q, now, fault.FamilyUnknown},
		{"too large", attestation.KindTDX, make([]byte, intel.MaxQuoteSize+1), now, fault.FamilyInput},
		{"too large a report", attestation.KindSNP, slices.Concat(report, make([]byte, attestation.MaxReportSize)), now, fault.FamilyInput},
	} {
		if f, err := v.VerifyEvidence(c.kind, c.data, nil, c.at); f != nil || fault.FamilyOf(err) != c.family {
			t.Errorf("%s: family %d, %v", c.name, fault.FamilyOf(err), err)
		}
	}
}

// TestConcurrent uses one verifier and one set of endorsements from many
// goroutines; run it with -race.
func TestConcurrent(t *testing.T) {
	w, s := newWorld(t), newSNPWorld(t)
	s.policy = attestation.PolicyTOML(attestation.PolicyOptions{SimulatedRoots: [][32]byte{w.platform.RootFingerprint(), s.vendor.Root()}})
	v := s.verifier()
	b, e := w.bundle(), w.endorsements()
	bad := w.bundle()
	bad.Evidence = slices.Clone(bad.Evidence)
	bad.Evidence[0].Data = slices.Clone(bad.Evidence[0].Data)
	bad.Evidence[0].Data[600] ^= 1
	sb := s.bundle()
	se := s.endorsements()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range 5 {
				got, err := v.Verify(attestation.Input{Bundle: b, Endorsements: e, Registered: w.registered, At: now})
				if err != nil || got.Claims().Digest() != b.Digest() {
					t.Errorf("%d: %v", i, err)
				}
				if _, err := v.Verify(attestation.Input{Bundle: bad, Endorsements: e, Registered: w.registered, At: now}); fault.FamilyOf(err) != fault.FamilyFalse {
					t.Errorf("%d: %v", i, err)
				}
				if _, err := v.Verify(attestation.Input{Bundle: sb, Endorsements: se, Registered: s.registered, At: now}); err != nil {
					t.Errorf("%d: %v", i, err)
				}
			}
		}()
	}
	wg.Wait()
}

// TestJoinedReasons: every reason is in the error, each in its family, and the
// most damning decides.
func TestJoinedReasons(t *testing.T) {
	w := newWorld(t)
	w.td.Attributes = sim.TDSeptVEDisable | sim.TDDebug
	w.registered.Epoch = 8
	w.td.ReportData = [64]byte{1}
	_, err := w.verify()
	var refused *attestation.RefusedError
	var chain *attestation.ChainError
	var wrong *attestation.FalseError
	if !errors.As(err, &refused) || !errors.As(err, &chain) || !errors.As(err, &wrong) || attestation.ExitCode(err) != 2 {
		t.Errorf("exit code %d, %v", attestation.ExitCode(err), err)
	}
}
