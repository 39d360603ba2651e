package devnet

import (
	"errors"
	"math/big"

	"github.com/xssnick/tonutils-go/tlb"
	"github.com/xssnick/tonutils-go/tvm/cell"
)

// proveConfig proves configuration parameters; nil means all.
func proveConfig(b *Block, params []int32) (block, state *cell.Cell, err error) {
	if block, err = blockProof(b, nil); err != nil {
		return nil, nil, err
	}
	state, err = stateProof(b, mcExtra(func(ex *tlb.McStateExtra) error {
		return visitParams(ex.ConfigParams.Config.Params, params)
	}))
	return block, state, err
}

// proveKeyConfig proves configuration parameters that a key block holds.
func proveKeyConfig(b *Block, params []int32) (*cell.Cell, error) {
	return blockProof(b, func(extra *cell.Slice) error {
		custom, err := mcBlockExtra(extra)
		if err != nil {
			return err
		}
		s, err := custom.BeginParse()
		if err != nil {
			return err
		}
		var mc tlb.McBlockExtra
		if err := tlb.LoadFromCellAsProof(&mc, s); err != nil {
			return err
		}
		if mc.ConfigParams == nil {
			return errors.New("not a key block")
		}
		return visitParams(mc.ConfigParams.Config.Params, params)
	})
}

// visitParams loads configuration parameters; nil means all.
func visitParams(d *cell.Dictionary, params []int32) error {
	var values []*cell.Slice
	if params == nil {
		kvs, err := d.LoadAll()
		if err != nil {
			return err
		}
		for _, kv := range kvs {
			values = append(values, kv.Value)
		}
	}
	for _, p := range params {
		v, err := d.LoadValueByIntKey(big.NewInt(int64(p)))
		if errors.Is(err, cell.ErrNoSuchKeyInDict) {
			continue
		}
		if err != nil {
			return err
		}
		values = append(values, v)
	}
	for _, v := range values {
		r, err := v.LoadRefCell()
		if err != nil {
			return err
		}
		if err := visit(r); err != nil {
			return err
		}
	}
	return nil
}
