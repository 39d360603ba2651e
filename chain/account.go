package chain

import (
	"math/big"
	"time"

	"github.com/xssnick/tonutils-go/tlb"
	"github.com/xssnick/tonutils-go/tvm/cell"
	"github.com/xssnick/tonutils-go/tvm/vm"

	"github.com/cocoon-go/cocoon/attestation"
)

// Account is the proved state of an account after a masterchain block (block.tlb,
// Account). It must not be changed; then it may be used concurrently.
type Account struct {
	Address attestation.Address
	Block   Block // the state is the one that this block registers
	// ShardTime is when the block was made that the state is after, by its
	// validators' clocks: one of the account's own shard, older than Block when the
	// shard is behind. No later transaction of the account runs at an earlier time.
	ShardTime time.Time

	// Exists is false when the chain holds no such account. Everything below is
	// then zero. The absence is proved too.
	Exists   bool
	Frozen   bool       // it owes storage; only the hash of its StateInit is left
	State    [32]byte   // that hash; zero unless frozen
	Code     *cell.Cell // nil unless the account is active
	Data     *cell.Cell
	Balance  *big.Int // nanocoins; zero, never nil
	LastLT   uint64   // of the last transaction
	LastHash [32]byte

	// Proof is all of it for [VerifyAccountProof], from the trusted block of the
	// global config on. It is nil when that block is too far away, see [Account.Provable].
	Proof []byte

	env   *MethodEnv
	state *cell.Cell
}

// Active reports whether the account has code.
func (a *Account) Active() bool { return a.Code != nil }

// Provable says why there is no proof of the account for others, though what it says
// was proved to its reader: the way from the trusted block of the global config has
// more than 512 links, or the proof is longer than [MaxAccountProof]
// ([attestation.UnknownError]). A client that begins at a newer block has one.
func (a *Account) Provable() error {
	if a.Proof != nil {
		return nil
	}
	return attestation.Unknown("account %s: the trusted block of the TON global config is too far from block %d for a proof: renew it", a.Address, a.Block.Seqno)
}

// RunGetMethod executes a get-method of the contract here, on the proved state,
// with the proved configuration, time and balance of the block. Arguments may be
// integers, *big.Int, bool, [32]byte (as unsigned integer), attestation.Address
// (as slice), *cell.Cell, *cell.Slice and nil, in the order in which the method
// declares them. Results are *big.Int, *cell.Cell, *cell.Slice, []any and nil.
//
// The method sees no list of previous blocks: one that reads it fails. It has
// 1,000,000 gas, and may return 255 results of 4096 values in all. A method that
// throws is an [*ExitError]; an account without code is "could not find out".
func (a *Account) RunGetMethod(name string, args ...any) ([]any, error) {
	if !a.Active() {
		return nil, attestation.Unknown("get-method %s: account %s has no code", name, a.Address)
	}
	return a.env.run(a.Data, name, args)
}

// NetworkVersion returns the global version of the network (parameter 8) and
// whether it is newer than what this program can execute exactly. Get-methods
// then run under the newest rules known.
func (a *Account) NetworkVersion() (version uint32, newer bool) {
	v, err := (tlb.BlockchainConfig{Root: a.env.Config.Root()}).GetGlobalVersion()
	if err != nil {
		return 0, false
	}
	return v.Version, v.Version > vm.MaxSupportedGlobalVersion
}

// ChainID returns the chain id (parameter 19) of the network.
func (a *Account) ChainID() int32 { return a.env.GlobalID }
