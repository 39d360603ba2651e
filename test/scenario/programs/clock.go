package programs

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// clockFile, in a process's home directory, holds the seconds by which the clock
// of programs of [BuildWithClock] is ahead.
const clockFile = ".clock-ahead"

// The clock that every Go program reads, and what [BuildWithClock] puts into it.
const (
	clockOld = "\tsec, nsec, mono := runtimeNow()\n"
	clockNew = clockOld + "\tsec += clockAhead.Load()\n"
	clockSrc = `package time

import (
	"sync/atomic"
	"syscall"
)

// clockAhead is refreshed here, since the clock is read where no file can be.
var clockAhead atomic.Int64

func init() {
	readClockAhead()
	go func() {
		for {
			Sleep(20 * Millisecond)
			readClockAhead()
		}
	}()
}

func readClockAhead() {
	home, _ := syscall.Getenv("HOME")
	f, err := open(home + "/` + clockFile + `")
	if err != nil {
		return
	}
	defer closefd(f)
	var b [20]byte
	var n int64
	k, _ := read(f, b[:])
	for _, c := range b[:max(k, 0)] {
		if c < '0' || c > '9' {
			break
		}
		n = 10*n + int64(c-'0')
	}
	clockAhead.Store(n)
}
`
)

// BuildWithClock is [Build] for tests that need weeks to pass: the same programs,
// of which only the standard library's clock is another. It is ahead of the
// machine's by the seconds in a file. Waits are as long as ever.
func BuildWithClock(ctx context.Context, dir string) error {
	out, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return fmt.Errorf("go env: %w", err)
	}
	lib := filepath.Join(strings.TrimSpace(string(out)), "src", "time")
	source, err := os.ReadFile(filepath.Join(lib, "time.go"))
	if err != nil {
		return err
	}
	if n := bytes.Count(source, []byte(clockOld)); n < 1 {
		return fmt.Errorf("%s does not read the clock as expected", filepath.Join(lib, "time.go"))
	}
	overlay, err := os.MkdirTemp("", "cocoon-clock-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(overlay)
	replace := map[string]string{}
	for name, text := range map[string][]byte{"time.go": bytes.ReplaceAll(source, []byte(clockOld), []byte(clockNew)), "clockahead.go": []byte(clockSrc)} {
		path := filepath.Join(overlay, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			return err
		}
		replace[filepath.Join(lib, name)] = path
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return err
	}
	file := filepath.Join(overlay, "overlay.json")
	if err := os.WriteFile(file, list, 0o600); err != nil {
		return err
	}
	return build(ctx, dir, "-overlay", file)
}
