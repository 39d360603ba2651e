package enclave

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/registry"
	"github.com/cocoon-go/cocoon/enclave/ledger"
)

// staleHead is how old the latest proved head may be before the enclave stops
// answering (docs/spec/claims.md: older is "could not find out").
const staleHead = 120 * time.Second

// Run waits for the registration of this boot, opens the log, and then watches
// the chain until ctx ends or the epoch is over. It returns nil when ctx ends.
func (e *Enclave) Run(ctx context.Context) error {
	defer e.stop()
	tick := time.NewTicker(e.opts.Poll)
	defer tick.Stop()
	for {
		if err := e.look(ctx); err != nil && ctx.Err() == nil {
			var over *overError
			if errors.As(err, &over) {
				return err
			}
			e.log.Warn("looking at the chain failed", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (e *Enclave) stop() {
	e.enter(StateStopped)
	if s := e.serve.Swap(nil); s != nil {
		if err := s.ledger.Close(); err != nil {
			e.log.Warn("closing the log failed", "err", err)
		}
	}
	if err := e.gpus.release(context.Background()); err != nil {
		e.log.Warn("stopping the GPUs failed", "err", err)
	}
}

// overError says that this boot can't go on: no later look helps.
type overError struct{ error }

func (e *overError) Unwrap() error { return e.error }

func over(format string, a ...any) error {
	return &overError{attestation.ChainDisagrees(format, a...)}
}

// look reads the head and the node's record once, and acts on them.
func (e *Enclave) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := e.readHead(ctx); err != nil {
		return err
	}
	node, err := e.opts.Chain.Node(ctx, e.cfg.Node)
	if err != nil {
		return fmt.Errorf("reading the node's record: %w", err)
	}
	if s := e.serve.Load(); s != nil {
		return e.followChain(node, s)
	}
	return e.awaitRegistration(ctx, node)
}

// awaitRegistration serves once the proved record holds the claims of this
// boot, and makes evidence again when it waited too long.
func (e *Enclave) awaitRegistration(ctx context.Context, node *registry.Node) error {
	b := e.bundle.Load()
	rec, ok := node.Epoch(e.epoch)
	switch {
	case node.Current > e.epoch, node.Current == e.epoch && ok && !e.ours(rec):
		return over("epoch %d of node %v was registered by another boot; start again", e.epoch, node.Address)
	case !ok || node.Current != e.epoch || !rec.Active:
		if !ok && e.opts.Now().Sub(b.made) > quoteAgain {
			return e.collectAgain(ctx)
		}
		return nil
	}
	if b = e.madeBefore(rec.ClaimsDigest); b == nil {
		return over("epoch %d is registered with our keys and claims that we never made", e.epoch)
	}
	e.bundle.Store(b) // the host may have registered evidence that was replaced since
	e.enter(StateLog)
	l, err := ledger.Open(e.opts.DataDir, e.genesis(node, public(e.receiptKey)))
	if err != nil {
		return &overError{fmt.Errorf("opening the log: %w", err)}
	}
	e.mu.Lock()
	e.anchored = node.Anchor
	if l.Size() > node.Anchor.Size { // leaves of earlier boots that still wait for an anchor
		e.pending = []pendingLeaf{{l.Size() - 1, e.opts.Now()}}
	}
	e.mu.Unlock()
	e.serve.Store(&serving{ledger: l, digest: b.digest})
	e.enter(StateServe)
	return nil
}

// collectAgain makes evidence over a newer block. GPUs that turn out to be others,
// or to be in another mode, end this boot: the engine has used them by then.
func (e *Enclave) collectAgain(ctx context.Context) error {
	err := e.collect(ctx)
	var no *attestation.FalseError
	var refused *attestation.RefusedError
	if errors.As(err, &no) || errors.As(err, &refused) {
		return &overError{fmt.Errorf("making evidence again: %w", err)}
	}
	return err
}

// madeBefore returns the evidence of this boot with the given claims digest.
func (e *Enclave) madeBefore(digest [32]byte) *booted {
	for _, b := range e.made {
		if b.digest == digest {
			return b
		}
	}
	return nil
}

// ours says whether a record was made by this boot: evidence may have been made
// again, keys never are.
func (e *Enclave) ours(rec registry.Epoch) bool {
	return rec.ReceiptKey == public(e.receiptKey) && rec.LogKey == public(e.logKey)
}

// followChain takes note of the latest anchor, and stops when another boot has
// taken over, or when the log is broken.
func (e *Enclave) followChain(node *registry.Node, s *serving) error {
	if err := s.ledger.Err(); err != nil {
		return &overError{err} // no answer would get a receipt
	}
	if node.Current != e.epoch {
		return over("epoch %d is over: epoch %d is registered", e.epoch, node.Current)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if node.Anchor.Size < e.anchored.Size {
		return nil // an older state than one that was proved before
	}
	e.anchored = node.Anchor
	for len(e.pending) > 0 && e.pending[0].index < node.Anchor.Size {
		e.pending = e.pending[1:]
	}
	return nil
}

// appended notes that a leaf was written. Leaves of one second share a note:
// the time of the first, the index of the last.
func (e *Enclave) appended(index uint64) {
	now := e.opts.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	if n := len(e.pending); n > 0 && now.Sub(e.pending[n-1].at) < time.Second {
		e.pending[n-1].index = max(index, e.pending[n-1].index)
		return
	}
	e.pending = append(e.pending, pendingLeaf{index, now})
}

// refusal says why no request may start now, or "" when one may. The reasons
// are part of the sealed answer (docs/spec/sealed.md).
func (e *Enclave) refusal() string {
	if e.State() != StateServe {
		return "not serving"
	}
	if s := e.serve.Load(); s == nil || s.ledger.Err() != nil {
		return "log broken"
	}
	now := e.opts.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	if now.Sub(e.head.Time) > staleHead {
		return "chain unreachable"
	}
	if len(e.pending) > 0 && now.Sub(e.pending[0].at) > e.mergeDelay {
		return "anchor overdue"
	}
	return ""
}
