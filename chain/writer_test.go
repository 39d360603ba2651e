package chain_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"math/big"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xssnick/tonutils-go/tl"
	"github.com/xssnick/tonutils-go/tlb"
	"github.com/xssnick/tonutils-go/ton"
	"github.com/xssnick/tonutils-go/ton/wallet"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/devnet"
)

func isSend(q tl.Serializable) bool { _, ok := q.(ton.SendMessage); return ok }

// balance is what an address holds by the chain's own word.
func balance(t *testing.T, cl *chain.Client, a attestation.Address) int64 {
	t.Helper()
	acc, err := cl.Account(testContext(t), a)
	if err != nil {
		t.Fatal(err)
	}
	return acc.Balance.Int64()
}

func pay(to attestation.Address, nano int64) chain.Message {
	return chain.Message{To: to, Amount: big.NewInt(nano), NoBounce: true}
}

// fundedWriter makes a writer whose wallet holds ten coins.
func fundedWriter(t *testing.T, c *devnet.Chain, cl *chain.Client, seed byte, j chain.Journal) *chain.Writer {
	t.Helper()
	ctx := testContext(t)
	w, err := chain.NewWriter(ctx, cl, ed25519.NewKeyFromSeed(bytesOf(seed)), j)
	if err != nil {
		t.Fatal(err)
	}
	if balance(t, cl, w.Address()) == 0 {
		if err := c.Faucet(ctx, w.Address(), 10e9); err != nil {
			t.Fatal(err)
		}
		if _, err := cl.WaitAccount(ctx, w.Address(), func(a *chain.Account) bool { return a.Exists }); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func TestWriter(t *testing.T) {
	c := start(t, devnet.Options{BlockInterval: 20 * time.Millisecond})
	cl := dial(t, c)
	ctx := testContext(t)
	w := fundedWriter(t, c, cl, 2, nil)
	// the first payment also deploys the wallet; two messages in one
	s, err := w.Send(ctx, "one", pay(addr(0xa1), 1e9), pay(addr(0xa2), 2e9))
	if err != nil {
		t.Fatal(err)
	}
	if a, b := received(t, cl, addr(0xa1)), received(t, cl, addr(0xa2)); a != 1e9 || b != 2e9 {
		t.Errorf("receivers got %d and %d", a, b)
	}
	again, err := w.Send(ctx, "one", pay(addr(0xa1), 1e9), pay(addr(0xa2), 2e9))
	if err != nil || *again != *s {
		t.Errorf("second call: %v, err %v", again, err)
	}
	s2, err := w.Send(ctx, "two", pay(addr(0xa1), 5e8))
	if err != nil || s2.Seqno != s.Seqno+1 {
		t.Errorf("next payment: %v, err %v", s2, err)
	}
	if a := received(t, cl, addr(0xa1)); a != 15e8 {
		t.Errorf("receiver got %d", a)
	}
	var bad *attestation.InputError
	for name, err := range map[string]error{
		"id used for something else": second(w.Send(ctx, "two", pay(addr(0xa1), 6e8))),
		"no id":                      second(w.Send(ctx, "", pay(addr(0xa1), 6e8))),
		"too little money":           second(w.Send(ctx, "three", pay(addr(0xa1), 100e9))),
		"no message":                 second(w.Send(ctx, "four")),
		"no amount":                  second(w.Send(ctx, "five", chain.Message{To: addr(1)})),
		"negative amount":            second(w.Send(ctx, "six", pay(addr(1), -1))),
		"too many messages":          second(w.Send(ctx, "seven", make([]chain.Message, 256)...)),
	} {
		if !errors.As(err, &bad) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// crashJournal fails at one Save, before or after it took effect.
type crashJournal struct {
	chain.Journal
	at     int64 // number of the Save that fails
	stored bool  // it takes effect all the same
	n      atomic.Int64
}

var errCrash = errors.New("crash")

func (j *crashJournal) Save(in *chain.Intent) error {
	if j.n.Add(1) != j.at {
		return j.Journal.Save(in)
	}
	if j.stored {
		if err := j.Journal.Save(in); err != nil {
			return err
		}
	}
	return errCrash
}

// received sums what internal messages brought to an address. A balance is less
// by storage fees.
func received(t *testing.T, cl *chain.Client, a attestation.Address) int64 {
	t.Helper()
	acc, err := cl.Account(testContext(t), a)
	if err != nil {
		t.Fatal(err)
	}
	txs, err := cl.Transactions(testContext(t), acc, 100)
	if err != nil {
		t.Fatal(err)
	}
	var sum int64
	for _, x := range txs {
		sum += x.In.AsInternal().Amount.Nano().Int64()
	}
	return sum
}

// TestWriterCrash stops a payment at every step, starts over from what the
// journal holds, and counts what the receiver got.
func TestWriterCrash(t *testing.T) {
	t.Parallel()
	c := start(t, devnet.Options{BlockInterval: 20 * time.Millisecond, Liteservers: 1})
	ls := c.Liteservers()[0]
	for i, tc := range []struct {
		name   string
		at     int64
		stored bool
		fault  devnet.Fault
		dies   bool // as soon as the message is with the liteserver
	}{
		{"before the intent is stored", 1, false, devnet.Fault{}, false},
		{"after the intent is stored", 1, true, devnet.Fault{}, false},
		{"before the result is stored", 2, false, devnet.Fault{}, false},
		{"after the result is stored", 2, true, devnet.Fault{}, false},
		{"message taken, no answer, dies", 0, false, devnet.Fault{Drop: true}, true},
		{"message taken, no answer", 0, false, devnet.Fault{Drop: true}, false},
		{"message lost", 0, false, devnet.Fault{Refuse: true}, true},
		{"message refused", 0, false, devnet.Fault{Refuse: true, Error: &ton.LSError{Text: "no"}}, true},
		{"answered twice", 0, false, devnet.Fault{Duplicate: 2}, false},
		{"answered late", 0, false, devnet.Fault{Delay: 300 * time.Millisecond}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			j, err := chain.OpenDirJournal(dir)
			if err != nil {
				t.Fatal(err)
			}
			cl := dial(t, c, chain.WithTimeout(noAnswer))
			w := fundedWriter(t, c, cl, byte(10+i), &crashJournal{Journal: j, at: tc.at, stored: tc.stored})
			to := addr(byte(0x40 + i))
			ctx, cancel := context.WithCancel(testContext(t))
			defer cancel()
			tc.fault.Match = func(q tl.Serializable) bool {
				if isSend(q) && tc.dies {
					cancel()
				}
				return isSend(q)
			}
			ls.Inject(tc.fault)
			_, err = w.Send(ctx, "rent", pay(to, 1e9))
			ls.Inject(devnet.Fault{})
			if tc.at > 0 && !errors.Is(err, errCrash) {
				t.Errorf("error %v, want the crash", err)
			}
			var unknown *attestation.UnknownError
			if tc.dies && !errors.As(err, &unknown) {
				t.Errorf("error %v, want unknown", err)
			}
			if tc.at == 0 && !tc.dies && err != nil {
				t.Errorf("error %v, want none", err)
			}
			// the next life: another process, the same directory
			cl2 := dial(t, c)
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
			j2, err := chain.OpenDirJournal(dir)
			if err != nil {
				t.Fatal(err)
			}
			w2 := fundedWriter(t, c, cl2, byte(10+i), j2)
			if _, err := w2.Send(testContext(t), "next", pay(to, 7)); err != nil {
				t.Fatal(err)
			}
			if _, err := w2.Send(testContext(t), "rent", pay(to, 1e9)); err != nil {
				t.Fatal(err)
			}
			if got := received(t, cl2, to); got != 1e9+7 {
				t.Errorf("receiver got %d, want %d", got, int64(1e9+7))
			}
		})
	}
}

// TestWriterSharedWallet lets another program use the wallet's next sequence
// number: the payment is made all the same, and once.
func TestWriterSharedWallet(t *testing.T) {
	t.Parallel()
	c := start(t, devnet.Options{BlockInterval: 20 * time.Millisecond})
	cl := dial(t, c)
	j := &chain.MemoryJournal{}
	w := fundedWriter(t, c, cl, 3, j)
	ls := c.Liteservers()[0]
	short, cancel := context.WithCancel(testContext(t))
	defer cancel()
	ls.Inject(devnet.Fault{Match: endAtSend(cancel), Refuse: true})
	if _, err := w.Send(short, "rent", pay(addr(0xb1), 1e9)); err == nil {
		t.Fatal("a lost message was sent")
	}
	ls.Inject(devnet.Fault{})
	other := fundedWriter(t, c, cl, 3, nil)
	if _, err := other.Send(testContext(t), "other", pay(addr(0xb2), 1e9)); err != nil {
		t.Fatal(err)
	}
	s, err := w.Send(testContext(t), "rent", pay(addr(0xb1), 1e9))
	if err != nil || s.Seqno != 1 {
		t.Errorf("sent %v, err %v", s, err)
	}
	if a, b := received(t, cl, addr(0xb1)), received(t, cl, addr(0xb2)); a != 1e9 || b != 1e9 {
		t.Errorf("receivers got %d and %d", a, b)
	}
	// a journal of another wallet is refused
	v := fundedWriter(t, c, cl, 4, j)
	in := &chain.Intent{ID: "x", Wallet: w.Address().String()}
	if err := j.Save(in); err != nil {
		t.Fatal(err)
	}
	var bad *attestation.InputError
	if _, err := v.Send(testContext(t), "y", pay(addr(1), 1)); !errors.As(err, &bad) {
		t.Errorf("journal of another wallet: %v", err)
	}
}

// TestWriterExpired lets the signed message expire on the virtual clock.
func TestWriterExpired(t *testing.T) {
	t.Parallel()
	clock := devnet.NewClock(time.Unix(1_800_000_000, 0))
	c := start(t, devnet.Options{BlockInterval: 20 * time.Millisecond, Now: clock.Now})
	cl := dial(t, c)
	w := fundedWriter(t, c, cl, 5, nil)
	ls := c.Liteservers()[0]
	short, cancel := context.WithCancel(testContext(t))
	defer cancel()
	ls.Inject(devnet.Fault{Match: endAtSend(cancel), Refuse: true})
	if _, err := w.Send(short, "rent", pay(addr(0xc1), 1e9)); err == nil {
		t.Fatal("a lost message was sent")
	}
	ls.Inject(devnet.Fault{})
	if err := clock.Advance(100 * time.Second); err != nil {
		t.Fatal(err)
	}
	s, err := w.Send(testContext(t), "rent", pay(addr(0xc1), 1e9))
	if err != nil || s.Seqno != 0 {
		t.Errorf("sent %v, err %v", s, err)
	}
	if got := received(t, cl, addr(0xc1)); got != 1e9 {
		t.Errorf("receiver got %d", got)
	}
}

// TestSendExternal deploys a wallet by an external message of its own.
func TestSendExternal(t *testing.T) {
	t.Parallel()
	c := start(t, devnet.Options{BlockInterval: 20 * time.Millisecond})
	cl := dial(t, c)
	ctx := testContext(t)
	w := fundedWriter(t, c, cl, 6, nil)
	key := testWallet(t, c, 6)
	ext, err := key.Transfer(0, time.Now().Add(time.Minute), true, pay(addr(0xd1), 1e9))
	if err != nil {
		t.Fatal(err)
	}
	var msg tlb.ExternalMessage
	if err := tlb.Parse(&msg, ext); err != nil {
		t.Fatal(err)
	}
	body := msg.Body
	seqno := func(n int64) func(*chain.Account) bool {
		return func(a *chain.Account) bool {
			if !a.Active() {
				return false
			}
			r, err := a.RunGetMethod("seqno")
			return err == nil && r[0].(*big.Int).Int64() == n
		}
	}
	for range 2 { // the second call finds the effect and sends nothing
		if _, err := cl.SendExternal(ctx, w.Address(), key.StateInit(), body, seqno(1)); err != nil {
			t.Fatal(err)
		}
	}
	if got := received(t, cl, addr(0xd1)); got != 1e9 {
		t.Errorf("receiver got %d", got)
	}
	var refused *attestation.RefusedError
	if _, err := cl.SendExternal(ctx, w.Address(), nil, body, seqno(2)); !errors.As(err, &refused) {
		t.Errorf("a replay: %v", err)
	}
	short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	var unknown *attestation.UnknownError
	if _, err := cl.WaitAccount(short, w.Address(), seqno(9)); !errors.As(err, &unknown) {
		t.Errorf("waiting in vain: %v", err)
	}
}

func TestParseWalletKey(t *testing.T) {
	words := wallet.NewSeed()
	text := ""
	for _, w := range words {
		text += w + "\n"
	}
	key, err := chain.ParseWalletKey(text)
	if err != nil {
		t.Fatal(err)
	}
	want, err := wallet.SeedToPrivateKeyWithOptions(words)
	if err != nil || !key.Equal(want) {
		t.Errorf("other key than the library's, err %v", err)
	}
	hex := fmt.Sprintf("%x", bytesOf(7))
	if key, err = chain.ParseWalletKey(" " + hex + "\n"); err != nil || !key.Equal(ed25519.NewKeyFromSeed(bytesOf(7))) {
		t.Errorf("hex seed: %v", err)
	}
	var bad *attestation.InputError
	for _, s := range []string{"", "abc", hex + "00", hex[:62], "a b c", text + " more"} {
		if _, err := chain.ParseWalletKey(s); !errors.As(err, &bad) {
			t.Errorf("%q: %v", s, err)
		}
	}
	words[0], words[1] = "abandon", "abandon"
	if _, err := chain.ParseWalletKey(fmt.Sprint(words)[1 : len(fmt.Sprint(words))-1]); !errors.As(err, &bad) {
		t.Errorf("words that are no mnemonic: %v", err)
	}
}
