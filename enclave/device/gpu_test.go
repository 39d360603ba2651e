package device

import (
	"errors"
	"strings"
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
)

func TestGPUModeCheck(t *testing.T) {
	good := GPUMode{Confidential: true, Environment: EnvironmentProduction}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	board := GPUMode{Confidential: true, ProtectedPCI: true, Environment: EnvironmentProduction}
	if err := board.Check(); err != nil {
		t.Error(err)
	}
	for _, c := range []struct {
		want   string
		change func(*GPUMode)
	}{
		{"confidential mode off", func(m *GPUMode) { m.Confidential = false }},
		{"debuggers can read", func(m *GPUMode) { m.DevTools = true }},
		{"environment simulation: want production", func(m *GPUMode) { m.Environment = EnvironmentSimulation }},
		{"environment unavailable: want production", func(m *GPUMode) { m.Environment = EnvironmentUnavailable }},
		{"confidential mode off", func(m *GPUMode) { *m = GPUMode{} }},
	} {
		m := good
		c.change(&m)
		var refused *attestation.RefusedError
		if err := m.Check(); !errors.As(err, &refused) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", m, err)
		}
	}
}
