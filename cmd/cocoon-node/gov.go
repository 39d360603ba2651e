package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/registry"
	"github.com/cocoon-go/cocoon/host"
	"github.com/cocoon-go/cocoon/internal/atomicfile"
	"github.com/cocoon-go/cocoon/internal/command"
)

var (
	govShowCommand = &command.Command{
		Name: "gov show", Short: "show the registry's governance, lists, parameters and open proposals",
		Long:    "With a file it shows that proposal: what it does, when, and who has approved it.",
		Args:    "[FILE]",
		Example: "cocoon-node gov show --ton-config global.json --registry registry.txt",
		Setup: func(fs *flag.FlagSet) func(context.Context, *command.Env) error {
			ton := fs.String("ton-config", "", "TON global config `file`")
			reg := fs.String("registry", "", "`address` of the registry, or a file that holds it")
			return func(ctx context.Context, env *command.Env) error { return govShow(ctx, env, *ton, *reg) }
		},
	}
	govProposeCommand = &command.Command{
		Name: "gov propose", Args: "ACTION [VALUE]", Short: "write a proposal of the registry's governance to a file",
		Long: "Actions: " + strings.Join(host.Actions(), ", ") + ".\n" +
			"VALUE is a digest, a number, a TDX quote's file (floors), or a file with JSON. What tightens\n" +
			"happens when the approvals arrive; everything else waits for the governance delay.",
		Example: "cocoon-node gov propose remove-measurement 5b5ab5aa… --out p.json --ton-config global.json --registry registry.txt",
		Setup: func(fs *flag.FlagSet) func(context.Context, *command.Env) error {
			ton := fs.String("ton-config", "", "TON global config `file`")
			reg := fs.String("registry", "", "`address` of the registry, or a file that holds it")
			out := fs.String("out", "", "new `file` for the proposal")
			open := fs.Duration("open", 72*time.Hour, "`time` for approvals")
			return func(ctx context.Context, env *command.Env) error {
				return govPropose(ctx, env, *ton, *reg, *out, *open)
			}
		},
	}
	govSignCommand = &command.Command{
		Name: "gov sign", Args: "FILE", Short: "add a governor's approval to a proposal",
		Long: "Read it before, whole: `cocoon-node gov show FILE`. It is printed again once it is signed. The key\n" +
			"must be one of the registry's governance, and the proposal for the chain of --ton-config.",
		Example: "cocoon-node gov sign p.json --key governor.key --ton-config global.json",
		Setup: func(fs *flag.FlagSet) func(context.Context, *command.Env) error {
			ton := fs.String("ton-config", "", "TON global config `file`")
			key := fs.String("key", "", "`file` with the governor's key: 24 words or 64 hex digits")
			return func(ctx context.Context, env *command.Env) error { return govSign(ctx, env, *ton, *key) }
		},
	}
	govSubmitCommand = govSend("gov submit", "FILE", "send a proposal with its approvals to the registry",
		func(arg string) (action, error) {
			p, err := readProposal(arg)
			return func(ctx context.Context, o *host.Operator) error { return o.Submit(ctx, p) }, err
		})
	govExecuteCommand = govSend("gov execute", "NUMBER", "carry out a proposal whose delay is over",
		func(arg string) (action, error) {
			n, err := strconv.ParseUint(arg, 10, 32)
			if err != nil {
				return nil, attestation.BadInput("%q is not the number of a proposal", arg)
			}
			return func(ctx context.Context, o *host.Operator) error { return o.Execute(ctx, uint32(n)) }, nil
		})
)

