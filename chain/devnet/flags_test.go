package devnet

import (
	"testing"

	"github.com/xssnick/tonutils-go/tlb"
	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
)

// TestExtraFlags demands that the extra flags of a message that goes through a
// queue are not counted as coins: block and value flow would not balance.
func TestExtraFlags(t *testing.T) {
	msg := func(flags uint64) *cell.Cell {
		c, err := tlb.ToCell(&tlb.InternalMessage{
			SrcAddr: tonAddress(attestation.Address{Hash: [32]byte{1}}), DstAddr: tonAddress(attestation.Address{Hash: [32]byte{2}}), Amount: tlb.FromNanoTONU(1000),
			IHRFee: tlb.FromNanoTONU(flags), FwdFee: tlb.FromNanoTONU(7), Body: cell.BeginCell().EndCell(),
		})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	tx := cell.BeginCell().EndCell()
	for _, flags := range []uint64{0, 1, 3} {
		m, err := newInbound(msg(flags))
		if err != nil {
			t.Fatal(err)
		}
		env := envelope(m.msg.Cell(), 96, m.fwdFee)
		out, in := newOutDescr(), newInDescr()
		if err := out.Set(hashKey(m.msg.Cell()), cell.BeginCell().MustStoreUInt(0b001, 3).MustStoreRef(env).MustStoreRef(tx).EndCell()); err != nil {
			t.Fatal(err)
		}
		exported, err := rootCoins(out.AugmentedDictionary)
		if err != nil || exported.Uint64() != 1007 {
			t.Errorf("flags %d: exported %v, err %v; want 1007", flags, exported, err)
		}
		if err := in.Set(hashKey(m.msg.Cell()), cell.BeginCell().MustStoreUInt(0b100, 3).MustStoreRef(env).MustStoreRef(tx).MustStoreBigCoins(m.fwdFee).EndCell()); err != nil {
			t.Fatal(err)
		}
		fees, imported, err := importSums(in)
		if err != nil || fees.Uint64() != 7 || imported.Uint64() != 1007 {
			t.Errorf("flags %d: fees %v, imported %v, err %v; want 7 and 1007", flags, fees, imported, err)
		}
	}
}
