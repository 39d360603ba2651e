package enclave

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/nvidia"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/registry"
	"github.com/cocoon-go/cocoon/enclave/device"
	"github.com/cocoon-go/cocoon/enclave/engine"
	"github.com/cocoon-go/cocoon/enclave/ledger"
	"github.com/cocoon-go/cocoon/internal/sealed"
)

// Chain is what the enclave reads from TON. Everything it returns must be
// proved from the trusted block of the configuration, and recent: "could not
// find out" is an error of that family.
type Chain interface {
	ChainID(ctx context.Context) (int32, error)
	Head(ctx context.Context) (chain.Block, error)
	Block(ctx context.Context, seqno uint32) (chain.Block, error)
	Node(ctx context.Context, node attestation.Address) (*registry.Node, error)
	Root(ctx context.Context, root attestation.Address) (*registry.Root, error)
}

// Options is what a boot needs. All fields but Log, Poll and Waits are required,
// those of GPUs and the TPM when the configuration has them.
type Options struct {
	Config   *Config
	Device   device.Device
	GPUs     device.GPUs // nil when the configuration has none
	TPM      device.TPM  // nil when the configuration has none
	Chain    Chain
	Engine   engine.Engine
	DataDir  string // where the log is kept; the host's disk
	Software string // version, for the claims
	Now      func() time.Time
	Log      *slog.Logger  // default: silence
	Poll     time.Duration // between looks at the chain, default 1 s
	Waits    Waits

	// GPUEndorsements are those of [GPUEndorsements].
	GPUEndorsements *nvidia.Endorsements
}

// keyLifetime is how long the OHTTP keys of one boot last: a boot must be
// renewed before it is over.
const keyLifetime = 30 * 24 * time.Hour

// keyBackdate lets a client whose clock is a little behind use the first key.
const keyBackdate = 5 * time.Minute

// quoteAgain is how long evidence may wait for its registration before it is
// made again over a newer block, with the same keys: the chain remembers the
// last sixteen blocks of the kind that claims name.
const quoteAgain = 4 * time.Minute

// Enclave is a booted runtime. Its methods are safe for concurrent use.
type Enclave struct {
	opts Options
	cfg  *Config
	log  *slog.Logger

	state      atomic.Int32
	receiptKey ed25519.PrivateKey
	logKey     ed25519.PrivateKey
	identity   ed25519.PrivateKey
	keys       *sealed.Keyring
	gpus       *gpuSet // nil: none
	body       attestation.Body
	mergeDelay time.Duration
	epoch      uint32
	limits     engine.Limits
	slots      chan struct{} // running requests
	readers    chan struct{} // requests being read

	bundle atomic.Pointer[booted] // replaced when evidence is made again
	made   []*booted              // all of them; touched by Boot and Run only
	serve  atomic.Pointer[serving]

	mu       sync.Mutex
	head     chain.Block     // latest proved
	headSeen time.Time       // when, by our clock
	anchored registry.Anchor // latest proved anchor of our log
	pending  []pendingLeaf   // oldest leaf that is not anchored comes first
}

// booted is evidence over one block.
type booted struct {
	digest [32]byte // claims digest
	bytes  []byte   // encoded bundle
	made   time.Time
}

// serving is what exists only once the enclave serves.
type serving struct {
	ledger *ledger.Ledger
	digest [32]byte // registered claims digest
}

// pendingLeaf says when a leaf was written, so that the oldest one that waits
// for an anchor is known.
type pendingLeaf struct {
	index uint64
	at    time.Time
}

