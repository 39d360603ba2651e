// Command contracts compiles the contracts of chain/contracts, or checks that
// what is committed is what the sources give.
//
//	contracts build [NAME...]   compile and write NAME.boc and NAME.json
//	contracts check             compile elsewhere and compare; replay traces; let
//	                            TON clients of others use a dev chain
//	contracts clients           the last of these only
//
// It runs from the root of the repository and needs Node.js 20 with npm; the
// exact packages are pinned in tools/contracts/js. Building and testing the Go
// code needs neither.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const (
	sources = "chain/contracts"
	js      = "tools/contracts/js"
)

func main() {
	fs := flag.NewFlagSet("contracts", flag.ContinueOnError)
	if err := fs.Parse(os.Args[1:]); err != nil {
		os.Exit(1)
	}
	if err := run(fs.Args(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "contracts:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	if len(args) == 0 {
		return errors.New("usage: contracts build [NAME...] | check | clients")
	}
	names, err := entryPoints()
	if err != nil {
		return err
	}
	switch args[0] {
	case "build":
		if len(args) > 1 {
			names = args[1:]
		}
		if err := install(); err != nil {
			return err
		}
		return compile(sources, names)
	case "check":
		if err := install(); err != nil {
			return err
		}
		if err := check(names, out); err != nil {
			return err
		}
		if err := replay(out); err != nil {
			return err
		}
		return clients(out)
	case "clients":
		if err := install(); err != nil {
			return err
		}
		return clients(out)
	}
	return fmt.Errorf("unknown command %q", args[0])
}

// entryPoints returns the names of the sources that handle messages; the
// others are libraries.
func entryPoints() ([]string, error) {
	files, err := filepath.Glob(filepath.Join(sources, "*.tolk"))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		if bytes.Contains(b, []byte("\nfun onInternalMessage(")) {
			names = append(names, strings.TrimSuffix(filepath.Base(f), ".tolk"))
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("no contract in %s: run this from the root of the repository", sources)
	}
	return names, nil
}

// install fetches exactly what package-lock.json pins, without running any
// script of a package.
func install() error {
	stamp := filepath.Join(js, "node_modules", ".package-lock.json")
	lock := filepath.Join(js, "package-lock.json")
	if s, err := os.Stat(stamp); err == nil {
		if l, err := os.Stat(lock); err == nil && !l.ModTime().After(s.ModTime()) {
			return nil
		}
	}
	// The emulator names a test framework as a peer, which nothing here needs.
	return node("npm", "ci", "--ignore-scripts", "--legacy-peer-deps", "--no-audit", "--no-fund", "--prefix", js)
}

// replay runs the contracts' tests in the Go emulator, where they record every
// transaction (tvmtest.TracesEnv), and then all of them in the official one.
func replay(out io.Writer) error {
	dir, err := os.MkdirTemp("", "traces")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	test := exec.Command("go", "test", "-count=1", "./"+sources)
	test.Env = append(os.Environ(), "CGO_ENABLED=0", "COCOON_LONG=", "COCOON_TRACES="+dir)
	test.Stdout, test.Stderr = os.Stderr, os.Stderr
	if err := test.Run(); err != nil {
		return fmt.Errorf("tests of the contracts: %w", err)
	}
	var result bytes.Buffer
	cmd := exec.Command("node", filepath.Join(js, "replay.js"), dir)
	cmd.Stdout, cmd.Stderr = &result, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("the official emulator disagrees with the Go one: %w", err)
	}
	fmt.Fprintf(out, "contracts: the official emulator agrees on %s", result.Bytes())
	return nil
}

func compile(dir string, names []string) error {
	return node("node", append([]string{filepath.Join(js, "build.js"), sources, dir}, names...)...)
}

func node(name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// check compiles into a scratch folder and compares every file.
func check(names []string, out io.Writer) error {
	dir, err := os.MkdirTemp("", "contracts")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := compile(dir, names); err != nil {
		return err
	}
	same := func(file string) error {
		got, err := os.ReadFile(filepath.Join(sources, file))
		if err != nil {
			return err
		}
		want, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			return err
		}
		if !bytes.Equal(got, want) {
			return fmt.Errorf("%s/%s is not what the sources give: run make contracts", sources, file)
		}
		return nil
	}
	if err := same("platform_code.tolk"); err != nil {
		return err
	}
	for _, n := range names {
		for _, ext := range []string{".boc", ".json"} {
			if err := same(n + ext); err != nil {
				return err
			}
		}
		fmt.Fprintf(out, "contracts: %s is what its sources give\n", n)
	}
	return nil
}
