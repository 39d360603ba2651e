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
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

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

const usage = `Runs a TON dev chain: a real liteserver endpoint over a chain in this process.

Usage: devnet [flags]

The global config goes to standard output, or to the file of --out. The process
then serves until it gets SIGINT or SIGTERM. Nothing on the chain has value.

Flags:
`

// run serves a chain until ctx ends. Standard output gets the global config.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := flag.NewFlagSet("devnet", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.Usage = func() {
		fmt.Fprint(fs.Output(), usage)
		fs.PrintDefaults()
		fmt.Fprint(fs.Output(), "\nExample:\n  devnet --dir ./chain --out ton-global.json --faucet-seed faucet.seed\n"+
			"  devnet --network ./net --enclave ./bin/cocoon-enclave\n")
	}
	var (
		o        devnet.Options
		out      = fs.String("out", "", "write the global config to this `file` instead of standard output")
		seedOut  = fs.String("faucet-seed", "", "write the secret of the faucet's V5R1 wallet, 64 hex digits, to this `file` (mode 0600)")
		accounts = map[attestation.Address]uint64{}
		globalID = fs.Int("chain-id", devnet.DefaultGlobalID, "chain id of a new chain")
		whole    networkFlags
		verbose  = fs.Bool("v", false, "log what liteservers do")
		manual   = fs.Bool("manual", false, "make no block but the first ones and those that --control asks for")
		orders   = fs.String("control", "", "take orders (mine, clock, grant, fault, disconnect, status) over HTTP at this loopback `address`")
	)
	fs.StringVar(&o.Dir, "dir", "", "keep the chain in this `directory`; default: in memory")
	fs.BoolVar(&o.Repair, "repair", false, "go on before a damaged block of --dir; the blocks behind it are lost")
	fs.StringVar(&o.Listen, "listen", "127.0.0.1:0", "`address` of the first liteserver, IPv4; the others get the ports after it")
	fs.IntVar(&o.Liteservers, "liteservers", 1, "number of liteservers")
	fs.IntVar(&o.Validators, "validators", 1, "number of validators of a new chain")
	fs.DurationVar(&o.BlockInterval, "interval", 200*time.Millisecond, "time between blocks")
	fs.BoolVar(&o.DeferInternal, "defer", false, "deliver internal messages one block later, as a busy network does")
	fs.StringVar(&whole.dir, "network", "", "make a registry and a simulated platform too, with a policy, a wallet and a governor's key, in this new `directory`")
	fs.StringVar(&whole.enclave, "enclave", "", "the cocoon-enclave `program` that the registry of --network lists")
	fs.BoolVar(&whole.stakes, "stakes", false, "nodes of --network need a stake of 10 coins, and can lose it")
	fs.IntVar(&whole.verifiers, "verifiers", 0, "`number` of verifiers that the registry of --network lists, all of whom must sign; makes a simulated AMD machine too, which needs them")
	fs.Func("fund", "on a new chain, give an address a balance: `ADDRESS=COINS`; may be repeated", func(s string) error {
		a, n, err := parseFund(s)
		if _, twice := accounts[a]; twice && err == nil {
			err = errors.New("the address is there twice")
		}
		if err == nil {
			accounts[a] = n
		}
		return err
	})
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	if o.BlockInterval <= 0 {
		return errors.New("--interval must be positive")
	}
	if *globalID < -1<<31 || *globalID > 1<<31-1 {
		return fmt.Errorf("--chain-id %d: want a 32-bit number", *globalID)
	}
	if n := chain.NetworkOf(int32(*globalID)); n != chain.Devnet {
		return fmt.Errorf("--chain-id %d is %s's: what is signed for this chain would be good there", *globalID, n)
	}
	if o.Liteservers < 1 || o.Validators < 1 {
		return errors.New("--liteservers and --validators: want at least 1")
	}
	if *manual {
		o.BlockInterval = -1
	}
	given := map[string]bool{}
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if given["chain-id"] {
		o.GlobalID = int32(*globalID)
	}
	if !given["validators"] {
		o.Validators = 0 // that of a stored chain
	}
	if _, err := os.Stat(filepath.Join(o.Dir, "chain.json")); err == nil && o.Dir != "" && given["fund"] {
		fmt.Fprintf(stderr, "devnet: %s holds a chain already: --fund was for a new one, and changes nothing\n", o.Dir)
	}
	clock := &clock{}
	o.Now = clock.now
	level := slog.LevelInfo
	if *verbose {
		level = slog.LevelDebug
	}
	o.Logger = slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))
	o.Accounts = accounts
	for name, path := range map[string]string{"--out": *out, "--faucet-seed": *seedOut} {
		if err := writable(name, path); err != nil {
			return err
		}
	}
	var ln net.Listener
	if *orders != "" {
		var err error
		if ln, err = listen(*orders); err != nil {
			return err
		}
		defer ln.Close()
	}
	c, err := whole.start(ctx, o)
	if err != nil {
		return err
	}
	defer c.Close()
	clock.catchUp(c.Head().UTime)
	if *seedOut != "" {
		seed := hex.EncodeToString(c.FaucetWallet().Seed()) + "\n"
		if err := writeFile(*seedOut, []byte(seed), 0o600); err != nil {
			return err
		}
	}
	cfg := c.GlobalConfig()
	if *out == "" {
		if _, err := stdout.Write(cfg); err != nil {
			return err
		}
	} else if err := writeFile(*out, cfg, 0o644); err != nil {
		return err
	}
	faucet, err := chain.NewWallet(c.FaucetWallet(), c.GlobalID())
	if err != nil {
		return err
	}
	if ln != nil {
		(&control{chain: c, clock: clock}).serve(ctx, ln)
		fmt.Fprintf(stderr, "devnet: takes orders at http://%s\n", ln.Addr())
	}
	fmt.Fprintf(stderr, "devnet: chain %d, block %d, liteserver %s, faucet %s\n", c.GlobalID(), c.Head().ID.SeqNo, c.Liteservers()[0].Addr(), faucet.Address())
	<-ctx.Done()
	fmt.Fprintf(stderr, "devnet: stopped at block %d\n", c.Head().ID.SeqNo)
	return c.Close()
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
