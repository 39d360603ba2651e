package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// cpuBench is [goBench] with ns/op in CPU time of one core: where other programs
// take the cores, the clock says more about them. A benchmark runs in a process
// of its own, few times and many times, and what the many took more is divided
// by how many more they were. That keeps setup and start out; where they are not
// the same from one process to the next, the time of the clock stays.
func cpuBench(ctx context.Context, pkg, match string, short bool) (map[string]result, error) {
	res, err := goBench(ctx, pkg, match, short)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "cocoon-bench-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "bench.test")
	build := exec.CommandContext(ctx, "go", "test", "-c", "-o", binary, pkg)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", pkg, err, out)
	}
	b := process{binary: binary, dir: pkg, busy: 500 * time.Millisecond, runs: 3, tries: 2}
	if short {
		b.busy, b.runs, b.tries = 120*time.Millisecond, 2, 1
	}
	for name, r := range res {
		cpu, err := b.perOp(ctx, name, time.Duration(r["ns/op"]))
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", pkg, name, err)
		}
		if cpu > 0 {
			r["ns/op"] = min(r["ns/op"], cpu)
		}
	}
	return res, nil
}

// process is a test binary that runs benchmarks.
type process struct {
	binary, dir string
	busy        time.Duration // how long the many runs take, about
	runs        int           // of which the best counts
	tries       int           // with more operations, until starts make no difference
}

// perOp returns the CPU time of one operation in ns, 0 where it can't be told.
// wall is about what the clock says.
func (p process) perOp(ctx context.Context, name string, wall time.Duration) (float64, error) {
	const few = 2
	ops := max(1, int(p.busy/max(wall, 1)))
	least, most, err := p.cpu(ctx, name, few)
	if err != nil {
		return 0, err
	}
	for range p.tries {
		all, _, err := p.cpu(ctx, name, few+ops)
		if err != nil {
			return 0, err
		}
		more := all - least
		if more > 0 && most-least <= more/20 {
			return float64(more) / float64(ops), nil
		}
		times := grow(more, most-least)
		if times == 0 {
			break
		}
		ops *= times
	}
	return 0, nil
}

// grow returns how many times as many operations it takes until the spread of
// starts is small beside them; 0 when that is too many, as where every start
// makes keys of its own.
func grow(more, spread time.Duration) int {
	const most = 8
	if more <= 0 || 20*spread/more >= most {
		return 0
	}
	return max(2, int(20*spread/more)+1)
}

// cpu returns the least and the most CPU time of processes that run n
// operations.
func (p process) cpu(ctx context.Context, name string, n int) (least, most time.Duration, err error) {
	parts := strings.Split(name, "/")
	for i := range parts {
		parts[i] = "^" + regexp.QuoteMeta(parts[i]) + "$"
	}
	for i := range p.runs {
		cmd := exec.CommandContext(ctx, p.binary, "-test.run", "^$", "-test.bench", strings.Join(parts, "/"), "-test.cpu", "1", "-test.benchtime", fmt.Sprintf("%dx", n))
		cmd.Dir = p.dir
		if out, err := cmd.CombinedOutput(); err != nil {
			return 0, 0, fmt.Errorf("%w\n%s", err, out)
		}
		took := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		if i == 0 || took < least {
			least = took
		}
		most = max(most, took)
	}
	return least, most, nil
}
