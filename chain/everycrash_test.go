package chain_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xssnick/tonutils-go/tl"
	"github.com/xssnick/tonutils-go/ton"
	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/devnet"
)

// life is somebody who pays, creates a contract, or sends an external message, in
// one way or another, over a liteserver of his own.
type life struct {
	c      *devnet.Chain
	server int
	dir    string // of the journal
	key    ed25519.PrivateKey
	wallet *chain.Wallet
	to     attestation.Address
	order  *cell.Cell // external: the message
	child  *chain.Wallet
}

// client dials the life's own liteserver.
func (l *life) client(ctx context.Context) (*chain.Client, error) {
	var cfg map[string]json.RawMessage
	var servers []json.RawMessage
	if err := errors.Join(json.Unmarshal(l.c.GlobalConfig(), &cfg), json.Unmarshal(cfg["liteservers"], &servers)); err != nil {
		return nil, err
	}
	one, err := json.Marshal(servers[l.server : l.server+1])
	if err != nil {
		return nil, err
	}
	cfg["liteservers"] = one
	text, err := json.Marshal(cfg)
	if err != nil {
		return nil, err
	}
	parsed, err := chain.ParseGlobalConfig(text)
	if err != nil {
		return nil, err
	}
	return chain.Dial(ctx, parsed, chain.WithTimeout(time.Minute))
}

// deeds are what a life does, as often as it is told, with one effect.
var deeds = map[string]func(l *life, ctx context.Context, cl *chain.Client, w *chain.Writer) error{
	"send": func(l *life, ctx context.Context, _ *chain.Client, w *chain.Writer) error {
		_, err := w.Send(ctx, "rent", pay(l.to, 1e9))
		return err
	},
	"deploy": func(l *life, ctx context.Context, _ *chain.Client, w *chain.Writer) error {
		a, _, err := w.Deploy(ctx, "child", l.child.StateInit(), big.NewInt(1e9), nil)
		if err == nil && a != l.to {
			err = fmt.Errorf("deployed %s, want %s", a, l.to)
		}
		return err
	},
	"external": func(l *life, ctx context.Context, cl *chain.Client, _ *chain.Writer) error {
		_, err := cl.SendExternal(ctx, l.wallet.Address(), l.wallet.StateInit(), l.order, func(a *chain.Account) bool { return a.Active() })
		return err
	},
}

// run is one life: it opens the journal and does its deed. armed is called when
// it has everything.
func (l *life) run(ctx context.Context, deed string, armed func()) error {
	j, err := chain.OpenDirJournal(l.dir)
	if err != nil {
		return err
	}
	defer j.Close()
	cl, err := l.client(ctx)
	if err != nil {
		return err
	}
	defer cl.Close()
	w, err := chain.NewWriter(ctx, cl, l.key, j)
	if err != nil {
		return err
	}
	armed()
	return deeds[deed](l, ctx, cl, w)
}

// die is the first life. It ends at its n-th query, which the liteserver hears or
// not. It returns the messages that it sent, and whether it came to its end before.
func (l *life) die(ctx context.Context, deed string, n int64, heard bool) (sent [][]byte, whole bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var mu sync.Mutex
	var count atomic.Int64
	ls := l.c.Liteservers()[l.server]
	err = l.run(ctx, deed, func() {
		ls.Inject(devnet.Fault{Drop: heard, Refuse: !heard, Match: func(q tl.Serializable) bool {
			if m, ok := q.(ton.SendMessage); ok {
				mu.Lock()
				sent = append(sent, m.Body)
				mu.Unlock()
			}
			now := count.Add(1)
			if now == n {
				cancel()
			}
			return now >= n // a dead process hears nothing more
		}})
	})
	ls.Inject(devnet.Fault{})
	mu.Lock()
	defer mu.Unlock()
	if err == nil {
		return sent, true, nil
	}
	var unknown *attestation.UnknownError
	if !errors.As(err, &unknown) {
		return sent, false, fmt.Errorf("the first life: %w", err)
	}
	return sent, false, nil
}

