package host

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/translog"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/registry"
	"github.com/cocoon-go/cocoon/internal/command"
)

// answerInterval is between two looks for challenges. Silence loses only after
// a day or more.
const answerInterval = time.Minute

// LogSource is where the log of a node lies.
type LogSource struct {
	Tiles translog.Fetch // what it returns is compared with the chain
	// Head returns the newest head that the log key signed, nil when none can be had.
	Head func(context.Context) (*contracts.SignedHead, error)
}

// StoredLog is the log in a directory, as an enclave leaves it there, with the head
// that [Up] stored in a node's directory.
func StoredLog(logDir, nodeDir string, node attestation.Address) LogSource {
	return LogSource{
		Tiles: newStoredLog(logDir, node).fetch,
		Head:  func(context.Context) (*contracts.SignedHead, error) { return headIn(nodeDir).load() },
	}
}

// answerer proves what challenges ask of a node's log. It needs the log and, where
// an anchor is missing, a signed head: neither an enclave nor a registration.
type answerer struct {
	LogSource
	op   *Operator
	busy *sync.Mutex // held while the operator pays
	idle func() bool // no enclave anchors what the newest head covers
}

// Answer answers the challenges of the node that are open, and returns those that it
// answered. What the newest head covers and the chain does not is anchored first.
func (o *Operator) Answer(ctx context.Context, log LogSource) ([][32]byte, error) {
	a := &answerer{LogSource: log, op: o, busy: new(sync.Mutex), idle: func() bool { return true }}
	return a.round(ctx)
}

// KeepAnswering answers challenges until ctx ends, or until nothing of the node is at
// stake any more, which is no error.
func (o *Operator) KeepAnswering(ctx context.Context, log LogSource) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	a := &answerer{LogSource: log, op: o, busy: new(sync.Mutex), idle: func() bool { return true }}
	a.run(ctx, func(rec *registry.Node) bool { return live(rec) || atStake(rec) })
	return nil
}

