package simdevice

import (
	"context"
	"crypto/sha512"
	"errors"
	"sync"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/sim"
)

// SNP is a simulated SEV-SNP guest whose measured code is one program file: the
// launch digest is made of its digest. Safe for concurrent use.
type SNP struct {
	chip   *sim.AMDChip
	launch [48]byte

	mu         sync.Mutex
	host       [32]byte // HOST_DATA; guarded by mu
	configured bool     // guarded by mu
}

// NewSNP returns a guest on a machine, for the program at path.
func NewSNP(m *sim.AMDMachine, program string) (*SNP, error) {
	d, err := launchDigest(program)
	if err != nil {
		return nil, err
	}
	return &SNP{chip: m.Chip, launch: d}, nil
}

// SNPMeasurement returns the measurement digest, as registries list it, of a
// simulated SEV-SNP guest that runs the program at path.
func SNPMeasurement(program string) ([32]byte, error) {
	d, err := launchDigest(program)
	if err != nil {
		return [32]byte{}, err
	}
	return attestation.MeasurementSNP(d), nil
}

func launchDigest(program string) ([48]byte, error) {
	d, err := digestOf(program)
	if err != nil {
		return d, err
	}
	return sha512.Sum384(append([]byte("cocoon/simulated-launch/v1\n"), d[:]...)), nil
}

// Kind implements device.Device.
func (d *SNP) Kind() string { return attestation.KindSNP }

// Configure implements device.Device. A real host sets HOST_DATA at launch; here
// the first call does.
func (d *SNP) Configure(_ context.Context, digest [32]byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.configured {
		return errors.New("the configuration is measured already")
	}
	d.configured, d.host = true, digest
	return nil
}

// Evidence implements device.Device.
func (d *SNP) Evidence(ctx context.Context, reportData [64]byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.chip.Report(sim.AMDReport{Measurement: d.launch, HostData: d.host, ReportData: reportData})
}
