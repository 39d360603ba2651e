// Command devnet runs a TON dev chain and writes the global config that any TON
// client needs to use it. docs/spec/devnet.md describes the chain.
//
//	go run ./tools/devnet --dir chain --out ton-global.json --fund 0:ab12…=1000
package main

import (
	"context"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/devnet"
	"github.com/cocoon-go/cocoon/internal/atomicfile"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "devnet:", err)
		os.Exit(1)
	}
}

// run serves a chain until ctx ends. Standard output gets the global config.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	c, err := parse(args, stderr)
	if err != nil {
		return err
	}
	for name, path := range map[string]string{"--out": c.out, "--faucet-seed": c.seedFile} {
		if err := writable(name, path); err != nil {
			return err
		}
	}
	var ln net.Listener
	if c.orders != "" {
		var err error
		if ln, err = listen(c.orders); err != nil {
			return err
		}
		defer ln.Close()
	}
	dev, err := c.network.start(ctx, c.options)
	if err != nil {
		return err
	}
	defer dev.Close()
	c.clock.catchUp(dev.Head().UTime)
	if err := c.write(dev, stdout); err != nil {
		return err
	}
	faucet, err := chain.NewWallet(dev.FaucetWallet(), dev.GlobalID())
	if err != nil {
		return err
	}
	if ln != nil {
		(&control{chain: dev, clock: c.clock}).serve(ctx, ln)
		fmt.Fprintf(stderr, "devnet: takes orders at http://%s\n", ln.Addr())
	}
	fmt.Fprintf(stderr, "devnet: chain %d, block %d, liteserver %s, faucet %s\n", dev.GlobalID(), dev.Head().ID.SeqNo, dev.Liteservers()[0].Addr(), faucet.Address())
	<-ctx.Done()
	fmt.Fprintf(stderr, "devnet: stopped at block %d\n", dev.Head().ID.SeqNo)
	return dev.Close()
}

// write writes what others need to use the chain.
func (c *config) write(dev *devnet.Chain, stdout io.Writer) error {
	if c.seedFile != "" {
		seed := hex.EncodeToString(dev.FaucetWallet().Seed()) + "\n"
		if err := writeFile(c.seedFile, []byte(seed), 0o600); err != nil {
			return err
		}
	}
	cfg := dev.GlobalConfig()
	if c.out == "" {
		_, err := stdout.Write(cfg)
		return err
	}
	return writeFile(c.out, cfg, 0o644)
}

// parseFund reads ADDRESS=COINS; coins may have up to nine decimals.
func parseFund(s string) (attestation.Address, uint64, error) {
	text, amount, ok := strings.Cut(s, "=")
	if !ok {
		return attestation.Address{}, 0, fmt.Errorf("%q: want ADDRESS=COINS", s)
	}
	a, err := attestation.ParseAddress(text)
	if err != nil {
		return a, 0, err
	}
	whole, frac, _ := strings.Cut(amount, ".")
	if len(frac) > 9 {
		return a, 0, fmt.Errorf("%q: a coin has nine decimals", amount)
	}
	n, err := strconv.ParseUint(whole+frac+strings.Repeat("0", 9-len(frac)), 10, 64)
	if err != nil {
		return a, 0, fmt.Errorf("%q is not an amount of coins", amount)
	}
	return a, n, nil
}

// writable finds out before anything is made whether a file can be written; path may
// be empty.
func writable(name, path string) error {
	if path == "" {
		return nil
	}
	if st, err := os.Stat(path); err == nil && st.IsDir() {
		return fmt.Errorf("%s %s: it is a directory", name, path)
	}
	if st, err := os.Stat(filepath.Dir(path)); err != nil || !st.IsDir() {
		return fmt.Errorf("%s %s: there is no directory %s", name, path, filepath.Dir(path))
	}
	return nil
}

// writeFile writes a file that readers see whole or not at all, with this mode
// also where a file was. What is no file, such as a terminal, is written to.
func writeFile(path string, data []byte, mode os.FileMode) error {
	if st, err := os.Stat(path); err == nil && !st.Mode().IsRegular() {
		return os.WriteFile(path, data, mode)
	}
	return atomicfile.Write(path, data, mode)
}
