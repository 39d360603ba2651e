// Command fuzz runs every fuzz target of the module for a while, one after
// another, and stops at the first that finds something.
//
//	go run ./tools/fuzz [-time 10s] [-run REGEXP]
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"strings"
	"time"
)

func main() {
	fs := flag.NewFlagSet("fuzz", flag.ExitOnError)
	dur := fs.Duration("time", 10*time.Second, "time for each target")
	run := fs.String("run", "", "only targets whose `package.Name` matches")
	list := fs.Bool("list", false, "list the targets and stop")
	_ = fs.Parse(os.Args[1:])
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := fuzz(ctx, *dur, *run, *list); err != nil {
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

func fuzz(ctx context.Context, dur time.Duration, only string, list bool) error {
	re, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	ts, err := targets(ctx)
	if err != nil {
		return err
	}
	n := 0
	for _, t := range ts {
		if !re.MatchString(t.pkg + "." + t.name) {
			continue
		}
		n++
		if list {
			fmt.Println(t.pkg + "." + t.name)
			continue
		}
		start := time.Now()
		cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-fuzz", "^"+t.name+"$", "-fuzztime", dur.String(), "-fuzzminimizetime", "1s", t.pkg)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s.%s: %w\n%s", t.pkg, t.name, err, out)
		}
		fmt.Printf("ok  %s.%s  %.0f s\n", t.pkg, t.name, time.Since(start).Seconds())
	}
	if n == 0 {
		return fmt.Errorf("no fuzz target matches %q", only)
	}
	fmt.Printf("%d targets, nothing found\n", n)
	return nil
}
