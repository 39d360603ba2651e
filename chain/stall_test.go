package chain_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/xssnick/tonutils-go/tl"
	"github.com/xssnick/tonutils-go/ton"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/devnet"
)

// stalledPayment has a payment wait for a shard that has stalled, and the clock go
// on by some time. The message is with the shard.
func stalledPayment(t *testing.T, ahead time.Duration) (*devnet.Chain, *chain.Client, *chain.Writer, *chain.MemoryJournal) {
	t.Helper()
	clock := devnet.NewClock(time.Unix(1_800_000_000, 0))
	c := start(t, devnet.Options{BlockInterval: 20 * time.Millisecond, Now: clock.Now})
	cl := dial(t, c)
	j := &chain.MemoryJournal{}
	w := fundedWriter(t, c, cl, 0x51, j)
	c.StallShard(true)
	short, cancel := context.WithCancel(testContext(t))
	defer cancel()
	c.Liteservers()[0].Inject(devnet.Fault{Match: isSend, Drop: true, Forge: func(_, honest tl.Serializable) tl.Serializable {
		cancel() // the message is taken by now
		return honest
	}})
	var unknown *attestation.UnknownError
	if _, err := w.Send(short, "rent", pay(addr(0x52), 1e9)); !errors.As(err, &unknown) {
		t.Fatalf("sent in a shard that stalls: %v", err)
	}
	if err := clock.Advance(ahead); err != nil {
		t.Fatal(err)
	}
	waitFresh(t, cl)
	c.Liteservers()[0].Inject(devnet.Fault{})
	return c, cl, w, j
}

// TestSettleStalledShard: the masterchain is long past the expiry of a message,
// and the block of the wallet's shard that takes it is registered only then. It is
// not void, and the payment is made once.
func TestSettleStalledShard(t *testing.T) {
	t.Parallel()
	for name, ahead := range map[string]time.Duration{"three minutes": 3 * time.Minute, "six minutes": 6 * time.Minute, "an hour": time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, cl, w, j := stalledPayment(t, ahead)
			ctx, gaveUp := testContext(t), ahead > 5*time.Minute
			if !gaveUp { // it waits
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, time.Second)
				defer cancel()
			}
			err := w.Settle(ctx)
			var unknown *attestation.UnknownError
			if !errors.As(err, &unknown) {
				t.Errorf("settled: %v", err)
			}
			if stalled := strings.Contains(err.Error(), "the shard has stalled"); stalled != gaveUp {
				t.Errorf("settled: %v", err)
			}
			if in, err := j.Load("rent"); err != nil || in.Done {
				t.Fatalf("%+v, %v", in, err)
			}
			c.StallShard(false)
			caughtUp := func(a *chain.Account) bool { return a.ShardTime.Equal(a.Block.Time) }
			if _, err := cl.WaitAccount(testContext(t), w.Address(), caughtUp); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if _, err := w.Send(testContext(t), "rent", pay(addr(0x52), 1e9)); err != nil {
					t.Fatal(err)
				}
			}
			if got := received(t, cl, addr(0x52)); got != 1e9 {
				t.Errorf("receiver got %d", got)
			}
			if err := w.Settle(testContext(t)); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestSendStalledShard: nothing is signed in a shard that has stalled, and an
// unfinished payment does not wait for it for ever.
func TestSendStalledShard(t *testing.T) {
	t.Parallel()
	_, cl, w, j := stalledPayment(t, time.Hour)
	var unknown *attestation.UnknownError
	if _, err := w.Send(testContext(t), "rent", pay(addr(0x52), 1e9)); !errors.As(err, &unknown) || !strings.Contains(err.Error(), "not known yet") {
		t.Errorf("again: %v", err)
	}
	if in, err := j.Load("rent"); err != nil || in.Done || len(in.Messages) != 1 {
		t.Errorf("%+v, %v", in, err)
	}
	fresh := &chain.MemoryJournal{}
	other, err := chain.NewWriter(testContext(t), cl, testKey(0x51), fresh)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Send(testContext(t), "rent", pay(addr(0x52), 1e9)); !errors.As(err, &unknown) || !strings.Contains(err.Error(), "nothing was signed") {
		t.Errorf("another: %v", err)
	}
	if in, err := fresh.Pending(); in != nil || err != nil {
		t.Errorf("signed %+v, %v", in, err)
	}
}

// TestSendExternalStalledShard: a message that waits in a shard that stalls is
// refused a second time, and that is no refusal: it lands.
func TestSendExternalStalledShard(t *testing.T) {
	t.Parallel()
	clock := devnet.NewClock(time.Unix(1_800_000_000, 0))
	c := start(t, devnet.Options{BlockInterval: 20 * time.Millisecond, Now: clock.Now})
	cl := dial(t, c)
	w := fundedWriter(t, c, cl, 0x53, nil)
	key := testWallet(t, c, 0x53)
	ext, err := key.Transfer(0, clock.Now().Add(time.Minute), true, pay(addr(0x54), 1e9))
	if err != nil {
		t.Fatal(err)
	}
	c.StallShard(true)
	if _, err := c.Answer(testContext(t), ton.SendMessage{Body: ext.ToBOC()}); err != nil {
		t.Fatal(err)
	}
	sends := 0 // guarded by the order of queries: one after the other
	c.Liteservers()[0].Inject(devnet.Fault{Error: &ton.LSError{Text: "already taken"}, Match: func(q tl.Serializable) bool {
		if !isSend(q) {
			return false
		}
		if sends++; sends == 6 {
			c.StallShard(false)
		}
		return true
	}})
	if err := clock.Advance(30 * time.Second); err != nil {
		t.Fatal(err)
	}
	behind := func(a *chain.Account) bool { return a.ShardTime.Before(a.Block.Time) }
	if _, err := cl.WaitAccount(testContext(t), w.Address(), behind); err != nil {
		t.Fatal(err)
	}
	active := func(a *chain.Account) bool { return a.Active() }
	if _, err := cl.SendExternal(testContext(t), w.Address(), key.StateInit(), orderOf(t, key, pay(addr(0x54), 1e9)), active); err != nil {
		t.Fatal(err)
	}
	if got := received(t, cl, addr(0x54)); got != 1e9 {
		t.Errorf("receiver got %d", got)
	}
}

// TestExpiry: a wallet takes a message until the second before its expiry, and not
// in it. Void payments rest on that.
func TestExpiry(t *testing.T) {
	t.Parallel()
	clock := devnet.NewClock(time.Unix(1_800_000_000, 0))
	c := start(t, devnet.Options{BlockInterval: -1, Now: clock.Now})
	key := testWallet(t, c, 0x55)
	if err := c.Faucet(testContext(t), key.Address(), 10e9); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		until time.Duration
		taken bool
	}{{0, false}, {time.Second, true}} {
		ext, err := key.Transfer(0, clock.Now().Add(tc.until), true, pay(addr(0x56), 1))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Send(ext); (err == nil) != tc.taken {
			t.Errorf("%v before its expiry: %v", tc.until, err)
		}
	}
}
