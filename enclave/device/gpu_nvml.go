//go:build nvml && cgo

package device

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/nvidia"
)

// nvmlGPUs asks NVIDIA's management library. Its calls can't be interrupted; a
// context that is over stops the next one.
//
// NVML knows GPUs only. The NVSwitches of a protected board are asked through
// another library of NVIDIA, NSCQ (libnvidia-nscq, paths
// "/{nvswitch}/config/attestation_report" and "/{nvswitch}/config/certificate"),
// for which there is no package here: on such a board the list has no switches,
// and verifying its topology says which one is missing.
type nvmlGPUs struct {
	lib      nvml.Interface
	settings bool // the library has nvmlSystemGetConfComputeSettings

	close sync.Once
	err   error // of the close
}

// needed are the functions that this file calls and old drivers lack. The
// library is linked lazily: calling one that is not there ends the process.
var needed = []string{
	"nvmlSystemGetConfComputeState", "nvmlSystemGetConfComputeGpusReadyState", "nvmlSystemSetConfComputeGpusReadyState",
	"nvmlDeviceGetConfComputeGpuAttestationReport", "nvmlDeviceGetConfComputeGpuCertificate",
}

// OpenGPUs returns the driver of this machine's NVIDIA GPUs. That there is none
// is an [*attestation.UnknownError].
func OpenGPUs() (GPUs, error) {
	lib := nvml.New()
	if r := lib.Init(); r != nvml.SUCCESS {
		return nil, attestation.Unknown("no NVIDIA driver here: starting libnvidia-ml.so.1: %w", nvmlError(r))
	}
	g := &nvmlGPUs{lib: lib}
	for _, name := range needed {
		if err := lib.Extensions().LookupSymbol(name); err != nil {
			return nil, errors.Join(attestation.Unknown("the NVIDIA driver is too old for confidential GPUs: libnvidia-ml.so.1 lacks %s", name), g.Close())
		}
	}
	g.settings = lib.Extensions().LookupSymbol("nvmlSystemGetConfComputeSettings") == nil
	return g, nil
}

// Close implements GPUs.
func (g *nvmlGPUs) Close() error {
	g.close.Do(func() {
		if r := g.lib.Shutdown(); r != nvml.SUCCESS {
			g.err = fmt.Errorf("ending NVML: %w", nvmlError(r))
		}
	})
	return g.err
}

// Mode implements GPUs.
func (g *nvmlGPUs) Mode(ctx context.Context) (GPUMode, error) {
	if err := ctx.Err(); err != nil {
		return GPUMode{}, err
	}
	s, r := g.lib.SystemGetConfComputeState()
	if r != nvml.SUCCESS {
		return GPUMode{}, attestation.Unknown("confidential mode of the GPUs: %w", nvmlError(r))
	}
	m := GPUMode{
		Confidential: s.CcFeature == nvml.CC_SYSTEM_FEATURE_ENABLED,
		DevTools:     s.DevToolsMode != nvml.CC_SYSTEM_DEVTOOLS_MODE_OFF,
		Environment:  environment(s.Environment),
	}
	if err := g.multi(&m); err != nil {
		return GPUMode{}, err
	}
	return m, nil
}

// multi reads what only newer drivers say. One that does not know it has no
// protected boards either.
func (g *nvmlGPUs) multi(m *GPUMode) error {
	if !g.settings {
		return nil
	}
	s, r := g.lib.SystemGetConfComputeSettings()
	switch r {
	case nvml.SUCCESS:
		m.ProtectedPCI = s.MultiGpuMode == nvml.CC_SYSTEM_MULTIGPU_PROTECTED_PCIE
		// A board in this mode says that the feature of single GPUs is off.
		m.Confidential = m.Confidential || m.ProtectedPCI
		m.DevTools = m.DevTools || s.DevToolsMode != nvml.CC_SYSTEM_DEVTOOLS_MODE_OFF
		return nil
	case nvml.ERROR_NOT_SUPPORTED:
		return nil
	}
	return attestation.Unknown("confidential settings of the GPUs: %w", nvmlError(r))
}

func environment(e uint32) string {
	switch e {
	case nvml.CC_SYSTEM_ENVIRONMENT_UNAVAILABLE:
		return EnvironmentUnavailable
	case nvml.CC_SYSTEM_ENVIRONMENT_SIM:
		return EnvironmentSimulation
	case nvml.CC_SYSTEM_ENVIRONMENT_PROD:
		return EnvironmentProduction
	}
	return fmt.Sprintf("%d, which is not known here", e)
}

