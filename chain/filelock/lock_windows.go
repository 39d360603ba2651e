package filelock

import (
	"errors"
	"os"
	"syscall"
	"unsafe"
)

// LockFileEx and its flags and errors: learn.microsoft.com, fileapi.h.
var lockFileEx = syscall.NewLazyDLL("kernel32.dll").NewProc("LockFileEx")

const (
	failImmediately    = 1
	exclusiveLock      = 2
	errorLockViolation = syscall.Errno(33)
	errorIOPending     = syscall.Errno(997)
)

func lock(f *os.File) error {
	var at syscall.Overlapped
	ok, _, err := lockFileEx.Call(f.Fd(), failImmediately|exclusiveLock, 0, 1, 0, uintptr(unsafe.Pointer(&at)))
	switch {
	case ok != 0:
		return nil
	case errors.Is(err, errorLockViolation), errors.Is(err, errorIOPending):
		return ErrHeld
	}
	return err
}