// Boot goes from StateConfiguration to StateRegister. It returns an error with
// the name of the state that failed. The returned enclave answers requests for
// its bundle; [Enclave.Run] takes it on to StateServe.
func Boot(ctx context.Context, o Options) (*Enclave, error) {
	if o.Config == nil || o.Device == nil || o.Chain == nil || o.Engine == nil || o.DataDir == "" || o.Now == nil || o.Software == "" {
		return nil, attestation.BadInput("enclave: configuration, device, chain, engine, data directory, clock and software version are all needed")
	}
	if (o.Config.TPM == nil) != (o.TPM == nil) {
		return nil, attestation.BadInput("enclave: a TPM is given and the configuration has none, or it has one that is not given")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Poll <= 0 {
		o.Poll = time.Second
	}
	o.Waits.defaults()
	gpus, err := newGPUSet(&o)
	if err != nil {
		return nil, err
	}
	e := &Enclave{opts: o, cfg: o.Config, log: o.Log, gpus: gpus, slots: make(chan struct{}, o.Config.Limits.Concurrent),
		readers: make(chan struct{}, maxReaders)}
	for _, step := range []struct {
		state State
		do    func(context.Context) error
	}{
		{StateConfiguration, e.configure},
		{StateChain, e.readChain},
		{StateGPUs, e.prepareGPUs},
		{StateEngine, e.identify},
		{StateSelfTest, e.selfTest},
		{StateKeys, e.makeKeys},
		{StateEvidence, e.collect},
	} {
		e.enter(step.state)
		if err := step.do(ctx); err != nil {
			return nil, errors.Join(fmt.Errorf("boot stopped at %s: %w", step.state, err), e.gpus.release(ctx))
		}
	}
	e.enter(StateRegister)
	return e, nil
}

func (e *Enclave) enter(s State) {
	e.state.Store(int32(s))
	e.log.Info("state", "state", s.String())
}

// State returns where the enclave is.
func (e *Enclave) State() State { return State(e.state.Load()) }

func (e *Enclave) configure(ctx context.Context) error {
	return e.opts.Device.Configure(ctx, e.cfg.Digest())
}

// readChain learns the time, the epoch to register and the merge delay.
func (e *Enclave) readChain(ctx context.Context) error {
	id, err := e.opts.Chain.ChainID(ctx)
	if err != nil {
		return err
	}
	if id != e.cfg.ChainID {
		return attestation.ChainDisagrees("the chain has id %d, the configuration is for %d", id, e.cfg.ChainID)
	}
	if err := e.readHead(ctx); err != nil {
		return err
	}
	root, err := e.opts.Chain.Root(ctx, e.cfg.Registry)
	if err != nil {
		return fmt.Errorf("reading the registry: %w", err)
	}
	if root.MergeDelay <= 0 {
		return attestation.ChainDisagrees("the registry states no merge delay")
	}
	e.mergeDelay = root.MergeDelay
	node, err := e.opts.Chain.Node(ctx, e.cfg.Node)
	if err != nil {
		return fmt.Errorf("reading the node's record: %w", err)
	}
	if node.Root != e.cfg.Registry {
		return attestation.ChainDisagrees("node %v belongs to registry %v, the configuration names %v", node.Address, node.Root, e.cfg.Registry)
	}
	e.epoch = node.Current + 1
	return e.checkLog(node)
}

// checkLog finds a data directory that is in use, damaged, or older than the
// chain's head before a registration is paid for, and before another enclave of
// this node loses its epoch. What counts is the look after the registration.
func (e *Enclave) checkLog(node *registry.Node) error {
	l, err := ledger.Open(e.opts.DataDir, e.genesis(node, [32]byte{}))
	if err != nil {
		return fmt.Errorf("opening the log: %w", err)
	}
	return l.Close()
}

// genesis is what the chain says of the log, for a boot with this receipt key.
func (e *Enclave) genesis(node *registry.Node, key [32]byte) ledger.Genesis {
	g := ledger.Genesis{
		ChainID: e.cfg.ChainID, Node: e.cfg.Node, Epoch: e.epoch,
		ChainSize: node.Anchor.Size, ChainRoot: node.Anchor.Root,
		ReceiptKeys: map[uint32][32]byte{e.epoch: key},
	}
	for n, r := range node.Epochs {
		if n < e.epoch {
			g.ReceiptKeys[n] = r.ReceiptKey
		}
	}
	return g
}

// readHead proves the latest block. Its time is a lower bound for the clock.
func (e *Enclave) readHead(ctx context.Context) error {
	head, err := e.opts.Chain.Head(ctx)
	if err != nil {
		return fmt.Errorf("reading the chain's head: %w", err)
	}
	now := e.opts.Now()
	if head.Time.After(now.Add(time.Minute)) {
		return attestation.Unknown("this machine's clock is behind the chain by %s", head.Time.Sub(now).Round(time.Second))
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if head.Seqno >= e.head.Seqno {
		e.head, e.headSeen = head, now
	}
	return nil
}

func (e *Enclave) identify(context.Context) error {
	id := e.opts.Engine.Identity()
	if len(id.Models) == 0 {
		return errors.New("the engine serves no model")
	}
	e.limits = e.opts.Engine.Limits()
	if m := uint64(e.cfg.Limits.MaxTokens); m > 0 && m < e.limits.MaxTokens {
		e.limits.MaxTokens = m
		e.limits.DefaultMaxTokens = min(e.limits.DefaultMaxTokens, m)
	}
	e.body = attestation.Body{
		Configuration: e.cfg.Digest(),
		Software:      e.opts.Software,
		Engine:        id.String(),
	}
	for _, m := range id.Models {
		e.body.Models = append(e.body.Models, attestation.Model{Name: m.Name, Digest: m.Digest})
	}
	return nil
}

func (e *Enclave) selfTest(ctx context.Context) error {
	r, err := e.opts.Engine.SelfTest(ctx)
	if err != nil {
		return err
	}
	if !r.Passed {
		return errors.New("the engine gave a wrong answer to a known question")
	}
	e.body.SelfTest = attestation.SelfTest{Passed: true, Answers: r.Answers}
	return nil
}

// makeKeys makes all keys of this boot. They are in memory only.
func (e *Enclave) makeKeys(context.Context) error {
	for _, k := range []*ed25519.PrivateKey{&e.receiptKey, &e.logKey, &e.identity} {
		_, priv, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return err
		}
		*k = priv
	}
	keys, err := sealed.NewKeyring(sealed.KeyringConfig{Start: e.opts.Now().Add(-keyBackdate), Lifetime: keyLifetime})
	if err != nil {
		return err
	}
	e.keys = keys
	e.body.KeyConfigs = keys.Configs()
	return nil
}
