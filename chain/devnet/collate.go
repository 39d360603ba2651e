package devnet

import (
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/xssnick/tonutils-go/tlb"
	"github.com/xssnick/tonutils-go/tvm"
	"github.com/xssnick/tonutils-go/tvm/cell"
	"github.com/xssnick/tonutils-go/tvm/tuple"
)

// collation builds one block of one workchain.
type collation struct {
	c         *Chain
	cfg       *config
	workchain int32
	ctx       *tvm.BlockContext
	startLT   uint64
	endLT     uint64
	room      int // transactions that still fit

	accounts *tlb.ShardAccountsAugDict
	live     map[[32]byte]*liveAccount
	in       *tlb.InMsgDescrAugDict
	out      *tlb.OutMsgDescrAugDict
	queue    *outQueue
	dequeued []*inbound // of queue
	arrivals arrivals   // messages made in this block and not yet delivered
	txs      []txRef
}

// collationResult is what a block is built from.
type collationResult struct {
	accounts *tlb.ShardAccountsAugDict
	blocks   *cell.Cell // ShardAccountBlocks
	in, out  *cell.Cell
	queue    *outQueue
	flow     flow
	endLT    uint64
	txs      []txRef
}

// collate executes messages on the state after prev. neighbour is the queue of
// the other workchain, neighbourDone how far that one has processed ours. pool
// are external messages; those that are no longer acceptable are dropped, those
// that found no room, which is for so many transactions, are returned.
func (c *Chain) collate(prev *Block, cfg *config, prevBlocks tuple.Tuple, utime uint32, room int, startLT uint64, refMC uint32,
	neighbour *outQueue, neighbourDone mark, pool []*external) (_ *collationResult, rest []*external, err error) {
	workchain := prev.ID.Workchain
	ctx, err := cfg.prepared.NewBlockContext(tvm.BlockOptions{
		Now: utime, BlockLT: int64(startLT), RandSeed: blockSeed(workchain, prev.ID.SeqNo+1), PrevBlocks: prevBlocks, GlobalID: c.opts.GlobalID,
	})
	if err != nil {
		return nil, nil, err
	}
	k := &collation{
		c: c, cfg: cfg, workchain: workchain, ctx: ctx, startLT: startLT, endLT: startLT, room: room,
		accounts: &tlb.ShardAccountsAugDict{AugmentedDictionary: prev.accounts.Copy()},
		live:     map[[32]byte]*liveAccount{},
		in:       newInDescr(), out: newOutDescr(),
		queue: c.queues[workchain].copy(),
	}
	if err := k.cleanQueue(neighbourDone); err != nil {
		return nil, nil, err
	}
	behind, err := k.importQueued(neighbour, refMC)
	if err != nil {
		return nil, nil, err
	}
	for i, e := range pool {
		if k.room <= 0 {
			rest = pool[i:]
			break
		}
		if err := k.external(e); err != nil {
			return nil, nil, err
		}
	}
	if err := k.deliver(behind); err != nil {
		return nil, nil, err
	}
	if err := k.queue.remove(k.dequeued); err != nil {
		return nil, nil, err
	}
	res, err := k.finish(prev)
	return res, rest, err
}

// cleanQueue drops what the other workchain has taken from our queue.
func (k *collation) cleanQueue(done mark) error {
	for _, in := range k.queue.items {
		if in.to == k.workchain || in.compare(done) > 0 {
			continue
		}
		// msg_export_deq_short$1101 msg_env_hash next_workchain next_addr_pfx import_block_lt
		key := in.key().ToBuilder().EndCell().MustBeginParse()
		v := cell.BeginCell().MustStoreUInt(0b1101, 4).MustStoreSlice(in.env.Hash(), 256).
			MustStoreSlice(key.MustLoadSlice(96), 96).MustStoreUInt(done.lt, 64).EndCell()
		if err := k.out.Set(hashKey(in.msg.Cell()), v); err != nil {
			return err
		}
		k.dequeued = append(k.dequeued, in)
	}
	return nil
}

// importQueued processes the messages that earlier blocks left for this
// workchain, in order. It reports whether some are left.
func (k *collation) importQueued(neighbour *outQueue, refMC uint32) (behind bool, err error) {
	var todo []*inbound
	for _, q := range []*outQueue{k.queue, neighbour} {
		for _, in := range q.items {
			if in.to == k.workchain && (in.from == k.workchain || in.compare(k.queue.done) > 0) {
				todo = append(todo, in)
			}
		}
	}
	slices.SortFunc(todo, func(a, b *inbound) int { return a.compare(b.mark) })
	for i, in := range todo {
		if k.room <= 0 {
			return i < len(todo), nil
		}
		tx, err := k.execute(in.msg, in.msg.Message().AsInternal().DstAddr, in.lt+1)
		if err != nil {
			return false, fmt.Errorf("queued message %x: %w", in.hash, err)
		}
		// msg_import_fin$100 in_msg transaction fwd_fee
		rec := cell.BeginCell().MustStoreUInt(0b100, 3).MustStoreRef(in.env).MustStoreRef(tx).MustStoreBigCoins(in.fwdFee).EndCell()
		if err := k.in.Set(hashKey(in.msg.Cell()), rec); err != nil {
			return false, err
		}
		if in.from == k.workchain {
			// msg_export_deq_imm$100 out_msg reimport
			v := cell.BeginCell().MustStoreUInt(0b100, 3).MustStoreRef(in.env).MustStoreRef(rec).EndCell()
			if err := k.out.Set(hashKey(in.msg.Cell()), v); err != nil {
				return false, err
			}
			k.dequeued = append(k.dequeued, in)
		}
		k.queue.done, k.queue.refMC = in.mark, refMC
	}
	return false, nil
}

