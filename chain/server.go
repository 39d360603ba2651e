package chain

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xssnick/tonutils-go/tl"
	"github.com/xssnick/tonutils-go/ton"
	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
)

// errConnection says that a server was not reached, or the connection ended.
var errConnection = errors.New("no connection")

// maxBlockWait is how long a server may wait for a block it does not have yet.
const maxBlockWait = 3 * time.Second

// server is one liteserver and the connection to it.
type server struct {
	liteserver
	lies atomic.Int64

	mu     sync.Mutex
	conn   *adnlConn // nil: not connected yet
	closed bool
}

// lie makes the error for an answer that does not hold.
func (s *server) lie(what string, err error) error {
	return &LyingServerError{Server: s.String(), What: what, Err: err}
}

// connect returns the connection, made anew when there is none or it has ended.
func (s *server) connect(ctx context.Context) (*adnlConn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errors.New("client is closed")
	}
	if s.conn != nil && s.conn.ended() == nil {
		return s.conn, nil
	}
	c, err := dialADNL(ctx, s.addr, s.key)
	if err != nil {
		return nil, fmt.Errorf("liteserver %s: %w: %w", s, errConnection, err)
	}
	s.conn = c
	return c, nil
}

func (s *server) close() {
	s.mu.Lock()
	c := s.conn
	s.conn, s.closed = nil, true
	s.mu.Unlock()
	if c != nil {
		c.close(net.ErrClosed)
	}
}

// query asks the server. An error that it reports is an error of the server,
// not a fact about the chain.
func (s *server) query(ctx context.Context, req tl.Serializable) (tl.Serializable, error) {
	c, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	b, err := c.query(ctx, req)
	if err != nil {
		return nil, fmt.Errorf("liteserver %s: %w", s, err)
	}
	resp, err := parseAnswer(b)
	if err != nil {
		return nil, s.lie("something", err)
	}
	switch e := resp.(type) {
	case ton.LSError:
		return nil, &saidError{s.String(), e.Code, e.Text}
	case error: // busy
		return nil, &saidError{server: s.String(), text: e.Error()}
	}
	return resp, nil
}

// parseAnswer reads one boxed TL value and nothing after it.
func parseAnswer(b []byte) (resp tl.Serializable, err error) {
	defer func() { // malformed cells
		if r := recover(); r != nil {
			resp, err = nil, fmt.Errorf("malformed answer: %v", r)
		}
	}()
	rest, err := tl.Parse(&resp, b, true)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%d bytes after the answer", len(rest))
	}
	if err != nil {
		// the library's text quotes the answer
		return nil, errors.New("malformed answer")
	}
	return resp, nil
}

// queryAt asks about a masterchain block; a server that does not have it yet may
// wait for it a moment.
func (s *server) queryAt(ctx context.Context, seqno uint32, req tl.Serializable) (tl.Serializable, error) {
	wait := maxBlockWait
	if d, ok := ctx.Deadline(); ok {
		wait = min(wait, time.Until(d))
	}
	prefix, err := tl.Serialize(ton.WaitMasterchainSeqno{Seqno: int32(seqno), Timeout: int32(wait.Milliseconds())}, true)
	if err != nil {
		return nil, err
	}
	q, err := tl.Serialize(req, true)
	if err != nil {
		return nil, err
	}
	return s.query(ctx, tl.Raw(append(prefix, q...)))
}

// header returns the proved header of a block whose identifier is known.
func (s *server) header(ctx context.Context, id BlockID) (h blockHeader, err error) {
	c, err := s.headerProof(ctx, id)
	if err != nil {
		return h, err
	}
	return checkHeader(c, id)
}

