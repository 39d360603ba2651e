package devnet

import (
	"fmt"
	"math/big"

	"github.com/xssnick/tonutils-go/tlb"
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
