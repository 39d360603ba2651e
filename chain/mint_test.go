package chain_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/xssnick/tonutils-go/adnl/keys"
	"github.com/xssnick/tonutils-go/tl"
	"github.com/xssnick/tonutils-go/tlb"
	"github.com/xssnick/tonutils-go/ton"
	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/chain"
)

// minter makes masterchain blocks that no chain has, from those of one that has
// the same validators, and signs them. A minted block differs from an honest one
// in what a test says and in nothing else, so what refuses it is the check of
// just that.
type minter struct {
	l    *lyingChain
	keys []ed25519.PrivateKey
	ids  [][]byte
	hash int32 // of the validator set
}

const mintSeed = "validators of a minter"

func newMinter(t testing.TB, l *lyingChain, validators int) *minter {
	t.Helper()
	m := &minter{l: l}
	for i := range validators {
		h := sha256.Sum256(fmt.Appendf(nil, "cocoon/devnet/validator/%d\n%s", i, mintSeed))
		key := ed25519.NewKeyFromSeed(h[:])
		id, err := tl.Hash(keys.PublicKeyED25519{Key: key.Public().(ed25519.PublicKey)})
		if err != nil {
			t.Fatal(err)
		}
		m.keys, m.ids = append(m.keys, key), append(m.ids, id)
	}
	// these are the keys of the chain, or nothing below would mean anything
	step := m.forward(t, m.block(t, l.Chain.Head().ID.SeqNo))
	set := step.SignatureSet.(ton.SignatureSetOrdinary)
	m.hash = set.ValidatorSetHash
	if len(set.Signatures) != validators || !bytes.Equal(set.Signatures[0].Signature, m.sign(step.To)[0].Signature) {
		t.Fatal("the validators of the chain have other keys")
	}
	return m
}

// block is a block: its identifier, as somebody says it is, and its cells.
type block struct {
	id   chain.BlockID
	root *cell.Cell
}

// block loads an honest masterchain block.
func (m *minter) block(t testing.TB, seqno uint32) block {
	t.Helper()
	return m.load(t, -1, seqno)
}

func (m *minter) load(t testing.TB, workchain int32, seqno uint32) block {
	t.Helper()
	id := m.ask(t, ton.LookupBlock{Mode: 1, ID: &ton.BlockInfoShort{Workchain: workchain, Shard: -1 << 63, Seqno: int32(seqno)}}).(ton.BlockHeader).ID
	d := m.ask(t, ton.GetBlockData{ID: id}).(ton.BlockData)
	root, err := cell.FromBOC(d.Payload)
	if err != nil {
		t.Fatal(err)
	}
	return block{chain.BlockID{Seqno: id.SeqNo, RootHash: [32]byte(id.RootHash), FileHash: [32]byte(id.FileHash)}, root}
}

