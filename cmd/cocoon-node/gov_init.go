package main

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/registry"
	"github.com/cocoon-go/cocoon/chain/tonfile"
	"github.com/cocoon-go/cocoon/host"
	"github.com/cocoon-go/cocoon/internal/atomicfile"
	"github.com/cocoon-go/cocoon/internal/command"
)

type initFlags struct {
	ton                     tonfile.Flags
	dir, wallet, out, value string
}

var govInitCommand = &command.Command{
	Name: "gov init", Args: "FILE", Short: "put a new registry on the chain",
	Long: "FILE says in TOML what the registry starts with: who governs it, its parameters, what it lists\n" +
		"(the operator's guide has an example). The address follows from it. Without --wallet nothing is\n" +
		"paid: it prints the address and everything that the registry will say, for its governors to read.\n" +
		"The same command again finds the registry, and pays nothing twice.",
	Example: "cocoon-node gov init registry.toml --out registry.txt --ton-config global.json --wallet wallet.key --dir .",
	Setup: func(fs *flag.FlagSet) func(context.Context, *command.Env) error {
		var f initFlags
		f.ton.Register(fs, "TON global config `file`")
		fs.StringVar(&f.wallet, "wallet", "", "`file` with the key of the wallet that pays: 24 words or 64 hex digits")
		fs.StringVar(&f.dir, "dir", "", "`directory` that remembers payments")
		fs.StringVar(&f.out, "out", "", "`file` for the address, once the registry is there")
		fs.StringVar(&f.value, "value", "1", "`coins` for the registry's storage; they stay in it")
		return func(ctx context.Context, env *command.Env) error { return govInit(ctx, env, &f) }
	},
}

func govInit(ctx context.Context, env *command.Env, f *initFlags) error {
	if len(env.Args) != 1 {
		return attestation.BadInput("gov init takes one file; --help explains")
	}
	n, err := readRegistry(env.Args[0])
	if err != nil {
		return err
	}
	if f.wallet == "" {
		if err := printRegistry(env, &registry.Root{Address: n.Address, Paused: n.State.Paused, State: n.State}); err != nil {
			return err
		}
		env.Logf("nothing was paid: give --wallet, --dir, --out and --ton-config to put it on chain %d", n.ChainID)
		warnSimulated(env, n)
		return nil
	}
	if f.dir == "" || f.out == "" || !f.ton.Given() {
		return attestation.BadInput("gov init with --wallet needs --dir, --out and --ton-config; --help explains")
	}
	value, err := coins(f.value)
	if err != nil {
		return err
	}
	if err := checkOut(f.out, n.Address); err != nil {
		return err
	}
	key, err := walletKey(env, f.wallet)
	if err != nil {
		return err
	}
	c, err := dial(ctx, env, f.ton)
	if err != nil {
		return err
	}
	defer c.Close()
	root, err := n.Deploy(ctx, c, key, value, filepath.Join(f.dir, paymentsDir))
	if err != nil {
		return err
	}
	warnSimulated(env, n)
	return errors.Join(printRegistry(env, root), writeAddress(f.out, n.Address))
}

// checkOut finds out before anything is paid whether the address can be written to
// a file: it is not there, or holds this address already.
func checkOut(path string, a attestation.Address) error {
	if _, err := os.Lstat(path); err == nil {
		return sameAddress(path, a)
	} else if !errors.Is(err, os.ErrNotExist) {
		return attestation.BadInput("--out: %w", err)
	}
	probe, err := os.CreateTemp(filepath.Dir(path), ".cocoon-*")
	if err != nil {
		return attestation.BadInput("--out %s can't be written: %w", path, err)
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}

// sameAddress refuses a file that holds anything but an address.
func sameAddress(path string, a attestation.Address) error {
	switch old, err := command.ReadAddress(path); {
	case err != nil:
		return command.Exists(path)
	case old != a:
		return attestation.BadInput("%s holds the address of another registry, and nothing is overwritten: name another", path)
	}
	return nil
}

// writeAddress keeps the address of a registry that is on the chain.
func writeAddress(path string, a attestation.Address) error {
	err := atomicfile.Create(path, []byte(a.String()+"\n"), 0o644)
	if errors.Is(err, os.ErrExist) {
		err = sameAddress(path, a)
	}
	if err != nil {
		return attestation.BadInput("the registry %v is paid for and on the chain, only its address could not be written: %w", a, err)
	}
	return nil
}

func warnSimulated(env *command.Env, n *host.NewRegistry) {
	if n.Simulated {
		env.Logf("SIMULATED: a CA key of the registry is not Intel's: quotes that it signs prove nothing")
	}
}

// readRegistry reads a registry's file; what it names lies beside it.
func readRegistry(path string) (*host.NewRegistry, error) {
	data, err := command.ReadFile(path, 64<<10)
	if err != nil {
		return nil, err
	}
	return host.ParseRegistry(data, time.Now(), func(name string) ([]byte, error) {
		if !filepath.IsAbs(name) {
			name = filepath.Join(filepath.Dir(path), name)
		}
		return command.ReadFile(name, 1<<20)
	})
}