// lives has a life die, brings every message of it to the chain again, and has two
// more do the same. The effect is there once.
func (l *life) lives(ctx context.Context, deed string, n int64, heard bool) (whole bool, err error) {
	sent, whole, err := l.die(ctx, deed, n, heard)
	if err != nil {
		return false, err
	}
	again := func() {
		for _, m := range sent {
			_, _ = l.c.Answer(ctx, ton.SendMessage{Body: m}) // taken, or refused
		}
	}
	again()
	for range 2 {
		if err := l.run(ctx, deed, func() {}); err != nil {
			return false, fmt.Errorf("a later life: %w", err)
		}
		again()
	}
	if err := l.c.Mine(2); err != nil { // what came twice would be there by now
		return false, err
	}
	return whole, l.effect(ctx)
}

// effect wants one coin at the receiver, of one transaction, and a wallet that
// took one order.
func (l *life) effect(ctx context.Context) error {
	cl, err := l.client(ctx)
	if err != nil {
		return err
	}
	defer cl.Close()
	acc, err := cl.Account(ctx, l.to)
	if err != nil {
		return err
	}
	txs, err := cl.Transactions(ctx, acc, 10)
	if err != nil {
		return err
	}
	if len(txs) != 1 || txs[0].In.AsInternal().Amount.Nano().Int64() != 1e9 {
		return fmt.Errorf("the receiver has %d transactions, want one of a coin", len(txs))
	}
	wallet, err := cl.Account(ctx, l.wallet.Address())
	if err != nil {
		return err
	}
	r, err := wallet.RunGetMethod("seqno")
	if err != nil {
		return err
	}
	if r[0].(*big.Int).Int64() != 1 {
		return fmt.Errorf("the wallet took %v orders", r[0])
	}
	return nil
}

// TestCrashAtEveryQuery ends a payment, the creation of a contract, and an external
// message at every query that they make of a liteserver, once before and once after
// it has heard the query; brings what was sent to the chain again, and again; and
// demands one effect. The steps of the journal are in TestWriterCrash and
// TestDeployCrash.
func TestCrashAtEveryQuery(t *testing.T) {
	t.Parallel()
	const most = 20 // queries of a life, at most; each test life has its own server
	accounts := map[attestation.Address]uint64{}
	newLife := func(deed string, i int) *life {
		l := &life{server: i, dir: t.TempDir()}
		seed := append([]byte(fmt.Sprintf("%-31s", deed)), byte(i))
		l.key = ed25519.NewKeyFromSeed(seed)
		var err error
		if l.wallet, err = chain.NewWallet(l.key, devnet.DefaultGlobalID); err != nil {
			t.Fatal(err)
		}
		seed[30] = '+'
		if l.child, err = chain.NewWallet(ed25519.NewKeyFromSeed(seed), devnet.DefaultGlobalID); err != nil {
			t.Fatal(err)
		}
		if l.to = l.child.Address(); deed == "external" {
			l.order = orderOf(t, l.wallet, pay(l.to, 1e9))
		}
		accounts[l.wallet.Address()] = 10e9
		return l
	}
	all := map[string][]*life{}
	for deed := range deeds {
		for i := range 2 * most {
			all[deed] = append(all[deed], newLife(deed, i))
		}
	}
	c := start(t, devnet.Options{BlockInterval: 20 * time.Millisecond, Liteservers: 2 * most, Accounts: accounts})
	for deed, lives := range all {
		t.Run(deed, func(t *testing.T) {
			var wg sync.WaitGroup
			var died, ended atomic.Int64
			for i, l := range lives {
				l.c = c
				wg.Go(func() {
					n, heard := int64(i/2+1), i%2 == 1
					whole, err := l.lives(t.Context(), deed, n, heard)
					if err != nil {
						t.Errorf("query %d, heard %v: %v", n, heard, err)
					}
					if whole {
						ended.Add(1)
					} else {
						died.Add(1)
					}
				})
			}
			wg.Wait()
			t.Logf("%d died, %d came to their end", died.Load(), ended.Load())
			if died.Load() < 12 || ended.Load() == 0 {
				t.Errorf("%d died, %d came to their end: that is not every query", died.Load(), ended.Load())
			}
		})
	}
}
