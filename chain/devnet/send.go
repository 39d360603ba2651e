package devnet

import (
	"errors"
	"fmt"

	"github.com/xssnick/tonutils-go/address"
	"github.com/xssnick/tonutils-go/tlb"
	"github.com/xssnick/tonutils-go/tvm"
	"github.com/xssnick/tonutils-go/tvm/cell"
)

// ErrNotAccepted says that a contract refused an external message.
var ErrNotAccepted = errors.New("external message was not accepted")

// external is an external message that waits for a block.
type external struct {
	msg *tvm.PreparedMessage
	to  int32
}

// maxPool is how many external messages may wait for a block.
const maxPool = 20_000

// Send checks that the receiver accepts an external message on the newest state
// and takes it for the next block. A message that already waits is taken once.
// A refusal is [ErrNotAccepted].
func (c *Chain) Send(msg *cell.Cell) error {
	pm, err := tvm.PrepareMessage(msg)
	if err != nil {
		return err
	}
	if pm.Message().MsgType != tlb.MsgTypeExternalIn {
		return errors.New("not an external inbound message")
	}
	c.mu.RLock()
	head, cfg, closed, full := c.hist.head(), c.cfg, c.closed, len(c.pool) >= maxPool
	waiting := c.pooled[msg.HashKey()]
	c.mu.RUnlock()
	switch {
	case closed:
		return ErrClosed
	case waiting:
		return nil
	case full:
		return errors.New("too many external messages wait")
	}
	if err := c.accepts(head, cfg, pm); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if h := msg.HashKey(); !c.pooled[h] {
		c.pooled[h] = true
		c.pool = append(c.pool, &external{msg: pm, to: receiver(pm).Workchain()})
	}
	return nil
}

// receiver is where an external message goes.
func receiver(m *tvm.PreparedMessage) *address.Address { return m.Message().AsExternalIn().DestAddr() }

// accepts runs the receiver on the state after head until it accepts the
// message or does not.
func (c *Chain) accepts(head *Block, cfg *config, pm *tvm.PreparedMessage) error {
	dst, holder := receiver(pm), head
	switch dst.Workchain() {
	case masterchain:
	case basechain:
		holder = head.shard
	default:
		return fmt.Errorf("no workchain %d", dst.Workchain())
	}
	sa, err := shardAccount(holder.accounts, dst.Data())
	if err != nil {
		return err
	}
	acc, err := tvm.PrepareAccount(sa, dst)
	if err != nil {
		return err
	}
	prevBlocks, err := previousBlocks(head)
	if err != nil {
		return err
	}
	ctx, err := cfg.prepared.NewBlockContext(tvm.BlockOptions{
		Now: max(c.unixNow(), head.UTime), BlockLT: int64(nextLT(head.EndLT)), PrevBlocks: prevBlocks, GlobalID: c.opts.GlobalID,
		RandSeed: blockSeed(dst.Workchain(), holder.ID.SeqNo+1),
	})
	if err != nil {
		return err
	}
	ok, err := c.vm.CheckExternalMessageAccepted(ctx, acc, pm, tvm.TransactionOptions{})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotAccepted, err)
	}
	if !ok {
		return ErrNotAccepted
	}
	return nil
}
