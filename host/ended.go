package host

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/xssnick/tonutils-go/tlb"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/registry"
)

// ending is how the newest registration of a node ended.
type ending struct {
	at   time.Time
	how  contracts.NodeEvent // EventOther: the chain's history does not say
	code int                 // of the registry's policy, when it was rechecked
	back bool                // the operator has added stake since
	cut  error               // why the history that was read does not reach back to it; nil: it does
}

func (e ending) String() string {
	at := e.at.UTC().Format(time.RFC3339)
	switch e.how {
	case contracts.EventRetired:
		return "its operator unregistered the node at " + at
	case contracts.EventRechecked:
		return fmt.Sprintf("the registry's policy refused it at %s, when somebody asked: %s", at, contracts.ErrorName(e.code))
	case contracts.EventFault:
		return "a fault of the node was proved at " + at + ", and its stake was cut"
	}
	if e.cut != nil {
		return fmt.Sprintf("it ended at %s, and how is not known: %v", at, e.cut)
	}
	return "it ended at " + at
}

// live says whether clients count a node's registration.
func live(rec *registry.Node) bool {
	return rec.State.Status == contracts.StatusActive && rec.At.Time.Unix() < int64(rec.State.Expires)
}

// atStake says whether a challenge of the node's log can still cost something, or is
// open.
func atStake(rec *registry.Node) bool {
	return rec.Current != 0 && rec.State.Stake+rec.State.Unbonding > 0 || len(rec.State.Book.Challenges) > 0
}

// maxHistory bounds how many transactions are read to find out how a registration
// ended: after its end there are few. Tests lower it.
var maxHistory = 1000

// errCut says that a node has more transactions than are read.
var errCut = errors.New("the node has too many transactions since")

// ending finds out how a registration ended that is over, from the node's own
// transactions. Anybody can make many of them, and servers forget old ones: what
// was not read back to the end is [ending.cut], and no error.
func (o *Operator) ending(ctx context.Context, rec *registry.Node) (ending, error) {
	end := ending{at: time.Unix(int64(rec.State.Expires), 0)}
	if rec.State.Status != contracts.StatusInactive {
		return end, nil // its time was over
	}
	acc, err := o.Client.Account(ctx, rec.Address)
	if err != nil {
		return end, err
	}
	var read []chain.Transaction // also of a history that the servers do not tell to its end
	_, err = o.Client.History(ctx, acc, maxHistory, func(t *chain.Transaction) bool {
		read = append(read, *t)
		return t.Time.Before(end.at)
	})
	var unknown *attestation.UnknownError
	switch {
	case errors.As(err, &unknown) && ctx.Err() == nil:
		o.Log.Warn("how the registration ended is not known: the chain's servers do not tell", "err", err)
		end.cut = err
	case err != nil:
		return end, err
	case len(read) >= maxHistory && !read[len(read)-1].Time.Before(end.at):
		end.cut = errCut
	}
	for i := range slices.Backward(read) {
		end.add(&read[i])
	}
	return end, nil
}

// add takes note of a transaction of the node, oldest first. The contract takes each
// kind of message from its right sender only.
func (e *ending) add(t *chain.Transaction) {
	if t.Aborted || t.In == nil || t.Time.Before(e.at) {
		return
	}
	in, ok := t.In.Msg.(*tlb.InternalMessage)
	if !ok || in.Bounced {
		return
	}
	switch how, code := contracts.NodeEventOf(in.Body); how {
	case contracts.EventStaked:
		e.back = e.back || e.how != contracts.EventOther || t.Time.After(e.at) // not in the same second, before
	case contracts.EventRechecked, contracts.EventRetired, contracts.EventFault:
		if e.how == contracts.EventOther && t.Time.Equal(e.at) {
			e.how, e.code = how, code
		}
	}
}

// knownEnding is how a registration ended, as it was found out.
type knownEnding struct {
	epoch uint32
	ending
}

// ending is [Operator.ending], which a host that saw the end does not forget when
// others hide it behind many transactions.
func (n *node) ending(ctx context.Context, rec *registry.Node) (ending, error) {
	end, err := n.op.ending(ctx, rec)
	if err != nil {
		return end, err
	}
	if end.cut == nil {
		n.known = knownEnding{rec.Current, end}
	} else if k := &n.known; k.epoch == rec.Current && k.at.Equal(end.at) {
		k.back = k.back || end.back
		return k.ending, nil
	}
	return end, nil
}

// endedError ends an enclave whose registration is over.
type endedError struct{ ending }

func (e *endedError) Error() string { return "the registration ended: " + e.String() }

// watchInterval is between two looks at the record of a node that serves, and at
// whether one that does not may register again.
const watchInterval = 10 * time.Second

// watch returns when the registration of an epoch is over, whoever ended it: an
// enclave that nobody may use costs its operator anchors.
func (n *node) watch(ctx context.Context, e registry.Epoch) error {
	tick := time.NewTicker(n.lookEvery)
	defer tick.Stop()
	for {
		rec, err := n.op.Record(ctx)
		if err == nil && rec.Current != e.Number {
			return fmt.Errorf("the chain has registered epoch %d", rec.Current) // see checkAlone
		}
		if err == nil && !live(rec) {
			if end, err := n.ending(ctx, rec); err == nil {
				return &endedError{end}
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// mayRegister refuses another epoch of a node that its operator unregistered, or
// may have: it would lock the stake again. [Options.Again], or new stake, says
// otherwise.
func (n *node) mayRegister(ctx context.Context) error {
	rec, err := n.op.Record(ctx)
	if errors.Is(err, registry.ErrNoContract) {
		return nil
	} else if err != nil {
		return fmt.Errorf("reading the node's record: %w", err)
	}
	if n.Again && !n.served || live(rec) || rec.Current == 0 {
		return nil
	}
	end, err := n.ending(ctx, rec)
	const comeBack = "To come back, add stake with `cocoon-node stake`, or start with --again"
	switch {
	case err != nil:
		return err
	case end.back:
		return nil
	case end.how == contracts.EventRetired:
		return attestation.Refused("%v: it does not register again by itself. %s", end, comeBack)
	case errors.Is(end.cut, errCut):
		return attestation.Refused("%v: its operator may have unregistered it, so it does not register again by itself. %s", end, comeBack)
	case end.cut != nil:
		return attestation.Unknown("%v: its operator may have unregistered it, so it does not register again until a server tells. %s", end, comeBack)
	}
	return nil
}