// govSend makes a command that sends one message to the registry. prepare reads
// the argument, before anything is opened or made.
func govSend(name, arg, short string, prepare func(arg string) (action, error)) *command.Command {
	return &command.Command{
		Name: name, Args: arg, Short: short, Long: "Anybody may send it; the wallet pays the fees.", Example: "cocoon-node " + name + " " + arg + flagsExample,
		Setup: func(fs *flag.FlagSet) func(context.Context, *command.Env) error {
			var f operatorFlags
			f.register(fs)
			return func(ctx context.Context, env *command.Env) error {
				if len(env.Args) != 1 {
					return attestation.BadInput("%s takes one argument (%s); --help explains", name, arg)
				}
				if err := f.check(); err != nil {
					return err
				}
				do, err := prepare(env.Args[0])
				if err != nil {
					return err
				}
				return f.run(ctx, env, do, func(o *host.Operator) error {
					return showRoot(ctx, env, registry.Reader{Reader: o.Client}, o.Registry)
				})
			}
		},
	}
}

// openRegistry connects for reading.
func openRegistry(ctx context.Context, ton, reg string) (*chain.Client, attestation.Address, error) {
	var root attestation.Address
	if ton == "" || reg == "" {
		return nil, root, attestation.BadInput("--ton-config and --registry are needed; --help explains")
	}
	root, err := command.ReadAddress(reg)
	if err != nil {
		return nil, root, err
	}
	c, err := dial(ctx, ton)
	return c, root, err
}

func govShow(ctx context.Context, env *command.Env, ton, reg string) error {
	if len(env.Args) == 1 {
		p, err := readProposal(env.Args[0])
		if err != nil {
			return err
		}
		return printProposal(env, p)
	}
	if len(env.Args) > 1 {
		return attestation.BadInput("gov show takes at most one file; --help explains")
	}
	c, root, err := openRegistry(ctx, ton, reg)
	if err != nil {
		return err
	}
	defer c.Close()
	return showRoot(ctx, env, registry.Reader{Reader: c}, root)
}

func showRoot(ctx context.Context, env *command.Env, r registry.Reader, addr attestation.Address) error {
	root, err := r.Root(ctx, addr)
	if err != nil {
		return err
	}
	s := root.State
	var keys, measurements, models []string
	for i := range len(s.Governance.Keys) {
		k := s.Governance.Keys[uint8(i)]
		keys = append(keys, hex.EncodeToString(k[:]))
	}
	for _, m := range root.Measurements {
		measurements = append(measurements, hex.EncodeToString(m[:]))
	}
	for _, m := range root.Models {
		models = append(models, hex.EncodeToString(m[:]))
	}
	if env.JSON {
		open := map[uint32]any{}
		for n, p := range s.Proposals {
			open[n] = map[string]any{"execute_after": unix(p.ExecuteAfter), "execute_before": unix(p.ExecuteBefore), "action_hash": hex.EncodeToString(p.Action.Hash())}
		}
		return env.PrintJSON(map[string]any{
			"registry": root.Address, "block": root.At.Seqno, "paused": root.Paused, "threshold": s.Governance.Threshold, "keys": keys,
			"measurements": measurements, "models": models, "params": s.Params, "next_proposal": s.NextProposal, "proposals": open, "nodes": len(root.Nodes),
		})
	}
	fmt.Fprintf(env.Stdout, "registry      %v (block %d)\nregistration  %s\ngovernance    %d of %d keys\n", root.Address, root.At.Seqno,
		map[bool]string{true: "paused", false: "open"}[root.Paused], s.Governance.Threshold, len(keys))
	for i, k := range keys {
		fmt.Fprintf(env.Stdout, "  key %-8d %s\n", i, k)
	}
	for _, m := range measurements {
		fmt.Fprintf(env.Stdout, "measurement   %s\n", m)
	}
	for _, m := range models {
		fmt.Fprintf(env.Stdout, "model         %s\n", m)
	}
	fmt.Fprintf(env.Stdout, "nodes         %d\nnext proposal %d\n", len(root.Nodes), s.NextProposal)
	for _, n := range slices.Sorted(keysOf(s.Proposals)) {
		p := s.Proposals[n]
		fmt.Fprintf(env.Stdout, "proposal %-4d may be executed from %s to %s, action hash %x\n", n, unix(p.ExecuteAfter), unix(p.ExecuteBefore), p.Action.Hash())
	}
	return nil
}

