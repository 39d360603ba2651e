package attestation_test

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/nvidia"
	"github.com/cocoon-go/cocoon/attestation/sim"
)

var gpuService = sync.OnceValue(func() *sim.NRAS {
	s, err := gpuVendor().NewNRAS()
	if err != nil {
		panic(err)
	}
	return s
})

// nrasWorld is a world with one GPU, for which documents are missing and tokens
// of the remote attestation service are there.
type nrasWorld struct {
	*gpuWorld
	tokens sim.NRASTokens
	claim  map[string]any // of the device's token
	keep   func(doc []byte) bool
	keys   bool
}

func newNRASWorld(t testing.TB) *nrasWorld {
	w := &nrasWorld{gpuWorld: newGPUWorld(t), keys: true, claim: map[string]any{}, keep: func([]byte) bool { return false }}
	roots := append(gpuVendor().Roots(), w.platform.RootFingerprint(), gpuService().Root())
	w.policy = strings.Replace(attestation.PolicyTOML(attestation.PolicyOptions{SimulatedRoots: roots}), "nras = false", "nras = true", 1)
	w.tokens.IssuedAt = now.Add(-time.Minute)
	return w
}

// ueid is the serial number of the device as the service writes it.
func (w *nrasWorld) ueid() string {
	ev, err := nvidia.ParseEvidence(w.evidence)
	if err != nil {
		w.t.Fatal(err)
	}
	v := nvidia.NewVerifier(nvidia.Options{SimulatedRoots: gpuVendor().Roots(), WithoutRIMUnsafe: true, WithoutRevocationUnsafe: true}, 0)
	f, err := v.Verify(ev, nvidia.AnyNonceUnsafe(), &nvidia.Endorsements{}, now)
	if err != nil {
		w.t.Fatal(err)
	}
	n, _ := new(big.Int).SetString(f.UEID, 16)
	return n.String()
}

