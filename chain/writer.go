package chain

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/xssnick/tonutils-go/tlb"
	"github.com/xssnick/tonutils-go/ton"
	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
)

const (
	messageLife = 60 * time.Second       // validity of a signed external message
	resendEvery = 5 * time.Second        // a message that is not on the chain is sent again
	pollEvery   = 200 * time.Millisecond // between looks at the chain
	// maxShardLag is how far the wallet's shard may be behind the masterchain: one
	// that is further behind has stalled, and waiting for it has no end.
	maxShardLag  = 5 * time.Minute
	maxPaymentID = 256 // bytes of a payment id
	// maxSigned is how many messages of a payment the journal keeps. Those of before
	// the newest have expired, with the sequence number unused, and can't land.
	maxSigned = 16
)

// errSpentElsewhere says that the wallet's sequence number was used by a message
// that this writer did not sign.
var errSpentElsewhere = errors.New("the wallet's sequence number was used by another program")

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
	in, err := w.journal.Load(id)
	if err != nil {
		return nil, fmt.Errorf("payment journal: %w", err)
	}
	orders, err := encodeOrders(msgs)
	if err != nil {
		return nil, err
	}
	switch {
	case in == nil || in.Void:
		in = &Intent{ID: id, Wallet: w.Address().String(), Orders: orders}
		if err := w.sign(ctx, in, msgs); err != nil {
			return nil, err
		}
	case !slices.EqualFunc(in.Orders, orders, bytes.Equal):
		return nil, attestation.BadInput("payment %q was something else before: an id can't be used twice", id)
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

// sign takes the wallet's next sequence number for an intent and saves it.
func (w *Writer) sign(ctx context.Context, in *Intent, msgs []Message) error {
	acc, err := w.client.Account(ctx, w.Address())
	if err != nil {
		return err
	}
	if err := w.stalled(acc); err != nil {
		return fmt.Errorf("nothing was signed: %w", err)
	}
	need, err := w.needs(acc, msgs)
	if err != nil {
		return err
	}
	if acc.Balance.Cmp(need) < 0 {
		return attestation.BadInput("%w", &ShortError{Wallet: w.Address(), Holds: acc.Balance, Needs: need})
	}
	seqno, err := w.seqno(acc)
	if err != nil {
		return err
	}
	in.Seqno, in.LT, in.Block, in.Messages = seqno, acc.LastLT, acc.Block.Seqno, nil
	return w.resign(in, acc)
}

// resign signs the orders of an intent once more, for the same sequence number.
func (w *Writer) resign(in *Intent, acc *Account) error {
	var cells []*cell.Cell
	for _, o := range in.Orders {
		c, err := cell.FromBOC(o)
		if err != nil {
			return fmt.Errorf("payment journal: %w", err)
		}
		cells = append(cells, c)
	}
	// counted from the block: the wallet compares with the time of blocks
	until := acc.Block.Time.Add(messageLife)
	ext, err := w.wallet.transfer(in.Seqno, until, !acc.Active(), cells)
	if err != nil {
		return err
	}
	b, err := boc(ext)
	if err != nil {
		return err
	}
	in.Messages, in.ExpiresAt = append(in.Messages, b), until.Unix()
	in.Messages = in.Messages[max(0, len(in.Messages)-maxSigned):]
	if err := w.journal.Save(in); err != nil {
		return fmt.Errorf("payment journal: %w", err)
	}
	return nil
}

// seqno reads the wallet's sequence number from its proved state.
func (w *Writer) seqno(acc *Account) (uint32, error) {
	if acc.Frozen {
		return 0, attestation.BadInput("wallet %s is frozen", w.Address())
	}
	if !acc.Active() {
		return 0, nil
	}
	if acc.Code.HashKey() != w.wallet.init.Code.HashKey() {
		return 0, attestation.ChainDisagrees("wallet %s runs other code than V5R1", w.Address())
	}
	n, err := walletSeqno(acc.Data)
	if err != nil {
		return 0, attestation.ChainDisagrees("wallet %s: %v", w.Address(), err)
	}
	return n, nil
}

// finish sends the newest message of an intent until the chain shows what became
// of it, and saves that. What can't be taken any more is signed again, or, when
// again is false, given up.
func (w *Writer) finish(ctx context.Context, in *Intent, again bool) error {
	if len(in.Messages) == 0 || len(in.Orders) == 0 {
		return fmt.Errorf("payment journal: payment %q is said to be begun, and nothing is signed: the journal is damaged", in.ID)
	}
	var sent time.Time
	for {
		// Look before sending: the message may have landed already.
		acc, err := w.client.Account(ctx, w.Address())
		if err != nil {
			return err
		}
		seqno, err := w.seqno(acc)
		if err != nil {
			return err
		}
		switch {
		case seqno > in.Seqno:
			done, err := w.landed(ctx, in, acc)
			if errors.Is(err, errSpentElsewhere) {
				// None of our messages can be taken any more.
				if !again {
					return w.giveUp(in)
				}
				in.Seqno, in.LT, in.Block, in.Messages, sent = seqno, acc.LastLT, acc.Block.Seqno, nil, time.Time{}
				if err := w.resign(in, acc); err != nil {
					return err
				}
				continue
			}
			if err != nil {
				return err
			}
			in.Done, in.Sent, in.Fail = true, done.Sent, done.Fail
			if err := w.journal.Save(in); err != nil {
				return fmt.Errorf("payment journal: %w", err)
			}
			return nil
		case acc.Block.Seqno < in.Block:
			// an older head than before the restart: it does not know yet
			if err := pause(ctx); err != nil {
				return attestation.Unknown("whether the payment was made; ask again with the same id: %w", err)
			}
			continue
		case seqno < in.Seqno:
			return attestation.ChainDisagrees("wallet %s is at sequence number %d, but number %d was seen before", w.Address(), seqno, in.Seqno)
		case acc.ShardTime.Unix() < in.ExpiresAt:
			// A block of the shard may still take it, however late the masterchain
			// registers that block.
			if err := w.stalled(acc); err != nil {
				return fmt.Errorf("whether the payment was made is not known yet; ask again with the same id: %w", err)
			}
		case !again:
			return w.giveUp(in)
		default:
			if err := w.resign(in, acc); err != nil {
				return err
			}
			sent = time.Time{}
		}
		if sent.IsZero() || time.Since(sent) >= resendEvery {
			sent = time.Now()
			// A refusal is a server's word, and no answer may mean taken: the
			// wallet's state decides.
			if err := w.client.sendMessage(ctx, in.Messages[len(in.Messages)-1]); err != nil && ctx.Err() != nil {
				return attestation.Unknown("whether the payment was made: %w", err)
			}
		}
		if err := pause(ctx); err != nil {
			return attestation.Unknown("whether the payment was made; ask again with the same id: %w", err)
		}
	}
}

// stalled reports that the wallet's shard is so far behind the masterchain that
// waiting for it is no use.
func (w *Writer) stalled(acc *Account) error {
	if lag := acc.Block.Time.Sub(acc.ShardTime); lag > maxShardLag {
		return attestation.Unknown("the newest block of the shard of wallet %s is %s older than the masterchain's: the shard has stalled", w.Address(), lag)
	}
	return nil
}

// giveUp saves that an intent is void: the wallet refuses a message from the time
// of its expiry on, and its shard's time, which does not go back, has come there.
func (w *Writer) giveUp(in *Intent) error {
	in.Done, in.Void, in.Fail = true, true, "the chain did not take it in time"
	if err := w.journal.Save(in); err != nil {
		return fmt.Errorf("payment journal: %w", err)
	}
	return nil
}

// landed finds the transaction that used the intent's sequence number.
func (w *Writer) landed(ctx context.Context, in *Intent, acc *Account) (*Intent, error) {
	ours := map[[32]byte]bool{}
	for _, m := range in.Messages {
		c, err := cell.FromBOC(m)
		if err != nil {
			return nil, fmt.Errorf("payment journal: %w", err)
		}
		ours[c.HashKey()] = true
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
			if !ours[t.InHash] {
				continue
			}
			if t.Aborted || len(t.Out) < len(in.Orders) {
				return &Intent{Fail: fmt.Sprintf("the wallet took the order and sent %d of %d messages (exit code %d, result %d): too little money?", len(t.Out), len(in.Orders), t.ExitCode, t.Result)}, nil
			}
			return &Intent{Sent: &Sent{Seqno: in.Seqno, LT: t.LT, Hash: t.Hash, InMsg: t.InHash, Block: acc.Block.ID()}}, nil
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

func pause(ctx context.Context) error {
	t := time.NewTimer(pollEvery)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// sendMessage hands an external message to a liteserver. Success means that one
// has taken it, not that it is on the chain.
func (c *Client) sendMessage(ctx context.Context, boc []byte) error {
	return c.ask(ctx, "sending a message", func(ctx context.Context, s *server) error {
		resp, err := s.query(ctx, ton.SendMessage{Body: boc})
		if err != nil {
			return err
		}
		r, err := answerOf[ton.SendMessageStatus](s, "sending a message", resp)
		if err == nil && r.Status != 1 {
			err = fmt.Errorf("liteserver %s: status %d", s, r.Status)
		}
		return err
	})
}

// SendExternal gives up when liteservers have refused a message this often, and
// this many masterchain blocks later still do.
const (
	maxRefusals   = 3
	refusedBlocks = 2
)

// refusals are those of a message in a row. A liteserver also refuses a message
// that has landed, before the effect can be proved.
type refusals struct {
	n     int
	last  error
	since uint32    // head at the first
	late  time.Time // of the masterchain, that many blocks later
}

func (r *refusals) add(acc *Account, err error) {
	if r.n == 0 {
		r.since = acc.Block.Seqno
	}
	r.n, r.last = r.n+1, err
}

// final says whether what was refused can't have landed: the contract's shard,
// which may be behind, has come as far as the masterchain was then.
func (r *refusals) final(acc *Account) bool {
	if r.n < maxRefusals || acc.Block.Seqno < r.since+refusedBlocks {
		return false
	}
	if r.late.IsZero() {
		r.late = acc.Block.Time
	}
	return !acc.ShardTime.Before(r.late)
}

// SendExternal sends an external message to a contract until done is true of
// the contract's proved state, and returns that state. It looks before it sends,
// so an effect that is there already sends nothing, and it sends again while the
// effect is missing: the contract must take the message once (by a counter, a
// size that only grows, ...).
//
// When liteservers keep refusing the message the error is in the family "refused
// by policy" and holds what they say; their word is not proved, but the effect is
// missing.
func (c *Client) SendExternal(ctx context.Context, to attestation.Address, init *tlb.StateInit, body *cell.Cell, done func(*Account) bool) (*Account, error) {
	msg, err := tlb.ToCell(&tlb.ExternalMessage{DstAddr: tonAddress(to), StateInit: init, Body: body})
	if err != nil {
		return nil, attestation.BadInput("external message: %v", err)
	}
	b, err := boc(msg)
	if err != nil {
		return nil, err
	}
	var sent time.Time
	var refused refusals
	for {
		acc, err := c.Account(ctx, to)
		if err != nil {
			return nil, err
		}
		if done(acc) {
			return acc, nil
		}
		if refused.final(acc) {
			return nil, attestation.Refused("contract %s does not take the message: %w", to, refused.last)
		}
		if sent.IsZero() || time.Since(sent) >= resendEvery || refused.n > 0 {
			sent = time.Now()
			err := c.sendMessage(ctx, b)
			var said *saidError
			switch {
			case errors.As(err, &said):
				refused.add(acc, said)
			case err != nil && ctx.Err() != nil:
				return nil, err
			default:
				refused = refusals{}
			}
		}
		if err := pause(ctx); err != nil {
			return nil, attestation.Unknown("contract %s: the effect of the message is not there: %w", to, err)
		}
	}
}

// WaitAccount returns the state of an account as soon as done is true of it.
func (c *Client) WaitAccount(ctx context.Context, addr attestation.Address, done func(*Account) bool) (*Account, error) {
	for {
		acc, err := c.Account(ctx, addr)
		if err != nil {
			return nil, err
		}
		if done(acc) {
			return acc, nil
		}
		if err := pause(ctx); err != nil {
			return nil, attestation.Unknown("account %s: what was waited for is not there: %w", addr, err)
		}
	}
}

// coins writes an amount of nanocoins as coins, without zeros that say nothing.
func coins(nano *big.Int) string {
	whole, rest := new(big.Int).QuoRem(nano, big.NewInt(1e9), new(big.Int))
	return strings.TrimRight(strings.TrimRight(fmt.Sprintf("%s.%09d", whole, rest.Abs(rest)), "0"), ".")
}
