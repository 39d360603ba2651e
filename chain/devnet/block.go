package devnet

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math/big"

	"github.com/xssnick/tonutils-go/tlb"
	"github.com/xssnick/tonutils-go/ton"
	"github.com/xssnick/tonutils-go/tvm/cell"
)

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
