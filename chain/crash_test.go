package chain_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xssnick/tonutils-go/tl"
	"github.com/xssnick/tonutils-go/ton"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/devnet"
)

// lose lets a payment be lost on its way, so that it stays unfinished.
func lose(t *testing.T, w *chain.Writer, ls *devnet.Liteserver, id string, msgs ...chain.Message) (lost []byte) {
	t.Helper()
	var got atomic.Pointer[[]byte]
	short, cancel := context.WithCancel(testContext(t))
	defer cancel()
	ls.Inject(devnet.Fault{Refuse: true, Match: func(q tl.Serializable) bool {
		m, ok := q.(ton.SendMessage)
		if ok {
			got.Store(&m.Body)
			cancel()
		}
		return ok
	}})
	var unknown *attestation.UnknownError
	if _, err := w.Send(short, id, msgs...); !errors.As(err, &unknown) {
		t.Fatalf("a lost message: %v", err)
	}
	ls.Inject(devnet.Fault{})
	return *got.Load()
}

// TestWriterCrashResign stops a payment whose message has expired, or whose
// number another program has used, at the moment when it is signed again.
func TestWriterCrashResign(t *testing.T) {
	for i, tc := range []struct {
		name    string
		foreign bool // another program uses the sequence number; else the message expires
		stored  bool // the save takes effect before the crash
		seqno   uint32
	}{
		{"expired, before it is stored", false, false, 0},
		{"expired, after it is stored", false, true, 0},
		{"number used, before it is stored", true, false, 1},
		{"number used, after it is stored", true, true, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			clock := devnet.NewClock(time.Unix(1_800_000_000, 0))
			c := start(t, devnet.Options{BlockInterval: 20 * time.Millisecond, Now: clock.Now})
			cl := dial(t, c)
			j, err := chain.OpenDirJournal(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			seed, to := byte(0x70+i), addr(byte(0xd0+i))
			w := fundedWriter(t, c, cl, seed, j)
			first := lose(t, w, c.Liteservers()[0], "rent", pay(to, 1e9))
			if tc.foreign {
				if _, err := fundedWriter(t, c, cl, seed, nil).Send(testContext(t), "other", pay(addr(0xdf), 5)); err != nil {
					t.Fatal(err)
				}
			} else if err := clock.Advance(100 * time.Second); err != nil {
				t.Fatal(err)
			}
			waitFresh(t, cl)
			dying := fundedWriter(t, c, cl, seed, &crashJournal{Journal: j, at: 1, stored: tc.stored})
			if _, err := dying.Send(testContext(t), "rent", pay(to, 1e9)); !errors.Is(err, errCrash) {
				t.Fatalf("error %v, want the crash", err)
			}
			s, err := fundedWriter(t, c, cl, seed, j).Send(testContext(t), "rent", pay(to, 1e9))
			if err != nil || s.Seqno != tc.seqno {
				t.Errorf("sent %v, err %v; want number %d", s, err, tc.seqno)
			}
			// the message of the first life arrives after all
			if _, err := c.Answer(testContext(t), ton.SendMessage{Body: first}); err == nil {
				t.Error("the wallet takes the first message too")
			}
			if got := received(t, cl, to); got != 1e9 {
				t.Errorf("receiver got %d", got)
			}
		})
	}
}

// TestWriterLongRefused: a payment that no liteserver takes for a long time is signed
// again and again, and the journal does not grow with it.
func TestWriterLongRefused(t *testing.T) {
	t.Parallel()
	clock := devnet.NewClock(time.Unix(1_800_000_000, 0))
	c := start(t, devnet.Options{BlockInterval: 20 * time.Millisecond, Now: clock.Now})
	cl := dial(t, c)
	j := &chain.MemoryJournal{}
	w, to := fundedWriter(t, c, cl, 0x6f, j), addr(0xcf)
	for range 18 {
		lose(t, w, c.Liteservers()[0], "rent", pay(to, 1e9))
		if err := clock.Advance(100 * time.Second); err != nil {
			t.Fatal(err)
		}
		if _, err := cl.WaitAccount(testContext(t), to, func(a *chain.Account) bool { return !a.ShardTime.Before(clock.Now()) }); err != nil {
			t.Fatal(err)
		}
	}
	in, err := j.Load("rent")
	if err != nil || len(in.Messages) != 16 {
		t.Errorf("%d messages, %v", len(in.Messages), err)
	}
	if _, err := w.Send(testContext(t), "rent", pay(to, 1e9)); err != nil {
		t.Fatal(err)
	}
	if got := received(t, cl, to); got != 1e9 {
		t.Errorf("receiver got %d", got)
	}
}

