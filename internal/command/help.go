package command

import (
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/cocoon-go/cocoon/attestation/fault"
)

// builtin are the commands that every program has.
var builtin = [][2]string{
	{"completion bash|zsh|fish", "print a shell completion script"},
	{"help [COMMAND]", "explain a command"},
	{"version", "print the version"},
}

// helpOn explains one command, the commands that start with a word, or, without
// arguments, all of them.
func (a *App) helpOn(env *Env, args []string) error {
	if len(args) == 0 {
		a.usage(env.Stdout)
		return nil
	}
	if cmd, rest := a.find(args); cmd != nil && len(rest) == 0 {
		fs, _ := a.flags(cmd, env)
		a.help(env.Stdout, cmd, fs)
		return nil
	}
	if group := a.group(args[0]); len(group) > 0 && len(args) == 1 {
		fmt.Fprintf(env.Stdout, "Usage: %s %s COMMAND [ARGUMENTS] [FLAGS]\n\nCommands:\n", a.Name, args[0])
		list(env.Stdout, group, nil)
		fmt.Fprintf(env.Stdout, "\n`%s help %s` explains the first of them.\n", a.Name, group[0].Name)
		return nil
	}
	if len(args) == 1 && a.helpBuiltin(env.Stdout, args[0]) {
		return nil
	}
	return fault.BadInput("there is no command %q; `%s help` lists them", strings.Join(args, " "), a.Name)
}

// helpBuiltin explains a command that every program has; false: it is none.
func (a *App) helpBuiltin(w io.Writer, name string) bool {
	for _, b := range builtin {
		if word, _, _ := strings.Cut(b[0], " "); word == name {
			fmt.Fprintf(w, "Usage: %s %s\n\n%s%s.\n", a.Name, b[0], strings.ToUpper(b[1][:1]), b[1][1:])
			return true
		}
	}
	return false
}

// list prints commands in two columns.
func list(w io.Writer, commands []*Command, more [][2]string) {
	var lines [][2]string
	for _, c := range commands {
		lines = append(lines, [2]string{c.head(), c.Short})
	}
	lines = append(lines, more...)
	width := 0
	for _, l := range lines {
		width = max(width, len(l[0]))
	}
	for _, l := range lines {
		fmt.Fprintf(w, "  %-*s  %s\n", width, l[0], l[1])
	}
}

func (a *App) usage(w io.Writer) {
	fmt.Fprintf(w, "%s: %s\n\nUsage: %s COMMAND [ARGUMENTS] [FLAGS]\n\nCommands:\n", a.Name, a.Short, a.Name)
	list(w, a.Commands, builtin)
	fmt.Fprintf(w, "\nEvery command but completion takes --json.\n")
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
	var lines [][2]string
	fs.VisitAll(func(f *flag.Flag) {
		arg, usage := flag.UnquoteUsage(f)
		name := "--" + f.Name
		if arg != "" {
			name += " " + strings.ToUpper(arg)
		}
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "0" && f.DefValue != "0s" {
			usage += " (default " + f.DefValue + ")"
		}
		lines = append(lines, [2]string{name, usage})
	})
	list(w, nil, lines)
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
