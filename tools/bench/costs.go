package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// costTable is what TestCosts of chain/contracts writes. Amounts are in nano.
type costTable struct {
	Paths   []pathCost  `json:"paths"`
	Parts   []partCost  `json:"parts"`
	Storage []stateCost `json:"storage"`
}

// pathCost is a path through the contracts, all of its messages together.
type pathCost struct {
	Name        string `json:"name"`
	Messages    int    `json:"messages"`
	Gas         int64  `json:"gas"`
	Compute     uint64 `json:"compute"`
	Forward     uint64 `json:"forward"`
	Storage     uint64 `json:"storage"`
	Fees        uint64 `json:"fees"`
	Kept        int64  `json:"kept"`
	Value       uint64 `json:"value"`
	StorageYear int64  `json:"storage_year"`
	MaxGas      int64  `json:"max_gas,omitempty"`
	MaxFees     uint64 `json:"max_fees,omitempty"`
}

// partCost is the gas of a part of a path.
type partCost struct {
	Name   string `json:"name"`
	Gas    int64  `json:"gas"`
	MaxGas int64  `json:"max_gas,omitempty"`
}

// stateCost is the rent of a contract.
type stateCost struct {
	Name        string `json:"name"`
	Cells       uint64 `json:"cells"`
	Bits        uint64 `json:"bits"`
	StorageYear uint64 `json:"storage_year"`
}

// readCosts measures the contracts. Where the test that does it also finds that
// they cost other than what is committed, or too much, there are both a table
// and an error.
func readCosts(ctx context.Context) (*costTable, error) {
	dir, err := os.MkdirTemp("", "cocoon-bench-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "costs.json")
	cmd := exec.CommandContext(ctx, "go", "test", "-count", "1", "-run", "^TestCosts$", "./chain/contracts", "-costs", file)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, testErr := cmd.CombinedOutput()
	if testErr != nil {
		testErr = fmt.Errorf("chain/contracts: %w\n%s", testErr, out)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, errors.Join(testErr, err)
	}
	t := new(costTable)
	if err := json.Unmarshal(data, t); err != nil {
		return nil, err
	}
	return t, testErr
}

// printCosts prints the whole table, as text or a JSON object a line.
func printCosts(ctx context.Context, w io.Writer, asJSON bool) error {
	t, testErr := readCosts(ctx)
	if t == nil {
		return testErr
	}
	print := t.text
	if asJSON {
		print = t.json
	}
	return errors.Join(print(w), testErr)
}

func (t *costTable) json(w io.Writer) error {
	enc := json.NewEncoder(w)
	for _, r := range t.Paths {
		if err := enc.Encode(r); err != nil {
			return err
		}
	}
	for _, r := range t.Parts {
		r.Name = "part-" + r.Name
		if err := enc.Encode(r); err != nil {
			return err
		}
	}
	for _, r := range t.Storage {
		r.Name = "storage-" + r.Name
		if err := enc.Encode(r); err != nil {
			return err
		}
	}
	return nil
}

// coins shows nano as coins.
func coins[T int64 | uint64](nano T) string { return fmt.Sprintf("%.6f", float64(nano)/1e9) }

func (t *costTable) text(w io.Writer) error {
	p := &printer{w: w}
	p.line("Amounts are in coins. value: what the message must carry; kept: what contracts keep of it for their")
	p.line("storage; a year: change of the rent of all contracts. Fees are compute + forward + storage.")
	p.line("")
	const row = "%-26s %4s %7s %10s %10s %10s %10s %10s %10s %10s%s"
	p.line(row, "path", "msgs", "gas", "compute", "forward", "storage", "fees", "kept", "value", "a year", "")
	for _, r := range t.Paths {
		p.line(row, r.Name, fmt.Sprint(r.Messages), fmt.Sprint(r.Gas), coins(r.Compute), coins(r.Forward), coins(r.Storage), coins(r.Fees),
			coins(r.Kept), coins(r.Value), coins(r.StorageYear), goalOf("gas", r.Gas, r.MaxGas)+goalOf("nano", int64(r.Fees), int64(r.MaxFees)))
	}
	p.line("")
	for _, r := range t.Parts {
		p.line("%-31s %7d gas%s", "part of a path: "+r.Name, r.Gas, goalOf("gas", r.Gas, r.MaxGas))
	}
	p.line("")
	p.line("%-26s %5s %7s %10s", "contract", "cells", "bits", "a year")
	for _, r := range t.Storage {
		p.line("%-26s %5d %7d %10s", r.Name, r.Cells, r.Bits, coins(r.StorageYear))
	}
	return p.err
}

// goalOf says whether a goal is met, if there is one.
func goalOf(unit string, got, most int64) string {
	switch {
	case most == 0:
		return ""
	case got <= most:
		return fmt.Sprintf("  goal <= %d %s  met", most, unit)
	}
	return fmt.Sprintf("  goal <= %d %s  NOT MET", most, unit)
}

// printer keeps the first error.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}

// costFigures are the figures of the contracts that have goals.
func costFigures(ctx context.Context) ([]Figure, error) {
	t, err := readCosts(ctx)
	if t == nil {
		return nil, err
	}
	path := func(name string) (r pathCost) {
		for _, p := range t.Paths {
			if p.Name == name {
				return p
			}
		}
		err = errors.Join(err, fmt.Errorf("path %s is missing", name))
		return r
	}
	part := func(name string) float64 {
		for _, p := range t.Parts {
			if p.Name == name {
				return float64(p.Gas)
			}
		}
		err = errors.Join(err, fmt.Errorf("part %s is missing", name))
		return 0
	}
	return []Figure{
		{Name: "quote-gas", Value: part("quote"), Unit: "gas", Goal: "<= 90000"},
		{Name: "register-tdx-gas", Value: float64(path("register-tdx").Gas), Unit: "gas", Goal: "<= 115000"},
		{Name: "register-tdx-again-gas", Value: float64(path("register-tdx-again").Gas), Unit: "gas", Goal: "<= 115000"},
		{Name: "anchor-fee", Value: float64(path("anchor").Fees) / 1e9, Unit: "coins", Goal: "<= 0.002"},
		{Name: "inclusion-gas-per-level", Value: part("inclusion-level"), Unit: "gas", Goal: "<= 1100"},
		{Name: "register-tdx-fee", Value: float64(path("register-tdx").Fees) / 1e9, Unit: "coins"},
		{Name: "voucher-settle-fee", Value: float64(path("voucher-settle").Fees) / 1e9, Unit: "coins"},
	}, err
}
