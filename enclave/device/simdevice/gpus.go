package simdevice

import (
	"context"
	"fmt"
	"sync"

	"github.com/cocoon-go/cocoon/attestation/nvidia"
	"github.com/cocoon-go/cocoon/attestation/sim"
	"github.com/cocoon-go/cocoon/enclave/device"
)

// simulatedName is in the name of every simulated GPU.
const simulatedName = "SIMULATED"

// GPUs are the simulated GPUs and switches of a machine. Their evidence is
// genuine in form, and is accepted only where the simulated roots are named.
// Safe for concurrent use.
type GPUs struct {
	devices []device.GPU
	board   bool // in mode PPCIE

	mu      sync.Mutex
	machine *sim.NVIDIAMachine // guarded by mu
	ready   bool               // guarded by mu
}

// NewGPUs returns the GPUs of a machine. Nothing else may use the machine from
// then on.
func NewGPUs(m *sim.NVIDIAMachine) *GPUs {
	g := &GPUs{machine: m, board: m.Feature == nvidia.PPCIE}
	for _, d := range m.Devices {
		g.devices = append(g.devices, &gpu{g, d, device.GPUInfo{UUID: fmt.Sprintf("GPU-%x", d.ID), Name: simulatedName + " " + d.Chip}})
	}
	return g
}

// Mode implements device.GPUs.
func (g *GPUs) Mode(ctx context.Context) (device.GPUMode, error) {
	return device.GPUMode{Confidential: true, Environment: device.EnvironmentProduction, ProtectedPCI: g.board}, ctx.Err()
}

// List implements device.GPUs.
func (g *GPUs) List(ctx context.Context) ([]device.GPU, error) {
	return append([]device.GPU(nil), g.devices...), ctx.Err()
}

// Ready implements device.GPUs.
func (g *GPUs) Ready(ctx context.Context) (bool, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.ready, ctx.Err()
}

// SetReady implements device.GPUs.
func (g *GPUs) SetReady(ctx context.Context, ready bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ready = ready
	return nil
}

// Close implements device.GPUs.
func (g *GPUs) Close() error { return nil }

type gpu struct {
	all    *GPUs
	device *sim.NVIDIADevice
	info   device.GPUInfo
}

func (d *gpu) Info() device.GPUInfo { return d.info }

// Evidence implements device.GPU.
func (d *gpu) Evidence(ctx context.Context, nonce [32]byte) (*nvidia.Evidence, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("GPU %v: %w", d.info, err)
	}
	d.all.mu.Lock()
	defer d.all.mu.Unlock()
	m := d.all.machine
	report, err := d.device.Report(m.Vendor, m.Report(nonce))
	if err != nil {
		return nil, fmt.Errorf("GPU %v: %w", d.info, err)
	}
	ev := &nvidia.Evidence{Report: report}
	for _, c := range d.device.Chain {
		ev.Chain = append(ev.Chain, c.Raw)
	}
	return ev, nil
}
