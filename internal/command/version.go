package command

import (
	"fmt"
	"runtime/debug"

	"github.com/cocoon-go/cocoon/attestation/fault"
)

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

func (a *App) version(env *Env, args []string) error {
	for _, arg := range args {
		if arg != "--json" && arg != "-json" {
			return fault.BadInput("version takes no arguments but --json")
		}
	}
	if env.JSON {
		return env.PrintJSON(map[string]string{"program": a.Name, "version": Version()})
	}
	_, err := fmt.Fprintln(env.Stdout, a.Name, Version())
	return err
}
