package devnet

import (
	"math/big"
	"time"

	"github.com/xssnick/tonutils-go/address"
	"github.com/xssnick/tonutils-go/tl"
	"github.com/xssnick/tonutils-go/tlb"
	"github.com/xssnick/tonutils-go/ton"
	"github.com/xssnick/tonutils-go/tvm"
	"github.com/xssnick/tonutils-go/tvm/cell"
	"github.com/xssnick/tonutils-go/tvm/tuple"
	"github.com/xssnick/tonutils-go/tvm/vm"

	"github.com/cocoon-go/cocoon/chain"
)

// Flags of a query for a get-method: what its answer holds.
const (
	wantStateProof = 1 << 0 // proof of the account's state
	wantDataProof  = 1 << 1 // proof of what the method read of it
	wantResult     = 1 << 2
)

func (c *Chain) runMethod(q ton.RunSmcMethod) (tl.Serializable, error) {
	ref, holder, err := c.holder(q.ID, q.Account.Workchain)
	if err != nil {
		return nil, err
	}
	res := ton.RunMethodResult{Mode: q.Mode, ID: ref.ID, ShardBlock: holder.ID}
	if q.Mode&wantStateProof != 0 {
		if res.ShardProof, res.Proof, err = proveHolder(ref, holder, q.Account.ID); err != nil {
			return nil, err
		}
	}
	sa, err := shardAccount(holder.accounts, q.Account.ID)
	if err != nil {
		return nil, err
	}
	var st tlb.AccountState
	if err := tlb.Parse(&st, sa.Account); err != nil {
		return nil, err
	}
	if st.Status != tlb.AccountStatusActive {
		res.ExitCode = ton.ErrCodeContractNotInitialized
		if q.Mode&wantDataProof != 0 {
			res.StateProof, err = cell.CreateMerkleProof(sa.Account)
		}
		return res, err
	}
	out, err := c.executeMethod(q, holder, sa.Account, &st)
	if err != nil {
		return nil, err
	}
	res.ExitCode, res.StateProof = int32(out.ExitCode), out.Proof
	if q.Mode&wantResult != 0 {
		res.Result, err = storeStack(out.Stack)
	}
	return res, err
}

// executeMethod runs a get-method of an active account on the state after
// holder.
func (c *Chain) executeMethod(q ton.RunSmcMethod, holder *Block, root *cell.Cell, st *tlb.AccountState) (*tvm.ExecutionResult, error) {
	stack, err := loadStack(q.Params)
	if err != nil {
		return nil, err
	}
	if err := stack.PushInt(new(big.Int).SetUint64(q.MethodID)); err != nil {
		return nil, err
	}
	var prevBlocks any
	if master, err := c.masterAt(holder.ID.SeqNo); err == nil {
		if t, err := previousBlocks(master); err == nil {
			prevBlocks = t
		}
	}
	cfg := c.Config()
	c7, err := chain.MethodEnv{
		Config: cfg, GlobalID: c.opts.GlobalID, Time: time.Unix(int64(holder.UTime), 0), LT: holder.EndLT,
		Address: address.NewAddress(0, byte(q.Account.Workchain), q.Account.ID),
		Balance: st.Balance.Nano(), Code: st.StateInit.Code, PrevBlocks: prevBlocks,
	}.C7()
	if err != nil {
		return nil, err
	}
	conf := tvm.ExecutionConfig{Config: cfg}
	if q.Mode&wantDataProof != 0 {
		conf.AccountRoot = root
	}
	return c.vm.ExecuteGetMethod(st.StateInit.Code, st.StateInit.Data, c7, vm.GasWithLimit(methodGas), stack, conf)
}

// loadStack reads the arguments of a get-method.
func loadStack(boc []byte) (*vm.Stack, error) {
	st := vm.NewStack()
	if len(boc) == 0 {
		return st, nil
	}
	root, err := cell.FromBOC(boc)
	if err != nil {
		return nil, err
	}
	var in tlb.Stack
	if err := tlb.Parse(&in, root); err != nil {
		return nil, err
	}
	for in.Depth() > 0 { // the deepest value comes first
		v, err := in.Pop()
		if err != nil {
			return nil, err
		}
		if t, ok := v.([]any); ok {
			v = tuple.NewTupleValue(t...)
		}
		if err := st.PushAny(v); err != nil {
			return nil, err
		}
	}
	return st, nil
}

func hostValue(v any) any {
	switch t := v.(type) {
	case tuple.Tuple:
		out := make([]any, t.Len())
		for i := range out {
			out[i] = hostValue(must(t.RawIndex(i)))
		}
		return out
	case *cell.Cell:
		return t.WithoutTrace()
	case *cell.Slice:
		return t.WithoutTrace()
	}
	return v
}

func storeStack(s *vm.Stack) (*cell.Cell, error) {
	out := tlb.NewStack()
	for s.Len() > 0 { // both take the top first
		v, err := s.PopAny()
		if err != nil {
			return nil, err
		}
		out.Push(hostValue(v))
	}
	return out.ToCell()
}
