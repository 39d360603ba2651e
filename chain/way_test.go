package chain_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/xssnick/tonutils-go/tl"
	"github.com/xssnick/tonutils-go/tlb"
	"github.com/xssnick/tonutils-go/ton"
	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/devnet"
)

// keyBefore is the newest key block before a block, as honest blocks say it.
func (m *minter) keyBefore(t testing.TB, seqno uint32) block {
	t.Helper()
	var h tlb.BlockHeader
	if err := h.LoadFromCell(child(m.block(t, seqno).root, 0).MustBeginParse()); err != nil {
		t.Fatal(err)
	}
	return m.block(t, h.PrevKeyBlockSeqno)
}

// honest are the links that an honest server shows from one block to another.
func (m *minter) honest(t testing.TB, from, to block) []any {
	t.Helper()
	return m.ask(t, ton.GetBlockProof{Mode: 1, KnownBlock: from.id.Ext(), TargetBlock: to.id.Ext()}).(ton.PartialBlockProof).Steps
}

// signed is a link from a key block, which need not be the newest, to a block that
// the validators of then have signed.
func (m *minter) signed(t testing.TB, key, to block) ton.BlockLinkForward {
	t.Helper()
	step := m.honest(t, key, m.block(t, key.id.Seqno+1))[0].(ton.BlockLinkForward)
	step.To, step.ToKeyBlock, step.DestProof = to.id.Ext(), false, proofOf(t, to.root)
	step.SignatureSet = ton.SignatureSetOrdinary{ValidatorSetHash: m.hash, CatchainSeqno: 1, Signatures: m.sign(step.To)}
	return step
}

// trusting is the config of one server of the chain, with another trusted block.
func (m *minter) trusting(t testing.TB, b block) *chain.GlobalConfig {
	t.Helper()
	raw, err := only(t, m.l.Chain, 0).Renew(b.id)
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := chain.ParseGlobalConfig(raw)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// TestFormerValidators goes back from the trusted block to a key block of long ago,
// and from there to a block that the validators of then have signed today. They have
// nothing at stake any more.
func TestFormerValidators(t *testing.T) {
	m := mintingChain(t)
	ctx := testContext(t)
	head := m.block(t, m.l.Chain.Head().ID.SeqNo)
	newest := m.keyBefore(t, head.id.Seqno)
	former := m.keyBefore(t, newest.id.Seqno)
	later := m.block(t, newest.id.Seqno+1)
	minted := head.header(t, func(h *tlb.BlockHeader) { h.GenUtime++ })
	for _, tc := range []struct {
		name    string
		trusted block
		way     []any // to minted
		good    bool
	}{
		{"from the trusted key block", newest, []any{m.signed(t, newest, minted)}, true},
		{"back from a block to the key block before it", later, append(m.honest(t, later, newest), m.signed(t, newest, minted)), true},
		{"back from the trusted key block", newest, append(m.honest(t, newest, former), m.signed(t, former, minted)), false},
		{"back over a key block", later, append(m.honest(t, later, former), m.signed(t, former, minted)), false},
		{"back in two steps", later, append(append(m.honest(t, later, newest), m.honest(t, newest, former)...), m.signed(t, former, minted)), false},
		{"forth and back", newest, append(append(m.honest(t, newest, head), m.honest(t, head, former)...), m.signed(t, former, minted)), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cl, err := chain.Dial(ctx, m.trusting(t, tc.trusted), chain.WithClock(m.l.clock.Now), chain.WithTimeout(slowest))
			if err != nil {
				t.Fatal(err)
			}
			defer cl.Close()
			m.l.Liteservers()[0].Inject(devnet.Fault{Forge: func(q, honest tl.Serializable) tl.Serializable {
				switch a := honest.(type) {
				case ton.MasterchainInfo:
					a.Last = minted.id.Ext()
					return a
				default:
					if p, ok := q.(ton.GetBlockProof); ok {
						return ton.PartialBlockProof{Complete: true, From: p.KnownBlock, To: minted.id.Ext(), Steps: tc.way}
					}
				}
				return honest
			}})
			defer m.l.Liteservers()[0].Inject(devnet.Fault{})
			b, err := cl.Head(ctx)
			var lying *chain.LyingServerError
			switch {
			case tc.good && (err != nil || b.ID() != minted.id):
				t.Errorf("head %v, err %v", b.ID(), err)
			case !tc.good && (!errors.As(err, &lying) || !strings.Contains(err.Error(), "older key block")):
				t.Errorf("head %v, err %v", b.ID(), err)
			}
		})
	}
}

