package devnet

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"
)

// loop makes blocks until the chain is closed.
func (c *Chain) loop() {
	t := time.NewTicker(c.opts.BlockInterval)
	defer t.Stop()
	for {
		select {
		case <-c.stop:
			return
		case <-t.C:
		}
		if err := c.Mine(1); err != nil {
			if !errors.Is(err, ErrClosed) {
				c.opts.Logger.Error("dev chain stopped", "err", err)
			}
			return
		}
	}
}

// Mine makes n masterchain blocks, each with the basechain block that it
// registers. It returns after the last is part of the chain.
func (c *Chain) Mine(n int) error {
	for range n {
		if err := c.step(); err != nil {
			return err
		}
	}
	return nil
}

// step makes one masterchain block. After an error the chain makes no more.
func (c *Chain) step() (err error) {
	c.mine.Lock()
	defer c.mine.Unlock()
	if c.failed != nil {
		return c.failed
	}
	c.mu.Lock()
	prev, closed := c.hist.head(), c.closed
	pool := c.pool
	c.pool = nil
	c.mu.Unlock()
	if closed {
		return ErrClosed
	}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("dev chain: block %d: %v", prev.ID.SeqNo+1, r)
		}
		if err != nil {
			c.failed = err
		}
	}()
	block, cfg, rest, err := c.makeBlocks(prev, pool)
	if err != nil {
		return fmt.Errorf("dev chain: block %d: %w", prev.ID.SeqNo+1, err)
	}
	if err := c.store.append(block); err != nil {
		return fmt.Errorf("dev chain: block %d: %w", prev.ID.SeqNo+1, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hist.add(block)
	c.cfg = cfg
	c.setParams = nil
	for _, e := range pool {
		delete(c.pooled, e.msg.Cell().HashKey())
	}
	for _, e := range rest {
		c.pooled[e.msg.Cell().HashKey()] = true
	}
	c.pool = append(rest, c.pool...)
	for _, w := range c.waiters {
		close(w)
	}
	c.waiters = nil
	return nil
}

// makeBlocks makes the next basechain block and the masterchain block over it,
// and moves the queues on.
func (c *Chain) makeBlocks(prev *Block, pool []*external) (mc *Block, cfg *config, rest []*external, err error) {
	utime := max(c.unixNow(), prev.UTime)
	cfg = c.cfg
	key := c.keyIsDue(prev, utime)
	prevBlocks, err := previousBlocks(prev)
	if err != nil {
		return nil, nil, nil, err
	}
	byChain := map[int32][]*external{}
	for _, e := range pool {
		byChain[e.to] = append(byChain[e.to], e)
	}
	if e := c.faucet.message(c, utime, prev); e != nil {
		byChain[basechain] = append([]*external{e}, byChain[basechain]...)
	}
	shardTime, room := c.stall.next(prev.shard.UTime, utime, c.opts.MaxTransactions)
	shard, shardQueue, restBase, err := c.makeShard(prev, cfg, prevBlocks, shardTime, room, byChain[basechain])
	if err != nil {
		return nil, nil, nil, fmt.Errorf("basechain: %w", err)
	}
	if len(c.setParams) > 0 {
		root, err := setParams(cfg.root, c.setParams)
		if err != nil {
			return nil, nil, nil, err
		}
		if cfg, err = newConfig(root); err != nil {
			return nil, nil, nil, err
		}
	}
	mc, mcQueue, restMC, err := c.makeMaster(prev, shard, shardQueue, c.cfg, cfg, prevBlocks, utime, key, byChain[masterchain])
	if err != nil {
		return nil, nil, nil, fmt.Errorf("masterchain: %w", err)
	}
	c.queues[basechain], c.queues[masterchain] = shardQueue, mcQueue
	c.valFees[basechain] = new(big.Int).Add(c.valFees[basechain], shard.fees)
	c.valFees[masterchain] = new(big.Int).Add(c.valFees[masterchain], mc.fees)
	c.faucet.settle(restBase, shard.StartLT)
	return mc, cfg, inOrder(pool, append(restBase, restMC...)), nil
}

// inOrder returns those of pool that are left, in pool's order: what found no
// room keeps its place before newer messages.
func inOrder(pool, left []*external) []*external {
	in := map[*external]bool{}
	for _, e := range left {
		in[e] = true
	}
	return slices.DeleteFunc(slices.Clone(pool), func(e *external) bool { return !in[e] })
}

// keyIsDue reports whether the block after prev has to be a key block: the
// first, one that changes the configuration, and one every KeyInterval.
func (c *Chain) keyIsDue(prev *Block, utime uint32) bool {
	if prev.ID.SeqNo == 0 || len(c.setParams) > 0 {
		return true
	}
	return prev.lastKey != nil && time.Duration(utime-c.keyTime(prev))*time.Second >= c.opts.KeyInterval
}

// keyTime is the time of the newest key block up to and with b.
func (c *Chain) keyTime(b *Block) uint32 {
	if b.Key {
		return b.UTime
	}
	return c.hist.lastKeyTime
}

// waitFor blocks until the head has at least seqno.
func (c *Chain) waitFor(ctx context.Context, seqno uint32) error {
	for {
		c.mu.Lock()
		if c.closed {
			c.mu.Unlock()
			return ErrClosed
		}
		if c.hist.head().ID.SeqNo >= seqno {
			c.mu.Unlock()
			return nil
		}
		w := make(chan struct{})
		c.waiters = append(c.waiters, w)
		c.mu.Unlock()
		select {
		case <-w:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
