// Command readmecheck runs the commands that README.md shows, so that they stay
// true: every line of its code blocks that starts with make or bin/.
//
//	go run ./tools/readmecheck [-skip make-test]
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := check(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "readmecheck:", err)
		os.Exit(1)
	}
}

func check(ctx context.Context) error {
	data, err := os.ReadFile("README.md")
	if err != nil {
		return err
	}
	ran := 0
	inside := false
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "```") {
			inside = !inside
			continue
		}
		cmd, _, _ := strings.Cut(line, " #")
		cmd = strings.TrimSpace(cmd)
		if !inside || cmd == "make test" || !strings.HasPrefix(cmd, "make ") && !strings.HasPrefix(cmd, "bin/") {
			continue // make test is a step of its own in CI
		}
		start := time.Now()
		f := strings.Fields(cmd)
		if out, err := exec.CommandContext(ctx, f[0], f[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", cmd, err, out)
		}
		fmt.Printf("ok  %s  (%.1f s)\n", cmd, time.Since(start).Seconds())
		ran++
	}
	if ran < 3 {
		return fmt.Errorf("only %d commands found in README.md", ran)
	}
	return nil
}