// TestEndlessWay has a server lead forth and back, and never to the head that it named.
func TestEndlessWay(t *testing.T) {
	m := mintingChain(t)
	head := m.block(t, m.l.Chain.Head().ID.SeqNo)
	key := m.keyBefore(t, head.id.Seqno)
	middle := m.block(t, head.id.Seqno-1)
	forth, back := []any{m.signed(t, key, middle)}, m.honest(t, middle, key)
	m.l.Liteservers()[0].Inject(devnet.Fault{Forge: func(q, honest tl.Serializable) tl.Serializable {
		p, ok := q.(ton.GetBlockProof)
		switch {
		case ok && p.KnownBlock.SeqNo == key.id.Seqno:
			return ton.PartialBlockProof{From: p.KnownBlock, To: p.TargetBlock, Steps: forth}
		case ok:
			return ton.PartialBlockProof{From: p.KnownBlock, To: p.TargetBlock, Steps: back}
		}
		return honest
	}})
	_, err := dialOnly(t, m.l, 0, chain.WithTimeout(20*time.Second)).Head(testContext(t))
	var unknown *attestation.UnknownError
	if !errors.As(err, &unknown) || !strings.Contains(err.Error(), "more than 512 links") {
		t.Errorf("head: %v", err)
	}
}

// TestFormerValidatorsOfOldBlock lets the validators of long ago sign a block that
// lies before the head.
func TestFormerValidatorsOfOldBlock(t *testing.T) {
	m := mintingChain(t)
	ctx := testContext(t)
	head := m.block(t, m.l.Chain.Head().ID.SeqNo)
	former := m.keyBefore(t, m.keyBefore(t, head.id.Seqno).id.Seqno)
	minted := m.block(t, head.id.Seqno-1).header(t, func(h *tlb.BlockHeader) { h.GenUtime++ })
	cl, err := chain.Dial(ctx, only(t, m.l.Chain, 0), chain.WithClock(m.l.clock.Now), chain.WithTimeout(slowest))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	m.l.Liteservers()[0].Inject(devnet.Fault{Forge: func(q, honest tl.Serializable) tl.Serializable {
		switch p := q.(type) {
		case ton.LookupBlock:
			h := honest.(ton.BlockHeader)
			h.ID = minted.id.Ext()
			return h
		case ton.GetBlockProof:
			if p.TargetBlock.SeqNo == minted.id.Seqno {
				return ton.PartialBlockProof{Complete: true, From: p.KnownBlock, To: minted.id.Ext(), Steps: append(m.honest(t, head, former), m.signed(t, former, minted))}
			}
		}
		return honest
	}})
	var lying *chain.LyingServerError
	if b, err := cl.Block(ctx, minted.id.Seqno); !errors.As(err, &lying) {
		t.Errorf("block %v, err %v", b.ID(), err)
	}
}

// TestFormerValidatorsOffline changes the way of an account proof: it goes back
// behind the trusted block, and forth from there.
func TestFormerValidatorsOffline(t *testing.T) {
	m := mintingChain(t)
	head := m.block(t, m.l.Chain.Head().ID.SeqNo)
	newest := m.keyBefore(t, head.id.Seqno)
	former := m.keyBefore(t, newest.id.Seqno)
	later := m.block(t, newest.id.Seqno+1)
	acc, err := dial(t, m.l.Chain).Account(context.Background(), m.l.faucet)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name    string
		start   block
		way     []any
		trusted block
		good    bool
	}{
		{"from the key block", newest, []any{m.signed(t, newest, head)}, newest, true},
		{"from an older key block that is trusted", former, []any{m.signed(t, former, head)}, former, true},
		{"the trusted block is on the way", former, m.honest(t, former, head), newest, true},
		{"the end is trusted", former, m.honest(t, former, head), head, true},
		{"back from a block to the key block before it", later, append(m.honest(t, later, newest), m.signed(t, newest, head)), later, true},
		{"back to a trusted block, and forth", head, append(m.honest(t, head, former), m.signed(t, former, head)), former, true},
		{"back and forth before the trusted block", newest, append(append(m.honest(t, newest, former), m.signed(t, former, later)), m.honest(t, later, head)...), later, false},
		{"back behind the trusted block", newest, append(m.honest(t, newest, former), m.signed(t, former, head)), newest, false},
		{"back behind the trusted block, which is not the first", former, append(append(m.honest(t, former, newest), m.honest(t, newest, former)...), m.signed(t, former, head)), newest, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := chain.VerifyAccountProof(withWay(t, acc.Proof, tc.start, tc.way), m.l.faucet, tc.trusted.id)
			var untrue *attestation.FalseError
			switch {
			case tc.good && (err != nil || got.LastHash != acc.LastHash):
				t.Errorf("refused: %v", err)
			case !tc.good && (!errors.As(err, &untrue) || !strings.Contains(err.Error(), "older key block")):
				t.Errorf("account %v, err %v", got != nil, err)
			}
		})
	}
}

