package main

import (
	"fmt"
	"path/filepath"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/nvidia"
	"github.com/cocoon-go/cocoon/attestation/sim"
	"github.com/cocoon-go/cocoon/enclave"
	"github.com/cocoon-go/cocoon/enclave/device"
	"github.com/cocoon-go/cocoon/enclave/device/simdevice"
	"github.com/cocoon-go/cocoon/internal/command"
	"github.com/cocoon-go/cocoon/internal/endorse"
)

// openGPUs returns the GPUs of the configuration with the endorsements to judge
// them by; nothing when it has none. Then a machine whose engine is a program beside
// this one must have none.
func openGPUs(f flags, cfg *enclave.Config, none func() error) (device.GPUs, *nvidia.Endorsements, error) {
	if cfg.GPU.Count == 0 {
		if cfg.Engine == "upstream" && f.simulated == "" {
			return nil, nil, none()
		}
		return nil, nil, nil
	}
	if f.endorsements == "" {
		return nil, nil, attestation.BadInput("the configuration has GPUs: name their RIM documents and OCSP responses with --endorsements")
	}
	files, err := endorse.Load(f.endorsements)
	if err != nil {
		return nil, nil, err
	}
	documents, err := enclave.GPUEndorsements(files)
	if err != nil {
		return nil, nil, err
	}
	var gpus device.GPUs
	if f.simulated != "" {
		gpus, err = simulatedGPUs(f.simulated)
	} else {
		gpus, err = device.OpenGPUs()
	}
	if err != nil {
		return nil, nil, fmt.Errorf("the configuration has GPUs: %w", err)
	}
	return gpus, documents, nil
}

func simulatedGPUs(dir string) (device.GPUs, error) {
	data, err := command.ReadFile(filepath.Join(dir, sim.NVIDIAMachineFile), maxFile)
	if err != nil {
		return nil, fmt.Errorf("--simulated: %w", err)
	}
	m, err := sim.ParseNVIDIAMachine(data)
	if err != nil {
		return nil, err
	}
	return simdevice.NewGPUs(m), nil
}
