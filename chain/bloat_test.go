package chain_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/xssnick/tonutils-go/tl"
	"github.com/xssnick/tonutils-go/ton"
	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/devnet"
)

// TestLargeLink has a server show more of a block than anybody asks for: a client
// keeps links for as long as it runs.
func TestLargeLink(t *testing.T) {
	l := newLyingChain(t, devnet.Options{Liteservers: 2})
	l.Liteservers()[0].Inject(devnet.Fault{Forge: func(_, honest tl.Serializable) tl.Serializable {
		p, ok := honest.(ton.PartialBlockProof)
		if !ok {
			return honest
		}
		p.Steps = slices.Clone(p.Steps)
		f := p.Steps[0].(ton.BlockLinkForward)
		f.ConfigProof = make([]byte, chain.MaxLink)
		p.Steps[0] = f
		return p
	}})
	var lying *chain.LyingServerError
	if _, err := dialOnly(t, l, 0).Head(testContext(t)); !errors.As(err, &lying) || !strings.Contains(err.Error(), "a link of more than") {
		t.Errorf("a large link: %v", err)
	}
	if _, err := dial(t, l.Chain).Account(testContext(t), l.faucet); err != nil {
		t.Errorf("beside an honest server: %v", err)
	}
}

func dialOnly(t testing.TB, l *lyingChain, i int, opts ...chain.Option) *chain.Client {
	t.Helper()
	cl, err := chain.Dial(testContext(t), only(t, l.Chain, i), append([]chain.Option{chain.WithClock(l.clock.Now), chain.WithTimeout(slowest)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cl.Close() })
	return cl
}

// TestManyLinks has a server show more links than a way may have.
func TestManyLinks(t *testing.T) {
	l := newLyingChain(t, devnet.Options{})
	l.Liteservers()[0].Inject(devnet.Fault{Forge: func(_, honest tl.Serializable) tl.Serializable {
		if p, ok := honest.(ton.PartialBlockProof); ok {
			p.Steps = slices.Repeat(p.Steps[:1], chain.MaxLinks+1)
			return p
		}
		return honest
	}})
	var lying *chain.LyingServerError
	if _, err := dialOnly(t, l, 0).Head(testContext(t)); !errors.As(err, &lying) || !strings.Contains(err.Error(), fmt.Sprint("a proof of ", chain.MaxLinks+1, " links")) {
		t.Errorf("head: %v", err)
	}
}

// TestLargeAnswer has a server show all of the blocks and states that an account is
// proved with. Others show less of them.
func TestLargeAnswer(t *testing.T) {
	l := newLyingChain(t, devnet.Options{Liteservers: 2})
	ctx := testContext(t)
	state := func(id *ton.BlockIDExt) *cell.Cell {
		r, err := l.Answer(ctx, ton.GetState{ID: id})
		if err != nil {
			panic(err)
		}
		c, err := cell.FromBOC(r.(ton.BlockState).Data)
		if err != nil {
			panic(err)
		}
		p, err := cell.CreateMerkleProof(c)
		if err != nil {
			panic(err)
		}
		return p
	}
	l.Liteservers()[0].Inject(devnet.Fault{Forge: func(_, honest tl.Serializable) tl.Serializable {
		a, ok := honest.(ton.AccountState)
		if !ok {
			return honest
		}
		a.ShardProof = []*cell.Cell{a.ShardProof[0], state(a.ID)}
		a.Proof = []*cell.Cell{a.Proof[0], state(a.Shard)}
		return a
	}})
	honest, err := dialOnly(t, l, 1).Account(ctx, l.faucet)
	if err != nil {
		t.Fatal(err)
	}
	all, err := dialOnly(t, l, 0).Account(ctx, l.faucet)
	if err != nil {
		t.Fatalf("a large answer: %v", err)
	}
	if len(all.Proof) < len(honest.Proof)+1000 {
		t.Fatalf("a proof of %d bytes, an honest one has %d", len(all.Proof), len(honest.Proof))
	}
	limit := chain.WithMaxParts(len(honest.Proof))
	var lying *chain.LyingServerError
	if _, err := dialOnly(t, l, 0, limit).Account(ctx, l.faucet); !errors.As(err, &lying) || !strings.Contains(err.Error(), "at most") {
		t.Errorf("an answer that is too large: %v", err)
	}
	both := dial(t, l.Chain, limit)
	for range 3 {
		if acc, err := both.Account(ctx, l.faucet); err != nil || acc.LastHash != honest.LastHash {
			t.Errorf("beside an honest server: %v", err)
		}
	}
}

// TestFarAway runs a client until the trusted block of its config is further away
// than a proof may lead. It reads on; only proofs for others need a newer block.
func TestFarAway(t *testing.T) {
	l := newLyingChain(t, devnet.Options{})
	ctx := testContext(t)
	cl := dial(t, l.Chain)
	first := config(t, l.Chain).Trusted()
	for n := range 3 {
		for i := range 200 { // key blocks
			if err := l.SetParam(-400, cell.BeginCell().MustStoreUInt(uint64(1000*n+i), 32).EndCell()); err != nil {
				t.Fatal(err)
			}
			if err := l.Mine(1); err != nil {
				t.Fatal(err)
			}
		}
		acc, err := cl.Account(ctx, l.faucet)
		if err != nil {
			t.Fatalf("after %d key blocks: %v", 200*(n+1), err)
		}
		_, err = chain.VerifyAccountProof(acc.Proof, l.faucet, first)
		var unknown *attestation.UnknownError
		switch {
		case n < 2 && (err != nil || acc.Provable() != nil):
			t.Errorf("after %d key blocks: %v, %v", 200*(n+1), err, acc.Provable())
		case n == 2 && (acc.Proof != nil || !errors.As(acc.Provable(), &unknown) || !strings.Contains(acc.Provable().Error(), "renew")):
			t.Errorf("after 600 key blocks: a proof of %d bytes, %v", len(acc.Proof), acc.Provable())
		}
	}
	near := dial(t, l.Chain)
	if acc, err := near.Account(ctx, l.faucet); err != nil || acc.Provable() != nil {
		t.Errorf("from a newer block: %v", err)
	}
}
