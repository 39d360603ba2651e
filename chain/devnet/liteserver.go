package devnet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/xssnick/tonutils-go/tl"
	"github.com/xssnick/tonutils-go/ton"
	"github.com/xssnick/tonutils-go/tvm/cell"
)

const (
	liteserverVersion      = 0x101
	liteserverCapabilities = 7
	maxTransactionList     = 16              // as the reference liteserver
	maxBlockTransactions   = 256             // likewise
	maxWait                = 2 * time.Minute // of waitMasterchainSeqno
	methodGas              = 1_000_000
	fromKeyBlock           = 0x8000 // mode of configuration queries
)

// lsError makes an error that liteservers report with a code.
func lsError(code int32, format string, a ...any) error {
	return ton.LSError{Code: code, Text: fmt.Sprintf(format, a...)}
}

// Answer answers one liteserver query from the chain as it is: what an honest
// liteserver says. Errors are [ton.LSError] where the protocol has a code.
func (c *Chain) Answer(ctx context.Context, query tl.Serializable) (resp tl.Serializable, err error) {
	defer func() {
		if r := recover(); r != nil { // malformed cells in a query
			resp, err = nil, fmt.Errorf("query %T: %v", query, r)
		}
	}()
	if list, ok := query.([]tl.Serializable); ok {
		if query, err = c.afterWaits(ctx, list); err != nil {
			return nil, err
		}
	}
	return c.answer(query)
}

// afterWaits waits for what comes before a query as a prefix
// (waitMasterchainSeqno), and returns the query.
func (c *Chain) afterWaits(ctx context.Context, list []tl.Serializable) (tl.Serializable, error) {
	if len(list) == 0 {
		return nil, errors.New("empty query")
	}
	last := len(list) - 1
	for _, p := range list[:last] {
		if w, ok := p.(ton.WaitMasterchainSeqno); ok {
			if err := c.waitQuery(ctx, w); err != nil {
				return nil, err
			}
		}
	}
	return list[last], nil
}

// answer has a case for each query that this liteserver knows.
func (c *Chain) answer(query tl.Serializable) (tl.Serializable, error) {
	switch q := query.(type) {
	case ton.GetMasterchainInf:
		return c.masterchainInfo(), nil
	case ton.GetMasterchainInfoExt:
		return c.masterchainInfoExt(), nil
	case ton.GetTime:
		return ton.CurrentTime{Now: c.unixNow()}, nil
	case ton.GetVersion:
		return ton.Version{Version: liteserverVersion, Capabilities: liteserverCapabilities, Now: c.unixNow()}, nil
	case ton.SendMessage:
		return c.takeMessage(q.Body)
	case ton.GetAccountState:
		return c.accountState(q.ID, q.Account, false)
	case ton.GetAccountStatePruned:
		return c.accountState(q.ID, q.Account, true)
	case ton.RunSmcMethod:
		return c.runMethod(q)
	case ton.GetTransactions:
		return c.transactions(q)
	case ton.GetOneTransaction:
		return c.oneTransaction(q)
	case ton.GetBlockData:
		return c.blockData(q.ID)
	case ton.GetState:
		return c.blockState(q.ID)
	case ton.GetBlockHeader:
		return c.blockHeader(q)
	case ton.LookupBlock:
		return c.lookupBlock(q)
	case ton.GetAllShardsInfo:
		return c.allShards(q)
	case ton.GetShardInfo:
		return c.shardInfo(q)
	case ton.ListBlockTransactions:
		return c.listBlock(q)
	case ton.ListBlockTransactionsExt:
		return c.listBlockExt(q)
	case ton.GetShardBlockProof:
		return c.shardBlockProof(q)
	case ton.GetBlockOutMsgQueueSize:
		return c.queueSize(q)
	case ton.GetOutMsgQueueSizes:
		return c.queueSizes(q)
	case ton.GetConfigAll:
		return c.config(q.Mode, q.BlockID, nil)
	case ton.GetConfigParams: // none named is not all of them
		return c.config(q.Mode, q.BlockID, append([]int32{}, q.Params...))
	case ton.GetBlockProof:
		return c.proofChain(q)
	case ton.GetLibraries:
		return ton.LibraryResult{Result: []*ton.LibraryEntry{}}, nil
	}
	return nil, lsError(601, "unsupported query %T", query)
}

func (c *Chain) masterchainInfo() tl.Serializable {
	h := c.Head()
	return ton.MasterchainInfo{Last: h.ID, StateRootHash: h.State.Hash(), Init: c.zeroState()}
}

func (c *Chain) masterchainInfoExt() tl.Serializable {
	h := c.Head()
	return ton.MasterchainInfoExt{
		Version: liteserverVersion, Capabilities: liteserverCapabilities, Last: h.ID, LastUTime: h.UTime,
		Now: c.unixNow(), StateRootHash: h.State.Hash(), Init: c.zeroState(),
	}
}

// takeMessage is Send for clients of a liteserver.
func (c *Chain) takeMessage(boc []byte) (tl.Serializable, error) {
	m, err := cell.FromBOC(boc)
	if err != nil {
		return nil, err
	}
	if err := c.Send(m); err != nil {
		return nil, fmt.Errorf("cannot apply external message to current state : %w", err)
	}
	return ton.SendMessageStatus{Status: 1}, nil
}

func (c *Chain) zeroState() *ton.ZeroStateIDExt {
	z := c.hist.zero // set once, at start
	return &ton.ZeroStateIDExt{Workchain: masterchain, RootHash: z.RootHash, FileHash: z.FileHash}
}

func (c *Chain) waitQuery(ctx context.Context, w ton.WaitMasterchainSeqno) error {
	d := min(time.Duration(w.Timeout)*time.Millisecond, maxWait)
	wctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	err := c.waitFor(wctx, uint32(w.Seqno))
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return lsError(652, "block %d is not there after %v", w.Seqno, d)
	}
	return err
}
