package host

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xssnick/tonutils-go/tlb"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/sim"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/devnet"
	"github.com/cocoon-go/cocoon/chain/devnet/network"
	"github.com/cocoon-go/cocoon/chain/registry"
)

// onePlatform is a dev chain with one machine of two slots.
type onePlatform struct {
	*testing.T
	net    *network.Network
	client *chain.Client
	ahead  atomic.Int64 // of the chain's clock
}

func newOnePlatform(t *testing.T, edit ...func(*network.Options)) *onePlatform {
	t.Helper()
	p := &onePlatform{T: t}
	var err error
	var zero [48]byte
	o := network.Options{
		Dir: t.TempDir(), Measurements: [][32]byte{attestation.MeasurementTDX(zero, zero, zero, zero)},
		Params: func(c *contracts.Params) {
			c.PlatformSlots = 2
			c.AnswerWindow, c.Unbonding, c.GovernanceDelay = 86400, 3*86400, 4*86400
		},
		Chain: devnet.Options{BlockInterval: 20 * time.Millisecond, Now: p.now},
	}
	for _, e := range edit {
		e(&o)
	}
	if p.net, err = network.Start(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.net.Close() })
	cfg, err := chain.ParseGlobalConfig(p.net.Chain.GlobalConfig())
	if err != nil {
		t.Fatal(err)
	}
	if p.client, err = chain.Dial(t.Context(), cfg, chain.WithClock(p.now)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.client.Close() })
	return p
}

func (p *onePlatform) now() time.Time { return time.Now().Add(time.Duration(p.ahead.Load())) }

// operator is that of a node with its contract, and a journal of its own.
func (p *onePlatform) operator(index uint32) *Operator {
	p.Helper()
	o, err := OpenOperator(p.Context(), p.client, p.net.Operator, p.net.Registry, index, p.TempDir())
	if err != nil {
		p.Fatal(err)
	}
	if err := o.Deploy(p.Context(), contracts.Profile{Endpoint: "https://a.example"}); err != nil {
		p.Fatal(err)
	}
	return o
}

// bundle is of the next epoch of a node on the machine.
func (p *onePlatform) bundle(o *Operator) *attestation.Bundle {
	p.Helper()
	return p.bundleWith(o, func(*attestation.Claims) {})
}

// bundleWith is a bundle with other claims.
func (p *onePlatform) bundleWith(o *Operator, change func(*attestation.Claims)) *attestation.Bundle {
	p.Helper()
	rec, err := o.Record(p.Context())
	if err != nil {
		p.Fatal(err)
	}
	head, err := p.client.Head(p.Context())
	if err != nil {
		p.Fatal(err)
	}
	block, err := p.client.Block(p.Context(), head.Seqno/100*100)
	if err != nil {
		p.Fatal(err)
	}
	c := &attestation.Claims{
		Heads: attestation.Heads{ChainID: p.net.Chain.GlobalID(), Node: o.Node, Epoch: rec.Current + 1, BlockSeqno: block.Seqno, BlockRoot: block.RootHash},
		Body: attestation.Body{
			KeyConfigs: []attestation.KeyConfig{{Config: []byte{1}, NotBefore: time.Unix(1, 0), NotAfter: time.Unix(2, 0)}},
			Models:     []attestation.Model{{Name: "m", Digest: [32]byte{1}}},
			SelfTest:   attestation.SelfTest{Passed: true}, Software: "test", Created: time.Now().Truncate(time.Second), Engine: "test/1",
		},
	}
	for _, to := range []*[32]byte{&c.ReceiptKey, &c.LogKey, &c.IdentityKey} {
		pub, _, err := ed25519.GenerateKey(nil)
		if err != nil {
			p.Fatal(err)
		}
		*to = [32]byte(pub)
	}
	change(c)
	if _, _, err := c.Encode(); err != nil {
		p.Fatal(err)
	}
	quote, err := p.net.Platform.Quote(sim.TD{ReportData: attestation.ReportData(c.Digest(), nil)})
	if err != nil {
		p.Fatal(err)
	}
	b, err := attestation.NewBundle(c, attestation.Item{Kind: attestation.KindTDX, Data: quote})
	if err != nil {
		p.Fatal(err)
	}
	return b
}

