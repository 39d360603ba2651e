package main

import (
	"regexp"
	"slices"
	"testing"
)

func TestDeclared(t *testing.T) {
	src := []byte("package x\n\nfunc FuzzOne(f *testing.F) {}\nfunc FuzzTwo(fuzz *testing.F) {\n}\n// func FuzzNot(f *testing.F)\nfunc FuzzHelper(t *testing.T) {}\n")
	for only, want := range map[string][]string{"": {"FuzzOne", "FuzzTwo"}, "x.FuzzT": {"FuzzTwo"}, "y": nil} {
		if got := declared(src, "a/x", regexp.MustCompile(only)); !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", only, got, want)
		}
	}
}

func TestOutput(t *testing.T) {
	for _, c := range []struct {
		out          string
		fuzzed, late bool
	}{
		{"fuzz: elapsed: 0s, gathering baseline coverage: 3/3 completed, now fuzzing with 1 workers\nPASS", true, false},
		{"warning: the test binary was not built with coverage instrumentation\nfuzz: now fuzzing with 1 workers", false, false},
		{"testing: warning: no fuzz tests to fuzz\nPASS", false, false},
		{"context deadline exceeded", false, true},
		{"context deadline exceeded\nFailing input written to testdata/fuzz/FuzzX/1", false, false},
	} {
		if fuzzed(c.out) != c.fuzzed || onlyLate(c.out) != c.late {
			t.Errorf("%q: fuzzed %v, late %v", c.out, fuzzed(c.out), onlyLate(c.out))
		}
	}
}
