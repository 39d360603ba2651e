package chain_test

import (
	"bytes"
	"testing"

	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/chain"
)

// TestFalseUpdate hides the new state in a block's state update behind a pruned cell of
// two levels. The block's hash commits to the hash on the second of them; the one on the
// first, which names the state, is then for the server to choose, unless it is compared
// with what the update itself says.
func TestFalseUpdate(t *testing.T) {
	m := mintingChain(t)
	head := m.block(t, m.l.Chain.Head().ID.SeqNo)
	update := child(head.root, 2)
	state := child(update, 1)
	b := cell.BeginCell().MustStoreUInt(1, 8).MustStoreUInt(3, 8).MustStoreSlice(state.Hash(0), 256).MustStoreSlice(state.Hash(1), 256).
		MustStoreUInt(uint64(state.Depth(0)), 16).MustStoreUInt(uint64(state.Depth(1)), 16)
	pruned, err := b.EndCellSpecial(true)
	if err != nil {
		t.Fatal(err)
	}
	s := update.MustBeginParse()
	n := s.BitsLeft()
	other, err := cell.BeginCell().MustStoreSlice(s.MustLoadSlice(n), n).MustStoreRef(child(update, 0)).MustStoreRef(pruned).EndCellSpecial(true)
	if err != nil {
		t.Fatal(err)
	}
	proof := proofOf(t, replaced(head.root, 2, other))
	header, err := chain.ParseCell(proof)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cell.UnwrapProof(header, head.id.RootHash[:]); err != nil {
		t.Fatalf("the honest update: %v", err)
	}
	named := append([]byte{1, 3}, state.Hash(0)...)
	if bytes.Count(proof, named) != 1 {
		t.Fatal("the pruned cell is not in the proof")
	}
	named[2] ^= 1
	forged := bytes.Replace(proof, append([]byte{1, 3}, state.Hash(0)...), named, 1)
	if _, err := chain.ParseCell(forged); err == nil {
		t.Error("an update to a state that the block does not have was read")
	}
}
