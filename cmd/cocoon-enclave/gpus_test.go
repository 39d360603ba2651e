package main

import (
	"errors"
	"testing"

	"github.com/cocoon-go/cocoon/enclave"
)

// An engine beside the enclave must not have an accelerator that the configuration
// leaves out; the embedded engine uses none, and a simulated machine protects nothing.
func TestUnnamedGPUs(t *testing.T) {
	found := errors.New("there is one")
	for name, c := range map[string]struct {
		f      flags
		engine string
		want   error
	}{
		"upstream":            {flags{device: "tdx"}, "upstream", found},
		"embedded":            {flags{device: "tdx"}, "embedded", nil},
		"upstream, simulated": {flags{simulated: "dir"}, "upstream", nil},
	} {
		gpus, documents, err := openGPUs(c.f, &enclave.Config{Engine: c.engine}, func() error { return found })
		if gpus != nil || documents != nil || err != c.want {
			t.Errorf("%s: %v, %v, %v", name, gpus, documents, err)
		}
	}
}
