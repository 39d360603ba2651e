package chain_test

import (
	"context"
	"errors"
	"math/big"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xssnick/tonutils-go/tl"
	"github.com/xssnick/tonutils-go/tlb"
	"github.com/xssnick/tonutils-go/ton"
	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/devnet"
)

// noAnswer is how long a client waits for an answer that is lost on purpose, in tests
// that run beside others. Answers that come must do so within it, on any machine.
const noAnswer = 3 * time.Second

// step is where something that sends a message is stopped, or what happens to the
// message.
type step struct {
	name   string
	at     int64 // number of the journal's Save that fails; 0: none
	stored bool  // it takes effect all the same
	fault  devnet.Fault
	dies   bool // as soon as the message is with the liteserver
}

var sendSteps = []step{
	{name: "message taken, no answer, dies", fault: devnet.Fault{Drop: true}, dies: true},
	{name: "message taken, no answer", fault: devnet.Fault{Drop: true}},
	{name: "message taken, answered with an error", fault: devnet.Fault{Error: &ton.LSError{Text: "busy"}}},
	{name: "message lost", fault: devnet.Fault{Refuse: true}, dies: true},
	{name: "message refused", fault: devnet.Fault{Refuse: true, Error: &ton.LSError{Text: "no"}}, dies: true},
	{name: "answered twice", fault: devnet.Fault{Duplicate: 2}},
	{name: "answered late", fault: devnet.Fault{Delay: 300 * time.Millisecond}},
}

// inject has a liteserver do what the step says to messages. The context ends
// where the step dies.
func (s step) inject(t *testing.T, ls *devnet.Liteserver) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(testContext(t))
	t.Cleanup(cancel)
	f := s.fault
	f.Match = func(q tl.Serializable) bool {
		if isSend(q) && s.dies {
			cancel()
		}
		return isSend(q)
	}
	ls.Inject(f)
	return ctx
}

// TestDeployCrash stops the creation of a contract at every step, starts over
// from what the journal holds, and demands one contract that got its coins once.
func TestDeployCrash(t *testing.T) {
	t.Parallel()
	steps := append([]step{
		{name: "before the intent is stored", at: 1},
		{name: "after the intent is stored", at: 1, stored: true},
		{name: "before the result is stored", at: 2},
		{name: "after the result is stored", at: 2, stored: true},
	}, sendSteps...)
	c := start(t, devnet.Options{BlockInterval: 20 * time.Millisecond})
	ls := c.Liteservers()[0]
	for i, s := range steps {
		t.Run(s.name, func(t *testing.T) {
			dir := t.TempDir()
			j := openJournal(t, dir)
			key, child := byte(0x20+i), testWallet(t, c, byte(0xa0+i))
			deploy := func(ctx context.Context, w *chain.Writer) (attestation.Address, error) {
				a, _, err := w.Deploy(ctx, "deploy", child.StateInit(), big.NewInt(1e9), nil)
				return a, err
			}
			w := fundedWriter(t, c, dial(t, c, chain.WithTimeout(noAnswer)), key, &crashJournal{Journal: j, at: s.at, stored: s.stored})
			ctx := s.inject(t, ls)
			_, err := deploy(ctx, w)
			ls.Inject(devnet.Fault{})
			var unknown *attestation.UnknownError
			switch {
			case s.at > 0 && !errors.Is(err, errCrash), s.dies && !errors.As(err, &unknown), s.at == 0 && !s.dies && err != nil:
				t.Errorf("error %v", err)
			}
			// the next life does it again, twice
			cl := dial(t, c)
			for range 2 {
				if err := j.Close(); err != nil {
					t.Fatal(err)
				}
				j = openJournal(t, dir)
				a, err := deploy(testContext(t), fundedWriter(t, c, cl, key, j))
				if err != nil || a != child.Address() {
					t.Fatalf("contract %s, err %v; want %s", a, err, child.Address())
				}
			}
			if got := received(t, cl, child.Address()); got != 1e9 {
				t.Errorf("the contract got %d", got)
			}
			acc, err := cl.Account(testContext(t), child.Address())
			if err != nil || !acc.Active() {
				t.Errorf("active %v, err %v", acc.Active(), err)
			}
		})
	}
}

// TestSendExternalCrash stops an external message at every step, and sends it
// again: it has its effect once.
func TestSendExternalCrash(t *testing.T) {
	t.Parallel()
	c := start(t, devnet.Options{BlockInterval: 20 * time.Millisecond})
	ls := c.Liteservers()[0]
	for i, s := range sendSteps {
		t.Run(s.name, func(t *testing.T) {
			seed, to := byte(0x60+i), addr(byte(0x60+i))
			cl := dial(t, c, chain.WithTimeout(noAnswer))
			w := fundedWriter(t, c, cl, seed, nil)
			body := orderOf(t, testWallet(t, c, seed), pay(to, 1e9))
			var looks atomic.Int64
			done := func(a *chain.Account) bool { looks.Add(1); return a.Active() }
			send := func(ctx context.Context, cl *chain.Client) error {
				_, err := cl.SendExternal(ctx, w.Address(), testWallet(t, c, seed).StateInit(), body, done)
				return err
			}
			ctx := s.inject(t, ls)
			err := send(ctx, cl)
			var unknown *attestation.UnknownError
			if s.dies != (err != nil) || err != nil && !errors.As(err, &unknown) {
				t.Errorf("error %v", err)
			}
			ls.Inject(devnet.Fault{})
			// the next life, twice: the second finds the effect and sends nothing
			for n := range 2 {
				looks.Store(0)
				if err := send(testContext(t), dial(t, c)); err != nil {
					t.Fatal(err)
				}
				if looks.Load() != 1 && (n > 0 || !s.dies) {
					t.Errorf("life %d looked %d times: it sent a message", n, looks.Load())
				}
			}
			if got := received(t, cl, to); got != 1e9 {
				t.Errorf("receiver got %d", got)
			}
		})
	}
}

func openJournal(t *testing.T, dir string) *chain.DirJournal {
	t.Helper()
	j, err := chain.OpenDirJournal(dir)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// orderOf is the body of a wallet's first order.
func orderOf(t *testing.T, w *chain.Wallet, m chain.Message) *cell.Cell {
	t.Helper()
	ext, err := w.Transfer(0, time.Now().Add(time.Hour), true, m)
	if err != nil {
		t.Fatal(err)
	}
	var msg tlb.ExternalMessage
	if err := tlb.Parse(&msg, ext); err != nil {
		t.Fatal(err)
	}
	return msg.Body
}
