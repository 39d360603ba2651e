package network

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/cocoon-go/cocoon/attestation/sim"
)

// Validity of the OCSP responses about simulated GPUs. NVIDIA's own are good for
// a day; nobody renews these.
const (
	ocspSince = time.Hour
	ocspFor   = 30 * 24 * time.Hour
)

// SimulatedRoots returns the roots that a policy has to name.
func (n *Network) SimulatedRoots() [][32]byte {
	roots := [][32]byte{n.Platform.RootFingerprint()}
	if n.AMD != nil {
		roots = append(roots, n.AMD.Vendor.Root())
	}
	if n.GPUs != nil {
		roots = append(roots, n.GPUs.Vendor.Roots()...)
	}
	return roots
}

// makeGPUs makes simulated GPUs and stores them with their endorsements.
func (n *Network) makeGPUs(c sim.NVIDIAMachineConfig) (err error) {
	if c.GPUs == 0 {
		return nil
	}
	if n.GPUs, err = sim.NewNVIDIAMachine(c); err != nil {
		return err
	}
	f, err := n.GPUs.File()
	if err != nil {
		return err
	}
	if err := n.write(filepath.Join(PlatformDir, f.Name), f.Data, 0o600); err != nil {
		return err
	}
	now := time.Now()
	docs, err := n.GPUs.Endorsements(now.Add(-ocspSince), now.Add(ocspFor))
	if err != nil {
		return err
	}
	for _, f := range docs {
		if err := n.write(filepath.Join(EndorsementsDir, f.Name), f.Data, 0o644); err != nil {
			return err
		}
	}
	return n.write(EngineFile, n.GPUSection(), 0o644)
}

// GPUSection returns the section [gpu] of the configuration of an enclave that
// has the GPUs of this network (docs/spec/enclave-config.md).
func (n *Network) GPUSection() []byte {
	if n.GPUs == nil {
		return nil
	}
	gpus := 0
	for _, d := range n.GPUs.Devices {
		if !d.Switch() {
			gpus++
		}
	}
	var roots []string
	for _, r := range n.GPUs.Vendor.Roots() {
		roots = append(roots, fmt.Sprintf("%q", fmt.Sprintf("sha256:%x", r)))
	}
	return fmt.Appendf(nil, "[gpu]\ncount = %d\nkind = \"hopper\"\nfeature = %q\nsimulated_roots = [%s]\n", gpus, n.GPUs.Feature, strings.Join(roots, ", "))
}
