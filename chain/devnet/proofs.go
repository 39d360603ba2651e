package devnet

import (
	"errors"
	"fmt"
	"math/big"

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

// accountBlocks positions on the ShardAccountBlocks of a block's extra part.
func accountBlocks(extra *cell.Slice) (*tlb.ShardAccountBlocks, error) {
	if _, err := extra.LoadUInt(32); err != nil {
		return nil, err
	}
	var r *cell.Cell
	for range 3 { // in_msg_descr, out_msg_descr, account_blocks
		var err error
		if r, err = extra.LoadRefCell(); err != nil {
			return nil, err
		}
	}
	s, err := r.BeginParse()
	if err != nil {
		return nil, err
	}
	var sab tlb.ShardAccountBlocks
	return &sab, tlb.LoadFromCell(&sab, s)
}

// loadTx loads one transaction's reference from account blocks.
func loadTx(sab *tlb.ShardAccountBlocks, t txRef) (*cell.Cell, error) {
	v, _, err := sab.Accounts.LoadValueExtra(bits256(t.account[:]))
	if err != nil {
		return nil, err
	}
	var ab tlb.AccountBlock
	if err := tlb.LoadFromCell(&ab, v); err != nil {
		return nil, err
	}
	tv, _, err := ab.Transactions.LoadValueExtra(cell.BeginCell().MustStoreUInt(t.lt, 64).EndCell())
	if err != nil {
		return nil, err
	}
	return tv.PeekRefCell()
}

// proveTxs proves transactions of a block down to their cell hashes.
func proveTxs(b *Block, txs []txRef) (*cell.Cell, error) {
	return blockProof(b, func(extra *cell.Slice) error {
		sab, err := accountBlocks(extra)
		if err != nil {
			return err
		}
		for _, t := range txs {
			if _, err := loadTx(sab, t); err != nil {
				return err
			}
		}
		return nil
	})
}

// txCell returns a transaction of a block.
func txCell(b *Block, t txRef) (*cell.Cell, error) {
	extra, err := b.Root.PeekRef(3)
	if err != nil {
		return nil, err
	}
	s, err := extra.BeginParse()
	if err != nil {
		return nil, err
	}
	sab, err := accountBlocks(s)
	if err != nil {
		return nil, err
	}
	return loadTx(sab, t)
}

// maxLinks is the number of links in one answer to getBlockProof.
const maxLinks = 16

// links proves to from from: back to a key block where needed, then forward
// from key block to key block. complete is false when more links are needed
// than one answer holds; the last link's end is then the block to go on from.
func (c *Chain) links(from, to *Block) (steps []any, end *ton.BlockIDExt, complete bool, err error) {
	if from.ID.SeqNo == to.ID.SeqNo {
		return nil, to.ID, true, nil
	}
	if from.ID.SeqNo > to.ID.SeqNo {
		step, err := backward(from, to)
		return []any{step}, to.ID, true, err
	}
	// The key blocks after from, newest first, found through the headers.
	var keys []*Block
	for at := to; ; {
		n := at.prevKey()
		if n <= from.ID.SeqNo {
			break
		}
		if at, err = c.masterAt(n); err != nil {
			return nil, nil, false, err
		}
		keys = append(keys, at)
	}
	src := from
	if !from.Key { // signatures are checked with the validators of a key block
		if from.prevKey() == 0 {
			return nil, nil, false, fmt.Errorf("block %d is before the first key block", from.ID.SeqNo)
		}
		if src, err = c.masterAt(from.prevKey()); err != nil {
			return nil, nil, false, err
		}
		step, err := backward(from, src)
		if err != nil {
			return nil, nil, false, err
		}
		steps = append(steps, step)
	}
	for i := len(keys) - 1; i >= -1; i-- {
		dst := to
		if i >= 0 {
			dst = keys[i]
		}
		if len(steps) == maxLinks {
			return steps, src.ID, false, nil
		}
		step, err := forward(src, dst, c.vals.hash)
		if err != nil {
			return nil, nil, false, err
		}
		steps = append(steps, step)
		src = dst
	}
	return steps, to.ID, true, nil
}

// prevKey is the number of the newest key block before b, from its header.
func (b *Block) prevKey() uint32 {
	info, err := b.Root.PeekRef(0)
	if err != nil {
		return 0
	}
	var h tlb.BlockHeader
	s, err := info.BeginParse()
	if err != nil || h.LoadFromCell(s) != nil {
		return 0
	}
	return h.PrevKeyBlockSeqno
}

// backward proves an older block through the list of old blocks in a state.
func backward(from, to *Block) (step ton.BlockLinkBackward, err error) {
	dest, err := blockProof(to, nil)
	if err != nil {
		return step, err
	}
	bp, err := blockProof(from, nil)
	if err != nil {
		return step, err
	}
	sp, err := stateProof(from, mcExtra(func(ex *tlb.McStateExtra) error {
		s, err := ex.Info.BeginParse()
		if err != nil {
			return err
		}
		var info tlb.McStateExtraBlockInfo
		if err := tlb.LoadFromCell(&info, s); err != nil {
			return err
		}
		// C++ clients also look the zerostate up
		for _, n := range []uint32{0, to.ID.SeqNo} {
			if _, _, err := info.PrevBlocks.LoadValueExtraByIntKey(big.NewInt(int64(n))); err != nil {
				return err
			}
		}
		return nil
	}))
	if err != nil {
		return step, err
	}
	return ton.BlockLinkBackward{ToKeyBlock: to.Key, From: from.ID, To: to.ID, DestProof: dest.ToBOC(), Proof: bp.ToBOC(), StateProof: sp.ToBOC()}, nil
}

// forward proves a newer block by the signatures of the validators that a key
// block names.
func forward(from, to *Block, validatorHash uint32) (step ton.BlockLinkForward, err error) {
	dest, err := blockProof(to, nil)
	if err != nil {
		return step, err
	}
	conf, err := proveShardHashes(from) // and the configuration
	if err != nil {
		return step, err
	}
	return ton.BlockLinkForward{
		ToKeyBlock: to.Key, From: from.ID, To: to.ID, DestProof: dest.ToBOC(), ConfigProof: conf.ToBOC(),
		SignatureSet: ton.SignatureSetOrdinary{ValidatorSetHash: int32(validatorHash), CatchainSeqno: catchainSeqno, Signatures: to.sigs},
	}, nil
}
