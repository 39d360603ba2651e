// Package command is the frame of this module's programs: sub-commands with
// private flag sets, help, version, shell completion, and exit codes by error
// family (docs/spec/exit-codes.md).
//
// Results go to standard output; everything else goes to standard error with
// the program's name in front. With --json, standard output gets JSON and
// nothing else: the result, or an object with the one key "error". A command
// returns an error and never exits.
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
	Args    string // "PROMPT|-"; empty: it takes none
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

	name, command string
}

// Logf writes one line for people to standard error.
func (e *Env) Logf(format string, a ...any) {
	fmt.Fprintf(e.Stderr, e.name+": "+format+"\n", a...)
}

// Need takes names of flags and their values in turn, and names those that have
// none: they are needed. That is bad input.
func (e *Env) Need(flags ...string) error {
	var missing []string
	for i := 0; i < len(flags); i += 2 {
		if flags[i+1] == "" {
			missing = append(missing, flags[i])
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return fault.BadInput("%s needs %s; --help explains", e.command, strings.Join(missing, ", "))
}

// PrintJSON writes v to standard output as indented JSON.
func (e *Env) PrintJSON(v any) error {
	enc := json.NewEncoder(e.Stdout)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// Main runs the program with the process's arguments and streams, and exits.
// The first SIGINT, SIGTERM or SIGHUP cancels the context, the second ends the
// process at once. A SIGHUP that the caller ignores (nohup) stays ignored.
func (a *App) Main() {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	context.AfterFunc(ctx, stop)
	code := a.Run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// Run runs the program and returns its exit code.
func (a *App) Run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	env := &Env{Stdin: stdin, Stdout: stdout, Stderr: stderr, name: a.Name}
	err := a.dispatch(ctx, env, args)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = errInterrupted
	}
	return env.report(err)
}

// dispatch finds the command and runs it.
func (a *App) dispatch(ctx context.Context, env *Env, args []string) error {
	if len(args) == 0 {
		a.usage(env.Stderr)
		return fault.BadInput("a command is needed; `%s help` lists them", a.Name)
	}
	env.JSON = asksJSON(args)
	if len(args) == 2 && slices.Contains([]string{"-h", "-help", "--help"}, args[1]) && a.helpBuiltin(env.Stdout, args[0]) {
		return nil
	}
	switch args[0] {
	case "help", "-h", "-help", "--help":
		return a.helpOn(env, args[1:])
	case "version", "-version", "--version":
		return a.version(env, args[1:])
	case "completion":
		return a.completion(env, args[1:])
	}
	cmd, rest := a.find(args)
	if cmd == nil {
		return a.unknown(env, args)
	}
	fs, run := a.flags(cmd, env)
	pos, err := parseInterspersed(fs, rest)
	if errors.Is(err, flag.ErrHelp) {
		a.help(env.Stdout, cmd, fs)
		return nil
	}
	if err != nil {
		env.JSON = asksJSON(args)
		return fault.BadInput("%s: %s; `%s help %s` explains", cmd.Name, longFlags(err), a.Name, cmd.Name)
	}
	if cmd.Args == "" && len(pos) > 0 {
		return fault.BadInput("%s takes no arguments; --help explains", cmd.Name)
	}
	env.Args, env.command = pos, cmd.Name
	return run(ctx, env)
}

// asksJSON looks for --json before the flags are parsed: that they can't be
// parsed is an answer in JSON too.
func asksJSON(args []string) bool {
	if i := slices.Index(args, "--"); i >= 0 {
		args = args[:i]
	}
	return slices.Contains(args, "--json") || slices.Contains(args, "-json")
}

// unknown says what is wrong with a name that is no command: it may be the first
// word of several.
func (a *App) unknown(env *Env, args []string) error {
	group := a.group(args[0])
	if group == nil {
		return fault.BadInput("unknown command %q; `%s help` lists them", args[0], a.Name)
	}
	if slices.ContainsFunc(args[1:], func(s string) bool { return s == "-h" || s == "-help" || s == "--help" }) {
		return a.helpOn(env, args[:1])
	}
	names := make([]string, len(group))
	for i, c := range group {
		names[i] = c.Name
	}
	return fault.BadInput("%s is one of: %s; `%s help %s` explains", args[0], strings.Join(names, ", "), a.Name, args[0])
}

// group returns the commands of two words that start with this one.
func (a *App) group(first string) []*Command {
	var out []*Command
	for _, c := range a.Commands {
		if strings.HasPrefix(c.Name, first+" ") {
			out = append(out, c)
		}
	}
	return out
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

// longFlags writes the flags in an error of package flag as help writes them.
func longFlags(err error) string {
	return strings.NewReplacer(
		"flag provided but not defined: -", "unknown flag --",
		"flag needs an argument: -", "no value given for --",
		" for flag -", " for flag --",
		" for -", " for --", // a boolean flag
	).Replace(err.Error())
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
