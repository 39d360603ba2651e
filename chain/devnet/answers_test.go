package devnet_test

import (
	"errors"
	"testing"
	"time"

	"github.com/xssnick/tonutils-go/tl"
	"github.com/xssnick/tonutils-go/tlb"
	"github.com/xssnick/tonutils-go/ton"

	"github.com/cocoon-go/cocoon/chain/devnet"
)

// steppedChain is a chain whose newest blocks are five seconds apart.
func steppedChain(t *testing.T) *devnet.Chain {
	t.Helper()
	clock := devnet.NewClock(time.Unix(1_900_000_000, 0))
	c := start(t, devnet.Options{BlockInterval: -1, Now: clock.Now})
	for range 6 {
		if err := clock.Advance(5 * time.Second); err != nil {
			t.Fatal(err)
		}
		if err := c.Faucet(testContext(t), addr(0x44), 1e9); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// ask sends one query over the wire with an unmodified client.
func ask(t *testing.T, c *devnet.Chain, q tl.Serializable) (tl.Serializable, error) {
	t.Helper()
	var resp tl.Serializable
	err := api(t, c, ton.ProofCheckPolicyUnsafe).Client().QueryLiteserver(testContext(t), q, &resp)
	if e, ok := resp.(ton.LSError); ok && err == nil {
		err = e
	}
	return resp, err
}

func header(t *testing.T, c *devnet.Chain, id *ton.BlockIDExt) tlb.BlockHeader {
	t.Helper()
	b, err := api(t, c, ton.ProofCheckPolicyUnsafe).GetBlockData(testContext(t), id)
	if err != nil {
		t.Fatal(err)
	}
	return b.BlockInfo
}

// TestLookupByTime finds blocks by number, logical time and Unix time.
func TestLookupByTime(t *testing.T) {
	c := steppedChain(t)
	head := c.Head().ID.SeqNo
	for _, w := range []int32{-1, 0} {
		find := func(mode uint32, seqno int32, lt uint64, utime uint32) (uint32, error) {
			t.Helper()
			r, err := ask(t, c, ton.LookupBlock{Mode: mode, ID: &ton.BlockInfoShort{Workchain: w, Shard: -1 << 63, Seqno: seqno}, LT: lt, UTime: utime})
			if err != nil {
				return 0, err
			}
			h := r.(ton.BlockHeader)
			if h.ID.Workchain != w {
				t.Errorf("a block of workchain %d, want %d", h.ID.Workchain, w)
			}
			return h.ID.SeqNo, nil
		}
		at := func(seqno uint32) *ton.BlockIDExt {
			r, err := ask(t, c, ton.LookupBlock{Mode: 1, ID: &ton.BlockInfoShort{Workchain: w, Shard: -1 << 63, Seqno: int32(seqno)}})
			if err != nil {
				t.Fatal(err)
			}
			return r.(ton.BlockHeader).ID
		}
		last := header(t, c, at(head))
		for _, n := range []uint32{1, 2, head - 2, head} {
			h := header(t, c, at(n))
			if h.SeqNo != n {
				t.Fatalf("workchain %d: block %d by its number is %d", w, n, h.SeqNo)
			}
			for what, q := range map[string]struct {
				lt    uint64
				utime uint32
				want  uint32
			}{
				"its first logical time": {lt: h.StartLt, want: n},
				"its last logical time":  {lt: h.EndLt, want: n},
				"one later":              {lt: h.EndLt + 1, want: n + 1},
			} {
				got, err := find(2, 0, q.lt, 0)
				if q.want > head {
					wantLSError(t, err, 651)
				} else if err != nil || got != q.want {
					t.Errorf("workchain %d, block %d, %s: block %d, err %v; want %d", w, n, what, got, err, q.want)
				}
			}
		}
		// the last blocks are five seconds apart
		for i := range uint32(4) {
			for d, want := range map[uint32]uint32{0: head - i, 1: head - i, 4: head - i} {
				if got, err := find(4, 0, 0, last.GenUtime-5*i-d); err != nil || got != want {
					t.Errorf("workchain %d, %d s before block %d: block %d, err %v", w, d, want, got, err)
				}
			}
		}
		if got, err := find(4, 0, 0, 1); err != nil || got != 1 {
			t.Errorf("workchain %d, long ago: block %d, err %v; want the first", w, got, err)
		}
		for what, f := range map[string]func() (uint32, error){
			"in the future":     func() (uint32, error) { return find(4, 0, 0, last.GenUtime+1) },
			"a number to come":  func() (uint32, error) { return find(1, int32(head+1), 0, 0) },
			"by nothing":        func() (uint32, error) { return find(0, int32(head), 0, 0) },
			"the zerostate":     func() (uint32, error) { return find(1, 0, 0, 0) },
			"a negative number": func() (uint32, error) { return find(1, -1, 0, 0) },
		} {
			n, err := f()
			if !wantLSError(t, err, 651) {
				t.Errorf("workchain %d, %s: block %d", w, what, n)
			}
		}
	}
	if _, err := ask(t, c, ton.LookupBlock{Mode: 1, ID: &ton.BlockInfoShort{Workchain: 5, Shard: -1 << 63, Seqno: 1}}); err == nil {
		t.Error("a block of workchain 5")
	}
}

func wantLSError(t *testing.T, err error, code int32) bool {
	t.Helper()
	var ls ton.LSError
	if !errors.As(err, &ls) || ls.Code != code {
		t.Errorf("err %v, want code %d", err, code)
		return false
	}
	return true
}

// TestShardInfo asks for the basechain's block that masterchain blocks register,
// and checks the proof.
func TestShardInfo(t *testing.T) {
	c := steppedChain(t)
	client := api(t, c, ton.ProofCheckPolicyUnsafe)
	head := c.Head().ID
	for _, n := range []uint32{1, head.SeqNo - 3, head.SeqNo} {
		mc, err := client.LookupBlock(testContext(t), -1, -1<<63, n)
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range []ton.GetShardInfo{
			{ID: mc, Workchain: 0, Shard: -1 << 63, Exact: true},
			{ID: mc, Workchain: 0, Shard: 0x1234567800000001}, // the shard that holds an account
		} {
			r, err := ask(t, c, q)
			if err != nil {
				t.Fatal(err)
			}
			info := r.(ton.ShardInfo)
			if !info.ID.Equals(mc) || info.ShardBlock.Workchain != 0 || info.ShardBlock.SeqNo != n {
				t.Errorf("block %d: shard block %v of %v", n, info.ShardBlock, info.ID)
			}
			if err := ton.CheckShardInMasterProofForAccount(mc, info.ShardProof, info.ShardBlock, tonAddr(addr(0x44))); err != nil {
				t.Errorf("block %d: proof: %v", n, err)
			}
			var d tlb.ShardDesc
			if err := tlb.LoadFromCell(&d, info.ShardDescription.MustBeginParse()); err != nil {
				t.Fatal(err)
			}
			h := header(t, c, info.ShardBlock)
			if d.SeqNo != n || d.RegMcSeqno != n || string(d.RootHash) != string(info.ShardBlock.RootHash) || d.EndLT != h.EndLt || d.GenUTime != h.GenUtime {
				t.Errorf("block %d: description %+v", n, d)
			}
		}
	}
	shard, err := client.LookupBlock(testContext(t), 0, -1<<63, head.SeqNo)
	if err != nil {
		t.Fatal(err)
	}
	unknown := head.Copy()
	unknown.RootHash[0] ^= 1
	for name, q := range map[string]ton.GetShardInfo{
		"a half that is not there": {ID: head, Workchain: 0, Shard: 1 << 62, Exact: true},
		"the masterchain":          {ID: head, Workchain: -1, Shard: -1 << 63, Exact: true},
		"another workchain":        {ID: head, Workchain: 1, Shard: -1 << 63},
		"of a basechain block":     {ID: shard, Workchain: 0, Shard: -1 << 63},
		"of an unknown block":      {ID: unknown, Workchain: 0, Shard: -1 << 63},
	} {
		if r, err := ask(t, c, q); err == nil {
			t.Errorf("%s: %v", name, r)
		}
	}
}
