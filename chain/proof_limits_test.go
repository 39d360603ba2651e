package chain_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/devnet"
)

// TestProofLimits changes the container of an account proof and leaves what is
// in it good.
func TestProofLimits(t *testing.T) {
	l := newLyingChain(t, devnet.Options{})
	first := config(t, l.Chain).Trusted()
	acc, err := dial(t, l.Chain).Account(testContext(t), l.faucet)
	if err != nil {
		t.Fatal(err)
	}
	enc, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		t.Fatal(err)
	}
	roots := func(b any, f func([]*cell.Cell) []*cell.Cell, o cell.BOCSerializeOptions) []byte {
		r, err := cell.FromBOCMultiRoot(b.([]byte))
		if err != nil {
			t.Fatal(err)
		}
		return cell.ToBOCWithOptions(f(r), o)
	}
	same := func(r []*cell.Cell) []*cell.Cell { return r }
	none := cell.BOCSerializeOptions{}
	link := func(m map[uint64]any) map[any]any { return m[3].([]any)[0].(map[any]any) }
	for _, tc := range []struct {
		name, want string
		edit       func(m map[uint64]any)
	}{
		{"honest", "", func(map[uint64]any) {}},
		{"more links than may be", "links, at most", func(m map[uint64]any) {
			one := m[3].([]any)[0]
			links := make([]any, chain.MaxLinks+1)
			for i := range links {
				links[i] = one
			}
			m[3] = links
		}},
		{"one root", "1 roots, want 2", func(m map[uint64]any) {
			m[6] = roots(m[6], func(r []*cell.Cell) []*cell.Cell { return r[:1] }, none)
		}},
		{"three roots", "3 roots, want 2", func(m map[uint64]any) {
			m[8] = roots(m[8], func(r []*cell.Cell) []*cell.Cell { return append(r, r[0]) }, none)
		}},
		{"a checksum", "canonical", func(m map[uint64]any) { m[5] = roots(m[5], same, cell.BOCSerializeOptions{WithCRC32C: true}) }},
		{"an index", "canonical", func(m map[uint64]any) { m[7] = roots(m[7], same, cell.BOCSerializeOptions{WithIndex: true}) }},
		{"a checksum in a link", "canonical", func(m map[uint64]any) {
			x := link(m)
			x[uint64(3)] = roots(x[uint64(3)], same, cell.BOCSerializeOptions{WithCRC32C: true})
		}},
		{"another type", "type", func(m map[uint64]any) { m[0] = "cocoon/account-proof/v2" }},
		{"a short address", "address", func(m map[uint64]any) { m[1] = m[1].([]byte)[:35] }},
		{"a short block", "67 bytes, want 68", func(m map[uint64]any) { m[2] = m[2].([]byte)[:67] }},
		{"a short block in a link", "67 bytes, want 68", func(m map[uint64]any) { link(m)[uint64(1)] = link(m)[uint64(1)].([]byte)[:67] }},
		{"a short shard block", "79 bytes, want 80", func(m map[uint64]any) { m[4] = m[4].([]byte)[:79] }},
		{"no shard block", "without a shard block", func(m map[uint64]any) { delete(m, 4) }},
		{"a link of both directions", "both directions", func(m map[uint64]any) { link(m)[uint64(5)] = link(m)[uint64(4)] }},
		{"a link of none", "both directions, or of none", func(m map[uint64]any) { delete(link(m), uint64(6)) }},
		{"a link the other way", "both directions", func(m map[uint64]any) { link(m)[uint64(7)] = true }},
		{"an unknown member", "unknown", func(m map[uint64]any) { m[9] = 1 }},
	} {
		var m map[uint64]any
		if err := cbor.Unmarshal(acc.Proof, &m); err != nil {
			t.Fatal(err)
		}
		tc.edit(m)
		p, err := enc.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		wantInput(t, tc.name, second(chain.VerifyAccountProof(p, l.faucet, first)), tc.want)
	}
	wantInput(t, "too long", second(chain.VerifyAccountProof(make([]byte, chain.MaxAccountProof+1), l.faucet, first)), "bytes, at most")
	// one encoding only: 24 in two bytes
	wantInput(t, "a longer form", second(chain.VerifyAccountProof(append([]byte{acc.Proof[0], 0x18, 0}, acc.Proof[2:]...), l.faucet, first)), "deterministic")
}

// wantInput demands bad input with a text, or none.
func wantInput(t *testing.T, name string, err error, want string) {
	t.Helper()
	var bad *attestation.InputError
	switch {
	case want == "" && err != nil:
		t.Errorf("%s: %v", name, err)
	case want != "" && (!errors.As(err, &bad) || !strings.Contains(err.Error(), want)):
		t.Errorf("%s: %v, want %q", name, err, want)
	}
}

// TestProofCells counts cells: a short proof may have many. A cell that is
// referred to twice counts once.
func TestProofCells(t *testing.T) {
	leaf := cell.BeginCell().EndCell()
	two := cell.BeginCell().MustStoreUInt(2, 2).MustStoreRef(leaf).EndCell()
	root := cell.BeginCell().MustStoreRef(leaf).MustStoreRef(two).MustStoreRef(two).EndCell()
	if err := chain.CheckCells(3, root, leaf); err != nil {
		t.Error(err)
	}
	if err := chain.CheckCells(2, root); err == nil || !strings.Contains(err.Error(), "more than 2 cells") {
		t.Errorf("three cells of two: %v", err)
	}
	other := cell.BeginCell().MustStoreUInt(1, 1).EndCell()
	if err := chain.CheckCells(3, root, other); err == nil {
		t.Error("three cells of one root and one of another: at most three in all")
	}
	if err := chain.CheckCells(3, root, nil); err == nil {
		t.Error("no cell")
	}
}