// withWay returns an account proof with another way to its block.
func withWay(t testing.TB, proof []byte, start block, way []any) []byte {
	t.Helper()
	links := []any{}
	for _, step := range way {
		links = append(links, encodedLink(t, step))
	}
	return edited(t, proof, func(m map[uint64]any) { m[2], m[3] = encodedBlock(start.id), links })
}

func encodedBlock(b chain.BlockID) []byte {
	out := []byte{byte(b.Seqno >> 24), byte(b.Seqno >> 16), byte(b.Seqno >> 8), byte(b.Seqno)}
	return append(append(out, b.RootHash[:]...), b.FileHash[:]...)
}

// encodedLink is a step of a liteserver's answer as account proofs hold it.
func encodedLink(t testing.TB, step any) map[uint64]any {
	t.Helper()
	canonical := func(boc []byte) []byte {
		c, err := cell.FromBOC(boc)
		if err != nil {
			t.Fatal(err)
		}
		return c.ToBOCWithOptions(cell.BOCSerializeOptions{})
	}
	id := func(e *ton.BlockIDExt) []byte {
		return encodedBlock(chain.BlockID{Seqno: e.SeqNo, RootHash: [32]byte(e.RootHash), FileHash: [32]byte(e.FileHash)})
	}
	switch s := step.(type) {
	case ton.BlockLinkForward:
		set, ok := s.SignatureSet.(ton.SignatureSetOrdinary)
		if !ok {
			set = ton.SignatureSetOrdinary(s.SignatureSet.(ton.SignatureSet))
		}
		b, err := chain.EncodeSignatures(set)
		if err != nil {
			t.Fatal(err)
		}
		return map[uint64]any{1: id(s.To), 2: s.ToKeyBlock, 3: canonical(s.DestProof), 4: canonical(s.ConfigProof), 6: cbor.RawMessage(b), 7: false}
	case ton.BlockLinkBackward:
		return map[uint64]any{1: id(s.To), 2: s.ToKeyBlock, 3: canonical(s.DestProof), 4: canonical(s.Proof), 5: canonical(s.StateProof), 7: true}
	}
	t.Fatalf("link of type %T", step)
	return nil
}

// TestOtherOldBlock has a server name a block that the chain does not have, and prove
// another one of the same number, or one beside it.
func TestOtherOldBlock(t *testing.T) {
	m := mintingChain(t)
	head, old := m.block(t, m.l.Chain.Head().ID.SeqNo), m.block(t, 77)
	named := old.id
	named.RootHash[0] ^= 1
	for what, proved := range map[string]block{"that number": old, "the one before": m.block(t, 76)} {
		cl := dialOnly(t, m.l, 0)
		m.l.Liteservers()[0].Inject(devnet.Fault{Forge: func(q, honest tl.Serializable) tl.Serializable {
			switch p := q.(type) {
			case ton.LookupBlock:
				h := honest.(ton.BlockHeader)
				h.ID = named.Ext()
				return h
			case ton.GetBlockProof:
				if p.TargetBlock.SeqNo == named.Seqno {
					return ton.PartialBlockProof{Complete: true, From: p.KnownBlock, To: p.TargetBlock, Steps: m.honest(t, head, proved)}
				}
			}
			return honest
		}})
		b, err := cl.Block(testContext(t), named.Seqno)
		m.l.Liteservers()[0].Inject(devnet.Fault{})
		var lying *chain.LyingServerError
		if !errors.As(err, &lying) || !strings.Contains(err.Error(), "does not lead to the block") {
			t.Errorf("%s: block %v, err %v", what, b.ID(), err)
		}
	}
}
