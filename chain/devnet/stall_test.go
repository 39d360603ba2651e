package devnet

import (
	"math/big"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
)

// TestStallShard: the basechain keeps its time and takes nothing while it stalls;
// the block after it comes late. What is made keeps the rules of a chain, and is
// read again from disk.
func TestStallShard(t *testing.T) {
	clock := NewClock(time.Unix(1_800_000_000, 0))
	o := Options{BlockInterval: -1, Now: clock.Now, Dir: t.TempDir()}
	c, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	before := c.Head().UTime
	mine := func(wantTime uint32, wantTxs bool) {
		t.Helper()
		if err := c.Mine(1); err != nil {
			t.Fatal(err)
		}
		h := c.Head()
		if h.UTime != before+100 || h.shard.UTime != wantTime || len(h.shard.txs) > 0 != wantTxs {
			t.Errorf("block of time %d over one of %d with %d transactions", h.UTime, h.shard.UTime, len(h.shard.txs))
		}
	}
	if err := clock.Advance(100 * time.Second); err != nil {
		t.Fatal(err)
	}
	c.StallShard(true)
	g := &grant{msg: chain.Message{To: attestation.Address{Hash: [32]byte{3}}, Amount: big.NewInt(5), NoBounce: true}}
	c.faucet.mu.Lock()
	c.faucet.queue = append(c.faucet.queue, g)
	c.faucet.mu.Unlock()
	mine(before, false)
	mine(before, false)
	c.StallShard(false)
	mine(before, true)
	mine(before+100, false)
	head := c.Head()
	for n := uint32(1); n <= head.ID.SeqNo; n++ {
		for _, w := range []int32{masterchain, basechain} {
			b, err := c.blockAt(w, n)
			if err != nil {
				t.Fatal(err)
			}
			var prev *Block
			if n > 1 {
				if prev, err = c.blockAt(w, n-1); err != nil {
					t.Fatal(err)
				}
			}
			checkRules(t, c, b, prev, min(n-1, 1)) // block 1 is the key block
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if c, err = Start(o); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if again := c.Head(); !again.ID.Equals(head.ID) {
		t.Errorf("read again as %v, was %v", again.ID, head.ID)
	}
}
