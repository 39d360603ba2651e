package chain_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/xssnick/tonutils-go/tl"
	"github.com/xssnick/tonutils-go/ton"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/devnet"
)

// endAtSend matches a message that is sent, and ends something then.
func endAtSend(end func()) func(tl.Serializable) bool {
	return func(q tl.Serializable) bool {
		if isSend(q) {
			end()
		}
		return isSend(q)
	}
}

// TestSettle: what became of a payment is found out, and nothing is signed for it.
func TestSettle(t *testing.T) {
	t.Parallel()
	for i, tc := range []struct {
		name    string
		taken   bool // the chain gets the message
		foreign bool // another program uses the sequence number
		ahead   time.Duration
		want    string // sent, void, or pending
	}{
		{name: "landed", taken: true, want: "sent"},
		{name: "landed long ago", taken: true, ahead: time.Hour, want: "sent"},
		{name: "lost", ahead: time.Hour, want: "void"},
		{name: "lost, a second before its expiry", ahead: 59 * time.Second, want: "pending"},
		{name: "lost, at its expiry", ahead: 60 * time.Second, want: "void"},
		{name: "number used by another program", foreign: true, want: "void"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			clock := devnet.NewClock(time.Unix(1_800_000_000, 0))
			c := start(t, devnet.Options{BlockInterval: 20 * time.Millisecond, Now: clock.Now})
			cl := dial(t, c)
			j, id := &chain.MemoryJournal{}, "rent"
			w := fundedWriter(t, c, cl, byte(0x20+i), j)
			to, ls := addr(byte(0x90+i)), c.Liteservers()[0]
			short, cancel := context.WithCancel(testContext(t))
			defer cancel()
			ls.Inject(devnet.Fault{Match: endAtSend(cancel), Refuse: !tc.taken, Drop: tc.taken})
			if _, err := w.Send(short, id, pay(to, 1e9)); err == nil && !tc.taken {
				t.Fatal("a lost message was sent")
			}
			if tc.taken {
				if _, err := cl.WaitAccount(testContext(t), w.Address(), (*chain.Account).Active); err != nil {
					t.Fatal(err)
				}
			}
			if tc.foreign {
				ls.Inject(devnet.Fault{})
				other := fundedWriter(t, c, cl, byte(0x20+i), nil)
				if _, err := other.Send(testContext(t), "other", pay(addr(1), 1)); err != nil {
					t.Fatal(err)
				}
			}
			ls.Inject(devnet.Fault{Match: isSend, Refuse: true, Error: &ton.LSError{Text: "no"}}) // nothing can be sent any more
			if err := clock.Advance(tc.ahead); err != nil {
				t.Fatal(err)
			}
			waitFresh(t, cl)
			if _, err := cl.WaitAccount(testContext(t), to, func(a *chain.Account) bool { return !a.Block.Time.Before(clock.Now()) }); err != nil {
				t.Fatal(err)
			}
			settle := testContext(t)
			if tc.want == "pending" {
				settle, cancel = context.WithTimeout(settle, time.Second)
				defer cancel()
			}
			err := w.Settle(settle)
			var unknown *attestation.UnknownError
			if got := errors.As(err, &unknown); got != (tc.want == "pending") || err != nil && !got {
				t.Fatalf("settled: %v", err)
			}
			in, err := j.Load(id)
			if err != nil || in.Done != (tc.want != "pending") || in.Void != (tc.want == "void") || (in.Sent != nil) != (tc.want == "sent") {
				t.Fatalf("done %v, void %v, sent %v, %v", in.Done, in.Void, in.Sent, err)
			}
			// However it was: the same payment again is made once.
			ls.Inject(devnet.Fault{})
			if _, err := w.Send(testContext(t), id, pay(to, 1e9)); err != nil {
				t.Fatal(err)
			}
			if got := received(t, cl, to); got != 1e9 {
				t.Errorf("receiver got %d", got)
			}
		})
	}
}
