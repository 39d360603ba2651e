// Package command is the frame of this module's programs: sub-commands with
// private flag sets, help, version, shell completion, and exit codes by error
// family (docs/spec/exit-codes.md).
//
// Results go to standard output; everything else goes to standard error with
// the program's name in front. A command returns an error and never exits.
package command

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"github.com/cocoon-go/cocoon/attestation/fault"
)

// App is a program.
type App struct {
	Name     string
	Short    string // what it is, in one line
	Commands []*Command
	Footer   string // printed after the list of commands
}

// Command is one sub-command. Name may hold two words ("receipt export").
type Command struct {
	Name    string
	Args    string // "PROMPT|-"
	Short   string // one line
	Long    string // more, for its help
	Example string // one complete line
	// Setup registers flags and returns the function that runs.
	Setup func(fs *flag.FlagSet) func(ctx context.Context, env *Env) error
}

// Env is what a running command may touch of the world around it.
type Env struct {
	Args   []string
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer
	JSON   bool // --json was given
	name   string
}

// Logf writes one line for people to standard error.
func (e *Env) Logf(format string, a ...any) {
	fmt.Fprintf(e.Stderr, e.name+": "+format+"\n", a...)
}

// PrintJSON writes v to standard output as indented JSON.
func (e *Env) PrintJSON(v any) error {
	enc := json.NewEncoder(e.Stdout)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// ErrReported wraps an error whose explanation the command already printed:
// only its exit code is left to say.
type ErrReported struct{ Err error }

func (e *ErrReported) Error() string { return e.Err.Error() }
func (e *ErrReported) Unwrap() error { return e.Err }

// Main runs the program with the process's arguments and streams, and exits.
// SIGINT and SIGTERM cancel the context.
func (a *App) Main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := a.Run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// Run runs the program and returns its exit code.
func (a *App) Run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	env := &Env{Stdin: stdin, Stdout: stdout, Stderr: stderr, name: a.Name}
	err := a.dispatch(ctx, env, args)
	var reported *ErrReported
	switch {
	case err == nil:
		return 0
	case errors.Is(err, flag.ErrHelp):
		return 0
	case errors.As(err, &reported):
		return fault.ExitCode(err)
	}
	env.Logf("%v", err)
	return fault.ExitCode(err)
}

func (a *App) dispatch(ctx context.Context, env *Env, args []string) error {
	if len(args) == 0 {
		a.usage(env.Stderr)
		return fault.BadInput("a command is needed; %s help lists them", a.Name)
	}
	switch args[0] {
	case "help", "-h", "-help", "--help":
		if cmd, _ := a.find(args[1:]); cmd != nil {
			fs, _ := a.flags(cmd, env)
			a.help(env.Stdout, cmd, fs)
			return nil
		}
		a.usage(env.Stdout)
		return nil
	case "version", "-version", "--version":
		fmt.Fprintln(env.Stdout, a.Name, Version())
		return nil
	case "completion":
		return a.completion(env, args[1:])
	}
	cmd, rest := a.find(args)
	if cmd == nil {
		return fault.BadInput("unknown command %q; %s help lists them", args[0], a.Name)
	}
	fs, run := a.flags(cmd, env)
	pos, err := parseInterspersed(fs, rest)
	if errors.Is(err, flag.ErrHelp) {
		a.help(env.Stdout, cmd, fs)
		return err
	}
	if err != nil {
		return fault.BadInput("%s: %w; %s help %s explains", cmd.Name, err, a.Name, cmd.Name)
	}
	env.Args = pos
	return run(ctx, env)
}

// parseInterspersed lets flags stand before, between and after arguments.
// "--" ends the flags.
func parseInterspersed(fs *flag.FlagSet, args []string) ([]string, error) {
	var pos []string
	for {
		if err := fs.Parse(args); err != nil {
			return nil, err
		}
		rest := fs.Args()
		if len(rest) == 0 {
			return pos, nil
		}
		if n := len(args) - len(rest); n > 0 && args[n-1] == "--" {
			return append(pos, rest...), nil
		}
		pos = append(pos, rest[0])
		args = rest[1:]
	}
}

