package chain

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"

	"github.com/xssnick/tonutils-go/tlb"
	"github.com/xssnick/tonutils-go/ton"
	"github.com/xssnick/tonutils-go/tvm/cell"
)

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

// verify checks that the link proves l.to from from, and returns both headers. A
// proof of several links is checked by [way].
func (l link) verify(from BlockID) (to, source blockHeader, err error) {
	defer func() { // malformed cells
		if r := recover(); r != nil {
			err = fmt.Errorf("malformed proof: %v", r)
		}
	}()
	if to, source, err = l.headers(from); err != nil {
		return to, source, err
	}
	if l.backward {
		err = l.verifyBackward(from)
	} else {
		// checks order, signatures and their weight against the configuration
		// that the key block from holds
		err = ton.CheckForwardBlockProof(from.ext(), l.to.ext(), l.toKey, l.source, l.dest, l.sigs)
	}
	if err != nil {
		return to, source, fmt.Errorf("from block %d to %d: %w", from.Seqno, l.to.Seqno, err)
	}
	return to, source, nil
}

// headers checks the headers of both ends.
func (l link) headers(from BlockID) (to, source blockHeader, err error) {
	cells := []*cell.Cell{l.dest, l.source}
	if l.backward {
		cells = append(cells, l.state)
	}
	if err := checkLevels(cells...); err != nil {
		return to, source, err
	}
	if to, err = checkHeader(l.dest, l.to); err != nil {
		return to, source, fmt.Errorf("block %d: %w", l.to.Seqno, err)
	}
	if to.key != l.toKey {
		return to, source, fmt.Errorf("block %d: key block is %v, the link says %v", l.to.Seqno, to.key, l.toKey)
	}
	if source, err = checkHeader(l.source, from); err != nil {
		return to, source, fmt.Errorf("block %d: %w", from.Seqno, err)
	}
	// validators that use their keys on two chains sign blocks of both
	if to.globalID != source.globalID {
		return to, source, fmt.Errorf("block %d is of chain %d, block %d of chain %d", l.to.Seqno, to.globalID, from.Seqno, source.globalID)
	}
	return to, source, nil
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

// newLink reads a step of a liteserver's answer that starts at from
// (lite_api.tl, liteServer.BlockLink).
func newLink(step any, from BlockID) (l link, err error) {
	size := 0
	parse := func(boc []byte) *cell.Cell {
		if size += len(boc); err == nil && size > maxLink {
			err = fmt.Errorf("a link of more than %d bytes", maxLink)
		}
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
