package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/tonfile"
	"github.com/cocoon-go/cocoon/internal/atomicfile"
	"github.com/cocoon-go/cocoon/internal/command"
)

var walletNewCommand = &command.Command{
	Name: "wallet new", Args: "FILE", Short: "make a wallet key (mode 0600) and print its address",
	Long:    "Send coins to the address before the first `cocoon-node up`. Whoever has the file has the coins.",
	Example: "cocoon-node wallet new wallet.key --ton-config global.json",
	Setup: func(fs *flag.FlagSet) func(context.Context, *command.Env) error {
		var ton tonfile.Flags
		ton.Register(fs, "TON global config `file`: the address depends on the network")
		return func(ctx context.Context, env *command.Env) error { return walletNew(ctx, env, ton) }
	},
}

func walletNew(ctx context.Context, env *command.Env, ton tonfile.Flags) error {
	if len(env.Args) != 1 || !ton.Given() {
		return attestation.BadInput("wallet new needs one file to make, and --ton-config; --help explains")
	}
	path := env.Args[0]
	if _, err := os.Lstat(path); err == nil {
		return walletExists(path)
	}
	client, err := dial(ctx, env, ton)
	if err != nil {
		return err
	}
	defer client.Close()
	id, err := client.ChainID(ctx)
	if err != nil {
		return err
	}
	seed := make([]byte, ed25519.SeedSize)
	if _, err := rand.Read(seed); err != nil {
		return err
	}
	w, err := chain.NewWallet(ed25519.NewKeyFromSeed(seed), id)
	if err != nil {
		return err
	}
	err = atomicfile.Create(path, []byte(hex.EncodeToString(seed)+"\n"), 0o600)
	switch {
	case errors.Is(err, os.ErrExist):
		return walletExists(path)
	case err != nil:
		return attestation.BadInput("%w", err)
	}
	friendly := command.Friendly(w.Address(), chain.NetworkOf(id) == chain.Mainnet)
	if env.JSON {
		return env.PrintJSON(map[string]any{"address": w.Address(), "friendly": friendly, "file": path, "chain": id})
	}
	env.Logf("send coins to %s, the same address as wallets write it", friendly)
	_, err = fmt.Fprintln(env.Stdout, w.Address())
	return err
}

func walletExists(path string) error {
	return attestation.BadInput("%s exists, and a wallet key is never overwritten: name another file", path)
}
