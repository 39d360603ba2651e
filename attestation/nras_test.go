package attestation_test

import (
	"errors"
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

func TestTokensAlone(t *testing.T) {
	tokens, err := gpuService().Tokens(sim.NRASTokens{IssuedAt: now})
	if err != nil {
		t.Fatal(err)
	}
	var unknown *attestation.UnknownError
	if _, err := newGPUWorld(t).verifier().VerifyEvidence("", tokens, nil, now); !errors.As(err, &unknown) || !strings.Contains(err.Error(), "nonce") {
		t.Errorf("%v", err)
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
