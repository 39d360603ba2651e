//go:build nvml && cgo

package device

import (
	"bytes"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/nvidia"
	"github.com/cocoon-go/cocoon/attestation/sim"
)

// driver is what a library of NVIDIA answers; a test changes one thing.
type driver struct {
	state    nvml.ConfComputeSystemState
	multi    uint32
	devTools uint32      // as the newer query says
	settings nvml.Return // of the newer query
	count    int
	uuids    []string
	fail     map[string]nvml.Return // by the call's name
	ready    uint32
	report   func(*nvml.ConfComputeGpuAttestationReport)
	chain    func(*nvml.ConfComputeGpuCertificate)

	vendor *sim.NVIDIA
	device *sim.NVIDIADevice
}

func newDriver(t *testing.T) *driver {
	t.Helper()
	v, err := sim.NewNVIDIA(nil, sim.NVIDIAConfig{})
	if err != nil {
		t.Fatal(err)
	}
	d, err := v.NewDevice(sim.NVIDIADeviceConfig{})
	if err != nil {
		t.Fatal(err)
	}
	return &driver{
		state: nvml.ConfComputeSystemState{Environment: nvml.CC_SYSTEM_ENVIRONMENT_PROD, CcFeature: nvml.CC_SYSTEM_FEATURE_ENABLED},
		count: 2, uuids: []string{"GPU-b", "GPU-a"}, vendor: v, device: d,
	}
}

// gpus returns the GPUs of the driver, as OpenGPUs does.
func (d *driver) gpus(t *testing.T) *nvmlGPUs {
	return &nvmlGPUs{settings: true, lib: &mock.Interface{
		SystemGetConfComputeStateFunc: func() (nvml.ConfComputeSystemState, nvml.Return) { return d.state, d.fail["state"] },
		SystemGetConfComputeSettingsFunc: func() (nvml.SystemConfComputeSettings, nvml.Return) {
			return nvml.SystemConfComputeSettings{DevToolsMode: d.devTools, MultiGpuMode: d.multi}, d.settings
		},
		SystemGetConfComputeGpusReadyStateFunc: func() (uint32, nvml.Return) { return d.ready, d.fail["ready"] },
		SystemSetConfComputeGpusReadyStateFunc: func(v uint32) nvml.Return {
			if d.fail["set"] == nvml.SUCCESS {
				d.ready = v
			}
			return d.fail["set"]
		},
		SystemGetDriverVersionFunc: func() (string, nvml.Return) { return "590.48.01", d.fail["driver"] },
		DeviceGetCountFunc:         func() (int, nvml.Return) { return d.count, d.fail["count"] },
		DeviceGetHandleByIndexFunc: func(i int) (nvml.Device, nvml.Return) { return d.handle(t, i), d.fail["handle"] },
		ShutdownFunc:               func() nvml.Return { return d.fail["shutdown"] },
	}}
}

func (d *driver) handle(t *testing.T, i int) nvml.Device {
	return &mock.Device{
		GetUUIDFunc:         func() (string, nvml.Return) { return d.uuids[i], d.fail["uuid"] },
		GetNameFunc:         func() (string, nvml.Return) { return "NVIDIA H100 80GB HBM3", d.fail["name"] },
		GetVbiosVersionFunc: func() (string, nvml.Return) { return "96.00.5E.00.01", d.fail["vbios"] },
		GetConfComputeGpuAttestationReportFunc: func(r *nvml.ConfComputeGpuAttestationReport) nvml.Return {
			b, err := d.device.Report(d.vendor, sim.NVIDIAReport{Nonce: r.Nonce})
			if err != nil {
				t.Error(err)
			}
			r.AttestationReportSize = uint32(copy(r.AttestationReport[:], b))
			if d.report != nil {
				d.report(r)
			}
			return d.fail["report"]
		},
		GetConfComputeGpuCertificateFunc: func() (c nvml.ConfComputeGpuCertificate, _ nvml.Return) {
			var b []byte
			for _, x := range d.device.Chain {
				b = append(b, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: x.Raw})...)
			}
			c.AttestationCertChainSize = uint32(copy(c.AttestationCertChain[:], append(b, 0)))
			if d.chain != nil {
				d.chain(&c)
			}
			return c, d.fail["chain"]
		},
	}
}

// The answers of a library in confidential mode become evidence that verifies.
func TestDriverEvidence(t *testing.T) {
	d := newDriver(t)
	g := d.gpus(t)
	list, err := g.List(t.Context())
	if err != nil || len(list) != 2 || list[0].Info() != (GPUInfo{"GPU-a", "NVIDIA H100 80GB HBM3", "590.48.01", "96.00.5E.00.01"}) {
		t.Fatalf("%v, %v", list, err)
	}
	nonce := [32]byte{5}
	ev, err := list[0].Evidence(t.Context(), nonce)
	if err != nil {
		t.Fatal(err)
	}
	o := nvidia.Options{SimulatedRoots: d.vendor.Roots(), WithoutRIMUnsafe: true, WithoutRevocationUnsafe: true}
	if _, err := nvidia.Verify(ev, nvidia.WantNonce(nonce), &nvidia.Endorsements{}, o, time.Now()); err != nil {
		t.Error(err)
	}
	for _, want := range []bool{true, false} {
		if err := g.SetReady(t.Context(), want); err != nil {
			t.Fatal(err)
		}
		if got, err := g.Ready(t.Context()); got != want || err != nil {
			t.Errorf("ready %t, want %t, %v", got, want, err)
		}
	}
	if err := errors.Join(g.Close(), g.Close()); err != nil {
		t.Error(err)
	}
}

