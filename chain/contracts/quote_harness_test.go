package contracts

import (
	"math/big"
	"os"
	"sync"
	"testing"

	"github.com/xssnick/tonutils-go/tlb"
	"github.com/xssnick/tonutils-go/tvm"
	"github.com/xssnick/tonutils-go/tvm/cell"
	"github.com/xssnick/tonutils-go/tvm/tuple"
	"github.com/xssnick/tonutils-go/tvm/vm"

	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

// harness is the code of the test-only contract around the quote library.
var harness = loadHarness("harness")

func loadHarness(name string) func() *cell.Cell {
	return sync.OnceValue(func() *cell.Cell {
		b, err := os.ReadFile(name + ".boc")
		if err != nil {
			panic(err)
		}
		c, err := cell.FromBOC(b)
		if err != nil {
			panic(err)
		}
		return c
	})
}

var harnessConfig = sync.OnceValue(func() *tvm.PreparedBlockchainConfig {
	return tvm.MustPrepareBlockchainConfig(tvmtest.Config())
})

var harnessVM = tvm.NewTVM()

// result is what a get-method of the harness gave.
type result struct {
	exit  int64
	gas   int64
	stack []any // first result first
}

// call runs a get-method of the harness at a block time. Arguments are
// *big.Int, int, *cell.Cell.
func call(t testing.TB, now int64, method string, args ...any) result {
	t.Helper()
	return callOn(t, harness(), now, method, args...)
}

func callOn(t testing.TB, code *cell.Cell, now int64, method string, args ...any) result {
	t.Helper()
	st := vm.NewStack()
	for _, a := range args {
		if n, ok := a.(int); ok {
			a = big.NewInt(int64(n))
		}
		if err := st.PushAny(a); err != nil {
			t.Fatal(err)
		}
	}
	if err := st.PushInt(new(big.Int).SetUint64(tlb.MethodNameHash(method))); err != nil {
		t.Fatal(err)
	}
	info := make([]any, 14)
	info[0], info[3] = big.NewInt(0x076ef1ea), big.NewInt(now)
	c7 := tuple.NewTupleValue(tuple.NewTupleValue(info...))
	res, err := harnessVM.ExecuteGetMethod(code, cell.BeginCell().EndCell(), c7, vm.GasWithLimit(1_000_000), st, tvm.ExecutionConfig{Config: harnessConfig()})
	if err != nil {
		t.Fatal(err)
	}
	r := result{exit: int64(res.ExitCode), gas: res.GasUsed}
	if r.exit != 0 && r.exit != 1 {
		return r
	}
	r.exit = 0
	r.stack = make([]any, res.Stack.Len())
	for i := len(r.stack) - 1; i >= 0; i-- {
		v, err := res.Stack.PopAny()
		if err != nil {
			t.Fatal(err)
		}
		r.stack[i] = v
	}
	return r
}
