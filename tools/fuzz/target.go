package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// target is a fuzz function in a test binary.
type target struct {
	pkg
	name, binary, cache string
}

// run fuzzes the target. It runs again, for longer, when the time ended before all
// known inputs had run, or when its end is reported as a failure with no input that
// failed, as happens now and then (go1.26).
func (t target) run(ctx context.Context, dur time.Duration) error {
	out, err := t.once(ctx, dur)
	if err != nil && onlyLate(out) || err == nil && !fuzzed(out) {
		fmt.Printf("again  %s.%s: its time was too short\n", t.path, t.name)
		out, err = t.once(ctx, 3*dur)
	}
	switch {
	case err != nil:
		return fmt.Errorf("%s.%s: %w\n%s", t.path, t.name, err, out)
	case !fuzzed(out):
		return fmt.Errorf("%s.%s was not fuzzed:\n%s", t.path, t.name, out)
	}
	fmt.Printf("ok  %s.%s\n", t.path, t.name)
	return nil
}

// fuzzed tells fuzzing with coverage from everything else that ends well.
func fuzzed(out string) bool {
	return strings.Contains(out, "now fuzzing with") && !strings.Contains(out, "not built with coverage instrumentation")
}

func onlyLate(out string) bool {
	return strings.Contains(out, "context deadline exceeded") && !strings.Contains(out, "Failing input written")
}

// once runs in the directory of the package, as go test does: there are the seeds,
// and there a failing input is written.
func (t target) once(ctx context.Context, dur time.Duration) (string, error) {
	cmd := exec.CommandContext(ctx, t.binary, "-test.run", "^$", "-test.fuzz", "^"+t.name+"$", "-test.fuzztime", dur.String(),
		"-test.fuzzminimizetime", "1s", "-test.parallel", "1", "-test.timeout", "10m", "-test.fuzzcachedir", filepath.Join(t.cache, t.path))
	cmd.Dir = t.dir
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	out, err := cmd.CombinedOutput()
	return string(out), err
}
