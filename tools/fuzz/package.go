package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// pkg is a package with fuzz targets.
type pkg struct {
	path, dir string
	targets   []string
}

var declaration = regexp.MustCompile(`(?m)^func (Fuzz\w+)\(\w+ \*testing\.F\)`)

// packages finds the fuzz functions by reading the test files, which is much
// faster than building every test binary to ask it.
func packages(ctx context.Context, only *regexp.Regexp) ([]pkg, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-f",
		`{{.ImportPath}} {{.Dir}}{{range .TestGoFiles}} {{.}}{{end}}{{range .XTestGoFiles}} {{.}}{{end}}`, "./...").Output()
	if err != nil {
		return nil, fmt.Errorf("listing packages: %w", err)
	}
	var ps []pkg
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		p := pkg{path: f[0], dir: f[1]}
		for _, file := range f[2:] {
			src, err := os.ReadFile(filepath.Join(p.dir, file))
			if err != nil {
				return nil, err
			}
			p.targets = append(p.targets, declared(src, p.path, only)...)
		}
		if len(p.targets) > 0 {
			ps = append(ps, p)
		}
	}
	return ps, nil
}

// declared returns the fuzz functions of a test file whose path.Name matches.
func declared(src []byte, path string, only *regexp.Regexp) (names []string) {
	for _, m := range declaration.FindAllSubmatch(src, -1) {
		if name := string(m[1]); only.MatchString(path + "." + name) {
			names = append(names, name)
		}
	}
	return names
}

// build makes the test binary, instrumented for coverage as go test -fuzz does.
func (p pkg) build(ctx context.Context, dir string, i int) (string, error) {
	binary := filepath.Join(dir, strconv.Itoa(i)+".test")
	cmd := exec.CommandContext(ctx, "go", "test", "-c", "-fuzz", ".", "-o", binary, p.path)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the test of %s: %w\n%s", p.path, err, out)
	}
	return binary, nil
}

// corpora returns where the go command keeps the inputs that fuzzing found.
func corpora(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOCACHE").Output()
	if err != nil {
		return "", fmt.Errorf("finding the cache: %w", err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "fuzz"), nil
}
