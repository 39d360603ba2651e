package devnet

import (
	"math/big"
	"strings"
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/chain"
)

// TestFaucetLimit: more than the faucet holds is refused at once, without a block.
func TestFaucetLimit(t *testing.T) {
	c, err := Start(Options{BlockInterval: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	to := attestation.Address{Hash: [32]byte{1}}
	refused := func(nano uint64) {
		t.Helper()
		head := c.Head().ID.SeqNo
		if err := c.Faucet(t.Context(), to, nano); err == nil || fault.FamilyOf(err) != fault.FamilyInput || !strings.Contains(err.Error(), "nano to give") {
			t.Errorf("%d: %v", nano, err)
		}
		if n := c.Head().ID.SeqNo; n != head {
			t.Errorf("%d blocks were made for a refusal", n-head)
		}
	}
	refused(faucetBalance)
	refused(1<<64 - 1)
	if err := c.Faucet(t.Context(), to, faucetBalance-2*faucetReserve); err != nil {
		t.Fatal(err)
	}
	refused(faucetReserve)
	if err := c.Faucet(t.Context(), to, 1e9); err != nil {
		t.Error(err)
	}
}

// TestFaucetQueue: what waits to be sent counts as gone.
func TestFaucetQueue(t *testing.T) {
	var f faucet
	left := new(big.Int).SetUint64(faucetReserve + 10)
	ask := func(n int64) error { return f.add(&grant{msg: chain.Message{Amount: big.NewInt(n)}}, left) }
	if err := ask(6); err != nil {
		t.Fatal(err)
	}
	if err := ask(5); err == nil || len(f.queue) != 1 {
		t.Errorf("%v, %d wait", err, len(f.queue))
	}
	if err := ask(4); err != nil {
		t.Error(err)
	}
}
