package sim_test

import (
	"strings"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation/nvidia"
	"github.com/cocoon-go/cocoon/attestation/sim"
)

// A stored machine is the same machine, and its documents are all that its
// devices need.
func TestNVIDIAMachine(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		cfg     sim.NVIDIAMachineConfig
		devices int
		want    nvidia.Feature
	}{
		{sim.NVIDIAMachineConfig{GPUs: 1}, 1, nvidia.SPT},
		{sim.NVIDIAMachineConfig{GPUs: 2}, 2, nvidia.MPT},
		{sim.NVIDIAMachineConfig{GPUs: 8, Feature: nvidia.PPCIE}, 12, nvidia.PPCIE},
	} {
		m, err := sim.NewNVIDIAMachine(c.cfg)
		if err != nil {
			t.Fatal(err)
		}
		f, err := m.File()
		if err != nil || !f.Secret {
			t.Fatalf("secret %t, %v", f.Secret, err)
		}
		again, err := sim.ParseNVIDIAMachine(f.Data)
		if err != nil {
			t.Fatal(err)
		}
		if len(again.Devices) != c.devices || again.Vendor.Roots()[0] != m.Vendor.Roots()[0] || again.Feature != c.want {
			t.Errorf("%+v: %d devices, mode %s", c.cfg, len(again.Devices), again.Feature)
		}
		files, err := m.Endorsements(now.Add(-time.Hour), now.Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		e := &nvidia.Endorsements{}
		for _, f := range files {
			if err := e.Add(f.Data); err != nil {
				t.Errorf("%s: %v", f.Name, err)
			}
		}
		var all []*nvidia.Facts
		for i, d := range again.Devices {
			nonce := [32]byte{9}
			report, err := d.Report(again.Vendor, again.Report(nonce))
			if err != nil {
				t.Fatal(err)
			}
			data, err := d.Evidence(report)
			if err != nil {
				t.Fatal(err)
			}
			ev, err := nvidia.ParseEvidence(data)
			if err != nil {
				t.Fatal(err)
			}
			facts, err := nvidia.Verify(ev, nvidia.WantNonce(nonce), e, nvidia.Options{SimulatedRoots: m.Vendor.Roots()}, now)
			if err != nil {
				t.Fatalf("device %d: %v", i, err)
			}
			if !facts.Golden.Match() {
				t.Errorf("device %d: %+v", i, facts.Golden.Mismatches)
			}
			all = append(all, facts)
		}
		if _, err := nvidia.CheckTopology(all); err != nil {
			t.Error(err)
		}
	}
}

func TestNVIDIAMachineRefused(t *testing.T) {
	for _, c := range []sim.NVIDIAMachineConfig{{}, {GPUs: -1}, {GPUs: 65}, {GPUs: 4, Feature: nvidia.PPCIE}, {GPUs: 1, Feature: "fast"}} {
		if _, err := sim.NewNVIDIAMachine(c); err == nil {
			t.Errorf("%+v gives a machine", c)
		}
	}
	m, err := sim.NewNVIDIAMachine(sim.NVIDIAMachineConfig{GPUs: 1})
	if err != nil {
		t.Fatal(err)
	}
	f, err := m.File()
	if err != nil {
		t.Fatal(err)
	}
	for old, new := range map[string]string{
		"sim-nvidia/v1": "sim-nvidia/v2", `"seed": "`: `"seed": "00`, `"gpus": 1`: `"gpus": 1000`, `"feature": "spt"`: `"feature": ""`, `"gpus"`: `"cards"`,
	} {
		text := strings.Replace(string(f.Data), old, new, 1)
		if text == string(f.Data) {
			t.Fatalf("%q is not in the file", old)
		}
		if _, err := sim.ParseNVIDIAMachine([]byte(text)); err == nil {
			t.Errorf("%s: accepted", new)
		}
	}
}
