package client

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/sim"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/registry"
	"github.com/cocoon-go/cocoon/internal/endorse"
	"github.com/cocoon-go/cocoon/internal/sealed"
)

// fleet is a client and many nodes of one registry, each on a machine of its own,
// that claim what an enclave claims: key configurations for a month. Chain and
// relays are in memory.
type fleet struct {
	chain.Reader // of which only what verification asks is there
	tb           testing.TB
	now          time.Time
	block        chain.Block
	platform     *sim.Intel
	claims       attestation.Claims
	td           sim.TD
	root         *registry.Root
	client       *Client
	models       int // that a node claims, beside the one that the registry lists

	bundles map[string][]byte // by host, that relays serve
	set     []byte            // endorsements
	asked   int

	gateway func(*http.Request) (*http.Response, error) // of every node; nil for none
}

func newFleet(tb testing.TB) *fleet {
	tb.Helper()
	f := &fleet{tb: tb, now: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC), bundles: map[string][]byte{}}
	f.block = chain.Block{Seqno: 4100, RootHash: [32]byte{1}, Time: f.now.Add(-time.Minute)}
	var err error
	if f.platform, err = sim.NewIntel(bytes.NewReader(noise(0)), sim.IntelOptions{Now: f.now}); err != nil {
		tb.Fatal(err)
	}
	keys, err := sealed.NewKeyring(sealed.KeyringConfig{Start: f.now.Add(-time.Hour), Lifetime: 30 * 24 * time.Hour})
	if err != nil {
		tb.Fatal(err)
	}
	conf := [32]byte{7}
	f.claims = attestation.Claims{
		Heads: attestation.Heads{ChainID: -3, Epoch: 1, BlockSeqno: f.block.Seqno, BlockRoot: f.block.RootHash},
		Body: attestation.Body{KeyConfigs: keys.Configs(), Configuration: conf, SelfTest: attestation.SelfTest{Passed: true},
			Software: "test", Created: f.now, Engine: "test/1", Models: []attestation.Model{{Name: "a", Digest: [32]byte{8}}}},
	}
	f.td = sim.TD{MRTD: [48]byte{1}, RTMR: [4][48]byte{{2}, {3}, {4}, attestation.ConfigurationRTMR3(conf)}}
	f.root = &registry.Root{Address: attestation.Address{Hash: [32]byte{9}}, Models: [][32]byte{{8}}, State: &contracts.RootState{Revoked: map[[32]byte]bool{}},
		Measurements: [][32]byte{attestation.MeasurementTDX(f.td.MRTD, f.td.RTMR[0], f.td.RTMR[1], f.td.RTMR[2])}}
	j, err := f.platform.Endorsements(sim.Collateral{At: f.now})
	if err != nil {
		tb.Fatal(err)
	}
	if f.set, err = endorse.Encode([]endorse.File{{Name: "collateral.json", Data: j}}); err != nil {
		tb.Fatal(err)
	}
	policy, err := attestation.ParsePolicy([]byte(attestation.PolicyTOML(attestation.PolicyOptions{SimulatedRoots: [][32]byte{f.platform.RootFingerprint()}})))
	if err != nil {
		tb.Fatal(err)
	}
	f.client, err = New(Config{Policy: policy, Chain: f, Registry: f.root.Address, HTTP: f, Now: func() time.Time { return f.now }, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		tb.Fatal(err)
	}
	return f
}

// noise is 4 KiB of random bytes that are the same each time.
func noise(n uint64) []byte {
	b := make([]byte, 4096)
	var seed [32]byte
	binary.BigEndian.PutUint64(seed[:], n)
	rand.NewChaCha8(seed).Read(b)
	return b
}

func (f *fleet) Block(context.Context, uint32) (chain.Block, error) { return f.block, nil }

func (f *fleet) ChainID(context.Context) (int32, error) { return f.claims.ChainID, nil }

// RoundTrip is the relay of every node.
func (f *fleet) RoundTrip(r *http.Request) (*http.Response, error) {
	f.asked++
	if r.Method == http.MethodPost {
		return f.gateway(r)
	}
	body, status := f.bundles[r.URL.Host], http.StatusOK
	if r.URL.Path == endorse.Path {
		body = f.set
	}
	if body == nil {
		status = http.StatusNotFound
	}
	return &http.Response{StatusCode: status, Body: io.NopCloser(bytes.NewReader(body)), Header: http.Header{}}, nil
}

func host(i int) string { return fmt.Sprintf("node-%d.test", i) }

