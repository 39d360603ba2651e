//go:build nvml && cgo

package device

import (
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/nvidia"
)

// openHere opens the driver, and skips where there is none.
func openHere(t *testing.T) GPUs {
	t.Helper()
	g, err := OpenGPUs()
	if err != nil {
		var unknown *attestation.UnknownError
		if g != nil || !errors.As(err, &unknown) || !strings.Contains(err.Error(), "libnvidia-ml.so.1") {
			t.Fatalf("OpenGPUs gives %v, %v", g, err)
		}
		t.Skipf("this machine has no NVIDIA driver: %v", err)
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	return g
}

func list(t *testing.T, g GPUs) ([]GPU, GPUMode) {
	t.Helper()
	m, err := g.Mode(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all, err := g.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Skip("the driver has no GPU")
	}
	return all, m
}

// What the driver says of the GPUs that are here, in any mode.
func TestNVMLList(t *testing.T) {
	g := openHere(t)
	all, m := list(t, g)
	t.Logf("%d GPUs, %v", len(all), m)
	seen := map[string]bool{}
	for _, d := range all {
		i := d.Info()
		t.Logf("%v, driver %s, VBIOS %s", i, i.Driver, i.VBIOS)
		if !strings.HasPrefix(i.UUID, "GPU-") || i.Name == "" || i.Driver == "" || i.VBIOS == "" || seen[i.UUID] {
			t.Errorf("%+v", i)
		}
		seen[i.UUID] = true
	}
	ready, err := g.Ready(t.Context())
	t.Logf("ready %t, %v", ready, err)
}

// Without confidential mode there is no evidence, the GPUs can't be set ready,
// and the errors say which GPU it is and in which mode.
func TestNVMLNotConfidential(t *testing.T) {
	g := openHere(t)
	all, m := list(t, g)
	if m.Confidential {
		t.Skipf("%v: TestNVMLEvidence is for this machine", m)
	}
	var refused *attestation.RefusedError
	if err := m.Check(); !errors.As(err, &refused) || !strings.Contains(err.Error(), "confidential mode off") {
		t.Errorf("the mode is accepted: %v", err)
	}
	for _, d := range all {
		ev, err := d.Evidence(t.Context(), [32]byte{1})
		t.Logf("%v", err)
		if ev != nil || !errors.As(err, &refused) || !strings.Contains(err.Error(), d.Info().UUID) || !strings.Contains(err.Error(), "confidential mode off") {
			t.Errorf("GPU %v gives evidence %t, %v", d.Info(), ev != nil, err)
		}
		// The driver itself refuses, too.
		for what, ask := range map[string]func() ([]byte, error){
			"report": func() ([]byte, error) { return d.(*nvmlGPU).report([32]byte{1}) },
			"chain":  d.(*nvmlGPU).chain,
		} {
			b, err := ask()
			t.Logf("the driver's own answer, %s: %d bytes, %v", what, len(b), err)
			if (err == nil) != (len(b) > 0) {
				t.Errorf("%s: %d bytes with %v", what, len(b), err)
			}
		}
	}
	before, errBefore := g.Ready(t.Context())
	if err := g.SetReady(t.Context(), !before); !errors.As(err, &refused) || !strings.Contains(err.Error(), "confidential mode off") {
		t.Errorf("the GPUs were set ready: %v", err)
	}
	if after, err := g.Ready(t.Context()); after != before || (err == nil) != (errBefore == nil) {
		t.Errorf("the ready state changed from %t, %v to %t, %v", before, errBefore, after, err)
	}
}

// In confidential mode every GPU answers a nonce, and its evidence has the shape
// that is verified. Nothing is changed: the GPUs are not set ready.
func TestNVMLEvidence(t *testing.T) {
	g := openHere(t)
	all, m := list(t, g)
	if !m.Confidential {
		t.Skipf("%v: TestNVMLNotConfidential is for this machine", m)
	}
	for _, d := range all {
		var nonce [32]byte
		rand.Read(nonce[:])
		ev, err := d.Evidence(t.Context(), nonce)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		r, err := nvidia.ParseReport(ev.Report)
		if err != nil || r.RequestNonce != nonce || r.Opaque.Driver != d.Info().Driver || len(ev.Chain) != 5 {
			t.Errorf("GPU %v: report %v, %d certificates", d.Info(), err, len(ev.Chain))
		}
		if _, err := nvidia.Verify(ev, nvidia.WantNonce(nonce), new(nvidia.Endorsements),
			nvidia.Options{WithoutRevocationUnsafe: true, WithoutRIMUnsafe: true}, time.Now()); err != nil {
			t.Errorf("GPU %v: %v", d.Info(), err)
		}
	}
}
