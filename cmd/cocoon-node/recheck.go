package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/registry"
	"github.com/cocoon-go/cocoon/host"
	"github.com/cocoon-go/cocoon/internal/command"
)

var recheckCommand = &command.Command{
	Name: "recheck", Args: "[NODE...]", Short: "have the registry judge nodes by today's policy",
	Long: "A decision of the registry's governance (a measurement off the list, a raised floor, a revoked\n" +
		"machine) ends no registration by itself: it ends when somebody has the node rechecked, and anybody\n" +
		"may. --all looks at every node on the registry's list, and rechecks those that today's policy\n" +
		"refuses. What a recheck would do is found first, by proved state: where nothing changes nothing is\n" +
		"paid, and that is no error. A node whose registration is over gives its slot back by a recheck, and\n" +
		"its place on the list. --dry-run pays nothing at all.",
	Example: "cocoon-node recheck --all" + flagsExample,
	Setup: func(fs *flag.FlagSet) func(context.Context, *command.Env) error {
		var f operatorFlags
		f.register(fs)
		all := fs.Bool("all", false, "every node on the list that today's policy refuses")
		dry := fs.Bool("dry-run", false, "say what would happen, and pay nothing")
		return func(ctx context.Context, env *command.Env) error { return recheck(ctx, env, &f, *all, *dry) }
	},
}

// rechecked is a node that was looked at.
type rechecked struct {
	host.Foreseen
	Done bool `json:"done"` // it was paid for, and happened
}

// recheckReport is what recheck prints as JSON.
type recheckReport struct {
	Registry attestation.Address `json:"registry"`
	DryRun   bool                `json:"dry_run"`
	Listed   int                 `json:"listed"` // nodes on the registry's list
	Nodes    []*rechecked        `json:"nodes"`  // with --all those that it would end, and those that can't be read
	Error    *command.Failure    `json:"error,omitempty"`
}

func recheck(ctx context.Context, env *command.Env, f *operatorFlags, all, dry bool) error {
	if all == (len(env.Args) > 0) {
		return attestation.BadInput("recheck takes nodes, or --all; --help explains")
	}
	if err := f.check(env); err != nil {
		return err
	}
	var nodes []attestation.Address
	for _, s := range env.Args {
		a, err := command.ParseAddress(s)
		if err != nil {
			return fmt.Errorf("node %w", err)
		}
		nodes = append(nodes, a)
	}
	return f.withRegistry(ctx, env, func(o *host.Operator, root *registry.Root) error {
		v := recheckReport{Registry: root.Address, DryRun: dry, Listed: len(root.Nodes)}
		var problem error
		if all {
			v.Nodes, problem = hit(ctx, o, root)
		} else {
			v.Nodes, problem = foreseeNodes(ctx, o, root, nodes)
		}
		if !dry {
			problem = errors.Join(problem, recheckThem(ctx, o, v.Nodes))
		}
		return v.report(env, problem)
	})
}

// hit returns the nodes of the list whose registration today's policy refuses, and
// those that can't be read.
func hit(ctx context.Context, o *host.Operator, root *registry.Root) (out []*rechecked, err error) {
	all, err := host.ForeseeAll(ctx, registry.Reader{Reader: o.Client}, root)
	for _, f := range all {
		if f.Effect == host.EffectEnds || f.Effect == host.EffectUnknown {
			out = append(out, &rechecked{Foreseen: f})
		}
	}
	return out, err
}

func foreseeNodes(ctx context.Context, o *host.Operator, root *registry.Root, nodes []attestation.Address) (out []*rechecked, err error) {
	var errs []error
	for _, a := range nodes {
		f, err := host.Foresee(ctx, registry.Reader{Reader: o.Client}, root, a)
		if err != nil {
			err = fmt.Errorf("node %v: %w", a, err)
			f = host.Foreseen{Node: a, Effect: host.EffectUnknown, Reason: "its record can't be had", Error: err.Error()}
			errs = append(errs, err)
		}
		out = append(out, &rechecked{Foreseen: f})
	}
	return out, errors.Join(errs...)
}

// recheckThem pays for those where something changes. One that fails does not keep the
// others.
func recheckThem(ctx context.Context, o *host.Operator, nodes []*rechecked) error {
	var errs []error
	for _, n := range nodes {
		if n.Effect == host.EffectNone || n.Effect == host.EffectUnknown {
			continue
		}
		f, err := o.Recheck(ctx, n.Node)
		if err != nil {
			n.Error = err.Error()
			errs = append(errs, fmt.Errorf("node %v: %w", n.Node, err))
			continue
		}
		n.Foreseen, n.Done = f, f.Effect != host.EffectNone
	}
	return errors.Join(errs...)
}

func (v *recheckReport) report(env *command.Env, problem error) error {
	if problem != nil {
		f := command.FailureOf(problem)
		v.Error = &f
	}
	if v.Nodes == nil {
		v.Nodes = []*rechecked{}
	}
	if env.JSON {
		if err := env.PrintJSON(v); err != nil {
			return err
		}
	} else {
		writeRechecked(env.Stdout, v.Nodes)
		if len(v.Nodes) == 0 {
			fmt.Fprintf(env.Stdout, "today's policy refuses none of the %d nodes on the list\n", v.Listed)
		}
	}
	if problem == nil {
		return nil
	}
	env.Logf("%v", problem)
	return &command.ReportedError{Err: problem}
}

// verbs say an effect before it is paid for, and when it has happened.
var verbs = map[string][2]string{
	host.EffectEnds: {"would end", "ended"}, host.EffectClears: {"would be cleared", "cleared"}, host.EffectLists: {"would be listed", "listed"},
	host.EffectNone: {"unchanged", "unchanged"}, host.EffectWaits: {"waits", "waits"}, host.EffectUnknown: {"not known", "not known"},
}

func writeRechecked(w io.Writer, nodes []*rechecked) {
	for _, n := range nodes {
		verb := verbs[n.Effect][0]
		if n.Done {
			verb = verbs[n.Effect][1]
		}
		fmt.Fprintf(w, "%v  %-16s  %s\n", n.Node, verb, n.Reason)
	}
}
