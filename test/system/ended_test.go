package system

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/registry"
	"github.com/cocoon-go/cocoon/client"
)

// A node whose operator has ended its registration gets nothing any more, though
// its enclave still runs and its evidence is as good as before: not from who asks
// for the first time, and not from who verified it before the end.
func TestRetiredNode(t *testing.T) {
	t.Parallel()
	r := shared.bootFresh(t)
	l := r.newRelay(t)
	var ahead atomic.Int64
	old := r.newUser(t, l, func(c *client.Config) {
		c.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	})
	old.mustAsk(t, newSecret())
	shared.release(t, r.node)
	if _, err := shared.await(testContext(t), r.node, func(n *registry.Node) bool {
		e, ok := n.Epoch(n.Current)
		return !ok || !e.Active
	}); err != nil {
		t.Fatal(err)
	}

	fresh := r.newRelay(t)
	secret := newSecret()
	_, err := r.newUser(t, fresh).ask(t, secret, false)
	wantError(t, err, refused, secret, "no active registration")
	fresh.heardNoRequest(t, secret)

	ahead.Store(int64(time.Minute)) // what was proved before is too old now
	secret = newSecret()
	_, err = old.ask(t, secret, false)
	wantError(t, err, refused, secret, "no active registration")
	l.heardNothingOf(t, secret)
}

// A registration ends by itself on its day, whether or not anybody says so on the
// chain.
func TestExpiredRegistration(t *testing.T) {
	t.Parallel()
	r := shared.bootFresh(t)
	rec, err := shared.reader.Node(testContext(t), r.node)
	if err != nil {
		t.Fatal(err)
	}
	e, ok := rec.Epoch(rec.Current)
	if !ok || !e.Active {
		t.Fatal("the node is not registered")
	}
	for name, c := range map[string]struct {
		now  time.Time
		over bool
	}{
		"a second before": {e.Expires.Add(-time.Second), false},
		"at its end":      {e.Expires, true},
	} {
		l := r.newRelay(t)
		secret := newSecret()
		_, err := r.newUser(t, l, func(cfg *client.Config) { cfg.Now = func() time.Time { return c.now } }).ask(t, secret, false)
		if c.over {
			wantError(t, err, refused, secret, "the registration of node", "ended at")
			l.heardNoRequest(t, secret)
		} else if err == nil || strings.Contains(err.Error(), "ended at") { // the evidence is too old by then, which is another rule
			t.Errorf("%s: %v", name, err)
		}
	}
}

// otherRoot is a chain whose blocks have another root hash than a node claims.
type otherRoot struct{ chain.Reader }

func (o otherRoot) Block(ctx context.Context, seqno uint32) (chain.Block, error) {
	b, err := o.Reader.Block(ctx, seqno)
	b.RootHash[0] ^= 1
	return b, err
}

// TestOtherBlock: the block that claims name is looked up by the client too, whatever
// a contract has made of them.
func TestOtherBlock(t *testing.T) {
	t.Parallel()
	r := shared.bootFresh(t)
	l, secret := r.newRelay(t), newSecret()
	u := r.newUser(t, l, func(c *client.Config) { c.Chain = otherRoot{shared.client} })
	_, err := u.ask(t, secret, false)
	wantError(t, err, chainSay, secret, "has another root hash than the claims say")
	l.heardNoRequest(t, secret)
}
