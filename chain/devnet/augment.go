package devnet

import (
	"math/big"

	"github.com/xssnick/tonutils-go/tlb"
	"github.com/xssnick/tonutils-go/tvm/cell"
)

// Since global version 12 the field of a message that was ihr_fee is extra_flags,
// which are no coins. The sums that tonutils-go keeps over the message
// descriptors of a block still count it as coins; here it is taken out.

type inMsgSums struct{ tlb.AugInMsgDescr }

func (a inMsgSums) LeafExtra(v *cell.Slice) (*cell.Cell, error) {
	extra, err := a.AugInMsgDescr.LeafExtra(v)
	if err != nil {
		return nil, err
	}
	if tag, err := v.Copy().LoadUInt(3); err != nil || tag != 0b100 { // only msg_import_fin$100 imports value
		return extra, err
	}
	return withoutFlags(extra, v, true)
}

type outMsgSums struct{ tlb.AugOutMsgDescr }

func (a outMsgSums) LeafExtra(v *cell.Slice) (*cell.Cell, error) {
	extra, err := a.AugOutMsgDescr.LeafExtra(v)
	if err != nil {
		return nil, err
	}
	if tag, err := v.Copy().LoadUInt(3); err != nil || tag != 0b001 { // only msg_export_new$001 exports value
		return extra, err
	}
	return withoutFlags(extra, v, false)
}

// withoutFlags takes the extra flags of the message in the descriptor's envelope
// out of the coins of extra: ImportFees when fees come first, or
// CurrencyCollection.
func withoutFlags(extra *cell.Cell, descr *cell.Slice, fees bool) (*cell.Cell, error) {
	env, err := descr.Copy().LoadRefCell()
	if err != nil {
		return nil, err
	}
	msg, err := env.PeekRef(0)
	if err != nil {
		return nil, err
	}
	var m tlb.InternalMessage
	if err := tlb.Parse(&m, msg); err != nil {
		return nil, err
	}
	flags := m.IHRFee.Nano()
	if flags.Sign() == 0 {
		return extra, nil
	}
	s, err := extra.BeginParse()
	if err != nil {
		return nil, err
	}
	b := cell.BeginCell()
	if fees {
		n, err := s.LoadBigCoins()
		if err != nil {
			return nil, err
		}
		b.MustStoreBigCoins(n)
	}
	value, err := s.LoadBigCoins()
	if err != nil {
		return nil, err
	}
	return b.MustStoreBigCoins(new(big.Int).Sub(value, flags)).MustStoreBuilder(s.ToBuilder()).EndCell(), nil
}

func newInDescr() *tlb.InMsgDescrAugDict {
	return &tlb.InMsgDescrAugDict{AugmentedDictionary: must(cell.NewAugDict(256, inMsgSums{}))}
}

func newOutDescr() *tlb.OutMsgDescrAugDict {
	return &tlb.OutMsgDescrAugDict{AugmentedDictionary: must(cell.NewAugDict(256, outMsgSums{}))}
}
