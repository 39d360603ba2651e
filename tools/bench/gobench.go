package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
)

// result is one line of go test -bench: metric by unit.
type result map[string]float64

var benchLine = regexp.MustCompile(`^(Benchmark\S+)\s+\d+\s+(.*)$`)

// goBench runs the benchmarks of a package that match, on one core, and returns
// their metrics by name. The best run counts: noise only ever adds, so many
// short runs are better than a long one.
func goBench(ctx context.Context, pkg, match string, short bool) (map[string]result, error) {
	return runBench(ctx, pkg, match, append(runs(short), "-cpu", "1")...)
}

func runs(short bool) []string {
	if short {
		return []string{"-count", "3", "-benchtime", "50ms"}
	}
	return []string{"-count", "15", "-benchtime", "300ms"}
}

// runBench runs benchmarks with flags. Names end in the number of cores unless
// it is 1: a - and a number are a part of some names.
func runBench(ctx context.Context, pkg, match string, flags ...string) (map[string]result, error) {
	args := append([]string{"test", "-run", "^$", "-bench", match, "-benchmem"}, flags...)
	cmd := exec.CommandContext(ctx, "go", append(args, pkg)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", pkg, err, out)
	}
	res := map[string]result{}
	sc := bufio.NewScanner(bytes.NewReader(out))
	for sc.Scan() {
		m := benchLine.FindStringSubmatch(sc.Text())
		if m == nil {
			continue
		}
		r := res[m[1]]
		if r == nil {
			r = result{}
			res[m[1]] = r
		}
		f := strings.Fields(m[2])
		for i := 0; i+1 < len(f); i += 2 {
			v, err := strconv.ParseFloat(f[i], 64)
			if err != nil {
				continue
			}
			rate := strings.HasSuffix(f[i+1], "/s")
			if old, ok := r[f[i+1]]; !ok || rate && v > old || !rate && v < old {
				r[f[i+1]] = v
			}
		}
	}
	if len(res) == 0 {
		return nil, fmt.Errorf("%s: no benchmark matches %s", pkg, match)
	}
	return res, nil
}

// pick makes a figure of one metric, in a unit that is scale times smaller. A
// missing benchmark is an error: figures don't vanish silently.
func pick(res map[string]result, name, bench, metric string, scale float64, unit, baseline, goal string) (Figure, error) {
	r, ok := res[bench]
	if !ok {
		return Figure{}, fmt.Errorf("benchmark %s is missing", bench)
	}
	f := Figure{Name: name, Value: r[metric] * scale, Unit: unit, Goal: goal}
	if baseline != "" {
		b, ok := res[baseline]
		if !ok {
			return Figure{}, fmt.Errorf("baseline %s is missing", baseline)
		}
		f.Baseline = b[metric] * scale
	}
	return f, nil
}
