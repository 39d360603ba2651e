package chain

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"
	"math/big"
	"slices"
	"sync"
	"time"

	"github.com/xssnick/tonutils-go/tlb"
	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
)

const (
	messageLife = 60 * time.Second // validity of a signed external message
	resendEvery = 5 * time.Second  // a message that is not on the chain is sent again
	// maxShardLag is how far the wallet's shard may be behind the masterchain: one
	// that is further behind has stalled, and waiting for it has no end.
	maxShardLag  = 5 * time.Minute
	maxPaymentID = 256 // bytes of a payment id
	// maxSigned is how many messages of a payment the journal keeps. Those of before
	// the newest have expired, with the sequence number unused, and can't land.
	maxSigned = 16
)

// Writer sends messages from a V5R1 wallet, each payment exactly once. Payments
// of one wallet go one after the other; use one Writer, with one journal, for a
// wallet. Its methods may be called concurrently.
type Writer struct {
	client  *Client
	wallet  *Wallet
	journal Journal
	mu      sync.Mutex
}

// NewWriter returns the writer of a wallet key on the client's chain. The chain
// id, which the wallet's address depends on, is read with a proof. A nil journal
// means a [MemoryJournal].
func NewWriter(ctx context.Context, c *Client, key ed25519.PrivateKey, j Journal) (*Writer, error) {
	id, err := c.ChainID(ctx)
	if err != nil {
		return nil, err
	}
	w, err := NewWallet(key, id)
	if err != nil {
		return nil, err
	}
	if j == nil {
		j = &MemoryJournal{}
	}
	return &Writer{client: c, wallet: w, journal: j}, nil
}

// Address returns the wallet's address.
func (w *Writer) Address() attestation.Address { return w.wallet.Address() }

// Send pays: it makes the wallet send msgs, all in one external message, and
// returns when the chain shows it. id names the payment. A second call with the
// same id does not pay again: it finds out what became of the first and returns
// that. So a caller that got an error, or died, calls again with the same id.
//
// How: the intent, with the signed message, is in the journal before the message
// leaves. Only one message can use a sequence number of the wallet, and every
// message signed for the payment uses the same one. The number is given up, and
// another taken, only when a proved transaction shows that a foreign message has
// used it. An unfinished payment with another id is finished first.
//
// That the wallet has sent the messages does not say that the receivers liked
// them; see [Client.WaitAccount]. Too little money ([Writer.Needs]) is bad input,
// found before anything is signed; ctx ending is "could not find out".
func (w *Writer) Send(ctx context.Context, id string, msgs ...Message) (*Sent, error) {
	if id == "" || len(id) > maxPaymentID {
		return nil, attestation.BadInput("payment id: %d bytes, want 1 to %d", len(id), maxPaymentID)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.finishPending(ctx, true); err != nil {
		return nil, err
	}
	in, err := w.intent(ctx, id, msgs)
	if err != nil {
		return nil, err
	}
	if !in.Done { // also one that the journal does not name as pending
		if err := w.finish(ctx, in, true); err != nil {
			return nil, fmt.Errorf("payment %q: %w", id, err)
		}
	}
	if in.Sent == nil {
		return nil, attestation.BadInput("payment %q: %s", id, in.Fail)
	}
	return in.Sent, nil
}

// intent loads what was begun with an id, or signs it.
func (w *Writer) intent(ctx context.Context, id string, msgs []Message) (*Intent, error) {
	in, err := w.journal.Load(id)
	if err != nil {
		return nil, fmt.Errorf("payment journal: %w", err)
	}
	orders, err := encodeOrders(msgs)
	if err != nil {
		return nil, err
	}
	if in == nil || in.Void {
		in = &Intent{ID: id, Wallet: w.Address().String(), Orders: orders}
		return in, w.sign(ctx, in, msgs)
	}
	if !slices.EqualFunc(in.Orders, orders, bytes.Equal) {
		return nil, attestation.BadInput("payment %q was something else before: an id can't be used twice", id)
	}
	return in, nil
}

// Settle finds out what became of an unfinished payment, and signs nothing: the
// journal then says that it is part of the chain, or that it is void. It waits
// until a block of the wallet's own shard has passed the expiry of what was signed,
// so about a minute; a shard that has stalled is "could not find out". A void payment
// is as if never begun: its id can be used again.
func (w *Writer) Settle(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.finishPending(ctx, false)
}

// finishPending finishes the payment that is not done, if there is one.
func (w *Writer) finishPending(ctx context.Context, again bool) error {
	in, err := w.journal.Pending()
	if err != nil {
		return fmt.Errorf("payment journal: %w", err)
	}
	if in == nil {
		return nil
	}
	if in.Wallet != w.Address().String() {
		return attestation.BadInput("payment journal belongs to wallet %s, not %s", in.Wallet, w.Address())
	}
	if err := w.finish(ctx, in, again); err != nil {
		return fmt.Errorf("payment %q, begun earlier: %w", in.ID, err)
	}
	return nil
}

// Deploy creates a contract and sends it its first message.
func (w *Writer) Deploy(ctx context.Context, id string, init *tlb.StateInit, amount *big.Int, body *cell.Cell) (attestation.Address, *Sent, error) {
	addr, err := StateInitAddress(0, init)
	if err != nil {
		return addr, nil, err
	}
	s, err := w.Send(ctx, id, Message{To: addr, Amount: amount, StateInit: init, Body: body})
	return addr, s, err
}

func encodeOrders(msgs []Message) ([][]byte, error) {
	if len(msgs) == 0 || len(msgs) > MaxWalletMessages {
		return nil, attestation.BadInput("payment of %d messages, want 1 to %d", len(msgs), MaxWalletMessages)
	}
	var out [][]byte
	for _, m := range msgs {
		c, err := m.cell()
		if err != nil {
			return nil, err
		}
		b, err := boc(c)
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}
