package client

import (
	"context"
	"fmt"
	"time"

	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/registry"
)

// Fault is a message that has a node's contract judge a fault, for which the
// contract had no reason to refuse it when its record was read. Nothing is sent: any
// wallet may send it.
type Fault struct {
	Node   attestation.Address
	ID     [32]byte // of the fault, or of the challenge, in the node's record
	Value  uint64   // nano coins that the message must carry; what is over comes back
	Bond   uint64   // part of them that waits until a challenge is over
	Loss   uint64   // nano coins of stake that the node loses: at once, or when it does not answer a challenge
	Reward uint64   // part of it that is paid for the report
	// Until is about when the answer to a challenge has to be there; zero for a
	// report, which is decided at once.
	Until time.Time
	// Message returns the message. The contract's answer has the query id.
	Message func(query uint64) Message
}

// Message is a message to a contract.
type Message interface{ Body() (*cell.Cell, error) }

// ForeseenError is wrapped by the [attestation.RefusedError] of a message that the
// contract would refuse now.
type ForeseenError struct{ Code int } // see package contracts

func (f *ForeseenError) Error() string {
	return "the contract would refuse: " + contracts.ErrorName(f.Code)
}

func foreseen(code int, format string, args ...any) error {
	return attestation.Refused("%w: %s", &ForeseenError{code}, fmt.Sprintf(format, args...))
}

// accused reads the record of a node of this registry.
func (c *Client) accused(ctx context.Context, node attestation.Address) (*registry.Node, error) {
	rec, err := c.chain.Node(ctx, node)
	if err != nil {
		return nil, err
	}
	if rec.Root != c.cfg.Registry {
		return nil, attestation.Refused("node %v belongs to registry %v, not to %v", rec.Address, rec.Root, c.cfg.Registry)
	}
	return rec, nil
}

// rules returns the parameters by which the node's contract judges: those of its
// last registration or recheck, and not the registry's of today.
func rules(rec *registry.Node) (contracts.Params, error) {
	if rec.State.Params == nil {
		return contracts.Params{}, foreseen(contracts.CodeEpoch, "the node has never registered")
	}
	return *rec.State.Params, nil
}

// keptEpoch returns the record of an epoch, with whose keys something was signed.
func keptEpoch(rec *registry.Node, number uint32) (registry.Epoch, error) {
	e, ok := rec.Epoch(number)
	switch {
	case ok:
		return e, nil
	case number > rec.Current:
		return e, attestation.ChainDisagrees("it is of epoch %d, the node's current one is %d", number, rec.Current)
	}
	return e, foreseen(contracts.CodeEpoch, "the node's record holds epoch %d no more: its windows are over", number)
}

// live says whether the contract counts the registration as one that goes on.
func live(rec *registry.Node) bool {
	return rec.State.Status == contracts.StatusActive && rec.At.Time.Unix() < int64(rec.State.Expires)
}

// losable checks that something is left to lose: stake, or at least a registration.
func losable(rec *registry.Node) error {
	if rec.State.Stake+rec.State.Unbonding > 0 || live(rec) {
		return nil
	}
	return foreseen(contracts.CodeNoStake, "the node has neither stake nor a registration left")
}

// reported is what a report of a fault does.
func reported(rec *registry.Node, id [32]byte, most uint64) (*Fault, error) {
	if err := losable(rec); err != nil {
		return nil, err
	}
	lost := min(most, rec.State.Stake+rec.State.Unbonding)
	if lost > 0 && rec.State.Book.Settled[id] {
		return nil, foreseen(contracts.CodeSettled, "the node has paid for this fault")
	}
	return &Fault{Node: rec.Address, ID: id, Value: contracts.ValueReport, Loss: lost, Reward: lost / 2}, nil
}

// opened is what a challenge does.
func opened(rec *registry.Node, id [32]byte, p contracts.Params, loss uint64) (*Fault, error) {
	if err := losable(rec); err != nil {
		return nil, err
	}
	if rec.State.Book.Settled[id] {
		return nil, foreseen(contracts.CodeSettled, "the node has paid for this: it did not answer an earlier challenge")
	}
	if open, ok := rec.State.Book.Challenges[id]; ok {
		return nil, openAlready(open)
	}
	return &Fault{
		Node: rec.Address, ID: id, Value: p.ChallengeBond + contracts.ValueChallenge, Bond: p.ChallengeBond,
		Loss: min(loss, rec.State.Stake+rec.State.Unbonding), Until: rec.At.Time.Add(seconds(p.AnswerWindow)),
	}, nil
}

func openAlready(c contracts.Challenge) error {
	return foreseen(contracts.CodeOpen, "the node may answer until %s", moment(int64(c.Deadline)))
}

func seconds(s uint32) time.Duration { return time.Duration(s) * time.Second }

func moment(unix int64) string { return time.Unix(unix, 0).UTC().Format(time.RFC3339) }
