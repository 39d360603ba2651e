package device

import (
	"context"
	"fmt"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/nvidia"
)

// GPUs is the driver of all GPUs of this machine. Implementations are safe for
// concurrent use. What they return is the driver's word, which counts as much as
// the measured guest that it is part of; what the devices sign is in
// [GPU].Evidence.
type GPUs interface {
	// Mode returns the confidential mode that the driver found the GPUs in.
	Mode(ctx context.Context) (GPUMode, error)
	// List returns every GPU, and every switch that can be asked for evidence, in
	// a stable order. A device that can't be read is an error: none is left out.
	List(ctx context.Context) ([]GPU, error)
	// Ready reports whether the GPUs accept work. In confidential mode they do
	// only after SetReady.
	Ready(ctx context.Context) (bool, error)
	// SetReady lets the GPUs accept work, or stops it. It fails when they are not
	// in confidential mode.
	SetReady(ctx context.Context, ready bool) error
	// Close gives the driver back. Nothing may be called after it.
	Close() error
}

// GPU is one GPU or switch.
type GPU interface {
	// Info says which device it is.
	Info() GPUInfo
	// Evidence has the device sign a report over nonce, and returns it with the
	// certificates of the device's key. Nothing of it is verified. Errors name the
	// device.
	Evidence(ctx context.Context, nonce [32]byte) (*nvidia.Evidence, error)
}

// GPUInfo is what the driver says about a device. It serves people: nothing is
// decided by it, since evidence says the same, signed.
type GPUInfo struct {
	UUID   string
	Name   string
	Driver string
	VBIOS  string
}

// String names the device in errors and logs.
func (i GPUInfo) String() string { return fmt.Sprintf("%s (%s)", i.UUID, i.Name) }

// Environments of a confidential mode, as NVML names them
// (NVML_CC_SYSTEM_ENVIRONMENT_*).
const (
	EnvironmentUnavailable = "unavailable"
	EnvironmentSimulation  = "simulation" // NVIDIA's own development devices
	EnvironmentProduction  = "production"
)

// GPUMode is the confidential mode of the GPUs of a machine: the driver has one
// for all of them.
type GPUMode struct {
	Confidential bool   // the feature is on
	DevTools     bool   // profilers and debuggers may look inside
	Environment  string // one of the Environment constants, or another word of the driver
	ProtectedPCI bool   // a whole board with its switches: PPCIE
}

// String describes the mode.
func (m GPUMode) String() string {
	s := "confidential mode off"
	switch {
	case m.Confidential && m.ProtectedPCI:
		s = "confidential mode on (protected PCIe)"
	case m.Confidential:
		s = "confidential mode on"
	}
	if m.DevTools {
		s += ", developer tools on"
	}
	return s + ", environment " + m.Environment
}

// Check returns an [*attestation.RefusedError] unless prompts are safe in this
// mode as far as the driver can tell.
func (m GPUMode) Check() error {
	switch {
	case !m.Confidential:
		return attestation.Refused("%v: the host has to switch it on with NVIDIA's tools before the machine starts", m)
	case m.DevTools:
		return attestation.Refused("%v: debuggers can read the GPU's memory", m)
	case m.Environment != EnvironmentProduction:
		return attestation.Refused("%v: want %s", m, EnvironmentProduction)
	}
	return nil
}
