package command

import (
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/cocoon-go/cocoon/attestation/fault"
)

// completion prints a script for a shell: commands, the second words of those
// that have two, and flags. Everything else is left to the shell's own
// completion of file names.
func (a *App) completion(env *Env, args []string) error {
	if len(args) != 1 {
		return fault.BadInput("completion: name one shell: bash, zsh or fish")
	}
	switch args[0] {
	case "bash":
		a.completeBash(env.Stdout)
	case "zsh":
		fmt.Fprintf(env.Stdout, "autoload -U +X compinit && compinit\nautoload -U +X bashcompinit && bashcompinit\n")
		a.completeBash(env.Stdout)
	case "fish":
		a.completeFish(env.Stdout)
	default:
		return fault.BadInput("completion: unknown shell %q; bash, zsh and fish are known", args[0])
	}
	return nil
}

// words returns the first words of all commands, sorted.
func (a *App) words() []string {
	words := []string{"help", "version", "completion"}
	for _, c := range a.Commands {
		first, _, _ := strings.Cut(c.Name, " ")
		words = append(words, first)
	}
	slices.Sort(words)
	return slices.Compact(words)
}

// seconds returns the second words of the commands that start with first.
func (a *App) seconds(first string) []string {
	var out []string
	for _, c := range a.group(first) {
		_, second, _ := strings.Cut(c.Name, " ")
		out = append(out, second)
	}
	return out
}

func (a *App) flagNames(c *Command) []string {
	var names []string
	fs, _ := a.flags(c, &Env{})
	fs.VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
	return names
}

func (a *App) completeBash(w io.Writer) {
	fn := "_" + strings.ReplaceAll(a.Name, "-", "_")
	fmt.Fprintf(w, "%s() {\n  local cur=${COMP_WORDS[COMP_CWORD]} cmd=${COMP_WORDS[1]}\n", fn)
	fmt.Fprintf(w, "  if [ \"$COMP_CWORD\" -eq 1 ]; then COMPREPLY=($(compgen -W '%s' -- \"$cur\")); return; fi\n  case $cmd in\n", strings.Join(a.words(), " "))
	fmt.Fprintf(w, "    completion) COMPREPLY=($(compgen -W 'bash zsh fish' -- \"$cur\")); return ;;\n")
	for _, first := range a.words() {
		if two := a.seconds(first); len(two) > 0 {
			fmt.Fprintf(w, "    %s)\n      if [ \"$COMP_CWORD\" -eq 2 ]; then COMPREPLY=($(compgen -W '%s' -- \"$cur\")); return; fi\n      cmd=\"$cmd ${COMP_WORDS[2]}\" ;;\n", first, strings.Join(two, " "))
		}
	}
	fmt.Fprintf(w, "  esac\n  case $cur in -*) ;; *) return ;; esac\n  case $cmd in\n")
	longest := slices.Clone(a.Commands) // "echo twice" before "echo"
	slices.SortStableFunc(longest, func(x, y *Command) int { return len(y.Name) - len(x.Name) })
	for _, c := range longest {
		fmt.Fprintf(w, "    '%s' | '%s '*) COMPREPLY=($(compgen -W '--%s' -- \"$cur\")) ;;\n", c.Name, c.Name, strings.Join(a.flagNames(c), " --"))
	}
	fmt.Fprintf(w, "  esac\n}\ncomplete -o default -F %s %s\n", fn, a.Name)
}

func (a *App) completeFish(w io.Writer) {
	fmt.Fprintf(w, "complete -c %s -n __fish_use_subcommand -f -a '%s'\n", a.Name, strings.Join(a.words(), " "))
	fmt.Fprintf(w, "complete -c %s -n '__fish_seen_subcommand_from completion' -f -a 'bash zsh fish'\n", a.Name)
	for _, first := range a.words() {
		if two := strings.Join(a.seconds(first), " "); two != "" {
			fmt.Fprintf(w, "complete -c %s -n '__fish_seen_subcommand_from %s; and not __fish_seen_subcommand_from %s' -f -a '%s'\n", a.Name, first, two, two)
		}
	}
	for _, c := range a.Commands {
		first, second, two := strings.Cut(c.Name, " ")
		when := "__fish_seen_subcommand_from " + first
		if two {
			when += "; and __fish_seen_subcommand_from " + second
		}
		for _, name := range a.flagNames(c) {
			fmt.Fprintf(w, "complete -c %s -n '%s' -l %s\n", a.Name, when, name)
		}
	}
}
