//go:build unix

package ledger

import (
	"errors"
	"os"
	"syscall"

	"github.com/cocoon-go/cocoon/attestation/fault"
)

// lockFile takes an exclusive lock that ends with the file or the process.
func lockFile(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return fault.BadInput("the data directory is in use by another process; one node has one process")
	}
	return err
}
