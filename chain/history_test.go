package chain_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/devnet"
)

// A header that was read once can be checked without a chain.
func TestHeaderProof(t *testing.T) {
	l := newLyingChain(t, devnet.Options{})
	cl, ctx := dial(t, l.Chain), testContext(t)
	var isFalse *attestation.FalseError
	var input *attestation.InputError
	b, err := cl.Block(ctx, 3)
	if err != nil {
		t.Fatal(err)
	}
	header, err := cl.HeaderProof(ctx, b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := chain.VerifyHeader(make([]byte, chain.MaxHeaderProof+1), b.Seqno, b.RootHash); !errors.As(err, &input) || !strings.Contains(err.Error(), "at most") {
		t.Errorf("a long proof: %v", err)
	}
	if h, err := chain.VerifyHeader(header, b.Seqno, b.RootHash); err != nil || h.Time != b.Time || h.Seqno != b.Seqno {
		t.Errorf("header %+v, %v", h, err)
	}
	for name, c := range map[string]struct {
		proof []byte
		seqno uint32
		root  [32]byte
		want  any
	}{
		"another number": {header, 4, b.RootHash, &isFalse},
		"another block":  {header, 3, [32]byte{1}, &isFalse},
		"no bytes":       {nil, 3, b.RootHash, &input},
		"too many":       {make([]byte, chain.MaxHeaderProof+1), 3, b.RootHash, &input},
		"two roots":      {twoRoots(t, header), 3, b.RootHash, &input},
	} {
		if h, err := chain.VerifyHeader(c.proof, c.seqno, c.root); h != (chain.Block{}) || !errors.As(err, c.want) {
			t.Errorf("header, %s: %+v, %v", name, h, err)
		}
	}
	for i := range 8 * len(header) { // one proof has one encoding
		bad := bytes.Clone(header)
		bad[i/8] ^= 1 << (i % 8)
		if h, err := chain.VerifyHeader(bad, b.Seqno, b.RootHash); err == nil || h != (chain.Block{}) {
			t.Fatalf("header with bit %d changed: %+v", i, h)
		}
	}
}

// twoRoots has the root of a serialisation twice.
func twoRoots(t *testing.T, b []byte) []byte {
	t.Helper()
	c, err := cell.FromBOC(b)
	if err != nil {
		t.Fatal(err)
	}
	return cell.ToBOCWithOptions([]*cell.Cell{c, cell.BeginCell().EndCell()}, cell.BOCSerializeOptions{})
}

// In years somebody's trusted block is newer than a proof: the chain of that day
// still knows the block that the proof leads to.
func TestProofInYears(t *testing.T) {
	l := newLyingChain(t, devnet.Options{})
	acc, err := dial(t, l.Chain).Account(testContext(t), l.faucet)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.clock.Advance(5 * 365 * 24 * time.Hour); err != nil {
		t.Fatal(err)
	}
	if err := l.SetParam(-100, cell.BeginCell().MustStoreUInt(9, 8).EndCell()); err != nil { // a key block
		t.Fatal(err)
	}
	if err := l.Mine(3); err != nil {
		t.Fatal(err)
	}
	old := dial(t, l.Chain, chain.WithOldTrustUnsafe())
	if _, err := old.Head(testContext(t)); err != nil {
		t.Fatal(err)
	}
	today := old.KeyBlock()
	var unknown *attestation.UnknownError
	if _, err := chain.VerifyAccountProof(acc.Proof, l.faucet, today); !errors.As(err, &unknown) {
		t.Errorf("a block that is newer than the proof: %v", err)
	}
	way, err := chain.ProofBlocks(acc.Proof)
	if err != nil {
		t.Fatal(err)
	}
	last := way[len(way)-1]
	b, err := old.Block(testContext(t), last.Seqno)
	if err != nil || b.ID() != last {
		t.Fatalf("block %v, the proof leads to %v: %v", b.ID(), last, err)
	}
	if got, err := chain.VerifyAccountProof(acc.Proof, l.faucet, b.ID()); err != nil || got.LastHash != acc.LastHash {
		t.Errorf("%v", err)
	}
}

// FuzzHeaderProof looks for panics and for a second proof of anything.
func FuzzHeaderProof(f *testing.F) {
	l := newLyingChain(f, devnet.Options{})
	cl, ctx := dial(f, l.Chain), testContext(f)
	b, err := cl.Block(ctx, 3)
	if err != nil {
		f.Fatal(err)
	}
	header, err := cl.HeaderProof(ctx, b)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(header)
	f.Fuzz(func(t *testing.T, p []byte) {
		if _, err := chain.VerifyHeader(p, b.Seqno, b.RootHash); err == nil && !bytes.Equal(p, header) {
			t.Error("another proof of a header was accepted")
		}
	})
}
