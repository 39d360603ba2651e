package main

import (
	"context"
	"flag"
	"fmt"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/registry"
	"github.com/cocoon-go/cocoon/host"
	"github.com/cocoon-go/cocoon/internal/command"
)

var pruneCommand = &command.Command{
	Name: "prune", Short: "take nodes off the registry's list whose time there is over",
	Long: "A list has room for 16,384 nodes. Anybody may clean it up: a message looks at up to 40 entries, and\n" +
		"as many are sent as are needed, up to --messages. What would leave is found first, by proved state:\n" +
		"where nothing does nothing is paid. --dry-run pays nothing at all.",
	Example: "cocoon-node prune" + flagsExample,
	Setup: func(fs *flag.FlagSet) func(context.Context, *command.Env) error {
		var f operatorFlags
		f.register(fs)
		most := fs.Int("messages", 10, "`number` of messages that are sent, at most")
		dry := fs.Bool("dry-run", false, "say what would happen, and pay nothing")
		return func(ctx context.Context, env *command.Env) error { return prune(ctx, env, &f, *most, *dry) }
	},
}

// pruneReport is what prune prints as JSON.
type pruneReport struct {
	Registry attestation.Address `json:"registry"`
	DryRun   bool                `json:"dry_run"`
	Listed   int                 `json:"listed"`   // nodes on the list, before
	Messages []host.Pruning      `json:"messages"` // that were sent; of a dry run: that would be
	Left     int                 `json:"left"`     // messages that are needed beyond these
}

func prune(ctx context.Context, env *command.Env, f *operatorFlags, most int, dry bool) error {
	if most < 1 || most > contracts.MaxNodes {
		return attestation.BadInput("--messages %d: want a number from 1", most)
	}
	if err := f.check(env); err != nil {
		return err
	}
	return f.withRegistry(ctx, env, func(o *host.Operator, root *registry.Root) error {
		return pruneList(ctx, env, o, root, most, dry)
	})
}

func pruneList(ctx context.Context, env *command.Env, o *host.Operator, root *registry.Root, most int, dry bool) error {
	plan := host.PlanPruning(root)
	v := pruneReport{Registry: root.Address, DryRun: dry, Listed: len(root.Nodes), Messages: []host.Pruning{}}
	v.Left = max(0, len(plan)-most)
	for _, p := range plan[:len(plan)-v.Left] {
		if !dry {
			if err := o.Prune(ctx, p); err != nil {
				return fmt.Errorf("after %d messages: %w", len(v.Messages), err)
			}
		}
		v.Messages = append(v.Messages, p)
	}
	if env.JSON {
		return env.PrintJSON(v)
	}
	v.write(env)
	return nil
}

func (v *pruneReport) write(env *command.Env) {
	verb, nodes := "left", 0
	if v.DryRun {
		verb = "would leave"
	}
	for _, p := range v.Messages {
		nodes += p.Nodes
		for _, a := range p.Leaves {
			fmt.Fprintf(env.Stdout, "%v  %s the list\n", a, verb)
		}
	}
	fmt.Fprintf(env.Stdout, "%d of %d nodes %s the list, by %d messages\n", nodes, v.Listed, verb, len(v.Messages))
	if v.Left > 0 {
		fmt.Fprintf(env.Stdout, "%d more messages are needed: the same command again\n", v.Left)
	}
}
