package sim_test

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/cocoon-go/cocoon/attestation/nvidia"
	"github.com/cocoon-go/cocoon/attestation/sim"
)

func newNVIDIA(t testing.TB, seed byte) *sim.NVIDIA {
	t.Helper()
	n, err := sim.NewNVIDIA(rand.NewChaCha8([32]byte{seed}), sim.NVIDIAConfig{})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestNVIDIADevices checks that simulated devices are genuine in form: the
// verifier accepts them once their root is named, and not before.
func TestNVIDIADevices(t *testing.T) {
	n := newNVIDIA(t, 1)
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	o := nvidia.Options{SimulatedRoots: n.Roots(), WithoutRevocationUnsafe: true, WithoutRIMUnsafe: true}
	for _, chip := range []string{"GH100", "GB100", "GB202", "LS_10"} {
		d, err := n.NewDevice(sim.NVIDIADeviceConfig{Chip: chip})
		if err != nil {
			t.Fatal(err)
		}
		report, err := d.Report(n, sim.NVIDIAReport{Nonce: [32]byte{7}})
		if err != nil {
			t.Fatal(err)
		}
		b, err := d.Evidence(report)
		if err != nil {
			t.Fatal(err)
		}
		evidence, err := nvidia.ParseEvidence(b)
		if err != nil {
			t.Fatal(err)
		}
		f, err := nvidia.Verify(evidence, nvidia.WantNonce([32]byte{7}), &nvidia.Endorsements{}, o, now)
		if err != nil {
			t.Fatalf("%s: %v", chip, err)
		}
		if !f.Simulated || f.Root != n.Roots()[0] || f.DeviceID != d.ID || f.FWID != d.FWID || f.Chip != chip {
			t.Errorf("%s: facts %+v", chip, f)
		}
		if _, err := nvidia.Verify(evidence, nvidia.WantNonce([32]byte{7}), &nvidia.Endorsements{}, nvidia.Options{}, now); err == nil {
			t.Errorf("%s: accepted under NVIDIA's roots", chip)
		}
	}
}

func TestNVIDIAIsReproducible(t *testing.T) {
	var last []byte
	for range 2 {
		n := newNVIDIA(t, 2)
		d, err := n.NewDevice(sim.NVIDIADeviceConfig{})
		if err != nil {
			t.Fatal(err)
		}
		report, err := d.Report(n, sim.NVIDIAReport{})
		if err != nil {
			t.Fatal(err)
		}
		rims, err := d.RIMs(n)
		if err != nil {
			t.Fatal(err)
		}
		all := bytes.Join(append(rims, report, d.Chain[0].Raw, d.Chain[3].Raw), nil)
		if last != nil && !bytes.Equal(all, last) {
			t.Error("the same randomness gives another platform")
		}
		last = all
	}
}

func TestNVIDIAOCSP(t *testing.T) {
	n := newNVIDIA(t, 3)
	d, err := n.NewDevice(sim.NVIDIADeviceConfig{})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	for _, byIssuer := range []bool{false, true} {
		b, err := n.OCSP(d.Chain[1], d.Chain[2], sim.NVIDIAOCSP{ThisUpdate: now, NextUpdate: now.AddDate(0, 0, 7), Status: ocsp.Revoked, ByIssuer: byIssuer})
		if err != nil {
			t.Fatal(err)
		}
		r, err := ocsp.ParseResponseForCert(b, d.Chain[1], d.Chain[2])
		if err != nil || r.Status != ocsp.Revoked {
			t.Errorf("by issuer %v: %v, %+v", byIssuer, err, r)
		}
	}
	if _, err := n.OCSP(d.Chain[0], d.Chain[1], sim.NVIDIAOCSP{}); err == nil {
		t.Error("a device signed an OCSP response")
	}
}
