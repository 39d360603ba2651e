package chain_test

import (
	"strings"
	"testing"

	"github.com/xssnick/tonutils-go/tlb"

	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/devnet"
)

func mintingChain(t testing.TB) *minter {
	t.Helper()
	return newMinter(t, newLyingChain(t, devnet.Options{Liteservers: 2, Validators: 3, Seed: []byte(mintSeed)}), 3)
}

// TestBackwardMinted looks old blocks up in minted states. Header, link and list
// agree but in one thing.
func TestBackwardMinted(t *testing.T) {
	m := mintingChain(t)
	head := m.l.Chain.Head().ID.SeqNo
	const old = 77
	for _, tc := range []struct {
		name string
		to   func(b *block)            // what the link leads to
		list func(r *tlb.KeyExtBlkRef) // the list's entry, after that
		key  uint32                    // of the list, when not the block's number
		flag bool                      // the link's key block flag
		want string                    // empty: it is proved
	}{
		{name: "honest"},
		{name: "a key block", to: func(b *block) { *b = b.header(t, func(h *tlb.BlockHeader) { h.KeyBlock = true }) }, flag: true},
		{name: "the list has another root hash", list: func(r *tlb.KeyExtBlkRef) { r.BlkRef.RootHash = flipped(r.BlkRef.RootHash, 31) }, want: "the old blocks hold another one"},
		{name: "the list has another file hash", list: func(r *tlb.KeyExtBlkRef) { r.BlkRef.FileHash = flipped(r.BlkRef.FileHash, 0) }, want: "the old blocks hold another one"},
		{name: "the list has another number", list: func(r *tlb.KeyExtBlkRef) { r.BlkRef.SeqNo++ }, want: "the old blocks hold another one"},
		{name: "the list has it under another number", key: old + 1, want: "not among the old blocks"},
		{name: "only the list calls it a key block", list: func(r *tlb.KeyExtBlkRef) { r.IsKey = true }, want: "key block flag differs"},
		{name: "list and link call it a key block", list: func(r *tlb.KeyExtBlkRef) { r.IsKey = true }, flag: true, want: "key block is false, the link says true"},
		{name: "only the header calls it a key block", to: func(b *block) { *b = b.header(t, func(h *tlb.BlockHeader) { h.KeyBlock = true }) }, list: func(r *tlb.KeyExtBlkRef) { r.IsKey = false }, want: "key block is true, the link says false"},
		{name: "the header has another number", to: func(b *block) { *b = b.header(t, func(h *tlb.BlockHeader) { h.SeqNo++ }) }, want: "header is of block 78, not 77"},
		{name: "a later block", to: func(b *block) {
			*b = b.header(t, func(h *tlb.BlockHeader) { h.SeqNo = head + 1 })
			b.id.Seqno = head + 1
		}, want: "does not go back"},
		{name: "itself", to: func(b *block) {
			*b = b.header(t, func(h *tlb.BlockHeader) { h.SeqNo = head })
			b.id.Seqno = head
		}, want: "does not go back"},
		{name: "not of the masterchain", to: func(b *block) {
			*b = b.header(t, func(h *tlb.BlockHeader) { h.NotMaster, h.MasterRef = true, &h.PrevRef.Prev1 })
		}, want: "not of a masterchain block"},
		{name: "of the basechain", to: func(b *block) { *b = b.header(t, func(h *tlb.BlockHeader) { h.Shard.WorkchainID = 0 }) }, want: "not of a masterchain block"},
		{name: "of half the masterchain", to: func(b *block) { *b = b.header(t, func(h *tlb.BlockHeader) { h.Shard.PrefixBits = 1 }) }, want: "not of a masterchain block"},
		{name: "of a shard prefix", to: func(b *block) { *b = b.header(t, func(h *tlb.BlockHeader) { h.Shard.ShardPrefix = 1 << 63 }) }, want: "not of a masterchain block"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			to := m.block(t, old)
			if tc.to != nil {
				tc.to(&to)
			}
			entry, key := to.ref(), to.id.Seqno
			if tc.list != nil {
				tc.list(&entry)
			}
			if tc.key != 0 {
				key = tc.key
			}
			from, state := m.block(t, head).oldBlock(t, m, key, entry)
			b, err := chain.VerifyStep(backward(t, from, state, to, tc.flag), from.id)
			wantLink(t, b, err, to.id, tc.want)
		})
	}
	t.Run("the header of the source has another number", func(t *testing.T) {
		to := m.block(t, old)
		from, state := m.block(t, head).oldBlock(t, m, old, to.ref())
		from.id.Seqno++
		b, err := chain.VerifyStep(backward(t, from, state, to, false), from.id)
		wantLink(t, b, err, to.id, "header is of block")
	})
	t.Run("the state of another block", func(t *testing.T) {
		to := m.block(t, old)
		_, state := m.block(t, head).oldBlock(t, m, old, to.ref())
		from := m.block(t, head)
		b, err := chain.VerifyStep(backward(t, from, state, to, false), from.id)
		wantLink(t, b, err, to.id, "incorrect shard state proof")
	})
}

