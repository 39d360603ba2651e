package devnet

import (
	"errors"
	"fmt"
	"math/big"

	"github.com/xssnick/tonutils-go/address"
	"github.com/xssnick/tonutils-go/tlb"
	"github.com/xssnick/tonutils-go/tvm"
	"github.com/xssnick/tonutils-go/tvm/cell"
)

// liveAccount is an account that the block has touched.
type liveAccount struct {
	acc    *tvm.PreparedAccount
	before []byte // hash of the account before the block
	stat   *cell.Cell
	txs    *tlb.AccountTransactionsAugDict
}

// execute runs one transaction and returns its cell, or nil when the message
// was an external one that the contract refused.
func (k *collation) execute(msg *tvm.PreparedMessage, dst *address.Address, minLT uint64) (*cell.Cell, error) {
	key := [32]byte(dst.Data())
	acc := k.live[key]
	if acc == nil {
		sa, err := shardAccount(k.accounts, key[:])
		if err != nil {
			return nil, err
		}
		prepared, err := tvm.PrepareAccount(sa, dst)
		if err != nil {
			return nil, err
		}
		acc = &liveAccount{acc: prepared, before: sa.Account.Hash()}
	}
	res, err := k.c.vm.EmulateTransaction(k.ctx, acc.acc, msg, tvm.TransactionOptions{
		LogicalTime: int64(max(minLT, k.startLT+1)), AccountStorageStat: acc.stat,
	})
	if err != nil || res.TransactionCell == nil {
		return nil, err
	}
	k.live[key] = acc
	k.room--
	lt := res.NextAccount.ShardAccount().LastTransLT
	acc.acc, acc.stat = res.NextAccount, res.AccountStorageStat
	if acc.txs == nil {
		acc.txs = must(tlb.NewAccountTransactionsAugDict())
	}
	if err := acc.txs.SetIntKey(new(big.Int).SetUint64(lt), cell.BeginCell().MustStoreRef(res.TransactionCell).EndCell()); err != nil {
		return nil, err
	}
	k.endLT = max(k.endLT, res.EndLT)
	k.txs = append(k.txs, txRef{key, lt})
	for _, o := range res.OutMessages {
		if o.Msg.MsgType == tlb.MsgTypeExternalOut {
			// msg_export_ext$000 out_msg transaction
			v := cell.BeginCell().MustStoreUInt(0, 3).MustStoreRef(o.Cell).MustStoreRef(res.TransactionCell).EndCell()
			if err := k.out.Set(hashKey(o.Cell), v); err != nil {
				return nil, err
			}
			continue
		}
		in, err := newInbound(o.Cell)
		if err != nil {
			return nil, err
		}
		in.source, in.from = res.TransactionCell, k.workchain
		k.arrivals.add(in)
	}
	return res.TransactionCell, nil
}

// finish collects what the block and the state after it hold.
func (k *collation) finish(prev *Block) (*collationResult, error) {
	blocks := must(tlb.NewShardAccountBlocksAugDict())
	for key, acc := range k.live {
		root, err := acc.txs.InlineCell()
		if err != nil {
			return nil, err
		}
		// HASH_UPDATE#72 old_hash new_hash
		update := cell.BeginCell().MustStoreUInt(0x72, 8).MustStoreSlice(acc.before, 256).
			MustStoreSlice(acc.acc.ShardAccount().Account.Hash(), 256).EndCell()
		// acc_trans#5 account_addr transactions state_update
		v := cell.BeginCell().MustStoreUInt(5, 4).MustStoreSlice(key[:], 256).MustStoreBuilder(root.ToBuilder()).MustStoreRef(update).EndCell()
		if err := blocks.Set(bits256(key[:]), v); err != nil {
			return nil, fmt.Errorf("account block: %w", err)
		}
		if st := acc.acc.State(); st == nil || !st.IsValid {
			if err := k.accounts.Delete(bits256(key[:])); err != nil && !errors.Is(err, cell.ErrNoSuchKeyInDict) {
				return nil, err
			}
			continue
		}
		if err := k.accounts.Set(bits256(key[:]), acc.acc.ShardAccountCell()); err != nil {
			return nil, fmt.Errorf("shard account: %w", err)
		}
	}
	from, err := totalBalance(prev.accounts)
	if err != nil {
		return nil, err
	}
	to, err := totalBalance(k.accounts)
	if err != nil {
		return nil, err
	}
	inFees, imported, err := importSums(k.in)
	if err != nil {
		return nil, err
	}
	exported, err := rootCoins(k.out.AugmentedDictionary)
	if err != nil {
		return nil, err
	}
	txFees, err := rootCoins(blocks.AugmentedDictionary)
	if err != nil {
		return nil, err
	}
	return &collationResult{
		accounts: k.accounts, blocks: must(blocks.ToCell()), in: must(k.in.ToCell()), out: must(k.out.ToCell()), queue: k.queue,
		flow:  flow{from: from, to: to, imported: imported, exported: exported, fees: inFees.Add(inFees, txFees), feesImported: new(big.Int)},
		endLT: k.endLT + 1, txs: k.txs,
	}, nil
}

// rootCoins is the sum at the root of a dictionary augmented with currencies.
func rootCoins(d *cell.AugmentedDictionary) (*big.Int, error) {
	s, err := d.LoadRootExtra()
	if err != nil {
		return nil, err
	}
	return s.LoadBigCoins()
}

func totalBalance(d *tlb.ShardAccountsAugDict) (*big.Int, error) {
	s, err := d.LoadRootExtra()
	if err != nil {
		return nil, err
	}
	var info tlb.DepthBalanceInfo
	if err := tlb.LoadFromCell(&info, s); err != nil {
		return nil, err
	}
	return info.Currencies.Coins.Nano(), nil
}

func importSums(d *tlb.InMsgDescrAugDict) (fees, value *big.Int, err error) {
	s, err := d.LoadRootExtra()
	if err != nil {
		return nil, nil, err
	}
	if fees, err = s.LoadBigCoins(); err != nil {
		return nil, nil, err
	}
	value, err = s.LoadBigCoins()
	return fees, value, err
}
