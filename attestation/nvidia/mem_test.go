package nvidia_test

import (
	"runtime"
	"testing"

	"github.com/cocoon-go/cocoon/attestation/nvidia"
	"github.com/cocoon-go/cocoon/attestation/sim"
)

// TestMemory bounds what a verifier keeps of a device.
func TestMemory(t *testing.T) {
	o := nvidia.Options{SimulatedRoots: vendor().Roots(), WithoutRevocationUnsafe: true, WithoutRIMUnsafe: true}
	v := nvidia.NewVerifier(o, 0)
	const n = 200
	var list []*nvidia.Evidence
	for range n {
		d := newDevice(t, vendor(), sim.NVIDIADeviceConfig{})
		report, err := d.Report(vendor(), sim.NVIDIAReport{Nonce: nonce})
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, evidence(t, d, report))
	}
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	for _, ev := range list {
		if _, err := v.Verify(ev, nvidia.WantNonce(nonce), &nvidia.Endorsements{}, at); err != nil {
			t.Fatal(err)
		}
	}
	per := (int64(heap()) - int64(before)) / n
	t.Logf("%d bytes a device", per)
	if per > 6<<10 {
		t.Errorf("%d bytes a device", per)
	}
	runtime.KeepAlive(v)
	runtime.KeepAlive(list)
}
