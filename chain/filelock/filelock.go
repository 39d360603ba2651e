// Package filelock makes sure that one process at a time uses a directory. It locks
// by flock(2) on Unix systems and LockFileEx on Windows; elsewhere every lock is
// refused.
package filelock

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// ErrHeld says that another process holds the lock.
var ErrHeld = errors.New("in use by another process")

// Lock is a held lock. It ends with Unlock or with the process.
type Lock struct{ f *os.File }

// Acquire locks the file "lock" in dir, which must exist. It does not wait: a
// lock that is held gives an error that wraps [ErrHeld].
func Acquire(dir string) (*Lock, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lock(f); err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	return &Lock{f}, nil
}

// Unlock releases the lock. The file stays: removing it would let two processes
// lock two files of one name.
func (l *Lock) Unlock() error { return l.f.Close() }
