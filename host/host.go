// Package host is what an operator runs around an enclave: it starts the
// enclave as its own process, relays its port, registers it on TON, and anchors
// its log. Nothing here is trusted by a client: a host that lies, drops or
// delays can make requests fail, and not make anybody believe something.
package host

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/filelock"
	"github.com/cocoon-go/cocoon/chain/registry"
	"github.com/cocoon-go/cocoon/internal/atomicfile"
	"github.com/cocoon-go/cocoon/internal/command"
	"github.com/cocoon-go/cocoon/internal/endorse"
)

// Options says how a node runs. All fields without a default are required.
type Options struct {
	Dir          string // the node's own: configuration, payment journal, log
	Program      string // the cocoon-enclave program
	Simulated    string // directory of a simulated platform; empty: real hardware
	Device       string // "tdx" or "snp" when Simulated is empty
	TON          string // file with the TON global config
	Registry     attestation.Address
	Wallet       ed25519.PrivateKey // the operator's
	Index        uint32             // tells nodes of one operator apart
	Certificates string             // directory through which the verifiers certify; empty: the contract verifies a TDX quote
	CertifiedFor time.Duration      // for how long a certificate is wanted, default CertificateValid
	Listen       string             // of the relay, default 127.0.0.1:0
	Public       string             // URL of the relay for clients; default: what the chain has, or http://LISTEN where that has none or an address of this machine
	PromptPrice  *uint64            // nano coins per million tokens; nil: what the chain has, 0 for a new node
	// CompletionPrice is the same for tokens of answers.
	CompletionPrice *uint64
	Endorsements    []endorse.File // served to clients, and given to each enclave
	Engine          []byte         // of [ParseEngine]; default: the embedded engine
	AnchorEvery     time.Duration  // default half of the registry's merge delay; not more often than the registry allows
	Again           bool           // register a node that its operator unregistered
	Log             *slog.Logger   // default: silence
	// RenewEndorsements, when set, reads Endorsements anew: at most once a minute,
	// when they are asked for.
	RenewEndorsements func() ([]endorse.File, error)
	// Ready, when set, is called once the enclave serves.
	Ready func(Running)
}

// Running says where a node is reached.
type Running struct {
	Node       attestation.Address `json:"node"`
	Relay      string              `json:"relay"`
	Enclave    string              `json:"enclave"` // loopback only
	Epoch      uint32              `json:"epoch"`
	PID        int                 `json:"pid"`
	EnclavePID int                 `json:"enclave_pid"`
	Simulated  bool                `json:"simulated"` // it protects nothing
}

// LogDir is where a node's log lies, below its directory.
const LogDir = "log"

// RunFile is where a running node says where it is, below its directory.
const RunFile = "run.json"

// balance is what a new node's contract is deployed with: its storage reserve,
// and anchors for some time.
const balance = 500_000_000

type node struct {
	Options
	op      *Operator
	ton     *chain.GlobalConfig
	own     *endorsements
	listens string                       // URL of the relay on this machine
	pile    *pile                        // of certificates; nil: not looked at yet
	booted  map[[32]byte]bool            // receipt keys of this process's enclaves
	served  bool                         // one of them was registered
	known   knownEnding                  // of the newest registration that was seen to end
	relay   atomic.Pointer[http.Handler] // to the enclave that runs

	busy     sync.Mutex              // held while op pays
	prepared bool                    // the contract is deployed, and has the profile
	kept     *contracts.SignedHead   // the newest that is stored; of the goroutine that runs an enclave
	serving  atomic.Pointer[process] // the enclave that is registered and runs; nil: none
	idle     atomic.Bool             // none will run

	lookEvery time.Duration // watchInterval
}

// Up runs a node until ctx ends. When the enclave ends by itself it is started
// again, as a new epoch, less and less often.
func Up(ctx context.Context, o Options) error {
	if o.Dir == "" || o.Program == "" || o.TON == "" || o.Registry.IsZero() || len(o.Wallet) == 0 || (o.Simulated == "") == (o.Device == "") {
		return attestation.BadInput("host: directory, program, TON config, registry and wallet are needed, and either a device or a simulated platform")
	}
	if err := (Profile{Endpoint: o.Public}).Check(); err != nil {
		return err
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	if err := os.MkdirAll(filepath.Join(o.Dir, LogDir), 0o700); err != nil {
		return err
	}
	unlock, err := LockNode(o.Dir)
	if err != nil {
		return err
	}
	defer unlock()

	n := &node{Options: o, booted: map[[32]byte]bool{}, lookEvery: watchInterval}
	if n.own, err = newEndorsements(o.Endorsements, o.RenewEndorsements, o.Log); err != nil {
		return err
	}
	if err := n.connect(ctx); err != nil {
		return err
	}
	defer n.op.Client.Close()
	defer n.op.Close()

	ln, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return fmt.Errorf("relay: %w", err)
	}
	defer ln.Close()
	n.listens = "http://" + ln.Addr().String()
	srv, err := n.serve(ln)
	if err != nil {
		return err
	}
	defer srv.Close()
	defer n.answers(ctx)()
	for {
		err := n.cycle(ctx)
		again := n.hold(ctx, err)
		switch {
		case ctx.Err() != nil:
			return nil
		case !again:
			return err
		}
	}
}

