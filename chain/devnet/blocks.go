package devnet

import (
	"crypto/ed25519"
	"math/big"

	"github.com/xssnick/tonutils-go/tvm/tuple"
)

func nextLT(after uint64) uint64 { return (after/ltAlign + 1) * ltAlign }

func (c *Chain) makeShard(prevMC *Block, cfg *config, prevBlocks tuple.Tuple, utime uint32, room int, pool []*external) (*Block, *outQueue, []*external, error) {
	prev := prevMC.shard
	startLT := nextLT(max(prevMC.EndLT, prev.EndLT))
	res, rest, err := c.collate(prev, cfg, prevBlocks, utime, room, startLT, prevMC.ID.SeqNo, c.queues[masterchain], c.queues[masterchain].done, pool)
	if err != nil {
		return nil, nil, nil, err
	}
	seqno := prev.ID.SeqNo + 1
	state := buildState(stateParams{
		globalID: c.opts.GlobalID, workchain: basechain, seqno: seqno, utime: utime, lt: res.endLT, minRefMC: prevMC.ID.SeqNo,
		queue: res.queue.cell(), accounts: res.accounts, balance: res.flow.to,
		validatorFees: new(big.Int).Add(c.valFees[basechain], res.flow.fees), master: prevMC,
	})
	b, err := buildBlock(blockParams{
		globalID: c.opts.GlobalID, workchain: basechain, seqno: seqno, utime: utime, startLT: startLT, endLT: res.endLT,
		validatorHash: c.vals.hash, minRefMC: prevMC.ID.SeqNo, prevKey: keySeqno(prevMC), master: prevMC, prev: prev,
		oldState: prev.State, newState: state, flow: res.flow, in: res.in, out: res.out, accounts: res.blocks,
		seed: blockSeed(basechain, seqno), createdBy: c.creator(), version: cfg.prepared.GlobalVersion(), capabilities: cfg.prepared.Capabilities(),
	})
	if err != nil {
		return nil, nil, nil, err
	}
	b.accounts, b.txs = res.accounts, res.txs
	return b, res.queue, rest, nil
}

// makeMaster executes with cfg and writes the configuration next into the state.
func (c *Chain) makeMaster(prev, shard *Block, shardQueue *outQueue, cfg, next *config, prevBlocks tuple.Tuple, utime uint32, key bool, pool []*external) (*Block, *outQueue, []*external, error) {
	startLT := nextLT(shard.EndLT)
	seqno := prev.ID.SeqNo + 1
	res, rest, err := c.collate(prev, cfg, prevBlocks, utime, c.opts.MaxTransactions, startLT, seqno, shardQueue, shardQueue.done, pool)
	if err != nil {
		return nil, nil, nil, err
	}
	res.flow.feesImported = shard.fees
	res.flow.fees = new(big.Int).Add(res.flow.fees, shard.fees)
	blocks, err := withBlock(prev.blocks, prev)
	if err != nil {
		return nil, nil, nil, err
	}
	shards := shardHashes(shard, seqno)
	// last_key_block of the state is the newest key block before this one
	state := buildState(stateParams{
		globalID: c.opts.GlobalID, workchain: masterchain, seqno: seqno, utime: utime, lt: res.endLT, minRefMC: seqno,
		queue: res.queue.cell(), accounts: res.accounts, balance: res.flow.to,
		validatorFees: new(big.Int).Add(c.valFees[masterchain], res.flow.fees),
		custom: buildMcStateExtra(mcExtraParams{
			shards: shards, config: next, validatorHash: c.vals.hash, blocks: blocks, afterKey: key, lastKey: prev.lastKey, supply: c.supply,
		}),
	})
	b, err := buildBlock(blockParams{
		globalID: c.opts.GlobalID, workchain: masterchain, seqno: seqno, utime: utime, startLT: startLT, endLT: res.endLT, key: key,
		validatorHash: c.vals.hash, minRefMC: seqno, prevKey: keySeqno(prev), prev: prev, oldState: prev.State, newState: state,
		flow: res.flow, in: res.in, out: res.out, accounts: res.blocks, seed: blockSeed(masterchain, seqno), createdBy: c.creator(),
		custom:  buildMcBlockExtra(shards, key, next, shard.fees),
		version: next.prepared.GlobalVersion(), capabilities: next.prepared.Capabilities(),
	})
	if err != nil {
		return nil, nil, nil, err
	}
	if b.sigs, err = c.vals.sign(b.ID); err != nil {
		return nil, nil, nil, err
	}
	b.accounts, b.txs, b.blocks, b.shard, b.lastKey = res.accounts, res.txs, blocks, shard, prev.lastKey
	if key {
		ref := extRef(b)
		b.lastKey = &ref
	}
	return b, res.queue, rest, nil
}

func keySeqno(b *Block) uint32 {
	if b.lastKey == nil {
		return 0
	}
	return b.lastKey.SeqNo
}

func (c *Chain) creator() []byte { return c.vals.keys[0].Public().(ed25519.PublicKey) }
