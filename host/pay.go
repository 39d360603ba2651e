package host

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
)

// do has contracts do something that costs coins. What names it: when the last
// thing that was begun has the same name, and the user was not told its outcome
// ([Operator.Told]), then this is that, and nothing is paid again. Anything else
// that was begun is settled first.
//
// Nothing is signed unless the registry is on this chain ([Operator.atHome]).
//
// make makes the payment's messages. The first contract of to gets the question;
// each may answer. A refusal is an [*attestation.RefusedError] that wraps a
// [*RefusalError]; what was sent, less fees, came back. After any other error that
// comes when something was signed, the same call finds out what became of it.
func (o *Operator) do(ctx context.Context, what string, make func(query uint64) ([]chain.Message, error), to ...attestation.Address) error {
	if found, err := o.resume(ctx, what); found || err != nil {
		return err
	}
	if err := o.atHome(ctx); err != nil {
		return err
	}
	e := &errand{What: what, Wallet: o.Wallet().String(), Query: newQueryID(), Begun: time.Now().UTC()}
	for _, a := range to {
		e.To = append(e.To, a.String())
	}
	msgs, err := make(e.Query)
	if err != nil {
		return err
	}
	if err := o.errands.save(e); err != nil {
		return fmt.Errorf("storing what is begun: %w", err)
	}
	sent, err := o.writer.Send(ctx, e.payment(), msgs...)
	if err != nil {
		return o.unsent(e, err)
	}
	return o.conclude(ctx, e, sent.LT, to)
}

// resume looks what became of the last errand, and says whether it is the one of
// this name. Then its outcome is the error.
func (o *Operator) resume(ctx context.Context, what string) (found bool, err error) {
	o.repeated = time.Time{}
	if err := o.writer.Settle(ctx); err != nil {
		return false, err
	}
	e, err := o.errands.load()
	if e == nil || err != nil {
		return false, err
	}
	if e.Wallet != o.Wallet().String() {
		return false, attestation.BadInput("the directory remembers %q, begun with wallet %s: use another directory for another wallet", e.What, e.Wallet)
	}
	same := e.What == what
	if e.Done {
		if same {
			o.repeated = e.Begun
			return true, nil
		}
		return false, o.errands.remove()
	}
	in, err := o.journal.Load(e.payment())
	switch {
	case err != nil:
		return false, fmt.Errorf("payment journal: %w", err)
	case in != nil && !in.Done: // it was not pending
		return false, attestation.BadInput("the payment journal is damaged: whether %q, begun at %s, was paid is not known; look with `cocoon-node status`, and then use another directory", e.What, e.Begun.Format(time.RFC3339))
	case in == nil || in.Void || in.Sent == nil:
		o.note("%s, begun at %s, was never paid", e.What, e.Begun.Format(time.RFC3339))
		return false, o.errands.remove()
	}
	to, err := e.addresses()
	if err != nil {
		return false, err
	}
	if same {
		if err = o.conclude(ctx, e, in.Sent.LT, to); err == nil {
			o.repeated = e.Begun
		}
		return true, err
	}
	if err = o.awaitDone(ctx, e.Query, in.Sent.LT, to...); ctx.Err() != nil {
		return false, err
	}
	if err != nil {
		o.note("%s, begun at %s, was paid, and then: %v", e.What, e.Begun.Format(time.RFC3339), err)
	} else {
		o.note("%s, begun at %s, is done", e.What, e.Begun.Format(time.RFC3339))
	}
	return false, o.errands.remove()
}

// Begun says whether the last thing that was begun, and whose outcome the user was
// not told, is the one of this name; then its outcome is the error. It is for
// callers that look at the chain before they pay: what they began may have changed
// what they would see.
func (o *Operator) Begun(ctx context.Context, what string) (bool, error) { return o.resume(ctx, what) }

// unsent forgets an errand for which nothing was signed, or of which it is known
// that nothing left the wallet.
func (o *Operator) unsent(e *errand, cause error) error {
	in, err := o.journal.Load(e.payment())
	switch {
	case err != nil:
		return errors.Join(cause, fmt.Errorf("payment journal: %w", err))
	case in == nil || in.Done && in.Sent == nil:
		return errors.Join(cause, o.errands.remove())
	}
	return unfinished(cause)
}

// conclude waits for the contracts' answer to what was paid.
func (o *Operator) conclude(ctx context.Context, e *errand, lt uint64, to []attestation.Address) error {
	err := o.awaitDone(ctx, e.Query, lt, to...)
	var refused *attestation.RefusedError
	switch {
	case err == nil:
		e.Done = true
		if err := o.errands.save(e); err != nil {
			return unfinished(fmt.Errorf("storing the outcome: %w", err))
		}
		return nil
	case errors.As(err, &refused):
		return errors.Join(err, o.errands.remove())
	}
	return unfinished(err)
}

func unfinished(err error) error {
	return fmt.Errorf("%w; the same command again finds out what became of it, and pays nothing twice", err)
}

// Told says that the user knows how the last thing ended: the same again is
// another.
func (o *Operator) Told() error {
	e, err := o.errands.load()
	if e == nil || err != nil || !e.Done {
		return err
	}
	return o.errands.remove()
}

// Repeated returns when the thing was begun that the last call found done, or
// finished; zero when that call paid for it itself.
func (o *Operator) Repeated() time.Time { return o.repeated }

func (o *Operator) note(format string, args ...any) {
	if o.Note != nil {
		o.Note(fmt.Sprintf(format, args...))
	}
}
