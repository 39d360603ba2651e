package host

import (
	"context"
	"fmt"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/contracts"
)

// Collect ends a challenge that a node did not answer in time, and pays out what
// the node owes this wallet, which it returns in nano coins: of a challenge that
// was won, the bond and a part of the lost stake; of one that was answered, the
// rest of the bond.
func (o *Operator) Collect(ctx context.Context, node attestation.Address, challenge [32]byte) (uint64, error) {
	rec, err := o.reader.Node(ctx, node)
	if err != nil {
		return 0, err
	}
	if c, open := rec.State.Book.Challenges[challenge]; open {
		if rec.At.Time.Unix() <= int64(c.Deadline) {
			return 0, foreseen(contracts.CodeTooEarly, "the node may answer until %s", time.Unix(int64(c.Deadline), 0).UTC().Format(time.RFC3339))
		}
		err := o.Send(ctx, fmt.Sprintf("settle challenge %x of node %v", challenge, node), contracts.ValueReport, func(q uint64) Message {
			return &contracts.Settle{QueryID: q, Challenge: challenge}
		}, node)
		if err != nil {
			return 0, err
		}
		if rec, err = o.reader.Node(ctx, node); err != nil {
			return 0, err
		}
	}
	what := fmt.Sprintf("collect from node %v after challenge %x", node, challenge)
	amount := rec.State.Book.Credits[o.Wallet()]
	if amount == 0 {
		if found, err := o.resume(ctx, what); found || err != nil {
			return 0, err // it may be paid out by now
		}
		return 0, foreseen(contracts.CodeNoCredit, "the node owes this wallet nothing")
	}
	return amount, o.Send(ctx, what, rec.State.Book.ValueWithdraw(), func(q uint64) Message { return &contracts.Withdraw{QueryID: q} }, node)
}