func TestDriverMode(t *testing.T) {
	for _, c := range []struct {
		want   GPUMode
		change func(*driver)
	}{
		{GPUMode{Confidential: true, Environment: EnvironmentProduction}, func(*driver) {}},
		{GPUMode{Environment: EnvironmentProduction}, func(d *driver) { d.state.CcFeature = nvml.CC_SYSTEM_FEATURE_DISABLED }},
		{GPUMode{Environment: EnvironmentProduction}, func(d *driver) { d.state.CcFeature = 7 }},
		{GPUMode{Confidential: true, DevTools: true, Environment: EnvironmentProduction}, func(d *driver) { d.state.DevToolsMode = nvml.CC_SYSTEM_DEVTOOLS_MODE_ON }},
		{GPUMode{Confidential: true, DevTools: true, Environment: EnvironmentProduction}, func(d *driver) { d.devTools = nvml.CC_SYSTEM_DEVTOOLS_MODE_ON }},
		{GPUMode{Confidential: true, Environment: EnvironmentSimulation}, func(d *driver) { d.state.Environment = nvml.CC_SYSTEM_ENVIRONMENT_SIM }},
		{GPUMode{Environment: EnvironmentUnavailable}, func(d *driver) { d.state = nvml.ConfComputeSystemState{} }},
		{GPUMode{Confidential: true, Environment: "9, which is not known here"}, func(d *driver) { d.state.Environment = 9 }},
		{GPUMode{Confidential: true, ProtectedPCI: true, Environment: EnvironmentProduction}, func(d *driver) {
			d.state.CcFeature, d.multi = nvml.CC_SYSTEM_FEATURE_DISABLED, nvml.CC_SYSTEM_MULTIGPU_PROTECTED_PCIE
		}},
		{GPUMode{Confidential: true, Environment: EnvironmentProduction}, func(d *driver) {
			d.multi, d.settings = nvml.CC_SYSTEM_MULTIGPU_PROTECTED_PCIE, nvml.ERROR_NOT_SUPPORTED
		}},
	} {
		d := newDriver(t)
		c.change(d)
		if m, err := d.gpus(t).Mode(t.Context()); m != c.want || err != nil {
			t.Errorf("%+v, %v, want %+v", m, err, c.want)
		}
	}
	off := newDriver(t)
	off.state.CcFeature = nvml.CC_SYSTEM_FEATURE_DISABLED
	var refused *attestation.RefusedError
	if err := off.gpus(t).SetReady(t.Context(), true); off.ready != 0 || !errors.As(err, &refused) {
		t.Errorf("ready %d without confidential mode, %v", off.ready, err)
	}
	d := newDriver(t)
	d.settings = nvml.ERROR_ARGUMENT_VERSION_MISMATCH
	var unknown *attestation.UnknownError
	if m, err := d.gpus(t).Mode(t.Context()); m != (GPUMode{}) || !errors.As(err, &unknown) {
		t.Errorf("%+v, %v", m, err)
	}
}

// Whatever the library fails at is an error that says what, and with which code;
// no device is left out, and nothing is made up.
func TestDriverFails(t *testing.T) {
	for _, c := range []struct {
		what, want string
		change     func(*driver)
	}{
		{"state", "confidential mode of the GPUs", nil},
		{"driver", "driver version", nil},
		{"count", "counting", nil},
		{"handle", "GPU 0: ", nil},
		{"uuid", "its UUID", nil},
		{"name", "its name", nil},
		{"vbios", "its VBIOS version", nil},
		{"report", "GPU GPU-a (NVIDIA H100 80GB HBM3), confidential mode on, environment production: its attestation report", nil},
		{"chain", "GPU GPU-a (NVIDIA H100 80GB HBM3), confidential mode on, environment production: its certificates", nil},
		{"", "returns 0 bytes", func(d *driver) {
			d.report = func(r *nvml.ConfComputeGpuAttestationReport) { r.AttestationReportSize = 0 }
		}},
		{"", "returns 8193 bytes", func(d *driver) {
			d.report = func(r *nvml.ConfComputeGpuAttestationReport) { r.AttestationReportSize = 8193 }
		}},
		{"", "returns 5121 bytes", func(d *driver) {
			d.chain = func(r *nvml.ConfComputeGpuCertificate) { r.AttestationCertChainSize = 5121 }
		}},
		{"", "not in PEM form", func(d *driver) {
			d.chain = func(r *nvml.ConfComputeGpuCertificate) {
				copy(r.AttestationCertChain[:], bytes.Repeat([]byte("x"), 5120))
			}
		}},
		{"", "confidential mode off", func(d *driver) { d.state.CcFeature = 0 }},
		{"set", "only root may", nil},
		{"ready", "ready state of the GPUs", nil},
	} {
		d := newDriver(t)
		if c.change != nil {
			c.change(d)
		} else {
			d.fail = map[string]nvml.Return{c.what: nvml.ERROR_UNKNOWN}
		}
		g := d.gpus(t)
		err := drive(t, g)
		if err == nil || !strings.Contains(err.Error(), c.want) || c.what != "" && !strings.Contains(err.Error(), "NVML code 999") {
			t.Errorf("%s: %v, want %q", c.what, err, c.want)
		}
		if d.ready != 0 && c.what != "ready" {
			t.Errorf("%s: the GPUs are ready", c.want)
		}
	}
}

// drive does what a boot does, up to the first error.
func drive(t *testing.T, g *nvmlGPUs) error {
	list, err := g.List(t.Context())
	if err != nil {
		return err
	}
	for _, d := range list {
		if ev, err := d.Evidence(t.Context(), [32]byte{1}); err != nil {
			if ev != nil {
				t.Error("evidence with an error")
			}
			return err
		}
	}
	if err := g.SetReady(t.Context(), true); err != nil {
		return err
	}
	_, err = g.Ready(t.Context())
	return err
}
