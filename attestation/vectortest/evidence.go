// Package vectortest is for tests that compare with files: real evidence, which
// is not part of this repository, and the vectors of the specifications, which
// tests generate. Only tests import it: it adds the flag -update to them.
package vectortest

import (
	"os"
	"path/filepath"
	"testing"
)

// variable names the directory of real evidence. In it a manifest.json says what
// each file is.
const variable = "COCOON_VECTORS"

// Has reports whether there is real evidence on this machine.
func Has() bool { return os.Getenv(variable) != "" }

// Dir returns the directory of real evidence. Without one it skips the test; one
// that can't be read fails it.
func Dir(t testing.TB) string {
	t.Helper()
	if !Has() {
		t.Skip(variable + " is not set: REAL EVIDENCE IS NOT TESTED; set it to the directory that holds manifest.json")
	}
	dir := os.Getenv(variable)
	if _, err := os.Stat(filepath.Join(dir, "manifest.json")); err != nil {
		t.Fatalf("%s is set and can't be read: %v", variable, err)
	}
	return dir
}

// Read returns a file of the real evidence, named from its directory on.
func Read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(Dir(t), name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
