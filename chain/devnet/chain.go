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
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"sync"
	"time"

	"github.com/xssnick/tonutils-go/tlb"
	"github.com/xssnick/tonutils-go/ton"
	"github.com/xssnick/tonutils-go/tvm"
	"github.com/xssnick/tonutils-go/tvm/cell"
	"github.com/xssnick/tonutils-go/tvm/tuple"

	"github.com/cocoon-go/cocoon/attestation"
)

// DefaultGlobalID is the chain id (configuration parameter 19) of a dev chain
// unless [Options.GlobalID] says otherwise. Mainnet is -239, testnet -3; this
// number is used by neither, so nothing signed for a dev chain is valid there.
const DefaultGlobalID = -777

// firstBlocks is how many masterchain blocks a new chain starts with.
const firstBlocks = 101

const (
	defaultInterval        = 200 * time.Millisecond
	defaultMaxTransactions = 4000
	defaultKeyInterval     = time.Hour
	defaultKeep            = 1024
	maxPool                = 20_000 // external messages that wait for a block
)

// ErrNotAccepted says that a contract refused an external message.
var ErrNotAccepted = errors.New("external message was not accepted")

// ErrClosed says that the chain was closed.
var ErrClosed = errors.New("dev chain is closed")

// Options configure a chain. The zero value is a fresh chain in memory with one
// liteserver on a free loopback port and five blocks a second.
type Options struct {
	// Dir keeps the chain on disk, so that the next Start goes on with it.
	// Empty: in memory only. One process at a time may use a directory.
	Dir string
	// Repair goes on before a damaged record that has good ones behind it: those
	// blocks are lost. Without it such a directory is an error.
	Repair bool
	// Listen is the address of the first liteserver; default "127.0.0.1:0".
	// Further ones get the ports after it, or a free one when it is 0. IPv4 only: a
	// global config has no room for more.
	Listen string
	// Liteservers is the number of liteservers over the chain; default 1.
	Liteservers int
	// BlockInterval is the time between blocks; default 200 ms. Negative: no
	// block but by [Chain.Mine].
	BlockInterval time.Duration
	// KeyInterval is the chain time after which a block is made a key block;
	// default one hour. The newest key block is the trusted block of
	// [Chain.GlobalConfig].
	KeyInterval time.Duration
	// Now is the clock of the chain; default time.Now. See [Clock]. A clock that
	// goes back leaves the time of the chain where it was.
	Now func() time.Time
	// GlobalID is the chain id; default [DefaultGlobalID], or that of the chain in
	// Dir, which can't be another.
	GlobalID int32
	// Seed is what all keys of the chain follow from: validators, liteservers,
	// faucet. Default: a fixed value. It is ignored when Dir holds a chain.
	Seed []byte
	// Validators is the number of validators, of equal weight; default 1, or that of
	// the chain in Dir, which can't be another.
	Validators int
	// Accounts are balances, in nanocoins, of accounts without code that exist
	// from the first block on, beside the faucet.
	Accounts map[attestation.Address]uint64
	// Params replace configuration parameters; see also [Chain.SetParam].
	Params map[int32]*cell.Cell
	// MaxTransactions is the number of transactions in a block of a workchain;
	// default 4000. Messages over it wait in the queue for the next block.
	MaxTransactions int
	// DeferInternal leaves every internal message for the next block, as between
	// two shards of a busy network. Default: delivery in the same block when it
	// has room, as in one shard.
	DeferInternal bool
	// Keep is the number of newest blocks whose states can be asked for; default
	// 1024. Older blocks stay available, their states do not, as on a liteserver
	// that is no archive.
	Keep int
	// Logger gets errors of the block loop and of liteservers; default silent.
	Logger *slog.Logger

	asked asked
}

