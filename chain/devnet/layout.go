package devnet

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"

	"github.com/xssnick/tonutils-go/tlb"
	"github.com/xssnick/tonutils-go/ton"
	"github.com/xssnick/tonutils-go/tvm/cell"
)

// This file writes the parts of block.tlb that tonutils-go reads but does not
// (fully) write. Field order and names follow crypto/block/block.tlb of the TON
// reference implementation.

const (
	masterchain = int32(-1)
	basechain   = int32(0)
	// fullShard is the shard identifier of a workchain that is not split.
	fullShard = int64(-0x8000000000000000)
	// ltAlign is the distance between the first logical times of two blocks.
	ltAlign = 1_000_000
	// catchainSeqno is the number of the validator session. This chain has one.
	catchainSeqno = 1
	// noMasterchainRef is min_ref_mc_seqno of a state that refers to none.
	noMasterchainRef = 0xffffffff
)

// must unwraps the result of building a cell from values that this package
// made and that fit: an error here is a bug of the package, not bad input.
// Collation recovers it and stops the chain.
func must[T any](v T, err error) T {
	if err != nil {
		panic(fmt.Sprintf("devnet: %v", err))
	}
	return v
}

func hashKey(c *cell.Cell) *cell.Cell { return bits256(c.Hash()) }

func bits256(b []byte) *cell.Cell { return cell.BeginCell().MustStoreSlice(b, 256).EndCell() }

// storeCoins writes a CurrencyCollection without extra currencies.
func storeCoins(b *cell.Builder, nano *big.Int) {
	b.MustStoreBigCoins(nano).MustStoreBoolBit(false)
}

func storeShardIdent(b *cell.Builder, workchain int32) {
	b.MustStoreUInt(0, 2).MustStoreUInt(0, 6).MustStoreInt(int64(workchain), 32).MustStoreUInt(0, 64)
}

func extRef(r *Block) tlb.ExtBlkRef {
	return tlb.ExtBlkRef{EndLt: r.EndLT, SeqNo: r.ID.SeqNo, RootHash: r.ID.RootHash, FileHash: r.ID.FileHash}
}

func storeExtRef(b *cell.Builder, r tlb.ExtBlkRef) {
	b.MustStoreUInt(r.EndLt, 64).MustStoreUInt(uint64(r.SeqNo), 32).MustStoreSlice(r.RootHash, 256).MustStoreSlice(r.FileHash, 256)
}

// stateParams are the fields of a shard_state#9023afe2 that vary here.
type stateParams struct {
	globalID      int32
	workchain     int32
	seqno, utime  uint32
	lt            uint64
	minRefMC      uint32
	queue         *cell.Cell // OutMsgQueueInfo
	accounts      *tlb.ShardAccountsAugDict
	balance       *big.Int
	validatorFees *big.Int
	master        *Block     // basechain: the masterchain block it refers to
	custom        *cell.Cell // masterchain: McStateExtra
}

func buildState(p stateParams) *cell.Cell {
	stats := cell.BeginCell().MustStoreUInt(0, 64).MustStoreUInt(0, 64) // overload, underload history
	storeCoins(stats, p.balance)
	storeCoins(stats, p.validatorFees)
	stats.MustStoreBoolBit(false) // libraries
	stats.MustStoreBoolBit(p.master != nil)
	if p.master != nil {
		storeExtRef(stats, extRef(p.master))
	}
	b := cell.BeginCell().MustStoreUInt(0x9023afe2, 32).MustStoreInt(int64(p.globalID), 32)
	storeShardIdent(b, p.workchain)
	b.MustStoreUInt(uint64(p.seqno), 32).MustStoreUInt(0, 32).MustStoreUInt(uint64(p.utime), 32).
		MustStoreUInt(p.lt, 64).MustStoreUInt(uint64(p.minRefMC), 32)
	b.MustStoreRef(p.queue).MustStoreBoolBit(false)
	b.MustStoreRef(must(p.accounts.ToCell())).MustStoreRef(stats.EndCell()).MustStoreMaybeRef(p.custom)
	return b.EndCell()
}

