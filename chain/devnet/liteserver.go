package devnet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"sort"
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

const (
	liteserverVersion      = 0x101
	liteserverCapabilities = 7
	maxTransactionList     = 16              // as the reference liteserver
	maxBlockTransactions   = 256             // likewise
	maxWait                = 2 * time.Minute // of waitMasterchainSeqno
	methodGas              = 1_000_000
	fromKeyBlock           = 0x8000 // mode of configuration queries
)

// lsError makes an error that liteservers report with a code.
func lsError(code int32, format string, a ...any) error {
	return ton.LSError{Code: code, Text: fmt.Sprintf(format, a...)}
}

// Answer answers one liteserver query from the chain as it is: what an honest
// liteserver says. Errors are [ton.LSError] where the protocol has a code.
func (c *Chain) Answer(ctx context.Context, query tl.Serializable) (resp tl.Serializable, err error) {
	defer func() {
		if r := recover(); r != nil { // malformed cells in a query
			resp, err = nil, fmt.Errorf("query %T: %v", query, r)
		}
	}()
	if list, ok := query.([]tl.Serializable); ok { // waitMasterchainSeqno comes as a prefix
		for len(list) > 1 {
			if w, ok := list[0].(ton.WaitMasterchainSeqno); ok {
				if err := c.waitQuery(ctx, w); err != nil {
					return nil, err
				}
			}
			list = list[1:]
		}
		if len(list) == 0 {
			return nil, errors.New("empty query")
		}
		query = list[0]
	}
	switch q := query.(type) {
	case ton.GetMasterchainInf:
		h := c.Head()
		return ton.MasterchainInfo{Last: h.ID, StateRootHash: h.State.Hash(), Init: c.zeroState()}, nil
	case ton.GetMasterchainInfoExt:
		h := c.Head()
		return ton.MasterchainInfoExt{
			Version: liteserverVersion, Capabilities: liteserverCapabilities, Last: h.ID, LastUTime: h.UTime,
			Now: uint32(c.opts.Now().Unix()), StateRootHash: h.State.Hash(), Init: c.zeroState(),
		}, nil
	case ton.GetTime:
		return ton.CurrentTime{Now: uint32(c.opts.Now().Unix())}, nil
	case ton.GetVersion:
		return ton.Version{Version: liteserverVersion, Capabilities: liteserverCapabilities, Now: uint32(c.opts.Now().Unix())}, nil
	case ton.SendMessage:
		m, err := cell.FromBOC(q.Body)
		if err != nil {
			return nil, err
		}
		if err := c.Send(m); err != nil {
			return nil, fmt.Errorf("cannot apply external message to current state : %w", err)
		}
		return ton.SendMessageStatus{Status: 1}, nil
	case ton.GetAccountState:
		return c.accountState(q.ID, q.Account, false)
	case ton.GetAccountStatePruned:
		return c.accountState(q.ID, q.Account, true)
	case ton.RunSmcMethod:
		return c.runMethod(q)
	case ton.GetTransactions:
		return c.transactions(q)
	case ton.GetOneTransaction:
		return c.oneTransaction(q)
	case ton.GetBlockData:
		b, err := c.findBlock(q.ID)
		if err != nil {
			return nil, err
		}
		return ton.BlockData{ID: b.ID, Payload: b.BoC}, nil
	case ton.GetState:
		b, _, err := c.find(q.ID)
		if err != nil {
			return nil, err
		}
		if b.State == nil {
			return nil, errNoState
		}
		return ton.BlockState{ID: b.ID, RootHash: b.State.Hash(), FileHash: b.ID.FileHash, Data: b.State.ToBOC()}, nil
	case ton.GetBlockHeader:
		b, err := c.findBlock(q.ID)
		if err != nil {
			return nil, err
		}
		return header(b, q.Mode)
	case ton.LookupBlock:
		b, err := c.lookup(q)
		if err != nil {
			return nil, err
		}
		return header(b, q.Mode)
	case ton.GetAllShardsInfo:
		return c.allShards(q)
	case ton.GetShardInfo:
		return c.shardInfo(q)
	case ton.ListBlockTransactions:
		return c.listBlock(q)
	case ton.ListBlockTransactionsExt:
		return c.listBlockExt(q)
	case ton.GetShardBlockProof:
		return c.shardBlockProof(q)
	case ton.GetBlockOutMsgQueueSize:
		return c.queueSize(q)
	case ton.GetOutMsgQueueSizes:
		return c.queueSizes(q)
	case ton.GetConfigAll:
		return c.config(q.Mode, q.BlockID, nil)
	case ton.GetConfigParams:
		if q.Params == nil {
			q.Params = []int32{}
		}
		return c.config(q.Mode, q.BlockID, q.Params)
	case ton.GetBlockProof:
		return c.proofChain(q)
	case ton.GetLibraries:
		return ton.LibraryResult{Result: []*ton.LibraryEntry{}}, nil
	}
	return nil, lsError(601, "unsupported query %T", query)
}