// waitFresh waits until the chain has a block of the time that the clock shows.
func waitFresh(t *testing.T, cl *chain.Client) {
	t.Helper()
	for _, err := cl.Head(t.Context()); err != nil && t.Context().Err() == nil; _, err = cl.Head(t.Context()) {
		time.Sleep(10 * time.Millisecond)
	}
}

// TestWriterDuplicate brings the one message of a payment to the chain many
// times, before and after it landed.
func TestWriterDuplicate(t *testing.T) {
	t.Parallel()
	c := start(t, devnet.Options{BlockInterval: 50 * time.Millisecond, Liteservers: 3})
	cl := dial(t, c)
	w := fundedWriter(t, c, cl, 0x7a, nil)
	var body atomic.Pointer[[]byte]
	for _, ls := range c.Liteservers() {
		ls.Inject(devnet.Fault{Forge: func(q, honest tl.Serializable) tl.Serializable {
			if m, ok := q.(ton.SendMessage); ok {
				body.Store(&m.Body)
				for range 5 { // at the same time, over other servers
					_, _ = c.Answer(context.Background(), q)
				}
			}
			return honest
		}})
	}
	if _, err := w.Send(testContext(t), "rent", pay(addr(0xda), 1e9)); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := c.Answer(testContext(t), ton.SendMessage{Body: *body.Load()}); err == nil {
			t.Error("the wallet takes the message again")
		}
	}
	if _, err := w.Send(testContext(t), "next", pay(addr(0xda), 7)); err != nil {
		t.Fatal(err)
	}
	if got := received(t, cl, addr(0xda)); got != 1e9+7 {
		t.Errorf("receiver got %d", got)
	}
}

// TestWriterUnreadable lets the message land, and liteservers show nothing of it
// for a while: neither the account nor its transactions.
func TestWriterUnreadable(t *testing.T) {
	for i, tc := range []struct {
		name  string
		match func(q tl.Serializable) bool
	}{
		{"the account", func(q tl.Serializable) bool { _, ok := q.(ton.GetAccountState); return ok }},
		{"its transactions", func(q tl.Serializable) bool { _, ok := q.(ton.GetTransactions); return ok }},
		{"the head", func(q tl.Serializable) bool { _, ok := q.(ton.GetMasterchainInf); return ok }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := start(t, devnet.Options{BlockInterval: 20 * time.Millisecond})
			cl := dial(t, c, chain.WithTimeout(noAnswer))
			seed, to, ls := byte(0x7b+i), addr(byte(0xdb+i)), c.Liteservers()[0]
			w := fundedWriter(t, c, cl, seed, nil)
			var sent atomic.Bool
			ls.Inject(devnet.Fault{Refuse: true, Match: func(q tl.Serializable) bool {
				if isSend(q) {
					sent.Store(true)
					return false
				}
				return sent.Load() && tc.match(q)
			}})
			var unknown *attestation.UnknownError
			if _, err := w.Send(testContext(t), "rent", pay(to, 1e9)); !errors.As(err, &unknown) {
				t.Errorf("error %v, want unknown", err)
			}
			ls.Inject(devnet.Fault{})
			if _, err := w.Send(testContext(t), "rent", pay(to, 1e9)); err != nil {
				t.Fatal(err)
			}
			if got := received(t, cl, to); got != 1e9 {
				t.Errorf("receiver got %d", got)
			}
		})
	}
}

// TestWriterClock puts this machine's clock far off: nothing is signed, and the
// error says what is wrong.
func TestWriterClock(t *testing.T) {
	t.Parallel()
	c := start(t, devnet.Options{BlockInterval: 20 * time.Millisecond})
	var off atomic.Int64
	cl := dial(t, c, chain.WithClock(func() time.Time { return time.Now().Add(time.Duration(off.Load())) }))
	j := &chain.MemoryJournal{}
	w := fundedWriter(t, c, cl, 0x7f, j)
	var unknown *attestation.UnknownError
	for shift, text := range map[time.Duration]string{
		-time.Hour: "this clock is slow", time.Hour: "this clock is fast", -2 * time.Minute: "this clock is slow", 150 * time.Second: "this clock is fast",
	} {
		off.Store(int64(shift))
		if _, err := w.Send(testContext(t), "rent", pay(addr(0xde), 1e9)); !errors.As(err, &unknown) || !strings.Contains(err.Error(), text) {
			t.Errorf("%v off: %v", shift, err)
		}
		if _, err := chain.Dial(testContext(t), config(t, c), chain.WithNetwork(chain.Devnet), chain.WithClock(func() time.Time { return time.Now().Add(shift) })); !errors.As(err, &unknown) {
			t.Errorf("dial with a clock %v off: %v", shift, err)
		}
	}
	off.Store(0)
	if in, err := j.Pending(); in != nil || err != nil {
		t.Errorf("signed with a wrong clock: %v, err %v", in, err)
	}
	acc, err := cl.Account(testContext(t), w.Address())
	if err != nil || acc.Active() || acc.Balance.Int64() != 10e9 {
		t.Errorf("wallet holds %v, err %v", acc.Balance, err)
	}
	// a clock that is a little off does not matter
	off.Store(int64(-30 * time.Second))
	if _, err := w.Send(testContext(t), "rent", pay(addr(0xde), 1e9)); err != nil {
		t.Errorf("half a minute off: %v", err)
	}
}

