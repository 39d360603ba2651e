package vectortest

import (
	"bytes"
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cocoon-go/cocoon/attestation/fault"
)

// Update says that the test was told to write what it generates.
var Update = flag.Bool("update", false, "rewrite what is generated: vectors in testdata/vectors, examples in docs/spec")

// Generated compares the files of testdata/vectors that match a pattern with what
// the test generates: name of each file and its content. With -update it writes
// them first.
func Generated(t *testing.T, pattern string, want map[string][]byte) {
	t.Helper()
	dir := filepath.Join("testdata", "vectors")
	if *Update {
		write(t, dir, want)
	}
	files, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != len(want) {
		t.Errorf("%d files %s, %d vectors: regenerate with -update", len(files), pattern, len(want))
	}
	for name, text := range want {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(b, text) {
			t.Errorf("%s differs from what the generator writes: regenerate with -update", name)
		}
	}
}

func write(t *testing.T, dir string, files map[string][]byte) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// Lines reads a vector: a first line that names its kind and version, then lines
// "name: value". A name that is not among these, or comes twice, fails the test.
func Lines(t *testing.T, text []byte, first string, names ...string) map[string]string {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if lines[0] != first {
		t.Fatalf("first line %q, want %q", lines[0], first)
	}
	v := map[string]string{}
	for _, l := range lines[1:] {
		name, value, ok := strings.Cut(l, ": ")
		if _, again := v[name]; again || !ok || !slices.Contains(names, name) {
			t.Fatalf("unknown line %.80q", l)
		}
		v[name] = value
	}
	return v
}

// Hex decodes hexadecimal digits.
func Hex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatalf("%.80q: %v", s, err)
	}
	return b
}

// families of errors, by the word that a vector has for them.
var families = map[string]fault.Family{"ok": fault.FamilyNone, "input": fault.FamilyInput, "false": fault.FamilyFalse, "unknown": fault.FamilyUnknown}

// Ends checks that err is what a vector expects: ok, input, false or unknown, with
// a reason that is part of the error's text.
func Ends(t *testing.T, err error, expect, reason string) {
	t.Helper()
	family, known := families[expect]
	if !known {
		t.Fatalf("unknown expectation %q", expect)
	}
	if fault.FamilyOf(err) != family || err != nil && !strings.Contains(err.Error(), reason) {
		t.Errorf("%v, want %s with %q", err, expect, reason)
	}
}
