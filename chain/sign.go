package chain

import (
	"context"
	"fmt"

	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
)

// sign takes the wallet's next sequence number for an intent and saves it.
func (w *Writer) sign(ctx context.Context, in *Intent, msgs []Message) error {
	acc, err := w.client.Account(ctx, w.Address())
	if err != nil {
		return err
	}
	if err := w.stalled(acc); err != nil {
		return fmt.Errorf("nothing was signed: %w", err)
	}
	need, err := w.needs(acc, msgs)
	if err != nil {
		return err
	}
	if acc.Balance.Cmp(need) < 0 {
		return attestation.BadInput("%w", &ShortError{Wallet: w.Address(), Holds: acc.Balance, Needs: need})
	}
	seqno, err := w.seqno(acc)
	if err != nil {
		return err
	}
	in.Seqno, in.LT, in.Block, in.Messages = seqno, acc.LastLT, acc.Block.Seqno, nil
	return w.resign(in, acc)
}

// resign signs the orders of an intent once more, for the same sequence number.
func (w *Writer) resign(in *Intent, acc *Account) error {
	var cells []*cell.Cell
	for _, o := range in.Orders {
		c, err := cell.FromBOC(o)
		if err != nil {
			return fmt.Errorf("payment journal: %w", err)
		}
		cells = append(cells, c)
	}
	// counted from the block: the wallet compares with the time of blocks
	until := acc.Block.Time.Add(messageLife)
	ext, err := w.wallet.transfer(in.Seqno, until, !acc.Active(), cells)
	if err != nil {
		return err
	}
	b, err := boc(ext)
	if err != nil {
		return err
	}
	in.Messages, in.ExpiresAt = append(in.Messages, b), until.Unix()
	in.Messages = in.Messages[max(0, len(in.Messages)-maxSigned):]
	return w.save(in)
}

// seqno reads the wallet's sequence number from its proved state.
func (w *Writer) seqno(acc *Account) (uint32, error) {
	if acc.Frozen {
		return 0, attestation.BadInput("wallet %s is frozen", w.Address())
	}
	if !acc.Active() {
		return 0, nil
	}
	if acc.Code.HashKey() != w.wallet.init.Code.HashKey() {
		return 0, attestation.ChainDisagrees("wallet %s runs other code than V5R1", w.Address())
	}
	n, err := walletSeqno(acc.Data)
	if err != nil {
		return 0, attestation.ChainDisagrees("wallet %s: %v", w.Address(), err)
	}
	return n, nil
}

// stalled reports that the wallet's shard is so far behind the masterchain that
// waiting for it is no use.
func (w *Writer) stalled(acc *Account) error {
	if lag := acc.Block.Time.Sub(acc.ShardTime); lag > maxShardLag {
		return attestation.Unknown("the newest block of the shard of wallet %s is %s older than the masterchain's: the shard has stalled", w.Address(), lag)
	}
	return nil
}