func (m *minter) ask(t testing.TB, q tl.Serializable) tl.Serializable {
	t.Helper()
	r, err := m.l.Answer(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// header returns b with another header. The identifier says the new root hash,
// and the old number.
func (b block) header(t testing.TB, edit func(h *tlb.BlockHeader)) block {
	t.Helper()
	var h tlb.BlockHeader
	if err := h.LoadFromCell(child(b.root, 0).MustBeginParse()); err != nil {
		t.Fatal(err)
	}
	edit(&h)
	info, err := h.ToCell()
	if err != nil {
		t.Fatal(err)
	}
	b.root = replaced(b.root, 0, info)
	b.id.RootHash = b.root.HashKey()
	return b
}

// oldBlock returns b with a state that lists one old block, under key.
func (b block) oldBlock(t testing.TB, m *minter, key uint32, ref tlb.KeyExtBlkRef) (_ block, state *cell.Cell) {
	t.Helper()
	st := m.ask(t, ton.GetState{ID: b.id.Ext()}).(ton.BlockState)
	honest, err := cell.FromBOC(st.Data)
	if err != nil {
		t.Fatal(err)
	}
	// one leaf of HashmapAug 32 KeyExtBlkRef KeyMaxLt: hml_long$10, length, key
	leaf := cell.BeginCell().MustStoreUInt(0b10, 2).MustStoreUInt(32, 6).MustStoreUInt(uint64(key), 32)
	extra := func(c *cell.Builder) { c.MustStoreBoolBit(ref.IsKey).MustStoreUInt(ref.BlkRef.EndLt, 64) }
	extra(leaf)
	leaf.MustStoreBoolBit(ref.IsKey).MustStoreUInt(ref.BlkRef.EndLt, 64).MustStoreUInt(uint64(ref.BlkRef.SeqNo), 32).
		MustStoreSlice(ref.BlkRef.RootHash, 256).MustStoreSlice(ref.BlkRef.FileHash, 256)
	// flags, validator info, old blocks, after_key_block, no last_key_block
	info := cell.BeginCell().MustStoreUInt(0, 16+65).MustStoreBoolBit(true).MustStoreRef(leaf.EndCell())
	extra(info)
	info.MustStoreUInt(0, 2)
	mcExtra := child(honest, 3)
	mcExtra = replaced(mcExtra, int(mcExtra.RefsNum())-1, info.EndCell())
	state = replaced(honest, 3, mcExtra)
	update, err := cell.CreateMerkleUpdate(honest, state)
	if err != nil {
		t.Fatal(err)
	}
	b.root = replaced(b.root, 2, update)
	b.id.RootHash = b.root.HashKey()
	return b, state
}

// ref is the entry of b in the list of old blocks.
func (b block) ref() tlb.KeyExtBlkRef {
	var h tlb.BlockHeader
	if err := h.LoadFromCell(child(b.root, 0).MustBeginParse()); err != nil {
		panic(err)
	}
	return tlb.KeyExtBlkRef{IsKey: h.KeyBlock, BlkRef: tlb.ExtBlkRef{EndLt: h.EndLt, SeqNo: b.id.Seqno, RootHash: b.id.RootHash[:], FileHash: b.id.FileHash[:]}}
}

// backward is the link from a block to an older one.
func backward(t testing.TB, from block, state *cell.Cell, to block, key bool) ton.BlockLinkBackward {
	t.Helper()
	return ton.BlockLinkBackward{
		ToKeyBlock: key, From: from.id.Ext(), To: to.id.Ext(),
		DestProof: proofOf(t, to.root), Proof: proofOf(t, from.root), StateProof: proofOf(t, state),
	}
}

// forward is the link from the newest key block of the chain to a block, as the
// validators sign it.
func (m *minter) forward(t testing.TB, to block) ton.BlockLinkForward {
	t.Helper()
	from := m.ask(t, ton.GetConfigAll{Mode: 0x8000, BlockID: m.l.Chain.Head().ID}).(ton.ConfigAll).ID
	p := m.ask(t, ton.GetBlockProof{Mode: 1, KnownBlock: from, TargetBlock: m.l.Chain.Head().ID}).(ton.PartialBlockProof)
	step := p.Steps[0].(ton.BlockLinkForward)
	if bytes.Equal(step.To.RootHash, to.id.RootHash[:]) {
		return step
	}
	step.To, step.DestProof = to.id.Ext(), proofOf(t, to.root)
	step.SignatureSet = ton.SignatureSetOrdinary{ValidatorSetHash: m.hash, CatchainSeqno: 1, Signatures: m.sign(step.To)}
	return step
}

// sign makes the signatures of all validators of a block.
func (m *minter) sign(id *ton.BlockIDExt) []ton.Signature {
	msg, err := tl.Serialize(ton.BlockID{RootHash: id.RootHash, FileHash: id.FileHash}, true)
	if err != nil {
		panic(err)
	}
	return m.signBytes(msg)
}

func (m *minter) signBytes(msg []byte) (out []ton.Signature) {
	for i, k := range m.keys {
		out = append(out, ton.Signature{NodeIDShort: m.ids[i], Signature: ed25519.Sign(k, msg)})
	}
	return out
}

func child(c *cell.Cell, i int) *cell.Cell { return c.MustPeekRef(i) }

// replaced returns c with another reference i.
func replaced(c *cell.Cell, i int, r *cell.Cell) *cell.Cell {
	s := c.MustBeginParse()
	n := s.BitsLeft()
	b := cell.BeginCell().MustStoreSlice(s.MustLoadSlice(n), n)
	for j := range int(c.RefsNum()) {
		if j == i {
			b.MustStoreRef(r)
		} else {
			b.MustStoreRef(c.MustPeekRef(j))
		}
	}
	return b.EndCell()
}

// proofOf proves all of a tree.
func proofOf(t testing.TB, root *cell.Cell) []byte {
	t.Helper()
	p, err := cell.CreateMerkleProof(root)
	if err != nil {
		t.Fatal(err)
	}
	return p.ToBOC()
}