// oldMcBlocks is the augmentation of OldMcBlocksInfo (HashmapAugE 32
// KeyExtBlkRef KeyMaxLt), which the library only reads.
type oldMcBlocks struct{}

func (oldMcBlocks) SkipExtra(s *cell.Slice) error { _, err := s.LoadSlice(65); return err }

func (oldMcBlocks) EmptyExtra() (*cell.Cell, error) {
	return cell.BeginCell().MustStoreUInt(0, 65).EndCell(), nil
}

func (oldMcBlocks) LeafExtra(v *cell.Slice) (*cell.Cell, error) {
	v = v.Copy()
	key, err := v.LoadBoolBit()
	if err != nil {
		return nil, err
	}
	lt, err := v.LoadUInt(64)
	if err != nil {
		return nil, err
	}
	return cell.BeginCell().MustStoreBoolBit(key).MustStoreUInt(lt, 64).EndCell(), nil
}

func (oldMcBlocks) CombineExtra(l, r *cell.Slice) (*cell.Cell, error) {
	lk, err1 := l.LoadBoolBit()
	rk, err2 := r.LoadBoolBit()
	ll, err3 := l.LoadUInt(64)
	rl, err4 := r.LoadUInt(64)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return nil, err
	}
	return cell.BeginCell().MustStoreBoolBit(lk || rk).MustStoreUInt(max(ll, rl), 64).EndCell(), nil
}

// withBlock returns blocks with the masterchain block b added.
func withBlock(blocks *cell.AugmentedDictionary, b *Block) (*cell.AugmentedDictionary, error) {
	out := blocks.Copy()
	// the zerostate counts as a key block
	v := cell.BeginCell().MustStoreBoolBit(b.Key || b.ID.SeqNo == 0)
	storeExtRef(v, extRef(b))
	return out, out.SetIntKey(big.NewInt(int64(b.ID.SeqNo)), v.EndCell())
}

// oldBlock looks a masterchain block up in an OldMcBlocksInfo.
func oldBlock(blocks *cell.AugmentedDictionary, seqno uint32) (tlb.KeyExtBlkRef, error) {
	var ref tlb.KeyExtBlkRef
	v, err := blocks.LoadValueByIntKey(big.NewInt(int64(seqno)))
	if err != nil {
		return ref, err
	}
	return ref, tlb.LoadFromCell(&ref, v)
}

// mcExtraParams are the fields of masterchain_state_extra#cc26 that vary here.
type mcExtraParams struct {
	shards        *cell.Dictionary
	config        *config
	validatorHash uint32
	blocks        *cell.AugmentedDictionary
	afterKey      bool
	lastKey       *tlb.ExtBlkRef
	supply        *big.Int
}

func buildMcStateExtra(p mcExtraParams) *cell.Cell {
	info := cell.BeginCell().MustStoreUInt(0, 16). // flags: no block creation statistics
							MustStoreUInt(uint64(p.validatorHash), 32).MustStoreUInt(catchainSeqno, 32).MustStoreBoolBit(false).
							MustStoreBuilder(must(p.blocks.ToCell()).ToBuilder()).MustStoreBoolBit(p.afterKey)
	info.MustStoreBoolBit(p.lastKey != nil)
	if p.lastKey != nil {
		storeExtRef(info, *p.lastKey)
	}
	b := cell.BeginCell().MustStoreUInt(0xcc26, 16).MustStoreDict(p.shards).
		MustStoreSlice(p.config.address, 256).MustStoreRef(p.config.root).MustStoreRef(info.EndCell())
	storeCoins(b, p.supply)
	return b.EndCell()
}

