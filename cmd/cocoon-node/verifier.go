package main

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"flag"
	"fmt"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/registry"
	"github.com/cocoon-go/cocoon/chain/tonfile"
	"github.com/cocoon-go/cocoon/host"
	"github.com/cocoon-go/cocoon/internal/command"
)

var (
	verifierStakeCommand = &command.Command{
		Name: "verifier stake", Args: "COINS", Short: "add coins from the wallet to a verifier's stake, so that the registry counts it",
		Long: "The stake stands behind the certificates of --key: two that can't both be kept cost all of it. It\n" +
			"comes back to this wallet only. Governance of the registry must have listed the key.",
		Example: "cocoon-node verifier stake 100 --key verifier.key" + flagsExample,
		Setup: func(fs *flag.FlagSet) func(context.Context, *command.Env) error {
			var f operatorFlags
			f.register(fs)
			key := fs.String("key", "", "`file` with the verifier's key: 64 hex digits or 24 words")
			return func(ctx context.Context, env *command.Env) error { return verifierStake(ctx, env, &f, *key) }
		},
	}
	verifierLeaveCommand = verifierCommand("verifier leave", "have the registry count a verifier no longer, and start the way out for its stake",
		"The stake can be withdrawn when nothing that the verifier certified can matter any more: validity of a\n"+
			"registration and unbonding time. Until then it can be lost like any other. Staking again undoes it.", (*host.Operator).LeaveVerifiers)
	verifierRefreshCommand = verifierCommand("verifier refresh", "have the registry judge a verifier's stake anew, whoever's it is",
		"Needed when governance listed a new set or changed the minimum stake. Exit code 4: the\n"+
			"verifier does not count.", (*host.Operator).RefreshVerifier)
	verifierWithdrawCommand = verifierCommand("verifier withdraw", "pay out stake that may leave, or the credit of a report",
		"Pays whatever the verifier's contract owes this wallet.", (*host.Operator).WithdrawVerifier)
	verifierShowCommand = &command.Command{
		Name: "verifier show", Args: "KEY", Short: "show what stands behind a verifier, as the chain proves it",
		Long: "KEY is the verifier's public key, 64 hex digits; `gov show` lists the keys.", Example: "cocoon-node verifier show 8a88e3dd… --ton-config global.json --registry registry.txt",
		Setup: func(fs *flag.FlagSet) func(context.Context, *command.Env) error {
			var ton tonfile.Flags
			ton.Register(fs, "TON global config `file`")
			reg := fs.String("registry", "", "`address` of the registry, or a file that holds it")
			return func(ctx context.Context, env *command.Env) error { return verifierShow(ctx, env, ton, *reg) }
		},
	}
	certificateReportCommand = &command.Command{
		Name: "certificate report", Args: "FILE FILE", Short: "report a verifier that signed two certificates in conflict",
		Long: "It loses its stake: half is burned, half is credited to the wallet; `verifier withdraw` pays it out. That\n" +
			"the two are in conflict, and that one verifier signed both, is found before anything is sent.",
		Example: "cocoon-node certificate report a.certificate b.certificate" + flagsExample,
		Setup: func(fs *flag.FlagSet) func(context.Context, *command.Env) error {
			var f operatorFlags
			f.register(fs)
			return func(ctx context.Context, env *command.Env) error { return certificateReport(ctx, env, &f) }
		},
	}
)

// verifierCommand makes a command that sends one message to a verifier's contract.
func verifierCommand(name, short, long string, do func(*host.Operator, context.Context, ed25519.PublicKey) error) *command.Command {
	return &command.Command{
		Name: name, Args: "KEY", Short: short, Long: long, Example: "cocoon-node " + name + " 8a88e3dd…" + flagsExample,
		Setup: func(fs *flag.FlagSet) func(context.Context, *command.Env) error {
			var f operatorFlags
			f.register(fs)
			return func(ctx context.Context, env *command.Env) error {
				key, err := verifierKey(env)
				if err != nil {
					return err
				}
				return f.run(ctx, env, func(ctx context.Context, o *host.Operator) error { return do(o, ctx, key) }, showsVerifier(ctx, env, key))
			}
		},
	}
}

