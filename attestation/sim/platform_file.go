package sim

import (
	"slices"

	"github.com/cocoon-go/cocoon/attestation"
)

// PlatformFile says which of the names of a directory is the file of its simulated
// platform: [IntelPlatformFile] or [AMDMachineFile], of which there must be one.
func PlatformFile(names ...string) (string, error) {
	intel, amd := slices.Contains(names, IntelPlatformFile), slices.Contains(names, AMDMachineFile)
	switch {
	case intel && amd:
		return "", attestation.BadInput("the directory holds %s and %s: name one that holds one platform", IntelPlatformFile, AMDMachineFile)
	case intel:
		return IntelPlatformFile, nil
	case amd:
		return AMDMachineFile, nil
	}
	return "", attestation.BadInput("the directory holds no simulated platform (%s or %s)", IntelPlatformFile, AMDMachineFile)
}
