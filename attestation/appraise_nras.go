package attestation

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/nvidia"
)

// nonceAlone compares the caller's nonce with that of evidence which stands alone
// and has a place for one. Without a nonce, nobody knows how old it is.
func (a *appraisal) nonceAlone() {
	var got [][]byte
	what := ""
	switch {
	case a.f.Tokens != nil:
		what = "the tokens"
		got = append(got, a.f.Tokens.Nonce[:])
	case a.f.Kind == KindNVIDIA:
		what = "the GPUs' reports"
		for _, d := range a.f.Devices {
			got = append(got, d.Report.RequestNonce[:])
		}
	case a.f.TPM != nil:
		what = "the TPM's quotes"
		got = append(got, a.f.TPM.ExtraData)
	case a.s.Nonce != nil:
		a.check(false, fault.FamilyUnknown, "evidence.nonce", "the evidence answers the nonce of this verification", hex.EncodeToString(a.s.Nonce[:]),
			"only claims say where in the report data of this kind a nonce is")
		return
	default:
		return
	}
	if a.s.Nonce == nil {
		a.skip("nonce of %s: nothing says what was asked, so they may be old", what)
		return
	}
	other := slices.IndexFunc(got, func(n []byte) bool { return string(n) != string(a.s.Nonce[:]) })
	text := hex.EncodeToString(got[max(other, 0)])
	a.check(other < 0, fault.FamilyFalse, "evidence.nonce", what+" answer the nonce of this verification", hex.EncodeToString(a.s.Nonce[:]), text)
}

// tokens judges tokens of NVIDIA's remote attestation service that stand alone.
func (a *appraisal) tokens() {
	t := a.f.Tokens
	if t == nil {
		return
	}
	g := a.p.gpu
	a.rule(g.NRAS, "gpu.nras", "the policy takes the word of NVIDIA's remote attestation service", "nras = true", fmt.Sprintf("nras = %v", g.NRAS))
	count := 0
	for _, d := range t.Devices {
		if !d.Switch {
			count++
		}
		a.tokenDevice(&d)
	}
	a.rule(count >= g.MinCount, "gpu.min_count", "there are enough GPUs", fmt.Sprintf("at least %d", g.MinCount), fmt.Sprint(count))
	a.skip("reports of the devices: NVIDIA's remote attestation service says that they are good; how it found out is not visible")
	a.skip("confidential mode of the GPUs, and whether devices belong together: tokens do not say")
	a.skip("on which machine the GPUs are: no token says it")
}

func (a *appraisal) tokenDevice(d *nvidia.NRASDevice) {
	g, name := a.p.gpu, fmt.Sprintf("%q, %s: ", d.Name, d.Model)
	if d.Switch {
		a.rule(len(g.Kinds) > 0 && slices.Contains(g.Features, string(nvidia.PPCIE)), "gpu.kinds", "the policy accepts switches of a protected board",
			strings.Join(g.Features, ", "), name+"switch")
	} else {
		a.rule(slices.Contains(g.Kinds, string(d.Kind())), "gpu.kinds", "the policy accepts this kind of GPU", strings.Join(g.Kinds, ", "), name+string(d.Kind()))
	}
	a.rule(d.SecureBoot && d.DebugDisabled, "gpu.secure_boot", "the service says that the device started securely and can't be debugged", "",
		fmt.Sprintf("%ssecure boot %v, debugging off %v", name, d.SecureBoot, d.DebugDisabled))
	if g.minDriver != nil && !d.Switch {
		v, ok := version(d.Driver)
		a.rule(ok && slices.Compare(v, g.minDriver) >= 0, "gpu.min_driver", "the driver is recent enough", "at least "+g.MinDriver, name+d.Driver)
	}
}

// tokenVerdicts are the devices of tokens.
func tokenVerdicts(t *nvidia.NRASFacts) (out []DeviceVerdict) {
	for _, d := range t.Devices {
		kind := d.Kind()
		if d.Switch {
			kind = nvidia.LS10
		}
		out = append(out, DeviceVerdict{Kind: string(kind), Model: d.Model, UEID: d.UEID, Driver: d.Driver, VBIOS: d.VBIOS,
			Mismatches: []string{}, NotAfter: stamp(t.NotAfter), Source: "nras"})
	}
	return out
}
