package devnet

import (
	"maps"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/xssnick/tonutils-go/address"
	"github.com/xssnick/tonutils-go/tlb"
	"github.com/xssnick/tonutils-go/tvm"
	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
)

// TestWaitingMessages: what a full block leaves behind waits, once; what a
// block took or dropped can be sent again, whichever workchain it was for.
func TestWaitingMessages(t *testing.T) {
	c, err := Start(Options{BlockInterval: -1, MaxTransactions: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	w, err := chain.NewWallet(c.FaucetWallet(), c.GlobalID())
	if err != nil {
		t.Fatal(err)
	}
	var sent []*cell.Cell
	for i := range 2 { // both valid on this state; a block has room for one
		m, err := w.Transfer(0, c.Now().Add(time.Duration(i+1)*time.Minute), false,
			chain.Message{To: attestation.Address{Hash: [32]byte{7}}, Amount: big.NewInt(1), NoBounce: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Send(m); err != nil {
			t.Fatal(err)
		}
		sent = append(sent, m)
	}
	// one for an account that is not there: a block drops it
	lost, err := tlb.ToCell(&tlb.ExternalMessage{DstAddr: address.NewAddress(0, 0xff, make([]byte, 32)), Body: cell.BeginCell().EndCell()})
	if err != nil {
		t.Fatal(err)
	}
	pm, err := tvm.PrepareMessage(lost)
	if err != nil {
		t.Fatal(err)
	}
	c.pool, c.pooled[lost.HashKey()] = append(c.pool, &external{msg: pm, to: masterchain}), true
	if err := c.Mine(1); err != nil {
		t.Fatal(err)
	}
	if got := slices.Collect(maps.Keys(c.pooled)); len(c.pool) != 1 || len(got) != 1 || got[0] != sent[1].HashKey() {
		t.Errorf("%d wait, of %d known: want the second message alone", len(c.pool), len(got))
	}
}
