package chain_test

import (
	"context"
	"slices"
	"testing"

	"github.com/xssnick/tonutils-go/tl"
	"github.com/xssnick/tonutils-go/ton"

	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/devnet"
)

// FuzzParseGlobalConfig looks for panics, and for configs that do not survive
// being renewed.
func FuzzParseGlobalConfig(f *testing.F) {
	c := start(f, devnet.Options{BlockInterval: -1, Liteservers: 2})
	f.Add(c.GlobalConfig())
	f.Add([]byte(`{"liteservers":[{"ip":-1,"port":1,"id":{"@type":"pub.ed25519","key":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}}],
		"validator":{"init_block":{"workchain":-1,"shard":9223372036854775808,"seqno":1,"root_hash":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","file_hash":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}}}`))
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		cfg, err := chain.ParseGlobalConfig(data)
		if err != nil {
			return
		}
		if len(cfg.Servers()) == 0 || cfg.Trusted().Seqno == 0 {
			t.Fatalf("accepted without servers or block: %q", data)
		}
		b := cfg.Trusted()
		b.Seqno, b.RootHash[0] = b.Seqno/2+1, b.RootHash[0]^1
		again, err := cfg.Renew(b)
		if err != nil {
			return // a file that says a thing twice can't be edited
		}
		renewed, err := chain.ParseGlobalConfig(again)
		if err != nil || renewed.Trusted() != b {
			t.Fatalf("%q, renewed: block %v, err %v", data, renewed.Trusted(), err)
		}
		n1, ok1 := cfg.Network()
		n2, ok2 := renewed.Network()
		if !slices.Equal(renewed.Servers(), cfg.Servers()) || n1 != n2 || ok1 != ok2 {
			t.Errorf("%q, renewed: other servers or another network", data)
		}
	})
}

// FuzzAnswer gives a client answers that no server has made. What is proved by
// one is proved by an honest one.
func FuzzAnswer(f *testing.F) {
	l := newLyingChain(f, devnet.Options{Validators: 3})
	at := chain.BlockID{}
	head := l.Chain.Head().ID
	at.Seqno, at.RootHash, at.FileHash = head.SeqNo, [32]byte(head.RootHash), [32]byte(head.FileHash)
	acc, err := dial(f, l.Chain).Account(testContext(f), l.faucet)
	if err != nil {
		f.Fatal(err)
	}
	id := ton.AccountID{Workchain: 0, ID: l.faucet.Hash[:]}
	for _, q := range []tl.Serializable{
		ton.GetBlockProof{Mode: 1, KnownBlock: head, TargetBlock: lookup(f, l, 77)},
		ton.GetAccountState{ID: head, Account: id},
		ton.GetTransactions{Limit: 3, AccID: &id, LT: int64(acc.LastLT), TxHash: acc.LastHash[:]},
		ton.GetConfigParams{BlockID: head, Params: []int32{8, 18, 19, 20, 21, 24, 25, 43}},
		ton.GetBlockHeader{ID: head},
	} {
		r, err := l.Answer(context.Background(), q)
		if err != nil {
			f.Fatal(err)
		}
		b, err := tl.Serialize(r, true)
		if err != nil {
			f.Fatal(err)
		}
		if _, isAccount := q.(ton.GetAccountState); !isAccount && !chain.JudgeAnswer(b, at, l.faucet, acc.LastLT, acc.LastHash) {
			f.Fatalf("the honest answer to %T proves nothing", q)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		// a change that leaves the proof as it is (how cells are serialised, what is
		// not read of an answer) is no lie: TestRandomLies compares what is believed
		_ = chain.JudgeAnswer(b, at, l.faucet, acc.LastLT, acc.LastHash)
	})
}

func lookup(t testing.TB, l *lyingChain, seqno int32) *ton.BlockIDExt {
	t.Helper()
	r, err := l.Answer(context.Background(), ton.LookupBlock{Mode: 1, ID: &ton.BlockInfoShort{Workchain: -1, Shard: -1 << 63, Seqno: seqno}})
	if err != nil {
		t.Fatal(err)
	}
	return r.(ton.BlockHeader).ID
}