// TestDirJournal looks at what a crash can leave of each file.
func TestDirJournal(t *testing.T) {
	saved := func(t *testing.T) (string, *chain.DirJournal, *chain.Intent) {
		t.Helper()
		dir := filepath.Join(t.TempDir(), "journal")
		j, err := chain.OpenDirJournal(dir)
		if err != nil {
			t.Fatal(err)
		}
		in := &chain.Intent{ID: "rent", Wallet: "0:00", Seqno: 3, Messages: [][]byte{{1}}}
		if err := j.Save(in); err != nil {
			t.Fatal(err)
		}
		return dir, j, in
	}
	pending := func(t *testing.T, j *chain.DirJournal, want bool) {
		t.Helper()
		if in, err := j.Pending(); err != nil || (in != nil) != want {
			t.Errorf("pending %v, err %v; want one: %v", in, err, want)
		}
	}
	intent := func(t *testing.T, dir string) string {
		t.Helper()
		files, err := filepath.Glob(filepath.Join(dir, "*.json"))
		if err != nil || len(files) != 1 {
			t.Fatalf("files %v, err %v", files, err)
		}
		return files[0]
	}
	t.Run("unfinished", func(t *testing.T) {
		_, j, _ := saved(t)
		pending(t, j, true)
	})
	t.Run("named before it was written", func(t *testing.T) {
		dir, j, _ := saved(t)
		if err := os.Remove(intent(t, dir)); err != nil {
			t.Fatal(err)
		}
		pending(t, j, false)
	})
	t.Run("done before the name was removed", func(t *testing.T) {
		dir, j, in := saved(t)
		name := filepath.Join(dir, "pending")
		id, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		in.Done = true
		if err := j.Save(in); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(name); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the name stays: %v", err)
		}
		if err := os.WriteFile(name, id, 0o600); err != nil {
			t.Fatal(err)
		}
		pending(t, j, false)
	})
	t.Run("leftovers of writing", func(t *testing.T) {
		dir, j, _ := saved(t)
		if err := os.WriteFile(intent(t, dir)+".ABCD.tmp", []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
		pending(t, j, true)
	})
	t.Run("damaged", func(t *testing.T) {
		dir, j, _ := saved(t)
		if err := os.WriteFile(intent(t, dir), []byte(`{"id":"rent"`), 0o600); err != nil {
			t.Fatal(err)
		}
		if in, err := j.Pending(); err == nil {
			t.Errorf("a damaged file is no payment: %v", in)
		}
	})
	t.Run("another payment's file", func(t *testing.T) {
		dir, j, _ := saved(t)
		if err := os.WriteFile(intent(t, dir), []byte(`{"id":"other"}`), 0o600); err != nil {
			t.Fatal(err)
		}
		if in, err := j.Load("rent"); err == nil {
			t.Errorf("loaded %v", in)
		}
	})
}

// TestWriterLostName loses the journal's note of which payment is not done: the
// payment is finished all the same when it is asked for, and not made twice.
func TestWriterLostName(t *testing.T) {
	t.Parallel()
	c := start(t, devnet.Options{BlockInterval: 20 * time.Millisecond})
	cl := dial(t, c)
	dir := t.TempDir()
	j, err := chain.OpenDirJournal(dir)
	if err != nil {
		t.Fatal(err)
	}
	to := addr(0xd9)
	w := fundedWriter(t, c, cl, 0x79, j)
	lose(t, w, c.Liteservers()[0], "rent", pay(to, 1e9))
	if err := os.Remove(filepath.Join(dir, "pending")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := w.Send(testContext(t), "rent", pay(to, 1e9)); err != nil {
			t.Fatal(err)
		}
	}
	if got := received(t, cl, to); got != 1e9 {
		t.Errorf("receiver got %d", got)
	}
}
