package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/registry"
	"github.com/cocoon-go/cocoon/chain/tonfile"
	"github.com/cocoon-go/cocoon/host"
	"github.com/cocoon-go/cocoon/internal/command"
)

var (
	govShowCommand = &command.Command{
		Name: "gov show", Short: "show the registry's governance, lists, parameters and open proposals",
		Long: "With a file it shows that proposal: what it changes, in words, from what to what, when, and whose\n" +
			"approvals hold. That needs --ton-config; with --registry too it must be for that registry. A proposal\n" +
			"that can't be submitted any more is shown, and the exit code says why.",
		Args:    "[FILE]",
		Example: "cocoon-node gov show --ton-config global.json --registry registry.txt",
		Setup: func(fs *flag.FlagSet) func(context.Context, *command.Env) error {
			var ton tonfile.Flags
			ton.Register(fs, "TON global config `file`")
			reg := fs.String("registry", "", "`address` of the registry, or a file that holds it")
			return func(ctx context.Context, env *command.Env) error { return govShow(ctx, env, ton, *reg) }
		},
	}
	govProposeCommand = &command.Command{
		Name: "gov propose", Args: "ACTION [VALUE]", Short: "write a proposal of the registry's governance to a file",
		Long:    actionsHelp() + "\nWhat tightens happens when the approvals arrive; everything else waits for the governance delay.",
		Example: "cocoon-node gov propose remove-measurement 5b5ab5aa… --out p.json --ton-config global.json --registry registry.txt",
		Setup: func(fs *flag.FlagSet) func(context.Context, *command.Env) error {
			var ton tonfile.Flags
			ton.Register(fs, "TON global config `file`")
			reg := fs.String("registry", "", "`address` of the registry, or a file that holds it")
			out := fs.String("out", "", "new `file` for the proposal")
			open := fs.Duration("open", 72*time.Hour, "`time` for approvals")
			return func(ctx context.Context, env *command.Env) error {
				return govPropose(ctx, env, ton, *reg, *out, *open)
			}
		},
	}
	govSignCommand = &command.Command{
		Name: "gov sign", Args: "FILE", Short: "add a governor's approval to a proposal",
		Long: "Shows what `cocoon-node gov show FILE` shows, and asks: type the name of the action to sign it.\n" +
			"Where nobody can be asked, --yes says that it was read. The key must be one of the registry's\n" +
			"governance; a proposal that can't be submitted any more, or that was changed after an approval,\n" +
			"is not signed.",
		Example: "cocoon-node gov sign p.json --key governor.key --ton-config global.json --registry registry.txt",
		Setup: func(fs *flag.FlagSet) func(context.Context, *command.Env) error {
			var f signFlags
			f.ton.Register(fs, "TON global config `file`")
			fs.StringVar(&f.registry, "registry", "", "`address` of the registry that the proposal must be for, or a file that holds it")
			fs.StringVar(&f.key, "key", "", "`file` with the governor's key: 24 words or 64 hex digits")
			fs.BoolVar(&f.yes, "yes", false, "sign without asking")
			return func(ctx context.Context, env *command.Env) error { return govSign(ctx, env, &f) }
		},
	}
	govSubmitCommand = govSend("gov submit", "FILE", "send a proposal with its approvals to the registry",
		func(arg string) (*govMessage, error) {
			p, err := readProposal(arg)
			if err != nil {
				return nil, err
			}
			d, err := p.Decision()
			if err != nil {
				return nil, err
			}
			return &govMessage{
				send:   func(ctx context.Context, o *host.Operator) error { return o.Submit(ctx, p) },
				judges: func(*registry.Root) bool { return contracts.Tightens(d.Action) && host.Judges(d.Action) },
			}, nil
		})
	govExecuteCommand = govSend("gov execute", "NUMBER", "carry out a proposal whose delay is over",
		func(arg string) (*govMessage, error) {
			n, err := strconv.ParseUint(arg, 10, 32)
			if err != nil {
				return nil, attestation.BadInput("%q is not the number of a proposal", arg)
			}
			return &govMessage{
				send:   func(ctx context.Context, o *host.Operator) error { return o.Execute(ctx, uint32(n)) },
				judges: func(root *registry.Root) bool { return proposalJudges(root, uint32(n)) },
			}, nil
		})
)

// govMessage is a message to the registry. judges says, by the registry before it,
// whether it can change what is said to nodes that are registered.
type govMessage struct {
	send   action
	judges func(*registry.Root) bool
}