// add makes node i: its bundle, and the record that the chain would show.
func (f *fleet) add(i int) *registry.Node {
	f.tb.Helper()
	m, err := f.platform.NewMachine(bytes.NewReader(noise(uint64(i) + 1)))
	if err != nil {
		f.tb.Fatal(err)
	}
	c := f.claims
	for j := range f.models {
		c.Body.Models = append(slices.Clip(c.Body.Models), attestation.Model{Name: fmt.Sprintf("b%0255d", j), Digest: [32]byte{byte(j), 1}})
	}
	c.Node = attestation.Address{Hash: sha256.Sum256([]byte(host(i)))}
	for k, to := range []*[32]byte{&c.ReceiptKey, &c.LogKey, &c.IdentityKey} {
		*to = [32]byte(ed25519.NewKeyFromSeed(noise(uint64(i)<<8 + uint64(k))[:32]).Public().(ed25519.PublicKey))
	}
	if _, _, err := c.Encode(); err != nil { // sets the body's digest
		f.tb.Fatal(err)
	}
	td := f.td
	td.ReportData = attestation.ReportData(c.Digest(), nil)
	q, err := m.Quote(td)
	if err != nil {
		f.tb.Fatal(err)
	}
	b, err := attestation.NewBundle(&c, attestation.Item{Kind: attestation.KindTDX, Data: q})
	if err != nil {
		f.tb.Fatal(err)
	}
	if f.bundles[host(i)], err = b.Encode(); err != nil {
		f.tb.Fatal(err)
	}
	r := contracts.EpochRecord{BlockSeqno: c.BlockSeqno, RegisteredAt: uint32(f.now.Unix()), ClaimsDigest: c.Digest(), Check: contracts.Check{TDX: new(contracts.CheckTDX)}}
	p := contracts.DefaultParams()
	e := registry.Epoch{Number: 1, Active: true, ClaimsDigest: c.Digest(), StartBlock: c.BlockSeqno, RegisteredAt: f.now, Expires: f.now.AddDate(0, 0, 30)}
	return &registry.Node{Address: c.Node, Root: f.root.Address, Endpoint: "http://" + host(i), Status: "active", Current: 1, Epochs: map[uint32]registry.Epoch{1: e},
		State: &contracts.NodeState{Current: &r, Params: &p, Past: map[uint32]contracts.PastEpoch{}, Book: contracts.Book{
			Credits: map[attestation.Address]uint64{}, Settled: map[[32]byte]bool{}, Challenges: map[[32]byte]contracts.Challenge{}}}}
}

// get makes node i and gets it from the client.
func (f *fleet) get(i int) *Node {
	f.tb.Helper()
	return f.know(f.add(i))
}

// know gets a node from the client, whose proofs of the chain are its record.
func (f *fleet) know(rec *registry.Node) *Node {
	f.tb.Helper()
	p := f.client.entry(rec.Address)
	p.load = func(ctx context.Context, _ *Node) (*Node, error) {
		n, err := f.client.verify(ctx, rec, f.root, rec.Endpoint)
		if err == nil {
			f.client.weigh(rec.Address, p, n)
		}
		return n, err
	}
	n, err := f.client.Node(f.tb.Context(), rec.Address)
	if err != nil {
		f.tb.Fatal(err)
	}
	return n
}

func heap() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// fill gets n nodes and returns how much memory the client took for them.
func (f *fleet) fill(n int) int {
	before := heap()
	for i := range n {
		n := f.get(i)
		x, err := f.client.exchange(n)
		if err != nil {
			f.tb.Fatal(err)
		}
		f.client.prepare(n, x)
		delete(f.bundles, host(i))
	}
	return heap() - before
}

// Ten thousand nodes take at most 100 MB, with the papers, which have a limit of
// their own.
func TestMemory(t *testing.T) {
	f := newFleet(t)
	f.client.papers.bundles.cost, f.client.papers.sets.cost, f.client.prepared.entries = 0, 0, 0
	const nodes = 300
	per := f.fill(nodes) / nodes
	said := f.client.nodes.used / nodes
	t.Logf("%d bytes a node, counted as %d", per, said)
	if all := per*maxNodes + maxBundles + maxSets; all > 100_000_000 {
		t.Errorf("%d bytes a node, %d for %d nodes", per, all, maxNodes)
	}
	if per > said*5/4 || per < said/2 {
		t.Errorf("a node takes %d bytes and counts as %d", per, said)
	}
	runtime.KeepAlive(f)
}

// Nodes that claim as much as they may do not take more: fewer are remembered.
func TestMemoryOfLargeNodes(t *testing.T) {
	f := newFleet(t)
	f.models = attestation.MaxModels - 1
	f.client.nodes.cost = 2 << 20
	took := f.fill(60)
	if n := f.client.nodes.len(); n > 30 || n < 5 {
		t.Errorf("%d nodes are remembered", n)
	}
	if limit := 3<<20 + maxBundles + maxSets; took > limit {
		t.Errorf("%d bytes", took)
	}
	runtime.KeepAlive(f)
}

