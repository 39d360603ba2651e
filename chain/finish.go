package chain

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
)

// errSpentElsewhere says that the wallet's sequence number was used by a message
// that this writer did not sign.
var errSpentElsewhere = errors.New("the wallet's sequence number was used by another program")

// finish sends the newest message of an intent until the chain shows what became
// of it, and saves that. What can't be taken any more is signed again, or, when
// again is false, given up.
func (w *Writer) finish(ctx context.Context, in *Intent, again bool) error {
	if len(in.Messages) == 0 || len(in.Orders) == 0 {
		return fmt.Errorf("payment journal: payment %q is said to be begun, and nothing is signed: the journal is damaged", in.ID)
	}
	var sent time.Time
	var looks Looks
	for {
		// Look before sending: the message may have landed already.
		next, err := w.look(ctx, in, again)
		if err != nil || next == ended {
			return err
		}
		if next == signed {
			sent = time.Time{}
		}
		if next != early && (sent.IsZero() || time.Since(sent) >= resendEvery) {
			sent = time.Now()
			// A refusal is a server's word, and no answer may mean taken: the
			// wallet's state decides.
			if err := w.client.sendMessage(ctx, in.Messages[len(in.Messages)-1]); err != nil && ctx.Err() != nil {
				return attestation.Unknown("whether the payment was made: %w", err)
			}
		}
		if err := looks.pause(ctx); err != nil {
			return attestation.Unknown("whether the payment was made; ask again with the same id: %w", err)
		}
	}
}

// progress is what a look at the chain said of an intent.
type progress int

const (
	ended   progress = iota // and how is saved
	early                   // the head is older than what was known before: wait
	waiting                 // its newest message may be taken yet
	signed                  // it has a new message
)

// look finds out how far an intent is, and saves what that changes.
func (w *Writer) look(ctx context.Context, in *Intent, again bool) (progress, error) {
	acc, err := w.client.Account(ctx, w.Address())
	if err != nil {
		return early, err
	}
	seqno, err := w.seqno(acc)
	if err != nil {
		return early, err
	}
	switch {
	case seqno > in.Seqno:
		return w.spent(ctx, in, acc, seqno, again)
	case acc.Block.Seqno < in.Block:
		return early, nil // an older head than before the restart
	case seqno < in.Seqno:
		return early, attestation.ChainDisagrees("wallet %s is at sequence number %d, but number %d was seen before", w.Address(), seqno, in.Seqno)
	case acc.ShardTime.Unix() < in.ExpiresAt:
		// A block of the shard may still take it, however late the masterchain
		// registers that block.
		if err := w.stalled(acc); err != nil {
			return early, fmt.Errorf("whether the payment was made is not known yet; ask again with the same id: %w", err)
		}
		return waiting, nil
	case !again:
		return ended, w.giveUp(in)
	}
	return signed, w.resign(in, acc)
}

// spent finds out who used the intent's sequence number: the wallet is at a later
// one.
func (w *Writer) spent(ctx context.Context, in *Intent, acc *Account, seqno uint32, again bool) (progress, error) {
	done, err := w.landed(ctx, in, acc)
	switch {
	case err == nil:
		in.Done, in.Sent, in.Fail = true, done.Sent, done.Fail
		return ended, w.save(in)
	case !errors.Is(err, errSpentElsewhere):
		return early, err
	case !again: // none of our messages can be taken any more
		return ended, w.giveUp(in)
	}
	in.Seqno, in.LT, in.Block, in.Messages = seqno, acc.LastLT, acc.Block.Seqno, nil
	return signed, w.resign(in, acc)
}

func (w *Writer) save(in *Intent) error {
	if err := w.journal.Save(in); err != nil {
		return fmt.Errorf("payment journal: %w", err)
	}
	return nil
}

// giveUp saves that an intent is void: the wallet refuses a message from the time
// of its expiry on, and its shard's time, which does not go back, has come there.
func (w *Writer) giveUp(in *Intent) error {
	in.Done, in.Void, in.Fail = true, true, "the chain did not take it in time"
	return w.save(in)
}

// landed finds the transaction that used the intent's sequence number.
func (w *Writer) landed(ctx context.Context, in *Intent, acc *Account) (*Intent, error) {
	ours, err := in.hashes()
	if err != nil {
		return nil, err
	}
	lt, hash := acc.LastLT, acc.LastHash
	for n := 0; lt > in.LT && n < maxTransactions; {
		page, err := w.client.page(ctx, w.Address(), lt, hash, 16)
		if err != nil {
			return nil, err
		}
		for _, t := range page {
			if t.LT <= in.LT {
				return nil, errSpentElsewhere
			}
			if ours[t.InHash] {
				return in.outcome(&t, acc.Block.ID()), nil
			}
		}
		n += len(page)
		last := page[len(page)-1]
		lt, hash = last.prevLT, last.prevHash
	}
	if lt > in.LT {
		return nil, attestation.Unknown("the wallet has more than %d transactions since", maxTransactions)
	}
	return nil, errSpentElsewhere
}

// hashes are those of the messages that were signed last.
func (in *Intent) hashes() (map[[32]byte]bool, error) {
	out := map[[32]byte]bool{}
	for _, m := range in.Messages {
		c, err := cell.FromBOC(m)
		if err != nil {
			return nil, fmt.Errorf("payment journal: %w", err)
		}
		out[c.HashKey()] = true
	}
	return out, nil
}

// outcome is how an intent ended with a transaction.
func (in *Intent) outcome(t *Transaction, b BlockID) *Intent {
	if t.Aborted || len(t.Out) < len(in.Orders) {
		return &Intent{Fail: fmt.Sprintf("the wallet took the order and sent %d of %d messages (exit code %d, result %d): too little money?", len(t.Out), len(in.Orders), t.ExitCode, t.Result)}
	}
	return &Intent{Sent: &Sent{Seqno: in.Seqno, LT: t.LT, Hash: t.Hash, InMsg: t.InHash, Block: b}}
}