func (o *Options) defaults() error {
	o.asked = asked{o.GlobalID, o.Validators}
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	if o.Liteservers == 0 {
		o.Liteservers = 1
	}
	if o.BlockInterval == 0 {
		o.BlockInterval = defaultInterval
	}
	if o.KeyInterval == 0 {
		o.KeyInterval = defaultKeyInterval
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.GlobalID == 0 {
		o.GlobalID = DefaultGlobalID
	}
	if o.Seed == nil {
		o.Seed = []byte("cocoon/devnet/default\n")
	}
	if o.Validators == 0 {
		o.Validators = 1
	}
	if o.MaxTransactions == 0 {
		o.MaxTransactions = defaultMaxTransactions
	}
	if o.Keep == 0 {
		o.Keep = defaultKeep
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	host, _, err := net.SplitHostPort(o.Listen)
	if err != nil {
		return attestation.BadInput("dev chain: listen address %q: %v", o.Listen, err)
	}
	if ip := net.ParseIP(host); ip == nil || ip.To4() == nil {
		return attestation.BadInput("dev chain: listen address %q: host is not an IPv4 address", o.Listen)
	}
	switch {
	case o.Liteservers < 0 || o.Liteservers > 64:
		return attestation.BadInput("dev chain: %d liteservers, want 1 to 64", o.Liteservers)
	case o.Validators < 0 || o.Validators > 100:
		return attestation.BadInput("dev chain: %d validators, want 1 to 100", o.Validators)
	case o.MaxTransactions < 0:
		return attestation.BadInput("dev chain: negative MaxTransactions")
	case o.Keep < 2:
		return attestation.BadInput("dev chain: Keep is %d, want at least 2", o.Keep)
	case o.KeyInterval < 0:
		return attestation.BadInput("dev chain: negative KeyInterval")
	}
	return nil
}

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

// external is an external message that waits for a block.
type external struct {
	msg *tvm.PreparedMessage
	to  int32
}

// Start opens or makes a chain and serves it. Close ends it.
func Start(opts Options) (_ *Chain, err error) {
	if err := opts.defaults(); err != nil {
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
	mc, err := c.genesis(accounts, uint32(c.opts.Now().Unix()))
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

// loop makes blocks until the chain is closed.
func (c *Chain) loop() {
	t := time.NewTicker(c.opts.BlockInterval)
	defer t.Stop()
	for {
		select {
		case <-c.stop:
			return
		case <-t.C:
		}
		if err := c.Mine(1); err != nil {
			if !errors.Is(err, ErrClosed) {
				c.opts.Logger.Error("dev chain stopped", "err", err)
			}
			return
		}
	}
}

// Mine makes n masterchain blocks, each with the basechain block that it
// registers. It returns after the last is part of the chain.
func (c *Chain) Mine(n int) error {
	for range n {
		if err := c.step(); err != nil {
			return err
		}
	}
	return nil
}

func (c *Chain) step() (err error) {
	c.mine.Lock()
	defer c.mine.Unlock()
	if c.failed != nil {
		return c.failed
	}
	c.mu.Lock()
	prev, closed := c.hist.head(), c.closed
	pool := c.pool
	c.pool = nil
	c.mu.Unlock()
	if closed {
		return ErrClosed
	}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("dev chain: block %d: %v", prev.ID.SeqNo+1, r)
		}
		if err != nil {
			c.failed = err
		}
	}()
	block, cfg, rest, err := c.makeBlocks(prev, pool)
	if err != nil {
		return fmt.Errorf("dev chain: block %d: %w", prev.ID.SeqNo+1, err)
	}
	if err := c.store.append(block); err != nil {
		return fmt.Errorf("dev chain: block %d: %w", prev.ID.SeqNo+1, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hist.add(block)
	c.cfg = cfg
	c.setParams = nil
	for _, e := range pool[:len(pool)-len(rest)] {
		delete(c.pooled, e.msg.Cell().HashKey())
	}
	c.pool = append(rest, c.pool...)
	for _, w := range c.waiters {
		close(w)
	}
	c.waiters = nil
	return nil
}

// makeBlocks makes the next basechain block and the masterchain block over it,
// and moves the queues on.
func (c *Chain) makeBlocks(prev *Block, pool []*external) (mc *Block, cfg *config, rest []*external, err error) {
	utime := max(uint32(c.opts.Now().Unix()), prev.UTime)
	cfg = c.cfg
	seqno := prev.ID.SeqNo + 1
	key := seqno == 1 || len(c.setParams) > 0
	if k := prev.lastKey; k != nil && !key {
		key = time.Duration(utime-c.keyTime(prev))*time.Second >= c.opts.KeyInterval
	}
	prevBlocks, err := previousBlocks(prev)
	if err != nil {
		return nil, nil, nil, err
	}
	byChain := map[int32][]*external{}
	for _, e := range pool {
		byChain[e.to] = append(byChain[e.to], e)
	}
	if e := c.faucet.message(c, utime, prev); e != nil {
		byChain[basechain] = append([]*external{e}, byChain[basechain]...)
	}
	shardTime, room := c.stall.next(prev.shard.UTime, utime, c.opts.MaxTransactions)
	shard, shardQueue, restBase, err := c.makeShard(prev, cfg, prevBlocks, shardTime, room, byChain[basechain])
	if err != nil {
		return nil, nil, nil, fmt.Errorf("basechain: %w", err)
	}
	if key && len(c.setParams) > 0 {
		root, err := setParams(cfg.root, c.setParams)
		if err != nil {
			return nil, nil, nil, err
		}
		if cfg, err = newConfig(root); err != nil {
			return nil, nil, nil, err
		}
	}
	mc, mcQueue, restMC, err := c.makeMaster(prev, shard, shardQueue, c.cfg, cfg, prevBlocks, utime, key, byChain[masterchain])
	if err != nil {
		return nil, nil, nil, fmt.Errorf("masterchain: %w", err)
	}
	c.queues[basechain], c.queues[masterchain] = shardQueue, mcQueue
	c.valFees[basechain] = new(big.Int).Add(c.valFees[basechain], shard.fees)
	c.valFees[masterchain] = new(big.Int).Add(c.valFees[masterchain], mc.fees)
	c.faucet.settle(restBase, shard.StartLT)
	// what found no room keeps its place before newer messages
	left := map[*external]bool{}
	for _, e := range append(restBase, restMC...) {
		left[e] = true
	}
	for _, e := range pool {
		if left[e] {
			rest = append(rest, e)
		}
	}
	return mc, cfg, rest, nil
}

// keyTime is the time of the newest key block up to and with b.
func (c *Chain) keyTime(b *Block) uint32 {
	if b.Key {
		return b.UTime
	}
	return c.hist.lastKeyTime
}

func nextLT(after uint64) uint64 { return (after/ltAlign + 1) * ltAlign }

func (c *Chain) makeShard(prevMC *Block, cfg *config, prevBlocks tuple.Tuple, utime uint32, room int, pool []*external) (*Block, *outQueue, []*external, error) {
	prev := prevMC.shard
	startLT := nextLT(max(prevMC.EndLT, prev.EndLT))
	res, rest, err := c.collate(prev, cfg, prevBlocks, utime, room, startLT, prevMC.ID.SeqNo, c.queues[masterchain], c.queues[masterchain].done, pool)
	if err != nil {
		return nil, nil, nil, err
	}
	seqno := prev.ID.SeqNo + 1
	state := buildState(stateParams{
		globalID: c.opts.GlobalID, workchain: basechain, seqno: seqno, utime: utime, lt: res.endLT, minRefMC: prevMC.ID.SeqNo,
		queue: res.queue.cell(), accounts: res.accounts, balance: res.flow.to,
		validatorFees: new(big.Int).Add(c.valFees[basechain], res.flow.fees), master: prevMC,
	})
	b, err := buildBlock(blockParams{
		globalID: c.opts.GlobalID, workchain: basechain, seqno: seqno, utime: utime, startLT: startLT, endLT: res.endLT,
		validatorHash: c.vals.hash, minRefMC: prevMC.ID.SeqNo, prevKey: keySeqno(prevMC), master: prevMC, prev: prev,
		oldState: prev.State, newState: state, flow: res.flow, in: res.in, out: res.out, accounts: res.blocks,
		seed: blockSeed(basechain, seqno), createdBy: c.creator(), version: cfg.prepared.GlobalVersion(), capabilities: cfg.prepared.Capabilities(),
	})
	if err != nil {
		return nil, nil, nil, err
	}
	b.accounts, b.txs = res.accounts, res.txs
	return b, res.queue, rest, nil
}

// makeMaster executes with cfg and writes the configuration next into the state.
func (c *Chain) makeMaster(prev, shard *Block, shardQueue *outQueue, cfg, next *config, prevBlocks tuple.Tuple, utime uint32, key bool, pool []*external) (*Block, *outQueue, []*external, error) {
	startLT := nextLT(shard.EndLT)
	seqno := prev.ID.SeqNo + 1
	res, rest, err := c.collate(prev, cfg, prevBlocks, utime, c.opts.MaxTransactions, startLT, seqno, shardQueue, shardQueue.done, pool)
	if err != nil {
		return nil, nil, nil, err
	}
	res.flow.feesImported = shard.fees
	res.flow.fees = new(big.Int).Add(res.flow.fees, shard.fees)
	blocks, err := withBlock(prev.blocks, prev)
	if err != nil {
		return nil, nil, nil, err
	}
	shards := shardHashes(shard, seqno)
	// last_key_block of the state is the newest key block before this one
	state := buildState(stateParams{
		globalID: c.opts.GlobalID, workchain: masterchain, seqno: seqno, utime: utime, lt: res.endLT, minRefMC: seqno,
		queue: res.queue.cell(), accounts: res.accounts, balance: res.flow.to,
		validatorFees: new(big.Int).Add(c.valFees[masterchain], res.flow.fees),
		custom: buildMcStateExtra(mcExtraParams{
			shards: shards, config: next, validatorHash: c.vals.hash, blocks: blocks, afterKey: key, lastKey: prev.lastKey, supply: c.supply,
		}),
	})
	b, err := buildBlock(blockParams{
		globalID: c.opts.GlobalID, workchain: masterchain, seqno: seqno, utime: utime, startLT: startLT, endLT: res.endLT, key: key,
		validatorHash: c.vals.hash, minRefMC: seqno, prevKey: keySeqno(prev), prev: prev, oldState: prev.State, newState: state,
		flow: res.flow, in: res.in, out: res.out, accounts: res.blocks, seed: blockSeed(masterchain, seqno), createdBy: c.creator(),
		custom:  buildMcBlockExtra(shards, key, next, shard.fees),
		version: next.prepared.GlobalVersion(), capabilities: next.prepared.Capabilities(),
	})
	if err != nil {
		return nil, nil, nil, err
	}
	if b.sigs, err = c.vals.sign(b.ID); err != nil {
		return nil, nil, nil, err
	}
	b.accounts, b.txs, b.blocks, b.shard, b.lastKey = res.accounts, res.txs, blocks, shard, prev.lastKey
	if key {
		ref := extRef(b)
		b.lastKey = &ref
	}
	return b, res.queue, rest, nil
}

func keySeqno(b *Block) uint32 {
	if b.lastKey == nil {
		return 0
	}
	return b.lastKey.SeqNo
}

func (c *Chain) creator() []byte { return c.vals.keys[0].Public().(ed25519.PublicKey) }

// Send checks that the receiver accepts an external message on the newest state
// and takes it for the next block. A message that already waits is taken once.
// A refusal is [ErrNotAccepted].
func (c *Chain) Send(msg *cell.Cell) error {
	pm, err := tvm.PrepareMessage(msg)
	if err != nil {
		return err
	}
	if pm.Message().MsgType != tlb.MsgTypeExternalIn {
		return errors.New("not an external inbound message")
	}
	dst := pm.Message().AsExternalIn().DestAddr()
	c.mu.RLock()
	head, cfg, closed, full := c.hist.head(), c.cfg, c.closed, len(c.pool) >= maxPool
	waiting := c.pooled[msg.HashKey()]
	c.mu.RUnlock()
	holder := head
	switch {
	case closed:
		return ErrClosed
	case waiting:
		return nil
	case full:
		return errors.New("too many external messages wait")
	case dst.Workchain() == basechain:
		holder = head.shard
	case dst.Workchain() != masterchain:
		return fmt.Errorf("no workchain %d", dst.Workchain())
	}
	sa, err := shardAccount(holder.accounts, dst.Data())
	if err != nil {
		return err
	}
	acc, err := tvm.PrepareAccount(sa, dst)
	if err != nil {
		return err
	}
	prevBlocks, err := previousBlocks(head)
	if err != nil {
		return err
	}
	lt := nextLT(head.EndLT)
	ctx, err := cfg.prepared.NewBlockContext(tvm.BlockOptions{
		Now: max(uint32(c.opts.Now().Unix()), head.UTime), BlockLT: int64(lt), PrevBlocks: prevBlocks, GlobalID: c.opts.GlobalID,
		RandSeed: blockSeed(dst.Workchain(), holder.ID.SeqNo+1),
	})
	if err != nil {
		return err
	}
	ok, err := c.vm.CheckExternalMessageAccepted(ctx, acc, pm, tvm.TransactionOptions{})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotAccepted, err)
	}
	if !ok {
		return ErrNotAccepted
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if h := msg.HashKey(); !c.pooled[h] {
		c.pooled[h] = true
		c.pool = append(c.pool, &external{msg: pm, to: dst.Workchain()})
	}
	return nil
}

// waitFor blocks until the head has at least seqno.
func (c *Chain) waitFor(ctx context.Context, seqno uint32) error {
	for {
		c.mu.Lock()
		if c.closed {
			c.mu.Unlock()
			return ErrClosed
		}
		if c.hist.head().ID.SeqNo >= seqno {
			c.mu.Unlock()
			return nil
		}
		w := make(chan struct{})
		c.waiters = append(c.waiters, w)
		c.mu.Unlock()
		select {
		case <-w:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
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

// GlobalConfig returns the TON global config of the chain: its liteservers, its
// zerostate, and its newest key block as trusted block.
func (c *Chain) GlobalConfig() []byte {
	type block struct {
		Workchain int32  `json:"workchain"`
		Shard     int64  `json:"shard"`
		Seqno     uint32 `json:"seqno"`
		RootHash  []byte `json:"root_hash"`
		FileHash  []byte `json:"file_hash"`
	}
	type key struct {
		Type string `json:"@type"`
		Key  []byte `json:"key"`
	}
	type liteserver struct {
		IP   int32 `json:"ip"`
		Port int   `json:"port"`
		ID   key   `json:"id"`
	}
	conv := func(id *ton.BlockIDExt) block {
		return block{id.Workchain, id.Shard, id.SeqNo, id.RootHash, id.FileHash}
	}
	c.mu.RLock()
	head := c.hist.head()
	zero := c.hist.zero
	c.mu.RUnlock()
	trusted := &ton.BlockIDExt{Workchain: masterchain, Shard: fullShard, SeqNo: head.lastKey.SeqNo, RootHash: head.lastKey.RootHash, FileHash: head.lastKey.FileHash}
	var servers []liteserver
	for _, s := range c.servers {
		a := s.Addr()
		ip := a.IP.To4()
		servers = append(servers, liteserver{
			IP: int32(uint32(ip[0])<<24 | uint32(ip[1])<<16 | uint32(ip[2])<<8 | uint32(ip[3])), Port: a.Port,
			ID: key{"pub.ed25519", s.PublicKey()},
		})
	}
	// dht and hardforks are empty lists: the C++ clients want them present
	out, err := json.MarshalIndent(map[string]any{
		"@type": "config.global",
		"dht": map[string]any{
			"@type": "dht.config.global", "k": 6, "a": 3,
			"static_nodes": map[string]any{"@type": "dht.nodes", "nodes": []any{}},
		},
		"liteservers": servers,
		"validator": map[string]any{
			"@type": "validator.config.global", "zero_state": conv(zero), "init_block": conv(trusted), "hardforks": []any{},
		},
	}, "", "  ")
	if err != nil {
		panic(err) // numbers and byte strings always marshal
	}
	return append(out, '\n')
}
