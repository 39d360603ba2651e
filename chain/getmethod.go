package chain

import (
	"fmt"
	"math/big"
	"time"

	"github.com/xssnick/tonutils-go/address"
	"github.com/xssnick/tonutils-go/tlb"
	"github.com/xssnick/tonutils-go/tvm"
	"github.com/xssnick/tonutils-go/tvm/cell"
	"github.com/xssnick/tonutils-go/tvm/tuple"
	"github.com/xssnick/tonutils-go/tvm/vm"

	"github.com/cocoon-go/cocoon/attestation"
)

// methodGas is the gas that a get-method may use here, and on liteservers.
const methodGas = 1_000_000

// Limits of what a get-method may return: so many results, and so many values in
// them and their tuples. A tuple may be in another many times over, so a method
// without much gas makes more of them than there is memory.
const (
	maxMethodResult = 255
	maxMethodValues = 4096
)

// MethodEnv is what a contract sees of the chain while a get-method runs.
type MethodEnv struct {
	Config     *tvm.PreparedBlockchainConfig
	GlobalID   int32
	Time       time.Time // of the block
	LT         uint64    // of the block's end
	Address    *address.Address
	Balance    *big.Int
	Code       *cell.Cell
	PrevBlocks any // PrevBlocksInfo, or nil when it is not known
}

// C7 builds the SmartContractInfo tuple (c7[0], tag 0x076ef1ea), as liteservers
// do for get-methods: no message, no random seed.
func (e MethodEnv) C7() (tuple.Tuple, error) {
	bc, err := e.Config.NewBlockContext(tvm.BlockOptions{Now: uint32(e.Time.Unix()), GlobalID: e.GlobalID})
	if err != nil {
		return tuple.Tuple{}, err
	}
	zero := func() *big.Int { return new(big.Int) }
	var unpacked any
	if t, ok := bc.UnpackedConfig(); ok {
		unpacked = t
	}
	lt := new(big.Int).SetUint64(e.LT)
	vals := []any{
		big.NewInt(0x076ef1ea), zero(), zero(), // tag, actions, messages sent
		big.NewInt(e.Time.Unix()), lt, lt, zero(), // now, block lt, transaction lt, random seed
		tuple.NewTupleValue(new(big.Int).Set(e.Balance), nil),
		cell.BeginCell().MustStoreAddr(e.Address).ToSlice(), e.Config.Root(), e.Code,
		tuple.NewTupleValue(zero(), nil), zero(), e.PrevBlocks, // incoming value, storage fees, previous blocks
		unpacked, zero(), nil, // due payment, precompiled gas
	}
	if e.Config.GlobalVersion() >= 11 { // parameters of the inbound message
		vals = append(vals, tuple.NewTupleValue(zero(), zero(), cell.BeginCell().MustStoreUInt(0, 2).ToSlice(), zero(), zero(), zero(), zero(), zero(), nil, nil))
	}
	return tuple.NewTupleValue(tuple.NewTupleValue(vals...)), nil
}

// ExitError says that a get-method ended with an exit code other than 0 or 1.
type ExitError struct {
	Method string
	Code   int64
}

func (e *ExitError) Error() string {
	return fmt.Sprintf("get-method %s: exit code %d", e.Method, e.Code)
}

// run executes a get-method on code and data.
func (e MethodEnv) run(data *cell.Cell, name string, args []any) ([]any, error) {
	stack := vm.NewStack()
	for i, a := range args {
		if err := pushArg(stack, a); err != nil {
			return nil, attestation.BadInput("get-method %s: argument %d: %v", name, i, err)
		}
	}
	if err := stack.PushInt(new(big.Int).SetUint64(tlb.MethodNameHash(name))); err != nil {
		return nil, err
	}
	c7, err := e.C7()
	if err != nil {
		return nil, err
	}
	res, err := tvm.NewTVM().ExecuteGetMethod(e.Code, data, c7, vm.GasWithLimit(methodGas), stack, tvm.ExecutionConfig{Config: e.Config})
	if err != nil {
		return nil, fmt.Errorf("get-method %s: %w", name, err)
	}
	if res.ExitCode != 0 && res.ExitCode != 1 {
		return nil, &ExitError{name, int64(res.ExitCode)}
	}
	if res.Stack.Len() > maxMethodResult {
		return nil, attestation.Unknown("get-method %s: more than %d results", name, maxMethodResult)
	}
	return results(res.Stack, name)
}

// results takes the values off a stack; the top is the last.
func results(stack *vm.Stack, name string) ([]any, error) {
	left := maxMethodValues
	out := make([]any, stack.Len())
	for i := len(out) - 1; i >= 0; i-- {
		v, err := stack.PopAny()
		if err != nil {
			return nil, err
		}
		if out[i], err = hostValue(v, &left); err != nil {
			return nil, fmt.Errorf("get-method %s: %w", name, err)
		}
	}
	return out, nil
}

// pushArg pushes an argument: an integer, *big.Int, bool, *cell.Cell,
// *cell.Slice, attestation.Address (as slice), []byte of 32 (as uint256), nil.
func pushArg(s *vm.Stack, a any) error {
	switch v := a.(type) {
	case int:
		a = big.NewInt(int64(v))
	case int32:
		a = big.NewInt(int64(v))
	case int64:
		a = big.NewInt(v)
	case uint32:
		a = new(big.Int).SetUint64(uint64(v))
	case uint64:
		a = new(big.Int).SetUint64(v)
	case [32]byte:
		a = new(big.Int).SetBytes(v[:])
	case attestation.Address:
		a = cell.BeginCell().MustStoreAddr(tonAddress(v)).ToSlice()
	case bool:
		a = new(big.Int)
		if v {
			a = big.NewInt(-1)
		}
	case nil, *big.Int, *cell.Cell, *cell.Slice:
	default:
		return fmt.Errorf("unsupported type %T", a)
	}
	return s.PushAny(a)
}

// hostValue detaches a value from the machine that made it. Tuples become []any. left
// is how many more values there may be.
func hostValue(v any, left *int) (any, error) {
	if *left--; *left < 0 {
		return nil, attestation.Unknown("it returns more than %d values", maxMethodValues)
	}
	switch t := v.(type) {
	case tuple.Tuple:
		out := make([]any, t.Len())
		for i := range out {
			x, err := t.RawIndex(i)
			if err != nil {
				return nil, err
			}
			if out[i], err = hostValue(x, left); err != nil {
				return nil, err
			}
		}
		return out, nil
	case *cell.Cell:
		return t.WithoutTrace(), nil
	case *cell.Slice:
		return t.WithoutTrace(), nil
	}
	return v, nil
}
