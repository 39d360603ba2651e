package devnet

import (
	"errors"
	"slices"

	"github.com/xssnick/tonutils-go/tl"
	"github.com/xssnick/tonutils-go/tlb"
	"github.com/xssnick/tonutils-go/ton"
	"github.com/xssnick/tonutils-go/tvm/cell"
)

// Flags of the queries that list a block's transactions.
const (
	wantProof    = 1 << 5
	reverseOrder = 1 << 6
	hasAfter     = 1 << 7
)

// selectTxs returns the transactions of a block that a query asks for, and
// whether there are more.
func selectTxs(b *Block, mode, count uint32, after *ton.TransactionID3) (txs []txRef, more bool, err error) {
	txs = slices.Clone(b.txs)
	slices.SortFunc(txs, txRef.compare)
	if mode&reverseOrder != 0 {
		slices.Reverse(txs)
	}
	if mode&hasAfter != 0 && after != nil {
		i := slices.Index(txs, txRef{[32]byte(after.Account), after.LT})
		if i < 0 {
			return nil, false, errNoTx
		}
		txs = txs[i+1:]
	}
	n := min(len(txs), int(count), maxBlockTransactions)
	return txs[:n], n < len(txs), nil
}

func (c *Chain) listBlock(q ton.ListBlockTransactions) (tl.Serializable, error) {
	b, err := c.findBlock(q.ID)
	if err != nil {
		return nil, err
	}
	txs, more, err := selectTxs(b, q.Mode, q.Count, q.After)
	if err != nil {
		return nil, err
	}
	res := ton.BlockTransactions{ID: b.ID, ReqCount: int32(q.Count), Incomplete: more}
	for _, t := range txs {
		tx, err := txCell(b, t)
		if err != nil {
			return nil, err
		}
		res.TransactionIds = append(res.TransactionIds, ton.TransactionID{Flags: 7, Account: slices.Clone(t.account[:]), LT: t.lt, Hash: tx.Hash()})
	}
	if q.Mode&wantProof != 0 {
		res.Proof, err = proveTxs(b, txs)
	}
	return res, err
}

// listBlockExt is listBlock with the transactions themselves.
func (c *Chain) listBlockExt(q ton.ListBlockTransactionsExt) (tl.Serializable, error) {
	b, err := c.findBlock(q.ID)
	if err != nil {
		return nil, err
	}
	txs, more, err := selectTxs(b, q.Mode, q.Count, q.After)
	if err != nil {
		return nil, err
	}
	res := ton.BlockTransactionsExt{ID: b.ID, ReqCount: int32(q.Count), Incomplete: more, Transactions: []*cell.Cell{}}
	for _, t := range txs {
		tx, err := txCell(b, t)
		if err != nil {
			return nil, err
		}
		res.Transactions = append(res.Transactions, tx)
	}
	if q.Mode&wantProof != 0 {
		p, err := proveTxs(b, txs)
		if err != nil {
			return nil, err
		}
		res.Proof = p.ToBOC()
	}
	return res, nil
}

// shardBlockProof leads from the masterchain to a basechain block. Each is
// registered by the masterchain block with its number, so one link does.
func (c *Chain) shardBlockProof(q ton.GetShardBlockProof) (tl.Serializable, error) {
	b, master, err := c.find(q.ID)
	if err != nil {
		return nil, err
	}
	if b.ID.Workchain == masterchain || master == nil {
		return nil, errors.New("not a shard block")
	}
	p, err := proveShardHashes(master)
	if err != nil {
		return nil, err
	}
	return ton.ShardBlockProof{MasterchainID: master.ID, Links: []ton.ShardBlockLink{{ID: b.ID, Proof: p.ToBOC()}}}, nil
}

// queueSize counts the messages that wait in the queue after a block.
func (c *Chain) queueSize(q ton.GetBlockOutMsgQueueSize) (tl.Serializable, error) {
	b, err := c.findBlock(q.ID)
	if err != nil {
		return nil, err
	}
	n, err := queued(b)
	if err != nil {
		return nil, err
	}
	if q.Mode&1 != 0 {
		return nil, lsError(601, "no proof of a queue's size: states here don't count it")
	}
	return ton.BlockOutMsgQueueSize{Mode: q.Mode, ID: b.ID, Size: int64(n)}, nil
}

// maxQueue is what a liteserver says of the length at which it takes no more
// external messages.
const maxQueue = 8000

func (c *Chain) queueSizes(q ton.GetOutMsgQueueSizes) (tl.Serializable, error) {
	head := c.Head()
	res := ton.OutMsgQueueSizes{Shards: []ton.OutMsgQueueSize{}, ExtMsgQueueSizeLimit: maxQueue}
	for _, b := range []*Block{head, head.shard} {
		if q.Mode&1 != 0 && q.WC != b.ID.Workchain {
			continue
		}
		n, err := queued(b)
		if err != nil {
			return nil, err
		}
		res.Shards = append(res.Shards, ton.OutMsgQueueSize{ID: b.ID, Size: int32(n)})
	}
	return res, nil
}

// queued counts the messages in the queue of the state after b.
func queued(b *Block) (int, error) {
	if b.State == nil {
		return 0, errNoState
	}
	var st tlb.ShardStateUnsplit
	if err := tlb.Parse(&st, b.State); err != nil {
		return 0, err
	}
	q, err := loadQueue(st.OutMsgQueueInfo, b.ID.Workchain)
	if err != nil {
		return 0, err
	}
	return len(q.items), nil
}
