// Package simdevice is a device on a simulated Intel platform or AMD machine: for
// development and tests. Its evidence is genuine in form, is verified by the same code, and
// proves nothing; a policy accepts it only by naming the platform's root, and
// everything then says SIMULATED.
package simdevice

import (
	"context"
	"crypto/sha512"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/sim"
)

// Device is a simulated TD whose measured code is one program file: RTMR1
// holds its digest. Safe for concurrent use.
type Device struct {
	platform *sim.Intel

	mu         sync.Mutex
	td         sim.TD
	configured bool
}

// New returns a device on a platform, for the program at path.
func New(platform *sim.Intel, program string) (*Device, error) {
	td, err := measure(program)
	if err != nil {
		return nil, err
	}
	return &Device{platform: platform, td: td}, nil
}

// Measurement returns the measurement digest, as registries list it, of a
// simulated TD that runs the program at path.
func Measurement(program string) ([32]byte, error) {
	td, err := measure(program)
	if err != nil {
		return [32]byte{}, err
	}
	return attestation.MeasurementTDX(td.MRTD, td.RTMR[0], td.RTMR[1], td.RTMR[2]), nil
}

func measure(program string) (td sim.TD, err error) {
	d, err := digestOf(program)
	if err != nil {
		return td, err
	}
	td.MRTD = sha512.Sum384([]byte("cocoon/simulated-firmware/v1\n"))
	td.RTMR[1] = sha512.Sum384(append(make([]byte, 48), d[:]...)) // extended once
	return td, nil
}

// digestOf returns the SHA-384 of the program at path.
func digestOf(program string) (d [48]byte, err error) {
	f, err := os.Open(program)
	if err != nil {
		return d, err
	}
	defer f.Close()
	h := sha512.New384()
	if _, err := io.Copy(h, f); err != nil {
		return d, fmt.Errorf("measuring the program: %w", err)
	}
	return [48]byte(h.Sum(nil)), nil
}

// Kind implements device.Device.
func (d *Device) Kind() string { return attestation.KindTDX }

// Configure implements device.Device: it sets RTMR3.
func (d *Device) Configure(_ context.Context, digest [32]byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.configured {
		return errors.New("the configuration is measured already")
	}
	d.configured = true
	d.td.RTMR[3] = attestation.ConfigurationRTMR3(digest)
	return nil
}

// Evidence implements device.Device.
func (d *Device) Evidence(ctx context.Context, reportData [64]byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	d.mu.Lock()
	td := d.td
	d.mu.Unlock()
	td.ReportData = reportData
	return d.platform.Quote(td)
}
