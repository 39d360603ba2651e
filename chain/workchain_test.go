package chain_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/devnet"
)

// TestFarWorkchains names accounts in workchains that no address on TON has. Cut to
// the eight bits of one, they are accounts of others: 256 is the basechain, 255 the
// masterchain.
func TestFarWorkchains(t *testing.T) {
	l := newLyingChain(t, devnet.Options{})
	cl := dial(t, l.Chain)
	w := testWallet(t, l.Chain, 1)
	honest, err := cl.Account(testContext(t), addr(0xee))
	if err != nil {
		t.Fatal(err)
	}
	for _, workchain := range []int32{256, 255, 128, -129, -257, 1 << 30} {
		a := attestation.Address{Workchain: workchain, Hash: addr(0xee).Hash}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, read := cl.Account(ctx, a)
		_, pays := w.Transfer(0, l.clock.Now(), false, pay(a, 1))
		_, sends := cl.SendExternal(ctx, a, nil, cell.BeginCell().EndCell(), func(*chain.Account) bool { return false })
		_, offline := chain.VerifyAccountProof(edited(t, honest.Proof, func(m map[uint64]any) { m[1] = a.AppendTo(nil) }), a, config(t, l.Chain).Trusted())
		for what, err := range map[string]error{"read": read, "paid": pays, "sent to": sends, "absent, offline": offline} {
			var bad *attestation.InputError
			if !errors.As(err, &bad) || !strings.Contains(err.Error(), "no such workchain") {
				t.Errorf("%d: %s: %v", workchain, what, err)
			}
		}
	}
}
