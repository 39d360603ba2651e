package chain_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xssnick/tonutils-go/tl"
	"github.com/xssnick/tonutils-go/ton"

	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/devnet"
)

// TestCallerInAHurry: a caller who gives up early does not end the connection on which
// another one waits for the answer to a question that takes its time.
func TestCallerInAHurry(t *testing.T) {
	t.Parallel()
	c := start(t, devnet.Options{BlockInterval: -1})
	cl := dial(t, c, chain.WithTimeout(time.Minute))
	var asked atomic.Int64
	var hurry atomic.Bool
	first := make(chan struct{})
	c.Liteservers()[0].Inject(devnet.Fault{Delay: time.Second, Match: func(q tl.Serializable) bool {
		g, ok := q.(ton.GetAccountState)
		if ok && g.Account.ID[0] == 1 && asked.Add(1) == 1 {
			close(first)
		}
		return ok || hurry.Load()
	}})
	done := make(chan error)
	go func() {
		_, err := cl.Account(testContext(t), addr(1))
		done <- err
	}()
	<-first
	for range 5 { // what else the first caller asked is answered by now
		if _, err := cl.Head(testContext(t)); err != nil {
			t.Fatal(err)
		}
	}
	hurried, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	hurry.Store(true)
	if _, err := cl.Head(hurried); err == nil {
		t.Error("the caller in a hurry has an answer")
	}
	hurry.Store(false)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n := asked.Load(); n != 1 { // again, over another connection
		t.Errorf("it was asked %d times", n)
	}
}