// List implements GPUs.
func (g *nvmlGPUs) List(ctx context.Context) ([]GPU, error) {
	driver, r := g.lib.SystemGetDriverVersion()
	if r != nvml.SUCCESS {
		return nil, attestation.Unknown("driver version: %w", nvmlError(r))
	}
	n, r := g.lib.DeviceGetCount()
	if r != nvml.SUCCESS {
		return nil, attestation.Unknown("counting the GPUs: %w", nvmlError(r))
	}
	var out []GPU
	for i := range n {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		d, err := g.device(i, driver)
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	slices.SortFunc(out, func(a, b GPU) int { return strings.Compare(a.Info().UUID, b.Info().UUID) })
	return out, nil
}

func (g *nvmlGPUs) device(i int, driver string) (*nvmlGPU, error) {
	h, r := g.lib.DeviceGetHandleByIndex(i)
	if r != nvml.SUCCESS {
		return nil, attestation.Unknown("GPU %d: %w", i, nvmlError(r))
	}
	d := &nvmlGPU{all: g, handle: h, info: GPUInfo{Driver: strings.Clone(driver)}}
	for _, f := range []struct {
		what string
		ask  func() (string, nvml.Return)
		to   *string
	}{{"UUID", h.GetUUID, &d.info.UUID}, {"name", h.GetName, &d.info.Name}, {"VBIOS version", h.GetVbiosVersion, &d.info.VBIOS}} {
		if *f.to, r = f.ask(); r != nvml.SUCCESS {
			return nil, attestation.Unknown("GPU %d: its %s: %w", i, f.what, nvmlError(r))
		}
	}
	return d, nil
}

// Ready implements GPUs.
func (g *nvmlGPUs) Ready(ctx context.Context) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	v, r := g.lib.SystemGetConfComputeGpusReadyState()
	if r != nvml.SUCCESS {
		return false, attestation.Unknown("ready state of the GPUs: %w", nvmlError(r))
	}
	return v != nvml.CC_ACCEPTING_CLIENT_REQUESTS_FALSE, nil
}

// SetReady implements GPUs.
func (g *nvmlGPUs) SetReady(ctx context.Context, ready bool) error {
	m, err := g.Mode(ctx)
	if err != nil {
		return err
	}
	if !m.Confidential {
		return fmt.Errorf("ready state of the GPUs: %w", m.Check())
	}
	v := uint32(nvml.CC_ACCEPTING_CLIENT_REQUESTS_FALSE)
	if ready {
		v = nvml.CC_ACCEPTING_CLIENT_REQUESTS_TRUE
	}
	if r := g.lib.SystemSetConfComputeGpusReadyState(v); r != nvml.SUCCESS {
		return attestation.Unknown("setting the ready state of the GPUs to %t (only root may): %w", ready, nvmlError(r))
	}
	return nil
}

// nvmlGPU is one GPU.
type nvmlGPU struct {
	all    *nvmlGPUs
	handle nvml.Device
	info   GPUInfo
}

func (d *nvmlGPU) Info() GPUInfo { return d.info }

// Evidence implements GPU. Devices hand out evidence in confidential mode only.
func (d *nvmlGPU) Evidence(ctx context.Context, nonce [32]byte) (*nvidia.Evidence, error) {
	m, err := d.all.Mode(ctx)
	if err != nil {
		return nil, fmt.Errorf("GPU %v: %w", d.info, err)
	}
	if !m.Confidential {
		return nil, fmt.Errorf("GPU %v makes no evidence: %w", d.info, m.Check())
	}
	report, err := d.report(nonce)
	if err != nil {
		return nil, fmt.Errorf("GPU %v, %v: its attestation report: %w", d.info, m, err)
	}
	chain, err := d.chain()
	if err != nil {
		return nil, fmt.Errorf("GPU %v, %v: its certificates: %w", d.info, m, err)
	}
	ev, err := nvidia.NewEvidence(report, chain)
	if err != nil {
		return nil, fmt.Errorf("GPU %v, %v: %w", d.info, m, err)
	}
	return ev, nil
}

func (d *nvmlGPU) report(nonce [32]byte) ([]byte, error) {
	r := nvml.ConfComputeGpuAttestationReport{Nonce: nonce}
	if ret := d.handle.GetConfComputeGpuAttestationReport(&r); ret != nvml.SUCCESS {
		return nil, attestation.Unknown("%w", nvmlError(ret))
	}
	return cut(r.AttestationReport[:], r.AttestationReportSize)
}

// chain returns the certificates of the attestation key in PEM, its own first.
func (d *nvmlGPU) chain() ([]byte, error) {
	c, ret := d.handle.GetConfComputeGpuCertificate()
	if ret != nvml.SUCCESS {
		return nil, attestation.Unknown("%w", nvmlError(ret))
	}
	return cut(c.AttestationCertChain[:], c.AttestationCertChainSize)
}

// cut returns the part of a buffer that the library says it has filled.
func cut(b []byte, n uint32) ([]byte, error) {
	if n == 0 || uint64(n) > uint64(len(b)) {
		return nil, attestation.Unknown("the driver returns %d bytes, want 1 to %d", n, len(b))
	}
	return slices.Clone(b[:n]), nil
}

// nvmlError gives a return code its number: the text is the library's, and may be
// missing.
func nvmlError(r nvml.Return) error {
	return fmt.Errorf("NVML code %d, %s", int(r), strings.Clone(r.Error()))
}
