package devnet

import (
	"bytes"
	"errors"
	"slices"

	"github.com/xssnick/tonutils-go/tl"
	"github.com/xssnick/tonutils-go/ton"
	"github.com/xssnick/tonutils-go/tvm/cell"
)

var errNoTx = lsError(-400, "cannot compute block with specified transaction: lt not in db")

// txAt returns a transaction of the chain and its block.
func (c *Chain) txAt(workchain int32, t txRef) (*cell.Cell, *Block, error) {
	c.mu.RLock()
	n, ok := c.hist.txs[txKey{workchain, t}]
	c.mu.RUnlock()
	if !ok {
		return nil, nil, errNoTx
	}
	b, err := c.blockAt(workchain, n)
	if err != nil {
		return nil, nil, err
	}
	tx, err := txCell(b, t)
	return tx, b, err
}

func (c *Chain) transactions(q ton.GetTransactions) (tl.Serializable, error) {
	if q.AccID == nil {
		return nil, errors.New("no account given")
	}
	res := ton.TransactionList{}
	var roots []*cell.Cell
	lt, hash := uint64(q.LT), q.TxHash
	for lt != 0 && len(roots) < min(int(q.Limit), maxTransactionList) {
		tx, b, err := c.txAt(q.AccID.Workchain, txRef{[32]byte(q.AccID.ID), lt})
		if err == nil && !bytes.Equal(tx.Hash(), hash) {
			err = errNoTx
		}
		if err != nil {
			return nil, err
		}
		roots, res.IDs = append(roots, tx), append(res.IDs, b.ID)
		s, err := tx.BeginParse()
		if err != nil {
			return nil, err
		}
		if _, err := s.LoadSlice(4 + 256 + 64); err != nil { // tag, account_addr, lt
			return nil, err
		}
		if hash, err = s.LoadSlice(256); err != nil {
			return nil, err
		}
		if lt, err = s.LoadUInt(64); err != nil {
			return nil, err
		}
	}
	if len(roots) > 0 {
		res.Transactions = cell.ToBOCWithOptions(roots, cell.BOCSerializeOptions{WithCRC32C: true})
	}
	return res, nil
}

func (c *Chain) oneTransaction(q ton.GetOneTransaction) (tl.Serializable, error) {
	if q.AccID == nil {
		return nil, errors.New("no account given")
	}
	b, master, err := c.find(q.ID)
	if err != nil {
		return nil, err
	}
	if b.ID.Workchain == masterchain && q.AccID.Workchain == basechain {
		b = master.shard
	}
	t := txRef{[32]byte(q.AccID.ID), uint64(q.LT)}
	if b.ID.Workchain != q.AccID.Workchain || !slices.Contains(b.txs, t) {
		return ton.TransactionInfo{ID: b.ID}, nil
	}
	tx, err := txCell(b, t)
	if err != nil {
		return nil, err
	}
	p, err := proveTxs(b, []txRef{t})
	if err != nil {
		return nil, err
	}
	return ton.TransactionInfo{ID: b.ID, Proof: p.ToBOC(), Transaction: tx.ToBOC()}, nil
}
