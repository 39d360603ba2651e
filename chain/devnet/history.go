package devnet

import (
	"errors"
	"fmt"

	"github.com/xssnick/tonutils-go/tlb"
	"github.com/xssnick/tonutils-go/ton"
	"github.com/xssnick/tonutils-go/tvm/cell"
)

// history holds the newest blocks with their states and knows where the older
// ones are. A basechain block has the number of the masterchain block that
// registers it: each step makes one of both.
type history struct {
	zero        *ton.BlockIDExt
	recent      []*Block // masterchain blocks, consecutive numbers
	keep        int
	lastKeyTime uint32
	txs         map[txKey]uint32 // block number of every transaction
}

// txKey names a transaction of the chain.
type txKey struct {
	workchain int32
	txRef
}

func newHistory(first *Block, keep int) *history {
	return &history{zero: first.ID, recent: []*Block{first}, keep: keep, txs: map[txKey]uint32{}}
}

func (h *history) head() *Block { return h.recent[len(h.recent)-1] }

// add appends a block and lets go of the oldest.
func (h *history) add(b *Block) {
	h.recent = append(h.recent, b)
	if len(h.recent) > h.keep+h.keep/4 { // not one by one: the copy would be quadratic
		h.recent = append([]*Block(nil), h.recent[len(h.recent)-h.keep:]...)
	}
	if b.Key {
		h.lastKeyTime = b.UTime
	}
	h.index(b)
}

func (h *history) index(b *Block) {
	for _, x := range []*Block{b, b.shard} {
		for _, t := range x.txs {
			h.txs[txKey{x.ID.Workchain, t}] = b.ID.SeqNo
		}
	}
}

var (
	errNoBlock = ton.LSError{Code: 651, Text: "block is not in db"}
	errNoState = ton.LSError{Code: 651, Text: "state of the block is not in db"}
)

// masterAt returns the masterchain block with a number. An old one comes
// without State.
func (c *Chain) masterAt(seqno uint32) (*Block, error) {
	c.mu.RLock()
	h := c.hist
	first, head := h.recent[0].ID.SeqNo, h.head().ID.SeqNo
	var b *Block
	if seqno >= first && seqno <= head {
		b = h.recent[seqno-first]
	}
	c.mu.RUnlock()
	switch {
	case b != nil:
		return b, nil
	case seqno > head || seqno == 0:
		return nil, errNoBlock
	}
	return c.store.read(seqno)
}

// blockAt returns a block by workchain and number.
func (c *Chain) blockAt(workchain int32, seqno uint32) (*Block, error) {
	b, err := c.masterAt(seqno)
	if err != nil {
		return nil, err
	}
	switch workchain {
	case masterchain:
		return b, nil
	case basechain:
		return b.shard, nil
	}
	return nil, errNoBlock
}

// find returns a block by its full identifier, and the masterchain block of the
// same number.
func (c *Chain) find(id *ton.BlockIDExt) (b, master *Block, err error) {
	if id == nil {
		return nil, nil, errors.New("no block given")
	}
	if master, err = c.masterAt(id.SeqNo); err != nil {
		return nil, nil, err
	}
	switch {
	case master.ID.Equals(id):
		return master, master, nil
	case master.shard.ID.Equals(id):
		return master.shard, master, nil
	}
	return nil, nil, errNoBlock
}

// restored makes a Block from what is stored of it. Its State is nil.
func restored(boc []byte) (*Block, error) {
	root, err := cell.FromBOC(boc)
	if err != nil {
		return nil, err
	}
	var blk tlb.Block
	s, err := root.BeginParse()
	if err != nil {
		return nil, err
	}
	if err := tlb.LoadFromCell(&blk, s); err != nil {
		return nil, fmt.Errorf("stored block: %w", err)
	}
	h := blk.BlockInfo
	b := &Block{
		ID:   &ton.BlockIDExt{Workchain: h.Shard.WorkchainID, Shard: fullShard, SeqNo: h.SeqNo, RootHash: root.Hash(), FileHash: fileHash(boc)},
		Root: root, BoC: boc, StartLT: h.StartLt, EndLT: h.EndLt, UTime: h.GenUtime, Key: h.KeyBlock,
	}
	flow, err := blk.ValueFlow.BeginParse()
	if err != nil {
		return nil, err
	}
	if _, err := flow.LoadUInt(32); err != nil {
		return nil, err
	}
	if _, err := flow.LoadRefCell(); err != nil {
		return nil, err
	}
	b.fees, err = flow.LoadBigCoins()
	return b, err
}
