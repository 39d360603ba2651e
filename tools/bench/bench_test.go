package main

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"
)

func TestMet(t *testing.T) {
	for _, c := range []struct {
		value float64
		goal  string
		want  bool
	}{
		{1.2, "<= 1.2", true}, {1.21, "<= 1.2", false}, {2000, ">= 2000", true}, {1999, ">= 2000", false},
		{5, "", true}, {5, "soon", false},
	} {
		f := Figure{Value: c.value, Goal: c.goal}
		if f.complete(); f.Met != c.want {
			t.Errorf("%v with goal %q: met %v", c.value, c.goal, f.Met)
		}
	}
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{76553: "76553", 0.001964: "0.001964", 1234.5: "1234", 35: "35"} {
		if got := number(v); got != want {
			t.Errorf("%v is shown as %s, want %s", v, got, want)
		}
	}
}

// TestBenchLine reads names that end in a number, as names of curves do.
func TestBenchLine(t *testing.T) {
	for line, name := range map[string]string{
		"BenchmarkTDXCold    \t 356\t 998155 ns/op\t 103011 B/op": "BenchmarkTDXCold",
		"BenchmarkVerify/P-256   826  434993 ns/op":               "BenchmarkVerify/P-256",
		"ok  github.com/x 3s":                                     "",
	} {
		m := benchLine.FindStringSubmatch(line)
		if (m == nil) != (name == "") || m != nil && m[1] != name {
			t.Errorf("%q: %q", line, m)
		}
	}
}

func TestGrow(t *testing.T) {
	for _, c := range []struct {
		more, spread time.Duration
		want         int
	}{{-1, 1, 0}, {0, 0, 0}, {100, 5, 2}, {100, 10, 3}, {100, 25, 6}, {100, 39, 8}, {100, 40, 0}, {100, 1000, 0}} {
		if got := grow(c.more, c.spread); got != c.want {
			t.Errorf("%d with a spread of %d: %d, want %d", c.more, c.spread, got, c.want)
		}
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{}, {"soup"}, {"demo", "--costs"}, {"readme", "--costs"}, {"chain", "more"}, {"chain", "--no"}} {
		if err := run(t.Context(), args, io.Discard); err == nil {
			t.Errorf("%q is accepted", args)
		}
	}
}

func TestCostTable(t *testing.T) {
	c := &costTable{
		Paths: []pathCost{
			{Name: "dear", Messages: 5, Gas: 133503, Fees: 69_585_200, Kept: -400_000, Value: 100_000_000, MaxGas: 115_000},
			{Name: "cheap", Messages: 1, Gas: 2947, Fees: 1_964_400, MaxFees: 2_000_000},
		},
		Parts:   []partCost{{Name: "quote", Gas: 76553, MaxGas: 90000}},
		Storage: []stateCost{{Name: "root", Cells: 323, Bits: 73708, StorageYear: 113_182_366}},
	}
	var text bytes.Buffer
	if err := c.text(&text); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]string{
		"dear":  {" 133503 ", " 0.069585 ", " -0.000400 ", "goal <= 115000 gas  NOT MET"},
		"cheap": {" 2947 ", " 0.001964 ", "goal <= 2000000 nano  met"},
		"part":  {"quote", "76553 gas", "goal <= 90000 gas  met"},
		"root":  {" 323 ", " 73708 ", "0.113182"},
	} {
		line := ""
		for l := range strings.Lines(text.String()) {
			if strings.HasPrefix(l, name) {
				line = l
			}
		}
		for _, w := range want {
			if !strings.Contains(line, w) {
				t.Errorf("no %q in %q", w, line)
			}
		}
	}
	var lines bytes.Buffer
	if err := c.json(&lines); err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(&lines)
	for _, name := range []string{"dear", "cheap", "part-quote", "storage-root"} {
		var row struct{ Name string }
		if err := d.Decode(&row); err != nil || row.Name != name {
			t.Errorf("row %q, %v, want %s", row.Name, err, name)
		}
	}
}