// run answers until ctx ends, or while says that there is nothing to answer for.
func (a *answerer) run(ctx context.Context, while func(*registry.Node) bool) {
	tick := time.NewTicker(answerInterval)
	defer tick.Stop()
	last := ""
	for {
		_, err := a.round(ctx)
		switch {
		case err == nil:
			last = ""
		case ctx.Err() == nil && err.Error() != last: // the same is not said every minute
			last = err.Error()
			a.op.Log.Error("a challenge is not answered yet; it is tried again, and silence loses stake", "err", err)
		}
		if rec, err := a.op.Record(ctx); err == nil && !while(rec) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// round answers the challenges that are open, and returns those that it answered.
func (a *answerer) round(ctx context.Context) (done [][32]byte, err error) {
	rec, err := a.op.Record(ctx)
	if errors.Is(err, registry.ErrNoContract) {
		return nil, nil // nobody can challenge a node that is not there
	} else if err != nil {
		return nil, err
	}
	var errs []error
	if uncovered(rec) || a.idle() {
		if err := a.anchor(ctx, rec); err != nil {
			errs = append(errs, err)
		}
	}
	for _, id := range byDeadline(rec.State.Book.Challenges) {
		answered, err := a.answer(ctx, id)
		if answered {
			done = append(done, id)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("challenge %x: %w", id[:8], err))
		}
	}
	return done, errors.Join(errs...)
}

// byDeadline returns the ids of challenges, most urgent first.
func byDeadline(open map[[32]byte]contracts.Challenge) [][32]byte {
	return slices.SortedFunc(maps.Keys(open), func(a, b [32]byte) int {
		return cmp.Or(cmp.Compare(open[a].Deadline, open[b].Deadline), slices.Compare(a[:], b[:]))
	})
}

// uncovered says whether a receipt that somebody challenged is in no anchor yet.
func uncovered(rec *registry.Node) bool {
	for _, c := range rec.State.Book.Challenges {
		if !c.Log && c.Size == 0 && c.Number >= rec.Anchor.Size {
			return true
		}
	}
	return false
}

// anchor puts the newest head on the chain, paid by the wallet, when the chain has
// a smaller one. The contract takes it whatever became of the registration.
func (a *answerer) anchor(ctx context.Context, rec *registry.Node) error {
	h, err := a.Head(ctx)
	if err != nil || h == nil || h.Size <= rec.Anchor.Size || h.Epoch != rec.Current && !uncovered(rec) {
		return err
	}
	a.busy.Lock()
	defer a.busy.Unlock()
	a.op.Log.Info("anchoring the newest head of the log", "size", h.Size)
	if err := a.op.Anchor(ctx, h); err != nil {
		return fmt.Errorf("anchoring %d receipts: %w", h.Size, err)
	}
	return a.op.Told()
}

// answer sends the proof that a challenge asks for, once, and says whether it is
// answered. Where another anchor came between, the contract has fixed the tree only
// now, and the next proof is good.
func (a *answerer) answer(ctx context.Context, id [32]byte) (bool, error) {
	a.busy.Lock()
	defer a.busy.Unlock()
	done, err := a.prove(ctx, id)
	if refusedWith(err, contracts.CodeBadProof) {
		done, err = a.prove(ctx, id)
	}
	if refusedWith(err, contracts.CodeNoChallenge) {
		a.op.Log.Info("somebody else has answered", "challenge", fmt.Sprintf("%x", id[:8]))
		return false, nil
	}
	return done, errors.Join(err, a.op.Told())
}

// refusedWith says whether a contract that was paid refused with a code.
func refusedWith(err error, code int) bool {
	var r *RefusalError
	return errors.As(err, &r) && r.Code == code && !r.Foreseen
}

// prove makes the proof by the chain as it is now, and checks it: a wrong one would
// cost fees and help nobody.
func (a *answerer) prove(ctx context.Context, id [32]byte) (bool, error) {
	what := fmt.Sprintf("answer challenge %x of node %v", id, a.op.Node)
	found, err := a.op.resume(ctx, what)
	if err != nil {
		return false, err // before the look at the record: it may be over by now
	}
	rec, err := a.op.Record(ctx)
	if err != nil {
		return false, err
	}
	c, open := rec.State.Book.Challenges[id]
	if !open {
		return found, nil
	}
	if found { // answered, and then challenged again
		if err := a.op.Told(); err != nil {
			return false, err
		}
	}
	if rec.At.Time.Unix() > int64(c.Deadline) {
		return false, attestation.Refused("it was not answered until %s: whoever settles it takes %s coins of stake", time.Unix(int64(c.Deadline), 0).UTC().Format(time.RFC3339), command.Coins(c.Loss))
	}
	if c.Size == 0 {
		if rec.Anchor.Size <= c.Number {
			return false, attestation.Unknown("no anchor covers receipt %d, nor does a signed head that is here: only another boot of the enclave can sign one", c.Number)
		}
		c.Size, c.Root = rec.Anchor.Size, rec.Anchor.Root
	}
	proof, err := challengeProof(ctx, c, a.Tiles)
	if err != nil {
		return false, err
	}
	a.op.Log.Info("answering a challenge", "challenge", fmt.Sprintf("%x", id[:8]))
	err = a.op.Send(ctx, what, contracts.ValueAnswer, func(q uint64) Message {
		return &contracts.Answer{QueryID: q, Challenge: id, Proof: proof}
	}, a.op.Node)
	return err == nil, err
}

// challengeProof makes the proof that a challenge asks for from the log's tiles.
func challengeProof(ctx context.Context, c contracts.Challenge, fetch translog.Fetch) ([][32]byte, error) {
	tiles, err := translog.NewTileReader(c.Size, c.Root, fetch)
	if err != nil {
		return nil, err
	}
	var proof [][32]byte
	if c.Log {
		_, proof, err = tiles.ConsistencyProof(ctx, c.Number)
	} else {
		proof, err = tiles.InclusionProof(ctx, c.Number)
	}
	if err != nil {
		return nil, err
	}
	if err := c.Verify(proof); err != nil {
		return nil, err
	}
	return proof, nil
}
