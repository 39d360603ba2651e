package command

import (
	"bytes"
	"context"
	"flag"
	"strings"
	"testing"

	"github.com/cocoon-go/cocoon/attestation/fault"
)

func app() *App {
	return &App{Name: "prog", Short: "a test", Commands: []*Command{
		{Name: "echo", Args: "WORD...", Short: "print words", Example: "prog echo --up a",
			Setup: func(fs *flag.FlagSet) func(context.Context, *Env) error {
				up := fs.Bool("up", false, "in capitals")
				return func(_ context.Context, env *Env) error {
					s := strings.Join(env.Args, " ")
					if *up {
						s = strings.ToUpper(s)
					}
					if env.JSON {
						return env.PrintJSON(s)
					}
					_, err := env.Stdout.Write([]byte(s + "\n"))
					return err
				}
			}},
		{Name: "echo twice", Short: "two words", Setup: func(*flag.FlagSet) func(context.Context, *Env) error {
			return func(context.Context, *Env) error { return fault.Refused("no") }
		}},
		{Name: "fail", Short: "fails", Setup: func(*flag.FlagSet) func(context.Context, *Env) error {
			return func(_ context.Context, env *Env) error {
				switch env.Args[0] {
				case "false":
					return fault.False("it is false")
				case "unknown":
					return fault.Unknown("who knows")
				case "chain":
					return fault.ChainDisagrees("chain says no")
				case "reported":
					return &ErrReported{fault.False("said already")}
				}
				return fault.BadInput("bad")
			}
		}},
	}}
}

func TestRun(t *testing.T) {
	for _, tt := range []struct {
		args, out, err string
		code           int
	}{
		{"echo a b", "a b\n", "", 0},
		{"echo a --up b", "A B\n", "", 0},
		{"echo --up -- --json", "--JSON\n", "", 0},
		{"echo a --json", "\"a\"\n", "", 0},
		{"echo twice", "", "prog: no\n", 4},
		{"fail false", "", "prog: it is false\n", 2},
		{"fail unknown", "", "prog: who knows\n", 3},
		{"fail chain", "", "prog: chain says no\n", 5},
		{"fail reported", "", "", 2},
		{"fail x", "", "prog: bad\n", 1},
		{"nope", "", "unknown command", 1},
		{"echo --nope", "", "flag provided but not defined", 1},
		{"", "", "a command is needed", 1},
		{"help echo", "Usage: prog echo WORD... [FLAGS]", "", 0},
		{"echo --help", "--up", "", 0},
		{"version", "prog ", "", 0},
		{"completion bash", "complete -F _prog prog", "", 0},
		{"completion fish", "complete -c prog", "", 0},
		{"completion csh", "", "unknown shell", 1},
	} {
		t.Run(tt.args, func(t *testing.T) {
			var out, errs bytes.Buffer
			code := app().Run(t.Context(), strings.Fields(tt.args), nil, &out, &errs)
			if code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			if !strings.Contains(out.String(), tt.out) || (tt.out == "" && out.Len() > 0) {
				t.Errorf("stdout %q, want %q", &out, tt.out)
			}
			if !strings.Contains(errs.String(), tt.err) || (tt.err == "" && errs.Len() > 0) {
				t.Errorf("stderr %q, want %q", &errs, tt.err)
			}
		})
	}
}
