package devnet

import (
	"context"
	"crypto/ed25519"
	"errors"
	"math/big"
	"sync"
	"time"

	"github.com/xssnick/tonutils-go/tlb"
	"github.com/xssnick/tonutils-go/tvm"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
)

// faucetBalance is what the faucet starts with: four billion coins.
const faucetBalance = uint64(4e18)

// faucet is a V5R1 wallet of the zerostate. The chain makes its external
// messages while it makes blocks, so that its sequence number never races.
type faucet struct {
	wallet *chain.Wallet
	key    ed25519.PrivateKey

	mu    sync.Mutex
	queue []*grant
	sent  *external // in the block that is being made
	count int       // grants of queue in sent
}

// grant is one payment of the faucet.
type grant struct {
	msg chain.Message
	lt  uint64 // first logical time of the block that sends it; 0: not yet sent
}

func (f *faucet) init(seed []byte, globalID int32) (err error) {
	f.key = derive(seed, "faucet")
	f.wallet, err = chain.NewWallet(f.key, globalID)
	return err
}

func (f *faucet) genesis() genesisAccount {
	return genesisAccount{address: f.wallet.Address(), nano: faucetBalance, init: f.wallet.StateInit()}
}

// message builds the external message for what is asked, if anything. It runs
// under Chain.mine.
func (f *faucet) message(c *Chain, utime uint32, prev *Block) *external {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sent, f.count = nil, min(len(f.queue), chain.MaxWalletMessages)
	if f.count == 0 {
		return nil
	}
	addr := f.wallet.Address()
	sa, err := shardAccount(prev.shard.accounts, addr.Hash[:])
	if err != nil {
		return nil
	}
	var st tlb.AccountState
	if err := tlb.Parse(&st, sa.Account); err != nil || st.StateInit == nil {
		return nil
	}
	s := st.StateInit.Data.MustBeginParse()
	s.MustLoadBoolBit()
	var msgs []chain.Message
	for _, g := range f.queue[:f.count] {
		msgs = append(msgs, g.msg)
	}
	msg, err := f.wallet.Transfer(uint32(s.MustLoadUInt(32)), time.Unix(int64(utime)+60, 0), false, msgs...)
	if err != nil {
		return nil
	}
	pm, err := tvm.PrepareMessage(msg)
	if err != nil {
		return nil
	}
	f.sent = &external{msg: pm, to: basechain}
	return f.sent
}

// settle drops from the queue what the block with first logical time lt holds;
// left are external messages that found no room.
func (f *faucet) settle(left []*external, lt uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.sent == nil {
		return
	}
	for _, e := range left {
		if e == f.sent {
			return
		}
	}
	for _, g := range f.queue[:f.count] {
		g.lt = lt
	}
	f.queue = append([]*grant(nil), f.queue[f.count:]...)
	f.sent = nil
}

// FaucetWallet returns the key of the faucet's V5R1 wallet, which holds nearly
// all coins of the chain. A program that runs against any TON network can use
// it as its funded wallet.
func (c *Chain) FaucetWallet() ed25519.PrivateKey { return c.faucet.key }

// Faucet sends nano nanocoins to an address, without bounce, and returns when
// they are there. On a chain without a block interval it makes the blocks that
// this takes.
func (c *Chain) Faucet(ctx context.Context, to attestation.Address, nano uint64) error {
	if to.Workchain != basechain && to.Workchain != masterchain {
		return attestation.BadInput("faucet: no workchain %d", to.Workchain)
	}
	left, err := c.faucetLeft()
	if err != nil {
		return err
	}
	g := &grant{msg: chain.Message{To: to, Amount: new(big.Int).SetUint64(nano), NoBounce: true}}
	if err := c.faucet.add(g, left); err != nil {
		return err
	}
	for {
		head := c.Head().ID.SeqNo
		if c.opts.BlockInterval < 0 {
			if err := c.Mine(1); err != nil {
				return err
			}
		}
		if err := c.waitFor(ctx, head+1); err != nil {
			return err
		}
		c.faucet.mu.Lock()
		sent := g.lt
		c.faucet.mu.Unlock()
		if sent == 0 {
			continue
		}
		if last, err := c.lastTx(to); err != nil || last > sent {
			return err
		}
	}
}

// faucetReserve is kept for the fees of all that the faucet will ever send.
const faucetReserve = uint64(1e12)

// faucetLeft is what the faucet holds in the newest block, in nano.
func (c *Chain) faucetLeft() (*big.Int, error) {
	addr := c.faucet.wallet.Address()
	sa, err := shardAccount(c.Head().shard.accounts, addr.Hash[:])
	if err != nil {
		return nil, err
	}
	var st tlb.AccountState
	if err := tlb.Parse(&st, sa.Account); err != nil {
		return nil, err
	}
	return st.Balance.Nano(), nil
}

// add queues a grant, unless with those that wait it is more than is left.
func (f *faucet) add(g *grant, left *big.Int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	free := new(big.Int).Sub(left, new(big.Int).SetUint64(faucetReserve))
	for _, waits := range f.queue {
		free.Sub(free, waits.msg.Amount)
	}
	if free.Cmp(g.msg.Amount) < 0 {
		return attestation.BadInput("faucet: it has %v nano to give, not %v", free, g.msg.Amount)
	}
	f.queue = append(f.queue, g)
	return nil
}

// lastTx is the logical time of the last transaction of an account.
func (c *Chain) lastTx(a attestation.Address) (uint64, error) {
	b := c.Head()
	if a.Workchain == basechain {
		b = b.shard
	}
	sa, err := shardAccount(b.accounts, a.Hash[:])
	if err != nil {
		return 0, err
	}
	return sa.LastTransLT, nil
}

// Clock is a clock for [Options.Now] that stands still until it is moved.
type Clock struct {
	mu sync.Mutex
	t  time.Time
}

// NewClock returns a clock that shows t.
func NewClock(t time.Time) *Clock { return &Clock{t: t} }

// Now returns the time of the clock.
func (c *Clock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.t }

// Advance moves the clock on. It refuses to move it back.
func (c *Clock) Advance(d time.Duration) error {
	if d < 0 {
		return errors.New("a chain's clock does not go back")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
	return nil
}
