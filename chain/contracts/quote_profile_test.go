package contracts

import (
	"fmt"
	"os"
	"sort"
	"testing"

	"github.com/google/go-tdx-guest/testing/testdata"
	"github.com/xssnick/tonutils-go/address"
	"github.com/xssnick/tonutils-go/tvm"
	"github.com/xssnick/tonutils-go/tvm/cell"
	"github.com/xssnick/tonutils-go/tvm/vm"
)

func TestProfile(t *testing.T) {
	c, ca, err := QuoteCells(testdata.RawQuote)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := os.ReadFile("/tmp/d2/prof.boc")
	code, err := cell.FromBOC(b)
	if err != nil {
		t.Skip(err)
	}
	body := cell.BeginCell().MustStoreSlice(ca[:], 512).MustStoreRef(c).EndCell()
	byOp := map[string]int64{}
	n := map[string]int{}
	last := int64(1_000_000)
	f, _ := os.Create("/tmp/d2/trace.txt")
	prev := "start"
	res, err := tvm.NewTVM().EmulateInternalMessage(code, cell.BeginCell().EndCell(), body, 1e9, tvm.EmulateInternalMessageConfig{
		Address: address.NewAddress(0, 0, make([]byte, 32)), Now: 1750000000, Config: harnessConfig(), Gas: vm.GasWithLimit(1_000_000),
		TraceHook: func(s vm.TraceStep) {
			if s.Opcode == "" {
				return
			}
			used := last - s.GasRemaining
			last = s.GasRemaining
			op := prev
			byOp[op] += used
			n[op]++
			fmt.Fprintf(f, "%6d %5d %s\n", 1_000_000-s.GasRemaining, used, op)
			prev = s.Opcode
		}})
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	t.Log(res.ExitCode, res.GasUsed)
	var ops []string
	for k := range byOp {
		ops = append(ops, k)
	}
	sort.Slice(ops, func(i, j int) bool { return byOp[ops[i]] > byOp[ops[j]] })
	for _, k := range ops[:min(len(ops), 40)] {
		t.Logf("%6d %4d %s", byOp[k], n[k], k)
	}
}
