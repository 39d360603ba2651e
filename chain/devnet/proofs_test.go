package devnet

import (
	"math/big"
	"testing"

	"github.com/xssnick/tonutils-go/tlb"
	"github.com/xssnick/tonutils-go/ton"
	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
)

// The tests of this file load from proofs what the official C++ clients load
// (check-proof.cpp, mc-config.cpp of the reference implementation): a cell that
// they unpack and that a proof leaves out makes them refuse the proof, though
// other clients take it.

// inside returns the tree under a Merkle proof.
func inside(t *testing.T, proof *cell.Cell) *cell.Cell {
	t.Helper()
	if proof.GetType() != cell.MerkleProofCellType {
		t.Fatalf("cell of type %d", proof.GetType())
	}
	return proof.MustPeekRef(0)
}

// child loads a reference, which must be in the proof.
func child(t *testing.T, what string, c *cell.Cell, i int) *cell.Cell {
	t.Helper()
	r, err := c.PeekRef(i)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	if r.GetType() == cell.PrunedCellType {
		t.Fatalf("%s: left out of the proof", what)
	}
	return r
}

func fromBOC(t *testing.T, boc []byte) *cell.Cell {
	t.Helper()
	c, err := cell.FromBOC(boc)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// officialHeader unpacks Block, BlockInfo with its references, and the state
// update's cell.
func officialHeader(t *testing.T, proof *cell.Cell) *cell.Cell {
	t.Helper()
	root := inside(t, proof)
	info := child(t, "info", root, 0)
	for i := range int(info.RefsNum()) {
		child(t, "reference of the info", info, i)
	}
	if child(t, "state update", root, 2).GetType() != cell.MerkleUpdateCellType {
		t.Fatal("no state update")
	}
	return root
}

// officialState unpacks ShardStateUnsplit with its anonymous cell.
func officialState(t *testing.T, proof *cell.Cell) *cell.Cell {
	t.Helper()
	root := inside(t, proof)
	child(t, "balances", root, 2)
	return root
}

// officialExtra unpacks McStateExtra with its anonymous cell, which it returns.
func officialExtra(t *testing.T, state *cell.Cell) (extra, info *cell.Cell) {
	t.Helper()
	extra = child(t, "masterchain extra", state, 3)
	return extra, child(t, "anonymous cell of the masterchain extra", extra, int(extra.RefsNum())-1)
}

func TestProofsForOfficialClients(t *testing.T) {
	c, err := Start(Options{BlockInterval: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	addr := attestation.Address{Hash: [32]byte{5}}
	if err := c.Faucet(t.Context(), addr, 1e9); err != nil {
		t.Fatal(err)
	}
	if err := c.SetParam(-100, cell.BeginCell().EndCell()); err != nil {
		t.Fatal(err)
	}
	if err := c.Mine(2); err != nil {
		t.Fatal(err)
	}
	ask := func(q any) any {
		t.Helper()
		r, err := c.Answer(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	head := c.Head()
	shards := func(proof []*cell.Cell) {
		t.Helper()
		officialHeader(t, proof[0])
		extra, _ := officialExtra(t, officialState(t, proof[1]))
		dict := child(t, "shards", extra, 0)
		leaf := child(t, "shard", dict, 0)
		child(t, "fees of the shard", leaf, 0)
	}
	for _, a := range []attestation.Address{addr, {Hash: [32]byte{6}}, {Workchain: masterchain, Hash: [32]byte{6}}} {
		r := ask(ton.GetAccountState{ID: head.ID, Account: ton.AccountID{Workchain: a.Workchain, ID: a.Hash[:]}}).(ton.AccountState)
		if a.Workchain != masterchain {
			shards(r.ShardProof)
		}
		officialHeader(t, r.Proof[0])
		child(t, "accounts", officialState(t, r.Proof[1]), 1)
	}
	info := ask(ton.GetShardInfo{ID: head.ID, Workchain: basechain, Shard: fullShard, Exact: true}).(ton.ShardInfo)
	shards(info.ShardProof)
	conf := ask(ton.GetConfigParams{BlockID: head.ID, Params: []int32{19}}).(ton.ConfigAll)
	officialHeader(t, fromBOC(t, conf.StateProof))
	extra, _ := officialExtra(t, officialState(t, fromBOC(t, conf.ConfigProof)))
	child(t, "configuration", extra, int(extra.RefsNum())-2)
	for _, n := range []uint32{1, 2, 50, 64, 100, head.lastKey.SeqNo, head.ID.SeqNo - 1} {
		to, err := c.masterAt(n)
		if err != nil {
			t.Fatal(err)
		}
		p := ask(ton.GetBlockProof{Mode: 1, KnownBlock: head.ID, TargetBlock: to.ID}).(ton.PartialBlockProof)
		b := p.Steps[0].(ton.BlockLinkBackward)
		officialHeader(t, fromBOC(t, b.DestProof))
		officialHeader(t, fromBOC(t, b.Proof))
		_, info := officialExtra(t, officialState(t, fromBOC(t, b.StateProof)))
		var old tlb.McStateExtraBlockInfo
		if err := tlb.LoadFromCellAsProof(&old, info.MustBeginParse()); err != nil {
			t.Fatal(err)
		}
		for _, key := range []uint32{0, n} { // the zerostate's identifier is read with the configuration
			if _, _, err := old.PrevBlocks.LoadValueExtraByIntKey(big.NewInt(int64(key))); err != nil {
				t.Errorf("block %d of the link to block %d: %v", key, n, err)
			}
		}
	}
	p := ask(ton.GetBlockProof{Mode: 1, KnownBlock: head.ID, TargetBlock: c.Head().ID}).(ton.PartialBlockProof)
	if len(p.Steps) != 0 {
		t.Errorf("%d links from a block to itself", len(p.Steps))
	}
	first, err := c.masterAt(1)
	if err != nil {
		t.Fatal(err)
	}
	p = ask(ton.GetBlockProof{Mode: 1, KnownBlock: first.ID, TargetBlock: head.ID}).(ton.PartialBlockProof)
	for _, s := range p.Steps {
		f, ok := s.(ton.BlockLinkForward)
		if !ok {
			continue
		}
		officialHeader(t, fromBOC(t, f.DestProof))
		source := officialHeader(t, fromBOC(t, f.ConfigProof))
		custom := child(t, "masterchain extra", child(t, "extra", source, 3), 3)
		child(t, "configuration", custom, int(custom.RefsNum())-1)
	}
	key := ask(ton.GetConfigAll{Mode: fromKeyBlock, BlockID: head.ID}).(ton.ConfigAll)
	if key.ID.SeqNo != head.lastKey.SeqNo || len(key.StateProof) != 0 {
		t.Errorf("configuration of key block %d with a state proof of %d bytes, want block %d", key.ID.SeqNo, len(key.StateProof), head.lastKey.SeqNo)
	}
	source := officialHeader(t, fromBOC(t, key.ConfigProof))
	custom := child(t, "masterchain extra", child(t, "extra", source, 3), 3)
	if got := child(t, "configuration", custom, int(custom.RefsNum())-1); got.HashKey(0) != cell.Hash(c.Config().Root().HashKey()) {
		t.Error("another configuration in the key block")
	}
}
