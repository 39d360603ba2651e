package devnet

import (
	"fmt"
	"math/big"

	"github.com/xssnick/tonutils-go/tlb"
	"github.com/xssnick/tonutils-go/ton"
)

// maxLinks is the number of links in one answer to getBlockProof.
const maxLinks = 16

// links proves to from from: back to a key block where needed, then forward
// from key block to key block. complete is false when more links are needed
// than one answer holds; the last link's end is then the block to go on from.
func (c *Chain) links(from, to *Block) (steps []any, end *ton.BlockIDExt, complete bool, err error) {
	if from.ID.SeqNo == to.ID.SeqNo {
		return nil, to.ID, true, nil
	}
	if from.ID.SeqNo > to.ID.SeqNo {
		step, err := backward(from, to)
		return []any{step}, to.ID, true, err
	}
	// The key blocks after from, newest first, found through the headers.
	var keys []*Block
	for at := to; ; {
		n := at.prevKey()
		if n <= from.ID.SeqNo {
			break
		}
		if at, err = c.masterAt(n); err != nil {
			return nil, nil, false, err
		}
		keys = append(keys, at)
	}
	src := from
	if !from.Key { // signatures are checked with the validators of a key block
		if from.prevKey() == 0 {
			return nil, nil, false, fmt.Errorf("block %d is before the first key block", from.ID.SeqNo)
		}
		if src, err = c.masterAt(from.prevKey()); err != nil {
			return nil, nil, false, err
		}
		step, err := backward(from, src)
		if err != nil {
			return nil, nil, false, err
		}
		steps = append(steps, step)
	}
	for i := len(keys) - 1; i >= -1; i-- {
		dst := to
		if i >= 0 {
			dst = keys[i]
		}
		if len(steps) == maxLinks {
			return steps, src.ID, false, nil
		}
		step, err := forward(src, dst, c.vals.hash)
		if err != nil {
			return nil, nil, false, err
		}
		steps = append(steps, step)
		src = dst
	}
	return steps, to.ID, true, nil
}

// prevKey is the number of the newest key block before b, from its header.
func (b *Block) prevKey() uint32 {
	info, err := b.Root.PeekRef(0)
	if err != nil {
		return 0
	}
	var h tlb.BlockHeader
	s, err := info.BeginParse()
	if err != nil || h.LoadFromCell(s) != nil {
		return 0
	}
	return h.PrevKeyBlockSeqno
}

// backward proves an older block through the list of old blocks in a state.
func backward(from, to *Block) (step ton.BlockLinkBackward, err error) {
	dest, err := blockProof(to, nil)
	if err != nil {
		return step, err
	}
	bp, err := blockProof(from, nil)
	if err != nil {
		return step, err
	}
	sp, err := stateProof(from, mcExtra(func(ex *tlb.McStateExtra) error {
		s, err := ex.Info.BeginParse()
		if err != nil {
			return err
		}
		var info tlb.McStateExtraBlockInfo
		if err := tlb.LoadFromCell(&info, s); err != nil {
			return err
		}
		// C++ clients also look the zerostate up
		for _, n := range []uint32{0, to.ID.SeqNo} {
			if _, _, err := info.PrevBlocks.LoadValueExtraByIntKey(big.NewInt(int64(n))); err != nil {
				return err
			}
		}
		return nil
	}))
	if err != nil {
		return step, err
	}
	return ton.BlockLinkBackward{ToKeyBlock: to.Key, From: from.ID, To: to.ID, DestProof: dest.ToBOC(), Proof: bp.ToBOC(), StateProof: sp.ToBOC()}, nil
}

// forward proves a newer block by the signatures of the validators that a key
// block names.
func forward(from, to *Block, validatorHash uint32) (step ton.BlockLinkForward, err error) {
	dest, err := blockProof(to, nil)
	if err != nil {
		return step, err
	}
	conf, err := proveShardHashes(from) // and the configuration
	if err != nil {
		return step, err
	}
	return ton.BlockLinkForward{
		ToKeyBlock: to.Key, From: from.ID, To: to.ID, DestProof: dest.ToBOC(), ConfigProof: conf.ToBOC(),
		SignatureSet: ton.SignatureSetOrdinary{ValidatorSetHash: int32(validatorHash), CatchainSeqno: catchainSeqno, Signatures: to.sigs},
	}, nil
}
