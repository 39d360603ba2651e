// Package devnet is a TON chain for development and tests that runs inside the
// process: one masterchain, one basechain shard, blocks and states in the real
// block.tlb layout, contracts executed by tonutils-go's TVM, and liteservers
// (ADNL over TCP) that unmodified TON clients accept under full proof checking.
// docs/spec/devnet.md describes what it does and what it leaves out.
//
//	chain, err := devnet.Start(devnet.Options{})
//	defer chain.Close()
//	cfg := chain.GlobalConfig()            // a standard TON global config
//	err = chain.Faucet(ctx, addr, 5e9)     // five coins
//
// It is not a network: one process holds all validator keys, and they follow
// from [Options.Seed]. Nothing on it has value, and a client must never treat
// its trusted block as anything but a test's.
//
// A new chain has mined [firstBlocks] blocks when Start returns, so contracts
// that ask for a recent block whose number divides by 100 work at once.
package devnet

import (
	"errors"
	"math/big"
	"sync"
	"time"

	"github.com/xssnick/tonutils-go/tlb"
	"github.com/xssnick/tonutils-go/tvm"
	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
)

// firstBlocks is how many masterchain blocks a new chain starts with.
const firstBlocks = 101

// ErrClosed says that the chain was closed.
var ErrClosed = errors.New("dev chain is closed")

// Chain is a running dev chain. Its methods may be called concurrently.
type Chain struct {
	opts  Options
	vm    *tvm.TVM
	vals  *validators
	store *store

	// mine serialises block production and guards what only that touches.
	mine      sync.Mutex
	queues    map[int32]*outQueue
	valFees   map[int32]*big.Int // collected so far, by workchain
	supply    *big.Int
	faucet    faucet
	setParams map[int32]*cell.Cell // for the next block
	stall     stall
	failed    error // a collation failed: no more blocks

	// mu guards the rest. It is held for moments only, never during execution.
	mu      sync.RWMutex
	hist    *history
	cfg     *config // of the newest block
	pool    []*external
	pooled  map[cell.Hash]bool
	waiters []chan struct{}
	closed  bool

	servers []*Liteserver
	stop    chan struct{}
	wg      sync.WaitGroup
}

// Start opens or makes a chain and serves it. Close ends it.
func Start(opts Options) (_ *Chain, err error) {
	opts.setDefaults()
	if err := opts.check(); err != nil {
		return nil, err
	}
	c := &Chain{
		opts: opts, vm: tvm.NewTVM(), pooled: map[cell.Hash]bool{}, stop: make(chan struct{}),
		queues: map[int32]*outQueue{}, valFees: map[int32]*big.Int{},
	}
	defer func() {
		if err != nil {
			c.Close()
		}
	}()
	if err := c.open(); err != nil {
		return nil, err
	}
	for i := range opts.Liteservers {
		s, err := c.serve(i)
		if err != nil {
			return nil, err
		}
		c.servers = append(c.servers, s)
	}
	if opts.BlockInterval > 0 {
		c.wg.Go(c.loop)
	}
	return c, nil
}

// create makes the zerostate and the first blocks.
func (c *Chain) create() error {
	root, err := cell.FromBOC(configBoC)
	if err != nil {
		return err
	}
	params, err := c.vals.params()
	if err != nil {
		return err
	}
	params[19] = cell.BeginCell().MustStoreInt(int64(c.opts.GlobalID), 32).EndCell()
	if root, err = setParams(root, params); err != nil {
		return err
	}
	if root, err = setParams(root, c.opts.Params); err != nil {
		return err
	}
	if c.cfg, err = newConfig(root); err != nil {
		return err
	}
	accounts := []genesisAccount{c.faucet.genesis()}
	for a, n := range c.opts.Accounts {
		accounts = append(accounts, genesisAccount{address: a, nano: n})
	}
	mc, err := c.genesis(accounts, c.unixNow())
	if err != nil {
		return err
	}
	for _, w := range []int32{masterchain, basechain} {
		c.queues[w] = &outQueue{dict: must(tlb.NewOutMsgQueueAugDict())}
		c.valFees[w] = new(big.Int)
	}
	c.hist = newHistory(mc, c.opts.Keep)
	return nil
}

// Head returns the newest masterchain block.
func (c *Chain) Head() *Block {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.hist.head()
}

// GlobalID returns the chain id.
func (c *Chain) GlobalID() int32 { return c.opts.GlobalID }

// Now returns the time of the chain's clock.
func (c *Chain) Now() time.Time { return c.opts.Now() }

func (c *Chain) unixNow() uint32 { return uint32(c.opts.Now().Unix()) }

// Liteservers returns the liteservers, in the order of the global config.
func (c *Chain) Liteservers() []*Liteserver { return c.servers }

// Config returns the blockchain configuration of the newest block: what
// contracts are executed with.
func (c *Chain) Config() *tvm.PreparedBlockchainConfig {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.cfg.prepared
}

// SetParam changes a configuration parameter with the next block, which becomes
// a key block. A nil value removes the parameter.
func (c *Chain) SetParam(id int32, value *cell.Cell) error {
	if id == 19 || id == 28 || id == 34 {
		return attestation.BadInput("dev chain: configuration parameter %d is fixed", id)
	}
	c.mine.Lock()
	defer c.mine.Unlock()
	next := map[int32]*cell.Cell{id: value}
	for k, v := range c.setParams {
		if k != id {
			next[k] = v
		}
	}
	root, err := setParams(c.cfg.root, next)
	if err != nil {
		return err
	}
	if _, err := newConfig(root); err != nil {
		return attestation.BadInput("dev chain: configuration parameter %d: %v", id, err)
	}
	c.setParams = next
	return nil
}

// Close stops the block loop and the liteservers and closes the store. It
// returns after all of it has ended. A second call does nothing.
func (c *Chain) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	c.closed = true
	for _, w := range c.waiters {
		close(w)
	}
	c.waiters = nil
	c.mu.Unlock()
	close(c.stop)
	for _, s := range c.servers {
		s.close()
	}
	c.wg.Wait()
	c.mine.Lock()
	defer c.mine.Unlock()
	return c.store.close(c.hist)
}
