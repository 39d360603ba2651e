package devnet

import (
	"fmt"

	"github.com/xssnick/tonutils-go/tl"
	"github.com/xssnick/tonutils-go/tlb"
	"github.com/xssnick/tonutils-go/ton"
	"github.com/xssnick/tonutils-go/tvm/cell"
)

// holder returns the block that a query names and the one whose state holds an
// account of the workchain.
func (c *Chain) holder(id *ton.BlockIDExt, workchain int32) (ref, holder *Block, err error) {
	if ref, _, err = c.find(id); err != nil {
		return nil, nil, err
	}
	switch {
	case ref.ID.Workchain == workchain:
		holder = ref
	case ref.ID.Workchain == masterchain && workchain == basechain:
		holder = ref.shard
	default:
		return nil, nil, fmt.Errorf("an account of workchain %d is not in a block of workchain %d", workchain, ref.ID.Workchain)
	}
	if holder.State == nil {
		return nil, nil, errNoState
	}
	return ref, holder, nil
}

// proveHolder proves the state of an account in the block that holds it, and
// that block from the one that the query named, when it is another.
func proveHolder(ref, holder *Block, account []byte) (shard, state []*cell.Cell, err error) {
	if ref != holder {
		if shard, err = proveShard(ref); err != nil {
			return nil, nil, err
		}
	}
	state, err = proveAccount(holder, account)
	return shard, state, err
}

func (c *Chain) accountState(id *ton.BlockIDExt, a ton.AccountID, pruned bool) (tl.Serializable, error) {
	ref, holder, err := c.holder(id, a.Workchain)
	if err != nil {
		return nil, err
	}
	res := ton.AccountState{ID: ref.ID, Shard: holder.ID}
	if res.ShardProof, res.Proof, err = proveHolder(ref, holder, a.ID); err != nil {
		return nil, err
	}
	sa, err := shardAccount(holder.accounts, a.ID)
	if err != nil {
		return nil, err
	}
	if !exists(sa) {
		return res, nil
	}
	res.State = sa.Account
	if pruned {
		pb := cell.NewMerkleProofBuilder(sa.Account)
		if err := touch(pb.Root()); err != nil {
			return nil, err
		}
		res.State, err = pb.CreateProof()
	}
	return res, err
}

// exists reports whether the account is more than account_none$0.
func exists(sa *tlb.ShardAccount) bool { return sa.Account.BitsSize() > 1 }
