package contracts

import (
	"bytes"
	"flag"
	"fmt"
	"go/format"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write generated files")

// goName turns ERR_WRONG_SENDER into CodeWrongSender.
func goName(tolk string) string {
	var b strings.Builder
	b.WriteString("Code")
	for _, w := range strings.Split(strings.TrimPrefix(tolk, "ERR_"), "_") {
		switch w {
		case "CPU", "PCE", "TEE", "QE", "TD", "CA", "SVN", "PCK", "SEAM", "XFAM", "TDX":
			b.WriteString(w)
		default:
			b.WriteString(w[:1] + strings.ToLower(w[1:]))
		}
	}
	return b.String()
}

// TestCodesMirrorErrors keeps codes.go equal to errors.tolk.
func TestCodesMirrorErrors(t *testing.T) {
	table := errorTable()
	codes := make([]int, 0, len(table))
	for c := range table {
		codes = append(codes, c)
	}
	slices.Sort(codes)
	var b bytes.Buffer
	b.WriteString("// Code generated from errors.tolk by go test -update; DO NOT EDIT.\n\npackage contracts\n\n// Exit codes of the contracts; see [ErrorName].\nconst (\n")
	for _, c := range codes {
		e := table[c]
		fmt.Fprintf(&b, "%s = %d", goName(e.name), c)
		if e.text != "" {
			fmt.Fprintf(&b, " // %s", e.text)
		}
		b.WriteString("\n")
	}
	b.WriteString(")\n")
	want, err := format.Source(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("codes.go", want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile("codes.go")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("codes.go is not what errors.tolk gives: run go test ./chain/contracts -run Codes -update")
	}
}

func TestErrorName(t *testing.T) {
	for code, want := range map[int]string{
		CodeNotOperator: "ERR_NOT_OPERATOR (only the operator may send this)",
		9:               "exit code 9 (cell underflow: a message or quote is cut or shaped otherwise than the format says)",
		77:              "exit code 77",
	} {
		if got := ErrorName(code); got != want {
			t.Errorf("%d is %q, want %q", code, got, want)
		}
	}
}
