// Command fuzz runs every fuzz target of the module for a while, two on each core
// at a time, and fails when one finds something. The time is that of the clock. The
// instrumented test of a package is built once for all its targets, while those of
// other packages run.
//
//	go run ./tools/fuzz [-time 10s] [-run REGEXP] [-jobs 4]
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"
)

func main() {
	fs := flag.NewFlagSet("fuzz", flag.ExitOnError)
	dur := fs.Duration("time", 10*time.Second, "time for each target")
	run := fs.String("run", "", "only targets whose `package.Name` matches")
	jobs := fs.Int("jobs", 2*runtime.NumCPU(), "targets at a time")
	list := fs.Bool("list", false, "list the targets and stop")
	_ = fs.Parse(os.Args[1:])
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := fuzz(ctx, *dur, *run, max(*jobs, 1), *list); err != nil {
		fmt.Fprintln(os.Stderr, "fuzz:", err)
		os.Exit(1)
	}
}

func fuzz(ctx context.Context, dur time.Duration, only string, jobs int, list bool) error {
	re, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	ps, err := packages(ctx, re)
	if err != nil {
		return err
	}
	n := 0
	for _, p := range ps {
		for _, name := range p.targets {
			n++
			if list {
				fmt.Println(p.path + "." + name)
			}
		}
	}
	if n == 0 {
		return fmt.Errorf("no fuzz target matches %q", only)
	}
	if list {
		return nil
	}
	start := time.Now()
	if err := fuzzAll(ctx, ps, dur, jobs); err != nil {
		return err
	}
	fmt.Printf("%d targets, nothing found, %.0f s\n", n, time.Since(start).Seconds())
	return nil
}

// fuzzAll builds one package after the other, and meanwhile runs the targets of
// those that are built. The first fault ends it all.
func fuzzAll(ctx context.Context, ps []pkg, dur time.Duration, jobs int) error {
	dir, err := os.MkdirTemp("", "cocoon-fuzz-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	cache, err := corpora(ctx)
	if err != nil {
		return err
	}
	queue := make(chan target)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer close(queue)
		for i, p := range ps {
			binary, err := p.build(ctx, dir, i)
			if err != nil {
				return err
			}
			for _, name := range p.targets {
				select {
				case queue <- target{p, name, binary, cache}:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
		}
		return nil
	})
	for range jobs {
		group.Go(func() error {
			for t := range queue {
				if err := t.run(ctx, dur); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}
