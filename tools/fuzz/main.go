// Command fuzz runs every fuzz target of the module for a while, one on each
// core, and fails when one finds something.
//
//	go run ./tools/fuzz [-time 10s] [-run REGEXP] [-jobs 2]
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"
)

func main() {
	fs := flag.NewFlagSet("fuzz", flag.ExitOnError)
	dur := fs.Duration("time", 10*time.Second, "time for each target")
	run := fs.String("run", "", "only targets whose `package.Name` matches")
	jobs := fs.Int("jobs", runtime.NumCPU(), "targets at a time")
	list := fs.Bool("list", false, "list the targets and stop")
	_ = fs.Parse(os.Args[1:])
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := fuzz(ctx, *dur, *run, max(*jobs, 1), *list); err != nil {
		fmt.Fprintln(os.Stderr, "fuzz:", err)
		os.Exit(1)
	}
}

type target struct{ pkg, name string }

var declaration = regexp.MustCompile(`(?m)^func (Fuzz\w+)\(\w+ \*testing\.F\)`)

// targets finds the fuzz functions by reading the test files, which is much
// faster than building every test binary to ask it.
func targets(ctx context.Context) ([]target, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-f",
		`{{$p := .}}{{range .TestGoFiles}}{{$p.ImportPath}} {{$p.Dir}}/{{.}}{{"\n"}}{{end}}{{range .XTestGoFiles}}{{$p.ImportPath}} {{$p.Dir}}/{{.}}{{"\n"}}{{end}}`,
		"./...").Output()
	if err != nil {
		return nil, fmt.Errorf("listing packages: %w", err)
	}
	var ts []target
	for line := range strings.Lines(string(out)) {
		pkg, file, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok {
			continue
		}
		src, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		for _, m := range declaration.FindAllSubmatch(src, -1) {
			ts = append(ts, target{pkg, string(m[1])})
		}
	}
	return ts, nil
}

func fuzz(ctx context.Context, dur time.Duration, only string, jobs int, list bool) error {
	re, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	ts, err := targets(ctx)
	if err != nil {
		return err
	}
	ts = slices.DeleteFunc(ts, func(t target) bool { return !re.MatchString(t.pkg + "." + t.name) })
	if len(ts) == 0 {
		return fmt.Errorf("no fuzz target matches %q", only)
	}
	if list {
		for _, t := range ts {
			fmt.Println(t.pkg + "." + t.name)
		}
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	queue := make(chan target)
	errs := make(chan error, jobs)
	for range jobs {
		go func() {
			for t := range queue {
				if err := t.run(ctx, dur); err != nil {
					errs <- err
					cancel()
					return
				}
			}
			errs <- nil
		}()
	}
	for _, t := range ts {
		select {
		case queue <- t:
		case <-ctx.Done():
		}
	}
	close(queue)
	for range jobs {
		// The first is the reason, the others were ended because of it.
		if e := <-errs; err == nil {
			err = e
		}
	}
	if err == nil {
		fmt.Printf("%d targets, nothing found\n", len(ts))
	}
	return err
}

// run fuzzes one target on one core. Now and then the go command reports the end
// of the time as a failure, with no input that failed (go1.26): then it runs again.
func (t target) run(ctx context.Context, dur time.Duration) error {
	err := t.once(ctx, dur)
	if err != nil && strings.Contains(err.Error(), "context deadline exceeded") && !strings.Contains(err.Error(), "Failing input written") {
		fmt.Printf("again  %s.%s: its time ended while an input ran\n", t.pkg, t.name)
		err = t.once(ctx, dur)
	}
	return err
}

func (t target) once(ctx context.Context, dur time.Duration) error {
	start := time.Now()
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-fuzz", "^"+t.name+"$", "-fuzztime", dur.String(),
		"-fuzzminimizetime", "1s", "-parallel", "1", t.pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOMAXPROCS=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s.%s: %w\n%s", t.pkg, t.name, err, out)
	}
	fmt.Printf("ok  %s.%s  %.0f s\n", t.pkg, t.name, time.Since(start).Seconds())
	return nil
}
