package devnet

import (
	"github.com/xssnick/tonutils-go/tlb"
	"github.com/xssnick/tonutils-go/tvm/cell"
)

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
