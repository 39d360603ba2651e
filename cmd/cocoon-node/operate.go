package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/registry"
	"github.com/cocoon-go/cocoon/chain/tonfile"
	"github.com/cocoon-go/cocoon/host"
	"github.com/cocoon-go/cocoon/internal/command"
)

// operatorFlags are what every command that spends from the wallet needs.
type operatorFlags struct {
	dir, registry, wallet string
	ton                   tonfile.Flags
	index                 uint
}

func (f *operatorFlags) register(fs *flag.FlagSet) {
	fs.StringVar(&f.dir, "dir", "", "the node's `directory`: it remembers payments that are under way, and finishes them first")
	f.ton.Register(fs, "TON global config `file`")
	fs.StringVar(&f.registry, "registry", "", "`address` of the registry, or a file that holds it")
	fs.StringVar(&f.wallet, "wallet", "", "`file` with the operator's wallet key: 24 words or 64 hex digits")
	fs.UintVar(&f.index, "index", 0, "`number` of the node among the operator's (default 0)")
}

// check looks for what is missing.
func (f *operatorFlags) check(env *command.Env) error {
	if err := needOperator(env, f.dir, f.ton, f.registry, f.wallet); err != nil {
		return err
	}
	if f.index > 1<<32-1 {
		return attestation.BadInput("--index %d: want a number below 2^32", f.index)
	}
	return nil
}

// needOperator demands the flags without which nobody operates a node.
func needOperator(env *command.Env, dir string, ton tonfile.Flags, registry, wallet string) error {
	return env.Need(
		"--dir", dir, "--ton-config", ton.Config+ton.Network,
		"--registry", registry, "--wallet", wallet)
}

// paymentsDir is the directory, in the node's, that remembers what commands paid.
// That of `up` is another: both may run at once.
const paymentsDir = "operator-payments"

// open connects to the chain as the operator. The caller closes the operator and
// its client.
func (f *operatorFlags) open(ctx context.Context, env *command.Env) (*host.Operator, error) {
	return f.openIn(ctx, env, filepath.Join(f.dir, paymentsDir))
}

// withRegistry opens the operator, and has do act on the registry as it is.
func (f *operatorFlags) withRegistry(ctx context.Context, env *command.Env, do func(*host.Operator, *registry.Root) error) error {
	o, err := f.open(ctx, env)
	if err != nil {
		return err
	}
	defer o.Client.Close()
	defer o.Close()
	root, err := o.Root(ctx)
	if err != nil {
		return err
	}
	return do(o, root)
}

// openIn is open with the directory that remembers payments.
func (f *operatorFlags) openIn(ctx context.Context, env *command.Env, payments string) (*host.Operator, error) {
	if err := f.check(env); err != nil {
		return nil, err
	}
	root, err := command.ReadAddress(f.registry)
	if err != nil {
		return nil, err
	}
	key, err := walletKey(env, f.wallet)
	if err != nil {
		return nil, err
	}
	client, err := dial(ctx, env, f.ton)
	if err != nil {
		return nil, err
	}
	o, err := host.OpenOperator(ctx, client, key, root, uint32(f.index), payments)
	if err != nil {
		client.Close()
		return nil, err
	}
	o.Note = func(text string) { env.Logf("%s", text) }
	return o, nil
}

// run opens the operator, does an action, and prints what follows from it.
func (f *operatorFlags) run(ctx context.Context, env *command.Env, do action, show func(*host.Operator) error) error {
	o, err := f.open(ctx, env)
	if err != nil {
		return err
	}
	defer o.Client.Close()
	defer o.Close()
	if err := do(ctx, o); err != nil {
		return err
	}
	if t := o.Repeated(); !t.IsZero() {
		env.Logf("this was begun at %s, and is done; nothing was paid for it again. The same command once more is a new one", t.Format(time.RFC3339))
	}
	if err := show(o); err != nil {
		return err
	}
	return o.Told()
}

// action is what a command does with an open operator.
type action func(context.Context, *host.Operator) error

// operatorCommand makes a command that sends one message and prints the record
// that follows. prepare reads the arguments, before anything is opened or made.
func operatorCommand(name, args, short, long, example string, prepare func(context.Context, *command.Env) (action, error)) *command.Command {
	return &command.Command{
		Name: name, Args: args, Short: short, Long: long, Example: example,
		Setup: func(fs *flag.FlagSet) func(context.Context, *command.Env) error {
			var f operatorFlags
			f.register(fs)
			return func(ctx context.Context, env *command.Env) error {
				if args != "" && len(env.Args) != 1 {
					return attestation.BadInput("%s takes one argument (%s); --help explains", name, args)
				}
				if err := f.check(env); err != nil {
					return err
				}
				do, err := prepare(ctx, env)
				if err != nil {
					return err
				}
				return f.run(ctx, env, do, func(o *host.Operator) error { return printRecord(ctx, env, o) })
			}
		},
	}
}

const flagsExample = " --dir node --ton-config global.json --registry registry.txt --wallet wallet.key"

