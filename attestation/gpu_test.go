package attestation_test

import (
	"crypto/sha256"
	"fmt"
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

// gpuVendor is a simulated NVIDIA with one device, made once: signing takes
// time.
var gpuVendor = sync.OnceValue(func() *sim.NVIDIA {
	n, err := sim.NewNVIDIA(seeded("gpu"), sim.NVIDIAConfig{})
	if err != nil {
		panic(err)
	}
	return n
})

var gpuDevice = sync.OnceValue(func() *sim.NVIDIADevice {
	d, err := gpuVendor().NewDevice(sim.NVIDIADeviceConfig{ID: [8]byte{1}})
	if err != nil {
		panic(err)
	}
	return d
})

// gpuWorld is a world whose enclave has one GPU.
type gpuWorld struct {
	*world
	report   sim.NVIDIAReport
	evidence []byte                    // the GPU's, once the bundle is made
	change   func(*attestation.Claims) // changes the claims after the GPU's digest is in them
}

func newGPUWorld(t testing.TB) *gpuWorld {
	w := &gpuWorld{world: newWorld(t)}
	roots := append(gpuVendor().Roots(), w.platform.RootFingerprint())
	w.policy = attestation.PolicyTOML(attestation.PolicyOptions{SimulatedRoots: roots})
	w.endorse = func(e *attestation.Endorsements) {
		docs, err := gpuDevice().Endorsements(gpuVendor(), now.Add(-time.Hour), now.Add(24*time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		for i, d := range docs {
			if err := e.AddFile(fmt.Sprint(i), d); err != nil {
				t.Fatal(err)
			}
		}
	}
	return w
}

// verify mints the GPU's evidence over the claims and verifies the bundle.
func (w *gpuWorld) verify() (*attestation.Verified, error) {
	w.t.Helper()
	w.mint()
	edit := w.edit
	w.edit = func(b *attestation.Bundle) {
		b.Evidence = append(b.Evidence, attestation.Item{Kind: attestation.KindNVIDIA, Data: w.evidence})
		if edit != nil {
			edit(b)
		}
	}
	if w.change != nil {
		w.change(w.claims)
	}
	return w.world.verify()
}

func (w *gpuWorld) mint() {
	w.t.Helper()
	nonce, err := w.claims.GPUNonce()
	if err != nil {
		w.t.Fatal(err)
	}
	if w.report.Nonce == [32]byte{} {
		w.report.Nonce = nonce
	}
	r, err := gpuDevice().Report(gpuVendor(), w.report)
	if err != nil {
		w.t.Fatal(err)
	}
	if w.evidence, err = gpuDevice().Evidence(r); err != nil {
		w.t.Fatal(err)
	}
	w.claims.Body.GPUEvidence = [][32]byte{sha256.Sum256(w.evidence)}
}

func TestVerifyGPU(t *testing.T) {
	v, err := newGPUWorld(t).verify()
	if err != nil {
		t.Fatal(err)
	}
	f := v.Verdict().Facts
	if len(f.GPUs) != 1 || !f.GPUs[0].Golden || !f.GPUs[0].NonceBound || f.GPUs[0].Kind != "hopper" || f.GPUs[0].Feature != "spt" || f.GPUs[0].Driver == "" {
		t.Errorf("GPUs in the verdict: %+v", f.GPUs)
	}
	if v.NotAfter() != now.Add(24*time.Hour) {
		t.Errorf("good until %v, want the end of the GPU's documents", v.NotAfter())
	}
}

func TestRefusedGPU(t *testing.T) {
	policy := func(old, new string) func(*gpuWorld) {
		return func(w *gpuWorld) {
			if !strings.Contains(w.policy, old) {
				w.t.Fatalf("policy without %q", old)
			}
			w.policy = strings.Replace(w.policy, old, new, 1)
		}
	}
	for _, c := range []struct {
		name   string
		family fault.Family
		want   string // in the error
		change func(*gpuWorld)
	}{
		{"not in the bundle", fault.FamilyFalse, "the claims name evidence of 1 GPUs and switches, the bundle has 0", func(w *gpuWorld) {
			w.edit = func(b *attestation.Bundle) { b.Evidence = b.Evidence[:1] }
		}},
		{"not in the claims", fault.FamilyFalse, "the claims name evidence of 0 GPUs and switches, the bundle has 1", func(w *gpuWorld) {
			w.change = func(c *attestation.Claims) { c.Body.GPUEvidence = nil }
		}},
		{"other evidence than claimed", fault.FamilyFalse, "is not what the claims name", func(w *gpuWorld) {
			w.change = func(c *attestation.Claims) { c.Body.GPUEvidence[0][0] ^= 1 }
		}},
		{"for other claims", fault.FamilyFalse, "nonce", func(w *gpuWorld) { w.report.Nonce = [32]byte{1} }},
		{"claims changed after the GPU signed", fault.FamilyFalse, "nonce", func(w *gpuWorld) {
			w.change = func(c *attestation.Claims) { c.ReceiptKey = [32]byte{9} }
		}},
		{"root not named", fault.FamilyFalse, "root", func(w *gpuWorld) {
			w.policy = attestation.PolicyTOML(attestation.PolicyOptions{SimulatedRoots: [][32]byte{w.platform.RootFingerprint()}})
		}},
		{"no documents", fault.FamilyUnknown, "OCSP", func(w *gpuWorld) { w.endorse = nil }},
		{"documents over", fault.FamilyUnknown, "OCSP", func(w *gpuWorld) { w.at = now.Add(25 * time.Hour) }},
		{"firmware not published", fault.FamilyRefused, "measurement 9 of the vbios differs", func(w *gpuWorld) {
			w.report.Measurements = map[int][]byte{9: make([]byte, 48)}
		}},
		{"kind not accepted", fault.FamilyRefused, "this kind of GPU", policy(`kinds = ["hopper", "blackwell"]`, `kinds = ["blackwell"]`)},
		{"no kind accepted", fault.FamilyRefused, "this kind of GPU", policy(`kinds = ["hopper", "blackwell"]`, `kinds = []`)},
		{"mode not accepted", fault.FamilyRefused, "confidential mode", policy(`features = ["spt", "mpt", "ppcie"]`, `features = ["ppcie"]`)},
		{"mode unknown", fault.FamilyRefused, "confidential mode", func(w *gpuWorld) { w.report.Feature = "none" }},
		{"driver too old", fault.FamilyRefused, "recent enough", policy(`min_driver = ""`, `min_driver = "590.48.2"`)},
		{"too few", fault.FamilyRefused, "enough GPUs", policy("min_count = 0", "min_count = 2")},
		{"part of a board", fault.FamilyFalse, "belong together", func(w *gpuWorld) { w.report.Feature = nvidia.PPCIE }},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newGPUWorld(t)
			c.change(w)
			v, err := w.verify()
			if v != nil || !slices.Contains(families(err), c.family) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("families %v, %v", families(err), err)
			}
		})
	}
}

