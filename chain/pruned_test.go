package chain_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"github.com/xssnick/tonutils-go/tl"
	"github.com/xssnick/tonutils-go/ton"
	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/devnet"
)

// without prunes a cell, wherever it is in a Merkle proof. The proof stays one of the
// same tree.
func without(t testing.TB, proof *cell.Cell, target []byte) *cell.Cell {
	t.Helper()
	found := false
	var walk func(c *cell.Cell) *cell.Cell
	walk = func(c *cell.Cell) *cell.Cell {
		if c.IsSpecial() {
			return c
		}
		if bytes.Equal(c.Hash(0), target) {
			found = true
			return prune(c)
		}
		for i := range int(c.RefsNum()) {
			r := child(c, i)
			if less := walk(r); less != r {
				c = replaced(c, i, less)
			}
		}
		return c
	}
	out, err := cell.CreateMerkleProof(walk(child(proof, 0)))
	if err != nil {
		t.Fatal(err)
	}
	if !found {
		t.Fatal("the cell is not in the proof")
	}
	if !bytes.Equal(child(out, 0).Hash(0), child(proof, 0).Hash(0)) {
		t.Fatal("another tree")
	}
	return out
}

// TestPruned has a server prune what is asked for. The bytes of a pruned cell are
// those of its hash: read as what was there, they are anything.
func TestPruned(t *testing.T) {
	l := newLyingChain(t, devnet.Options{})
	honest := dialOnly(t, l, 0)
	params, err := honest.Params(testContext(t), 8, 19, 20)
	if err != nil {
		t.Fatal(err)
	}
	config := func(hash []byte) func(tl.Serializable) tl.Serializable {
		return func(honest tl.Serializable) tl.Serializable {
			a, ok := honest.(ton.ConfigAll)
			if !ok {
				return honest
			}
			c, err := cell.FromBOC(a.ConfigProof)
			if err != nil {
				panic(err)
			}
			a.ConfigProof = without(t, c, hash).ToBOC()
			return a
		}
	}
	// account prunes a reference of the state, of masterchain or shard
	account := func(shard bool, ref int) func(tl.Serializable) tl.Serializable {
		return func(honest tl.Serializable) tl.Serializable {
			a, ok := honest.(ton.AccountState)
			if !ok {
				return honest
			}
			roots := &a.Proof
			if shard {
				roots = &a.ShardProof
			}
			*roots = []*cell.Cell{(*roots)[0], without(t, (*roots)[1], child(child((*roots)[1], 0), ref).Hash(0))}
			return a
		}
	}
	ask := l.questions()
	for _, tc := range []struct {
		question, name string
		forge          func(tl.Serializable) tl.Serializable
	}{
		{"chain id", "the chain id", config(params[19].Hash())},
		{"chain id", "the version", config(params[8].Hash())},
		{"config", "a parameter", config(params[20].Hash())},
		{"account", "the gas prices", config(params[20].Hash())},
		{"absent account", "the accounts", account(false, 1)},
		{"account", "the accounts", account(false, 1)},
		{"account", "the masterchain's part of the state", account(true, 3)},
		{"masterchain account", "the accounts", account(false, 1)},
	} {
		cl := dialOnly(t, l, 0)
		l.Liteservers()[0].Inject(devnet.Fault{Forge: func(_, honest tl.Serializable) tl.Serializable { return tc.forge(honest) }})
		got, err := ask[tc.question](testContext(t), cl)
		l.Liteservers()[0].Inject(devnet.Fault{})
		var lying *chain.LyingServerError
		if !errors.As(err, &lying) {
			t.Errorf("%s without %s: %s, err %v", tc.question, tc.name, got, err)
		}
	}
}

