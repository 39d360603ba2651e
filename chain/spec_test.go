package chain_test

import (
	"bytes"
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/devnet"
)

var update = flag.Bool("update", false, "rewrite the examples in testdata/example")

// The example of docs/spec/light-client.md: files of a chain that is the same each
// time, and what the page says of them.
func TestSpecExample(t *testing.T) {
	doc, err := os.ReadFile("../docs/spec/light-client.md")
	if err != nil {
		t.Fatal(err)
	}
	said := strings.Join(strings.Fields(string(doc)), " ")
	flat := strings.ReplaceAll(said, " ", "")
	l := newLyingChain(t, devnet.Options{})
	cl, ctx := dial(t, l.Chain), testContext(t)
	acc, err := cl.Account(ctx, l.faucet)
	if err != nil {
		t.Fatal(err)
	}
	txs, err := cl.Transactions(ctx, acc, 3)
	if err != nil {
		t.Fatal(err)
	}
	before, _, err := cl.FirstState(ctx, l.faucet, 1, func(a *chain.Account) (bool, error) { return a.LastLT >= txs[2].LT, nil })
	if err != nil {
		t.Fatal(err)
	}
	passage, err := chain.EncodePassage(txs, 2, before)
	if err != nil {
		t.Fatal(err)
	}
	block, err := cl.Block(ctx, 3)
	if err != nil {
		t.Fatal(err)
	}
	header, err := cl.HeaderProof(ctx, block)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"account-proof": acc.Proof, "passage": passage, "header": header} {
		path := filepath.Join("testdata", "example", name)
		if *update {
			if err := os.WriteFile(path, b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if kept, err := os.ReadFile(path); err != nil || !bytes.Equal(kept, b) {
			t.Errorf("%s is another one (-update): %v", path, err)
		}
		if row := fmt.Sprintf("| `%s` | %d | `%x` |", name, len(b), sha256.Sum256(b)); !strings.Contains(said, row) {
			t.Errorf("the page lacks %s", row)
		}
	}
	way, err := chain.ProofBlocks(acc.Proof)
	if err != nil {
		t.Fatal(err)
	}
	got, err := chain.VerifyAccountProof(acc.Proof, l.faucet, way[0])
	if err != nil {
		t.Fatal(err)
	}
	p, err := chain.VerifyPassage(passage, got)
	if err != nil || len(p.Transactions) != 3 || !p.Transactions[1].Hidden || p.Transactions[2].Hidden || p.Before == nil {
		t.Errorf("%+v, %v", p, err)
	}
	if b, err := chain.VerifyHeader(header, block.Seqno, block.RootHash); err != nil || !b.Time.Equal(block.Time) {
		t.Errorf("%+v, %v", b, err)
	}
	start := bytes.Index(acc.Proof, []byte{0x03, 0x80 | byte(len(way)-1)})
	for what, b := range map[string][]byte{
		"beginning of the account proof": acc.Proof[:start+2],
		"address":                        acc.Address.AppendTo(nil),
		"root hash of the last block":    got.Block.RootHash[:],
		"last transaction":               got.LastHash[:],
		"oldest transaction":             p.Transactions[2].Hash[:],
		"root hash of the header":        block.RootHash[:],
	} {
		if !strings.Contains(flat, fmt.Sprintf("%x", b)) {
			t.Errorf("the page lacks the %s: %x", what, b)
		}
	}
	for what, text := range map[string]string{
		"links": fmt.Sprintf("%d link", len(way)-1), "balance": fmt.Sprintf("%v nano coins", got.Balance), "logical time": fmt.Sprint(got.LastLT), "block": fmt.Sprintf("block %d", got.Block.Seqno),
		"time": got.Block.Time.UTC().Format("2006-01-02T15:04:05Z"), "trusted": fmt.Sprintf("block %d", way[0].Seqno), "header's time": block.Time.UTC().Format("2006-01-02T15:04:05Z"),
	} {
		if !strings.Contains(said, text) {
			t.Errorf("the page lacks the %s: %s", what, text)
		}
	}
}
