package chain

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/xssnick/tonutils-go/tlb"
	"github.com/xssnick/tonutils-go/ton"
	"github.com/xssnick/tonutils-go/tvm"
	"github.com/xssnick/tonutils-go/tvm/cell"
	"github.com/xssnick/tonutils-go/tvm/vm"

	"github.com/cocoon-go/cocoon/attestation"
)

// Account is the proved state of an account after a masterchain block.
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
	// global config on.
	Proof []byte

	env   *MethodEnv
	state *cell.Cell
}

// Active reports whether the account has code.
func (a *Account) Active() bool { return a.Code != nil }

// RunGetMethod executes a get-method of the contract here, on the proved state,
// with the proved configuration, time and balance of the block. Arguments may be
// integers, *big.Int, bool, [32]byte (as unsigned integer), attestation.Address
// (as slice), *cell.Cell, *cell.Slice and nil, in the order in which the method
// declares them. Results are *big.Int, *cell.Cell, *cell.Slice, []any and nil.
//
// The method sees no list of previous blocks: one that reads it fails. A method
// that throws is an [*ExitError].
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

// accountParts is the evidence for an account's state after a masterchain block.
type accountParts struct {
	shard      *ton.BlockIDExt // block that holds the account; nil for masterchain accounts
	shardProof []*cell.Cell    // header and state of the masterchain block; nil for masterchain accounts
	proof      []*cell.Cell    // header and state of the holder
	state      *cell.Cell      // nil: absent
	config     []*cell.Cell    // header and state of the masterchain block
}

// configParams are the parameters that get-methods see: version, storage
// prices, chain id, gas and forwarding prices, size limits.
var configParams = []int32{8, 18, 19, 20, 21, 24, 25, 43}

// verify checks the parts against a proved masterchain block.
func (p *accountParts) verify(mc BlockID, addr attestation.Address) (a *Account, err error) {
	defer func() { // malformed cells
		if r := recover(); r != nil {
			a, err = nil, fmt.Errorf("malformed proof: %v", r)
		}
	}()
	cells := slices.Concat(p.shardProof, p.proof, p.config)
	if p.state != nil {
		cells = append(cells, p.state)
	}
	if err := checkLevels(cells...); err != nil {
		return nil, err
	}
	header := p.proof
	holder := mc.RootHash[:]
	if addr.Workchain != masterchain {
		if p.shard == nil {
			return nil, errors.New("no shard block")
		}
		if err := ton.CheckShardInMasterProofForAccount(mc.ext(), p.shardProof, p.shard, tonAddress(addr)); err != nil {
			return nil, fmt.Errorf("shard: %w", err)
		}
		header, holder = p.shardProof, p.shard.RootHash
	} else if p.shard != nil || p.shardProof != nil {
		return nil, errors.New("a masterchain account with a shard proof")
	}
	if len(header) != 2 {
		return nil, fmt.Errorf("proof of %d roots, want 2", len(header))
	}
	h, err := checkHeader(header[0], mc)
	if err != nil {
		return nil, fmt.Errorf("masterchain block: %w", err)
	}
	cfg, globalID, err := checkConfig(mc, p.config, configParams)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	if globalID != h.globalID {
		return nil, fmt.Errorf("chain id is %d in the block and %d in the configuration", h.globalID, globalID)
	}
	prepared, err := tvm.PrepareBlockchainConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	st, err := ton.CheckBlockShardStateProof(p.proof, holder)
	if err != nil {
		return nil, fmt.Errorf("state: %w", err)
	}
	if st.Accounts.ShardAccounts == nil {
		return nil, errors.New("state: the proof does not hold the accounts")
	}
	// The block's header and the state after it name one time (block.tlb, gen_utime).
	a = &Account{Address: addr, Block: h.of(mc), ShardTime: time.Unix(int64(st.GenUTime), 0), Balance: new(big.Int)}
	v, extra, err := st.Accounts.ShardAccounts.LoadValueExtra(cell.BeginCell().MustStoreSlice(addr.Hash[:], 256).EndCell())
	// Only this error proves absence: the path ends in a cell that is there. A
	// path that ends in a pruned cell gives another one.
	if errors.Is(err, cell.ErrNoSuchKeyInDict) {
		if p.state != nil {
			return nil, errors.New("state: an account that the proof says is absent")
		}
		a.env = &MethodEnv{Config: prepared, GlobalID: globalID}
		return a, nil
	}
	if err != nil {
		return nil, fmt.Errorf("state: the proof does not reach the account: %w", err)
	}
	if p.state == nil {
		return nil, errors.New("state: missing, though the proof says that the account exists")
	}
	var sa tlb.ShardAccount
	if err := tlb.LoadFromCell(&sa, v); err != nil {
		return nil, fmt.Errorf("state: %w", err)
	}
	if sa.Account.HashKey(0) != p.state.HashKey() {
		return nil, errors.New("state: not the one that the proof commits to")
	}
	var acc tlb.AccountState
	if err := tlb.Parse(&acc, p.state); err != nil {
		return nil, fmt.Errorf("state: %w", err)
	}
	var info tlb.DepthBalanceInfo
	if err := tlb.LoadFromCell(&info, extra); err != nil {
		return nil, fmt.Errorf("state: %w", err)
	}
	switch {
	case !acc.IsValid:
		return nil, errors.New("state: empty")
	case acc.Address.Workchain() != addr.Workchain || !bytes.Equal(acc.Address.Data(), addr.Hash[:]):
		return nil, errors.New("state: of another account")
	case acc.Balance.Nano().Cmp(info.Currencies.Coins.Nano()) != 0:
		return nil, errors.New("state: balance differs from the proof")
	}
	a.state = p.state
	a.Exists, a.Frozen, a.Balance = true, acc.Status == tlb.AccountStatusFrozen, acc.Balance.Nano()
	a.LastLT, a.LastHash = sa.LastTransLT, [32]byte(sa.LastTransHash)
	if a.Frozen {
		copy(a.State[:], acc.StateHash)
	}
	if acc.Status == tlb.AccountStatusActive {
		a.Code, a.Data = acc.StateInit.Code, acc.StateInit.Data
		if a.Data == nil {
			a.Data = cell.BeginCell().EndCell()
		}
	}
	a.env = &MethodEnv{
		Config: prepared, GlobalID: globalID, Time: h.time, LT: h.endLT, Address: tonAddress(addr), Balance: a.Balance, Code: a.Code,
	}
	return a, nil
}

