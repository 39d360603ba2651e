package internal

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	namedTest    = regexp.MustCompile("`(?:([a-z0-9/]+)\\.)?((?:Test|Fuzz|Benchmark)[A-Z]\\w*)`")
	declaredTest = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)[A-Z]\w*)\(`)
)

// Documents name tests as proof of what they promise. Each of them exists, in the
// package that is named with it or was named last before it; a page that names
// no package means any.
func TestNamedTests(t *testing.T) {
	declared := declarations(t)
	named := 0
	for _, page := range pages(t) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		pkg := ""
		for _, m := range namedTest.FindAllStringSubmatch(string(text), -1) {
			named++
			if m[1] != "" {
				pkg = m[1]
			}
			if !declared[pkg+"."+m[2]] {
				t.Errorf("%s names %s.%s, which does not exist", page, pkg, m[2])
			}
		}
	}
	if named < 100 {
		t.Errorf("%d tests are named in the documents: is the notation another one now?", named)
	}
}

// declarations returns "package.Test" of every test, and ".Test" beside it.
func declarations(t *testing.T) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	walk(t, "_test.go", func(path string) {
		src, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		pkg := filepath.ToSlash(strings.TrimPrefix(filepath.Dir(path), "../"))
		for _, m := range declaredTest.FindAllStringSubmatch(string(src), -1) {
			found[pkg+"."+m[1]], found["."+m[1]] = true, true
		}
	})
	return found
}

func pages(t *testing.T) (found []string) {
	t.Helper()
	walk(t, ".md", func(path string) { found = append(found, path) })
	return found
}

// walk calls f for the files of the repository whose names end so.
func walk(t *testing.T, suffix string, f func(path string)) {
	t.Helper()
	err := filepath.WalkDir("..", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := d.Name(); d.IsDir() && p != ".." && (strings.HasPrefix(name, ".") || name == "testdata" || name == "node_modules") {
			return filepath.SkipDir
		}
		if !d.IsDir() && strings.HasSuffix(p, suffix) {
			f(p)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
