//go:build !(nvml && cgo)

package device

import "github.com/cocoon-go/cocoon/attestation"

// OpenGPUs returns the driver of this machine's NVIDIA GPUs. This build has none:
// it always fails.
func OpenGPUs() (GPUs, error) {
	return nil, attestation.BadInput("this build can't ask GPUs: build it with CGO_ENABLED=1 and -tags nvml, on Linux with a C compiler")
}
