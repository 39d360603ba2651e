package chain_test

import (
	"context"
	"errors"
	"testing"

	"github.com/xssnick/tonutils-go/tl"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/devnet"
)

// TestForkOfOne has one server prove two blocks of one number, one after the other.
func TestForkOfOne(t *testing.T) {
	a, b := newLyingChain(t, devnet.Options{}), newLyingChain(t, devnet.Options{})
	ctx := testContext(t)
	cl := dialOnly(t, a, 0)
	if err := a.Mine(1); err != nil {
		t.Fatal(err)
	}
	if _, err := cl.Head(ctx); err != nil {
		t.Fatal(err)
	}
	if err := b.Faucet(ctx, addr(1), 5); err != nil {
		t.Fatal(err)
	}
	for b.Chain.Head().ID.SeqNo < a.Chain.Head().ID.SeqNo {
		if err := b.Mine(1); err != nil {
			t.Fatal(err)
		}
	}
	if x, y := a.Chain.Head().ID, b.Chain.Head().ID; x.SeqNo != y.SeqNo || x.Equals(y) {
		t.Fatalf("heads %v and %v", x, y)
	}
	a.Liteservers()[0].Inject(devnet.Fault{Forge: func(q, honest tl.Serializable) tl.Serializable {
		r, err := b.Answer(context.Background(), q)
		if err != nil {
			return honest
		}
		return r
	}})
	_, err := cl.Head(ctx)
	var disagrees *attestation.ChainError
	var fork *chain.ForkError
	if !errors.As(err, &disagrees) || !errors.As(err, &fork) {
		t.Errorf("another block of the same number: %v", err)
	}
}