func (c *Chain) zeroState() *ton.ZeroStateIDExt {
	z := c.hist.zero // set once, at start
	return &ton.ZeroStateIDExt{Workchain: masterchain, RootHash: z.RootHash, FileHash: z.FileHash}
}

func (c *Chain) waitQuery(ctx context.Context, w ton.WaitMasterchainSeqno) error {
	d := min(time.Duration(w.Timeout)*time.Millisecond, maxWait)
	wctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	err := c.waitFor(wctx, uint32(w.Seqno))
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return lsError(652, "block %d is not there after %v", w.Seqno, d)
	}
	return err
}

// findBlock is find without the zerostate, which is no block.
func (c *Chain) findBlock(id *ton.BlockIDExt) (*Block, error) {
	b, _, err := c.find(id)
	return b, err
}

func header(b *Block, mode uint32) (tl.Serializable, error) {
	p, err := blockProof(b, nil)
	if err != nil {
		return nil, err
	}
	return ton.BlockHeader{ID: b.ID, Mode: mode, HeaderProof: p.ToBOC()}, nil
}

// lookup finds a block by number, or the first that ends at or after a logical
// or Unix time.
func (c *Chain) lookup(q ton.LookupBlock) (*Block, error) {
	if q.ID == nil {
		return nil, errors.New("no block given")
	}
	if q.Mode&1 != 0 {
		if q.ID.Seqno < 1 { // the zerostate is no block
			return nil, errNoBlock
		}
		return c.blockAt(q.ID.Workchain, uint32(q.ID.Seqno))
	}
	head := c.Head().ID.SeqNo
	var fail error
	found := 1 + uint32(sort.Search(int(head), func(i int) bool {
		b, err := c.blockAt(q.ID.Workchain, uint32(i)+1)
		if err != nil {
			fail = err
			return true
		}
		if q.Mode&2 != 0 {
			return b.EndLT >= q.LT
		}
		return b.UTime >= q.UTime
	}))
	if fail != nil {
		return nil, fail
	}
	if q.Mode&6 == 0 || found > head {
		return nil, errNoBlock
	}
	return c.blockAt(q.ID.Workchain, found)
}

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

