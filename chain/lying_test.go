package chain_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"
	"github.com/xssnick/tonutils-go/tl"
	"github.com/xssnick/tonutils-go/tlb"
	"github.com/xssnick/tonutils-go/ton"
	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/devnet"
)

// lyingChain is a chain that stands still, on a clock of its own, with two
// liteservers, key blocks, and an account that has transactions.
type lyingChain struct {
	*devnet.Chain
	clock  *devnet.Clock
	faucet attestation.Address
	half   *big.Int // balance that the faucet had in the middle
}

func newLyingChain(t testing.TB, o devnet.Options) *lyingChain {
	t.Helper()
	l := &lyingChain{clock: devnet.NewClock(time.Unix(1_800_000_000, 0))}
	o.BlockInterval, o.Now = -1, l.clock.Now
	// the same account id in both workchains
	o.Accounts = map[attestation.Address]uint64{{Workchain: -1, Hash: addr(0x51).Hash}: 7e9}
	l.Chain = start(t, o)
	l.faucet = testFaucet(t, l.Chain)
	for i := range 4 {
		if err := l.Faucet(testContext(t), addr(0x51), 1e9); err != nil {
			t.Fatal(err)
		}
		if err := l.clock.Advance(10 * time.Second); err != nil {
			t.Fatal(err)
		}
		if i == 1 {
			acc, err := dial(t, l.Chain).Account(testContext(t), l.faucet)
			if err != nil {
				t.Fatal(err)
			}
			l.half = acc.Balance
		}
		if i%2 == 1 { // a key block
			if err := l.SetParam(-100, cell.BeginCell().MustStoreUInt(uint64(i), 8).EndCell()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := l.Mine(3); err != nil {
		t.Fatal(err)
	}
	return l
}

func testFaucet(t testing.TB, c *devnet.Chain) attestation.Address {
	t.Helper()
	w, err := chain.NewWallet(c.FaucetWallet(), c.GlobalID())
	if err != nil {
		t.Fatal(err)
	}
	return w.Address()
}

// questions are everything that a client can be asked, as text to compare.
func (l *lyingChain) questions() map[string]func(context.Context, *chain.Client) (string, error) {
	account := func(a attestation.Address) func(context.Context, *chain.Client) (string, error) {
		return func(ctx context.Context, cl *chain.Client) (string, error) {
			acc, err := cl.Account(ctx, a)
			if err != nil {
				return "", err
			}
			return fmt.Sprint(acc.Block, acc.Exists, acc.Balance, acc.LastLT, acc.LastHash, acc.Active()), nil
		}
	}
	return map[string]func(context.Context, *chain.Client) (string, error){
		"head": func(ctx context.Context, cl *chain.Client) (string, error) {
			b, err := cl.Head(ctx)
			return fmt.Sprint(b), err
		},
		"block": func(ctx context.Context, cl *chain.Client) (string, error) {
			b, err := cl.Block(ctx, 77)
			return fmt.Sprint(b), err
		},
		"account":        account(l.faucet),
		"absent account": account(addr(0xee)),
		"old account": func(ctx context.Context, cl *chain.Client) (string, error) {
			first, err := l.middle(ctx, cl)
			if err != nil {
				return "", err
			}
			return fmt.Sprint(first.Block, first.Exists, first.Balance, first.LastLT, first.LastHash), nil
		},
		"masterchain account": account(attestation.Address{Workchain: -1, Hash: addr(0x51).Hash}),
		"chain id": func(ctx context.Context, cl *chain.Client) (string, error) {
			n, err := cl.ChainID(ctx)
			return fmt.Sprint(n), err
		},
		"config": func(ctx context.Context, cl *chain.Client) (string, error) {
			p, err := cl.Params(ctx, 20, -100)
			if err != nil {
				return "", err
			}
			return fmt.Sprintf("%x %x", p[20].Hash(), p[-100].Hash()), nil
		},
		"get-method": func(ctx context.Context, cl *chain.Client) (string, error) {
			acc, err := cl.Account(ctx, l.faucet)
			if err != nil {
				return "", err
			}
			r, err := acc.RunGetMethod("seqno")
			return fmt.Sprint(r), err
		},
		"transactions": func(ctx context.Context, cl *chain.Client) (string, error) {
			acc, err := cl.Account(ctx, l.faucet)
			if err != nil {
				return "", err
			}
			txs, err := cl.Transactions(ctx, acc, 3)
			var out []string
			for _, x := range txs {
				out = append(out, fmt.Sprintf("%d %x", x.LT, x.Hash))
			}
			return strings.Join(out, ","), err
		},
	}
}

// middle finds the state of the faucet in which it had half of its transactions.
func (l *lyingChain) middle(ctx context.Context, cl *chain.Client) (*chain.Account, error) {
	_, first, err := cl.FirstState(ctx, l.faucet, 100, func(a *chain.Account) (bool, error) { return a.Balance.Cmp(l.half) < 0, nil })
	return first, err
}

// flipCell returns c with one data bit changed.
func flipCell(c *cell.Cell, bit uint) *cell.Cell {
	n := c.BitsSize()
	d := c.MustBeginParse().MustLoadSlice(n)
	bit %= n
	d[bit/8] ^= 0x80 >> (bit % 8)
	b := cell.BeginCell().MustStoreSlice(d, n)
	for i := range int(c.RefsNum()) {
		b.MustStoreRef(c.MustPeekRef(i))
	}
	return b.EndCell()
}

// hidden prunes the last cell under c and writes 0 as the level of c: the hash
// of the serialisation stays that of the whole.
func hidden(c *cell.Cell) *cell.Cell {
	b := c.MustBeginParse()
	n := b.BitsLeft()
	out := cell.BeginCell().MustStoreSlice(b.MustLoadSlice(n), n)
	last := int(c.RefsNum()) - 1
	for i := range last {
		out.MustStoreRef(c.MustPeekRef(i))
	}
	r := c.MustPeekRef(last)
	pruned := cell.BeginCell().MustStoreUInt(1, 8).MustStoreUInt(1, 8).MustStoreSlice(r.Hash(), 256).MustStoreUInt(uint64(r.Depth()), 16)
	p, err := pruned.EndCellSpecial(true)
	if err != nil {
		panic(err)
	}
	boc := out.MustStoreRef(p).EndCell().ToBOCWithOptions(cell.BOCSerializeOptions{})
	// the root comes first: clear the level in its first descriptor byte
	refSize, offSize := int(boc[4]&7), int(boc[5])
	root := 6 + 3*refSize + offSize + refSize
	if boc[root]>>5 != 1 {
		panic("the root has no level")
	}
	boc[root] &= 0x1f
	lying, err := cell.FromBOC(boc)
	if err != nil {
		panic(err)
	}
	if lying.HashKey() != c.HashKey() {
		panic("the lie has another hash")
	}
	return lying
}

// withRef returns c with another reference i.
func withRef(c *cell.Cell, i int, r *cell.Cell) *cell.Cell {
	s := c.MustBeginParse()
	n := s.BitsLeft()
	b := cell.BeginCell().MustStoreSlice(s.MustLoadSlice(n), n)
	for j := range int(c.RefsNum()) {
		if j == i {
			b.MustStoreRef(r)
		} else {
			b.MustStoreRef(c.MustPeekRef(j))
		}
	}
	return b.EndCell()
}

// prune returns the pruned cell that stands for c, with an honest level.
func prune(c *cell.Cell) *cell.Cell {
	b := cell.BeginCell().MustStoreUInt(1, 8).MustStoreUInt(1, 8).MustStoreSlice(c.Hash(0), 256).MustStoreUInt(uint64(c.Depth(0)), 16)
	p, err := b.EndCellSpecial(true)
	if err != nil {
		panic(err)
	}
	return p
}

func flipped(b []byte, i int) []byte {
	out := bytes.Clone(b)
	out[i] ^= 1
	return out
}

// lies are forged answers. Each names the question that it spoils, and returns
// nil when the answer is not the one to forge.
func (l *lyingChain) lies() []struct {
	question, name string
	forge          func(q, honest tl.Serializable) tl.Serializable
} {
	other := func(q tl.Serializable) tl.Serializable {
		r, err := l.Answer(context.Background(), q)
		if err != nil {
			panic(err)
		}
		return r
	}
	old := func() *ton.BlockIDExt {
		r := other(ton.LookupBlock{Mode: 1, ID: &ton.BlockInfoShort{Workchain: -1, Shard: -1 << 63, Seqno: 99}})
		return r.(ton.BlockHeader).ID
	}()
	account := func(f func(q ton.GetAccountState, a *ton.AccountState)) func(q, honest tl.Serializable) tl.Serializable {
		return func(q, honest tl.Serializable) tl.Serializable {
			gq, ok := q.(ton.GetAccountState)
			if !ok {
				return nil
			}
			a := honest.(ton.AccountState)
			f(gq, &a)
			return a
		}
	}
	config := func(f func(q ton.GetConfigParams, a *ton.ConfigAll)) func(q, honest tl.Serializable) tl.Serializable {
		return func(q, honest tl.Serializable) tl.Serializable {
			gq, ok := q.(ton.GetConfigParams)
			if !ok {
				return nil
			}
			a := honest.(ton.ConfigAll)
			f(gq, &a)
			return a
		}
	}
	head := func(f func(b *ton.BlockIDExt)) func(q, honest tl.Serializable) tl.Serializable {
		return func(q, honest tl.Serializable) tl.Serializable {
			a, ok := honest.(ton.MasterchainInfo)
			if !ok {
				return nil
			}
			a.Last = a.Last.Copy()
			f(a.Last)
			return a
		}
	}
	// link changes a forward link of the proof of the head
	link := func(f func(*ton.BlockLinkForward, *ton.SignatureSetOrdinary)) func(q, honest tl.Serializable) tl.Serializable {
		return func(_, honest tl.Serializable) tl.Serializable {
			a, ok := honest.(ton.PartialBlockProof)
			if !ok {
				return nil
			}
			a.Steps = slices.Clone(a.Steps)
			for i, s := range a.Steps {
				fw, ok := s.(ton.BlockLinkForward)
				if !ok {
					continue
				}
				var set ton.SignatureSetOrdinary
				switch x := fw.SignatureSet.(type) {
				case ton.SignatureSet:
					set = ton.SignatureSetOrdinary(x)
				case ton.SignatureSetOrdinary:
					set = x
				default:
					panic(fmt.Sprintf("signatures of type %T", x))
				}
				set.Signatures = slices.Clone(set.Signatures)
				f(&fw, &set)
				fw.SignatureSet = set
				a.Steps[i] = fw
				break
			}
			return a
		}
	}
	back := func(f func(*ton.BlockLinkBackward)) func(q, honest tl.Serializable) tl.Serializable {
		return func(q, honest tl.Serializable) tl.Serializable {
			a, ok := honest.(ton.PartialBlockProof)
			if p, isProof := q.(ton.GetBlockProof); !ok || !isProof || p.TargetBlock.SeqNo != 77 {
				return nil
			}
			a.Steps = slices.Clone(a.Steps)
			b := a.Steps[0].(ton.BlockLinkBackward)
			f(&b)
			a.Steps[0] = b
			return a
		}
	}
	txs := func(f func(q ton.GetTransactions, a *ton.TransactionList)) func(q, honest tl.Serializable) tl.Serializable {
		return func(q, honest tl.Serializable) tl.Serializable {
			gq, ok := q.(ton.GetTransactions)
			if !ok {
				return nil
			}
			a := honest.(ton.TransactionList)
			f(gq, &a)
			return a
		}
	}
	roots := func(a *ton.TransactionList, f func([]*cell.Cell) []*cell.Cell) {
		r, err := cell.FromBOCMultiRoot(a.Transactions)
		if err != nil {
			panic(err)
		}
		a.Transactions = cell.ToBOCWithOptions(f(r), cell.BOCSerializeOptions{})
	}
	return []struct {
		question, name string
		forge          func(q, honest tl.Serializable) tl.Serializable
	}{
		{"account", "a bit of the state", account(func(_ ton.GetAccountState, a *ton.AccountState) { a.State = flipCell(a.State, 400) })},
		{"get-method", "a bit of the contract's data", account(func(_ ton.GetAccountState, a *ton.AccountState) {
			refs := []*cell.Cell{}
			for i := range int(a.State.RefsNum()) {
				refs = append(refs, a.State.MustPeekRef(i))
			}
			b := a.State.MustBeginParse()
			n := b.BitsLeft()
			c := cell.BeginCell().MustStoreSlice(b.MustLoadSlice(n), n)
			for i, r := range refs {
				if i == len(refs)-1 {
					r = flipCell(r, 30)
				}
				c.MustStoreRef(r)
			}
			a.State = c.EndCell()
		})},
		{"account", "absent", account(func(_ ton.GetAccountState, a *ton.AccountState) { a.State = nil })},
		{"account", "absent, with the proof of another's absence", account(func(q ton.GetAccountState, a *ton.AccountState) {
			q.Account.ID = bytes.Repeat([]byte{0xee}, 32)
			*a = other(q).(ton.AccountState)
		})},
		{"account", "another account", account(func(q ton.GetAccountState, a *ton.AccountState) {
			q.Account.ID = bytes.Repeat([]byte{0x51}, 32)
			*a = other(q).(ton.AccountState)
		})},
		{"account", "its state long ago", account(func(q ton.GetAccountState, a *ton.AccountState) {
			id := a.ID
			q.ID = old
			*a = other(q).(ton.AccountState)
			a.ID = id
		})},
		{"account", "its state long ago, said so", account(func(q ton.GetAccountState, a *ton.AccountState) {
			q.ID = old
			*a = other(q).(ton.AccountState)
		})},
		{"account", "the state in the shard long ago", account(func(q ton.GetAccountState, a *ton.AccountState) {
			q.ID = old
			o := other(q).(ton.AccountState)
			a.Shard, a.Proof, a.State = o.Shard, o.Proof, o.State
		})},
		{"account", "no proof", account(func(_ ton.GetAccountState, a *ton.AccountState) { a.Proof = nil })},
		{"account", "the roots of the proof swapped", account(func(_ ton.GetAccountState, a *ton.AccountState) {
			a.Proof = []*cell.Cell{a.Proof[1], a.Proof[0]}
		})},
		{"absent account", "it exists", account(func(q ton.GetAccountState, a *ton.AccountState) {
			q.Account.ID = l.faucet.Hash[:]
			a.State = other(q).(ton.AccountState).State
		})},
		{"absent account", "it exists, with the proof of another", account(func(q ton.GetAccountState, a *ton.AccountState) {
			q.Account.ID = l.faucet.Hash[:]
			*a = other(q).(ton.AccountState)
		})},
		{"account", "absence that the proof does not reach", account(func(q ton.GetAccountState, a *ton.AccountState) {
			q.Account.ID = bytes.Repeat([]byte{0x51}, 32)
			*a = other(q).(ton.AccountState)
			a.State = nil
		})},
		{"account", "a state that is whole only by its level", account(func(_ ton.GetAccountState, a *ton.AccountState) { a.State = hidden(a.State) })},
		{"account", "another shard block", account(func(_ ton.GetAccountState, a *ton.AccountState) {
			a.Shard = a.Shard.Copy()
			a.Shard.RootHash[3] ^= 1
		})},
		{"account", "another file hash of the shard block", account(func(_ ton.GetAccountState, a *ton.AccountState) {
			a.Shard = a.Shard.Copy()
			a.Shard.FileHash[3] ^= 1
		})},
		{"account", "another number of the shard block", account(func(_ ton.GetAccountState, a *ton.AccountState) {
			a.Shard = a.Shard.Copy()
			a.Shard.SeqNo++
		})},
		{"account", "a shard of another workchain", account(func(_ ton.GetAccountState, a *ton.AccountState) {
			a.Shard = a.Shard.Copy()
			a.Shard.Workchain = -1
		})},
		{"account", "the half of the shard that holds it", account(func(_ ton.GetAccountState, a *ton.AccountState) {
			a.Shard = a.Shard.Copy()
			a.Shard.Shard = half(l.faucet)
		})},
		{"account", "the half of the shard that does not hold it", account(func(_ ton.GetAccountState, a *ton.AccountState) {
			a.Shard = a.Shard.Copy()
			a.Shard.Shard = -half(l.faucet)
		})},
		{"account", "the header of an older shard block", account(func(q ton.GetAccountState, a *ton.AccountState) {
			q.ID = old
			a.Proof = []*cell.Cell{other(q).(ton.AccountState).Proof[0], a.Proof[1]}
		})},
		{"account", "the state of an older shard block", account(func(q ton.GetAccountState, a *ton.AccountState) {
			q.ID = old
			o := other(q).(ton.AccountState)
			a.Proof, a.State = []*cell.Cell{a.Proof[0], o.Proof[1]}, o.State
		})},
		{"account", "the masterchain's state as the shard's", account(func(q ton.GetAccountState, a *ton.AccountState) { a.Proof = a.ShardProof })},
		{"account", "a state with a pruned part", account(func(_ ton.GetAccountState, a *ton.AccountState) {
			a.State = withRef(a.State, 0, prune(a.State.MustPeekRef(0)))
		})},
		{"get-method", "other code", account(func(q ton.GetAccountState, a *ton.AccountState) {
			a.State = withRef(a.State, 0, cell.BeginCell().MustStoreUInt(0xff00, 16).EndCell())
		})},
		{"masterchain account", "absent", account(func(_ ton.GetAccountState, a *ton.AccountState) { a.State = nil })},
		{"masterchain account", "the basechain's account of that id", account(func(q ton.GetAccountState, a *ton.AccountState) {
			q.Account.Workchain = 0
			*a = other(q).(ton.AccountState)
		})},
		{"masterchain account", "the state of the basechain's account of that id", account(func(q ton.GetAccountState, a *ton.AccountState) {
			q.Account.Workchain = 0
			a.State = other(q).(ton.AccountState).State
		})},
		{"masterchain account", "its state long ago", account(func(q ton.GetAccountState, a *ton.AccountState) {
			id := a.ID
			q.ID = old
			*a = other(q).(ton.AccountState)
			a.ID = id
		})},
		{"account", "no shard proof", account(func(_ ton.GetAccountState, a *ton.AccountState) { a.ShardProof = nil })},
		{"account", "the shard proof of another block", account(func(q ton.GetAccountState, a *ton.AccountState) {
			q.ID = old
			a.ShardProof = other(q).(ton.AccountState).ShardProof
		})},
		{"account", "a configuration long ago", config(func(q ton.GetConfigParams, a *ton.ConfigAll) {
			q.BlockID = old
			*a = other(q).(ton.ConfigAll)
		})},
		{"chain id", "a configuration long ago", config(func(q ton.GetConfigParams, a *ton.ConfigAll) {
			q.BlockID = old
			*a = other(q).(ton.ConfigAll)
		})},
		{"config", "a parameter left out", config(func(q ton.GetConfigParams, a *ton.ConfigAll) {
			q.Params = []int32{8, 19, 20}
			*a = other(q).(ton.ConfigAll)
		})},
		{"config", "an old value", config(func(q ton.GetConfigParams, a *ton.ConfigAll) {
			h := a.StateProof
			q.BlockID = old
			*a = other(q).(ton.ConfigAll)
			a.StateProof = h
		})},
		{"config", "the header of another block", config(func(q ton.GetConfigParams, a *ton.ConfigAll) {
			q.BlockID = old
			a.StateProof = other(q).(ton.ConfigAll).StateProof
		})},
		{"config", "that of a key block, from the key block", config(func(q ton.GetConfigParams, a *ton.ConfigAll) {
			k := other(ton.GetConfigParams{Mode: 0x8000, BlockID: old, Params: q.Params}).(ton.ConfigAll)
			a.StateProof, a.ConfigProof = other(ton.GetBlockHeader{ID: k.ID}).(ton.BlockHeader).HeaderProof, k.ConfigProof
		})},
		{"config", "that of an older key block", config(func(q ton.GetConfigParams, a *ton.ConfigAll) {
			q.BlockID = other(ton.GetConfigAll{Mode: 0x8000, BlockID: old}).(ton.ConfigAll).ID
			*a = other(q).(ton.ConfigAll)
		})},
		{"chain id", "no header", config(func(_ ton.GetConfigParams, a *ton.ConfigAll) { a.StateProof = nil })},
		{"config", "no proof", config(func(_ ton.GetConfigParams, a *ton.ConfigAll) { a.ConfigProof = nil })},
		{"head", "another root hash", head(func(b *ton.BlockIDExt) { b.RootHash[0] ^= 1 })},
		{"head", "another file hash", head(func(b *ton.BlockIDExt) { b.FileHash[0] ^= 1 })},
		{"head", "another number", head(func(b *ton.BlockIDExt) { b.SeqNo++ })},
		{"head", "a basechain block", head(func(b *ton.BlockIDExt) { b.Workchain = 0 })},
		{"head", "no hash", head(func(b *ton.BlockIDExt) { b.RootHash = nil })},
		{"head", "no signature", link(func(_ *ton.BlockLinkForward, s *ton.SignatureSetOrdinary) { s.Signatures = nil })},
		{"head", "a bad signature", link(func(_ *ton.BlockLinkForward, s *ton.SignatureSetOrdinary) {
			s.Signatures[0].Signature = flipped(s.Signatures[0].Signature, 5)
		})},
		{"head", "signatures of two thirds and no more", link(func(_ *ton.BlockLinkForward, s *ton.SignatureSetOrdinary) {
			s.Signatures = s.Signatures[:2]
		})},
		{"head", "one signature three times", link(func(_ *ton.BlockLinkForward, s *ton.SignatureSetOrdinary) {
			s.Signatures[1], s.Signatures[2] = s.Signatures[0], s.Signatures[0]
		})},
		{"head", "a signature of a stranger", link(func(_ *ton.BlockLinkForward, s *ton.SignatureSetOrdinary) {
			s.Signatures[0].NodeIDShort = flipped(s.Signatures[0].NodeIDShort, 0)
		})},
		{"head", "another validator set", link(func(_ *ton.BlockLinkForward, s *ton.SignatureSetOrdinary) { s.ValidatorSetHash++ })},
		{"head", "another session", link(func(_ *ton.BlockLinkForward, s *ton.SignatureSetOrdinary) { s.CatchainSeqno++ })},
		{"head", "signatures of another block", link(func(f *ton.BlockLinkForward, s *ton.SignatureSetOrdinary) {
			before := other(ton.LookupBlock{Mode: 1, ID: &ton.BlockInfoShort{Workchain: -1, Shard: -1 << 63, Seqno: int32(f.To.SeqNo - 1)}}).(ton.BlockHeader).ID
			p := other(ton.GetBlockProof{Mode: 1, KnownBlock: f.From, TargetBlock: before}).(ton.PartialBlockProof)
			s.Signatures = p.Steps[0].(ton.BlockLinkForward).SignatureSet.(ton.SignatureSetOrdinary).Signatures
		})},
		{"head", "signatures as of the other consensus", func(q, honest tl.Serializable) tl.Serializable {
			a, ok := honest.(ton.PartialBlockProof)
			if !ok {
				return nil
			}
			a.Steps = slices.Clone(a.Steps)
			for i, step := range a.Steps {
				if f, ok := step.(ton.BlockLinkForward); ok {
					set := f.SignatureSet.(ton.SignatureSetOrdinary)
					f.SignatureSet = ton.SignatureSetSimplex{
						CCSeqno: set.CatchainSeqno, ValidatorSetHash: set.ValidatorSetHash, Signatures: set.Signatures,
						SessionID: make([]byte, 32), Candidate: slices.Concat(f.To.RootHash, f.To.FileHash),
					}
					a.Steps[i] = f
				}
			}
			return a
		}},
		{"head", "a signature twice, and one of a stranger's", link(func(_ *ton.BlockLinkForward, s *ton.SignatureSetOrdinary) {
			s.Signatures[2] = ton.Signature{NodeIDShort: s.Signatures[1].NodeIDShort, Signature: s.Signatures[0].Signature}
		})},
		{"head", "a backward link in place of a forward one", func(q, honest tl.Serializable) tl.Serializable {
			a, ok := honest.(ton.PartialBlockProof)
			if !ok {
				return nil
			}
			p := q.(ton.GetBlockProof)
			back := other(ton.GetBlockProof{Mode: 1, KnownBlock: p.TargetBlock, TargetBlock: old}).(ton.PartialBlockProof).Steps[0].(ton.BlockLinkBackward)
			back.From, back.To = p.KnownBlock, p.TargetBlock
			a.Steps = []any{back}
			return a
		}},
		{"head", "a link that is no key block", link(func(f *ton.BlockLinkForward, _ *ton.SignatureSetOrdinary) { f.ToKeyBlock = !f.ToKeyBlock })},
		{"head", "a link to another block", link(func(f *ton.BlockLinkForward, _ *ton.SignatureSetOrdinary) { f.To = old })},
		{"head", "a link from another block", link(func(f *ton.BlockLinkForward, _ *ton.SignatureSetOrdinary) { f.From = old })},
		{"head", "the header of the source as that of the target", link(func(f *ton.BlockLinkForward, _ *ton.SignatureSetOrdinary) { f.DestProof = f.ConfigProof })},
		{"head", "no configuration", link(func(f *ton.BlockLinkForward, _ *ton.SignatureSetOrdinary) {
			f.ConfigProof = other(ton.GetBlockHeader{ID: f.From}).(ton.BlockHeader).HeaderProof
		})},
		{"head", "no link", func(_, honest tl.Serializable) tl.Serializable {
			a, ok := honest.(ton.PartialBlockProof)
			if !ok {
				return nil
			}
			a.Steps = nil
			return a
		}},
		{"block", "another block", func(q, honest tl.Serializable) tl.Serializable {
			if _, ok := q.(ton.LookupBlock); !ok {
				return nil
			}
			return other(ton.LookupBlock{Mode: 1, ID: &ton.BlockInfoShort{Workchain: -1, Shard: -1 << 63, Seqno: 78}})
		}},
		{"block", "another root hash", func(q, honest tl.Serializable) tl.Serializable {
			a, ok := honest.(ton.BlockHeader)
			if _, isLookup := q.(ton.LookupBlock); !ok || !isLookup {
				return nil
			}
			a.ID = a.ID.Copy()
			a.ID.RootHash[0] ^= 1
			return a
		}},
		{"block", "another file hash", func(q, honest tl.Serializable) tl.Serializable {
			a, ok := honest.(ton.BlockHeader)
			if _, isLookup := q.(ton.LookupBlock); !ok || !isLookup {
				return nil
			}
			a.ID = a.ID.Copy()
			a.ID.FileHash[0] ^= 1
			return a
		}},
		{"block", "a link to another file hash", back(func(b *ton.BlockLinkBackward) {
			b.To = b.To.Copy()
			b.To.FileHash[0] ^= 1
		})},
		{"block", "a link that is a key block", back(func(b *ton.BlockLinkBackward) { b.ToKeyBlock = !b.ToKeyBlock })},
		{"block", "old blocks of another state", back(func(b *ton.BlockLinkBackward) {
			q := ton.GetBlockProof{Mode: 1, KnownBlock: old, TargetBlock: b.To}
			b.StateProof = other(q).(ton.PartialBlockProof).Steps[0].(ton.BlockLinkBackward).StateProof
		})},
		{"transactions", "none", txs(func(_ ton.GetTransactions, a *ton.TransactionList) { *a = ton.TransactionList{} })},
		{"transactions", "the newest left out", txs(func(_ ton.GetTransactions, a *ton.TransactionList) {
			roots(a, func(r []*cell.Cell) []*cell.Cell { return r[1:] })
		})},
		{"transactions", "one left out", txs(func(_ ton.GetTransactions, a *ton.TransactionList) {
			roots(a, func(r []*cell.Cell) []*cell.Cell { return append(r[:1:1], r[2:]...) })
		})},
		{"transactions", "one twice", txs(func(_ ton.GetTransactions, a *ton.TransactionList) {
			roots(a, func(r []*cell.Cell) []*cell.Cell { return []*cell.Cell{r[0], r[0]} })
		})},
		{"transactions", "a bit of one", txs(func(_ ton.GetTransactions, a *ton.TransactionList) {
			roots(a, func(r []*cell.Cell) []*cell.Cell { r[1] = flipCell(r[1], 350); return r })
		})},
		{"transactions", "more than asked for", txs(func(q ton.GetTransactions, a *ton.TransactionList) {
			q.Limit += 1
			*a = other(q).(ton.TransactionList)
		})},
		{"transactions", "in another order", txs(func(_ ton.GetTransactions, a *ton.TransactionList) {
			roots(a, func(r []*cell.Cell) []*cell.Cell { slices.Reverse(r); return r })
		})},
		{"transactions", "those of another account", txs(func(q ton.GetTransactions, a *ton.TransactionList) {
			to := ton.AccountID{Workchain: 0, ID: bytes.Repeat([]byte{0x51}, 32)}
			var sa tlb.ShardAccount
			st := other(ton.GetAccountState{ID: l.Chain.Head().ID, Account: to}).(ton.AccountState)
			if err := accountIn(st, to.ID, &sa); err != nil {
				panic(err)
			}
			*a = other(ton.GetTransactions{Limit: q.Limit, AccID: &to, LT: int64(sa.LastTransLT), TxHash: sa.LastTransHash}).(ton.TransactionList)
		})},
		{"transactions", "one with a pruned part", txs(func(_ ton.GetTransactions, a *ton.TransactionList) {
			roots(a, func(r []*cell.Cell) []*cell.Cell { r[0] = withRef(r[0], 0, prune(r[0].MustPeekRef(0))); return r })
		})},
		{"transactions", "one that is whole only by its level", txs(func(_ ton.GetTransactions, a *ton.TransactionList) {
			roots(a, func(r []*cell.Cell) []*cell.Cell { r[0] = hidden(r[0]); return r })
		})},
		{"transactions", "the cells cut short", txs(func(_ ton.GetTransactions, a *ton.TransactionList) {
			a.Transactions = a.Transactions[:len(a.Transactions)-9]
		})},
		{"transactions", "no cells", txs(func(_ ton.GetTransactions, a *ton.TransactionList) { a.Transactions = []byte("no cells") })},
	}
}

// half returns the half of the full shard that holds an account.
func half(a attestation.Address) int64 {
	if a.Hash[0]&0x80 == 0 {
		return 0x4000000000000000
	}
	return -0x4000000000000000
}

// accountIn reads the record of an account from the proof of its state.
func accountIn(st ton.AccountState, id []byte, sa *tlb.ShardAccount) error {
	state, err := ton.CheckBlockShardStateProof(st.Proof, st.Shard.RootHash)
	if err != nil {
		return err
	}
	v, _, err := state.Accounts.ShardAccounts.LoadValueExtra(cell.BeginCell().MustStoreSlice(id, 256).EndCell())
	if err != nil {
		return err
	}
	return tlb.LoadFromCell(sa, v)
}

// TestLies forges one answer at a time. A client that has only the liar must
// fail, and blame it; one that has another server must get the truth.
func TestLies(t *testing.T) {
	t.Parallel()
	l := newLyingChain(t, devnet.Options{Liteservers: 2, Validators: 3})
	both := config(t, l.Chain)
	onlyLiar := only(t, l.Chain, 0)
	liar := l.Liteservers()[0]
	ctx := testContext(t)
	questions := l.questions()
	truth := map[string]string{}
	honest := dial(t, l.Chain)
	for name, ask := range questions {
		var err error
		if truth[name], err = ask(ctx, honest); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	open := func(cfg *chain.GlobalConfig) *chain.Client {
		cl, err := chain.Dial(ctx, cfg, chain.WithClock(l.clock.Now), chain.WithTimeout(noAnswer))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cl.Close() })
		return cl
	}
	for _, lie := range l.lies() {
		t.Run(lie.question+"/"+lie.name, func(t *testing.T) {
			var told atomic.Int64
			fault := devnet.Fault{Forge: func(q, honest tl.Serializable) tl.Serializable {
				if f := lie.forge(q, honest); f != nil {
					told.Add(1)
					return f
				}
				return honest
			}}
			alone, two := open(onlyLiar), open(both)
			liar.Inject(fault)
			defer liar.Inject(devnet.Fault{})
			got, err := questions[lie.question](ctx, alone)
			var unknown *attestation.UnknownError
			var lying *chain.LyingServerError
			if err == nil {
				t.Fatalf("believed: %s", got)
			}
			if told.Load() == 0 {
				t.Fatal("the lie was not told")
			}
			if !errors.As(err, &unknown) {
				t.Errorf("error is not \"could not find out\": %v", err)
			}
			// a block that is not there is an honest answer of a server that
			// looks for it: the liar talked itself into a corner
			if !errors.As(err, &lying) && lie.question != "head" && lie.question != "block" {
				t.Errorf("nobody is blamed: %v", err)
			}
			if got, err := questions[lie.question](ctx, two); err != nil || got != truth[lie.question] {
				t.Errorf("with an honest server beside: %s, err %v; want %s", got, err, truth[lie.question])
			}
		})
	}
}

// only returns the config of a chain with one of its liteservers.
func only(t testing.TB, c *devnet.Chain, i int) *chain.GlobalConfig {
	t.Helper()
	raw := c.GlobalConfig()
	one, err := sjson.SetRawBytes(raw, "liteservers", []byte("["+gjson.GetBytes(raw, fmt.Sprintf("liteservers.%d", i)).Raw+"]"))
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := chain.ParseGlobalConfig(one)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// TestRandomLies flips single bits of what a server sends. The client fails or
// gives the true answer.
func TestRandomLies(t *testing.T) {
	t.Parallel()
	n := 150
	if os.Getenv("COCOON_LONG") != "" {
		n = 5000
	}
	l := newLyingChain(t, devnet.Options{Validators: 3})
	cfg := config(t, l.Chain)
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(n)*time.Second)
	defer cancel()
	ls := l.Liteservers()[0]
	questions := l.questions()
	names := []string{}
	truth := map[string]string{}
	honest := dial(t, l.Chain)
	for name, ask := range questions {
		var err error
		if truth[name], err = ask(ctx, honest); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	slices.Sort(names)
	rnd := rand.New(rand.NewPCG(1, 2))
	refused := 0
	for i := range n {
		name := names[i%len(names)]
		skip, bit := int64(rnd.IntN(4)), rnd.Uint64()
		var answers atomic.Int64
		cl, err := chain.Dial(ctx, cfg, chain.WithClock(l.clock.Now), chain.WithTimeout(noAnswer))
		if err != nil {
			t.Fatal(err)
		}
		ls.Inject(devnet.Fault{Forge: func(_, honest tl.Serializable) tl.Serializable {
			if answers.Add(1) != skip+1 {
				return honest
			}
			b, err := tl.Serialize(honest, true)
			if err != nil {
				return honest
			}
			p := bit % uint64(8*len(b))
			b[p/8] ^= 1 << (p % 8)
			return tl.Raw(b)
		}})
		got, err := questions[name](ctx, cl)
		ls.Inject(devnet.Fault{})
		cl.Close()
		switch {
		case err != nil:
			refused++
		case got != truth[name]:
			t.Errorf("%s, answer %d, bit %d: believed %s, true is %s", name, skip, bit, got, truth[name])
		}
	}
	if refused < n/3 {
		t.Errorf("%d of %d refused: do the flips reach the client?", refused, n)
	}
}

// TestNoRemoteMethods reads everything and looks at the queries: a liteserver is
// never asked to execute a get-method.
func TestNoRemoteMethods(t *testing.T) {
	l := newLyingChain(t, devnet.Options{})
	var asked atomic.Int64
	l.Liteservers()[0].Inject(devnet.Fault{Forge: func(q, honest tl.Serializable) tl.Serializable {
		if _, ok := q.(ton.RunSmcMethod); ok {
			asked.Add(1)
		}
		return honest
	}})
	cl := dial(t, l.Chain)
	for name, ask := range l.questions() {
		if _, err := ask(testContext(t), cl); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := asked.Load(); n > 0 {
		t.Errorf("%d get-methods were executed by the liteserver", n)
	}
}

// TestOldHead lets a server show the chain as it was an hour ago.
func TestOldHead(t *testing.T) {
	// no new key block in that hour: the old head is not before the trusted block
	l := newLyingChain(t, devnet.Options{Liteservers: 2, KeyInterval: 24 * time.Hour})
	ctx := testContext(t)
	old := l.Chain.Head().ID.SeqNo
	if err := l.clock.Advance(time.Hour); err != nil {
		t.Fatal(err)
	}
	if err := l.Mine(2); err != nil {
		t.Fatal(err)
	}
	l.Liteservers()[0].Inject(devnet.Fault{Head: old})
	both := dial(t, l.Chain)
	if b, err := both.Head(ctx); err != nil || b.Seqno != l.Chain.Head().ID.SeqNo {
		t.Errorf("head %v, err %v", b, err)
	}
	if key := config(t, l.Chain).Trusted().Seqno; key > old {
		t.Fatalf("the old head %d is before the trusted block %d", old, key)
	}
	var unknown *attestation.UnknownError
	alone, err := chain.Dial(ctx, only(t, l.Chain, 0), chain.WithClock(l.clock.Now))
	if err != nil {
		t.Fatal(err)
	}
	defer alone.Close()
	if b, err := alone.Head(ctx); !errors.As(err, &unknown) || !strings.Contains(err.Error(), "at most 120 s") {
		t.Errorf("hour-old head: %v, err %v", b, err)
	}
	if a, err := alone.Account(ctx, l.faucet); !errors.As(err, &unknown) {
		t.Errorf("account at an hour-old head: %v, err %v", a != nil, err)
	}
	// the clock of this machine is an hour slow
	slow, err := chain.Dial(ctx, only(t, l.Chain, 1), chain.WithClock(func() time.Time { return l.clock.Now().Add(-time.Hour) }))
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	if b, err := slow.Head(ctx); !errors.As(err, &unknown) {
		t.Errorf("head of the future: %v, err %v", b, err)
	}
	// heads do not go back, even when the older one is young enough
	if err := l.Mine(3); err != nil {
		t.Fatal(err)
	}
	l.Liteservers()[0].Inject(devnet.Fault{})
	forth, err := chain.Dial(ctx, only(t, l.Chain, 0), chain.WithClock(l.clock.Now))
	if err != nil {
		t.Fatal(err)
	}
	defer forth.Close()
	want, err := forth.Head(ctx)
	if err != nil {
		t.Fatal(err)
	}
	l.Liteservers()[0].Inject(devnet.Fault{Head: want.Seqno - 2})
	if b, err := forth.Head(ctx); err != nil || b != want {
		t.Errorf("head went from %v to %v, err %v", want, b, err)
	}
	// an old trusted block
	if err := l.clock.Advance(31 * 24 * time.Hour); err != nil {
		t.Fatal(err)
	}
	var refused *attestation.RefusedError
	if _, err := chain.Dial(ctx, only(t, l.Chain, 1), chain.WithClock(l.clock.Now)); !errors.As(err, &refused) {
		t.Errorf("a month-old trusted block: %v", err)
	}
	trusting, err := chain.Dial(ctx, only(t, l.Chain, 1), chain.WithClock(l.clock.Now), chain.WithOldTrustUnsafe())
	if err != nil {
		t.Fatalf("a month-old trusted block, accepted: %v", err)
	}
	trusting.Close()
}

// TestFork gives a client two servers whose chains were signed by the same
// validators and differ.
func TestFork(t *testing.T) {
	a, b := newLyingChain(t, devnet.Options{}), newLyingChain(t, devnet.Options{})
	if !bytes.Equal(a.Chain.Head().ID.RootHash, b.Chain.Head().ID.RootHash) {
		t.Fatal("two chains of one seed and clock differ from the start")
	}
	raw := a.GlobalConfig()
	raw, err := sjson.SetRawBytes(raw, "liteservers.1", []byte(gjson.GetBytes(b.GlobalConfig(), "liteservers.0").Raw))
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := chain.ParseGlobalConfig(raw)
	if err != nil {
		t.Fatal(err)
	}
	ctx := testContext(t)
	open := func() *chain.Client {
		cl, err := chain.Dial(ctx, cfg, chain.WithClock(a.clock.Now))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cl.Close() })
		return cl
	}
	if _, err := open().Head(ctx); err != nil {
		t.Fatalf("equal chains: %v", err)
	}
	if err := b.Mine(2); err != nil {
		t.Fatal(err)
	}
	// one is behind: no fork
	if h, err := open().Head(ctx); err != nil || h.Seqno != b.Chain.Head().ID.SeqNo {
		t.Errorf("a server behind: head %v, err %v", h, err)
	}
	check := func(what string) {
		t.Helper()
		_, err := open().Head(ctx)
		var disagrees *attestation.ChainError
		var fork *chain.ForkError
		if !errors.As(err, &disagrees) || !errors.As(err, &fork) {
			t.Errorf("%s: %v", what, err)
			return
		}
		if fork.Blocks[0] == fork.Blocks[1] || fork.Servers[0] == fork.Servers[1] {
			t.Errorf("%s: %v", what, fork)
		}
	}
	if err := a.Faucet(ctx, addr(1), 5); err != nil {
		t.Fatal(err)
	}
	check("the first server is behind, on another branch")
	if err := a.Mine(4); err != nil {
		t.Fatal(err)
	}
	check("the second server is behind, on another branch")
	if err := b.Mine(int(a.Chain.Head().ID.SeqNo - b.Chain.Head().ID.SeqNo)); err != nil {
		t.Fatal(err)
	}
	check("equal heights")
}

// TestOtherChain shows a client blocks of another chain whose validators have the
// same keys: their signatures are good, and prove nothing about this chain.
func TestOtherChain(t *testing.T) {
	o := devnet.Options{Validators: 3}
	ours := newLyingChain(t, o)
	o.GlobalID = devnet.DefaultGlobalID - 1
	theirs := newLyingChain(t, o)
	ask := func(l *lyingChain, q tl.Serializable) tl.Serializable {
		r, err := l.Answer(context.Background(), q)
		if err != nil {
			panic(err)
		}
		return r
	}
	way := func(l *lyingChain) (from *ton.BlockIDExt, step ton.BlockLinkForward) {
		head := l.Chain.Head().ID
		key := ask(l, ton.GetConfigAll{Mode: 0x8000, BlockID: head}).(ton.ConfigAll).ID
		return key, ask(l, ton.GetBlockProof{Mode: 1, KnownBlock: key, TargetBlock: head}).(ton.PartialBlockProof).Steps[0].(ton.BlockLinkForward)
	}
	key, ourStep := way(ours)
	_, step := way(theirs)
	step.From, step.ConfigProof = key, ourStep.ConfigProof
	ctx := testContext(t)
	cl, err := chain.Dial(ctx, config(t, ours.Chain), chain.WithClock(ours.clock.Now))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if cl.KeyBlock().Seqno != key.SeqNo {
		t.Fatalf("trusted block %d, key block %d", cl.KeyBlock().Seqno, key.SeqNo)
	}
	told := false
	ours.Liteservers()[0].Inject(devnet.Fault{Forge: func(q, honest tl.Serializable) tl.Serializable {
		if _, ok := q.(ton.GetBlockProof); ok {
			told = true
			return ton.PartialBlockProof{Complete: true, From: key, To: step.To, Steps: []any{step}}
		}
		return ask(theirs, q)
	}})
	var lying *chain.LyingServerError
	if b, err := cl.Head(ctx); !errors.As(err, &lying) || !told {
		t.Errorf("a block of another chain: %v, err %v", b, err)
	}
}

// TestDialLies forges what a client asks first: the header of the trusted block,
// whose time decides whether it is young enough.
func TestDialLies(t *testing.T) {
	l := newLyingChain(t, devnet.Options{})
	ctx := testContext(t)
	header := func(seqno uint32) tl.Serializable {
		r, err := l.Answer(ctx, ton.LookupBlock{Mode: 1, ID: &ton.BlockInfoShort{Workchain: -1, Shard: -1 << 63, Seqno: int32(seqno)}})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	newer := header(l.Chain.Head().ID.SeqNo).(ton.BlockHeader)
	for name, lie := range map[string]func(h ton.BlockHeader) tl.Serializable{
		"the header of a newer block": func(ton.BlockHeader) tl.Serializable { return newer },
		"a newer block's proof": func(h ton.BlockHeader) tl.Serializable {
			h.HeaderProof = newer.HeaderProof
			return h
		},
		"no proof": func(h ton.BlockHeader) tl.Serializable {
			h.HeaderProof = nil
			return h
		},
		"no header": func(ton.BlockHeader) tl.Serializable { return ton.CurrentTime{Now: 1} },
		"the header without a proof around it": func(h ton.BlockHeader) tl.Serializable {
			c, err := cell.FromBOC(h.HeaderProof)
			if err != nil {
				panic(err)
			}
			h.HeaderProof = c.MustPeekRef(0).ToBOC()
			return h
		},
	} {
		l.Liteservers()[0].Inject(devnet.Fault{Forge: func(_, honest tl.Serializable) tl.Serializable {
			if h, ok := honest.(ton.BlockHeader); ok {
				return lie(h)
			}
			return honest
		}})
		cl, err := chain.Dial(ctx, config(t, l.Chain), chain.WithClock(l.clock.Now))
		var lying *chain.LyingServerError
		if !errors.As(err, &lying) {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			cl.Close()
		}
	}
}

// TestSilence lets servers be slow, mute, or gone.
func TestSilence(t *testing.T) {
	t.Parallel()
	l := newLyingChain(t, devnet.Options{Liteservers: 3})
	ctx := testContext(t)
	ls := l.Liteservers()
	ls[0].Inject(devnet.Fault{Refuse: true})
	ls[1].Inject(devnet.Fault{Error: &ton.LSError{Code: 500, Text: "busy"}})
	cl := dial(t, l.Chain, chain.WithTimeout(noAnswer))
	if a, err := cl.Account(ctx, l.faucet); err != nil || !a.Active() {
		t.Errorf("with one server of three: %v, err %v", a, err)
	}
	ls[2].Disconnect()
	if _, err := cl.Head(ctx); err != nil {
		t.Errorf("after a lost connection: %v", err)
	}
	ls[0].Inject(devnet.Fault{Error: &ton.LSError{Code: 500, Text: "busy"}})
	ls[2].Inject(devnet.Fault{Refuse: true})
	var unknown *attestation.UnknownError
	if _, err := cl.Head(ctx); !errors.As(err, &unknown) || !strings.Contains(err.Error(), "busy") {
		t.Errorf("with none: %v", err)
	}
}

// TestSaid lets a server put into its errors what a terminal would obey, and more
// than anybody wants to read.
func TestSaid(t *testing.T) {
	l := newLyingChain(t, devnet.Options{})
	cl := dial(t, l.Chain)
	for _, text := range []string{"\x1b[2J\x1b[31mall is well\r\nprompt$ ", strings.Repeat("no ", 1<<18), "\xff\u202e"} {
		l.Liteservers()[0].Inject(devnet.Fault{Error: &ton.LSError{Code: -400, Text: text}})
		_, err := cl.Head(testContext(t))
		var unknown *attestation.UnknownError
		if !errors.As(err, &unknown) || !strings.Contains(err.Error(), "error -400") {
			t.Fatalf("%.40q: %v", text, err)
		}
		if said := err.Error(); len(said) > 2000 || strings.ContainsFunc(said, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }) {
			t.Errorf("%.40q is passed on: %d bytes, %.200q", text, len(said), said)
		}
	}
}

// TestOfflineProof changes one byte of an account proof at a time: nothing of it
// is free. It also reads the proof ten years later.
func TestOfflineProof(t *testing.T) {
	n := 500
	if os.Getenv("COCOON_LONG") != "" {
		n = 20_000
	}
	l := newLyingChain(t, devnet.Options{Validators: 3})
	first := only(t, l.Chain, 0)
	if err := l.SetParam(-101, cell.BeginCell().EndCell()); err != nil {
		t.Fatal(err)
	}
	if err := l.Mine(2); err != nil {
		t.Fatal(err)
	}
	ctx := testContext(t)
	cl, err := chain.Dial(ctx, first, chain.WithClock(l.clock.Now))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	rnd := rand.New(rand.NewPCG(3, 4))
	for name, a := range map[string]attestation.Address{"account": l.faucet, "absent account": addr(0xee)} {
		acc, err := cl.Account(testContext(t), a)
		if err != nil {
			t.Fatal(err)
		}
		trusted := first.Trusted()
		got, err := chain.VerifyAccountProof(acc.Proof, a, trusted)
		if err != nil {
			t.Fatal(err)
		}
		if got.Exists != acc.Exists || got.Balance.Cmp(acc.Balance) != 0 || got.Block != acc.Block {
			t.Errorf("%s: offline %v, online %v", name, got, acc)
		}
		blocks, err := chain.ProofBlocks(acc.Proof)
		if err != nil || len(blocks) < 3 || blocks[0] != trusted || blocks[len(blocks)-1] != acc.Block.ID() {
			t.Errorf("%s: way %v, err %v", name, blocks, err)
		}
		for range n {
			i, x := rnd.IntN(len(acc.Proof)), byte(1+rnd.IntN(255))
			p := bytes.Clone(acc.Proof)
			p[i] ^= x
			if _, err := chain.VerifyAccountProof(p, a, trusted); err == nil {
				t.Errorf("%s: byte %d of %d changed by %#x: accepted", name, i, len(p), x)
			}
		}
		for _, i := range []int{0, 1, len(acc.Proof) / 2, len(acc.Proof) - 1} {
			if _, err := chain.VerifyAccountProof(acc.Proof[:i], a, trusted); err == nil {
				t.Errorf("%s: cut at %d: accepted", name, i)
			}
		}
		var bad *attestation.InputError
		var unknown *attestation.UnknownError
		for what, err := range map[string]error{
			"trailing byte":    second(chain.VerifyAccountProof(append(bytes.Clone(acc.Proof), 0), a, trusted)),
			"another account":  second(chain.VerifyAccountProof(acc.Proof, addr(0x77), trusted)),
			"no trusted block": second(chain.VerifyAccountProof(acc.Proof, a)),
		} {
			if !errors.As(err, &bad) {
				t.Errorf("%s: %s: %v", name, what, err)
			}
		}
		wrong := trusted
		wrong.FileHash[0] ^= 1
		if _, err := chain.VerifyAccountProof(acc.Proof, a, wrong); !errors.As(err, &unknown) {
			t.Errorf("%s: another trusted block: %v", name, err)
		}
		// a block on the way will do
		if _, err := chain.VerifyAccountProof(acc.Proof, a, wrong, blocks[1]); err != nil {
			t.Errorf("%s: trusted block on the way: %v", name, err)
		}
	}
	// get-methods work on what was proved offline
	acc, err := cl.Account(testContext(t), l.faucet)
	if err != nil {
		t.Fatal(err)
	}
	got, err := chain.VerifyAccountProof(acc.Proof, l.faucet, first.Trusted())
	if err != nil {
		t.Fatal(err)
	}
	if r, err := got.RunGetMethod("seqno"); err != nil || r[0].(*big.Int).Int64() != 4 {
		t.Errorf("seqno: %v, err %v", r, err)
	}
}

// FuzzVerifyAccountProof looks for panics and for a second proof of anything.
func FuzzVerifyAccountProof(f *testing.F) {
	l := newLyingChain(f, devnet.Options{})
	cl := dial(f, l.Chain)
	trusted := config(f, l.Chain).Trusted()
	seeds := map[string]bool{}
	for _, a := range []attestation.Address{l.faucet, addr(0xee)} {
		acc, err := cl.Account(testContext(f), a)
		if err != nil {
			f.Fatal(err)
		}
		seeds[string(acc.Proof)] = true
		f.Add(acc.Proof)
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		for _, a := range []attestation.Address{l.faucet, addr(0xee)} {
			if _, err := chain.VerifyAccountProof(p, a, trusted); err == nil && !seeds[string(p)] {
				t.Errorf("another proof of %s was accepted", a)
			}
		}
	})
}
