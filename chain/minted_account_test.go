package chain_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"github.com/xssnick/tonutils-go/tlb"
	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
)

// globalID returns b as a block of another chain, with the same state.
func (b block) globalID(t testing.TB, id int32) block {
	t.Helper()
	s := b.root.MustBeginParse()
	tag := s.MustLoadUInt(32)
	s.MustLoadUInt(32)
	n := s.BitsLeft()
	out := cell.BeginCell().MustStoreUInt(tag, 32).MustStoreInt(int64(id), 32).MustStoreSlice(s.MustLoadSlice(n), n)
	for i := range int(b.root.RefsNum()) {
		out.MustStoreRef(child(b.root, i))
	}
	b.root = out.EndCell()
	b.id.RootHash = b.root.HashKey()
	return b
}

// edited returns an account proof with other members.
func edited(t testing.TB, proof []byte, edit func(m map[uint64]any)) []byte {
	t.Helper()
	var m map[uint64]any
	if err := cbor.Unmarshal(proof, &m); err != nil {
		t.Fatal(err)
	}
	edit(m)
	enc, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		t.Fatal(err)
	}
	out, err := enc.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// atBlock returns an account proof that begins and ends at a block whose state is
// that of the proof's. headers are the members with its header.
func atBlock(t testing.TB, proof []byte, b block, headers ...uint64) []byte {
	t.Helper()
	header, err := cell.CreateMerkleProof(b.root)
	if err != nil {
		t.Fatal(err)
	}
	return edited(t, proof, func(m map[uint64]any) {
		m[2], m[3] = encodedBlock(b.id), []any{}
		for _, key := range headers {
			roots, err := cell.FromBOCMultiRoot(m[key].([]byte))
			if err != nil {
				t.Fatal(err)
			}
			m[key] = cell.ToBOCWithOptions([]*cell.Cell{header, roots[1]}, cell.BOCSerializeOptions{})
		}
	})
}

// TestMintedAccount proves accounts at blocks that the caller trusts, and that are not
// what he takes them for.
func TestMintedAccount(t *testing.T) {
	m := mintingChain(t)
	head := m.block(t, m.l.Chain.Head().ID.SeqNo)
	cl := dial(t, m.l.Chain)
	base := m.l.faucet
	master := attestation.Address{Workchain: -1, Hash: addr(0x51).Hash}
	for _, tc := range []struct {
		name string
		edit func(b *block)
		want string
	}{
		{name: "honest"},
		{name: "another number", edit: func(b *block) { b.id.Seqno++ }, want: "header is of block"},
		{name: "a header of another number", edit: func(b *block) { *b = b.header(t, func(h *tlb.BlockHeader) { h.SeqNo++ }) }, want: "header is of block"},
		{name: "a block of the basechain", edit: func(b *block) { *b = b.header(t, func(h *tlb.BlockHeader) { h.Shard.WorkchainID = 0 }) }, want: "not of a masterchain block"},
		{name: "another chain", edit: func(b *block) { *b = b.globalID(t, 77) }, want: "chain id is 77 in the block and"},
	} {
		b := head
		if tc.edit != nil {
			tc.edit(&b)
		}
		for a, headers := range map[attestation.Address][]uint64{base: {5, 8}, master: {6, 8}} {
			acc, err := cl.Account(testContext(t), a)
			if err != nil {
				t.Fatal(err)
			}
			got, err := chain.VerifyAccountProof(atBlock(t, acc.Proof, b, headers...), a, b.id)
			var untrue *attestation.FalseError
			switch {
			case tc.want == "" && (err != nil || got.LastHash != acc.LastHash):
				t.Errorf("%s: %v: %v", tc.name, a, err)
			case tc.want != "" && (!errors.As(err, &untrue) || !strings.Contains(err.Error(), tc.want)):
				t.Errorf("%s: %v: %v, want %q", tc.name, a, err, tc.want)
			}
		}
	}
}

// TestMasterchainShard adds to the proof of a masterchain account what only others have.
func TestMasterchainShard(t *testing.T) {
	l := mintingChain(t).l
	cl, trusted := dial(t, l.Chain), config(t, l.Chain).Trusted()
	other, err := cl.Account(testContext(t), l.faucet)
	if err != nil {
		t.Fatal(err)
	}
	var m map[uint64]any
	if err := cbor.Unmarshal(other.Proof, &m); err != nil {
		t.Fatal(err)
	}
	master := attestation.Address{Workchain: -1, Hash: addr(0x51).Hash}
	acc, err := cl.Account(testContext(t), master)
	if err != nil {
		t.Fatal(err)
	}
	more := edited(t, acc.Proof, func(to map[uint64]any) { to[4], to[5] = m[4], m[5] })
	var untrue *attestation.FalseError
	if _, err := chain.VerifyAccountProof(more, master, trusted); !errors.As(err, &untrue) || !strings.Contains(err.Error(), "with a shard proof") {
		t.Errorf("a shard beside a masterchain account: %v", err)
	}
}
