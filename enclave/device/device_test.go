package device

import (
	"strings"
	"testing"
)

// On a machine without the hardware, opening a device must fail: nothing else
// may take its place.
func TestOpenFailsClosed(t *testing.T) {
	for _, kind := range []string{"tdx", "snp", "", "simulated", "none"} {
		d, err := Open(kind)
		if err == nil {
			if kind == "tdx" || kind == "snp" {
				t.Skipf("this machine has a %s device", kind)
			}
			t.Fatalf("Open(%q) returned a device", kind)
		}
		if d != nil {
			t.Errorf("Open(%q) returned a device with its error", kind)
		}
		if !strings.Contains(err.Error(), "device") {
			t.Errorf("Open(%q): %v: want it to say that there is no such device", kind, err)
		}
	}
}