// said is all that an account says, as text to compare.
func said(a *chain.Account) string {
	version, newer := a.NetworkVersion()
	out := fmt.Sprint(a.Address, a.Block, a.ShardTime, a.Exists, a.Frozen, a.State, a.Balance, a.LastLT, a.LastHash, a.ChainID(), version, newer)
	if a.Active() {
		out += fmt.Sprintf(" %x %x", a.Code.Hash(), a.Data.Hash())
	}
	return out
}

// TestPrunedAnywhere prunes the cells of account proofs, one at a time. What is
// believed all the same is what is true.
func TestPrunedAnywhere(t *testing.T) {
	t.Parallel()
	stride := 5
	if os.Getenv("COCOON_LONG") != "" {
		stride = 1
	}
	l := newLyingChain(t, devnet.Options{Validators: 3})
	cl, trusted := dialOnly(t, l, 0), only(t, l.Chain, 0).Trusted()
	if err := l.SetParam(-101, cell.BeginCell().EndCell()); err != nil {
		t.Fatal(err)
	}
	if err := l.Mine(2); err != nil {
		t.Fatal(err)
	}
	old, err := cl.Block(testContext(t), 77)
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for _, a := range []attestation.Address{l.faucet, addr(0xee), {Workchain: -1, Hash: addr(0x51).Hash}, {Workchain: -1, Hash: addr(0xee).Hash}} {
		acc, err := cl.AccountAt(testContext(t), old, a)
		if err != nil {
			t.Fatal(err)
		}
		eachPruned(t, acc.Proof, stride, func(what string, proof []byte) {
			got, err := chain.VerifyAccountProof(proof, a, trusted)
			if err != nil {
				refused++
			} else if said(got) != said(acc) {
				t.Errorf("%v without %s: %s, true is %s", a, what, said(got), said(acc))
			}
		})
	}
	if refused < 200/stride {
		t.Errorf("%d proofs were refused", refused)
	}
}

// eachPruned gives f the proof without one of its cells, which are so many apart.
func eachPruned(t testing.TB, proof []byte, stride int, f func(what string, proof []byte)) {
	t.Helper()
	var m map[uint64]any
	if err := cbor.Unmarshal(proof, &m); err != nil {
		t.Fatal(err)
	}
	count := 0
	each := func(what string, boc []byte, put func(m map[uint64]any, boc []byte)) {
		roots, err := cell.FromBOCMultiRoot(boc)
		if err != nil {
			t.Fatal(err)
		}
		for i, root := range roots {
			for n, hash := range hashes(child(root, 0)) {
				if count++; count%stride != 0 {
					continue
				}
				less := slices.Clone(roots)
				less[i] = without(t, root, hash)
				f(fmt.Sprintf("cell %d of root %d of %s", n, i, what), edited(t, proof, func(m map[uint64]any) {
					put(m, cell.ToBOCWithOptions(less, cell.BOCSerializeOptions{}))
				}))
			}
		}
	}
	for i, x := range m[3].([]any) {
		for key, v := range x.(map[any]any) {
			if boc, ok := v.([]byte); ok && key.(uint64) >= 3 {
				each(fmt.Sprintf("member %d of link %d", key, i), boc, func(m map[uint64]any, boc []byte) { m[3].([]any)[i].(map[any]any)[key] = boc })
			}
		}
	}
	for _, key := range []uint64{5, 6, 8} {
		if boc, ok := m[key].([]byte); ok {
			each(fmt.Sprintf("member %d", key), boc, func(m map[uint64]any, boc []byte) { m[key] = boc })
		}
	}
}

// hashes are those of the ordinary cells of a tree.
func hashes(root *cell.Cell) (out [][]byte) {
	seen := map[string]bool{}
	var walk func(c *cell.Cell)
	walk = func(c *cell.Cell) {
		h := c.Hash(0)
		if c.IsSpecial() || seen[string(h)] {
			return
		}
		seen[string(h)] = true
		out = append(out, h)
		for i := range int(c.RefsNum()) {
			walk(child(c, i))
		}
	}
	walk(root)
	return out
}
