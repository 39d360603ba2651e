package devnet

import (
	"errors"
	"sort"

	"github.com/xssnick/tonutils-go/tl"
	"github.com/xssnick/tonutils-go/ton"
	"github.com/xssnick/tonutils-go/tvm/cell"
)

// findBlock is find for who does not need the masterchain block.
func (c *Chain) findBlock(id *ton.BlockIDExt) (*Block, error) {
	b, _, err := c.find(id)
	return b, err
}

func (c *Chain) blockData(id *ton.BlockIDExt) (tl.Serializable, error) {
	b, err := c.findBlock(id)
	if err != nil {
		return nil, err
	}
	return ton.BlockData{ID: b.ID, Payload: b.BoC}, nil
}

// blockState returns the whole state after a block.
func (c *Chain) blockState(id *ton.BlockIDExt) (tl.Serializable, error) {
	b, err := c.findBlock(id)
	if err != nil {
		return nil, err
	}
	if b.State == nil {
		return nil, errNoState
	}
	return ton.BlockState{ID: b.ID, RootHash: b.State.Hash(), FileHash: b.ID.FileHash, Data: b.State.ToBOC()}, nil
}

func (c *Chain) blockHeader(q ton.GetBlockHeader) (tl.Serializable, error) {
	b, err := c.findBlock(q.ID)
	if err != nil {
		return nil, err
	}
	return header(b, q.Mode)
}

func (c *Chain) lookupBlock(q ton.LookupBlock) (tl.Serializable, error) {
	b, err := c.lookup(q)
	if err != nil {
		return nil, err
	}
	return header(b, q.Mode)
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
