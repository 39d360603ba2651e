package chain_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"github.com/xssnick/tonutils-go/tl"
	"github.com/xssnick/tonutils-go/ton"
	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/devnet"
)

// levelless writes 0 as the level of all ordinary cells of a BoC without index and
// checksum. Their hashes on level 0 stay what they are.
func levelless(t testing.TB, boc []byte) []byte {
	t.Helper()
	boc = bytes.Clone(boc)
	ref, off := int(boc[4]&7), int(boc[5])
	number := func(at int) int {
		var b [8]byte
		copy(b[8-ref:], boc[at:at+ref])
		return int(binary.BigEndian.Uint64(b[:]))
	}
	cells, roots := number(6), number(6+ref)
	at, cleared := 6+3*ref+off+roots*ref, 0
	for range cells {
		d1, d2 := boc[at], boc[at+1]
		if d1&8 == 0 && d1>>5 > 0 {
			boc[at] &= 0x1f
			cleared++
		}
		at += 2 + int(d2+1)/2 + int(d1&7)*ref
	}
	if at != len(boc) || cleared == 0 {
		t.Fatalf("%d of %d bytes, %d levels", at, len(boc), cleared)
	}
	return boc
}

// canonical serialises cells as proofs have them.
func canonical(roots ...*cell.Cell) []byte {
	return cell.ToBOCWithOptions(roots, cell.BOCSerializeOptions{})
}

// flat is a BoC in the form that levelless reads, with false levels.
func flat(t testing.TB, boc []byte) []byte {
	t.Helper()
	roots, err := cell.FromBOCMultiRoot(boc)
	if err != nil {
		t.Fatal(err)
	}
	return levelless(t, canonical(roots...))
}

