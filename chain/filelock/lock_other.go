//go:build !unix && !windows

package filelock

import (
	"errors"
	"os"
)

func lock(*os.File) error { return errors.New("locking files is not supported on this system") }
