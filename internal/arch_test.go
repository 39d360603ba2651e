// Package internal holds no code; its test enforces the import directions of
// docs/architecture.md.
package internal

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/cocoon-go/cocoon/"

// allowed says what the packages of a folder may import of ours, by folder. Test
// files obey it too, but for what is only for tests.
var allowed = map[string][]string{
	"attestation": {"attestation"},
	"internal":    {"attestation", "internal"},
	"chain":       {"attestation", "chain"},
	"client":      {"attestation", "chain", "internal", "client"},
	"enclave":     {"attestation", "chain", "internal", "enclave"},
	"host":        {"attestation", "chain", "internal", "host"},
}

// restricted says who may import a folder outside of tests. Nobody else may.
var restricted = map[string][]string{
	"attestation/sim":         {"attestation/sim", "enclave/device", "chain/devnet", "cmd", "tools", "test"},
	"attestation/vectortest":  {},
	"chain/contracts/tvmtest": {},
	"chain/devnet":            {"chain/devnet", "cmd/cocoon", "tools", "test"},
	"chain/devnet/elsewhere":  {},
	"cmd":                     {"cmd"},
	"tools":                   {"tools"},
}

// parts are the folders that read one vendor's evidence. They know nothing of
// bundles, policies and verdicts.
var parts = []string{"attestation/intel", "attestation/amd", "attestation/nvidia", "attestation/tpm", "attestation/eventlog"}

// impure are packages of the standard library that reach outside the process.
// attestation gets bytes and times as arguments.
var impure = []string{"log", "log/slog", "net", "net/http", "os", "os/exec", "syscall"}

func TestImportDirections(t *testing.T) {
	seen := 0
	err := filepath.WalkDir("..", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return skip(p, d)
		}
		file := filepath.ToSlash(strings.TrimPrefix(p, "../"))
		if path.Ext(file) != ".go" {
			return nil
		}
		seen++
		f, err := parser.ParseFile(token.NewFileSet(), p, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, im := range f.Imports {
			imp, _ := strconv.Unquote(im.Path.Value)
			if why := refuse(file, imp); why != "" {
				t.Errorf("%s imports %s: %s", file, imp, why)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen < 500 {
		t.Fatalf("only %d files looked at: the walk is broken", seen)
	}
}

// skip leaves out what is no code of this module.
func skip(p string, d fs.DirEntry) error {
	if name := d.Name(); p != ".." && (strings.HasPrefix(name, ".") || name == "testdata" || name == "node_modules") {
		return filepath.SkipDir
	}
	if _, err := os.Stat(filepath.Join(p, "go.mod")); err == nil && p != ".." {
		return filepath.SkipDir // a nested module tests from outside
	}
	return nil
}

// refuse says why a file may not import a package, or "".
func refuse(file, imp string) string {
	test := strings.HasSuffix(file, "_test.go")
	sub, ours := strings.CutPrefix(imp, module)
	if !ours {
		if !test && slices.Contains(impure, imp) && in(file, "attestation") && !in(file, "attestation/vectortest") {
			return "attestation is pure: it gets bytes and times as arguments"
		}
		return ""
	}
	for folder, users := range restricted {
		if in(sub, folder) && !test && !slices.ContainsFunc(append(users, folder), func(u string) bool { return in(file, u) }) {
			return folder + " is for tests and for " + strings.Join(users, ", ")
		}
	}
	for _, part := range parts {
		if sub == "attestation" && in(file, part) && !test {
			return part + " reads one vendor's evidence: it may import attestation/fault"
		}
	}
	top, _, _ := strings.Cut(file, "/")
	to, _, _ := strings.Cut(sub, "/")
	if may, ok := allowed[top]; ok && !slices.Contains(may, to) && !(test && sub == "chain/devnet") {
		return top + " may import only " + strings.Join(may, ", ")
	}
	return ""
}

// in reports whether a path is a folder or below it.
func in(p, folder string) bool { return p == folder || strings.HasPrefix(p, folder+"/") }

// TestRefuse: the rules refuse what they are for.
func TestRefuse(t *testing.T) {
	for _, c := range []struct {
		file, imp string
		refused   bool
	}{
		{"attestation/verify.go", "time", false},
		{"attestation/verify.go", "os", true},
		{"attestation/verify_test.go", "os", false},
		{"attestation/intel/quote.go", module + "attestation/fault", false},
		{"attestation/intel/quote.go", module + "attestation", true},
		{"attestation/verify.go", module + "chain", true},
		{"attestation/verify.go", module + "internal/ohttp", true},
		{"internal/sealed/client.go", module + "chain", true},
		{"chain/client.go", module + "internal/atomicfile", true},
		{"client/client.go", module + "enclave", true},
		{"client/client_test.go", module + "host", true},
		{"client/client.go", module + "host", true},
		{"client/client.go", module + "attestation/sim", true},
		{"client/client_test.go", module + "attestation/sim", false},
		{"client/client.go", module + "chain/devnet", true},
		{"attestation/verify_test.go", module + "chain/devnet", false},
		{"host/host.go", module + "cmd/cocoon", true},
		{"host/host.go", module + "tools/bench", true},
		{"cmd/cocoon/demo.go", module + "chain/devnet", false},
		{"cmd/cocoon-node/up.go", module + "chain/devnet", true},
		{"cmd/cocoon/demo.go", module + "attestation/vectortest", true},
		{"enclave/device/simdevice/snp.go", module + "attestation/sim", false},
		{"host/hostile.go", module + "host", false},
	} {
		if why := refuse(c.file, c.imp); (why != "") != c.refused {
			t.Errorf("%s imports %s: %q", c.file, c.imp, why)
		}
	}
}
