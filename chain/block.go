package chain

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/xssnick/tonutils-go/tlb"
	"github.com/xssnick/tonutils-go/ton"
	"github.com/xssnick/tonutils-go/tvm/cell"
)

const (
	masterchain = int32(-1)
	fullShard   = int64(-0x8000000000000000)
)

// BlockID names a masterchain block.
type BlockID struct {
	Seqno    uint32
	RootHash [32]byte // of its cells
	FileHash [32]byte // of its bytes
}

// String returns the number and the first bytes of the root hash.
func (b BlockID) String() string { return fmt.Sprintf("%d (%x…)", b.Seqno, b.RootHash[:6]) }

func (b BlockID) ext() *ton.BlockIDExt {
	return &ton.BlockIDExt{
		Workchain: masterchain, Shard: fullShard, SeqNo: b.Seqno,
		RootHash: bytes.Clone(b.RootHash[:]), FileHash: bytes.Clone(b.FileHash[:]),
	}
}

// blockID converts a server's identifier; it must name a masterchain block.
func blockID(e *ton.BlockIDExt) (BlockID, error) {
	if e == nil || e.Workchain != masterchain || e.Shard != fullShard || len(e.RootHash) != 32 || len(e.FileHash) != 32 {
		return BlockID{}, errors.New("not a masterchain block")
	}
	return BlockID{e.SeqNo, [32]byte(e.RootHash), [32]byte(e.FileHash)}, nil
}

// Block is a proved masterchain block.
type Block struct {
	Seqno    uint32
	RootHash [32]byte
	FileHash [32]byte
	Time     time.Time // when it was made, by the validators' clocks, to the second
}

// ID returns the identifier of the block.
func (b Block) ID() BlockID { return BlockID{b.Seqno, b.RootHash, b.FileHash} }

// blockHeader is what a header proof says of a masterchain block.
type blockHeader struct {
	globalID int32
	key      bool
	prevKey  uint32
	time     time.Time
	endLT    uint64
	block    *tlb.Block
}

// lastKey is the number of the newest key block up to this one, whose number is seqno.
func (h blockHeader) lastKey(seqno uint32) uint32 {
	if h.key {
		return seqno
	}
	return h.prevKey
}

func (h blockHeader) of(id BlockID) Block { return Block{id.Seqno, id.RootHash, id.FileHash, h.time} }

// checkHeader verifies the proof of a block's header against its identifier.
// The file hash is not in the proof; links authenticate it.
func checkHeader(proof *cell.Cell, id BlockID) (h blockHeader, err error) {
	b, err := ton.CheckBlockProof(proof, id.RootHash[:])
	if err != nil {
		return h, err
	}
	i := b.BlockInfo
	switch {
	case i.NotMaster || i.Shard.WorkchainID != masterchain || i.Shard.PrefixBits != 0 || i.Shard.ShardPrefix != 0:
		return h, errors.New("header is not of a masterchain block")
	case i.SeqNo != id.Seqno:
		return h, fmt.Errorf("header is of block %d, not %d", i.SeqNo, id.Seqno)
	}
	return blockHeader{b.GlobalID, i.KeyBlock, i.PrevKeyBlockSeqno, time.Unix(int64(i.GenUtime), 0), i.EndLt, b}, nil
}
