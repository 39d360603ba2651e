// Package programs builds this module's programs for tests that drive them from
// outside, and runs their demo.
package programs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	// A cached test result must not outlive a change of what the programs are
	// made of: Go decides that by what the test itself imports.
	_ "github.com/cocoon-go/cocoon/chain/devnet/network"
	_ "github.com/cocoon-go/cocoon/client"
	_ "github.com/cocoon-go/cocoon/enclave"
	_ "github.com/cocoon-go/cocoon/enclave/device/simdevice"
	_ "github.com/cocoon-go/cocoon/enclave/engine/tinylm"
	_ "github.com/cocoon-go/cocoon/host"
	_ "github.com/cocoon-go/cocoon/internal/command"
)

// Module is the path of the module whose programs are built.
const Module = "github.com/cocoon-go/cocoon"

// Build builds cocoon, cocoon-node and cocoon-enclave into a directory.
func Build(ctx context.Context, dir string) error { return build(ctx, dir) }

func build(ctx context.Context, dir string, flags ...string) error {
	root, err := Root(ctx)
	if err != nil {
		return err
	}
	if err := look(filepath.Join(root, "cmd")); err != nil {
		return err
	}
	args := append([]string{"build", "-trimpath", "-o", dir + string(filepath.Separator)}, flags...)
	cmd := exec.CommandContext(ctx, "go", append(args, "./cmd/...")...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build ./cmd/...: %w\n%s", err, out)
	}
	return nil
}

// Root returns the directory of the module, also from a nested module.
func Root(ctx context.Context) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", Module)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go list: %w\n%s", err, &errs)
	}
	dir := strings.TrimSpace(string(out))
	if dir == "" {
		return "", errors.New("go list: the module has no directory")
	}
	return dir, nil
}

// look stats the programs' own sources, which nobody can import, for the same
// reason as the imports above.
func look(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".go" {
			return err
		}
		_, err = os.Stat(path)
		return err
	})
}
