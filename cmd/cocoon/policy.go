package main

import (
	"context"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/internal/command"
)

var policyInitCommand = &command.Command{
	Name: "policy init", Args: "[FILE|-]", Short: "write a strict policy with a comment for every line",
	Long: "The default is policy.toml in the configuration directory. An existing file is never\n" +
		"overwritten. A dash prints the policy. Code and models are those that the registry lists;\n" +
		"--measurement and --model list them in the policy instead, which then needs no registry\n" +
		"to be judged by.",
	Example: "cocoon policy init policy.toml --registry 0:0123...",
	Setup: func(fs *flag.FlagSet) func(context.Context, *command.Env) error {
		var s settings
		var p policyOptions
		fs.StringVar(&s.registry, "registry", "", "`address` of the registry whose lists are followed, or a file that holds it")
		digestFlag(fs, "simulated-root", "sha256:", &p.SimulatedRoots, "`digest` (sha256:HEX) of a simulated root to accept: for development only")
		digestFlag(fs, "measurement", "", &p.measurements, "`digest` of code to accept instead of the registry's list; may be repeated")
		digestFlag(fs, "model", "", &p.models, "`digest` of a model to accept instead of the registry's list; may be repeated")
		return func(_ context.Context, env *command.Env) error { return policyInit(env, &s, p) }
	},
}

// digestFlag registers a flag that may be repeated: a prefix and 64 digits.
func digestFlag(fs *flag.FlagSet, name, prefix string, to *[][32]byte, usage string) {
	fs.Func(name, usage, func(v string) error {
		h, ok := strings.CutPrefix(v, prefix)
		b, err := hex.DecodeString(h)
		if !ok || err != nil || len(b) != 32 {
			return fmt.Errorf("want %s64 hexadecimal digits", strings.Replace(prefix, ":", ": and ", 1))
		}
		*to = append(*to, [32]byte(b))
		return nil
	})
}

func policyInit(env *command.Env, s *settings, p policyOptions) (err error) {
	if len(env.Args) > 1 {
		return args(env, 1, "one file")
	}
	if s.registry != "" {
		if p.Registry, err = s.loadRegistry(); err != nil {
			return err
		}
	}
	text, err := p.toml()
	if err != nil {
		return err
	}
	defer func() {
		if err == nil {
			warnSimulated(env.Stderr, len(p.SimulatedRoots) > 0)
		}
	}()
	if len(env.Args) == 1 && env.Args[0] == "-" {
		if env.JSON {
			return env.PrintJSON(map[string]any{"text": text, "simulated": len(p.SimulatedRoots) > 0})
		}
		_, err := fmt.Fprint(env.Stdout, text)
		return err
	}
	path, err := policyPath(env)
	if err != nil {
		return err
	}
	if err := command.CreateFile(path, []byte(text), 0o644); err != nil {
		return err
	}
	if env.JSON {
		return env.PrintJSON(map[string]any{"policy": path, "simulated": len(p.SimulatedRoots) > 0})
	}
	fmt.Fprintln(env.Stdout, path)
	return nil
}

func policyPath(env *command.Env) (string, error) {
	if len(env.Args) == 1 {
		return env.Args[0], nil
	}
	dir, err := configDir()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", attestation.BadInput("%w", err)
	}
	return filepath.Join(dir, "policy.toml"), nil
}

// policyOptions are a default policy's, and lists that it may hold itself.
type policyOptions struct {
	attestation.PolicyOptions
	measurements, models [][32]byte
}

// toml returns the text of the policy.
func (p policyOptions) toml() (string, error) {
	text := attestation.PolicyTOML(p.PolicyOptions)
	for _, l := range []struct {
		key  string
		list [][32]byte
	}{{"measurements", p.measurements}, {"models", p.models}} {
		if len(l.list) == 0 {
			continue
		}
		line := regexp.MustCompile(`(?m)^` + l.key + ` = "from registry.*$`)
		if n := len(line.FindAllString(text, -1)); n != 1 {
			return "", fmt.Errorf("the default policy has %d lines of %s, want one", n, l.key)
		}
		digests := make([]string, len(l.list))
		for i, d := range l.list {
			digests[i] = fmt.Sprintf(`"%x"`, d)
		}
		text = line.ReplaceAllLiteralString(text, l.key+" = ["+strings.Join(digests, ", ")+"]")
	}
	_, err := attestation.ParsePolicy([]byte(text))
	return text, err
}
