package devnet

import (
	"errors"
	"math/big"

	"github.com/xssnick/tonutils-go/tlb"
	"github.com/xssnick/tonutils-go/tvm/cell"
)

// oldMcBlocks is the augmentation of OldMcBlocksInfo (HashmapAugE 32
// KeyExtBlkRef KeyMaxLt), which the library only reads.
type oldMcBlocks struct{}

func (oldMcBlocks) SkipExtra(s *cell.Slice) error { _, err := s.LoadSlice(65); return err }

func (oldMcBlocks) EmptyExtra() (*cell.Cell, error) {
	return cell.BeginCell().MustStoreUInt(0, 65).EndCell(), nil
}

func (oldMcBlocks) LeafExtra(v *cell.Slice) (*cell.Cell, error) {
	v = v.Copy()
	key, err := v.LoadBoolBit()
	if err != nil {
		return nil, err
	}
	lt, err := v.LoadUInt(64)
	if err != nil {
		return nil, err
	}
	return cell.BeginCell().MustStoreBoolBit(key).MustStoreUInt(lt, 64).EndCell(), nil
}

func (oldMcBlocks) CombineExtra(l, r *cell.Slice) (*cell.Cell, error) {
	lk, err1 := l.LoadBoolBit()
	rk, err2 := r.LoadBoolBit()
	ll, err3 := l.LoadUInt(64)
	rl, err4 := r.LoadUInt(64)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return nil, err
	}
	return cell.BeginCell().MustStoreBoolBit(lk || rk).MustStoreUInt(max(ll, rl), 64).EndCell(), nil
}

// withBlock returns blocks with the masterchain block b added.
func withBlock(blocks *cell.AugmentedDictionary, b *Block) (*cell.AugmentedDictionary, error) {
	out := blocks.Copy()
	// the zerostate counts as a key block
	v := cell.BeginCell().MustStoreBoolBit(b.Key || b.ID.SeqNo == 0)
	storeExtRef(v, extRef(b))
	return out, out.SetIntKey(big.NewInt(int64(b.ID.SeqNo)), v.EndCell())
}

// oldBlock looks a masterchain block up in an OldMcBlocksInfo.
func oldBlock(blocks *cell.AugmentedDictionary, seqno uint32) (tlb.KeyExtBlkRef, error) {
	var ref tlb.KeyExtBlkRef
	v, err := blocks.LoadValueByIntKey(big.NewInt(int64(seqno)))
	if err != nil {
		return ref, err
	}
	return ref, tlb.LoadFromCell(&ref, v)
}
