package enclave

import (
	"encoding/hex"
	"slices"
	"strings"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/nvidia"
)

// GPUConfig says which GPUs the machine has to have: all of them are verified
// before the engine may use one, and no others are claimed. The zero value means
// none.
type GPUConfig struct {
	Count   int            // of GPUs; switches are not counted
	Kind    nvidia.Kind    // of all GPUs
	Feature nvidia.Feature // confidential mode of all GPUs
	// SimulatedRoots are the SHA-256 of root certificates that are accepted beside
	// NVIDIA's.
	SimulatedRoots [][32]byte
}

type gpuSection struct {
	Count          int      `toml:"count"`
	Kind           string   `toml:"kind"`
	Feature        string   `toml:"feature"`
	SimulatedRoots []string `toml:"simulated_roots"`
}

var (
	gpuKinds    = []nvidia.Kind{nvidia.Hopper, nvidia.Blackwell}
	gpuFeatures = []nvidia.Feature{nvidia.SPT, nvidia.MPT, nvidia.PPCIE}
)

// parse reads the section [gpu]; a missing one means no GPUs.
func (s *gpuSection) parse(c *GPUConfig) error {
	if s == nil {
		return nil
	}
	c.Count, c.Kind, c.Feature = s.Count, nvidia.Kind(s.Kind), nvidia.Feature(s.Feature)
	switch {
	case c.Count < 1 || c.Count > attestation.MaxGPUs:
		return attestation.BadInput("configuration: gpu.count: %d, want 1 to %d; leave [gpu] out when there are none", c.Count, attestation.MaxGPUs)
	case !slices.Contains(gpuKinds, c.Kind):
		return attestation.BadInput("configuration: gpu.kind %q; hopper and blackwell are known", s.Kind)
	case !slices.Contains(gpuFeatures, c.Feature):
		return attestation.BadInput("configuration: gpu.feature %q; spt, mpt and ppcie are known", s.Feature)
	case c.Feature == nvidia.PPCIE && c.Count != nvidia.BoardGPUs:
		return attestation.BadInput("configuration: gpu.count: %d; a board in mode ppcie has %d", c.Count, nvidia.BoardGPUs)
	}
	for _, text := range s.SimulatedRoots {
		digits, ok := strings.CutPrefix(text, "sha256:")
		root, err := hex.DecodeString(digits)
		if !ok || err != nil || len(root) != 32 {
			return attestation.BadInput("configuration: gpu.simulated_roots: %q, want sha256: and 64 hexadecimal digits", text)
		}
		c.SimulatedRoots = append(c.SimulatedRoots, [32]byte(root))
	}
	return nil
}
