package devnet

import (
	"cmp"
	"log/slog"
	"net"
	"time"

	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
)

// DefaultGlobalID is the chain id (configuration parameter 19) of a dev chain
// unless [Options.GlobalID] says otherwise. Mainnet is -239, testnet -3; this
// number is used by neither, so nothing signed for a dev chain is valid there.
const DefaultGlobalID = -777

const (
	defaultInterval        = 200 * time.Millisecond
	defaultMaxTransactions = 4000
	defaultKeyInterval     = time.Hour
	defaultKeep            = 1024
)

// Options configure a chain. The zero value is a fresh chain in memory with one
// liteserver on a free loopback port and five blocks a second.
type Options struct {
	// Dir keeps the chain on disk, so that the next Start goes on with it.
	// Empty: in memory only. One process at a time may use a directory.
	Dir string
	// Repair goes on before a damaged record that has good ones behind it: those
	// blocks are lost. Without it such a directory is an error.
	Repair bool
	// Listen is the address of the first liteserver; default "127.0.0.1:0".
	// Further ones get the ports after it, or a free one when it is 0. IPv4 only: a
	// global config has no room for more.
	Listen string
	// Liteservers is the number of liteservers over the chain; default 1.
	Liteservers int
	// BlockInterval is the time between blocks; default 200 ms. Negative: no
	// block but by [Chain.Mine].
	BlockInterval time.Duration
	// KeyInterval is the chain time after which a block is made a key block;
	// default one hour. The newest key block is the trusted block of
	// [Chain.GlobalConfig].
	KeyInterval time.Duration
	// Now is the clock of the chain; default time.Now. See [Clock]. A clock that
	// goes back leaves the time of the chain where it was.
	Now func() time.Time
	// GlobalID is the chain id; default [DefaultGlobalID], or that of the chain in
	// Dir, which can't be another.
	GlobalID int32
	// Seed is what all keys of the chain follow from: validators, liteservers,
	// faucet. Default: a fixed value. It is ignored when Dir holds a chain.
	Seed []byte
	// Validators is the number of validators, of equal weight; default 1, or that of
	// the chain in Dir, which can't be another.
	Validators int
	// Accounts are balances, in nanocoins, of accounts without code that exist
	// from the first block on, beside the faucet.
	Accounts map[attestation.Address]uint64
	// Params replace configuration parameters; see also [Chain.SetParam].
	Params map[int32]*cell.Cell
	// MaxTransactions is the number of transactions in a block of a workchain;
	// default 4000. Messages over it wait in the queue for the next block.
	MaxTransactions int
	// DeferInternal leaves every internal message for the next block, as between
	// two shards of a busy network. Default: delivery in the same block when it
	// has room, as in one shard.
	DeferInternal bool
	// Keep is the number of newest blocks whose states can be asked for; default
	// 1024. Older blocks stay available, their states do not, as on a liteserver
	// that is no archive.
	Keep int
	// Logger gets errors of the block loop and of liteservers; default silent.
	Logger *slog.Logger

	asked asked
}

// setDefaults fills what the caller left open.
func (o *Options) setDefaults() {
	o.asked = asked{o.GlobalID, o.Validators}
	o.Listen = cmp.Or(o.Listen, "127.0.0.1:0")
	o.Liteservers = cmp.Or(o.Liteservers, 1)
	o.BlockInterval = cmp.Or(o.BlockInterval, defaultInterval)
	o.KeyInterval = cmp.Or(o.KeyInterval, defaultKeyInterval)
	o.GlobalID = cmp.Or(o.GlobalID, DefaultGlobalID)
	o.Validators = cmp.Or(o.Validators, 1)
	o.MaxTransactions = cmp.Or(o.MaxTransactions, defaultMaxTransactions)
	o.Keep = cmp.Or(o.Keep, defaultKeep)
	o.Logger = cmp.Or(o.Logger, slog.New(slog.DiscardHandler))
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Seed == nil {
		o.Seed = []byte("cocoon/devnet/default\n")
	}
}

// check refuses options that no chain can be made with.
func (o *Options) check() error {
	host, _, err := net.SplitHostPort(o.Listen)
	if err != nil {
		return attestation.BadInput("dev chain: listen address %q: %v", o.Listen, err)
	}
	if ip := net.ParseIP(host); ip == nil || ip.To4() == nil {
		return attestation.BadInput("dev chain: listen address %q: host is not an IPv4 address", o.Listen)
	}
	switch {
	case o.Liteservers < 0 || o.Liteservers > 64:
		return attestation.BadInput("dev chain: %d liteservers, want 1 to 64", o.Liteservers)
	case o.Validators < 0 || o.Validators > 100:
		return attestation.BadInput("dev chain: %d validators, want 1 to 100", o.Validators)
	case o.MaxTransactions < 0:
		return attestation.BadInput("dev chain: negative MaxTransactions")
	case o.Keep < 2:
		return attestation.BadInput("dev chain: Keep is %d, want at least 2", o.Keep)
	case o.KeyInterval < 0:
		return attestation.BadInput("dev chain: negative KeyInterval")
	}
	return nil
}
