package devnet

import (
	"bytes"
	"container/heap"
	"encoding/binary"
	"fmt"
	"math/big"
	"slices"

	"github.com/xssnick/tonutils-go/tlb"
	"github.com/xssnick/tonutils-go/tvm"
	"github.com/xssnick/tonutils-go/tvm/cell"
)

// mark is a position in the delivery order of internal messages: logical time
// of creation, then hash.
type mark struct {
	lt   uint64
	hash [32]byte
}

func (m mark) compare(o mark) int {
	if m.lt != o.lt {
		if m.lt < o.lt {
			return -1
		}
		return 1
	}
	return bytes.Compare(m.hash[:], o.hash[:])
}

// inbound is an internal message on its way.
type inbound struct {
	mark
	msg    *tvm.PreparedMessage
	to     int32      // destination workchain
	fwdFee *big.Int   // left for the forwarding
	source *cell.Cell // transaction that made it; nil when it came from a queue
	env    *cell.Cell // envelope in the queue it came from
	from   int32      // workchain that made it
}

func newInbound(msg *cell.Cell) (*inbound, error) {
	pm, err := tvm.PrepareMessage(msg)
	if err != nil {
		return nil, err
	}
	if pm.Message().MsgType != tlb.MsgTypeInternal {
		return nil, fmt.Errorf("not an internal message: %s", pm.Message().MsgType)
	}
	in := pm.Message().AsInternal()
	return &inbound{mark: mark{in.CreatedLT, msg.HashKey()}, msg: pm, to: in.DstAddr.Workchain(), fwdFee: in.FwdFee.Nano()}, nil
}

// arrivals is a heap of messages in delivery order.
type arrivals []*inbound

func (a arrivals) Len() int           { return len(a) }
func (a arrivals) Less(i, j int) bool { return a[i].compare(a[j].mark) < 0 }
func (a arrivals) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *arrivals) Push(x any)        { *a = append(*a, x.(*inbound)) }
func (a *arrivals) Pop() any {
	old := *a
	x := old[len(old)-1]
	*a = old[:len(old)-1]
	return x
}
func (a *arrivals) add(m *inbound) { heap.Push(a, m) }
func (a *arrivals) next() *inbound { return heap.Pop(a).(*inbound) }

// outQueue is OutMsgQueueInfo of a state: messages that a block left for later
// blocks, and how far the workchain has processed what others left for it.
type outQueue struct {
	dict  *tlb.OutMsgQueueAugDict
	items []*inbound // the same messages, in delivery order
	done  mark       // every message to this workchain up to here is processed
	refMC uint32     // masterchain block that done refers to
}

// copy returns a queue whose changes do not show in q.
func (q *outQueue) copy() *outQueue {
	n := *q
	n.dict = &tlb.OutMsgQueueAugDict{AugmentedDictionary: q.dict.Copy()}
	n.items = slices.Clone(q.items)
	return &n
}

// key is the 352-bit key of the queue: next hop workchain and prefix, hash.
func (in *inbound) key() *cell.Cell {
	prefix := binary.BigEndian.Uint64(in.msg.Message().AsInternal().DstAddr.Data())
	return cell.BeginCell().MustStoreInt(int64(in.to), 32).MustStoreUInt(prefix, 64).MustStoreSlice(in.hash[:], 256).EndCell()
}

// push enqueues a message with its envelope.
func (q *outQueue) push(in *inbound, env *cell.Cell, lt uint64) error {
	v := must(tlb.EnqueuedMsg{EnqueuedLT: lt, Msg: env}.ToCell())
	if err := q.dict.Set(in.key(), v); err != nil {
		return fmt.Errorf("enqueue message: %w", err)
	}
	stored := *in
	stored.source, stored.env = nil, env
	i, _ := slices.BinarySearchFunc(q.items, in.mark, func(a *inbound, m mark) int { return a.compare(m) })
	q.items = slices.Insert(q.items, i, &stored)
	return nil
}

// remove dequeues messages of items.
func (q *outQueue) remove(gone []*inbound) error {
	if len(gone) == 0 {
		return nil
	}
	set := make(map[mark]bool, len(gone))
	for _, in := range gone {
		if err := q.dict.Delete(in.key()); err != nil {
			return fmt.Errorf("dequeue message: %w", err)
		}
		set[in.mark] = true
	}
	q.items = slices.DeleteFunc(q.items, func(x *inbound) bool { return set[x.mark] })
	return nil
}

// cell writes OutMsgQueueInfo: out_queue, proc_info, no extra.
func (q *outQueue) cell() *cell.Cell {
	proc := cell.NewDict(96)
	if q.done != (mark{}) {
		// ProcessedUpto: last_msg_lt last_msg_hash, by shard and masterchain block
		k := cell.BeginCell().MustStoreUInt(1<<63, 64).MustStoreUInt(uint64(q.refMC), 32).EndCell()
		must(0, proc.Set(k, cell.BeginCell().MustStoreUInt(q.done.lt, 64).MustStoreSlice(q.done.hash[:], 256).EndCell()))
	}
	return cell.BeginCell().MustStoreBuilder(must(q.dict.ToCell()).ToBuilder()).MustStoreDict(proc).MustStoreBoolBit(false).EndCell()
}

// loadQueue reads the queue of a stored state.
func loadQueue(c *cell.Cell, workchain int32) (*outQueue, error) {
	s, err := c.BeginParse()
	if err != nil {
		return nil, err
	}
	var info tlb.OutMsgQueueInfo
	if err := info.LoadFromCell(s); err != nil {
		return nil, err
	}
	q := &outQueue{dict: info.OutQueue}
	items, err := q.dict.RangeExtra(false, false)
	if err != nil {
		return nil, err
	}
	for _, it := range items {
		var m tlb.EnqueuedMsg
		if err := m.LoadFromCell(it.Value); err != nil {
			return nil, err
		}
		es, err := m.Msg.BeginParse()
		if err != nil {
			return nil, err
		}
		var env tlb.MsgEnvelope
		if err := env.LoadFromCell(es); err != nil {
			return nil, err
		}
		in, err := newInbound(env.Msg)
		if err != nil {
			return nil, err
		}
		in.env, in.from, in.fwdFee = m.Msg, workchain, env.FwdFeeRemaining.Nano()
		q.items = append(q.items, in)
	}
	slices.SortFunc(q.items, func(a, b *inbound) int { return a.compare(b.mark) })
	procs, err := info.ProcInfo.LoadAll()
	if err != nil {
		return nil, err
	}
	for _, kv := range procs {
		if _, err := kv.Key.LoadUInt(64); err != nil {
			return nil, err
		}
		ref, err1 := kv.Key.LoadUInt(32)
		lt, err2 := kv.Value.LoadUInt(64)
		h, err3 := kv.Value.LoadSlice(256)
		if err1 != nil || err2 != nil || err3 != nil {
			return nil, fmt.Errorf("processed info is malformed")
		}
		q.refMC, q.done = uint32(ref), mark{lt, [32]byte(h)}
	}
	return q, nil
}
