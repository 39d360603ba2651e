// Package tonfile is how the commands of this module are told which TON network
// to use: by the file of a TON global config, by the name of a network, or by
// both.
//
// A name alone selects a file in the user's configuration directory,
// ton-mainnet.json, ton-testnet.json or ton-devnet.json. Nothing is downloaded,
// and no block to trust is compiled into a program: such a block would be older
// than 30 days most of the time, and trusting it would be no better than trusting
// the file. What a name adds is that a config of another network is refused, by
// its zerostate before anything is sent, and by the proved chain id after that.
package tonfile

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
)

// maxFile is the size of a global config, in bytes, that is read at most.
const maxFile = 1 << 20

// Flags are the values of --ton-config and --network. Either may be empty.
type Flags struct{ Config, Network string }

// Register adds the flags; usage is the text of --ton-config.
func (f *Flags) Register(fs *flag.FlagSet, usage string) {
	fs.StringVar(&f.Config, "ton-config", "", usage)
	fs.StringVar(&f.Network, "network", "",
		"`name` of the TON network: mainnet, testnet or devnet; others are refused. Without --ton-config it names the file: ton-NAME.json")
}

// Given reports whether one of the flags was used.
func (f *Flags) Given() bool { return f.Config != "" || f.Network != "" }

// Path returns the file that the flags select. A file that a name selects must
// exist.
func (f *Flags) Path() (string, error) {
	if f.Network != "" {
		if _, err := chain.ParseNetwork(f.Network); err != nil {
			return "", attestation.BadInput("--network: %w", err)
		}
	}
	if f.Config != "" {
		return f.Config, nil
	}
	if f.Network == "" {
		return "", attestation.BadInput("no TON network was named: --ton-config FILE or --network NAME")
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", attestation.BadInput("no configuration directory: %w; name the file with --ton-config", err)
	}
	p := filepath.Join(dir, "cocoon", "ton-"+f.Network+".json")
	if _, err := os.Stat(p); errors.Is(err, fs.ErrNotExist) {
		return "", attestation.BadInput("there is no %s: put the global config of %s there, with a key block of the last 30 days that you trust as its init_block, or name a file with --ton-config", p, f.Network)
	}
	return p, nil
}

// Load reads and parses the file, and checks that it is of the network that was
// named. It sends nothing.
func (f *Flags) Load() (*chain.GlobalConfig, error) {
	p, err := f.Path()
	if err != nil {
		return nil, err
	}
	data, err := read(p)
	if err != nil {
		return nil, err
	}
	cfg, err := chain.ParseGlobalConfig(data)
	if err == nil && f.Network != "" {
		err = cfg.CheckNetwork(chain.Network(f.Network))
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p, err)
	}
	return cfg, nil
}

func read(path string) ([]byte, error) {
	r, err := os.Open(path)
	if err != nil {
		return nil, attestation.BadInput("%w", err)
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, attestation.BadInput("%w", err)
	}
	return data, nil // what is too long is refused by who parses it
}

// Dial connects to the network. warn gets lines for people, as
// [chain.WithWarnings] gives them.
func (f *Flags) Dial(ctx context.Context, warn func(string), opts ...chain.Option) (*chain.Client, error) {
	cfg, err := f.Load()
	if err != nil {
		return nil, err
	}
	opts = append([]chain.Option{chain.WithWarnings(warn)}, opts...)
	if f.Network != "" {
		opts = append(opts, chain.WithNetwork(chain.Network(f.Network)))
	}
	return chain.Dial(ctx, cfg, opts...)
}
