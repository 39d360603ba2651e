package devnet

import (
	"errors"

	"github.com/xssnick/tonutils-go/tlb"
	"github.com/xssnick/tonutils-go/ton"
	"github.com/xssnick/tonutils-go/tvm/cell"
)

// Proofs are made by reading what the verifier will read from a copy of the
// tree that remembers the cells it loaded. The C++ clients load more than
// tonutils-go does, so some cells are loaded here only for them.

// visit loads a cell and everything under it.
func visit(c *cell.Cell) error {
	s, err := c.BeginParse()
	if err != nil {
		return err
	}
	for s.RefsNum() > 0 {
		r, err := s.LoadRefCell()
		if err != nil {
			return err
		}
		if err := visit(r); err != nil {
			return err
		}
	}
	return nil
}

// touch loads one cell and nothing under it.
func touch(c *cell.Cell) error { _, err := c.BeginParse(); return err }

// blockProof proves the header of a block and the hashes of its state update,
// and of its extra part what with loads.
func blockProof(b *Block, with func(extra *cell.Slice) error) (*cell.Cell, error) {
	if b.Root == nil {
		return nil, errors.New("the zerostate is not a block")
	}
	pb := cell.NewMerkleProofBuilder(b.Root)
	s, err := pb.Root().BeginParse()
	if err != nil {
		return nil, err
	}
	part := make([]*cell.Cell, 4) // info, value_flow, state_update, extra
	for i := range part {
		if part[i], err = s.LoadRefCell(); err != nil {
			return nil, err
		}
	}
	if err := visit(part[0]); err != nil {
		return nil, err
	}
	if err := touch(part[2]); err != nil {
		return nil, err
	}
	extra, err := part[3].BeginParse()
	if err != nil {
		return nil, err
	}
	if with != nil {
		if err := with(extra); err != nil {
			return nil, err
		}
	}
	return pb.CreateProof()
}

// stateProof proves of the state after b what walk loads.
func stateProof(b *Block, walk func(st *tlb.ShardStateUnsplit) error) (*cell.Cell, error) {
	if b.State == nil {
		return nil, errNoState
	}
	pb := cell.NewMerkleProofBuilder(b.State)
	s, err := pb.Root().BeginParse()
	if err != nil {
		return nil, err
	}
	var st tlb.ShardStateUnsplit
	if err := tlb.LoadFromCell(&st, s); err != nil {
		return nil, err
	}
	// C++ unpacks the anonymous ^[...] of ShardStateUnsplit with the header
	if err := touch(st.Stats); err != nil {
		return nil, err
	}
	if err := walk(&st); err != nil {
		return nil, err
	}
	return pb.CreateProof()
}

// proveAccount proves an account of the state after b, or that it is absent.
func proveAccount(b *Block, addr []byte) ([]*cell.Cell, error) {
	bp, err := blockProof(b, nil)
	if err != nil {
		return nil, err
	}
	sp, err := stateProof(b, func(st *tlb.ShardStateUnsplit) error {
		_, _, err := st.Accounts.ShardAccounts.LoadValueExtra(bits256(addr))
		if errors.Is(err, cell.ErrNoSuchKeyInDict) {
			return nil
		}
		return err
	})
	return []*cell.Cell{bp, sp}, err
}

// mcExtra runs f on the McStateExtra of a masterchain state.
func mcExtra(f func(*tlb.McStateExtra) error) func(*tlb.ShardStateUnsplit) error {
	return func(st *tlb.ShardStateUnsplit) error {
		if st.McStateExtra == nil {
			return errors.New("not a masterchain block")
		}
		s, err := st.McStateExtra.BeginParse()
		if err != nil {
			return err
		}
		var ex tlb.McStateExtra
		if err := tlb.LoadFromCell(&ex, s); err != nil {
			return err
		}
		// likewise unpacked by C++ clients
		if err := touch(ex.Info); err != nil {
			return err
		}
		return f(&ex)
	}
}

// proveShard proves that the state after a masterchain block registers its
// basechain block.
func proveShard(b *Block) ([]*cell.Cell, error) {
	bp, err := blockProof(b, nil)
	if err != nil {
		return nil, err
	}
	sp, err := stateProof(b, mcExtra(func(ex *tlb.McStateExtra) error {
		_, err := ton.LoadShardsFromHashes(ex.ShardHashes, false)
		return err
	}))
	return []*cell.Cell{bp, sp}, err
}

// mcBlockExtra loads the McBlockExtra of a masterchain block's extra part.
func mcBlockExtra(extra *cell.Slice) (*cell.Cell, error) {
	for extra.RefsNum() > 1 { // in_msg_descr, out_msg_descr, account_blocks
		if _, err := extra.LoadRefCell(); err != nil {
			return nil, err
		}
	}
	return extra.LoadRefCell()
}

// proveShardHashes proves the whole McBlockExtra of a masterchain block: the shard
// blocks that it registers, and the configuration when it is a key block.
func proveShardHashes(b *Block) (*cell.Cell, error) {
	return blockProof(b, func(extra *cell.Slice) error {
		custom, err := mcBlockExtra(extra)
		if err != nil {
			return err
		}
		return visit(custom)
	})
}
