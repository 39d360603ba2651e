package attestation

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/nvidia"
)

// gpus judges GPUs and switches, each by itself. That they belong together, and
// answer the claims, is proved before.
func (a *appraisal) gpus() {
	if a.f.Kind == KindNRAS {
		return // tokens have rules of their own
	}
	g := a.p.gpu
	devices := a.f.allDevices(&a.s)
	count := 0
	for _, d := range devices {
		if !d.Kind.Switch() {
			count++
		}
	}
	if a.f.Kind == KindNVIDIA || a.s.Claims != nil {
		a.rule(count >= g.MinCount, "gpu.min_count", "there are enough GPUs", fmt.Sprintf("at least %d", g.MinCount), fmt.Sprint(count))
	} else {
		a.skip("GPUs: no claims were given that name any")
	}
	switch {
	case len(devices) == 0:
	case count == 0 && a.f.Kind == KindNVIDIA:
		err := nvidia.CheckSwitches(devices)
		a.check(err == nil, fault.FamilyOf(err), "gpu.topology", "the switches are different ones that answer one nonce", "", cmp.Or(errText(err), fmt.Sprintf("%d switches", len(devices))))
		a.skip("topology: switches alone, so nothing says which GPUs they connect")
	default:
		text, got := "GPUs and switches belong together", fmt.Sprintf("%d devices", len(devices))
		_, err := nvidia.CheckTopology(devices)
		if err != nil {
			got = err.Error()
		}
		a.check(err == nil, fault.FamilyOf(err), "gpu.topology", text, "", got)
	}
	for i, d := range devices {
		a.device(fmt.Sprintf("device %d, %s: ", i+1, d.Model), d)
	}
	if a.f.Kind == KindNVIDIA {
		a.skip("on which machine the GPUs are: no report says it")
	} else if len(devices) > 0 {
		if a.s.Nonce != nil {
			a.skip("that the GPUs answer the nonce of this verification: their reports answer the claims, which are older")
		}
		a.skip("that the GPUs are plugged into this machine: it rests on the measured code, its driver and the session between them")
	}
}

func (a *appraisal) device(name string, d *nvidia.Facts) {
	g := a.p.gpu
	if d.Kind.Switch() { // belongs to the GPUs that list it
		a.rule(len(g.Kinds) > 0 && slices.Contains(g.Features, string(nvidia.PPCIE)), "gpu.kinds", "the policy accepts switches of a protected board",
			strings.Join(g.Features, ", "), name+string(d.Kind))
	} else {
		a.rule(slices.Contains(g.Kinds, string(d.Kind)), "gpu.kinds", "the policy accepts this kind of GPU", strings.Join(g.Kinds, ", "), name+string(d.Kind))
	}
	if !d.Kind.Switch() { // switches do not say
		f := d.Report.Opaque.Feature
		a.rule(slices.Contains(g.Features, string(f)), "gpu.features", "the policy accepts the confidential mode of the GPU",
			strings.Join(g.Features, ", "), name+cmp.Or(string(f), "not reported"))
	}
	a.golden(name, d)
	if g.minDriver != nil && !d.Kind.Switch() {
		v, ok := version(d.Report.Opaque.Driver)
		a.rule(ok && slices.Compare(v, g.minDriver) >= 0, "gpu.min_driver", "the driver is recent enough", "at least "+g.MinDriver, name+d.Report.Opaque.Driver)
	}
	if d.NRAS != nil {
		a.skip("%sdocuments that are missing: NVIDIA's remote attestation service says that the device is good; how it found out is not visible", name)
	} else if !d.Revocation.Checked {
		a.skip("%srevocation: the policy does without (unsafe_without_revocation)", name)
	}
}

// golden judges the measurements of a device. What was not compared never passes:
// where the policy does without, it is listed as not checked.
func (a *appraisal) golden(name string, d *nvidia.Facts) {
	g := a.p.gpu
	differs := d.Golden != nil && len(d.Golden.Mismatches) > 0
	const text = "the measurements of the device are those that the vendor published"
	switch {
	case d.Golden.Match() || g.NRAS && d.NRAS != nil && !differs:
		a.rule(true, "gpu.golden", text, "all golden", name+goldenText(d))
	case differs && g.UnsafeMismatch:
		a.rule(true, "gpu.golden", "the policy lets measurements differ from those that the vendor published (unsafe_measurements_differ)", "", name+goldenText(d))
	case !differs && g.UnsafeWithoutRIM:
		a.skip("%spublished measurements: not compared, for documents are missing; the policy does without (unsafe_without_rim)", name)
	default:
		a.rule(false, "gpu.golden", text, "all golden", name+goldenText(d))
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
