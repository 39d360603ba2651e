package attestation

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/cocoon-go/cocoon/attestation/nvidia"
)

// gpuSection is the section [gpu] of a policy file.
type gpuSection struct {
	Kinds     []string `toml:"kinds"`
	Features  []string `toml:"features"`
	MinCount  int      `toml:"min_count"`
	MinDriver string   `toml:"min_driver"`
	NRAS      bool     `toml:"nras"`

	UnsafeExpiredRIMSigners bool `toml:"unsafe_expired_rim_signers"`
	UnsafeMismatch          bool `toml:"unsafe_measurements_differ"`
	UnsafeWithoutRIM        bool `toml:"unsafe_without_rim"`
	UnsafeUnrevoked         bool `toml:"unsafe_without_revocation"`
}

// gpuPolicy is [gpuSection] as values.
type gpuPolicy struct {
	gpuSection
	minDriver []uint64
}

var (
	gpuKinds    = []string{string(nvidia.Hopper), string(nvidia.Blackwell)}
	gpuFeatures = []string{string(nvidia.SPT), string(nvidia.MPT), string(nvidia.PPCIE)}
)

// maxCount bounds min_count: more devices than claims can name.
const maxCount = MaxGPUs

func (p *Policy) buildGPU() error {
	g := &gpuPolicy{gpuSection: p.f.GPU}
	p.gpu = g
	var errs []error
	known := func(key string, list, of []string) {
		for _, x := range list {
			if !slices.Contains(of, x) {
				errs = append(errs, problem(key, "unknown name %q; known are %s", x, strings.Join(of, ", ")))
			}
		}
	}
	known("gpu.kinds", g.Kinds, gpuKinds)
	known("gpu.features", g.Features, gpuFeatures)
	if len(g.Kinds) > 0 && len(g.Features) == 0 {
		errs = append(errs, problem("gpu.features", "names no mode, so no GPU can be accepted"))
	}
	if g.MinCount < 0 || g.MinCount > maxCount {
		errs = append(errs, problem("gpu.min_count", "%d is not a number from 0 to %d", g.MinCount, maxCount))
	}
	if g.MinCount > 0 && len(g.Kinds) == 0 {
		errs = append(errs, problem("gpu.min_count", "demands GPUs, and gpu.kinds accepts none"))
	}
	if g.MinDriver != "" {
		var ok bool
		if g.minDriver, ok = version(g.MinDriver); !ok {
			errs = append(errs, problem("gpu.min_driver", "%q is not a version such as 580.95.05", g.MinDriver))
		}
	}
	return errors.Join(errs...)
}

// options are what the policy lets a verifier do without.
func (g *gpuPolicy) options(roots [][32]byte) nvidia.Options {
	return nvidia.Options{
		SimulatedRoots:          roots,
		WithoutRevocationUnsafe: g.UnsafeUnrevoked,
		WithoutRIMUnsafe:        g.UnsafeWithoutRIM,
		ExpiredRIMSignersUnsafe: g.UnsafeExpiredRIMSigners,
	}
}

// version reads numbers with dots between them.
func version(s string) (out []uint64, ok bool) {
	for _, part := range strings.Split(s, ".") {
		n, err := strconv.ParseUint(part, 10, 32)
		if err != nil {
			return nil, false
		}
		out = append(out, n)
	}
	return out, true
}

func (x *explainer) gpu() {
	g := x.p.gpu
	if len(g.Kinds) == 0 {
		x.add("gpu.kinds", "GPU: evidence of GPUs is not accepted.")
		return
	}
	x.add("gpu.kinds", "GPU: every GPU must be one of: %s.", strings.Join(g.Kinds, ", "))
	x.add("gpu.features", "GPU: its confidential mode must be one of: %s.", strings.Join(g.Features, ", "))
	x.choose(g.UnsafeMismatch, "gpu.golden", "UNSAFE: GPU: measurements may differ from those that the vendor published.",
		"GPU: all measurements of driver and VBIOS must be those that the vendor published for them.")
	x.when(g.minDriver != nil, "gpu.min_driver", "GPU: the driver must be of version %s or later.", g.MinDriver)
	x.add("gpu.min_count", "GPU: a node must have at least %d.", g.MinCount)
	x.when(g.NRAS, "gpu.golden", "GPU: where documents are missing, tokens of NVIDIA's remote attestation service may stand in for them.")
	x.when(g.UnsafeWithoutRIM, "gpu.golden", "UNSAFE: GPU: where the published measurements are missing, nothing is compared.")
	x.when(g.UnsafeUnrevoked, "gpu.revocation", "UNSAFE: GPU: a device counts without proof that it is not revoked.")
	x.when(g.UnsafeExpiredRIMSigners, "gpu.rim", "UNSAFE: GPU: the key that signed the published measurements may have expired.")
}

func (w *warner) gpu(p *Policy) {
	w.unsafe("gpu.unsafe_measurements_differ", p.gpu.UnsafeMismatch, "GPUs may run firmware that the vendor did not publish")
	w.unsafe("gpu.unsafe_without_rim", p.gpu.UnsafeWithoutRIM, "GPUs may run any firmware where published measurements are missing")
	w.unsafe("gpu.unsafe_without_revocation", p.gpu.UnsafeUnrevoked, "revoked GPUs are accepted")
	w.unsafe("gpu.unsafe_expired_rim_signers", p.gpu.UnsafeExpiredRIMSigners, "published measurements count after their signer's time")
}