// families returns the families of all errors that err joins.
func families(err error) (out []fault.Family) {
	if j, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range j.Unwrap() {
			out = append(out, families(e)...)
		}
		return out
	}
	if v, ok := err.(*attestation.VerdictError); ok {
		return families(v.Err)
	}
	return []fault.Family{fault.FamilyOf(err)}
}

// A policy that demands no GPU accepts a node without one, one that does not.
func TestMinCountGPU(t *testing.T) {
	w := newWorld(t)
	w.policy = strings.Replace(w.policy, "min_count = 0", "min_count = 1", 1)
	if v, err := w.verify(); v != nil || !strings.Contains(err.Error(), "enough GPUs") {
		t.Errorf("%v", err)
	}
}

// Evidence of a GPU that stands alone is genuine or not; what it was asked is
// not known.
func TestGPUAlone(t *testing.T) {
	w := newGPUWorld(t)
	w.mint()
	f, err := w.verifier().VerifyEvidence("", w.evidence, w.endorsements(), now)
	if err != nil {
		t.Fatal(err)
	}
	p := w.verifier().Policy()
	v := p.Appraise(f, attestation.Subject{At: now})
	if !v.Authentic || !v.Accepted || !v.Simulated || v.Kind != attestation.KindNVIDIA || len(v.Facts.GPUs) != 1 || v.Facts.GPUs[0].NonceBound ||
		!slices.ContainsFunc(v.NotChecked, func(s string) bool { return strings.Contains(s, "nonce of the GPUs' reports") }) {
		t.Errorf("%+v", v)
	}
	strict, err := attestation.ParsePolicy([]byte(attestation.DefaultPolicyTOML()))
	if err != nil {
		t.Fatal(err)
	}
	if v := strict.Appraise(f, attestation.Subject{At: now}); v.Accepted {
		t.Error("a policy that does not name the simulated roots accepts them")
	}
	w.evidence[len(w.evidence)-1] ^= 1
	if _, err := w.verifier().VerifyEvidence("", w.evidence, w.endorsements(), now); err == nil {
		t.Error("a changed root certificate is accepted")
	}
}

// What a policy may do without, and what it may not even then.
func TestUnsafeGPU(t *testing.T) {
	rimless := func(w *gpuWorld) {
		w.endorse = func(e *attestation.Endorsements) {
			docs, err := gpuDevice().Endorsements(gpuVendor(), now.Add(-time.Hour), now.Add(24*time.Hour))
			if err != nil {
				t.Fatal(err)
			}
			for i, d := range docs {
				if nvidia.IsRIM(d) {
					continue
				}
				if err := e.AddFile(fmt.Sprint(i), d); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	differs := func(w *gpuWorld) { w.report.Measurements = map[int][]byte{9: make([]byte, 48)} }
	for _, c := range []struct {
		name, option string
		change       func(*gpuWorld)
		good         bool
	}{
		{"no RIM documents", "", rimless, false},
		{"no RIM documents, allowed", "unsafe_without_rim = true", rimless, true},
		{"no revocation", "", func(w *gpuWorld) { w.endorse = nil }, false},
		{"no revocation nor RIM documents, allowed", "unsafe_without_rim = true\nunsafe_without_revocation = true", func(w *gpuWorld) { w.endorse = nil }, true},
		{"differs", "unsafe_without_rim = true", differs, false},
		{"differs, allowed", "unsafe_measurements_differ = true", differs, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newGPUWorld(t)
			w.policy = strings.Replace(w.policy, "min_count = 0", "min_count = 1\n"+c.option, 1)
			c.change(w)
			v, err := w.verify()
			if (err == nil) != c.good {
				t.Fatalf("%v", err)
			}
			if c.good && len(v.Verdict().NotChecked) < 4 {
				t.Errorf("not said what was not checked: %q", v.Verdict().NotChecked)
			}
		})
	}
}
