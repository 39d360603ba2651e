package device

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/cocoon-go/cocoon/attestation"
)

// sysPCI is where Linux lists the PCI devices of the machine
// (Documentation/ABI/testing/sysfs-bus-pci).
const sysPCI = "/sys/bus/pci/devices"

// emulated are the vendors of display controllers that QEMU emulates in software:
// its standard VGA, virtio, and Red Hat's.
var emulated = []uint64{0x1234, 0x1af4, 0x1b36}

// NoAccelerator makes sure that the machine has no accelerator that an engine could
// use unseen: no display controller (PCI base class 03h) but an emulated one, and no
// processing accelerator (12h). One in confidential mode is verified; one that
// nobody asks about takes prompts over the bus in the clear. Where it can't look it
// fails.
func NoAccelerator() error { return noAccelerator(sysPCI) }

func noAccelerator(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return attestation.Unknown("whether this machine has an accelerator: %w", err)
	}
	for _, e := range entries {
		class, err := pciNumber(filepath.Join(dir, e.Name(), "class"))
		if err != nil {
			return err
		}
		vendor, err := pciNumber(filepath.Join(dir, e.Name(), "vendor"))
		if err != nil {
			return err
		}
		base := class >> 16
		if base != 0x03 && base != 0x12 || base == 0x03 && slices.Contains(emulated, vendor) {
			continue
		}
		return attestation.Refused("PCI device %s (class %06xh, vendor %04xh) is an accelerator that the configuration does not name: an engine could use it unverified. List it in [gpu], or don't pass it to this machine", e.Name(), class, vendor)
	}
	return nil
}

// pciNumber reads a file like "0x030200\n".
func pciNumber(path string) (uint64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, attestation.Unknown("whether this machine has an accelerator: %w", err)
	}
	n, err := strconv.ParseUint(strings.TrimPrefix(strings.TrimSpace(string(text)), "0x"), 16, 32)
	if err != nil {
		return 0, attestation.Unknown("whether this machine has an accelerator: %s holds no number", path)
	}
	return n, nil
}