// links asks for a part of the way from one masterchain block to another: steps for
// [newLink], of which nothing is looked at but their number.
func (s *server) links(ctx context.Context, from, to BlockID) ([]any, error) {
	resp, err := s.queryAt(ctx, max(from.Seqno, to.Seqno), ton.GetBlockProof{Mode: 1, KnownBlock: from.ext(), TargetBlock: to.ext()})
	if err != nil {
		return nil, err
	}
	r, err := answerOf[ton.PartialBlockProof](s, "the masterchain", resp)
	if err != nil {
		return nil, err
	}
	if n := len(r.Steps); n == 0 || n > maxLinks {
		return nil, s.lie("the masterchain", fmt.Errorf("a proof of %d links", n))
	}
	return r.Steps, nil
}

// lookup asks for the identifier of the masterchain block with a number. It is
// not proved.
func (s *server) lookup(ctx context.Context, seqno uint32) (BlockID, error) {
	if seqno > math.MaxInt32 {
		return BlockID{}, attestation.BadInput("block number %d", seqno)
	}
	resp, err := s.query(ctx, ton.LookupBlock{Mode: 1, ID: &ton.BlockInfoShort{Workchain: masterchain, Shard: fullShard, Seqno: int32(seqno)}})
	if err != nil {
		return BlockID{}, err
	}
	r, err := answerOf[ton.BlockHeader](s, "an old block", resp)
	if err != nil {
		return BlockID{}, err
	}
	id, err := blockID(r.ID)
	if err != nil || id.Seqno != seqno {
		return BlockID{}, s.lie("an old block", errors.New("it is another block"))
	}
	return id, nil
}

// account asks for the state of an account after a block, and the configuration.
func (s *server) account(ctx context.Context, mc BlockID, addr attestation.Address) (*accountParts, error) {
	what := "account " + addr.String()
	type conf struct {
		proof []*cell.Cell
		err   error
	}
	done := make(chan conf, 1)
	go func() {
		p, err := s.config(ctx, mc, configParams)
		done <- conf{p, err}
	}()
	resp, err := s.queryAt(ctx, mc.Seqno, ton.GetAccountState{ID: mc.ext(), Account: ton.AccountID{Workchain: addr.Workchain, ID: addr.Hash[:]}})
	cfg := <-done
	if err = errors.Join(err, cfg.err); err != nil {
		return nil, err
	}
	r, err := answerOf[ton.AccountState](s, what, resp)
	if err != nil {
		return nil, err
	}
	if id, err := blockID(r.ID); err != nil || id != mc {
		return nil, s.lie(what, errors.New("the answer is about another block"))
	}
	p := &accountParts{proof: r.Proof, state: r.State, config: cfg.proof}
	if addr.Workchain != masterchain {
		if r.Shard == nil || len(r.Shard.RootHash) != 32 || len(r.Shard.FileHash) != 32 {
			return nil, s.lie(what, errors.New("no shard block"))
		}
		p.shard, p.shardProof = r.Shard, r.ShardProof
	}
	return p, nil
}

// config asks for configuration parameters after a block.
func (s *server) config(ctx context.Context, mc BlockID, params []int32) ([]*cell.Cell, error) {
	const what = "the configuration"
	resp, err := s.queryAt(ctx, mc.Seqno, ton.GetConfigParams{BlockID: mc.ext(), Params: params})
	if err != nil {
		return nil, err
	}
	r, err := answerOf[ton.ConfigAll](s, what, resp)
	if err != nil {
		return nil, err
	}
	header, err := parseCell(r.StateProof)
	if err != nil {
		return nil, s.lie(what, err)
	}
	state, err := parseCell(r.ConfigProof)
	if err != nil {
		return nil, s.lie(what, err)
	}
	return []*cell.Cell{header, state}, nil
}

// head asks for the newest masterchain block. Nothing of it is proved.
func (s *server) head(ctx context.Context) (BlockID, error) {
	resp, err := s.query(ctx, ton.GetMasterchainInf{})
	if err != nil {
		return BlockID{}, err
	}
	info, ok := resp.(ton.MasterchainInfo)
	if !ok {
		return BlockID{}, s.lie("the masterchain head", fmt.Errorf("answer of type %T", resp))
	}
	id, err := blockID(info.Last)
	if err != nil {
		return BlockID{}, s.lie("the masterchain head", err)
	}
	return id, nil
}
