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

	"github.com/cocoon-go/cocoon/attestation"
)

// accountParts is the evidence for an account's state after a masterchain block.
type accountParts struct {
	shard      *ton.BlockIDExt // block that holds the account; nil for masterchain accounts
	shardProof []*cell.Cell    // header and state of the masterchain block; nil for masterchain accounts
	proof      []*cell.Cell    // header and state of the holder
	state      *cell.Cell      // nil: absent
	config     []*cell.Cell    // header and state of the masterchain block
}

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
	header, holder, err := p.holder(mc, addr)
	if err != nil {
		return nil, err
	}
	h, err := checkHeader(header, mc)
	if err != nil {
		return nil, fmt.Errorf("masterchain block: %w", err)
	}
	env, err := p.environment(mc, h)
	if err != nil {
		return nil, err
	}
	// The block's header and the state after it name one time (block.tlb, gen_utime).
	a = &Account{Address: addr, Block: h.of(mc), Balance: new(big.Int), env: env}
	if err := p.read(a, holder); err != nil {
		return nil, fmt.Errorf("state: %w", err)
	}
	if a.Exists {
		env.Time, env.LT, env.Address, env.Balance, env.Code = h.time, h.endLT, tonAddress(addr), a.Balance, a.Code
	}
	return a, nil
}

// holder returns the root hash of the block that holds the account, which for all but
// masterchain accounts is one that the masterchain block registers, and the header of
// the masterchain block.
func (p *accountParts) holder(mc BlockID, addr attestation.Address) (header *cell.Cell, root []byte, err error) {
	roots := p.proof
	if addr.Workchain == masterchain {
		if p.shard != nil || p.shardProof != nil {
			return nil, nil, errors.New("a masterchain account with a shard proof")
		}
		root = mc.RootHash[:]
	} else {
		if p.shard == nil {
			return nil, nil, errors.New("no shard block")
		}
		if err := ton.CheckShardInMasterProofForAccount(mc.ext(), p.shardProof, p.shard, tonAddress(addr)); err != nil {
			return nil, nil, fmt.Errorf("shard: %w", err)
		}
		roots, root = p.shardProof, p.shard.RootHash
	}
	if len(roots) != 2 {
		return nil, nil, fmt.Errorf("proof of %d roots, want 2", len(roots))
	}
	return roots[0], root, nil
}

// environment is what get-methods see of the chain, as far as it does not depend on
// the account.
func (p *accountParts) environment(mc BlockID, h blockHeader) (*MethodEnv, error) {
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
	return &MethodEnv{Config: prepared, GlobalID: globalID}, nil
}

// read looks the account up in the state after the holder, and reads it.
func (p *accountParts) read(a *Account, holder []byte) error {
	st, err := ton.CheckBlockShardStateProof(p.proof, holder)
	if err != nil {
		return err
	}
	if st.Accounts.ShardAccounts == nil {
		return errors.New("the proof does not hold the accounts")
	}
	a.ShardTime = time.Unix(int64(st.GenUTime), 0)
	v, extra, err := st.Accounts.ShardAccounts.LoadValueExtra(cell.BeginCell().MustStoreSlice(a.Address.Hash[:], 256).EndCell())
	// Only this error proves absence: the path ends in a cell that is there. A
	// path that ends in a pruned cell gives another one.
	if errors.Is(err, cell.ErrNoSuchKeyInDict) {
		if p.state != nil {
			return errors.New("an account that the proof says is absent")
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("the proof does not reach the account: %w", err)
	}
	acc, sa, err := p.account(v, extra, a.Address)
	if err != nil {
		return err
	}
	a.fill(acc, sa)
	a.state = p.state
	return nil
}

// account reads the state that an entry of the shard's accounts commits to:
// account_descr$_ account:^Account last_trans_hash:bits256 last_trans_lt:uint64.
func (p *accountParts) account(v, extra *cell.Slice, addr attestation.Address) (*tlb.AccountState, *tlb.ShardAccount, error) {
	if p.state == nil {
		return nil, nil, errors.New("missing, though the proof says that the account exists")
	}
	var sa tlb.ShardAccount
	if err := tlb.LoadFromCell(&sa, v); err != nil {
		return nil, nil, err
	}
	if sa.Account.HashKey(0) != p.state.HashKey() {
		return nil, nil, errors.New("not the one that the proof commits to")
	}
	var acc tlb.AccountState
	if err := tlb.Parse(&acc, p.state); err != nil {
		return nil, nil, err
	}
	var info tlb.DepthBalanceInfo
	if err := tlb.LoadFromCell(&info, extra); err != nil {
		return nil, nil, err
	}
	switch {
	case !acc.IsValid:
		return nil, nil, errors.New("empty")
	case acc.Address.Workchain() != addr.Workchain || !bytes.Equal(acc.Address.Data(), addr.Hash[:]):
		return nil, nil, errors.New("of another account")
	case acc.Balance.Nano().Cmp(info.Currencies.Coins.Nano()) != 0:
		return nil, nil, errors.New("balance differs from the proof")
	}
	return &acc, &sa, nil
}

// fill takes over what the state says.
func (a *Account) fill(acc *tlb.AccountState, sa *tlb.ShardAccount) {
	a.Exists, a.Balance = true, acc.Balance.Nano()
	a.LastLT, a.LastHash = sa.LastTransLT, [32]byte(sa.LastTransHash)
	switch acc.Status {
	case tlb.AccountStatusFrozen:
		a.Frozen = true
		copy(a.State[:], acc.StateHash)
	case tlb.AccountStatusActive:
		a.Code, a.Data = acc.StateInit.Code, acc.StateInit.Data
		if a.Data == nil {
			a.Data = cell.BeginCell().EndCell()
		}
	}
}
