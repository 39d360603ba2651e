package chain

import (
	"strings"
	"testing"

	"github.com/xssnick/tonutils-go/tvm/cell"
)

// TestFrozenBefore: what a frozen account held is not known. It must not pass for
// one that held nothing: whoever revives it brings back what it had anchored.
func TestFrozenBefore(t *testing.T) {
	account := func(state func(*cell.Builder)) *cell.Cell {
		b := cell.BeginCell().MustStoreUInt(1, 1).MustStoreUInt(0b100, 3).MustStoreUInt(0, 8).MustStoreSlice(make([]byte, 32), 256). // address
																		MustStoreUInt(0, 3+3+3).MustStoreUInt(0, 32).MustStoreBoolBit(false). // storage: cells, bits, extra; last paid; due
																		MustStoreUInt(7, 64).MustStoreUInt(0, 4).MustStoreBoolBit(false)      // last transaction, balance
		state(b)
		return b.EndCell()
	}
	for name, c := range map[string]struct {
		state func(*cell.Builder)
		want  string
	}{
		"frozen": {func(b *cell.Builder) { b.MustStoreUInt(0b01, 2).MustStoreSlice(make([]byte, 32), 256) }, "was frozen"},
		"uninit": {func(b *cell.Builder) { b.MustStoreUInt(0b00, 2) }, ""},
	} {
		acc := account(c.state)
		pb := cell.NewMerkleProofBuilder(acc)
		pb.Root().MustBeginParse()
		proof, err := pb.CreateProof()
		if err != nil {
			t.Fatal(err)
		}
		before, err := readBefore(proof, [32]byte(acc.Hash()))
		switch {
		case c.want == "" && (err != nil || before.Active):
			t.Errorf("%s: %+v, %v", name, before, err)
		case c.want != "" && (err == nil || before != nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %+v, %v", name, before, err)
		}
	}
}
