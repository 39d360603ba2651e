package devnet

import (
	"errors"
	"fmt"
	"math/big"

	"github.com/xssnick/tonutils-go/tlb"
	"github.com/xssnick/tonutils-go/ton"
	"github.com/xssnick/tonutils-go/tvm/cell"
)

// restore rebuilds the chain from its directory.
func (c *Chain) restore() error {
	txs, last, err := c.scanBlocks()
	if err != nil {
		return err
	}
	if err := c.loadStates(last); err != nil {
		return err
	}
	c.hist.txs = txs
	for seqno := c.store.snap + 1; seqno <= last; seqno++ {
		b, err := c.store.read(seqno)
		if err != nil {
			return err
		}
		if err := c.apply(b); err != nil {
			return fmt.Errorf("dev chain: stored block %d: %w", seqno, err)
		}
	}
	if err := c.adopt(); err != nil {
		return err
	}
	if last < firstBlocks { // the first start was cut short
		return c.Mine(int(firstBlocks - last))
	}
	return nil
}

// scanBlocks reads all stored blocks: where each transaction is, and the number
// of the last block.
func (c *Chain) scanBlocks() (txs map[txKey]uint32, last uint32, err error) {
	txs = map[txKey]uint32{}
	cut, err := c.store.scan(c.opts.Repair, func(seqno uint32, r record) error {
		for _, t := range r.mcTxs {
			txs[txKey{masterchain, t}] = seqno
		}
		for _, t := range r.shardTxs {
			txs[txKey{basechain, t}] = seqno
		}
		last = seqno
		return nil
	})
	if cut > 0 {
		c.opts.Logger.Warn("the stored chain ended in a block that is not whole or is damaged, which was cut off", "dir", c.store.dir, "goes_on_after", last, "bytes", cut)
	}
	return txs, last, err
}

// loadStates starts the history at the newest usable states up to block last.
func (c *Chain) loadStates(last uint32) error {
	start, mcState, shardState, err := c.newestSnapshot(last)
	if err != nil {
		return err
	}
	head, err := c.blockFromState(start, mcState, shardState)
	if err != nil {
		return err
	}
	c.hist, c.store.snap = newHistory(head, c.opts.Keep), start
	if start == 0 {
		return nil
	}
	zero, _, err := c.store.loadSnapshot(0)
	if err != nil {
		return fmt.Errorf("dev chain: zerostate: %w", err)
	}
	c.hist.zero = zeroBlock(masterchain, zero).ID
	return nil
}

// newestSnapshot returns the newest states that belong to a stored block.
func (c *Chain) newestSnapshot(last uint32) (seqno uint32, mc, shard *cell.Cell, err error) {
	var best uint32
	found := false
	for _, n := range c.store.snapshots() {
		if n > last || found && n < best {
			continue
		}
		m, s, err := c.store.loadSnapshot(n)
		if err != nil {
			continue
		}
		if n > 0 {
			b, err := c.store.read(n)
			if err != nil || !stateOf(b, m) || !stateOf(b.shard, s) {
				continue
			}
		}
		best, mc, shard, found = n, m, s, true
	}
	if !found {
		return 0, nil, nil, errors.New("dev chain: no usable state in the directory")
	}
	return best, mc, shard, nil
}

// updateOf returns the Merkle update of a block.
func updateOf(b *Block) (*cell.Cell, error) { return b.Root.PeekRef(2) }

// stateOf reports whether state is the one after b.
func stateOf(b *Block, state *cell.Cell) bool {
	u, err := updateOf(b)
	if err != nil {
		return false
	}
	to, err := u.PeekRef(1)
	return err == nil && to.HashKey(0) == state.HashKey()
}

// blockFromState rebuilds the block whose states are given; for number 0 the
// zerostates.
func (c *Chain) blockFromState(seqno uint32, mcState, shardState *cell.Cell) (mc *Block, err error) {
	if seqno == 0 {
		mc = zeroBlock(masterchain, mcState)
		mc.shard = zeroBlock(basechain, shardState)
	} else if mc, err = c.store.read(seqno); err != nil {
		return nil, err
	}
	mc.State, mc.shard.State = mcState, shardState
	return mc, mc.unpack()
}

// zeroBlock names a zerostate as if it were a block, as the protocol does.
func zeroBlock(workchain int32, state *cell.Cell) *Block {
	boc := state.ToBOC()
	return &Block{ID: &ton.BlockIDExt{Workchain: workchain, Shard: fullShard, RootHash: state.Hash(), FileHash: fileHash(boc)}, BoC: boc}
}

