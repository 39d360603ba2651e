package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// demoArea measures what a newcomer sees: make demo in a fresh clone, and then
// the parts of it.
func demoArea(ctx context.Context, short bool) ([]Figure, error) {
	out, err := makeDemo(ctx, short)
	if err != nil {
		return nil, err
	}
	for _, part := range []func(context.Context, bool) ([]Figure, error){exchangeFigures, quoteFigures, engineFigures} {
		f, err := part(ctx, short)
		if err != nil {
			return nil, err
		}
		out = append(out, f...)
	}
	return out, nil
}

// makeDemo runs make demo in a clone: with an empty build cache unless short,
// then again, watching the memory of its processes.
func makeDemo(ctx context.Context, short bool) ([]Figure, error) {
	dir, err := os.MkdirTemp("", "cocoon-bench-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	clone := filepath.Join(dir, "clone")
	if out, err := exec.CommandContext(ctx, "git", "clone", "-q", ".", clone).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("cloning: %w\n%s", err, out)
	}
	env := os.Environ()
	var figures []Figure
	if !short {
		env = append(env, "GOCACHE="+filepath.Join(dir, "cache"))
		cold, _, err := timedDemo(ctx, clone, env)
		if err != nil {
			return nil, err
		}
		figures = append(figures, Figure{Name: "make-demo-cold", Value: cold, Unit: "s", Goal: "<= 90"})
	} else if _, _, err := timedDemo(ctx, clone, env); err != nil {
		return nil, err
	}
	warm, peak, err := timedDemo(ctx, clone, env)
	if err != nil {
		return nil, err
	}
	return append(figures,
		Figure{Name: "make-demo-warm", Value: warm, Unit: "s", Goal: "<= 5"},
		Figure{Name: "demo-memory", Value: peak, Unit: "MB", Goal: "<= 200"}), nil
}

// timedDemo returns seconds, and the largest sum of the resident memory of the
// demo's processes: client with dev chain, node, enclave.
func timedDemo(ctx context.Context, dir string, env []string) (seconds, peakMB float64, err error) {
	cmd := exec.CommandContext(ctx, "make", "demo")
	cmd.Dir, cmd.Env = dir, env
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, 0, err
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			if err != nil {
				err = fmt.Errorf("make demo: %w\n%s", err, out.String())
			}
			return time.Since(start).Seconds(), peakMB, err
		case <-tick.C:
			peakMB = max(peakMB, resident(filepath.Join(dir, "bin")))
		}
	}
}

// resident sums the resident memory, in MB, of the processes whose program lies
// in dir. Where there is no /proc it is 0.
func resident(dir string) (mb float64) {
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		exe, err := os.Readlink(filepath.Join("/proc", e.Name(), "exe"))
		if err != nil || filepath.Dir(exe) != dir {
			continue
		}
		data, err := os.ReadFile(filepath.Join("/proc", e.Name(), "statm"))
		if err != nil {
			continue
		}
		if f := strings.Fields(string(data)); len(f) > 1 {
			pages, _ := strconv.ParseFloat(f[1], 64)
			mb += pages * float64(os.Getpagesize()) / 1e6
		}
	}
	return mb
}

// quoteFigures is what the verification of one TDX quote costs.
func quoteFigures(ctx context.Context, short bool) ([]Figure, error) {
	res, err := cpuBench(ctx, "./attestation/intel", "TDX", short)
	if err != nil {
		return nil, err
	}
	return picks(res,
		want{"tdx-cold", "BenchmarkTDXCold", "ns/op", 1e-6, "ms", "BenchmarkGoTDXGuest", "<= 1.3"},
		want{"tdx-known-platform", "BenchmarkTDXHot", "ns/op", 1e-6, "ms", "BenchmarkGoTDXGuest", "<= 0.2"})
}

// engineFigures is the speed of the embedded engine on one core.
func engineFigures(ctx context.Context, short bool) ([]Figure, error) {
	res, err := goBench(ctx, "./enclave/engine/tinylm", "Decode", short)
	if err != nil {
		return nil, err
	}
	return picks(res, want{"embedded-engine", "BenchmarkDecode", "tokens/s", 1, "tokens/s", "", ">= 1000"})
}

// want says which metric of which benchmark is a figure.
type want struct {
	name, bench, metric string
	scale               float64
	unit                string
	baseline            string // benchmark, "" for none
	goal                string
}

func picks(res map[string]result, wants ...want) ([]Figure, error) {
	var out []Figure
	for _, w := range wants {
		f, err := pick(res, w.name, w.bench, w.metric, w.scale, w.unit, w.baseline, w.goal)
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}
