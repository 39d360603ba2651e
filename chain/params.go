package chain

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/xssnick/tonutils-go/ton"
	"github.com/xssnick/tonutils-go/tvm/cell"
)

// ChainID implements [Reader]. It is asked and proved once. A chain of another
// network than that of the config's zerostate is "chain disagrees".
func (c *Client) ChainID(ctx context.Context) (int32, error) {
	c.mu.Lock()
	id := c.chainID
	c.mu.Unlock()
	if id != nil {
		return *id, nil
	}
	_, n, err := c.config(ctx, "the chain id", configParams)
	if err != nil {
		return 0, err
	}
	if err := c.checkChainID(n); err != nil {
		return 0, err
	}
	c.mu.Lock()
	c.chainID = &n
	c.mu.Unlock()
	return n, nil
}

// Params returns configuration parameters at the head, by number, proved
// (block.tlb, ConfigParam). A parameter that does not exist is left out.
func (c *Client) Params(ctx context.Context, ids ...int32) (map[int32]*cell.Cell, error) {
	want := slices.Clone(ids)
	for _, id := range []int32{8, 19} {
		if !slices.Contains(want, id) {
			want = append(want, id)
		}
	}
	root, _, err := c.config(ctx, "the configuration", want)
	if err != nil {
		return nil, err
	}
	kvs, err := root.AsDict(32).LoadAll()
	if err != nil {
		return nil, err
	}
	out := map[int32]*cell.Cell{}
	for _, kv := range kvs {
		id := int32(kv.Key.MustLoadInt(32))
		if slices.Contains(ids, id) {
			out[id] = kv.Value.MustLoadRef().MustToCell()
		}
	}
	return out, nil
}

// config returns configuration parameters at the head, as a dictionary of their
// own, and the chain id. Parameters 8 and 19 must be among them.
func (c *Client) config(ctx context.Context, what string, params []int32) (root *cell.Cell, globalID int32, err error) {
	h, err := c.head(ctx)
	if err != nil {
		return nil, 0, err
	}
	err = c.ask(ctx, what, func(ctx context.Context, s *server) error {
		proof, err := s.config(ctx, h.ID(), params)
		if err != nil {
			return err
		}
		if root, globalID, err = checkConfigSafe(h.ID(), proof, params); err != nil {
			return s.lie(what, err)
		}
		return nil
	})
	return root, globalID, err
}

// configParams are the parameters that get-methods see: version, storage
// prices, chain id, gas and forwarding prices, size limits.
var configParams = []int32{8, 18, 19, 20, 21, 24, 25, 43}

// checkConfigSafe is checkConfig of cells that nobody has looked at.
func checkConfigSafe(mc BlockID, proof []*cell.Cell, params []int32) (root *cell.Cell, globalID int32, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("malformed proof: %v", r)
		}
	}()
	if err := checkLevels(proof...); err != nil {
		return nil, 0, err
	}
	return checkConfig(mc, proof, params)
}

// checkConfig verifies configuration parameters after a masterchain block and
// returns them as a dictionary of their own. A parameter that does not exist is
// left out; 8 and 19 must exist.
func checkConfig(mc BlockID, proof []*cell.Cell, params []int32) (root *cell.Cell, globalID int32, err error) {
	extra, err := ton.CheckShardMcStateExtraProof(mc.ext(), proof)
	if err != nil {
		return nil, 0, err
	}
	all := extra.ConfigParams.Config.Params
	if all == nil {
		return nil, 0, errors.New("the proof does not hold it")
	}
	d := cell.NewDict(32)
	for _, id := range params {
		v, err := param(all, id)
		if errors.Is(err, cell.ErrNoSuchKeyInDict) && id != 8 && id != 19 {
			continue
		}
		if err == nil && id == 19 {
			globalID, err = chainID(v)
		}
		if err != nil {
			return nil, 0, fmt.Errorf("parameter %d: %w", id, err)
		}
		if err := d.SetIntKey(big.NewInt(int64(id)), cell.BeginCell().MustStoreRef(v).EndCell()); err != nil {
			return nil, 0, err
		}
	}
	return d.AsCell(), globalID, nil
}

// param looks up a parameter, all of which must be there.
func param(all *cell.Dictionary, id int32) (*cell.Cell, error) {
	v, err := all.LoadValueByIntKey(big.NewInt(int64(id)))
	if err != nil {
		return nil, err
	}
	c, err := v.LoadRefCell()
	if err != nil {
		return nil, err
	}
	return c, whole(c)
}

// chainID reads parameter 19: global_id:int32.
func chainID(c *cell.Cell) (int32, error) {
	s, err := c.BeginParse()
	if err != nil {
		return 0, err
	}
	n, err := s.LoadInt(32)
	return int32(n), err
}

// whole fails when something under c is pruned.
func whole(c *cell.Cell) error {
	if c.Level() != 0 {
		return errors.New("pruned")
	}
	return nil
}