// proposalJudges is govMessage.judges for a proposal that waits. One that is gone may
// have been carried out by the same command before.
func proposalJudges(root *registry.Root, number uint32) bool {
	p, waits := root.State.Proposals[number]
	if !waits {
		return true
	}
	a, err := contracts.ParseAction(p.Action)
	return err == nil && host.Judges(a)
}

// govSend makes a command that sends one message to the registry. prepare reads
// the argument, before anything is opened or made.
func govSend(name, arg, short string, prepare func(arg string) (*govMessage, error)) *command.Command {
	return &command.Command{
		Name: name, Args: arg, Short: short,
		Long: "Anybody may send it; the wallet pays the fees. A registration that the new policy refuses goes on until\n" +
			"somebody has its node rechecked: the nodes that are hit are listed, and with --recheck they are\n" +
			"rechecked at once (`cocoon-node recheck --all` does it later).",
		Example: "cocoon-node " + name + " " + arg + flagsExample,
		Setup: func(fs *flag.FlagSet) func(context.Context, *command.Env) error {
			var f operatorFlags
			f.register(fs)
			recheck := fs.Bool("recheck", false, "recheck the nodes that it hits")
			return func(ctx context.Context, env *command.Env) error {
				if len(env.Args) != 1 {
					return attestation.BadInput("%s takes one argument (%s); --help explains", name, arg)
				}
				if err := f.check(env); err != nil {
					return err
				}
				m, err := prepare(env.Args[0])
				if err != nil {
					return err
				}
				var judges bool
				do := func(ctx context.Context, o *host.Operator) error {
					root, err := o.Root(ctx)
					judges = err == nil && m.judges(root)
					return m.send(ctx, o) // which says what is wrong with the registry
				}
				return f.run(ctx, env, do, func(o *host.Operator) error { return afterGov(ctx, env, o, judges, *recheck) })
			}
		},
	}
}

// afterGov prints the registry after a message to it, with the nodes that the new
// policy hits.
func afterGov(ctx context.Context, env *command.Env, o *host.Operator, judges, recheck bool) error {
	root, err := o.Root(ctx)
	if err != nil {
		return err
	}
	if !judges {
		return printRegistry(env, root)
	}
	if err := o.Told(); err != nil { // the message itself is done, whatever becomes of the rest
		return err
	}
	hits, problem := hit(ctx, o, root)
	if problem != nil {
		env.Logf("not all nodes that are hit are known; `cocoon-node recheck --all` looks again: %v", problem)
		problem = nil
	}
	if recheck {
		problem = recheckThem(ctx, o, hits)
	}
	report := reportOf(root)
	report.Hits = hits
	return errors.Join(report.print(env, root.State.Params), problem)
}

// openRegistry connects for reading.
func openRegistry(ctx context.Context, env *command.Env, ton tonfile.Flags, reg string) (*chain.Client, attestation.Address, error) {
	var root attestation.Address
	if err := env.Need("--ton-config", ton.Config+ton.Network, "--registry", reg); err != nil {
		return nil, root, err
	}
	root, err := command.ReadAddress(reg)
	if err != nil {
		return nil, root, err
	}
	c, err := dial(ctx, env, ton)
	return c, root, err
}

func govPropose(ctx context.Context, env *command.Env, ton tonfile.Flags, reg, out string, open time.Duration) error {
	if len(env.Args) < 1 || len(env.Args) > 2 || out == "" {
		return attestation.BadInput("gov propose needs an action, a value if the action has one, and --out; --help explains")
	}
	if open <= 0 {
		return attestation.BadInput("--open: want a time such as 72h")
	}
	value := ""
	if len(env.Args) == 2 {
		value = env.Args[1]
	}
	raw, err := proposalValue(env.Args[0], value)
	if err != nil {
		return err
	}
	c, root, err := openRegistry(ctx, env, ton, reg)
	if err != nil {
		return err
	}
	defer c.Close()
	p, err := host.Propose(ctx, registry.Reader{Reader: c}, root, env.Args[0], raw, open)
	if err != nil {
		return err
	}
	r, _, err := review(ctx, c, p, root)
	if err != nil {
		return err
	}
	if err := r.Err(); err != nil {
		return err
	}
	if err := writeProposal(out, p, command.CreateFile); err != nil {
		return err
	}
	return printReview(env, r)
}

func readProposal(path string) (*host.Proposal, error) {
	data, err := command.ReadFile(path, 64<<10)
	if err != nil {
		return nil, err
	}
	p, err := host.ParseProposal(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return p, nil
}

func writeProposal(path string, p *host.Proposal, write func(string, []byte, os.FileMode) error) error {
	data, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	return write(path, append(data, '\n'), 0o644)
}
