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
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/cocoon-go/cocoon"

// allowed lists, for the first path element of a package, the first elements
// it may import. Test files obey it too, except that any test may use the
// simulated vendors and the dev chain, which exist for that.
var allowed = map[string][]string{
	"attestation": {"attestation"},
	"internal":    {"attestation", "internal"},
	"chain":       {"attestation", "chain"},
	"client":      {"attestation", "chain", "internal", "client"},
	"enclave":     {"attestation", "chain", "internal", "enclave"},
	"host":        {"attestation", "chain", "internal", "host"},
}

func TestImportDirections(t *testing.T) {
	seen := 0
	err := filepath.WalkDir("..", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); p != ".." && (strings.HasPrefix(name, ".") || name == "testdata" || name == "node_modules") {
				return filepath.SkipDir
			}
			if _, err := os.Stat(filepath.Join(p, "go.mod")); err == nil && p != ".." {
				return filepath.SkipDir // a nested module tests from outside
			}
			return nil
		}
		rel := filepath.ToSlash(strings.TrimPrefix(p, "../"))
		top, _, _ := strings.Cut(rel, "/")
		may, ok := allowed[top]
		if !ok || path.Ext(rel) != ".go" {
			return nil
		}
		seen++
		f, err := parser.ParseFile(token.NewFileSet(), p, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, im := range f.Imports {
			imp, _ := strconv.Unquote(im.Path.Value)
			sub, ours := strings.CutPrefix(imp, module+"/")
			if !ours {
				continue
			}
			to, _, _ := strings.Cut(sub, "/")
			if to == "cmd" || to == "tools" || !contains(may, to) {
				if strings.HasSuffix(rel, "_test.go") && (sub == "attestation/sim" || sub == "chain/devnet") {
					continue
				}
				t.Errorf("%s imports %s: %s may import only %v", rel, sub, top, may)
			}
			if sub == "attestation/sim" && !strings.HasSuffix(rel, "_test.go") && !simUser(rel) {
				t.Errorf("%s imports attestation/sim: simulated vendors are for development commands and tests", rel)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen < 20 {
		t.Fatalf("only %d files looked at: the walk is broken", seen)
	}
}

// simUser lists the packages that may mint simulated evidence outside tests.
func simUser(rel string) bool {
	return strings.HasPrefix(rel, "attestation/sim/") || strings.HasPrefix(rel, "enclave/device/") || strings.HasPrefix(rel, "chain/devnet/")
}

func contains(s []string, v string) bool {
	for _, x := range s {
		if x == v {
			return true
		}
	}
	return false
}