// unpack fills the fields of a masterchain block that come from its states.
func (b *Block) unpack() error {
	for _, x := range []*Block{b, b.shard} {
		var st tlb.ShardStateUnsplit
		if err := tlb.Parse(&st, x.State); err != nil {
			return err
		}
		x.accounts = st.Accounts.ShardAccounts
		if x.fees == nil { // a zerostate
			x.fees, x.UTime = new(big.Int), st.GenUTime
		}
		if x == b {
			if err := b.unpackExtra(st.McStateExtra); err != nil {
				return err
			}
		}
	}
	return nil
}

// unpackExtra fills what a masterchain state says of the blocks before it.
func (b *Block) unpackExtra(root *cell.Cell) error {
	var ex tlb.McStateExtra
	if err := tlb.Parse(&ex, root); err != nil {
		return err
	}
	s, err := ex.Info.BeginParse()
	if err != nil {
		return err
	}
	if _, err := s.LoadSlice(16 + 65); err != nil { // flags, validator info
		return err
	}
	if b.blocks, err = s.LoadAugDict(32, oldMcBlocks{}, false); err != nil {
		return err
	}
	if _, err := s.LoadBoolBit(); err != nil { // after_key_block
		return err
	}
	has, err := s.LoadBoolBit()
	if err != nil {
		return err
	}
	if has {
		b.lastKey = &tlb.ExtBlkRef{}
		if err := tlb.LoadFromCell(b.lastKey, s); err != nil {
			return err
		}
	}
	if b.Key {
		ref := extRef(b)
		b.lastKey = &ref
	}
	return nil
}

// apply moves the states on by a stored block.
func (c *Chain) apply(b *Block) error {
	prev := c.hist.head()
	for _, p := range [][2]*Block{{prev, b}, {prev.shard, b.shard}} {
		u, err := updateOf(p[1])
		if err != nil {
			return err
		}
		if p[1].State, _, err = cell.ApplyMerkleUpdate(p[0].State, u); err != nil {
			return err
		}
	}
	if err := b.unpack(); err != nil {
		return err
	}
	txs := c.hist.txs
	c.hist.txs = map[txKey]uint32{} // already indexed
	c.hist.add(b)
	c.hist.txs = txs
	return nil
}

// adopt takes configuration, queues and sums from the states of the head.
func (c *Chain) adopt() error {
	head := c.hist.head()
	for _, b := range []*Block{head, head.shard} {
		var st tlb.ShardStateUnsplit
		if err := tlb.Parse(&st, b.State); err != nil {
			return err
		}
		q, err := loadQueue(st.OutMsgQueueInfo, b.ID.Workchain)
		if err != nil {
			return fmt.Errorf("message queue: %w", err)
		}
		c.queues[b.ID.Workchain] = q
		if c.valFees[b.ID.Workchain], err = validatorFees(st.Stats); err != nil {
			return err
		}
		if b == head {
			if err := c.adoptConfig(st.McStateExtra); err != nil {
				return err
			}
		}
	}
	if head.lastKey != nil {
		k, err := c.masterAt(head.lastKey.SeqNo)
		if err != nil {
			return err
		}
		c.hist.lastKeyTime = k.UTime
	}
	return nil
}

// validatorFees reads the fees collected so far: overload_history:uint64
// underload_history:uint64 total_balance total_validator_fees ...
func validatorFees(stats *cell.Cell) (*big.Int, error) {
	s, err := stats.BeginParse()
	if err != nil {
		return nil, err
	}
	if _, err := s.LoadSlice(128); err != nil {
		return nil, err
	}
	var balance, fees tlb.CurrencyCollection
	if err := tlb.LoadFromCell(&balance, s); err != nil {
		return nil, err
	}
	if err := tlb.LoadFromCell(&fees, s); err != nil {
		return nil, err
	}
	return fees.Coins.Nano(), nil
}

// adoptConfig takes the configuration and the supply from a masterchain state.
func (c *Chain) adoptConfig(extra *cell.Cell) (err error) {
	var ex tlb.McStateExtra
	if err := tlb.Parse(&ex, extra); err != nil {
		return err
	}
	c.supply = ex.GlobalBalance.Coins.Nano()
	c.cfg, err = newConfig(ex.ConfigParams.Config.Params.AsCell())
	return err
}
