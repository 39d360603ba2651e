package main

import (
	"context"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/internal/atomicfile"
	"github.com/cocoon-go/cocoon/internal/command"
)

var policyInitCommand = &command.Command{
	Name: "policy init", Args: "[FILE]", Short: "write a strict policy with a comment for every line",
	Long: "The default is policy.toml in the configuration directory. An existing file is never\n" +
		"overwritten. A dash prints it.",
	Example: "cocoon policy init policy.toml --registry 0:0123...",
	Setup: func(fs *flag.FlagSet) func(context.Context, *command.Env) error {
		reg := fs.String("registry", "", "`address` of the registry whose lists are followed")
		var o attestation.PolicyOptions
		fs.Func("simulated-root", "`fingerprint` (sha256:HEX) of a simulated root to accept: for development only", func(s string) error {
			h, ok := strings.CutPrefix(s, "sha256:")
			b, err := hex.DecodeString(h)
			if !ok || err != nil || len(b) != 32 {
				return errors.New("want sha256: and 64 hexadecimal digits")
			}
			o.SimulatedRoots = append(o.SimulatedRoots, [32]byte(b))
			return nil
		})
		return func(_ context.Context, env *command.Env) (err error) {
			if len(env.Args) > 1 {
				return args(env, 1, "one file")
			}
			if *reg != "" {
				if o.Registry, err = attestation.ParseAddress(*reg); err != nil {
					return err
				}
			}
			text := attestation.PolicyTOML(o)
			if len(env.Args) == 1 && env.Args[0] == "-" {
				fmt.Fprint(env.Stdout, text)
				return nil
			}
			path, err := policyPath(env)
			if err != nil {
				return err
			}
			if err := atomicfile.Create(path, []byte(text), 0o644); err != nil {
				if errors.Is(err, os.ErrExist) {
					return attestation.BadInput("%s exists; nothing is overwritten", path)
				}
				return err
			}
			if env.JSON {
				return env.PrintJSON(map[string]string{"policy": path})
			}
			fmt.Fprintln(env.Stdout, path)
			return nil
		}
	},
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
