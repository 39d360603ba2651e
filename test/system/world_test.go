// Package system holds tests of the whole: a development chain, a registry,
// enclaves on a simulated platform and real clients in one process on loopback,
// with a relay between them that the test can make lie. Each test gives the
// whole one bad input and looks at what the user gets: an error of the right
// family in words a person understands, no secret sent, nothing lost.
//
// It holds no code but tests.
package system

import (
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"
	"github.com/xssnick/tonutils-go/tlb"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/devnet"
	"github.com/cocoon-go/cocoon/chain/devnet/network"
	"github.com/cocoon-go/cocoon/chain/registry"
	"github.com/cocoon-go/cocoon/enclave/device/simdevice"
	"github.com/cocoon-go/cocoon/enclave/engine/tinylm"
	"github.com/cocoon-go/cocoon/internal/endorse"
)

const (
	// poolSize is how many node contracts are made at once; every enclave of a
	// test takes one.
	poolSize = 24
	// liteservers: the first is honest, each other one belongs to a test that
	// makes it lie.
	liteservers = 6
	// oldBlock is a block of the chain that is an hour old.
	oldBlock = 20
	// longest only ends tests that would fail anyway.
	longest = 5 * time.Minute
	// queryWait is how long an honest liteserver may take for an answer.
	queryWait = time.Minute
)

// world is the network that all tests share.
type world struct {
	net          *network.Network
	dir          string
	program      string // what in-process enclaves are measured as
	client       *chain.Client
	reader       registry.Reader
	writer       *chain.Writer
	endorsements []endorse.File
	engine       *repeater
	closeEngine  func()
	now          func() time.Time // of clients; nil for this machine's

	mu    sync.Mutex
	nodes []attestation.Address // not taken yet
	next  uint32                // index of the next node
}

