package chain_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xssnick/tonutils-go/tlb"
	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/devnet"
)

// TestEndlessResult runs methods of contracts that anybody may have deployed. A tuple
// of a tuple twice, and so on, is as many values as there is no memory for.
func TestEndlessResult(t *testing.T) {
	t.Parallel()
	c := start(t, devnet.Options{BlockInterval: 20 * time.Millisecond})
	cl := dial(t, c)
	w := fundedWriter(t, c, cl, 0x71, nil)
	// DROP, PUSHNULL, and so often DUP, PAIR
	code := func(pairs int) *cell.Cell {
		b := slices.Concat([]byte{0x30, 0x6d}, bytes.Repeat([]byte{0x20, 0x6f, 0x02}, pairs))
		return cell.BeginCell().MustStoreSlice(b, uint(8*len(b))).EndCell()
	}
	run := func(code *cell.Cell, id string) ([]any, error) {
		at, _, err := w.Deploy(testContext(t), id, &tlb.StateInit{Code: code, Data: cell.BeginCell().EndCell()}, pay(addr(1), 1e8).Amount, nil)
		if err != nil {
			t.Fatal(err)
		}
		acc, err := cl.WaitAccount(testContext(t), at, (*chain.Account).Active)
		if err != nil {
			t.Fatal(err)
		}
		return acc.RunGetMethod("get")
	}
	if r, err := run(code(10), "some"); err != nil || len(r) != 1 || len(r[0].([]any)) != 2 {
		t.Errorf("2^11 values: %v", err)
	}
	var unknown *attestation.UnknownError
	if _, err := run(code(40), "endless"); !errors.As(err, &unknown) || !strings.Contains(err.Error(), "more than 4096 values") {
		t.Errorf("2^41 values: %v", err)
	}
	many := bytes.Repeat([]byte{0x6d}, 120)
	two := cell.BeginCell().MustStoreSlice(many, 960).MustStoreRef(cell.BeginCell().MustStoreSlice(many, 960).MustStoreRef(cell.BeginCell().MustStoreSlice(many, 960).EndCell()).EndCell()).EndCell()
	if _, err := run(two, "many"); !errors.As(err, &unknown) || !strings.Contains(err.Error(), "more than 255 results") {
		t.Errorf("361 results: %v", err)
	}
}