func (w *nrasWorld) verify() (*attestation.Verified, error) {
	w.t.Helper()
	w.endorse = func(e *attestation.Endorsements) {
		docs, err := gpuDevice().Endorsements(gpuVendor(), now.Add(-time.Hour), now.Add(24*time.Hour))
		if err != nil {
			w.t.Fatal(err)
		}
		if w.tokens.Nonce == [32]byte{} {
			w.tokens.Nonce = w.report.Nonce
		}
		claim := map[string]any{"ueid": w.ueid()}
		for k, v := range w.claim {
			claim[k] = v
		}
		w.tokens.EditClaims = func(name string, c map[string]any) {
			for k, v := range claim {
				if name == "GPU-0" {
					c[k] = v
				}
			}
		}
		tokens, err := gpuService().Tokens(w.tokens)
		if err != nil {
			w.t.Fatal(err)
		}
		keys, err := gpuService().KeySet(nil)
		if err != nil {
			w.t.Fatal(err)
		}
		files := [][]byte{tokens}
		if w.keys {
			files = append(files, keys)
		}
		for _, d := range docs {
			if w.keep(d) {
				files = append(files, d)
			}
		}
		for i, f := range files {
			if err := e.AddFile(fmt.Sprint(i), f); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	return w.gpuWorld.verify()
}

func TestVerifyNRAS(t *testing.T) {
	for name, keep := range map[string]func([]byte) bool{
		"nothing":   func([]byte) bool { return false },
		"documents": nvidia.IsRIM,
		"responses": func(d []byte) bool { return !nvidia.IsRIM(d) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newNRASWorld(t)
			w.keep = keep
			v, err := w.verify()
			if err != nil {
				t.Fatal(err)
			}
			if got := v.Verdict().Facts.GPUs[0]; got.Source != "nras" {
				t.Errorf("source %q", got.Source)
			}
			if !slices.ContainsFunc(v.Verdict().NotChecked, func(s string) bool { return strings.Contains(s, "remote attestation service") }) {
				t.Errorf("not said: %q", v.Verdict().NotChecked)
			}
			if want := w.tokens.IssuedAt.Truncate(time.Second).Add(time.Hour - 1); !v.NotAfter().Equal(want) {
				t.Errorf("good until %v, want the end of the tokens, %v", v.NotAfter(), want)
			}
		})
	}
	w := newNRASWorld(t)
	w.keep = func([]byte) bool { return true }
	v, err := w.verify()
	if err != nil {
		t.Fatal(err)
	}
	if got := v.Verdict().Facts.GPUs[0]; got.Source != "report" || !got.Golden || v.NotAfter() != now.Add(24*time.Hour) {
		t.Errorf("with all documents: source %q, good until %v", got.Source, v.NotAfter())
	}
}

func TestRefusedNRAS(t *testing.T) {
	claim := func(k string, v any) func(*nrasWorld) { return func(w *nrasWorld) { w.claim[k] = v } }
	for _, c := range []struct {
		name   string
		family fault.Family
		want   string
		change func(*nrasWorld)
	}{
		{"policy does not say so", fault.FamilyUnknown, "OCSP", func(w *nrasWorld) {
			w.policy = strings.Replace(w.policy, "nras = true", "nras = false", 1)
		}},
		{"tokens over another nonce", fault.FamilyUnknown, "answers nonce", func(w *nrasWorld) { w.tokens.Nonce = [32]byte{5} }},
		{"tokens of another device", fault.FamilyUnknown, "none of this one", claim("ueid", "12345")},
		{"failed", fault.FamilyUnknown, "attestation failed", func(w *nrasWorld) { w.tokens.Failed = true }},
		{"no keys", fault.FamilyUnknown, "key", func(w *nrasWorld) { w.keys = false }},
		{"expired", fault.FamilyUnknown, "expired", func(w *nrasWorld) { w.tokens.IssuedAt = now.Add(-2 * time.Hour) }},
		{"another driver", fault.FamilyUnknown, "the report has", claim("x-nvidia-gpu-driver-version", "1.2.3")},
		{"another VBIOS", fault.FamilyUnknown, "the report has", claim("x-nvidia-gpu-vbios-version", "96.00.00.00.00")},
		{"debugged", fault.FamilyUnknown, "can't be debugged", claim("dbgstat", "enabled")},
		{"not started securely", fault.FamilyUnknown, "can't be debugged", claim("secboot", false)},
		{"authority not named", fault.FamilyUnknown, "neither an authority", func(w *nrasWorld) {
			roots := append(gpuVendor().Roots(), w.platform.RootFingerprint())
			w.policy = strings.Replace(attestation.PolicyTOML(attestation.PolicyOptions{SimulatedRoots: roots}), "nras = false", "nras = true", 1)
		}},
		{"report over another nonce", fault.FamilyFalse, "nonce", func(w *nrasWorld) { w.report.Nonce = [32]byte{1} }},
		{"measurements differ", fault.FamilyRefused, "measurement 9 of the vbios differs", func(w *nrasWorld) {
			w.keep = nvidia.IsRIM
			w.report.Measurements = map[int][]byte{9: make([]byte, 48)}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newNRASWorld(t)
			c.change(w)
			v, err := w.verify()
			if v != nil || !slices.Contains(families(err), c.family) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("families %v, %v", families(err), err)
			}
		})
	}
}

// A simulated service is shown, also where everything else is genuine.
func TestSimulatedNRAS(t *testing.T) {
	w := newNRASWorld(t)
	v, err := w.verify()
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("SIMULATED sha256:%x", gpuService().Root())
	if !slices.ContainsFunc(v.Verdict().Checks, func(c attestation.Check) bool { return c.Got == want }) {
		t.Errorf("no check says %s", want)
	}
}