var shared *world

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "run" {
		os.Exit(enclaveMain(os.Args[2:]))
	}
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		n := "6" // these tests wait more than they work
		if underRace {
			n = "3"
		}
		_ = f.Value.Set(n)
	}
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "cocoon-system-*")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(context.Background(), longest)
	defer cancel()
	if shared, err = newWorld(ctx, dir, hourBefore()); err != nil {
		fmt.Fprintln(os.Stderr, "starting the network:", err)
		return 1
	}
	defer shared.close()
	if err := shared.checkClock(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// hourBefore is a clock that is an hour behind for its first looks: the first
// blocks of the chain become that old.
func hourBefore() func() time.Time {
	var looks atomic.Int64
	return func() time.Time {
		if looks.Add(1) <= 40 {
			return time.Now().Add(-time.Hour)
		}
		return time.Now()
	}
}

// newWorld starts a network whose chain has a clock.
func newWorld(ctx context.Context, dir string, now func() time.Time) (w *world, err error) {
	w = &world{dir: dir, program: filepath.Join(dir, "program")}
	if err := os.WriteFile(w.program, []byte("stands for the enclave's program\n"), 0o600); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	var measurements [][32]byte
	for _, p := range []string{w.program, self} {
		m, err := simdevice.Measurement(p)
		if err != nil {
			return nil, err
		}
		measurements = append(measurements, m)
	}
	w.net, err = network.Start(ctx, network.Options{
		Dir: dir, Measurements: measurements,
		Models: map[[32]byte]contracts.Model{tinylm.Digest(): {Licence: "Apache-2.0", URL: "embedded"}},
		Params: func(p *contracts.Params) { p.PlatformSlots = 255 },
		Chain: devnet.Options{Liteservers: liteservers, BlockInterval: 100 * time.Millisecond, Now: now,
			KeyInterval: 24 * time.Hour, Keep: 1 << 16},
	})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	if w.client, err = w.dial(ctx, 0); err != nil {
		return nil, err
	}
	w.reader = registry.Reader{Reader: w.client}
	if w.writer, err = chain.NewWriter(ctx, w.client, w.net.Operator, nil); err != nil {
		return nil, err
	}
	if w.endorsements, err = endorse.Load(filepath.Join(dir, network.EndorsementsDir)); err != nil {
		return nil, err
	}
	if w.engine, w.closeEngine, err = newRepeater(); err != nil {
		return nil, err
	}
	if err := w.deployPlatform(ctx); err != nil {
		return nil, err
	}
	return w, w.deployNodes(ctx)
}

func (w *world) close() {
	if w.closeEngine != nil {
		w.closeEngine()
	}
	if w.client != nil {
		w.client.Close()
	}
	w.net.Close()
}

// checkClock makes sure that there is an hour-old block, and that the first
// block that claims can name is not.
func (w *world) checkClock(ctx context.Context) error {
	for seqno, old := range map[uint32]bool{oldBlock: true, 100: false} {
		b, err := w.client.Block(ctx, seqno)
		if err != nil {
			return err
		}
		if age := time.Since(b.Time); (age > 59*time.Minute) != old {
			return fmt.Errorf("block %d is %s old", seqno, age)
		}
	}
	return nil
}

// globalConfig returns the config file with one of the liteservers and no other.
func (w *world) globalConfig(t testing.TB, server int) []byte {
	t.Helper()
	b, err := w.only(server)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (w *world) only(server int) ([]byte, error) {
	raw := w.net.Chain.GlobalConfig()
	return sjson.SetRawBytes(raw, "liteservers", []byte("["+gjson.GetBytes(raw, fmt.Sprintf("liteservers.%d", server)).Raw+"]"))
}

// dial connects to one of the liteservers and no other.
func (w *world) dial(ctx context.Context, server int, o ...chain.Option) (*chain.Client, error) {
	one, err := w.only(server)
	if err != nil {
		return nil, err
	}
	cfg, err := chain.ParseGlobalConfig(one)
	if err != nil {
		return nil, err
	}
	options := []chain.Option{chain.WithClock(w.clock)}
	if server == 0 {
		options = append(options, chain.WithTimeout(queryWait))
	}
	return chain.Dial(ctx, cfg, append(options, o...)...)
}

func (w *world) clock() time.Time {
	if w.now == nil {
		return time.Now()
	}
	return w.now()
}

// deployNodes makes the contracts of more nodes, with one payment.
func (w *world) deployNodes(ctx context.Context) error {
	body, err := (&contracts.SetProfile{QueryID: 1, Profile: contracts.Profile{Endpoint: "http://relay.invalid"}}).Body()
	if err != nil {
		return err
	}
	var msgs []chain.Message
	var last attestation.Address
	for range poolSize {
		addr, init, err := contracts.NodeAddress(w.net.Registry, w.writer.Address(), w.next)
		if err != nil {
			return err
		}
		var si tlb.StateInit
		if err := tlb.LoadFromCell(&si, init.MustBeginParse()); err != nil {
			return err
		}
		w.nodes = append(w.nodes, addr)
		w.next, last = w.next+1, addr
		msgs = append(msgs,
			chain.Message{To: addr, Amount: nano(500_000_000), StateInit: &si},
			chain.Message{To: addr, Amount: nano(contracts.ValueSmall), Body: body})
	}
	if _, err := w.writer.Send(ctx, fmt.Sprintf("nodes before %d", w.next), msgs...); err != nil {
		return err
	}
	_, err = w.await(ctx, last, func(n *registry.Node) bool { return n.Endpoint != "" })
	return err
}

// deployPlatform makes the contract of the one machine that all enclaves are on,
// as the first of its operators does.
func (w *world) deployPlatform(ctx context.Context) error {
	ppid := w.net.Platform.PPID()
	id := attestation.PlatformID("tdx", ppid[:])
	addr, init, err := contracts.PlatformAddress(w.net.Registry, id)
	if err != nil {
		return err
	}
	var si tlb.StateInit
	if err := tlb.LoadFromCell(&si, init.MustBeginParse()); err != nil {
		return err
	}
	body, err := (&contracts.RenewPlatform{}).Body()
	if err != nil {
		return err
	}
	if _, err := w.writer.Send(ctx, "platform", chain.Message{To: addr, Amount: nano(contracts.ValueRenew), StateInit: &si, Body: body}); err != nil {
		return err
	}
	_, err = w.client.WaitAccount(ctx, addr, func(a *chain.Account) bool {
		p, err := registry.PlatformOf(a)
		return err == nil && p.Welcomed
	})
	return err
}

// release frees a node's slot: the machine has fewer than there are tests.
func (w *world) release(t testing.TB, node attestation.Address) {
	ctx, cancel := context.WithTimeout(context.Background(), longest)
	defer cancel()
	rec, err := w.reader.Node(ctx, node)
	if err != nil {
		t.Error(err)
		return
	}
	if rec.Current == 0 || !rec.Epochs[rec.Current].Active {
		return
	}
	body, err := (&contracts.Retire{}).Body()
	if err != nil {
		t.Error(err)
		return
	}
	if _, err := w.writer.Send(ctx, "release "+node.String(), chain.Message{To: node, Amount: nano(contracts.ValueCheck), Body: body}); err != nil {
		t.Error(err)
	}
}

func nano(v uint64) *big.Int { return new(big.Int).SetUint64(v) }

// takeNode returns a node contract that no test uses yet.
func (w *world) takeNode(t testing.TB) attestation.Address {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.nodes) == 0 {
		if err := w.deployNodes(testContext(t)); err != nil {
			t.Fatal(err)
		}
	}
	a := w.nodes[0]
	w.nodes = w.nodes[1:]
	t.Cleanup(func() { w.release(t, a) })
	return a
}

// await polls a node's record until ok.
func (w *world) await(ctx context.Context, addr attestation.Address, ok func(*registry.Node) bool) (*registry.Node, error) {
	for {
		rec, err := w.reader.Node(ctx, addr)
		if err == nil && ok(rec) {
			return rec, nil
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// register puts a bundle on the chain as the next epoch of its node.
func (w *world) register(ctx context.Context, encoded []byte) error {
	b, err := attestation.ParseBundle(encoded)
	if err != nil {
		return err
	}
	claims, err := b.Claims()
	if err != nil {
		return err
	}
	quote, ca, err := contracts.QuoteCells(b.Evidence[0].Data)
	if err != nil {
		return err
	}
	body, err := (&contracts.RegisterTDX{QueryID: 1, Heads: &claims.Heads,
		CA: contracts.PublicKey{X: [32]byte(ca[:32]), Y: [32]byte(ca[32:])}, Quote: quote}).Body()
	if err != nil {
		return err
	}
	id := fmt.Sprintf("register-%x", sha256.Sum256(encoded))
	if _, err := w.writer.Send(ctx, id, chain.Message{To: claims.Node, Amount: nano(contracts.ValueRegister), Body: body}); err != nil {
		return err
	}
	_, err = w.await(ctx, claims.Node, func(n *registry.Node) bool {
		e, ok := n.Epoch(claims.Epoch)
		return ok && n.Current == claims.Epoch && e.Active && e.ClaimsDigest == b.Digest()
	})
	return err
}

// endorsementSet encodes what an honest relay serves.
func (w *world) endorsementSet(t testing.TB) []byte {
	t.Helper()
	enc, err := endorse.Encode(slices.Clone(w.endorsements))
	if err != nil {
		t.Fatal(err)
	}
	return enc
}

// policy returns the network's policy with one text replaced by another.
func (w *world) policy(t testing.TB, oldNew ...string) *attestation.Policy {
	t.Helper()
	text := attestation.PolicyTOML(attestation.PolicyOptions{
		SimulatedRoots: [][32]byte{w.net.Platform.RootFingerprint()}, Registry: w.net.Registry,
	})
	for i := 0; i+1 < len(oldNew); i += 2 {
		text = replaceOnce(t, text, oldNew[i], oldNew[i+1])
	}
	p, err := attestation.ParsePolicy([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func testContext(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), longest)
	t.Cleanup(cancel)
	return ctx
}
