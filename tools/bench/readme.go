package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

// Marks around the table in README.md.
const (
	tableBegin = "<!-- figures: go run ./tools/bench readme -->\n"
	tableEnd   = "<!-- end of figures -->\n"
)

// readme measures all areas and writes their figures into README.md.
func readme(ctx context.Context, short bool) error {
	data, err := os.ReadFile("README.md")
	if err != nil {
		return err
	}
	before, rest, ok := bytes.Cut(data, []byte(tableBegin))
	_, after, ok2 := bytes.Cut(rest, []byte(tableEnd))
	if !ok || !ok2 {
		return fmt.Errorf("README.md has no table between %q and %q", strings.TrimSpace(tableBegin), strings.TrimSpace(tableEnd))
	}
	var table bytes.Buffer
	fmt.Fprintf(&table, "Measured on %s, %d cores, %s, %s.\n\n", cpuName(), runtime.NumCPU(), runtime.Version(), time.Now().UTC().Format(time.DateOnly))
	fmt.Fprint(&table, "| area | figure | value | baseline | ratio | goal |\n|---|---|---|---|---|---|\n")
	for _, name := range areaNames() {
		figures, err := areas[name](ctx, short)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		for _, f := range figures {
			f.complete()
			row := fmt.Sprintf("| %s | %s | %s | ", name, f.Name, strings.TrimSuffix(number(f.Value)+" "+f.Unit, " 1")) // 1: a number of things
			if f.Baseline > 0 {
				row += fmt.Sprintf("%s | %.3g | ", number(f.Baseline), f.Ratio)
			} else {
				row += "| | "
			}
			row += f.Goal
			if f.Goal != "" && !f.Met {
				row += " (not met)"
			}
			fmt.Fprintln(&table, row+" |")
		}
		fmt.Fprintln(os.Stderr, name, "measured")
	}
	out := bytes.Join([][]byte{before, []byte(tableBegin), table.Bytes(), []byte(tableEnd), after}, nil)
	return os.WriteFile("README.md", out, 0o644)
}

func cpuName() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	for s.Scan() {
		if k, v, ok := strings.Cut(s.Text(), ":"); ok && strings.TrimSpace(k) == "model name" {
			return strings.TrimSpace(v)
		}
	}
	return runtime.GOARCH
}