// verifierKey reads the only argument.
func verifierKey(env *command.Env) (ed25519.PublicKey, error) {
	if len(env.Args) != 1 {
		return nil, attestation.BadInput("want one verifier's key, got %d arguments; --help explains", len(env.Args))
	}
	key, err := hex.DecodeString(env.Args[0])
	if err != nil || len(key) != ed25519.PublicKeySize {
		return nil, attestation.BadInput("%.80q is not a verifier's key: 64 hex digits", env.Args[0])
	}
	return key, nil
}

func verifierStake(ctx context.Context, env *command.Env, f *operatorFlags, file string) error {
	if len(env.Args) != 1 || file == "" {
		return attestation.BadInput("verifier stake needs an amount and --key; --help explains")
	}
	amount, err := coins(env.Args[0])
	if err != nil {
		return err
	}
	if err := f.check(env); err != nil {
		return err
	}
	key, err := walletKey(env, file)
	if err != nil {
		return err
	}
	do := func(ctx context.Context, o *host.Operator) error { return o.StakeVerifier(ctx, key, amount) }
	return f.run(ctx, env, do, showsVerifier(ctx, env, key.Public().(ed25519.PublicKey)))
}

func certificateReport(ctx context.Context, env *command.Env, f *operatorFlags) error {
	if len(env.Args) != 2 {
		return attestation.BadInput("certificate report needs two files; --help explains")
	}
	files, err := readCertificates(env.Args)
	if err != nil {
		return err
	}
	key, _, err := host.Conflict(files[0], files[1])
	if err != nil {
		return err
	}
	do := func(ctx context.Context, o *host.Operator) error {
		_, err := o.ReportVerifier(ctx, files[0], files[1])
		return err
	}
	return f.run(ctx, env, do, showsVerifier(ctx, env, key))
}

func showsVerifier(ctx context.Context, env *command.Env, key ed25519.PublicKey) func(*host.Operator) error {
	return func(o *host.Operator) error {
		return printVerifier(ctx, env, registry.Reader{Reader: o.Client}, o.Registry, key)
	}
}

func verifierShow(ctx context.Context, env *command.Env, ton tonfile.Flags, reg string) error {
	key, err := verifierKey(env)
	if err != nil {
		return err
	}
	c, root, err := openRegistry(ctx, env, ton, reg)
	if err != nil {
		return err
	}
	defer c.Close()
	return printVerifier(ctx, env, registry.Reader{Reader: c}, root, key)
}

func printVerifier(ctx context.Context, env *command.Env, r registry.Reader, root attestation.Address, key ed25519.PublicKey) error {
	reg, err := r.Root(ctx, root)
	if err != nil {
		return err
	}
	v, err := r.Verifier(ctx, root, key)
	if err != nil {
		return err
	}
	counts := false
	if set := reg.State.Verifiers; set != nil {
		for _, k := range set.Quorum.Keys {
			counts = counts || k == [32]byte(key)
		}
	}
	s := v.State
	if env.JSON {
		out := map[string]any{
			"key": hex.EncodeToString(key), "contract": v.Address, "registry": root, "certifies": counts, "slashed": s.Slashed,
			"stake_nano": s.Stake, "owed_nano": s.Owed, "operator": s.Operator, "leaves_at": nil, "block": v.At.Seqno,
		}
		if s.Leaving != 0 {
			out["leaves_at"] = unix(s.LeaveAt)
		}
		return env.PrintJSON(out)
	}
	word := "the registry does not count it"
	switch {
	case s.Slashed:
		word = "SLASHED: it signed two certificates that can't both be kept; the registry never counts it again"
	case counts:
		word = "the registry counts it"
	}
	fmt.Fprintf(env.Stdout, "verifier  %x\ncontract  %v (block %d)\nstatus    %s\nstake     %s, owed to others %s\n", []byte(key), v.Address, v.At.Seqno, word, command.Coins(s.Stake), command.Coins(s.Owed))
	if s.Operator != nil {
		fmt.Fprintf(env.Stdout, "operator  %v\n", *s.Operator)
	}
	if s.Leaving != 0 {
		fmt.Fprintf(env.Stdout, "leaves    at %s\n", unix(s.LeaveAt))
	}
	return nil
}
