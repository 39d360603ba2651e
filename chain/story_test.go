package chain_test

import (
	"errors"
	"testing"

	"github.com/xssnick/tonutils-go/tl"
	"github.com/xssnick/tonutils-go/tlb"
	"github.com/xssnick/tonutils-go/ton"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/devnet"
)

// TestStories lets a server lie about one block and stick to it: head, lookup,
// header and proof agree with each other.
func TestStories(t *testing.T) {
	m := mintingChain(t)
	ctx := testContext(t)
	liar := m.l.Liteservers()[0]
	const old = 77
	head := m.l.Chain.Head().ID.SeqNo
	other := func(edit func(h *tlb.BlockHeader)) block { return m.block(t, old).header(t, edit) }
	stories := []struct {
		name string
		tell block
		head bool // it is said to be the newest
		key  bool // and to be a key block
	}{
		{name: "an old block that was made at another time", tell: other(func(h *tlb.BlockHeader) { h.GenUtime -= 3600 })},
		{name: "an old block with another file hash", tell: func() block { b := m.block(t, old); b.id.FileHash[0] ^= 1; return b }()},
		{name: "the block after it as an old block", tell: func() block { b := m.block(t, old+1); b.id.Seqno = old; return b }()},
		{name: "the basechain's block as the masterchain's", tell: m.load(t, 0, old)},
		{name: "an old block that is a key block", tell: m.block(t, old), key: true},
		{name: "an old block that was made a key block", tell: other(func(h *tlb.BlockHeader) { h.KeyBlock = true }), key: true},
		{name: "a head of another number", head: true, tell: func() block { b := m.block(t, head); b.id.Seqno--; return b }()},
		{name: "a head that is a key block", head: true, tell: m.block(t, head), key: true},
	}
	for _, s := range stories {
		t.Run(s.name, func(t *testing.T) {
			ask := func(cl *chain.Client) (chain.Block, error) {
				if s.head {
					return cl.Head(ctx)
				}
				return cl.Block(ctx, old)
			}
			alone, err := chain.Dial(ctx, only(t, m.l.Chain, 0), chain.WithClock(m.l.clock.Now))
			if err != nil {
				t.Fatal(err)
			}
			defer alone.Close()
			two := dial(t, m.l.Chain)
			told := 0
			liar.Inject(devnet.Fault{Forge: func(q, honest tl.Serializable) tl.Serializable {
				a := m.tell(t, q, honest, s.tell, s.head, s.key)
				if p, ok := a.(ton.PartialBlockProof); ok && len(p.Steps) == 1 {
					told++
				}
				return a
			}})
			defer liar.Inject(devnet.Fault{})
			var lying *chain.LyingServerError
			var unknown *attestation.UnknownError
			if b, err := ask(alone); !errors.As(err, &lying) || !errors.As(err, &unknown) {
				t.Errorf("block %s of %v, err %v", b.ID(), b.Time, err)
			}
			if told == 0 {
				t.Error("the story was not told to its end")
			}
			want := m.block(t, old).id
			if s.head {
				want = m.block(t, head).id
			}
			if b, err := ask(two); err != nil || b.ID() != want {
				t.Errorf("with an honest server beside: block %s, err %v", b.ID(), err)
			}
		})
	}
}

// tell answers a query as the story about a block wants it.
func (m *minter) tell(t *testing.T, q, honest tl.Serializable, b block, head, key bool) tl.Serializable {
	switch q := q.(type) {
	case ton.GetMasterchainInf:
		if head {
			return ton.MasterchainInfo{Last: b.id.Ext(), StateRootHash: make([]byte, 32), Init: honest.(ton.MasterchainInfo).Init}
		}
	case ton.LookupBlock:
		if !head && uint32(q.ID.Seqno) == b.id.Seqno {
			return ton.BlockHeader{ID: b.id.Ext(), Mode: q.Mode, HeaderProof: proofOf(t, b.root)}
		}
	case ton.GetBlockHeader:
		if q.ID.Equals(b.id.Ext()) {
			return ton.BlockHeader{ID: b.id.Ext(), Mode: q.Mode, HeaderProof: proofOf(t, b.root)}
		}
	case ton.GetBlockProof:
		if !q.TargetBlock.Equals(b.id.Ext()) {
			return honest
		}
		if head {
			step := m.forward(t, m.block(t, m.l.Chain.Head().ID.SeqNo))
			step.To, step.ToKeyBlock = b.id.Ext(), key
			return ton.PartialBlockProof{Complete: true, From: step.From, To: step.To, Steps: []any{step}}
		}
		before := m.ask(t, ton.GetBlockProof{Mode: 1, KnownBlock: q.KnownBlock, TargetBlock: m.block(t, b.id.Seqno).id.Ext()}).(ton.PartialBlockProof)
		step := before.Steps[0].(ton.BlockLinkBackward)
		step.To, step.ToKeyBlock, step.DestProof = b.id.Ext(), key, proofOf(t, b.root)
		return ton.PartialBlockProof{Complete: true, From: step.From, To: step.To, Steps: []any{step}}
	}
	return honest
}
