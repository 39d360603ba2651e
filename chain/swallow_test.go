package chain_test

import (
	"testing"
	"time"

	"github.com/xssnick/tonutils-go/tl"
	"github.com/xssnick/tonutils-go/ton"

	"github.com/cocoon-go/cocoon/chain/devnet"
)

// TestSwallow has the server that is asked first say that it has taken every message,
// and take none. A payment gets to the chain through the others.
func TestSwallow(t *testing.T) {
	t.Parallel()
	c := start(t, devnet.Options{BlockInterval: 20 * time.Millisecond, Liteservers: 4})
	cl := dial(t, c)
	w := fundedWriter(t, c, cl, 0x61, nil)
	for _, s := range c.Liteservers()[:3] {
		s.Inject(devnet.Fault{Match: isSend, Instead: func(tl.Serializable) tl.Serializable { return ton.SendMessageStatus{Status: 1} }})
	}
	if _, err := w.Send(testContext(t), "rent", pay(addr(0x62), 1e9)); err != nil {
		t.Fatal(err)
	}
	if got := received(t, cl, addr(0x62)); got != 1e9 {
		t.Errorf("receiver got %d", got)
	}
}
