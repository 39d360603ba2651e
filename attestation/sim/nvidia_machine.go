package sim

import (
	"bytes"
	crand "crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/nvidia"
)

// NVIDIAMachineConfig says which GPUs a simulated machine has.
type NVIDIAMachineConfig struct {
	GPUs int // 1 to [attestation.MaxGPUs]
	// Feature is the mode of the GPUs; default: SPT for one, MPT for several. A
	// machine in PPCIE has a whole board: eight GPUs and their switches.
	Feature nvidia.Feature
}

// NVIDIAMachine is a simulated vendor with the GPUs and switches of one machine.
// All of it follows from a seed, so that processes can share it. Like the vendor,
// it is not safe for concurrent use.
type NVIDIAMachine struct {
	Vendor  *NVIDIA
	Devices []*NVIDIADevice // GPUs first, then switches
	Feature nvidia.Feature

	seed [32]byte
	gpus int
}

// NewNVIDIAMachine makes a machine with a random seed.
func NewNVIDIAMachine(c NVIDIAMachineConfig) (*NVIDIAMachine, error) {
	var seed [32]byte
	if _, err := crand.Read(seed[:]); err != nil {
		return nil, err
	}
	return nvidiaMachine(seed, c)
}

func nvidiaMachine(seed [32]byte, c NVIDIAMachineConfig) (*NVIDIAMachine, error) {
	if c.Feature == "" {
		if c.Feature = nvidia.SPT; c.GPUs > 1 {
			c.Feature = nvidia.MPT
		}
	}
	m := &NVIDIAMachine{Feature: c.Feature, seed: seed, gpus: c.GPUs}
	switches := 0
	switch {
	case c.GPUs < 1 || c.GPUs > attestation.MaxGPUs:
		return nil, attestation.BadInput("simulated GPUs: %d, want 1 to %d", c.GPUs, attestation.MaxGPUs)
	case c.Feature == nvidia.PPCIE && c.GPUs != nvidia.BoardGPUs:
		return nil, attestation.BadInput("simulated GPUs: a board in mode %s has %d, not %d", nvidia.PPCIE, nvidia.BoardGPUs, c.GPUs)
	case c.Feature == nvidia.PPCIE:
		switches = nvidia.BoardSwitches
	case c.Feature != nvidia.SPT && c.Feature != nvidia.MPT:
		return nil, attestation.BadInput("simulated GPUs: mode %q is not known", c.Feature)
	}
	var err error
	if m.Vendor, err = NewNVIDIA(rand.NewChaCha8(seed), NVIDIAConfig{}); err != nil {
		return nil, err
	}
	for i := range c.GPUs + switches {
		chip := "GH100"
		if i >= c.GPUs {
			chip = "LS_10"
		}
		d, err := m.Vendor.NewDevice(NVIDIADeviceConfig{Chip: chip})
		if err != nil {
			return nil, err
		}
		m.Devices = append(m.Devices, d)
	}
	return m, nil
}

// Report returns what a device of the machine reports for a nonce.
func (m *NVIDIAMachine) Report(nonce [32]byte) NVIDIAReport {
	r := NVIDIAReport{Nonce: nonce, Feature: m.Feature}
	crand.Read(r.ResponseNonce[:]) // the vendor's source gives every process the same
	if m.Feature != nvidia.PPCIE {
		return r
	}
	for _, d := range m.Devices {
		if d.Switch() {
			r.Switches = append(r.Switches, d.ID)
		} else {
			r.GPUs = append(r.GPUs, d.ID)
		}
	}
	return r
}

// Endorsements signs everything that the devices need, as files: RIM documents,
// and OCSP responses from one time to another.
func (m *NVIDIAMachine) Endorsements(from, to time.Time) ([]File, error) {
	var out []File
	seen := map[string]bool{}
	add := func(name string, data []byte) {
		if !seen[name] {
			seen[name] = true
			out = append(out, File{Name: name, Data: data})
		}
	}
	for i, d := range m.Devices {
		if i == 0 || d.Switch() != m.Devices[i-1].Switch() {
			docs, err := d.RIMs(m.Vendor)
			if err != nil {
				return nil, err
			}
			for j, doc := range docs {
				add(fmt.Sprintf("nvidia-%s-%d.xml", d.Chip, j), doc)
			}
		}
		for _, chain := range [][]*x509.Certificate{d.Chain[1:], m.Vendor.RIMChain()} {
			for k, c := range chain[:len(chain)-1] {
				name := fmt.Sprintf("nvidia-ocsp-%x.der", c.SerialNumber)
				if seen[name] {
					continue
				}
				der, err := m.Vendor.OCSP(c, chain[k+1], NVIDIAOCSP{ThisUpdate: from, NextUpdate: to})
				if err != nil {
					return nil, err
				}
				add(name, der)
			}
		}
	}
	return out, nil
}

// NVIDIAMachineFile is the name of the file of a stored machine. It is as secret
// as the machine's keys, which follow from it.
const NVIDIAMachineFile = "nvidia.json"

const nvidiaFormat = "cocoon/sim-nvidia/v1"

type nvidiaFile struct {
	Format  string `json:"format"`
	Warning string `json:"warning"`
	Seed    string `json:"seed"`
	GPUs    int    `json:"gpus"`
	Feature string `json:"feature"`
}

// File returns the machine as a file to keep it between processes.
func (m *NVIDIAMachine) File() (File, error) {
	data, err := json.MarshalIndent(nvidiaFile{nvidiaFormat, intelWarning, hex.EncodeToString(m.seed[:]), m.gpus, string(m.Feature)}, "", "  ")
	return File{NVIDIAMachineFile, append(data, '\n'), true}, err
}

// ParseNVIDIAMachine reads the content of [NVIDIAMachineFile].
func ParseNVIDIAMachine(data []byte) (*NVIDIAMachine, error) {
	if len(data) > maxPlatformSize {
		return nil, attestation.BadInput("simulated GPUs: %d bytes, the limit is %d", len(data), maxPlatformSize)
	}
	var f nvidiaFile
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return nil, attestation.BadInput("simulated GPUs: %v", err)
	}
	seed, err := hex.DecodeString(f.Seed)
	switch {
	case f.Format != nvidiaFormat:
		return nil, attestation.BadInput("simulated GPUs: format %q, want %q", f.Format, nvidiaFormat)
	case err != nil || len(seed) != 32:
		return nil, attestation.BadInput("simulated GPUs: the seed is not 64 hexadecimal digits") // never quoted
	case f.Feature == "":
		return nil, attestation.BadInput("simulated GPUs: no mode")
	}
	return nvidiaMachine([32]byte(seed), NVIDIAMachineConfig{GPUs: f.GPUs, Feature: nvidia.Feature(f.Feature)})
}
