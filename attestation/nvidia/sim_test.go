package nvidia_test

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation/nvidia"
	"github.com/cocoon-go/cocoon/attestation/sim"
)

var nonce = [32]byte{1, 2, 3}

// vendor is one simulated NVIDIA for all tests; newVendor makes another.
var vendor = sync.OnceValue(func() *sim.NVIDIA {
	n, err := sim.NewNVIDIA(rand.NewChaCha8([32]byte{1}), sim.NVIDIAConfig{})
	if err != nil {
		panic(err)
	}
	return n
})

func newVendor(t testing.TB, cfg sim.NVIDIAConfig) *sim.NVIDIA {
	t.Helper()
	n, err := sim.NewNVIDIA(rand.NewChaCha8([32]byte{2}), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func newDevice(t testing.TB, n *sim.NVIDIA, cfg sim.NVIDIADeviceConfig) *sim.NVIDIADevice {
	t.Helper()
	d, err := n.NewDevice(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// setup is everything that one verification takes, so that a test changes one
// thing. The zero value is a good GPU.
type setup struct {
	vendor   *sim.NVIDIA
	device   sim.NVIDIADeviceConfig
	report   sim.NVIDIAReport
	evidence func(*nvidia.Evidence) // changes it before it is encoded
	options  *nvidia.Options
	nonce    *nvidia.Nonce
	at       time.Time
}

func (s setup) run(t testing.TB) (*nvidia.Facts, *sim.NVIDIADevice, error) {
	t.Helper()
	if s.vendor == nil {
		s.vendor = vendor()
	}
	d := newDevice(t, s.vendor, s.device)
	if s.report.Nonce == [32]byte{} {
		s.report.Nonce = nonce
	}
	report, err := d.Report(s.vendor, s.report)
	if err != nil {
		t.Fatal(err)
	}
	ev := evidence(t, d, report)
	if s.evidence != nil {
		s.evidence(ev)
	}
	if s.options == nil {
		s.options = &nvidia.Options{SimulatedRoots: s.vendor.Roots(), WithoutRevocationUnsafe: true, WithoutRIMUnsafe: true}
	}
	if s.nonce == nil {
		n := nvidia.WantNonce(nonce)
		s.nonce = &n
	}
	if s.at.IsZero() {
		s.at = at
	}
	f, err := nvidia.Verify(ev, *s.nonce, &nvidia.Endorsements{}, *s.options, s.at)
	if (f == nil) == (err == nil) {
		t.Fatalf("facts %v with error %v", f, err)
	}
	return f, d, err
}

// evidence joins a report and the chain of its device.
func evidence(t testing.TB, d *sim.NVIDIADevice, report []byte) *nvidia.Evidence {
	t.Helper()
	b, err := d.Evidence(report)
	if err != nil {
		t.Fatal(err)
	}
	e, err := nvidia.ParseEvidence(b)
	if err != nil {
		t.Fatal(err)
	}
	return e
}