// LockNode makes this process the only one that runs the node of a directory, or
// answers its challenges, until unlock.
func LockNode(dir string) (unlock func() error, err error) {
	lock, err := filelock.Acquire(dir)
	if errors.Is(err, filelock.ErrHeld) {
		return nil, attestation.BadInput("node directory %w; every node needs its own", err)
	} else if errors.Is(err, os.ErrNotExist) {
		return nil, attestation.BadInput("there is no directory %s: name the one that `up` keeps the node in", dir)
	} else if err != nil {
		return nil, attestation.BadInput("node directory: %w", err)
	}
	return lock.Unlock, nil
}

// PaymentsDir is where a node's host remembers its payments, below its directory.
const PaymentsDir = "payments"

func (n *node) connect(ctx context.Context) error {
	data, err := os.ReadFile(n.TON)
	if err != nil {
		return attestation.BadInput("TON global config: %w", err)
	}
	cfg, err := chain.ParseGlobalConfig(data)
	if err != nil {
		return err
	}
	n.ton = cfg
	client, err := chain.Dial(ctx, cfg, chain.WithWarnings(func(s string) { n.Log.Warn("the chain client warns", "text", s) }))
	if err != nil {
		return err
	}
	n.op, err = OpenOperator(ctx, client, n.Wallet, n.Registry, n.Index, filepath.Join(n.Dir, PaymentsDir))
	if err != nil {
		client.Close()
		return err
	}
	n.op.Log = n.Log
	n.op.Note = func(text string) { n.Log.Warn("what was begun before", "what", text) }
	if _, err = n.op.Root(ctx); err != nil {
		return errors.Join(fmt.Errorf("reading the registry: %w", err), n.op.Close(), client.Close())
	}
	return nil
}

// serve starts the relay. It outlives every enclave: between two of them it
// answers 503.
func (n *node) serve(ln net.Listener) (*http.Server, error) {
	srv := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if h := n.relay.Load(); h != nil {
				(*h).ServeHTTP(w, r)
				return
			}
			http.Error(w, "no enclave runs", http.StatusServiceUnavailable)
		}),
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
	}
	go func() {
		if err := srv.Serve(ln); err != nil && !errors.Is(err, http.ErrServerClosed) {
			n.Log.Error("the relay ended", "err", err)
		}
	}()
	return srv, nil
}

// prepare deploys the node's contract with its profile, or corrects the profile. The
// profile of a contract that is there changes only once an enclave has booted: until
// then another host may serve at the old endpoint.
func (n *node) prepare(ctx context.Context, booted bool) error {
	if n.prepared {
		return nil
	}
	done, err := n.setProfile(ctx, booted)
	n.prepared = done && err == nil
	return err
}

// setProfile says whether the contract has the profile.
func (n *node) setProfile(ctx context.Context, booted bool) (bool, error) {
	n.busy.Lock()
	defer n.busy.Unlock()
	var was contracts.Profile
	rec, err := n.op.Record(ctx)
	missing := errors.Is(err, registry.ErrNoContract)
	switch {
	case missing:
		n.Log.Info("deploying the node's contract", "node", n.op.Node.String())
	case err != nil:
		return false, fmt.Errorf("reading the node's record: %w", err)
	default:
		was = rec.State.Profile
	}
	profile := Profile{Endpoint: n.endpoint(was.Endpoint), PromptPrice: n.PromptPrice, CompletionPrice: n.CompletionPrice}.over(was)
	if !missing && profile != was && !booted {
		return false, nil
	}
	n.Log.Info("the node's profile", "endpoint", profile.Endpoint, "prompt_price", command.Price(profile.PromptPrice), "completion_price", command.Price(profile.CompletionPrice), "per", "1000 tokens", "changed", profile != was)
	if !missing && profile == was {
		return true, nil
	}
	ctx, cancel := context.WithTimeout(ctx, registerTimeout)
	defer cancel()
	if err := n.op.Deploy(ctx, profile); err != nil {
		return false, err
	}
	return true, n.op.Told()
}

func nano(v uint64) *big.Int { return new(big.Int).SetUint64(v) }

// awaitNode polls the node's record until ok.
func (n *node) awaitNode(ctx context.Context, ok func(*registry.Node) bool) (*registry.Node, error) {
	var looks chain.Looks
	for {
		rec, err := n.op.Record(ctx)
		if err == nil && ok(rec) {
			return rec, nil
		}
		select {
		case <-ctx.Done():
			return nil, attestation.Unknown("waiting for the node's record: %w", errors.Join(ctx.Err(), err))
		case <-time.After(looks.Next()):
		}
	}
}

func writeJSON(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.Write(path, append(data, '\n'), 0o600)
}
