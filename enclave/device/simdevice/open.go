package simdevice

import (
	"io"
	"os"
	"path/filepath"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/sim"
	"github.com/cocoon-go/cocoon/enclave/device"
)

// maxPlatform bounds the file of a platform, in bytes.
const maxPlatform = 1 << 20

// Open returns a device on the simulated platform of a directory, for the program
// at path: a TD on an Intel platform, an SEV-SNP guest on an AMD machine.
func Open(dir, program string) (device.Device, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, attestation.BadInput("%w", err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	name, err := sim.PlatformFile(names...)
	if err != nil {
		return nil, err
	}
	data, err := readPlatform(filepath.Join(dir, name))
	if err != nil {
		return nil, err
	}
	if name == sim.AMDMachineFile {
		m, err := sim.ParseAMDMachine(data)
		if err != nil {
			return nil, err
		}
		return NewSNP(m, program)
	}
	p, err := sim.ParseIntel(data)
	if err != nil {
		return nil, err
	}
	return New(p, program)
}

func readPlatform(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, attestation.BadInput("%w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxPlatform+1)) // parsers refuse what is larger
	if err != nil {
		return nil, attestation.BadInput("%w", err)
	}
	return data, nil
}
