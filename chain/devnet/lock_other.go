//go:build !unix

package devnet

import (
	"io"
	"os"
)

// lockFile opens the lock file. Where there is no advisory lock, nothing stops
// a second process from using the directory.
func lockFile(path string) (io.Closer, error) {
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
}