func TestTokenDocuments(t *testing.T) {
	tokens, err := gpuService().Tokens(sim.NRASTokens{IssuedAt: now})
	if err != nil {
		t.Fatal(err)
	}
	e := attestation.NewEndorsements()
	for range 2 {
		if err := e.AddFile("tokens", tokens); err != nil {
			t.Fatal(err)
		}
	}
	if d := e.Documents(); len(d) != 1 || e.Len() != 1 || d[0].NotAfter != now.Add(time.Hour-1).UTC() || d[0].NotBefore != now.UTC() {
		t.Errorf("documents %+v", d)
	}
	if err := e.AddFile("x", []byte(`[["JWT",1]]`)); attestation.ExitCode(err) != 1 {
		t.Errorf("malformed tokens: %v", err)
	}
	if err := e.AddFile("x", []byte(`{"keys":[{"x5c":[]}]}`)); attestation.ExitCode(err) != 1 {
		t.Errorf("malformed keys: %v", err)
	}
}

// tokensWorld is a set of tokens that stands alone.
type tokensWorld struct {
	policy string
	tokens sim.NRASTokens
	nonce  *[32]byte
	keys   bool
	at     time.Time
}

func (w *tokensWorld) set(from, to string) { w.policy = strings.Replace(w.policy, from, to, 1) }

// claim changes a claim of the first device.
func claim(name string, value any) func(*tokensWorld) {
	return func(w *tokensWorld) {
		w.tokens.EditClaims = func(device string, c map[string]any) {
			if device == "GPU-0" {
				c[name] = value
			}
		}
	}
}

// TestTokensAlone changes one thing at a time.
func TestTokensAlone(t *testing.T) {
	other := [32]byte{2}
	for _, c := range []struct {
		name   string
		family fault.Family
		rules  string
		want   string
		change func(*tokensWorld)
	}{
		{"good", fault.FamilyNone, "", "", func(*tokensWorld) {}},
		{"another nonce", fault.FamilyFalse, "evidence.nonce", "expected 02", func(w *tokensWorld) { w.nonce = &other }},
		{"no nonce", fault.FamilyNone, "", "nonce of the tokens: nothing says what was asked", func(w *tokensWorld) { w.nonce = nil }},
		{"the policy does not take them", fault.FamilyRefused, "gpu.nras", "nras = false", func(w *tokensWorld) { w.set("nras = true", "nras = false") }},
		{"simulated", fault.FamilyFalse, "evidence.authentic", "named by the caller", func(w *tokensWorld) { w.policy = attestation.DefaultPolicyTOML() }},
		{"no keys", fault.FamilyUnknown, "evidence.authentic", "jwks.json", func(w *tokensWorld) { w.keys = false }},
		{"failed", fault.FamilyFalse, "evidence.authentic", "attestation failed", func(w *tokensWorld) { w.tokens.Failed = true }},
		{"expired", fault.FamilyUnknown, "evidence.authentic", "expired at", func(w *tokensWorld) { w.at = now.Add(2 * time.Hour) }},
		{"from the future", fault.FamilyUnknown, "evidence.authentic", "valid from", func(w *tokensWorld) { w.at = now.Add(-time.Hour) }},
		{"tokens of two nonces", fault.FamilyFalse, "evidence.authentic", "it answers nonce", func(w *tokensWorld) {
			w.nonce = nil
			claim("eat_nonce", strings.Repeat("07", 32))(w)
		}},
		{"a nonce that is none", fault.FamilyFalse, "evidence.authentic", "it answers nonce", func(w *tokensWorld) {
			w.nonce = nil
			w.tokens.EditClaims = func(_ string, c map[string]any) { c["eat_nonce"] = "07" }
		}},
		{"debugged", fault.FamilyRefused, "gpu.secure_boot", "debugging off false", claim("dbgstat", "enabled")},
		{"not started securely", fault.FamilyRefused, "gpu.secure_boot", "secure boot false", claim("secboot", false)},
		{"kind not accepted", fault.FamilyRefused, "gpu.kinds", "blackwell", func(w *tokensWorld) { w.set(`kinds = ["hopper", "blackwell"]`, `kinds = ["blackwell"]`) }},
		{"kind unknown", fault.FamilyRefused, "gpu.kinds", "GX1", claim("hwmodel", "GX1")},
		{"too few", fault.FamilyRefused, "gpu.min_count", "at least 9", func(w *tokensWorld) { w.set("min_count = 0", "min_count = 9") }},
		{"old driver", fault.FamilyRefused, "gpu.min_driver", "at least 999.1", func(w *tokensWorld) { w.set(`min_driver = ""`, `min_driver = "999.1"`) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := &tokensWorld{tokens: sim.NRASTokens{IssuedAt: now.Add(-time.Minute), Nonce: [32]byte{1}}, nonce: &[32]byte{1}, keys: true, at: now}
			w.policy = attestation.PolicyTOML(attestation.PolicyOptions{SimulatedRoots: [][32]byte{gpuService().Root()}})
			w.set("nras = false", "nras = true")
			c.change(w)
			v, err := w.judge(t)
			var got []string
			for _, k := range v.Checks {
				if k.Outcome != attestation.Pass {
					got = append(got, k.Rule)
				}
			}
			text := fmt.Sprint(err, v.NotChecked)
			if fault.FamilyOf(err) != c.family || strings.Join(got, " ") != c.rules || !strings.Contains(text, c.want) {
				t.Errorf("family %d, rules %q, %s", fault.FamilyOf(err), got, text)
			}
			if err == nil && (!v.Simulated || v.Kind != attestation.KindNRAS || len(v.Facts.GPUs) == 0 || v.Facts.GPUs[0].Source != "nras" || v.Facts.GPUs[0].Golden) {
				t.Errorf("verdict %+v", v)
			}
			for _, s := range []string{"how it found out is not visible", "whether devices belong together", "on which machine"} {
				if err == nil && !strings.Contains(text, s) {
					t.Errorf("%q is not among what was not checked", s)
				}
			}
		})
	}
}