// TestForwardMinted shows blocks that all validators have signed, and that are
// not what the link says.
func TestForwardMinted(t *testing.T) {
	m := mintingChain(t)
	head := m.l.Chain.Head().ID.SeqNo
	for _, tc := range []struct {
		name string
		edit func(b *block)
		flag bool
		want string
	}{
		{name: "honest"},
		{name: "minted", edit: func(b *block) { *b = b.header(t, func(h *tlb.BlockHeader) { h.GenUtime++ }) }},
		// signatures cover the hashes of a block, not its number
		{name: "a number to come", edit: func(b *block) { b.id.Seqno += 1000 }, want: "header is of block"},
		{name: "the number before", edit: func(b *block) { b.id.Seqno-- }, want: "header is of block"},
		{name: "called a key block", flag: true, want: "key block is false, the link says true"},
		{name: "a key block that is not called one", edit: func(b *block) { *b = b.header(t, func(h *tlb.BlockHeader) { h.KeyBlock = true }) }, want: "key block is true, the link says false"},
		{name: "not of the masterchain", edit: func(b *block) {
			*b = b.header(t, func(h *tlb.BlockHeader) { h.NotMaster, h.MasterRef = true, &h.PrevRef.Prev1 })
		}, want: "not of a masterchain block"},
		{name: "of the basechain", edit: func(b *block) { *b = b.header(t, func(h *tlb.BlockHeader) { h.Shard.WorkchainID = 0 }) }, want: "not of a masterchain block"},
		{name: "the basechain's block of that number", edit: func(b *block) { *b = m.load(t, 0, head) }, want: "not of a masterchain block"},
		{name: "of another validator set", edit: func(b *block) {
			*b = b.header(t, func(h *tlb.BlockHeader) { h.GenValidatorListHashShort++ })
		}, want: "incorrect validator set hash"},
		{name: "of another session", edit: func(b *block) { *b = b.header(t, func(h *tlb.BlockHeader) { h.GenCatchainSeqno++ }) }, want: "incorrect catchain seqno"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			to := m.block(t, head)
			if tc.edit != nil {
				tc.edit(&to)
			}
			step := m.forward(t, to)
			step.To, step.ToKeyBlock = to.id.Ext(), tc.flag
			from := chain.BlockID{Seqno: step.From.SeqNo, RootHash: [32]byte(step.From.RootHash), FileHash: [32]byte(step.From.FileHash)}
			b, err := chain.VerifyStep(step, from)
			wantLink(t, b, err, to.id, tc.want)
		})
	}
}

// wantLink demands that a link proved a block, or the text of the refusal.
func wantLink(t *testing.T, b chain.Block, err error, to chain.BlockID, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("refused: %v", err)
	case want == "" && b.ID() != to:
		t.Errorf("proved %s, want %s", b.ID(), to)
	case want != "" && err == nil:
		t.Errorf("proved: %s", b.ID())
	case want != "" && !strings.Contains(err.Error(), want):
		t.Errorf("err %v, want %q", err, want)
	}
}
