// Package device asks the confidential-computing hardware for evidence.
//
// A [Device] is one way to get it: the TDX and SNP guest drivers of Linux
// (configfs-tsm, through the client packages of go-tdx-guest and
// go-sev-guest), or a simulated platform (package simdevice). [Open] never
// substitutes one for another: where the device is missing it fails.
package device

import (
	"context"

	"github.com/cocoon-go/cocoon/attestation"
)

// Device is one source of evidence. Implementations are safe for concurrent
// use. An error means that no evidence was made.
type Device interface {
	// Kind is the evidence kind of the bundle: "tdx" or "snp".
	Kind() string
	// Configure makes digest, the SHA-256 of the measured configuration, part
	// of what the hardware vouches for, or checks that it already is. It is
	// called once, before the first Evidence.
	Configure(ctx context.Context, digest [32]byte) error
	// Evidence returns evidence over reportData.
	Evidence(ctx context.Context, reportData [64]byte) ([]byte, error)
}

// Open returns the device of the given kind: "tdx" or "snp".
func Open(kind string) (Device, error) {
	switch kind {
	case "tdx":
		return openTDX()
	case "snp":
		return openSNP()
	}
	return nil, attestation.BadInput("device %q: tdx and snp are known", kind)
}