func (p *onePlatform) register(o *Operator) {
	p.Helper()
	if err := o.Register(p.Context(), always(p.bundle(o))); err != nil {
		p.Fatal(err)
	}
	p.told(o)
}

// always is an enclave that has one bundle.
func always(b *attestation.Bundle) func(context.Context) (*attestation.Bundle, error) {
	return func(context.Context) (*attestation.Bundle, error) { return b, nil }
}

func (p *onePlatform) told(o *Operator) {
	p.Helper()
	if err := o.Told(); err != nil {
		p.Fatal(err)
	}
}

// record returns the machine's record, and checks how many slots are held.
func (p *onePlatform) record(held int) *registry.Platform {
	p.Helper()
	ppid := p.net.Platform.PPID()
	r, err := registry.Reader{Reader: p.client}.Platform(p.Context(), p.net.Registry, attestation.PlatformID("tdx", ppid[:]))
	if err != nil {
		p.Fatal(err)
	}
	if r.Held != held {
		p.Errorf("%d slots are held, want %d", r.Held, held)
	}
	return r
}

// renewals counts how often the registry's word was asked for; held slots are
// checked.
func (p *onePlatform) renewals(held int) (n int) {
	p.Helper()
	acc, err := p.client.Account(p.Context(), p.record(held).Address)
	if err != nil {
		p.Fatal(err)
	}
	txs, err := p.client.Transactions(p.Context(), acc, 64)
	if err != nil {
		p.Fatal(err)
	}
	for _, tx := range txs {
		if in, ok := tx.In.Msg.(*tlb.InternalMessage); ok && source(in) == p.net.Registry {
			if _, err := contracts.ParsePlatformWelcome(in.Body); err == nil { // and no claim of a slot
				n++
			}
		}
	}
	return n
}

// sentAgain says whether an operator's newest registration is that of a later boot.
func (p *onePlatform) sentAgain(o *Operator) bool {
	p.Helper()
	acc, err := p.client.Account(p.Context(), o.Node)
	if err != nil {
		p.Fatal(err)
	}
	txs, err := p.client.Transactions(p.Context(), acc, 64)
	if err != nil {
		p.Fatal(err)
	}
	again := false
	newest := uint64(0)
	for _, tx := range txs {
		if in, ok := tx.In.Msg.(*tlb.InternalMessage); ok && source(in) == o.Wallet() && tx.LT > newest {
			newest = tx.LT
			again = in.Body.MustBeginParse().MustLoadUInt(32) == 0xc0c0011f
		}
	}
	return again
}

func (p *onePlatform) balance(o *Operator) uint64 {
	p.Helper()
	acc, err := p.client.Account(p.Context(), o.Wallet())
	if err != nil {
		p.Fatal(err)
	}
	return acc.Balance.Uint64()
}

// decide has the registry take a decision, at once or to be executed later.
func (p *onePlatform) decide(o *Operator, action string, value json.RawMessage) {
	p.Helper()
	d, err := Propose(p.Context(), registry.Reader{Reader: p.client}, p.net.Registry, action, value, 9*24*time.Hour)
	if err != nil {
		p.Fatal(err)
	}
	root, err := o.Root(p.Context())
	if err != nil {
		p.Fatal(err)
	}
	if err := d.Sign(root.State.Governance, p.net.Governor); err != nil {
		p.Fatal(err)
	}
	if err := o.Submit(p.Context(), d); err != nil {
		p.Fatal(err)
	}
}

func wantRefusal(t *testing.T, err error, code int, foreseen bool, says string) {
	t.Helper()
	var refused *attestation.RefusedError
	var refusal *RefusalError
	if !errors.As(err, &refused) || !errors.As(err, &refusal) || *refusal != (RefusalError{code, foreseen}) || !strings.Contains(err.Error(), says) {
		t.Errorf("refusal is %v, want code %d", err, code)
	}
}