func (c *Chain) accountState(id *ton.BlockIDExt, a ton.AccountID, pruned bool) (tl.Serializable, error) {
	ref, holder, err := c.holder(id, a.Workchain)
	if err != nil {
		return nil, err
	}
	res := ton.AccountState{ID: ref.ID, Shard: holder.ID}
	if ref != holder {
		if res.ShardProof, err = proveShard(ref); err != nil {
			return nil, err
		}
	}
	if res.Proof, err = proveAccount(holder, a.ID); err != nil {
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

func (c *Chain) runMethod(q ton.RunSmcMethod) (tl.Serializable, error) {
	ref, holder, err := c.holder(q.ID, q.Account.Workchain)
	if err != nil {
		return nil, err
	}
	res := ton.RunMethodResult{Mode: q.Mode, ID: ref.ID, ShardBlock: holder.ID}
	if q.Mode&1 != 0 {
		if ref != holder {
			if res.ShardProof, err = proveShard(ref); err != nil {
				return nil, err
			}
		}
		if res.Proof, err = proveAccount(holder, q.Account.ID); err != nil {
			return nil, err
		}
	}
	sa, err := shardAccount(holder.accounts, q.Account.ID)
	if err != nil {
		return nil, err
	}
	addr := address.NewAddress(0, byte(q.Account.Workchain), q.Account.ID)
	var st tlb.AccountState
	if err := tlb.Parse(&st, sa.Account); err != nil {
		return nil, err
	}
	if st.Status != tlb.AccountStatusActive {
		res.ExitCode = ton.ErrCodeContractNotInitialized
		if q.Mode&2 != 0 {
			res.StateProof, err = cell.CreateMerkleProof(sa.Account)
		}
		return res, err
	}
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
		Address: addr, Balance: st.Balance.Nano(), Code: st.StateInit.Code, PrevBlocks: prevBlocks,
	}.C7()
	if err != nil {
		return nil, err
	}
	conf := tvm.ExecutionConfig{Config: cfg}
	if q.Mode&2 != 0 {
		conf.AccountRoot = sa.Account
	}
	out, err := c.vm.ExecuteGetMethod(st.StateInit.Code, st.StateInit.Data, c7, vm.GasWithLimit(methodGas), stack, conf)
	if err != nil {
		return nil, err
	}
	res.ExitCode, res.StateProof = int32(out.ExitCode), out.Proof
	if q.Mode&4 != 0 {
		res.Result, err = storeStack(out.Stack)
	}
	return res, err
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

var errNoTx = lsError(-400, "cannot compute block with specified transaction: lt not in db")

// txAt returns a transaction of the chain and its block.
func (c *Chain) txAt(workchain int32, t txRef) (*cell.Cell, *Block, error) {
	c.mu.RLock()
	n, ok := c.hist.txs[txKey{workchain, t}]
	c.mu.RUnlock()
	if !ok {
		return nil, nil, errNoTx
	}
	b, err := c.blockAt(workchain, n)
	if err != nil {
		return nil, nil, err
	}
	tx, err := txCell(b, t)
	return tx, b, err
}

func (c *Chain) transactions(q ton.GetTransactions) (tl.Serializable, error) {
	if q.AccID == nil {
		return nil, errors.New("no account given")
	}
	res := ton.TransactionList{}
	var roots []*cell.Cell
	lt, hash := uint64(q.LT), q.TxHash
	for lt != 0 && len(roots) < min(int(q.Limit), maxTransactionList) {
		tx, b, err := c.txAt(q.AccID.Workchain, txRef{[32]byte(q.AccID.ID), lt})
		if err == nil && !bytes.Equal(tx.Hash(), hash) {
			err = errNoTx
		}
		if err != nil {
			return nil, err
		}
		roots, res.IDs = append(roots, tx), append(res.IDs, b.ID)
		s, err := tx.BeginParse()
		if err != nil {
			return nil, err
		}
		if _, err := s.LoadSlice(4 + 256 + 64); err != nil { // tag, account_addr, lt
			return nil, err
		}
		if hash, err = s.LoadSlice(256); err != nil {
			return nil, err
		}
		if lt, err = s.LoadUInt(64); err != nil {
			return nil, err
		}
	}
	if len(roots) > 0 {
		res.Transactions = cell.ToBOCWithOptions(roots, cell.BOCSerializeOptions{WithCRC32C: true})
	}
	return res, nil
}

func (c *Chain) oneTransaction(q ton.GetOneTransaction) (tl.Serializable, error) {
	if q.AccID == nil {
		return nil, errors.New("no account given")
	}
	b, master, err := c.find(q.ID)
	if err != nil {
		return nil, err
	}
	if b.ID.Workchain == masterchain && q.AccID.Workchain == basechain {
		b = master.shard
	}
	t := txRef{[32]byte(q.AccID.ID), uint64(q.LT)}
	if b.ID.Workchain != q.AccID.Workchain || !slices.Contains(b.txs, t) {
		return ton.TransactionInfo{ID: b.ID}, nil
	}
	tx, err := txCell(b, t)
	if err != nil {
		return nil, err
	}
	p, err := proveTxs(b, []txRef{t})
	if err != nil {
		return nil, err
	}
	return ton.TransactionInfo{ID: b.ID, Proof: p.ToBOC(), Transaction: tx.ToBOC()}, nil
}

func (c *Chain) allShards(q ton.GetAllShardsInfo) (tl.Serializable, error) {
	b, err := c.findBlock(q.ID)
	if err != nil {
		return nil, err
	}
	if b.ID.Workchain != masterchain {
		return nil, errors.New("not a masterchain block")
	}
	p, err := proveShardHashes(b)
	if err != nil {
		return nil, err
	}
	return ton.AllShardsInfo{ID: b.ID, Proof: []*cell.Cell{p}, Data: cell.BeginCell().MustStoreDict(shardHashes(b.shard, b.ID.SeqNo)).EndCell()}, nil
}

func (c *Chain) shardInfo(q ton.GetShardInfo) (tl.Serializable, error) {
	b, err := c.findBlock(q.ID)
	if err != nil {
		return nil, err
	}
	switch {
	case b.ID.Workchain != masterchain:
		return nil, errors.New("not a masterchain block")
	case q.Workchain != basechain || q.Exact && q.Shard != fullShard:
		return nil, errors.New("no such shard")
	}
	p, err := proveShard(b)
	return ton.ShardInfo{ID: b.ID, ShardBlock: b.shard.ID, ShardProof: p, ShardDescription: shardDescr(b.shard, b.ID.SeqNo)}, err
}

func (c *Chain) config(mode int32, id *ton.BlockIDExt, params []int32) (tl.Serializable, error) {
	b, err := c.findBlock(id)
	if err != nil {
		return nil, err
	}
	if mode&fromKeyBlock != 0 {
		return c.keyConfig(mode, b, params)
	}
	bp, sp, err := proveConfig(b, params)
	if err != nil {
		return nil, err
	}
	return ton.ConfigAll{Mode: int(mode), ID: b.ID, StateProof: bp.ToBOC(), ConfigProof: sp.ToBOC()}, nil
}

// keyConfig answers with the configuration that the newest key block up to b
// holds, proved from that block alone.
func (c *Chain) keyConfig(mode int32, b *Block, params []int32) (tl.Serializable, error) {
	if !b.Key {
		var err error
		if b, err = c.masterAt(b.prevKey()); err != nil {
			return nil, err
		}
	}
	p, err := proveKeyConfig(b, params)
	if err != nil {
		return nil, err
	}
	return ton.ConfigAll{Mode: int(mode), ID: b.ID, ConfigProof: p.ToBOC()}, nil
}

func (c *Chain) proofChain(q ton.GetBlockProof) (tl.Serializable, error) {
	from, err := c.findBlock(q.KnownBlock)
	if err != nil {
		return nil, err
	}
	to := c.Head()
	if q.Mode&1 != 0 {
		if to, err = c.findBlock(q.TargetBlock); err != nil {
			return nil, err
		}
	}
	if from.ID.Workchain != masterchain || to.ID.Workchain != masterchain {
		return nil, errors.New("not a masterchain block")
	}
	steps, end, complete, err := c.links(from, to)
	if err != nil {
		return nil, err
	}
	return ton.PartialBlockProof{Complete: complete, From: from.ID, To: end, Steps: steps}, nil
}
