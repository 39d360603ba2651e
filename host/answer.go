package host

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/translog"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/registry"
)

// answerInterval is between two looks for challenges. Silence loses only after
// a day or more.
const answerInterval = time.Minute

// answers proves, until ctx ends, what challenges ask of the node's log.
func (n *node) answers(ctx context.Context, proc *process) {
	tick := time.NewTicker(answerInterval)
	defer tick.Stop()
	for {
		if err := n.answerAll(ctx, proc); err != nil && ctx.Err() == nil {
			n.Log.Error("a challenge is not answered yet; it is tried again, and silence loses stake", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (n *node) answerAll(ctx context.Context, proc *process) error {
	rec, err := n.op.Record(ctx)
	if err != nil {
		return err
	}
	var errs []error
	if uncovered(rec) { // it can only be answered with an anchor
		if err := n.anchorOnce(ctx, proc); err != nil {
			errs = append(errs, err)
		} else if rec, err = n.op.Record(ctx); err != nil {
			return err
		}
	}
	for id, c := range rec.State.Book.Challenges {
		if err := n.answer(ctx, proc, rec, id, c); err != nil {
			errs = append(errs, fmt.Errorf("challenge %x: %w", id[:8], err))
		}
	}
	return errors.Join(errs...)
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

// answer sends the proof that a challenge asks for. It checks it first: a wrong
// one would cost fees and help nobody.
func (n *node) answer(ctx context.Context, proc *process, rec *registry.Node, id [32]byte, c contracts.Challenge) error {
	if rec.At.Time.Unix() > int64(c.Deadline) {
		return attestation.Refused("its time is over")
	}
	if c.Size == 0 {
		if rec.Anchor.Size <= c.Number {
			return attestation.Unknown("no anchor covers receipt %d yet", c.Number)
		}
		c.Size, c.Root = rec.Anchor.Size, rec.Anchor.Root
	}
	proof, err := challengeProof(ctx, c, func(ctx context.Context, path string) ([]byte, error) {
		return proc.get(ctx, "/log/"+path, 1<<14)
	})
	if err != nil {
		return err
	}
	n.Log.Info("answering a challenge", "challenge", fmt.Sprintf("%x", id[:8]))
	what := fmt.Sprintf("answer challenge %x of node %v at size %d", id, n.op.Node, c.Size)
	err = n.op.Send(ctx, what, contracts.ValueAnswer, func(q uint64) Message {
		return &contracts.Answer{QueryID: q, Challenge: id, Proof: proof}
	}, n.op.Node)
	return errors.Join(err, n.op.Told())
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
