//go:build !(nvml && cgo)

package device

import (
	"strings"
	"testing"
)

// A build that can't ask GPUs says how to make one that can.
func TestOpenGPUsFailsClosed(t *testing.T) {
	g, err := OpenGPUs()
	if g != nil || err == nil || !strings.Contains(err.Error(), "-tags nvml") || !strings.Contains(err.Error(), "CGO_ENABLED=1") {
		t.Errorf("OpenGPUs gives %v, %v", g, err)
	}
}
