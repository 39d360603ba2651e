// Command bench measures one area and prints a line per figure:
//
//	go run ./tools/bench AREA [--json] [--short]
//	go run ./tools/bench chain --costs [--json]
//	go run ./tools/bench readme [--short]
//
// Areas: demo, attestation, chain, transport, enclave. readme writes the figures
// of all areas into README.md. chain --costs prints what every path through the
// contracts costs, see docs/costs.md. Figures and their
// baselines come from one run on one machine, so their ratios mean something
// also where the machine is noisy. --short ends within 50 s.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
)

// Figure is one measured number. Baseline 0 means that there is none.
type Figure struct {
	Name     string  `json:"name"`
	Value    float64 `json:"value"`
	Unit     string  `json:"unit"`
	Baseline float64 `json:"baseline"`
	Ratio    float64 `json:"ratio"`
	Goal     string  `json:"goal"` // as it was set, for example "<= 1.2"
	Met      bool    `json:"met"`
}

type area func(ctx context.Context, short bool) ([]Figure, error)

var areas = map[string]area{
	"demo":        demoArea,
	"attestation": attestationArea,
	"chain":       chainArea,
	"transport":   transportArea,
	"enclave":     enclaveArea,
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, w io.Writer) error {
	if len(args) == 2 && args[0] == "network" { // see startNetwork
		return serveNetwork(ctx, args[1])
	}
	if len(args) == 2 && args[0] == "proxy" {
		return serveProxy(args[1])
	}
	if len(args) == 0 || areas[args[0]] == nil && args[0] != "readme" {
		return fmt.Errorf("name one area: %s; or readme, to write all figures into README.md", strings.Join(areaNames(), ", "))
	}
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	asJSON := fs.Bool("json", false, "a JSON object a line")
	short := fs.Bool("short", false, "end within 50 s")
	costs := fs.Bool("costs", false, "of chain: gas, fees and storage of every path, in nano with --json")
	if err := fs.Parse(args[1:]); err != nil {
		return err
	}
	if fs.NArg() > 0 || *costs && args[0] != "chain" {
		return fmt.Errorf("%s does not go together", strings.Join(args, " "))
	}
	if *costs {
		return printCosts(ctx, w, *asJSON)
	}
	if args[0] == "readme" {
		return readme(ctx, *short)
	}
	figures, err := areas[args[0]](ctx, *short)
	if err != nil {
		return err
	}
	for _, f := range figures {
		f.complete()
		if *asJSON {
			enc := json.NewEncoder(w)
			enc.SetEscapeHTML(false)
			if err := enc.Encode(f); err != nil {
				return err
			}
			continue
		}
		line := fmt.Sprintf("%-34s %12s %-9s", f.Name, number(f.Value), f.Unit)
		if f.Baseline > 0 {
			line += fmt.Sprintf(" baseline %10s  ratio %7.3g", number(f.Baseline), f.Ratio)
		}
		if f.Goal != "" {
			line += "  goal " + f.Goal
			if f.Met {
				line += "  met"
			} else {
				line += "  NOT MET"
			}
		}
		fmt.Fprintln(w, line)
	}
	return nil
}

func areaNames() []string { return slices.Sorted(maps.Keys(areas)) }

// number shows four digits, or all before the point.
func number(v float64) string {
	if v >= 10000 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.4g", v)
}

// complete fills in what follows from the rest.
func (f *Figure) complete() {
	if f.Baseline > 0 {
		f.Ratio = f.Value / f.Baseline
	}
	f.Met = met(*f)
}

// met compares a value with its goal, "<= 1.2" or ">= 1000".
func met(f Figure) bool {
	op, limit, _ := strings.Cut(f.Goal, " ")
	var v float64
	if _, err := fmt.Sscanf(limit, "%g", &v); err != nil {
		return f.Goal == ""
	}
	if op == ">=" {
		return f.Value >= v
	}
	return f.Value <= v
}