func (a *App) flags(cmd *Command, env *Env) (*flag.FlagSet, func(context.Context, *Env) error) {
	fs := flag.NewFlagSet(cmd.Name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.BoolVar(&env.JSON, "json", false, "print the result as JSON")
	return fs, cmd.Setup(fs)
}

// find returns the command whose name is the longest prefix of args.
func (a *App) find(args []string) (*Command, []string) {
	for n := min(2, len(args)); n > 0; n-- {
		name := strings.Join(args[:n], " ")
		for _, c := range a.Commands {
			if c.Name == name {
				return c, args[n:]
			}
		}
	}
	return nil, nil
}

func (a *App) usage(w io.Writer) {
	fmt.Fprintf(w, "%s: %s\n\nUsage: %s COMMAND [ARGUMENTS] [FLAGS]\n\nCommands:\n", a.Name, a.Short, a.Name)
	width := len("completion bash|zsh|fish")
	for _, c := range a.Commands {
		width = max(width, len(c.head()))
	}
	for _, c := range a.Commands {
		fmt.Fprintf(w, "  %-*s  %s\n", width, c.head(), c.Short)
	}
	fmt.Fprintf(w, "  %-*s  %s\n", width, "completion bash|zsh|fish", "print a shell completion script")
	fmt.Fprintf(w, "  %-*s  %s\n", width, "help [COMMAND]", "explain a command")
	fmt.Fprintf(w, "  %-*s  %s\n", width, "version", "print the version")
	fmt.Fprintf(w, "\nExit codes: 0 verified or done, 1 usage or internal, 2 evidence false, 3 could not find out,\n4 refused by policy, 5 chain disagrees.\n")
	if a.Footer != "" {
		fmt.Fprintf(w, "\n%s\n", a.Footer)
	}
}

func (c *Command) head() string {
	if c.Args == "" {
		return c.Name
	}
	return c.Name + " " + c.Args
}

func (a *App) help(w io.Writer, cmd *Command, fs *flag.FlagSet) {
	fmt.Fprintf(w, "Usage: %s %s [FLAGS]\n\n%s.\n", a.Name, cmd.head(), strings.TrimSuffix(upperFirst(cmd.Short), "."))
	if cmd.Long != "" {
		fmt.Fprintf(w, "\n%s\n", strings.TrimSpace(cmd.Long))
	}
	fmt.Fprintf(w, "\nFlags:\n")
	fs.VisitAll(func(f *flag.Flag) {
		arg, usage := flag.UnquoteUsage(f)
		name := "--" + f.Name
		if arg != "" {
			name += " " + strings.ToUpper(arg)
		}
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "0" && f.DefValue != "0s" {
			usage += " (default " + f.DefValue + ")"
		}
		fmt.Fprintf(w, "  %-24s  %s\n", name, usage)
	})
	if cmd.Example != "" {
		fmt.Fprintf(w, "\nExample:\n  %s\n", cmd.Example)
	}
}

func upperFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// Version returns the version of the running program from its build
// information: the module version of a release, or the revision of the source.
func Version() string {
	bi, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := bi.Main.Version
	if v == "" || v == "(devel)" {
		v = "devel"
		for _, s := range bi.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 12 {
				v = "devel-" + s.Value[:12]
			}
		}
	}
	return v
}

func (a *App) completion(env *Env, args []string) error {
	if len(args) != 1 {
		return fault.BadInput("completion: name one shell: bash, zsh or fish")
	}
	words := []string{"help", "version", "completion"}
	flags := map[string][]string{}
	for _, c := range a.Commands {
		first, second, two := strings.Cut(c.Name, " ")
		if !slices.Contains(words, first) {
			words = append(words, first)
		}
		if two {
			flags[first] = append(flags[first], second)
		}
		fs, _ := a.flags(c, &Env{})
		fs.VisitAll(func(f *flag.Flag) {
			if n := "--" + f.Name; !slices.Contains(flags[first], n) {
				flags[first] = append(flags[first], n)
			}
		})
	}
	slices.Sort(words)
	fn := "_" + strings.ReplaceAll(a.Name, "-", "_")
	w := env.Stdout
	switch args[0] {
	case "zsh":
		fmt.Fprintf(w, "autoload -U +X bashcompinit && bashcompinit\n")
		fallthrough
	case "bash":
		fmt.Fprintf(w, "%s() {\n  local cur=${COMP_WORDS[COMP_CWORD]}\n  if [ \"$COMP_CWORD\" -eq 1 ]; then COMPREPLY=($(compgen -W '%s' -- \"$cur\")); return; fi\n  case ${COMP_WORDS[1]} in\n", fn, strings.Join(words, " "))
		for _, c := range words {
			if len(flags[c]) > 0 {
				fmt.Fprintf(w, "    %s) COMPREPLY=($(compgen -f -W '%s' -- \"$cur\")) ;;\n", c, strings.Join(flags[c], " "))
			}
		}
		fmt.Fprintf(w, "  esac\n}\ncomplete -F %s %s\n", fn, a.Name)
	case "fish":
		fmt.Fprintf(w, "complete -c %s -n __fish_use_subcommand -f -a '%s'\n", a.Name, strings.Join(words, " "))
		for _, c := range words {
			for _, f := range flags[c] {
				if long, ok := strings.CutPrefix(f, "--"); ok {
					fmt.Fprintf(w, "complete -c %s -n '__fish_seen_subcommand_from %s' -l %s\n", a.Name, c, long)
				} else {
					fmt.Fprintf(w, "complete -c %s -n '__fish_seen_subcommand_from %s' -a %s\n", a.Name, c, f)
				}
			}
		}
	default:
		return fault.BadInput("completion: unknown shell %q; bash, zsh and fish are known", args[0])
	}
	return nil
}
