package command

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/cocoon-go/cocoon/attestation/fault"
)

func app() *App {
	return &App{Name: "prog", Short: "a test", Commands: []*Command{
		{Name: "echo", Args: "WORD...", Short: "print words", Example: "prog echo --up a",
			Setup: func(fs *flag.FlagSet) func(context.Context, *Env) error {
				up := fs.Bool("up", false, "in capitals")
				fs.String("word", "", "one `word`")
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
		{Name: "needy", Short: "needs flags", Setup: func(fs *flag.FlagSet) func(context.Context, *Env) error {
			a, b, c := fs.String("a", "", ""), fs.String("b", "", ""), fs.String("c", "", "")
			return func(_ context.Context, env *Env) error {
				return env.Need("--a", *a, "--b", *b, "--c", *c)
			}
		}},
		{Name: "two a", Short: "first", Setup: nothing}, {Name: "two b", Short: "second", Setup: nothing},
		{Name: "fail", Args: "FAMILY", Short: "fails", Setup: func(*flag.FlagSet) func(context.Context, *Env) error {
			return func(_ context.Context, env *Env) error {
				switch env.Args[0] {
				case "false":
					return fault.False("it is false")
				case "unknown":
					return fault.Unknown("who knows")
				case "chain":
					return fault.ChainDisagrees("chain says no")
				case "reported":
					return &ReportedError{fault.False("said already")}
				}
				return fault.BadInput("bad")
			}
		}},
	}}
}

func nothing(*flag.FlagSet) func(context.Context, *Env) error {
	return func(context.Context, *Env) error { return nil }
}

// TestInterrupted: a command that ends because of a signal says just that.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	a := &App{Name: "prog", Commands: []*Command{{Name: "wait", Setup: func(*flag.FlagSet) func(context.Context, *Env) error {
		return func(ctx context.Context, _ *Env) error {
			cancel()
			return fault.Unknown("asking: %w", ctx.Err())
		}
	}}}}
	var out, errs bytes.Buffer
	if code := a.Run(ctx, []string{"wait"}, nil, &out, &errs); code != 1 || errs.String() != "prog: interrupted\n" {
		t.Errorf("code %d, stderr %q", code, &errs)
	}
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
		{"echo --nope", "", "prog: echo: unknown flag --nope; `prog help echo` explains\n", 1},
		{"echo --word", "", "prog: echo: no value given for --word; ", 1},
		{"echo --up=x", "", "invalid boolean value \"x\" for --up", 1},
		{"fail unknown --json", "{\n  \"error\": {\n    \"family\": \"unknown\",\n    \"exit_code\": 3,\n    \"message\": \"who knows\"\n  }\n}\n", "prog: who knows\n", 3},
		{"echo --nope --json", "\"family\": \"usage\"", "unknown flag", 1},
		{"nope --json", "\"family\": \"usage\"", "unknown command", 1},
		{"fail reported --json", "", "", 2},
		{"echo twice x", "", "prog: echo twice takes no arguments; --help explains\n", 1},
		{"needy --b=x", "", "prog: needy needs --a, --c; --help explains\n", 1},
		{"needy --a=x --b=x --c=x", "", "", 0},
		{"two", "", "prog: two is one of: two a, two b; `prog help two` explains\n", 1},
		{"two c", "", "two is one of", 1},
		{"two --help", "Usage: prog two COMMAND", "", 0},
		{"help two", "  two b  second", "", 0},
		{"help two c", "", "there is no command \"two c\"", 1},
		{"help nope", "", "there is no command \"nope\"", 1},
		{"help", "completion bash|zsh|fish", "", 0},
		{"help version", "Usage: prog version\n\nPrint the version.\n", "", 0},
		{"help --help", "Usage: prog help [COMMAND]\n", "", 0},
		{"completion -h", "Usage: prog completion bash|zsh|fish\n", "", 0},
		{"completion --help x", "", "name one shell", 1},
		{"version x", "", "takes no arguments", 1},
		{"--version --json", "\"program\": \"prog\"", "", 0},
		{"completion", "", "name one shell", 1},
		{"completion zsh", "bashcompinit", "", 0},
		{"", "", "a command is needed", 1},
		{"help echo", "Usage: prog echo WORD... [FLAGS]", "", 0},
		{"echo --help", "--up", "", 0},
		{"version", "prog ", "", 0},
		{"completion bash", "complete -o default -F _prog prog", "", 0},
		{"completion fish", "-l word\n", "", 0},
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

// TestBashCompletion runs the script in bash and asks it.
func TestBashCompletion(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("bash is not installed")
	}
	var script, errs bytes.Buffer
	if code := app().Run(t.Context(), []string{"completion", "bash"}, nil, &script, &errs); code != 0 {
		t.Fatal(&errs)
	}
	for words, want := range map[string]string{
		"prog e":            "echo",
		"prog completion f": "fish",
		"prog two ":         "a b",
		"prog two b --":     "--json",
		"prog echo a --u":   "--up",
		"prog echo a":       "", // file names are the shell's
	} {
		list := strings.Split(words, " ")
		ask := fmt.Sprintf("%s\nCOMP_WORDS=('%s'); COMP_CWORD=%d; _prog; echo ${COMPREPLY[@]}\n", &script, strings.Join(list, "' '"), len(list)-1)
		out, err := exec.Command(bash, "--norc", "-c", ask).CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != want {
			t.Errorf("%q completes to %q (%v), want %q", words, got, err, want)
		}
	}
}