func buildMcBlockExtra(shards *cell.Dictionary, key bool, cfg *config, shardFees *big.Int) *cell.Cell {
	fees := must(tlb.NewShardFeesAugDict())
	if shardFees.Sign() > 0 {
		v := cell.BeginCell()
		storeCoins(v, shardFees)
		storeCoins(v, new(big.Int)) // created
		k := cell.BeginCell().MustStoreInt(int64(basechain), 32).MustStoreUInt(1<<63, 64).EndCell()
		must(0, fees.Set(k, v.EndCell()))
	}
	b := cell.BeginCell().MustStoreUInt(0xcca5, 16).MustStoreBoolBit(key).MustStoreDict(shards).
		MustStoreBuilder(must(fees.ToCell()).ToBuilder()).
		// no previous signatures, recover or mint message
		MustStoreRef(cell.BeginCell().MustStoreUInt(0, 3).EndCell())
	if key {
		b.MustStoreSlice(cfg.address, 256).MustStoreRef(cfg.root)
	}
	return b.EndCell()
}

// shardDescr is the bare ShardDescr of a basechain block that the masterchain
// block with seqno regMC registers.
func shardDescr(shard *Block, regMC uint32) *cell.Cell {
	d := tlb.ShardDesc{
		SeqNo: shard.ID.SeqNo, RegMcSeqno: regMC, StartLT: shard.StartLT, EndLT: shard.EndLT,
		RootHash: shard.ID.RootHash, FileHash: shard.ID.FileHash, NextCatchainSeqNo: catchainSeqno,
		NextValidatorShard: shard.ID.Shard, MinRefMcSeqNo: regMC, GenUTime: shard.UTime,
		SplitMergeAt: tlb.FutureSplitMergeNone{},
	}
	d.Currencies.FeesCollected.Coins = tlb.FromNanoTON(shard.fees)
	return must(tlb.ToCell(d))
}

// shardHashes is the dictionary of top shard blocks: one workchain, one leaf.
func shardHashes(shard *Block, regMC uint32) *cell.Dictionary {
	leaf := cell.BeginCell().MustStoreBoolBit(false).MustStoreBuilder(shardDescr(shard, regMC).ToBuilder()).EndCell()
	d := cell.NewDict(32)
	must(0, d.SetIntKey(big.NewInt(int64(shard.ID.Workchain)), cell.BeginCell().MustStoreRef(leaf).EndCell()))
	return d
}

// flow are the sums of value_flow#b8e48dfb. They balance:
// from + imported + feesImported = to + exported + fees.
type flow struct {
	from, to, imported, exported, fees, feesImported *big.Int
}

func (f flow) cell() *cell.Cell {
	zero := new(big.Int)
	in := cell.BeginCell()
	for _, v := range []*big.Int{f.from, f.to, f.imported, f.exported} {
		storeCoins(in, v)
	}
	other := cell.BeginCell()
	for _, v := range []*big.Int{f.feesImported, zero, zero, zero} { // recovered, created, minted
		storeCoins(other, v)
	}
	b := cell.BeginCell().MustStoreUInt(0xb8e48dfb, 32).MustStoreRef(in.EndCell())
	storeCoins(b, f.fees)
	return b.MustStoreRef(other.EndCell()).EndCell()
}

func (f flow) balanced() bool {
	in := new(big.Int).Add(f.from, f.imported)
	out := new(big.Int).Add(f.to, f.exported)
	return in.Add(in, f.feesImported).Cmp(out.Add(out, f.fees)) == 0
}

// envelope is msg_envelope#4: curBits and 96 of the destination's bits are
// routed, fwdFee of the forwarding fee is left.
func envelope(msg *cell.Cell, curBits uint64, fwdFee *big.Int) *cell.Cell {
	return cell.BeginCell().MustStoreUInt(4, 4).MustStoreUInt(curBits, 8).MustStoreUInt(96, 8).
		MustStoreBigCoins(fwdFee).MustStoreRef(msg).EndCell()
}

// blockParams are the parts of block#11ef55aa.
type blockParams struct {
	globalID           int32
	workchain          int32
	seqno, utime       uint32
	startLT, endLT     uint64
	key                bool
	validatorHash      uint32
	minRefMC, prevKey  uint32
	master, prev       *Block
	oldState, newState *cell.Cell
	flow               flow
	in, out, accounts  *cell.Cell
	seed               []byte
	createdBy          []byte
	custom             *cell.Cell
	version            uint32
	capabilities       uint64
}