// external executes an external message; one that the contract refuses by now
// leaves no trace, as with a real collator.
func (k *collation) external(e *external) error {
	tx, err := k.execute(e.msg, e.msg.Message().AsExternalIn().DestAddr(), 0)
	if err != nil || tx == nil {
		return nil // fees that the account can't pay come back as an error
	}
	// msg_import_ext$000 msg transaction
	return k.in.Set(hashKey(e.msg.Cell()), cell.BeginCell().MustStoreUInt(0, 3).MustStoreRef(e.msg.Cell()).MustStoreRef(tx).EndCell())
}

// deliver hands the messages that this block made to their receivers, oldest
// first, and queues those that go elsewhere or find no room.
func (k *collation) deliver(behind bool) error {
	for k.arrivals.Len() > 0 {
		in := k.arrivals.next()
		if in.to != k.workchain || behind || k.room <= 0 || k.c.opts.DeferInternal {
			cur := uint64(96) // already at its destination shard
			if in.to != k.workchain {
				cur = 0
			}
			env := envelope(in.msg.Cell(), cur, in.fwdFee)
			// msg_export_new$001 out_msg transaction
			v := cell.BeginCell().MustStoreUInt(0b001, 3).MustStoreRef(env).MustStoreRef(in.source).EndCell()
			if err := k.out.Set(hashKey(in.msg.Cell()), v); err != nil {
				return err
			}
			if err := k.queue.push(in, env, k.startLT); err != nil {
				return err
			}
			continue
		}
		tx, err := k.execute(in.msg, in.msg.Message().AsInternal().DstAddr, in.lt+1)
		if err != nil {
			return fmt.Errorf("internal message %x: %w", in.hash, err)
		}
		env := envelope(in.msg.Cell(), 96, in.fwdFee)
		// msg_import_imm$011 in_msg transaction fwd_fee
		rec := cell.BeginCell().MustStoreUInt(0b011, 3).MustStoreRef(env).MustStoreRef(tx).MustStoreBigCoins(in.fwdFee).EndCell()
		if err := k.in.Set(hashKey(in.msg.Cell()), rec); err != nil {
			return err
		}
		// msg_export_imm$010 out_msg transaction reimport
		v := cell.BeginCell().MustStoreUInt(0b010, 3).MustStoreRef(env).MustStoreRef(in.source).MustStoreRef(rec).EndCell()
		if err := k.out.Set(hashKey(in.msg.Cell()), v); err != nil {
			return err
		}
	}
	return nil
}

// shardAccount loads an account; an absent one has the account_none cell.
func shardAccount(d *tlb.ShardAccountsAugDict, addr []byte) (*tlb.ShardAccount, error) {
	v, err := d.LoadValue(bits256(addr))
	if errors.Is(err, cell.ErrNoSuchKeyInDict) {
		return &tlb.ShardAccount{Account: cell.BeginCell().MustStoreUInt(0, 1).EndCell(), LastTransHash: make([]byte, 32)}, nil
	}
	if err != nil {
		return nil, err
	}
	var sa tlb.ShardAccount
	return &sa, tlb.LoadFromCell(&sa, v)
}

// previousBlocks is PrevBlocksInfo, element 13 of c7: the last 16 masterchain
// blocks, the last key block, and the last 16 whose number divides by 100.
func previousBlocks(head *Block) (tuple.Tuple, error) {
	id := func(r tlb.ExtBlkRef) tuple.Tuple {
		return tuple.NewTupleValue(big.NewInt(int64(masterchain)), new(big.Int).SetUint64(1<<63), big.NewInt(int64(r.SeqNo)),
			new(big.Int).SetBytes(r.RootHash), new(big.Int).SetBytes(r.FileHash))
	}
	list := func(first, step uint32) ([]any, error) {
		var out []any
		for n := first; len(out) < 16; n -= step {
			if n == head.ID.SeqNo {
				out = append(out, id(extRef(head)))
			} else {
				r, err := oldBlock(head.blocks, n)
				if err != nil {
					return nil, fmt.Errorf("masterchain block %d: %w", n, err)
				}
				out = append(out, id(r.BlkRef))
			}
			if n < step {
				break
			}
		}
		return out, nil
	}
	last, err := list(head.ID.SeqNo, 1)
	if err != nil {
		return tuple.Tuple{}, err
	}
	hundreds, err := list(head.ID.SeqNo/100*100, 100)
	if err != nil {
		return tuple.Tuple{}, err
	}
	var key any
	if head.lastKey != nil {
		key = id(*head.lastKey)
	} else if r, err := oldBlock(head.blocks, 0); err == nil {
		key = id(r.BlkRef)
	}
	return tuple.NewTupleValue(tuple.NewTupleValue(last...), key, tuple.NewTupleValue(hundreds...)), nil
}