// BenchmarkMemory10000Nodes reports the heap of a client that has used ten
// thousand nodes, papers and prepared exchanges included, in mebibytes. With
// -short it is five times that of a fifth of the nodes, with a fifth of the papers.
func BenchmarkMemory10000Nodes(b *testing.B) {
	part := 1
	if testing.Short() {
		part = 5
	}
	for b.Loop() {
		f := newFleet(b)
		f.client.papers.bundles.cost, f.client.papers.sets.cost, f.client.prepared.entries = maxBundles/part, maxSets/part, maxPrepared/part
		took := f.fill(maxNodes / part)
		if n := f.client.nodes.len(); n != maxNodes/part {
			b.Fatalf("%d nodes are remembered", n)
		}
		b.ReportMetric(float64(part*took)/(1<<20), "MiB")
		runtime.KeepAlive(f)
	}
}

// Papers that were dropped are fetched again, and verified: another bundle, or
// none, is not taken for them.
func TestSource(t *testing.T) {
	f := newFleet(t)
	n := f.get(1)
	bundle := f.bundles[host(1)]
	want := func(src Source, err error) {
		t.Helper()
		if err != nil || !bytes.Equal(src.Bundle, bundle) || len(src.Endorsements) != 1 || src.Endpoint != n.endpoint {
			t.Errorf("%d bytes of bundle, %d endorsements: %v", len(src.Bundle), len(src.Endorsements), err)
		}
	}
	asked := f.asked
	want(n.Source(t.Context()))
	if f.asked != asked {
		t.Error("papers that are there were fetched")
	}
	f.client.papers = newDrawer()
	want(n.Source(t.Context()))
	if f.asked != asked+2 {
		t.Errorf("%d fetches", f.asked-asked)
	}
	asked = f.asked
	want(n.Source(t.Context()))
	if f.asked != asked {
		t.Error("papers that were fetched again are not kept")
	}

	// the set went, the bundle stayed
	f.client.papers.sets = newLRU[[32]byte, []EndorsementFile](1, maxSets)
	want(n.Source(t.Context()))

	f.add(2)
	broken := bytes.Clone(bundle)
	broken[len(broken)-2000] ^= 1 // in the quote, which no digest covers
	for name, c := range map[string]struct {
		bundle []byte
		code   int
	}{
		"none":            {nil, 3},
		"another":         {f.bundles[host(2)], 3},
		"false evidence":  {broken, 0},
		"not even a file": {[]byte("no"), 1},
	} {
		f.client.papers = newDrawer()
		f.bundles[host(1)] = c.bundle
		if src, err := n.Source(t.Context()); err == nil || src.Bundle != nil || c.code != 0 && attestation.ExitCode(err) != c.code {
			t.Errorf("%s: %d bytes, %v", name, len(src.Bundle), err)
		}
	}
	f.bundles[host(1)] = bundle
	set := f.set
	f.set = nil // without endorsements the evidence can't be verified
	f.client.papers = newDrawer()
	var unknown *attestation.UnknownError
	if _, err := n.Source(t.Context()); !errors.As(err, &unknown) {
		t.Errorf("no endorsements: %v", err)
	}
	f.set = set
	want(n.Source(t.Context()))
}

// A set that is too large to remember is fetched again, and the user hears of it.
func TestLargeSet(t *testing.T) {
	f := newFleet(t)
	n := f.get(1)
	f.client.papers = newDrawer()
	var log bytes.Buffer
	f.client.cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
	for size, large := range map[int]bool{maxSets: false, maxSets + 1: true} {
		p, err := f.client.fetchPapers(t.Context(), n.endpoint)
		if err != nil {
			t.Fatal(err)
		}
		log.Reset()
		p.size = size
		f.client.keepPapers(p)
		asked := f.asked
		src, err := n.Source(t.Context())
		if err != nil || len(src.Endorsements) != 1 || (f.asked != asked) != large || strings.Contains(log.String(), "too large to remember") != large {
			t.Errorf("%d bytes: %d fetches, %v, %q", size, f.asked-asked, err, log.String())
		}
		f.client.papers = newDrawer()
	}
}

// Of many papers those that were used last are kept.
func TestPapersAreDropped(t *testing.T) {
	f := newFleet(t)
	f.client.papers.bundles.cost = 200_000 // some four bundles
	nodes := []*Node{}
	for i := range 10 {
		nodes = append(nodes, f.get(i))
	}
	if n := f.client.papers.bundles.len(); n < 2 || n > 6 {
		t.Errorf("%d bundles are kept", n)
	}
	if n := f.client.papers.sets.len(); n != 1 {
		t.Errorf("ten nodes with the same endorsements: %d sets", n)
	}
	for i, n := range nodes {
		if src, err := n.Source(t.Context()); err != nil || !bytes.Equal(src.Bundle, f.bundles[host(i)]) {
			t.Errorf("node %d: %v", i, err)
		}
	}
}
