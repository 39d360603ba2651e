package devnet_test

import (
	"bytes"
	"testing"

	"github.com/xssnick/tonutils-go/tl"
	"github.com/xssnick/tonutils-go/ton"
	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/chain/devnet"
)

// TestLists asks for what is less often asked for, each answer as it arrives over
// the wire.
func TestLists(t *testing.T) {
	c := start(t, devnet.Options{BlockInterval: -1, DeferInternal: true, MaxTransactions: 2})
	for i := range byte(3) {
		if err := c.Faucet(t.Context(), addr(0x31+i), 5); err != nil {
			t.Fatal(err)
		}
	}
	ask := func(q tl.Serializable) tl.Serializable {
		t.Helper()
		r, err := c.Answer(t.Context(), q)
		if err != nil {
			t.Fatalf("%T: %v", q, err)
		}
		b, err := tl.Serialize(r, true)
		if err != nil {
			t.Fatalf("%T: %v", r, err)
		}
		var out tl.Serializable
		if _, err := tl.Parse(&out, b, true); err != nil {
			t.Fatalf("%T: %v", r, err)
		}
		return out
	}
	all, queues := 0, 0
	for n := int32(1); n <= int32(c.Head().ID.SeqNo); n++ {
		id := ask(ton.LookupBlock{Mode: 1, ID: &ton.BlockInfoShort{Workchain: 0, Shard: -1 << 63, Seqno: n}}).(ton.BlockHeader).ID
		// the ids and the transactions agree, and the proof holds both
		ids := ask(ton.ListBlockTransactions{ID: id, Mode: 7 | 1<<5, Count: 100, WantProof: &ton.True{}}).(ton.BlockTransactions)
		full := ask(ton.ListBlockTransactionsExt{ID: id, Mode: 1 << 5, Count: 100, WantProof: &ton.True{}}).(ton.BlockTransactionsExt)
		if len(full.Transactions) != len(ids.TransactionIds) || full.Incomplete {
			t.Fatalf("block %d: %d transactions, %d ids", n, len(full.Transactions), len(ids.TransactionIds))
		}
		for i, tx := range full.Transactions {
			if !bytes.Equal(tx.Hash(), ids.TransactionIds[i].Hash) {
				t.Errorf("block %d: transaction %d differs", n, i)
			}
		}
		proof, err := cell.FromBOC(full.Proof)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ton.CheckBlockProof(proof, id.RootHash); err != nil {
			t.Errorf("block %d: %v", n, err)
		}
		// one at a time gives the same
		var got [][]byte
		q := ton.ListBlockTransactionsExt{ID: id, Count: 1}
		for range full.Transactions {
			r := ask(q).(ton.BlockTransactionsExt)
			if len(r.Transactions) != 1 || r.Incomplete != (len(got)+1 < len(full.Transactions)) {
				t.Fatalf("block %d: page of %d, more: %v", n, len(r.Transactions), r.Incomplete)
			}
			got = append(got, r.Transactions[0].Hash())
			last := ids.TransactionIds[len(got)-1]
			q.Mode, q.After = 1<<7, &ton.TransactionID3{Account: last.Account, LT: last.LT}
		}
		for i, h := range got {
			if !bytes.Equal(h, ids.TransactionIds[i].Hash) {
				t.Errorf("block %d: page %d is another transaction", n, i)
			}
		}
		all += len(got)
		// the masterchain registers the block
		s := ask(ton.GetShardBlockProof{ID: id}).(ton.ShardBlockProof)
		if len(s.Links) != 1 || !s.Links[0].ID.Equals(id) || s.MasterchainID.Workchain != -1 {
			t.Fatalf("block %d: links %+v", n, s.Links)
		}
		if proof, err = cell.FromBOC(s.Links[0].Proof); err != nil {
			t.Fatal(err)
		}
		block, err := ton.CheckBlockProof(proof, s.MasterchainID.RootHash)
		if err != nil {
			t.Fatal(err)
		}
		shards, err := ton.LoadShardsFromHashes(block.Extra.Custom.ShardHashes, true)
		if err != nil || len(shards) != 1 || !shards[0].Equals(id) {
			t.Errorf("block %d: registered %v, err %v", n, shards, err)
		}
		queues += int(ask(ton.GetBlockOutMsgQueueSize{ID: id}).(ton.BlockOutMsgQueueSize).Size)
	}
	if all < 6 || queues == 0 {
		t.Errorf("%d transactions, %d queued messages: nothing much was asked for", all, queues)
	}
	sizes := ask(ton.GetOutMsgQueueSizes{}).(ton.OutMsgQueueSizes)
	if len(sizes.Shards) != 2 || !sizes.Shards[0].ID.Equals(c.Head().ID) {
		t.Errorf("queue sizes %+v", sizes)
	}
	one := ask(ton.GetOutMsgQueueSizes{Mode: 1, WC: 0, Shard: -1 << 63}).(ton.OutMsgQueueSizes)
	if len(one.Shards) != 1 || one.Shards[0].ID.Workchain != 0 {
		t.Errorf("queue sizes of the basechain %+v", one)
	}
	for name, q := range map[string]tl.Serializable{
		"a masterchain block's shard proof": ton.GetShardBlockProof{ID: c.Head().ID},
		"a proof of a queue's size":         ton.GetBlockOutMsgQueueSize{Mode: 1, ID: c.Head().ID, WantProof: &ton.True{}},
		"a transaction that is not there":   ton.ListBlockTransactionsExt{ID: c.Head().ID, Mode: 1 << 7, Count: 1, After: &ton.TransactionID3{Account: make([]byte, 32), LT: 1}},
	} {
		if r, err := c.Answer(t.Context(), q); err == nil {
			t.Errorf("%s: %+v", name, r)
		}
	}
}
