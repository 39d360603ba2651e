// Package elsewhere is another TON network, for tests of what must not be signed
// there: it has a chain id of its own, a wallet has coins on it, and nothing else
// of the network that the wallet's owner means is there.
package elsewhere

import (
	"crypto/ed25519"
	"math/big"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xssnick/tonutils-go/tl"
	"github.com/xssnick/tonutils-go/ton"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/devnet"
)

// funds are what the wallet has, in nano.
const funds = 100e9

// Network is the other network.
type Network struct {
	*devnet.Chain
	Client *chain.Client
	wallet attestation.Address
	sent   atomic.Int64
}

// New starts one where the wallet of a key has coins. It ends with the test.
func New(t *testing.T, key ed25519.PrivateKey) *Network {
	t.Helper()
	c, err := devnet.Start(devnet.Options{BlockInterval: 20 * time.Millisecond, GlobalID: devnet.DefaultGlobalID - 1, Seed: []byte("elsewhere")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	cfg, err := chain.ParseGlobalConfig(c.GlobalConfig())
	if err != nil {
		t.Fatal(err)
	}
	n := &Network{Chain: c}
	if n.Client, err = chain.Dial(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Client.Close() })
	w, err := chain.NewWallet(key, c.GlobalID())
	if err != nil {
		t.Fatal(err)
	}
	n.wallet = w.Address()
	if err := c.Faucet(t.Context(), n.wallet, funds); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Client.WaitAccount(t.Context(), n.wallet, untouched); err != nil {
		t.Fatal(err)
	}
	c.Liteservers()[0].Inject(devnet.Fault{Forge: func(q, honest tl.Serializable) tl.Serializable {
		if _, ok := q.(ton.SendMessage); ok {
			n.sent.Add(1)
		}
		return honest
	}})
	return n
}

// untouched says of the wallet that it has signed nothing.
func untouched(a *chain.Account) bool {
	return !a.Active() && a.Balance.Cmp(big.NewInt(funds)) == 0
}

// Unsent checks that nobody has sent a message since the last call.
func (n *Network) Unsent(t *testing.T) {
	t.Helper()
	if k := n.sent.Swap(0); k != 0 {
		t.Errorf("%d messages were signed and sent", k)
	}
}

// Unspent checks that the wallet has all its coins.
func (n *Network) Unspent(t *testing.T) {
	t.Helper()
	if acc, err := n.Client.Account(t.Context(), n.wallet); err != nil || !untouched(acc) {
		t.Errorf("the wallet holds %v, err %v", acc.Balance, err)
	}
}
