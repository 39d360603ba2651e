package programs

import (
	"encoding/json"
	"path/filepath"
	"syscall"
	"unsafe"

	"github.com/rogpeppe/go-internal/testscript"
)

// full lets an enclave, or its host, write nothing more to files, as when its disk
// is full.
func full(ts *testscript.TestScript, neg bool, args []string) {
	dir, rest := dirOf(args)
	if neg || len(rest) != 1 {
		ts.Fatalf("usage: full [dir=DIR] enclave|host")
	}
	var run struct {
		Host    int `json:"pid"`
		Enclave int `json:"enclave_pid"`
	}
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(filepath.Join(dir, "run.json"))), &run))
	pid := run.Enclave
	if rest[0] == "host" {
		pid = run.Host
	}
	limit := syscall.Rlimit{Cur: 1, Max: 1}
	_, _, errno := syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(pid), syscall.RLIMIT_FSIZE, uintptr(unsafe.Pointer(&limit)), 0, 0, 0)
	if errno != 0 {
		ts.Fatalf("prlimit: %v", errno)
	}
}
