package main

import (
	"fmt"
	"os"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/nvidia"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/enclave"
	"github.com/cocoon-go/cocoon/enclave/device"
	"github.com/cocoon-go/cocoon/enclave/device/simdevice"
	"github.com/cocoon-go/cocoon/enclave/engine"
	"github.com/cocoon-go/cocoon/enclave/engine/tinylm"
	"github.com/cocoon-go/cocoon/internal/command"
)

// parts are what a boot is made of: everything that flags and configuration name,
// read, checked and opened. Nobody was asked anything yet.
type parts struct {
	config    *enclave.Config
	ton       *chain.GlobalConfig // liteservers of the host's file, trusted block of the configuration
	device    device.Device
	gpus      device.GPUs          // nil: none
	documents *nvidia.Endorsements // to judge them by
	tpm       device.TPM           // nil: none
	engine    engine.Engine
}

// open makes the parts. That flags, files or configuration are wrong is bad
// input; that hardware does not open is not.
func open(f flags) (p *parts, err error) {
	p = new(parts)
	defer func() {
		if err != nil {
			p.close()
			p = nil
		}
	}()
	if p.config, err = readConfig(f.config); err != nil {
		return p, err
	}
	if p.engine, err = openEngine(p.config); err != nil {
		return p, err
	}
	if p.device, err = openDevice(f); err != nil {
		return p, err
	}
	if p.gpus, p.documents, err = openGPUs(f, p.config, device.NoAccelerator); err != nil {
		return p, err
	}
	if p.tpm, err = openTPM(p.config); err != nil {
		return p, err
	}
	p.ton, err = readTON(f.ton, p.config)
	return p, err
}

func (p *parts) close() {
	if p.tpm != nil {
		p.tpm.Close()
	}
	if p.gpus != nil {
		p.gpus.Close()
	}
	if p.engine != nil {
		p.engine.Close()
	}
}

// maxFile bounds the files that are read at the start.
const maxFile = 1 << 20

func readConfig(path string) (*enclave.Config, error) {
	data, err := command.ReadFile(path, maxFile)
	if err != nil {
		return nil, err
	}
	cfg, err := enclave.ParseConfig(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return cfg, nil
}

// readTON uses the liteservers of the host's file, and the trusted block of the
// measured configuration: the host can't choose what proofs start from.
func readTON(path string, cfg *enclave.Config) (*chain.GlobalConfig, error) {
	data, err := command.ReadFile(path, maxFile)
	if err != nil {
		return nil, err
	}
	global, err := chain.ParseGlobalConfig(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if data, err = global.Renew(cfg.Trusted); err != nil {
		return nil, err
	}
	return chain.ParseGlobalConfig(data)
}

func openDevice(f flags) (device.Device, error) {
	if f.simulated == "" {
		return device.Open(f.device)
	}
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	dev, err := simdevice.Open(f.simulated, program)
	if err != nil {
		return nil, fmt.Errorf("--simulated: %w", err)
	}
	return dev, nil
}

// openTPM returns the TPM of the configuration, nil when it has none.
func openTPM(cfg *enclave.Config) (device.TPM, error) {
	if cfg.TPM == nil {
		return nil, nil
	}
	return device.OpenTPM(*cfg.TPM)
}

func openEngine(cfg *enclave.Config) (engine.Engine, error) {
	if cfg.Engine == "embedded" {
		return tinylm.New(tinylm.Options{Running: min(cfg.Limits.Concurrent, 4)})
	}
	c := engine.UpstreamConfig{URL: cfg.Upstream.URL, Profile: engine.Profile(cfg.Upstream.Profile)}
	var names []string
	for _, m := range cfg.Upstream.Models {
		c.Models = append(c.Models, engine.Model{Name: m.Name, Digest: m.Digest})
		names = append(names, m.Name)
	}
	c.Probes = engine.DefaultProbes(names...)
	u, err := engine.NewUpstream(c)
	if err != nil {
		return nil, attestation.BadInput("configuration: %w", err)
	}
	return u, nil
}