func unix(t uint32) string { return time.Unix(int64(t), 0).UTC().Format(time.RFC3339) }

func keysOf[K comparable, V any](m map[K]V) func(func(K) bool) {
	return func(yield func(K) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func govPropose(ctx context.Context, env *command.Env, ton, reg, out string, open time.Duration) error {
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
	c, root, err := openRegistry(ctx, ton, reg)
	if err != nil {
		return err
	}
	defer c.Close()
	p, err := host.Propose(ctx, registry.Reader{Reader: c}, root, env.Args[0], raw, open)
	if err != nil {
		return err
	}
	if err := writeProposal(out, p, atomicfile.Create); err != nil {
		return err
	}
	return printProposal(env, p)
}

// proposalValue makes the JSON value of an action.
func proposalValue(action, v string) (json.RawMessage, error) {
	switch {
	case v == "":
		return nil, nil
	case action == "cancel":
		return json.RawMessage(v), nil
	case action == "raise-floor" || action == "set-floor":
		quote, err := command.ReadFile(v, 1<<20)
		if err != nil {
			return nil, err
		}
		return json.Marshal(hex.EncodeToString(quote))
	case action == "add-model" || strings.HasPrefix(action, "set-"):
		data, err := command.ReadFile(v, 64<<10)
		if err != nil {
			return nil, err
		}
		var b bytes.Buffer
		if err := json.Compact(&b, data); err != nil {
			return nil, attestation.BadInput("%s: %w", v, err)
		}
		return b.Bytes(), nil
	}
	return json.Marshal(v)
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
	err = write(path, append(data, '\n'), 0o644)
	if errors.Is(err, os.ErrExist) {
		return attestation.BadInput("%s exists, and nothing is overwritten: name another", path)
	}
	return err
}

func printProposal(env *command.Env, p *host.Proposal) error {
	if env.JSON {
		return env.PrintJSON(p)
	}
	waits, err := p.Waits()
	if err != nil {
		return err
	}
	when := "at once when it is submitted"
	if waits {
		when = "after the governance delay"
	}
	fmt.Fprintf(env.Stdout, "registry   %v\nchain      %d\nproposal   %d\naction     %s %s\nhappens    %s\nexpires    %s\napprovals  %d\n",
		p.Registry, p.ChainID, p.Number, p.Action, valueText(p.Value), when, p.Expires.Format(time.RFC3339), len(p.Approvals))
	return nil
}

// valueText writes a whole value, as whoever signs it has to read it: on one
// line, and without characters that terminals obey or hide.
func valueText(raw json.RawMessage) string {
	var b bytes.Buffer
	if len(raw) == 0 || json.Compact(&b, raw) != nil {
		return ""
	}
	var out strings.Builder
	for _, r := range b.String() {
		if r == ' ' || unicode.IsPrint(r) {
			out.WriteRune(r)
		} else {
			fmt.Fprintf(&out, "\\u%04x", r)
		}
	}
	return out.String()
}

func govSign(ctx context.Context, env *command.Env, ton, keyFile string) error {
	if len(env.Args) != 1 || ton == "" || keyFile == "" {
		return attestation.BadInput("gov sign needs one file, --key and --ton-config; --help explains")
	}
	p, err := readProposal(env.Args[0])
	if err != nil {
		return err
	}
	key, err := walletKey(env, keyFile)
	if err != nil {
		return err
	}
	c, err := dial(ctx, ton)
	if err != nil {
		return err
	}
	defer c.Close()
	id, err := c.ChainID(ctx)
	if err != nil {
		return err
	}
	if err := p.CheckChain(id); err != nil {
		return err
	}
	root, err := registry.Reader{Reader: c}.Root(ctx, p.Registry)
	if err != nil {
		return err
	}
	if err := p.Sign(root.State.Governance, key); err != nil {
		return err
	}
	if err := writeProposal(env.Args[0], p, atomicfile.Write); err != nil {
		return err
	}
	return printProposal(env, p)
}
