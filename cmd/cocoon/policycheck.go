package main

import (
	"context"
	"flag"
	"fmt"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/internal/command"
)

var policyCheckCommand = &command.Command{
	Name: "policy check", Args: "[FILE]", Short: "look for errors and contradictions in a policy",
	Long: "Every error is printed with its line: unknown keys, wrong values, settings that contradict\n" +
		"each other. A policy without errors may have warnings: what lowers safety, and what has no\n" +
		"effect. The default is policy.toml in the configuration directory.",
	Example: "cocoon policy check policy.toml",
	Setup: func(fs *flag.FlagSet) func(context.Context, *command.Env) error {
		return func(_ context.Context, env *command.Env) error {
			path, text, err := policyText(env)
			if err != nil {
				return err
			}
			return policyCheck(env, path, text)
		}
	},
}

var policyExplainCommand = &command.Command{
	Name: "policy explain", Args: "[FILE]", Short: "say in plain words what a policy demands",
	Long: "One line for each rule, under the name that checks of `cocoon verify` have. The default is\n" +
		"policy.toml in the configuration directory.",
	Example: "cocoon policy explain policy.toml",
	Setup: func(fs *flag.FlagSet) func(context.Context, *command.Env) error {
		return func(_ context.Context, env *command.Env) error {
			path, text, err := policyText(env)
			if err != nil {
				return err
			}
			return policyExplain(env, path, text)
		}
	},
}

// policyText reads the policy that is named, or the default one.
func policyText(env *command.Env) (path string, text []byte, err error) {
	if len(env.Args) > 1 {
		return "", nil, args(env, 1, "one policy")
	}
	name := ""
	if len(env.Args) == 1 {
		name = env.Args[0]
	}
	if path, err = file(name, "policy.toml", "policy", "`cocoon policy init` writes one"); err != nil {
		return "", nil, err
	}
	text, err = command.ReadFile(path, attestation.MaxPolicySize)
	return path, text, err
}

func policyCheck(env *command.Env, path string, text []byte) error {
	p, err := attestation.ParsePolicy(text)
	errs, warnings := attestation.PolicyProblems(err), []attestation.PolicyProblem{}
	if err != nil && len(errs) == 0 {
		return fmt.Errorf("%s: %w", path, err)
	}
	if p != nil {
		warnings = append(warnings, p.Warnings()...)
	}
	if env.JSON {
		if perr := env.PrintJSON(map[string]any{
			"policy": path, "valid": err == nil, "simulated": p != nil && simulated(p),
			"errors": append([]attestation.PolicyProblem{}, errs...), "warnings": warnings,
		}); perr != nil {
			return perr
		}
	} else {
		printProblems(env, path, "ERROR", errs)
		printProblems(env, path, "WARNING", warnings)
	}
	if err != nil {
		env.Logf("%s: %s", path, count(len(errs), "error"))
		return &command.ReportedError{Err: err}
	}
	if !env.JSON {
		fmt.Fprintf(env.Stdout, "VALID  %s (%s)\n", path, count(len(warnings), "warning"))
	}
	return nil
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func printProblems(env *command.Env, path, word string, list []attestation.PolicyProblem) {
	for i := range list {
		q := list[i]
		where := path
		if q.Line > 0 {
			where = fmt.Sprintf("%s:%d", path, q.Line)
			q.Line = 0
		}
		fmt.Fprintf(env.Stdout, "%s  %s: %v\n", word, where, &q)
	}
}

func policyExplain(env *command.Env, path string, text []byte) error {
	p, err := attestation.ParsePolicy(text)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	rules := p.Explain()
	if env.JSON {
		return env.PrintJSON(map[string]any{"policy": path, "simulated": simulated(p), "rules": rules})
	}
	warnSimulated(env.Stdout, simulated(p))
	for _, r := range rules {
		fmt.Fprintf(env.Stdout, "%-32s  %s\n", r.Rule, r.Text)
	}
	return nil
}
