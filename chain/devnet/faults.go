package devnet

import (
	"context"
	"time"

	"github.com/xssnick/tonutils-go/tl"
	"github.com/xssnick/tonutils-go/ton"
)

// Fault is how a liteserver misbehaves. The zero Fault is an honest one.
type Fault struct {
	// Match selects the queries that are affected; nil: all. The query is
	// without its waitMasterchainSeqno prefix.
	Match func(query tl.Serializable) bool
	// Drop leaves queries without an answer. What the query asks for happens all
	// the same: a message sent is taken.
	Drop bool
	// Refuse leaves queries without an answer and without effect.
	Refuse bool
	// Instead, when not nil, makes the answer, and what the query asks for does not
	// happen: a server that says it has taken a message, and has not.
	Instead func(query tl.Serializable) tl.Serializable
	// Delay holds answers back.
	Delay time.Duration
	// Duplicate sends every answer this many times more.
	Duplicate int
	// Error, when not nil, is the answer.
	Error *ton.LSError
	// Head, when not zero, is the number of the masterchain block that the
	// liteserver says is the newest: an old head.
	Head uint32
	// Forge changes an answer before it is sent. It must not change what honest
	// points to; it may return any other answer, also a *ton.LSError.
	Forge func(query, honest tl.Serializable) tl.Serializable
}

// Inject makes the liteserver misbehave from now on; Inject(Fault{}) ends it.
func (s *Liteserver) Inject(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

// Disconnect closes all connections. Clients may connect again.
func (s *Liteserver) Disconnect() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.Close()
	}
}

// respond makes the answer to a query; ok is false when there is none.
func (s *Liteserver) respond(ctx context.Context, f Fault, q tl.Serializable) (resp tl.Serializable, ok bool) {
	bare := q
	if list, isList := q.([]tl.Serializable); isList && len(list) > 0 {
		bare = list[len(list)-1]
	}
	if f.Match != nil && !f.Match(bare) {
		f = Fault{}
	}
	if f.Refuse {
		return nil, false
	}
	if f.Instead != nil {
		return f.Instead(bare), true
	}
	resp, err := s.chain.Answer(ctx, q)
	if f.Head > 0 {
		if b, e := s.chain.masterAt(f.Head); e == nil {
			switch r := resp.(type) {
			case ton.MasterchainInfo:
				r.Last = b.ID
				resp = r
			case ton.MasterchainInfoExt:
				r.Last, r.LastUTime = b.ID, b.UTime
				resp = r
			}
		}
	}
	if err != nil {
		resp = asError(err)
	}
	if f.Forge != nil {
		resp = f.Forge(bare, resp)
	}
	if f.Error != nil {
		resp = *f.Error
	}
	if f.Delay > 0 {
		select {
		case <-time.After(f.Delay):
		case <-ctx.Done():
		}
	}
	return resp, !f.Drop
}
