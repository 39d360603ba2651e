package devnet

import (
	"bytes"
	"testing"

	"github.com/xssnick/tonutils-go/tlb"
	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
)

// TestBlockRules demands what holds between blocks of a TON chain, beyond the
// layout of each: headers, references, times, states and registered shards fit
// together.
func TestBlockRules(t *testing.T) {
	for name, o := range map[string]Options{"same block": {}, "deferred": {DeferInternal: true, Validators: 2}} {
		t.Run(name, func(t *testing.T) {
			o.BlockInterval = -1
			c, err := Start(o)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if err := c.Faucet(t.Context(), attestation.Address{Hash: [32]byte{3}}, 5); err != nil {
				t.Fatal(err)
			}
			useWallet(t, c)
			for i := range 2 {
				if err := c.SetParam(-100, cell.BeginCell().MustStoreUInt(uint64(i), 8).EndCell()); err != nil {
					t.Fatal(err)
				}
				if err := c.Mine(3); err != nil {
					t.Fatal(err)
				}
			}
			for _, workchain := range []int32{masterchain, basechain} {
				lastKey := uint32(0)
				for n := uint32(1); n <= c.Head().ID.SeqNo; n++ {
					b, err := c.blockAt(workchain, n)
					if err != nil {
						t.Fatal(err)
					}
					var before *Block
					if n > 1 {
						if before, err = c.blockAt(workchain, n-1); err != nil {
							t.Fatal(err)
						}
					}
					checkRules(t, c, b, before, lastKey)
					if workchain == masterchain && b.Key {
						lastKey = n
					}
				}
			}
		})
	}
}

func checkRules(t *testing.T, c *Chain, b, before *Block, lastKey uint32) {
	t.Helper()
	var blk tlb.Block
	if err := tlb.Parse(&blk, b.Root); err != nil {
		t.Fatal(err)
	}
	h := blk.BlockInfo
	at := func(ok bool, rule string) {
		t.Helper()
		if !ok {
			t.Errorf("block %d of workchain %d: %s", b.ID.SeqNo, b.ID.Workchain, rule)
		}
	}
	master := b.ID.Workchain == masterchain
	at(h.Version == 0 && !h.AfterMerge && !h.AfterSplit && !h.BeforeSplit && !h.VertSeqnoIncr && h.VertSeqNo == 0, "a plain block")
	at(h.NotMaster == !master && h.Shard.WorkchainID == b.ID.Workchain && h.SeqNo == b.ID.SeqNo, "its own identifier")
	at(h.StartLt < h.EndLt && h.StartLt == b.StartLT && h.EndLt == b.EndLT, "logical time goes forward")
	at(blk.GlobalID == c.GlobalID(), "the chain's id")
	at(h.GenValidatorListHashShort == c.vals.hash, "the validators' hash")
	if master {
		at(h.PrevKeyBlockSeqno == lastKey, "the key block before")
	}
	update := b.Root.MustPeekRef(2).MustBeginParse()
	update.MustLoadUInt(8)
	oldState, newState := update.MustLoadSlice(256), update.MustLoadSlice(256)
	at(bytes.Equal(newState, b.State.Hash()), "the state update ends in the state")
	if before != nil {
		p := h.PrevRef.Prev1
		at(p.SeqNo+1 == h.SeqNo && bytes.Equal(p.RootHash, before.ID.RootHash) && bytes.Equal(p.FileHash, before.ID.FileHash) && p.EndLt == before.EndLT, "the block before")
		at(h.StartLt >= before.EndLT && h.GenUtime >= before.UTime, "after the block before")
		at(bytes.Equal(oldState, before.State.Hash()), "the state update starts at the state before")
	}
	var st tlb.ShardStateUnsplit
	if err := tlb.Parse(&st, b.State); err != nil {
		t.Fatal(err)
	}
	at(st.Seqno == h.SeqNo && st.GenUTime == h.GenUtime && st.GenLT == h.EndLt && st.GlobalID == blk.GlobalID, "the state is of the block")
	if !master {
		m, err := c.masterAt(h.MasterRef.SeqNo)
		if h.MasterRef.SeqNo == 0 {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		at(bytes.Equal(m.ID.RootHash, h.MasterRef.RootHash) && m.EndLT == h.MasterRef.EndLt && m.EndLT <= h.StartLt, "the masterchain block that it refers to")
		return
	}
	// the shard that it registers
	s := b.shard
	d := shardDescr(s, b.ID.SeqNo)
	var desc tlb.ShardDesc
	if err := tlb.Parse(&desc, d); err != nil {
		t.Fatal(err)
	}
	at(desc.SeqNo == s.ID.SeqNo && desc.StartLT == s.StartLT && desc.EndLT == s.EndLT && desc.GenUTime == s.UTime && desc.EndLT <= h.EndLt, "the shard block that it registers")
	fees := desc.Currencies.FeesCollected.Coins.Nano()
	at(fees.Cmp(s.fees) == 0, "the fees of the shard block")
}