func buildBlock(p blockParams) (*Block, error) {
	h := tlb.BlockHeader{
		PrevRef:     tlb.BlkPrevInfo{Prev1: extRef(p.prev)},
		GenSoftware: &tlb.GlobalVersion{Version: p.version, Capabilities: p.capabilities},
	}
	h.NotMaster, h.KeyBlock, h.Flags, h.SeqNo = p.workchain != masterchain, p.key, 1, p.seqno
	h.Shard = tlb.ShardIdent{WorkchainID: p.workchain}
	h.GenUtime, h.StartLt, h.EndLt = p.utime, p.startLT, p.endLT
	h.GenValidatorListHashShort, h.GenCatchainSeqno = p.validatorHash, catchainSeqno
	h.MinRefMcSeqno, h.PrevKeyBlockSeqno = p.minRefMC, p.prevKey
	if h.NotMaster {
		r := extRef(p.master)
		h.MasterRef = &r
	}
	info, err := h.ToCell()
	if err != nil {
		return nil, fmt.Errorf("block header: %w", err)
	}
	if !p.flow.balanced() {
		return nil, fmt.Errorf("value flow does not balance: from %d + imported %d + fees imported %d != to %d + exported %d + fees %d", p.flow.from, p.flow.imported, p.flow.feesImported, p.flow.to, p.flow.exported, p.flow.fees)
	}
	update, err := stateUpdate(p.oldState, p.newState)
	if err != nil {
		return nil, fmt.Errorf("state update: %w", err)
	}
	extra := cell.BeginCell().MustStoreUInt(0x4a33f6fd, 32).MustStoreRef(p.in).MustStoreRef(p.out).MustStoreRef(p.accounts).
		MustStoreSlice(p.seed, 256).MustStoreSlice(p.createdBy, 256).MustStoreMaybeRef(p.custom).EndCell()
	root := cell.BeginCell().MustStoreUInt(0x11ef55aa, 32).MustStoreInt(int64(p.globalID), 32).
		MustStoreRef(info).MustStoreRef(p.flow.cell()).MustStoreRef(update).MustStoreRef(extra).EndCell()
	boc := root.ToBOCWithOptions(cell.BOCSerializeOptions{WithCRC32C: true, WithIndex: true, WithCacheBits: true, WithTopHash: true, WithIntHashes: true})
	fileHash := sha256.Sum256(boc)
	return &Block{
		ID:   &ton.BlockIDExt{Workchain: p.workchain, Shard: fullShard, SeqNo: p.seqno, RootHash: root.Hash(), FileHash: fileHash[:]},
		Root: root, BoC: boc, State: p.newState, StartLT: p.startLT, EndLT: p.endLT, UTime: p.utime, Key: p.key, fees: p.flow.fees,
	}, nil
}

// Block is a masterchain or basechain block together with the state after it.
// A Block does not change once it is part of the chain.
type Block struct {
	ID             *ton.BlockIDExt
	Root           *cell.Cell // nil for the zerostate
	BoC            []byte
	State          *cell.Cell
	StartLT, EndLT uint64
	UTime          uint32
	Key            bool

	fees     *big.Int                  // collected in this block
	accounts *tlb.ShardAccountsAugDict // of State
	blocks   *cell.AugmentedDictionary // masterchain: OldMcBlocksInfo of State
	lastKey  *tlb.ExtBlkRef            // masterchain: the newest key block up to and with this one
	sigs     []ton.Signature           // masterchain
	shard    *Block                    // masterchain: the basechain block it registers
	txs      []txRef
}

// txRef names a transaction of a block.
type txRef struct {
	account [32]byte
	lt      uint64
}

// compare orders transactions as a liteserver lists them.
func (t txRef) compare(o txRef) int {
	if c := bytes.Compare(t.account[:], o.account[:]); c != 0 {
		return c
	}
	switch {
	case t.lt < o.lt:
		return -1
	case t.lt > o.lt:
		return 1
	}
	return 0
}