var (
	anchorCommand = operatorCommand("anchor", "URL", "put an enclave's newest log head on the chain now, paid by the wallet",
		"The URL is the relay. `up` anchors by itself, paid by the node's contract; this one waits for\n"+
			"no interval, and anybody may do it.",
		"cocoon-node anchor http://127.0.0.1:9000"+flagsExample, anchor)
	unregisterCommand = operatorCommand("unregister", "", "end the node's registration, so that its stake may leave",
		"Clients use the node no more. Its log and its duty to answer challenges stay: keep `up` running, which\n"+
			"does not register the node again by itself, or `answer`, until the stake has left.", "cocoon-node unregister"+flagsExample,
		func(context.Context, *command.Env) (action, error) {
			return func(ctx context.Context, o *host.Operator) error { return o.Unregister(ctx) }, nil
		})
	stakeCommand = operatorCommand("stake", "COINS", "add coins from the wallet to the node's stake",
		"The stake stands behind what the node signs: provable faults cost it. After an interruption or an\n"+
			"error repeat the same command with the same --dir: it finds what became of it, and pays once.\n"+
			"A node that has no contract yet gets it with the same payment, with 0.5 coins as its balance.", "cocoon-node stake 100"+flagsExample,
		func(_ context.Context, env *command.Env) (action, error) {
			amount, err := coins(env.Args[0])
			return func(ctx context.Context, o *host.Operator) error { return o.Stake(ctx, amount) }, err
		})
	unstakeCommand = operatorCommand("unstake", "COINS", "start the way out for a part of the stake",
		"It can be withdrawn once the registry's unbonding time is over, and loses to faults until then.", "cocoon-node unstake 100"+flagsExample,
		func(_ context.Context, env *command.Env) (action, error) {
			amount, err := coins(env.Args[0])
			return func(ctx context.Context, o *host.Operator) error { return o.Unstake(ctx, amount) }, err
		})
	withdrawCommand = &command.Command{
		Name: "withdraw", Short: "pay out credits and unbonded stake to the wallet",
		Long:    "--surplus also pays out coins of the contract that neither stake, credits nor its reserve need.",
		Example: "cocoon-node withdraw --surplus 1.5" + flagsExample,
		Setup: func(fs *flag.FlagSet) func(context.Context, *command.Env) error {
			var f operatorFlags
			f.register(fs)
			surplus := fs.String("surplus", "0", "`coins` beyond credits and unbonded stake")
			return func(ctx context.Context, env *command.Env) error { return withdraw(ctx, env, &f, *surplus) }
		},
	}
)

func withdraw(ctx context.Context, env *command.Env, f *operatorFlags, surplus string) error {
	var amount uint64
	if surplus != "0" {
		var err error
		if amount, err = coins(surplus); err != nil {
			return fmt.Errorf("--surplus: %w", err)
		}
	}
	do := func(ctx context.Context, o *host.Operator) error { return o.Withdraw(ctx, amount) }
	return f.run(ctx, env, do, func(o *host.Operator) error { return printRecord(ctx, env, o) })
}

// coins reads a positive amount of coins, as nano.
func coins(s string) (uint64, error) {
	n, err := command.ParseCoins(s)
	if err == nil && n == 0 {
		err = attestation.BadInput("%q: want more than 0 coins", s)
	}
	return n, err
}

// relays is the client for relays, which may lie: it does not go where they send
// it.
var relays = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// get reads a public file of a relay.
func get(ctx context.Context, relay, path string, limit int64) ([]byte, error) {
	if u, err := url.Parse(relay); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, attestation.BadInput("%q is not the URL of a relay, such as http://127.0.0.1:9000", relay)
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(relay, "/")+path, nil)
	if err != nil {
		return nil, attestation.BadInput("%w", err)
	}
	resp, err := relays.Do(req)
	if err != nil {
		return nil, attestation.Unknown("asking the relay: %w", err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	switch {
	case err != nil:
		return nil, attestation.Unknown("reading from the relay: %w", err)
	case resp.StatusCode != http.StatusOK:
		return nil, attestation.Unknown("the relay answers %d to a request for %s", resp.StatusCode, path)
	case int64(len(data)) > limit:
		return nil, attestation.BadInput("%s of the relay is larger than %d bytes", path, limit)
	}
	return data, nil
}

func anchor(ctx context.Context, env *command.Env) (action, error) {
	data, err := get(ctx, env.Args[0], "/log/anchor", 1<<12)
	if err != nil {
		return nil, err
	}
	a, err := host.ParseAnchor(data)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, o *host.Operator) error {
		rec, err := o.Record(ctx)
		if err != nil {
			return err
		}
		if a.Size <= rec.Anchor.Size {
			env.Logf("the chain covers all %d receipts already", rec.Anchor.Size)
			return nil
		}
		return o.Anchor(ctx, a)
	}, nil
}

// printRecord prints what the chain says of the node now.
func printRecord(ctx context.Context, env *command.Env, o *host.Operator) error {
	n, err := o.Record(ctx)
	if errors.Is(err, registry.ErrNoContract) {
		return attestation.Unknown("node %v has no contract yet; `cocoon-node up` or `stake` deploys it", o.Node)
	} else if err != nil {
		return err
	}
	s := n.State
	if env.JSON {
		return env.PrintJSON(map[string]any{
			"node": n.Address, "status": n.Status, "epoch": n.Current, "endpoint": n.Endpoint,
			"price_prompt_nano_per_million": n.PromptPrice, "price_completion_nano_per_million": n.CompletionPrice, "stake_nano": s.Stake, "unbonding_nano": s.Unbonding, "owed_nano": s.Owed,
			"anchor_size": n.Anchor.Size, "challenges": len(s.Book.Challenges), "block": n.At.Seqno,
		})
	}
	fmt.Fprintf(env.Stdout, "node      %v\nstatus    %s, epoch %d\nrelay     %s\nprice     %s\nstake     %s, on its way out %s, owed %s\nlog       %d receipts anchored\n",
		n.Address, n.Status, n.Current, n.Endpoint, command.Prices(n.PromptPrice, n.CompletionPrice), command.Coins(s.Stake), command.Coins(s.Unbonding), command.Coins(s.Owed), n.Anchor.Size)
	for id, c := range s.Book.Challenges {
		fmt.Fprintf(env.Stdout, "challenge %x: answer before %s\n", id, time.Unix(int64(c.Deadline), 0).UTC().Format(time.RFC3339))
	}
	return nil
}