func TestSlots(t *testing.T) {
	p := newOnePlatform(t)
	first, second, third := p.operator(0), p.operator(1), p.operator(2)
	p.register(first)
	p.record(1)
	p.register(second)
	p.record(2)

	late := p.bundle(third)
	before := p.balance(third)
	wantRefusal(t, third.Register(t.Context(), always(late)), contracts.CodeNoSlot, true, "all 2 slots of platform")
	if after := p.balance(third); after != before {
		t.Errorf("a foreseen refusal cost %d", before-after)
	}
	claims, err := late.Claims()
	if err != nil {
		t.Fatal(err)
	}
	err = third.do(t.Context(), "register all the same", func(q uint64) ([]chain.Message, error) {
		body, err := registration(evidence(late, attestation.KindTDX), &claims.Heads, q)
		return []chain.Message{{To: third.Node, Amount: nano(contracts.ValueRegister), Body: body}}, err
	}, third.Node, third.Registry)
	wantRefusal(t, err, contracts.CodeNoSlot, false, "ERR_NO_SLOT")
	p.record(2)

	// A node's next epoch keeps its slot, and needs no more of the quote than is new.
	cost := p.balance(first)
	p.register(first)
	if !p.sentAgain(first) {
		t.Error("the whole quote was sent again")
	}
	if cost -= p.balance(first); cost > 45_000_000 {
		t.Errorf("a later boot costs %d", cost)
	}
	if n, err := first.Record(t.Context()); err != nil || n.Current != 2 || p.record(2).State.Holders[first.Node].LT != n.State.Current.LT {
		t.Errorf("the slot is not that of epoch 2: %v", err)
	}
	if n := p.renewals(2); n != 1 {
		t.Errorf("the registry was asked %d times", n)
	}
	// The end of a registration frees it.
	if err := second.Unregister(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.record(1)
	p.register(third)
	if until, ok := p.record(2).Slot(third.Node); !ok || time.Until(until) < 24*time.Hour {
		t.Errorf("the third node's slot: %v, %v", until, ok)
	}
}

// TestSlotsFollowRegistry: what governance decides about slots reaches the machine
// with the next registration.
func TestSlotsFollowRegistry(t *testing.T) {
	p := newOnePlatform(t)
	first, second, third := p.operator(0), p.operator(1), p.operator(2)
	p.register(first)
	p.register(second)
	root, err := first.Root(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	params := root.State.Params
	params.PlatformSlots = 3
	value, err := json.Marshal(paramsValue(params))
	if err != nil {
		t.Fatal(err)
	}
	p.decide(first, "set-params", value)
	p.ahead.Add(int64(5 * 24 * time.Hour))
	for _, err := p.client.Head(t.Context()); err != nil; _, err = p.client.Head(t.Context()) {
		if p.Context().Err() != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err := first.Execute(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	p.register(third)
	if r := p.record(3); r.Limit != 3 {
		t.Errorf("limit is %d", r.Limit)
	}
	id := p.record(3).State.Key.ID
	p.decide(first, "revoke-platform", json.RawMessage(fmt.Sprintf("%q", fmt.Sprintf("%x", id))))
	wantRefusal(t, first.Register(t.Context(), always(p.bundle(first))), contracts.CodeRevoked, true, "is revoked by the registry")
}

func TestCountsSlots(t *testing.T) {
	root := &registry.Root{State: contracts.NewRoot(contracts.Quorum{}, contracts.DefaultParams())}
	if counts, err := countsSlots(root, [32]byte{1}); counts || err != nil {
		t.Errorf("a registry without platforms: %v, %v", counts, err)
	}
	root.State.Platform = contracts.PlatformCodeID()
	if counts, err := countsSlots(root, [32]byte{1}); !counts || err != nil {
		t.Errorf("a registry with platforms: %v, %v", counts, err)
	}
	root.State.Platform.Hash[0] ^= 1
	var disagrees *attestation.ChainError
	if _, err := countsSlots(root, [32]byte{1}); !errors.As(err, &disagrees) {
		t.Errorf("platforms of another version: %v", err)
	}
}

// TestUpToDate: whatever the registry says of a machine is compared.
func TestUpToDate(t *testing.T) {
	root := &registry.Root{State: contracts.NewRoot(contracts.Quorum{}, contracts.DefaultParams())}
	id := [32]byte{1}
	good := contracts.PlatformState{Key: contracts.PlatformKey{ID: id}, Node: root.State.Node, Slots: root.State.Params.PlatformSlots}
	for name, change := range map[string]func(*contracts.PlatformState){
		"":              func(*contracts.PlatformState) {},
		"not welcomed":  func(s *contracts.PlatformState) { s.Node = contracts.CodeID{} },
		"other slots":   func(s *contracts.PlatformState) { s.Slots++ },
		"revoked, once": func(s *contracts.PlatformState) { s.Revoked = true },
	} {
		s := good
		change(&s)
		if got := upToDate(&registry.Platform{State: &s}, root); got != (name == "") {
			t.Errorf("%q: %v", name, got)
		}
	}
	root.State.Revoked[id] = true
	if upToDate(&registry.Platform{State: &good}, root) {
		t.Error("the platform does not know of its revocation")
	}
}

func TestPassing(t *testing.T) {
	for code, want := range map[int]bool{
		contracts.CodeStaleBlock: true, contracts.CodePending: true, contracts.CodeEpoch: true, contracts.CodeNotWelcomed: true, contracts.CodeRefused: true,
		contracts.CodeNoSlot: false, contracts.CodePaused: false, contracts.CodeRevoked: false, contracts.CodeMeasurement: false,
	} {
		if passing(attestation.Refused("%w", &RefusalError{Code: code})) != want {
			t.Errorf("%s passes: %v", contracts.ErrorName(code), !want)
		}
	}
	if passing(errors.New("another")) {
		t.Error("no refusal passes")
	}
}

// TestFrozenPlatform: a platform that nobody paid for is frozen; the operator who
// kept its state revives it once, and nobody else does.
func TestFrozenPlatform(t *testing.T) {
	p := newOnePlatform(t)
	o, other := p.operator(0), p.operator(1)
	p.register(o)
	before := p.record(1)
	addr := before.Address
	id := before.State.Key.ID

	// Seventeen years: the registry and the wallets are paid for, the platform is not.
	for _, a := range []attestation.Address{p.net.Registry, o.Node, other.Node, o.Wallet()} {
		p.fund(a, 20e9)
	}
	p.ahead.Store(int64(17 * 365 * 24 * time.Hour))
	p.fund(addr, 1)
	acc, err := p.client.Account(t.Context(), addr)
	if err != nil || !acc.Frozen {
		t.Fatalf("not frozen: %v, %v", acc.Active(), err)
	}
	if _, err := (registry.Reader{Reader: p.client}).Platform(t.Context(), p.net.Registry, id); !errors.Is(err, registry.ErrFrozen) {
		t.Errorf("the record is %v", err)
	}
	spent := p.balance(other)
	if err := other.seekSlot(t.Context(), id, other.Log); err == nil || !strings.Contains(err.Error(), "frozen") {
		t.Errorf("without its state: %v", err)
	}
	if p.balance(other) != spent {
		t.Error("trying in vain cost something")
	}
	if err := o.seekSlot(t.Context(), id, o.Log); err != nil {
		t.Fatal(err)
	}
	after, err := registry.Reader{Reader: p.client}.Platform(t.Context(), p.net.Registry, id)
	if err != nil || !upToDate(after, must(o.Root(t.Context()))) || len(after.State.Holders) != 1 {
		t.Errorf("revived as %+v, %v", after, err)
	}
	cost := spent - p.balance(o)
	t.Logf("reviving cost %d", cost)
}

// fund sends coins out of nowhere.
func (p *onePlatform) fund(to attestation.Address, nano uint64) {
	p.Helper()
	if err := p.net.Chain.Faucet(p.Context(), to, nano); err != nil {
		p.Fatal(err)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