func (w *tokensWorld) judge(t *testing.T) (*attestation.Verdict, error) {
	t.Helper()
	tokens, err := gpuService().Tokens(w.tokens)
	if err != nil {
		t.Fatal(err)
	}
	e := attestation.NewEndorsements()
	if w.keys {
		set, err := gpuService().KeySet(nil)
		if err == nil {
			err = e.AddFile("keys", set)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	v := (&world{t: t, policy: w.policy}).verifier()
	f, err := v.VerifyEvidence("", tokens, e, w.at)
	if err != nil {
		return attestation.FailedVerdict(attestation.DetectKind(tokens), w.at, err), err
	}
	verdict := v.Policy().Appraise(f, attestation.Subject{At: w.at, Nonce: w.nonce})
	return verdict, verdict.Err()
}

// Nonces of other evidence that stands alone.
func TestNonceAlone(t *testing.T) {
	g := newGPUWorld(t)
	g.mint()
	gpu, err := g.verifier().VerifyEvidence("", g.evidence, g.endorsements(), now)
	if err != nil {
		t.Fatal(err)
	}
	m := newTPMWorld(t)
	e := attestation.NewEndorsements()
	m.documents(e)
	module, err := m.verifier().VerifyEvidence("", m.evidence([32]byte{5}), e, now)
	if err != nil {
		t.Fatal(err)
	}
	td := newWorld(t)
	quote, err := td.verifier().VerifyEvidence("", td.evidence().Data, td.endorsements(), now)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		p     *attestation.Policy
		f     *attestation.Facts
		nonce [32]byte
		want  attestation.Outcome
	}{
		{"GPU", g.verifier().Policy(), gpu, g.report.Nonce, attestation.Pass},
		{"GPU, another", g.verifier().Policy(), gpu, [32]byte{9}, attestation.Fail},
		{"TPM", m.verifier().Policy(), module, [32]byte{5}, attestation.Pass},
		{"TPM, another", m.verifier().Policy(), module, [32]byte{9}, attestation.Fail},
		{"quote", td.verifier().Policy(), quote, [32]byte{}, attestation.NotSure},
	} {
		v := c.p.Appraise(c.f, attestation.Subject{At: now, Nonce: &c.nonce})
		i := slices.IndexFunc(v.Checks, func(k attestation.Check) bool { return k.Rule == "evidence.nonce" })
		if i < 0 || v.Checks[i].Outcome != c.want {
			t.Errorf("%s: %+v", c.name, v.Checks)
		}
	}
}