// checkConfig verifies configuration parameters after a masterchain block and
// returns them as a dictionary of their own. A parameter that does not exist is
// left out; 8 and 19 must exist.
func checkConfig(mc BlockID, proof []*cell.Cell, params []int32) (root *cell.Cell, globalID int32, err error) {
	extra, err := ton.CheckShardMcStateExtraProof(mc.ext(), proof)
	if err != nil {
		return nil, 0, err
	}
	all := extra.ConfigParams.Config.Params
	if all == nil {
		return nil, 0, errors.New("the proof does not hold it")
	}
	d := cell.NewDict(32)
	for _, id := range params {
		v, err := all.LoadValueByIntKey(big.NewInt(int64(id)))
		if errors.Is(err, cell.ErrNoSuchKeyInDict) && id != 8 && id != 19 {
			continue
		}
		if err != nil {
			return nil, 0, fmt.Errorf("parameter %d: %w", id, err)
		}
		c, err := v.LoadRefCell()
		if err != nil {
			return nil, 0, fmt.Errorf("parameter %d: %w", id, err)
		}
		if err := whole(c); err != nil {
			return nil, 0, fmt.Errorf("parameter %d: %w", id, err)
		}
		if id == 19 {
			s, err := c.BeginParse()
			if err != nil {
				return nil, 0, err
			}
			n, err := s.LoadInt(32)
			if err != nil {
				return nil, 0, fmt.Errorf("parameter 19: %w", err)
			}
			globalID = int32(n)
		}
		if err := d.SetIntKey(big.NewInt(int64(id)), cell.BeginCell().MustStoreRef(c).EndCell()); err != nil {
			return nil, 0, err
		}
	}
	return d.AsCell(), globalID, nil
}

// whole fails when something under c is pruned.
func whole(c *cell.Cell) error {
	if c.Level() != 0 {
		return errors.New("pruned")
	}
	return nil
}
