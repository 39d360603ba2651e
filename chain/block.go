package chain

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"
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

// link is one step of a proof from a trusted block to another.
type link struct {
	to       BlockID
	toKey    bool
	dest     *cell.Cell // header of to
	source   *cell.Cell // header of from; forward: with its configuration
	state    *cell.Cell // backward: old blocks in the state of from
	sigs     any        // forward: ton.SignatureSetOrdinary or ton.SignatureSetSimplex
	backward bool
}

// verify checks that the link proves l.to from from.
func (l link) verify(from BlockID) (h blockHeader, err error) {
	defer func() { // malformed cells
		if r := recover(); r != nil {
			err = fmt.Errorf("malformed proof: %v", r)
		}
	}()
	cells := []*cell.Cell{l.dest, l.source}
	if l.backward {
		cells = append(cells, l.state)
	}
	if err := checkLevels(cells...); err != nil {
		return h, err
	}
	if h, err = checkHeader(l.dest, l.to); err != nil {
		return h, fmt.Errorf("block %d: %w", l.to.Seqno, err)
	}
	if h.key != l.toKey {
		return h, fmt.Errorf("block %d: key block is %v, the link says %v", l.to.Seqno, h.key, l.toKey)
	}
	source, err := checkHeader(l.source, from)
	if err != nil {
		return h, fmt.Errorf("block %d: %w", from.Seqno, err)
	}
	// validators that use their keys on two chains sign blocks of both
	if h.globalID != source.globalID {
		return h, fmt.Errorf("block %d is of chain %d, block %d of chain %d", l.to.Seqno, h.globalID, from.Seqno, source.globalID)
	}
	if l.backward {
		err = l.verifyBackward(from)
	} else {
		// checks order, signatures and their weight against the configuration
		// that the key block from holds
		err = ton.CheckForwardBlockProof(from.ext(), l.to.ext(), l.toKey, l.source, l.dest, l.sigs)
	}
	if err != nil {
		return h, fmt.Errorf("from block %d to %d: %w", from.Seqno, l.to.Seqno, err)
	}
	return h, nil
}

// verifyBackward looks l.to up in the list of old blocks that the state after
// from holds.
func (l link) verifyBackward(from BlockID) error {
	if l.to.Seqno >= from.Seqno {
		return errors.New("backward link does not go back")
	}
	extra, err := ton.CheckShardMcStateExtraProof(from.ext(), []*cell.Cell{l.source, l.state})
	if err != nil {
		return err
	}
	s, err := extra.Info.BeginParse()
	if err != nil {
		return err
	}
	var info tlb.McStateExtraBlockInfo
	if err := tlb.LoadFromCellAsProof(&info, s); err != nil {
		return err
	}
	v, _, err := info.PrevBlocks.LoadValueExtraByIntKey(big.NewInt(int64(l.to.Seqno)))
	if err != nil {
		return fmt.Errorf("block is not among the old blocks of the proof: %w", err)
	}
	var ref tlb.KeyExtBlkRef
	if err := tlb.LoadFromCellAsProof(&ref, v); err != nil {
		return err
	}
	switch {
	case ref.IsKey != l.toKey:
		return errors.New("key block flag differs")
	case ref.BlkRef.SeqNo != l.to.Seqno, !bytes.Equal(ref.BlkRef.RootHash, l.to.RootHash[:]), !bytes.Equal(ref.BlkRef.FileHash, l.to.FileHash[:]):
		return errors.New("the old blocks hold another one")
	}
	return nil
}

// newLink reads a step of a liteserver's answer that starts at from.
func newLink(step any, from BlockID) (l link, err error) {
	parse := func(boc []byte) *cell.Cell {
		if err != nil {
			return nil
		}
		var c *cell.Cell
		c, err = parseCell(boc)
		return c
	}
	var f, t *ton.BlockIDExt
	switch s := step.(type) {
	case ton.BlockLinkForward:
		f, t = s.From, s.To
		l = link{toKey: s.ToKeyBlock, dest: parse(s.DestProof), source: parse(s.ConfigProof)}
		switch set := s.SignatureSet.(type) {
		case ton.SignatureSet: // the older name of the same thing
			l.sigs = ton.SignatureSetOrdinary(set)
		case ton.SignatureSetOrdinary, ton.SignatureSetSimplex:
			l.sigs = set
		default:
			return l, fmt.Errorf("signature set of type %T", set)
		}
	case ton.BlockLinkBackward:
		f, t = s.From, s.To
		l = link{toKey: s.ToKeyBlock, dest: parse(s.DestProof), source: parse(s.Proof), state: parse(s.StateProof), backward: true}
	default:
		return l, fmt.Errorf("link of type %T", step)
	}
	if err != nil {
		return l, err
	}
	if start, err := blockID(f); err != nil || start != from {
		return l, errors.New("link starts at another block")
	}
	l.to, err = blockID(t)
	return l, err
}
