package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/devnet"
)

// config is what the flags ask for.
type config struct {
	options  devnet.Options
	network  networkFlags
	clock    *clock
	out      string // for the global config; empty: standard output
	seedFile string // for the faucet's secret; empty: none
	orders   string // address that takes orders; empty: none

	chainID         int
	verbose, manual bool
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
	c.register(fs)
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	if fs.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	given := map[string]bool{}
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if err := c.check(); err != nil {
		return nil, err
	}
	c.complete(given, stderr)
	return c, nil
}

func (c *config) register(fs *flag.FlagSet) {
	o := &c.options
	o.Now, o.Accounts = c.clock.now, map[attestation.Address]uint64{}
	fs.IntVar(&c.chainID, "chain-id", devnet.DefaultGlobalID, "chain id of a new chain")
	fs.BoolVar(&c.verbose, "v", false, "log what liteservers do")
	fs.BoolVar(&c.manual, "manual", false, "make no block but the first ones and those that --control asks for")
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
}

// check refuses flags that make no chain, or one whose signatures are good
// elsewhere.
func (c *config) check() error {
	o := &c.options
	switch {
	case o.BlockInterval <= 0:
		return errors.New("--interval must be positive")
	case c.chainID < -1<<31 || c.chainID > 1<<31-1 || c.chainID == 0:
		return fmt.Errorf("--chain-id %d: want a 32-bit number that is not 0", c.chainID)
	case o.Liteservers < 1 || o.Validators < 1:
		return errors.New("--liteservers and --validators: want at least 1")
	case o.Repair && o.Dir == "":
		return errors.New("--repair needs --dir: the chain that is damaged")
	}
	if n := chain.NetworkOf(int32(c.chainID)); n != chain.Devnet {
		return fmt.Errorf("--chain-id %d is %s's: what is signed for this chain would be good there", c.chainID, n)
	}
	return nil
}

// complete turns flags into options of the chain. What is not given is left to a
// stored chain.
func (c *config) complete(given map[string]bool, stderr io.Writer) {
	o := &c.options
	if c.manual {
		o.BlockInterval = -1
	}
	if given["chain-id"] {
		o.GlobalID = int32(c.chainID)
	}
	if !given["validators"] {
		o.Validators = 0
	}
	if _, err := os.Stat(filepath.Join(o.Dir, "chain.json")); err == nil && o.Dir != "" && given["fund"] {
		fmt.Fprintf(stderr, "devnet: %s holds a chain already: --fund was for a new one, and changes nothing\n", o.Dir)
	}
	level := slog.LevelInfo
	if c.verbose {
		level = slog.LevelDebug
	}
	o.Logger = slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))
}

const usage = `Runs a TON dev chain: a real liteserver endpoint over a chain in this process.

Usage: devnet [flags]

The global config goes to standard output, or to the file of --out. The process
then serves until it gets SIGINT or SIGTERM. Nothing on the chain has value.

Flags:
`