func flatCells(t testing.TB, roots ...*cell.Cell) []*cell.Cell {
	t.Helper()
	out, err := cell.FromBOCMultiRoot(levelless(t, canonical(roots...)))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// deep prunes the last cell on the way down the last references of c.
func deep(c *cell.Cell) *cell.Cell {
	if n := int(c.RefsNum()); n > 0 {
		return replaced(c, n-1, deep(child(c, n-1)))
	}
	return prune(c)
}

// TestFalseLevels has a server write false levels into its cells, one part of an
// answer at a time. Hashes do not show it.
func TestFalseLevels(t *testing.T) {
	l := newLyingChain(t, devnet.Options{})
	forward := func(f func(*ton.BlockLinkForward)) func(tl.Serializable) tl.Serializable {
		return func(a tl.Serializable) tl.Serializable {
			if p, ok := a.(ton.PartialBlockProof); ok {
				if s, ok := p.Steps[0].(ton.BlockLinkForward); ok {
					f(&s)
					p.Steps = append([]any{s}, p.Steps[1:]...)
					return p
				}
			}
			return nil
		}
	}
	backward := func(f func(*ton.BlockLinkBackward)) func(tl.Serializable) tl.Serializable {
		return func(a tl.Serializable) tl.Serializable {
			if p, ok := a.(ton.PartialBlockProof); ok {
				if s, ok := p.Steps[0].(ton.BlockLinkBackward); ok {
					f(&s)
					p.Steps = append([]any{s}, p.Steps[1:]...)
					return p
				}
			}
			return nil
		}
	}
	account := func(f func(*ton.AccountState)) func(tl.Serializable) tl.Serializable {
		return func(a tl.Serializable) tl.Serializable {
			s, ok := a.(ton.AccountState)
			if !ok {
				return nil
			}
			f(&s)
			return s
		}
	}
	config := func(f func(*ton.ConfigAll)) func(tl.Serializable) tl.Serializable {
		return func(a tl.Serializable) tl.Serializable {
			s, ok := a.(ton.ConfigAll)
			if !ok {
				return nil
			}
			f(&s)
			return s
		}
	}
	ask := l.questions()
	head, err := dialOnly(t, l, 0).Head(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	ask["header"] = func(ctx context.Context, cl *chain.Client) (string, error) {
		b, err := cl.HeaderProof(ctx, head)
		return fmt.Sprint(len(b)), err
	}
	for _, tc := range []struct {
		question, part string
		forge          func(tl.Serializable) tl.Serializable
	}{
		{"head", "target", forward(func(s *ton.BlockLinkForward) { s.DestProof = flat(t, s.DestProof) })},
		{"head", "source", forward(func(s *ton.BlockLinkForward) { s.ConfigProof = flat(t, s.ConfigProof) })},
		{"block", "target", backward(func(s *ton.BlockLinkBackward) { s.DestProof = flat(t, s.DestProof) })},
		{"block", "source", backward(func(s *ton.BlockLinkBackward) { s.Proof = flat(t, s.Proof) })},
		{"block", "state", backward(func(s *ton.BlockLinkBackward) { s.StateProof = flat(t, s.StateProof) })},
		{"account", "shard proof", account(func(s *ton.AccountState) { s.ShardProof = flatCells(t, s.ShardProof...) })},
		{"account", "proof", account(func(s *ton.AccountState) { s.Proof = flatCells(t, s.Proof...) })},
		{"account", "state", account(func(s *ton.AccountState) { s.State = flatCells(t, deep(s.State))[0] })},
		{"account", "header of the configuration", config(func(s *ton.ConfigAll) { s.StateProof = flat(t, s.StateProof) })},
		{"account", "configuration", config(func(s *ton.ConfigAll) { s.ConfigProof = flat(t, s.ConfigProof) })},
		{"config", "header", config(func(s *ton.ConfigAll) { s.StateProof = flat(t, s.StateProof) })},
		{"config", "configuration", config(func(s *ton.ConfigAll) { s.ConfigProof = flat(t, s.ConfigProof) })},
		{"chain id", "configuration", config(func(s *ton.ConfigAll) { s.ConfigProof = flat(t, s.ConfigProof) })},
		{"header", "header", func(a tl.Serializable) tl.Serializable {
			h, ok := a.(ton.BlockHeader)
			if !ok {
				return nil
			}
			h.HeaderProof = flat(t, h.HeaderProof)
			return h
		}},
		{"transactions", "newest", func(a tl.Serializable) tl.Serializable {
			s, ok := a.(ton.TransactionList)
			if !ok {
				return nil
			}
			roots, err := cell.FromBOCMultiRoot(s.Transactions)
			if err != nil {
				panic(err)
			}
			roots[0] = replaced(roots[0], 0, replaced(child(roots[0], 0), 0, deep(child(child(roots[0], 0), 0)))) // in the inbound message
			s.Transactions = levelless(t, canonical(roots...))
			return s
		}},
	} {
		cl, told := dialOnly(t, l, 0), false
		l.Liteservers()[0].Inject(devnet.Fault{Forge: func(_, honest tl.Serializable) tl.Serializable {
			if a := tc.forge(honest); a != nil {
				told = true
				return a
			}
			return honest
		}})
		got, err := ask[tc.question](testContext(t), cl)
		l.Liteservers()[0].Inject(devnet.Fault{})
		var lying *chain.LyingServerError
		if !told || !errors.As(err, &lying) || !strings.Contains(err.Error(), "level mask") {
			t.Errorf("%s, %s (told: %v): %s, err %v", tc.question, tc.part, told, got, err)
		}
	}
}

// TestFalseLevelsOffline writes false levels into proofs that travel.
func TestFalseLevelsOffline(t *testing.T) {
	p := newPassage(t)
	var untrue *attestation.FalseError
	wantLevels := func(what string, err error) {
		t.Helper()
		if !errors.As(err, &untrue) || !strings.Contains(err.Error(), "level mask") {
			t.Errorf("%s: %v", what, err)
		}
	}
	b := p.newest.Block
	header, err := p.cl.HeaderProof(testContext(t), b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := chain.VerifyHeader(header, b.Seqno, b.RootHash); err != nil {
		t.Fatal(err)
	}
	_, err = chain.VerifyHeader(levelless(t, header), b.Seqno, b.RootHash)
	wantLevels("header", err)

	passage, err := chain.EncodePassage(p.txs, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = chain.VerifyPassage(edited(t, passage, func(m map[uint64]any) { m[1] = levelless(t, m[1].([]byte)) }), p.newest)
	wantLevels("passage", err)

	trusted, err := chain.ProofBlocks(p.newest.Proof)
	if err != nil {
		t.Fatal(err)
	}
	var m map[uint64]any
	if err := cbor.Unmarshal(p.newest.Proof, &m); err != nil {
		t.Fatal(err)
	}
	for _, key := range []uint64{5, 6, 8} {
		_, err := chain.VerifyAccountProof(edited(t, p.newest.Proof, func(m map[uint64]any) { m[key] = levelless(t, m[key].([]byte)) }), p.newest.Address, trusted...)
		wantLevels(fmt.Sprint("member ", key), err)
	}
}
