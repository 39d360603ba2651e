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

// config is what the flags ask for.
type config struct {
	options  devnet.Options
	network  networkFlags
	clock    *clock
	out      string // for the global config; empty: standard output
	seedFile string // for the faucet's secret; empty: none
	orders   string // address that takes orders; empty: none
}

// parse reads the flags. What it has to say of them goes to stderr.
func parse(args []string, stderr io.Writer) (*config, error) {
	fs := flag.NewFlagSet("devnet", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.Usage = func() {
		fmt.Fprint(fs.Output(), usage)
		fs.PrintDefaults()
		fmt.Fprint(fs.Output(), "\nExample:\n  devnet --dir ./chain --out ton-global.json --faucet-seed faucet.seed\n"+
			"  devnet --network ./net --enclave ./bin/cocoon-enclave\n")
	}
	c := &config{clock: &clock{}}
	o := &c.options
	o.Now, o.Accounts = c.clock.now, map[attestation.Address]uint64{}
	var (
		globalID = fs.Int("chain-id", devnet.DefaultGlobalID, "chain id of a new chain")
		verbose  = fs.Bool("v", false, "log what liteservers do")
		manual   = fs.Bool("manual", false, "make no block but the first ones and those that --control asks for")
	)
	fs.StringVar(&c.out, "out", "", "write the global config to this `file` instead of standard output")
	fs.StringVar(&c.seedFile, "faucet-seed", "", "write the secret of the faucet's V5R1 wallet, 64 hex digits, to this `file` (mode 0600)")
	fs.StringVar(&c.orders, "control", "", "take orders (mine, clock, grant, fault, disconnect, status) over HTTP at this loopback `address`")
	fs.StringVar(&o.Dir, "dir", "", "keep the chain in this `directory`; default: in memory")
	fs.BoolVar(&o.Repair, "repair", false, "go on before a damaged block of --dir; the blocks behind it are lost")
	fs.StringVar(&o.Listen, "listen", "127.0.0.1:0", "`address` of the first liteserver, IPv4; the others get the ports after it")
	fs.IntVar(&o.Liteservers, "liteservers", 1, "number of liteservers")
	fs.IntVar(&o.Validators, "validators", 1, "number of validators of a new chain")
	fs.DurationVar(&o.BlockInterval, "interval", 200*time.Millisecond, "time between blocks")
	fs.BoolVar(&o.DeferInternal, "defer", false, "deliver internal messages one block later, as a busy network does")
	fs.StringVar(&c.network.dir, "network", "", "make a registry and a simulated platform too, with a policy, a wallet and a governor's key, in this new `directory`")
	fs.StringVar(&c.network.enclave, "enclave", "", "the cocoon-enclave `program` that the registry of --network lists")
	fs.BoolVar(&c.network.stakes, "stakes", false, "nodes of --network need a stake of 10 coins, and can lose it")
	fs.IntVar(&c.network.verifiers, "verifiers", 0, "`number` of verifiers that the registry of --network lists, all of whom must sign; makes a simulated AMD machine too, which needs them")
	fs.Func("fund", "on a new chain, give an address a balance: `ADDRESS=COINS`; may be repeated", func(s string) error {
		a, n, err := parseFund(s)
		if _, twice := o.Accounts[a]; twice && err == nil {
			err = errors.New("the address is there twice")
		}
		if err == nil {
			o.Accounts[a] = n
		}
		return err
	})
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	if fs.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	if o.BlockInterval <= 0 {
		return nil, errors.New("--interval must be positive")
	}
	if *globalID < -1<<31 || *globalID > 1<<31-1 || *globalID == 0 {
		return nil, fmt.Errorf("--chain-id %d: want a 32-bit number that is not 0", *globalID)
	}
	if n := chain.NetworkOf(int32(*globalID)); n != chain.Devnet {
		return nil, fmt.Errorf("--chain-id %d is %s's: what is signed for this chain would be good there", *globalID, n)
	}
	if o.Liteservers < 1 || o.Validators < 1 {
		return nil, errors.New("--liteservers and --validators: want at least 1")
	}
	if *manual {
		o.BlockInterval = -1
	}
	given := map[string]bool{}
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if o.Repair && o.Dir == "" {
		return nil, errors.New("--repair needs --dir: the chain that is damaged")
	}
	if given["chain-id"] {
		o.GlobalID = int32(*globalID)
	}
	if !given["validators"] {
		o.Validators = 0 // that of a stored chain
	}
	if _, err := os.Stat(filepath.Join(o.Dir, "chain.json")); err == nil && o.Dir != "" && given["fund"] {
		fmt.Fprintf(stderr, "devnet: %s holds a chain already: --fund was for a new one, and changes nothing\n", o.Dir)
	}
	level := slog.LevelInfo
	if *verbose {
		level = slog.LevelDebug
	}
	o.Logger = slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))
	return c, nil
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
