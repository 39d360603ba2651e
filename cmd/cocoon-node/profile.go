package main

import (
	"context"
	"flag"
	"fmt"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/host"
	"github.com/cocoon-go/cocoon/internal/command"
)

var profileCommand = &command.Command{
	Name: "profile", Short: "change what the chain says of the node: its price, and where its relay is",
	Long: "Prices are in coins per 1000 tokens, with up to twelve decimals. What is not given stays as it is.\n" +
		"Clients see the change in the next block; `up` need not be started again, and keeps what it is not\n" +
		"told otherwise. Where the chain has it already nothing is paid.",
	Example: "cocoon-node profile --price-prompt 0.01 --price-completion 0.03" + flagsExample,
	Setup: func(fs *flag.FlagSet) func(context.Context, *command.Env) error {
		var f operatorFlags
		f.register(fs)
		var p host.Profile
		fs.StringVar(&p.Endpoint, "endpoint", "", "`URL` of the relay for clients")
		registerPrices(fs, &p.PromptPrice, &p.CompletionPrice)
		return func(ctx context.Context, env *command.Env) error {
			if p == (host.Profile{}) {
				return attestation.BadInput("profile changes nothing: give --price-prompt, --price-completion or --endpoint; --help explains")
			}
			if err := p.Check(); err != nil {
				return fmt.Errorf("--endpoint: %w", err)
			}
			do := func(ctx context.Context, o *host.Operator) error { return o.SetProfile(ctx, p) }
			return f.run(ctx, env, do, func(o *host.Operator) error { return printRecord(ctx, env, o) })
		}
	},
}

// registerPrices registers the flags of the node's prices; those that are not given
// stay nil.
func registerPrices(fs *flag.FlagSet, prompt, completion **uint64) {
	register := func(name, of string, to **uint64) {
		fs.Func(name, "price of tokens of "+of+", in `coins` per 1000 (default: what the chain has; 0 for a new node)", func(s string) error {
			if s == "" {
				*to = nil
				return nil
			}
			n, err := command.ParsePrice(s)
			*to = &n
			return err
		})
	}
	register("price-prompt", "prompts", prompt)
	register("price-completion", "answers", completion)
}
