package contracts

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

func withPlatforms(s *RootState) { s.Platform = PlatformCodeID() }

func slots(n uint8) func(*RootState) { return func(s *RootState) { s.Params.PlatformSlots = n } }

// platformID is the id of the fixture's machine.
func (f *fixture) platformID() [32]byte { return attestation.PlatformID("tdx", ppid(f)) }

// deployPlatform deploys the Platform of the fixture's machine and has Root
// welcome it.
func (f *fixture) deployPlatform() attestation.Address {
	f.t.Helper()
	a, si, err := PlatformAddress(f.root, f.platformID())
	if err != nil {
		f.t.Fatal(err)
	}
	b, _ := (&RenewPlatform{QueryID: 77}).Body()
	good(f.t, f.anybody.Send(tvmtest.Message{To: a, Value: ValueRenew, Bounce: true, StateInit: si, Body: b}))
	done(f.t, f.anybody, 0)
	return a
}

func (f *fixture) platformState(a attestation.Address) *PlatformState {
	f.t.Helper()
	s, err := ParsePlatform(f.Data(a))
	if err != nil {
		f.t.Fatal(err)
	}
	return s
}

// nodeOf deploys another operator's node and makes it the fixture's.
func (f *fixture) nodeOf(name string) {
	f.t.Helper()
	f.operator = f.Actor(name, 1000*tvmtest.Coin)
	a, si, err := NodeAddress(f.root, f.operator.Address, 7)
	if err != nil {
		f.t.Fatal(err)
	}
	f.node = a
	good(f.t, f.operator.Send(tvmtest.Message{To: a, Value: tvmtest.Coin, StateInit: si}))
}

// tryRegister registers the next epoch; Platform or Root answers with code.
func (f *fixture) tryRegister(code int) {
	f.t.Helper()
	f.send(f.operator, ValueRegister, f.registration(f.heads()))
	done(f.t, f.operator, code)
	if s := f.nodeState(); s.Pending != nil || (s.Status == StatusActive) != (code == 0) {
		f.t.Errorf("after code %d: %+v", code, s)
	}
}

func TestPlatformRenew(t *testing.T) {
	f := newFixture(t, noStake, withPlatforms, slots(3))
	a := f.deployPlatform()
	s := f.platformState(a)
	if s.Key != (PlatformKey{f.root, f.platformID()}) || s.Node != NodeCodeID() || s.Slots != 3 || s.Revoked || len(s.Holders) != 0 {
		t.Errorf("after the welcome: %+v", s)
	}
	// A renewal costs fees and the check fee, and what the reserve lacks.
	for i, want := range []uint64{RenewFee, 2 * RenewFee, PlatformReserve, PlatformReserve} {
		if b := f.Balance(a).Uint64(); b != want {
			t.Errorf("after %d renewals platform keeps %d, want %d", i+1, b, want)
		}
		before, kept := f.anybody.Balance.Uint64(), f.Balance(a).Uint64()
		good(t, f.sendTo(a, f.anybody, ValueRenew, &RenewPlatform{QueryID: 3}))
		done(t, f.anybody, 0)
		if cost := before - f.anybody.Balance.Uint64() - (f.Balance(a).Uint64() - kept); cost > 10_000_000 {
			t.Errorf("a renewal costs %d", cost)
		}
	}
	b, _ := (&RenewPlatform{}).Body()
	f.refusesBody(a, CodeValueTooLow, f.anybody, ValueRenew-1, b)
	// A top up needs no words. What is above the reserve goes with the next answer.
	good(t, f.anybody.Send(tvmtest.Message{To: a, Value: tvmtest.Coin}))
	kept := f.Balance(a).Uint64()
	good(t, f.sendTo(a, f.anybody, ValueRenew, &RenewPlatform{}))
	if b, back := f.Balance(a).Uint64(), f.anybody.Last().Value; b != PlatformReserve || back < kept-PlatformReserve || back > kept-PlatformReserve+ValueRenew {
		t.Errorf("platform keeps %d after a top up, had %d; %d came back", b, kept, back)
	}
}

// TestPlatformRegistration goes all the way: Node, Root, Platform, Node.
func TestPlatformRegistration(t *testing.T) {
	f := newFixture(t, noStake, withPlatforms)
	a := f.deployPlatform()
	txs := f.register()
	if len(txs) != 4 || txs[2].To != a || txs[2].From != f.root || txs[3].From != a {
		t.Errorf("the messages went %v", txs)
	}
	expires := f.Now + f.start.Params.RegistrationValidity
	if h := f.platformState(a).Holders; len(h) != 1 || h[f.node] != (Slot{f.nodeState().Current.LT, expires}) {
		t.Errorf("holders are %v", h)
	}
	if s := f.nodeState(); s.Status != StatusActive || s.Expires != expires {
		t.Errorf("node is %+v", s)
	}
	// The operator gets back what the messages did not cost.
	last := f.operator.Last()
	if last.From != f.node || last.Value < ValueRegister-70_000_000 {
		t.Errorf("%d nano came back", last.Value)
	}
	// A new boot renews.
	f.Now += 3600
	f.register()
	if h := f.platformState(a).Holders; len(h) != 1 || h[f.node] != (Slot{f.nodeState().Current.LT, expires + 3600}) {
		t.Errorf("holders are %v", h)
	}
}

func TestPlatformSlots(t *testing.T) {
	f := newFixture(t, noStake, withPlatforms, slots(2))
	a := f.deployPlatform()
	first, firstOperator := f.node, f.operator
	f.register()
	f.Now += 100
	f.nodeOf("second")
	f.register()
	second := f.node
	f.nodeOf("third")
	third, thirdOperator := f.node, f.operator
	// No live slot is displaced, and the operator learns why.
	before := f.platformState(a).Holders
	f.tryRegister(CodeNoSlot)
	if h := f.platformState(a).Holders; len(h) != 2 || h[first] != before[first] || h[second] != before[second] {
		t.Errorf("holders are %v", h)
	}
	if err := f.platformState(a).SlotFor(third, f.Now); err == nil {
		t.Error("the binding promises a slot")
	}
	// Who holds one renews it.
	f.Now += 50
	f.node, f.operator = first, firstOperator
	f.tryRegister(0)
	// One second before the second's time is over it is live; then it is free.
	f.node, f.operator = third, thirdOperator
	f.Now = before[second].Expires - 1
	f.tryRegister(CodeNoSlot)
	f.Now++
	if err := f.platformState(a).SlotFor(third, f.Now); err != nil {
		t.Error(err)
	}
	f.tryRegister(0)
	if h := f.platformState(a).Holders; len(h) != 2 || h[third].LT != f.nodeState().Current.LT || h[first].LT <= before[first].LT {
		t.Errorf("holders are %v", h)
	}
}

func TestPlatformRetire(t *testing.T) {
	f := newFixture(t, noStake, withPlatforms, slots(1))
	a := f.deployPlatform()
	f.register()
	node, operator := f.node, f.operator
	f.nodeOf("second")
	f.tryRegister(CodeNoSlot)
	good(t, f.sendTo(node, operator, ValueCheck, &Retire{QueryID: 8}))
	done(t, operator, 0)
	if h := f.platformState(a).Holders; len(h) != 0 {
		t.Errorf("holders are %v", h)
	}
	f.tryRegister(0)
}

func TestPlatformRevoked(t *testing.T) {
	f := newFixture(t, noStake, withPlatforms)
	a := f.deployPlatform()
	f.register()
	f.govern(RevokePlatform{f.platformID()})
	if !f.platformState(a).Revoked {
		t.Error("the platform does not know")
	}
	// Anybody ends what is registered, and nothing new comes.
	good(t, f.send(f.anybody, ValueCheck, &Recheck{QueryID: 4}))
	done(t, f.anybody, CodeRevoked)
	if s := f.nodeState(); s.Status != StatusInactive {
		t.Errorf("node is %v", s.Status)
	}
	if h := f.platformState(a).Holders; len(h) != 0 {
		t.Errorf("holders are %v", h)
	}
	f.tryRegister(CodeRevoked)
	number := f.rootState().NextProposal
	f.govern(RestorePlatform{f.platformID()})
	f.Now += f.start.Params.GovernanceDelay
	f.execute(number, 0)
	if f.platformState(a).Revoked {
		t.Error("the platform does not know that it is restored")
	}
	f.tryRegister(0)
}

// TestPlatformRevokedBeforeDeployment: the message of Root finds nobody, and the
// welcome says it again.
func TestPlatformRevokedBeforeDeployment(t *testing.T) {
	f := newFixture(t, noStake, withPlatforms)
	f.sendTo(f.root, f.anybody, ValueGovern, f.approved(f.decision(RevokePlatform{f.platformID()})))
	done(t, f.anybody, 0)
	a := f.deployPlatform()
	if !f.platformState(a).Revoked {
		t.Error("the platform does not know")
	}
	f.tryRegister(CodeRevoked)
}

// TestPlatformMissing registers where no platform is, and where it has not been
// welcomed.
func TestPlatformMissing(t *testing.T) {
	f := newFixture(t, noStake, withPlatforms)
	f.tryRegister(CodeRefused) // the claim bounces
	a, si, err := PlatformAddress(f.root, f.platformID())
	if err != nil {
		t.Fatal(err)
	}
	good(t, f.anybody.Send(tvmtest.Message{To: a, Value: tvmtest.Coin, StateInit: si}))
	if err := f.platformState(a).SlotFor(f.node, f.Now); err == nil {
		t.Error("the binding promises a slot")
	}
	f.tryRegister(CodeNotWelcomed)
	good(t, f.sendTo(a, f.anybody, ValueRenew, &RenewPlatform{}))
	f.tryRegister(0)
}

// TestPlatformNotOfRoot asks a Root that has no platforms.
func TestPlatformNotOfRoot(t *testing.T) {
	f := newFixture(t, noStake)
	a, si, err := PlatformAddress(f.root, f.platformID())
	if err != nil {
		t.Fatal(err)
	}
	good(t, f.anybody.Send(tvmtest.Message{To: a, Value: PlatformReserve, StateInit: si}))
	before := f.anybody.Balance.Uint64()
	f.sendTo(a, f.anybody, ValueRenew, &RenewPlatform{QueryID: 9})
	done(t, f.anybody, CodeNotOfRoot)
	if cost := before - f.anybody.Balance.Uint64(); cost > 12_000_000 {
		t.Errorf("asking in vain costs %d", cost)
	}
	if s := f.platformState(a); s.Node != (CodeID{}) {
		t.Errorf("platform is %+v", s)
	}
}

// alone is a Platform whose Root is a party of the test and whose nodes are
// puppets.
type alone struct {
	*fixture
	rootActor *tvmtest.Actor
	at        attestation.Address
}

func newAlone(t testing.TB, slots uint8) *alone {
	t.Helper()
	l := &alone{fixture: &fixture{World: tvmtest.New(t), t: t}}
	l.rootActor, l.anybody = l.Actor("root", 1000*tvmtest.Coin), l.Actor("anybody", 100_000*tvmtest.Coin)
	var si *cell.Cell
	var err error
	if l.at, si, err = PlatformAddress(l.rootActor.Address, [32]byte{1}); err != nil {
		t.Fatal(err)
	}
	good(t, l.anybody.Send(tvmtest.Message{To: l.at, Value: tvmtest.Coin, StateInit: si}))
	l.welcome(PlatformWelcome{Node: CodeIDOf(puppet), Slots: slots})
	return l
}

func (l *alone) welcome(m PlatformWelcome) {
	l.t.Helper()
	m.Requester = l.anybody.Address
	good(l.t, l.rootActor.Send(tvmtest.Message{To: l.at, Value: ValueRenew, Bounce: true, Body: m.Body()}))
	done(l.t, l.anybody, 0)
}

// node deploys a puppet at the address of a node.
func (l *alone) nodePuppet(operator string, index uint32) (node, owner attestation.Address) {
	l.t.Helper()
	copy(owner.Hash[:], operator)
	node = l.newPuppet(NodeKey{l.rootActor.Address, owner, index}.Cell())
	if want := CodeIDOf(puppet).AccountOf(NodeKey{l.rootActor.Address, owner, index}.Cell()); node != want {
		l.t.Fatalf("puppet is at %s, want %s", node, want)
	}
	return node, owner
}

// last returns the transactions of the platform.
func (l *alone) ofPlatform(txs []tvmtest.Tx) (out []tvmtest.Tx) {
	for _, tx := range txs {
		if tx.To == l.at {
			out = append(out, tx)
		}
	}
	return out
}

// claim has Root claim a slot for a node.
func (l *alone) claim(node attestation.Address, lt uint64, expires uint32) []tvmtest.Tx {
	l.t.Helper()
	m := &ClaimSlot{LT: lt, Node: node.Hash, Expires: expires, Params: DefaultParams()}
	return l.ofPlatform(l.rootActor.Send(tvmtest.Message{To: l.at, Value: tvmtest.Coin, Bounce: true, Body: m.Body()}))
}

// claimAs has somebody else do so.
func (l *alone) claimAs(who, node attestation.Address) []tvmtest.Tx {
	l.t.Helper()
	return l.ofPlatform(l.pull(who, l.at, tvmtest.Coin, (&ClaimSlot{LT: 1, Node: node.Hash, Expires: l.Now + 100}).Body()))
}

func (l *alone) release(node, owner attestation.Address, index uint32, lt uint64) []tvmtest.Tx {
	l.t.Helper()
	m := &ReleaseSlot{LT: lt, Operator: owner, Index: index, QueryID: 6, Code: 123, Requester: l.anybody.Address}
	return l.ofPlatform(l.pull(node, l.at, tvmtest.Coin, m.Body()))
}

func TestPlatformRelease(t *testing.T) {
	l := newAlone(t, 1)
	node, owner := l.nodePuppet("operator", 1)
	good(t, l.claim(node, 5, l.Now+100))
	// The release of an earlier registration comes late.
	good(t, l.release(node, owner, 1, 4))
	done(t, l.anybody, 123)
	if h := l.platformState(l.at).Holders; h[node] != (Slot{5, l.Now + 100}) {
		t.Errorf("holders are %v", h)
	}
	good(t, l.release(node, owner, 1, 5))
	done(t, l.anybody, 123)
	if h := l.platformState(l.at).Holders; len(h) != 0 {
		t.Errorf("holders are %v", h)
	}
	// Giving back what one does not hold changes nothing, and the rest comes back.
	before := l.anybody.Balance.Uint64()
	good(t, l.release(node, owner, 1, 9))
	if cost := before - l.anybody.Balance.Uint64(); cost > 20_000_000 {
		t.Errorf("a release costs %d", cost)
	}
}

func TestPlatformWrongSender(t *testing.T) {
	l := newAlone(t, 2)
	node, owner := l.nodePuppet("operator", 1)
	other, _ := l.nodePuppet("operator", 2)
	stranger := l.newPuppet(NodeKey{l.anybody.Address, owner, 1}.Cell()) // of another Root
	good(t, l.claim(node, 1, l.Now+100))
	data := l.Data(l.at)
	for name, txs := range map[string][]tvmtest.Tx{
		"claim of a node":        l.claimAs(node, node),
		"claim of a stranger":    l.claimAs(stranger, node),
		"release for another":    l.release(other, owner, 1, 1),
		"release of a stranger":  l.release(stranger, owner, 1, 1),
		"release, wrong owner":   l.release(node, l.anybody.Address, 1, 1),
		"welcome of a node":      l.ofPlatform(l.pull(node, l.at, tvmtest.Coin, (&PlatformWelcome{Node: NodeCodeID(), Slots: 99, Requester: owner}).Body())),
		"revocation by a node":   l.ofPlatform(l.pull(node, l.at, tvmtest.Coin, (&PlatformRevoke{true}).Body())),
		"claim by a wallet":      l.anybody.Send(tvmtest.Message{To: l.at, Value: tvmtest.Coin, Bounce: true, Body: (&ClaimSlot{Node: node.Hash, Expires: l.Now + 1}).Body()}),
		"welcome by a wallet":    l.anybody.Send(tvmtest.Message{To: l.at, Value: tvmtest.Coin, Bounce: true, Body: (&PlatformWelcome{Requester: owner}).Body()}),
		"revocation by a wallet": l.anybody.Send(tvmtest.Message{To: l.at, Value: tvmtest.Coin, Bounce: true, Body: (&PlatformRevoke{true}).Body()}),
	} {
		t.Run(name, func(t *testing.T) { refused(t, txs, CodeWrongSender) })
	}
	if !tvmtest.Equal(data, l.Data(l.at)) {
		t.Error("the state changed")
	}
	// Before any welcome nobody is a node: a release can't be one's own.
	fresh := &alone{fixture: l.fixture, rootActor: l.rootActor}
	var si *cell.Cell
	fresh.at, si, _ = PlatformAddress(l.rootActor.Address, [32]byte{2})
	good(t, l.anybody.Send(tvmtest.Message{To: fresh.at, Value: tvmtest.Coin, StateInit: si}))
	refused(t, fresh.release(node, owner, 1, 1), CodeWrongSender)
}

func TestPlatformRevokedItself(t *testing.T) {
	l := newAlone(t, 2)
	node, _ := l.nodePuppet("operator", 1)
	good(t, l.rootActor.Send(tvmtest.Message{To: l.at, Value: tvmtest.Coin, Bounce: true, Body: (&PlatformRevoke{true}).Body()}))
	if err := l.platformState(l.at).SlotFor(node, l.Now); err == nil {
		t.Error("the binding promises a slot")
	}
	good(t, l.claim(node, 1, l.Now+100))
	if s := l.platformState(l.at); !s.Revoked || len(s.Holders) != 0 {
		t.Errorf("platform is %+v", s)
	}
	l.welcome(PlatformWelcome{Node: CodeIDOf(puppet), Slots: 2})
	good(t, l.claim(node, 1, l.Now+100))
	if s := l.platformState(l.at); s.Revoked || len(s.Holders) != 1 {
		t.Errorf("platform is %+v", s)
	}
	// Fewer slots displace nobody.
	l.welcome(PlatformWelcome{Node: CodeIDOf(puppet)})
	if s := l.platformState(l.at); s.Slots != 0 || len(s.Holders) != 1 {
		t.Errorf("platform is %+v", s)
	}
	good(t, l.claim(node, 2, l.Now+200))
	if s := l.platformState(l.at); s.Holders[node] != (Slot{2, l.Now + 200}) {
		t.Errorf("platform is %+v", s)
	}
}

// TestPlatformFull fills the most slots there can be, and clears them at once.
func TestPlatformFull(t *testing.T) {
	l := newAlone(t, 255)
	most := int64(0)
	for i := range uint32(MaxSlots + 1) {
		node, _ := l.nodePuppet(fmt.Sprint("operator ", i), i)
		txs := good(t, l.claim(node, 1, l.Now+100))
		most = max(most, txs[0].Gas)
	}
	if n := len(l.platformState(l.at).Holders); n != MaxSlots {
		t.Errorf("%d nodes hold slots", n)
	}
	l.Now += 100
	node, _ := l.nodePuppet("operator late", 1)
	txs := good(t, l.claim(node, 1, l.Now+100))
	if h := l.platformState(l.at).Holders; len(h) != 1 || h[node].LT != 1 {
		t.Errorf("holders are %v", h)
	}
	if most = max(most, txs[0].Gas); most > 45_000 {
		t.Errorf("a claim takes %d gas", most)
	}
	t.Logf("at most %d gas", most)
}

func (f *fixture) topUp(at attestation.Address, nano uint64) {
	f.t.Helper()
	good(f.t, f.anybody.Send(tvmtest.Message{To: at, Value: nano}))
}

// TestPlatformReserve: claims fill a low reserve bit by bit.
func TestPlatformReserve(t *testing.T) {
	f := newFixture(t, noStake, withPlatforms)
	a := f.deployPlatform()
	low := f.Balance(a).Uint64()
	f.register()
	if b := f.Balance(a).Uint64(); b != low+SlotFee {
		t.Errorf("platform keeps %d, had %d", b, low)
	}
	// What is above it leaves with the answer: of a claim to the node, which sends
	// it on to the operator; of a release to who asked for it.
	spare := uint64(tvmtest.Coin / 2)
	for name, ask := range map[string]func(){
		"a claim":   func() { f.register() },
		"a release": func() { f.register(); f.topUp(a, spare); good(t, f.send(f.operator, ValueCheck, &Retire{})) },
	} {
		f.topUp(a, spare)
		ask()
		if b := f.Balance(a).Uint64(); b > PlatformReserve {
			t.Errorf("after %s platform keeps %d", name, b)
		}
		if v := f.operator.Last().Value; v < spare-PlatformReserve {
			t.Errorf("after %s the operator got %d", name, v)
		}
	}
}

func TestPlatformBadMessages(t *testing.T) {
	f := newFixture(t, noStake, withPlatforms)
	a := f.deployPlatform()
	f.refusesBody(a, CodeUnknownMessage, f.anybody, tvmtest.Coin, build().MustStoreUInt(opSetProfile, 32).MustStoreUInt(0, 64).EndCell())
	f.refusesBody(a, CodeUnknownMessage, f.anybody, tvmtest.Coin, build().MustStoreUInt(7, 8).EndCell())
	f.refusesBody(a, CodeBadFormat, f.anybody, tvmtest.Coin, build().MustStoreUInt(opRenewPlatform, 32).MustStoreUInt(0, 63).EndCell())
	f.refusesBody(a, CodeBadFormat, f.anybody, tvmtest.Coin, plain(opRenewPlatform, 1).MustStoreUInt(0, 1).EndCell())
	f.refusesBody(a, CodeBadFormat, f.anybody, tvmtest.Coin, plain(opRenewPlatform, 1).MustStoreRef(build().EndCell()).EndCell())
}

func TestPlatformBindings(t *testing.T) {
	addr := attestation.Address{Hash: [32]byte{4}}
	for name, ok := range map[string]bool{
		"hello":   roundTrip(t, &PlatformHello{[32]byte{1}, 2, addr}, (*PlatformHello).Body, ParsePlatformHello),
		"welcome": roundTrip(t, &PlatformWelcome{NodeCodeID(), 3, true, 2, addr}, (*PlatformWelcome).Body, ParsePlatformWelcome),
		"revoke":  roundTrip(t, &PlatformRevoke{true}, (*PlatformRevoke).Body, ParsePlatformRevoke),
		"claim":   roundTrip(t, &ClaimSlot{1, [32]byte{4}, 3, DefaultParams()}, (*ClaimSlot).Body, ParseClaimSlot),
		"release": roundTrip(t, &ReleaseSlot{1, addr, 2, 3, 4, addr}, (*ReleaseSlot).Body, ParseReleaseSlot),
		"answer":  roundTrip(t, &RegistrationAnswer{1, 2, 3, DefaultParams()}, (*RegistrationAnswer).Body, ParseRegistrationAnswer),
		"unlist":  roundTrip(t, &Unlist{1, 2, addr, NodeKey{addr, addr, 3}}, (*Unlist).Body, ParseUnlist),
	} {
		if !ok {
			t.Errorf("%s does not survive", name)
		}
	}
	if _, _, err := PlatformAddress(attestation.Address{}, [32]byte{1}); err == nil {
		t.Error("a platform without Root")
	}
	if _, _, err := PlatformAddress(addr, [32]byte{}); err == nil {
		t.Error("a platform without id")
	}
	a, _, err := PlatformAddress(addr, [32]byte{1})
	if want := PlatformCodeID().AccountOf(PlatformKey{addr, [32]byte{1}}.Cell()); err != nil || a != want {
		t.Errorf("address is %v, want %v: %v", a, want, err)
	}
	if _, err := ParsePlatform(nil); err == nil {
		t.Error("no data is a state")
	}
}

// roundTrip also checks that no shorter, longer or differently tagged body is read.
func roundTrip[T comparable](t *testing.T, m *T, body func(*T) *cell.Cell, parse func(*cell.Cell) (*T, error)) bool {
	t.Helper()
	c := body(m)
	whole := treeOf(c)
	for name, bad := range map[string]*tree{
		"longer":    {bits: append(slices.Clone(whole.bits), 0), refs: whole.refs},
		"shorter":   {bits: whole.bits[:len(whole.bits)-1], refs: whole.refs},
		"reference": {bits: whole.bits, refs: append(slices.Clone(whole.refs), &tree{})},
		"tag":       {bits: append([]byte{1 ^ whole.bits[0]}, whole.bits[1:]...), refs: whole.refs},
	} {
		if _, err := parse(bad.cell()); err == nil {
			t.Errorf("%T: %s is read", m, name)
		}
	}
	got, err := parse(c)
	return err == nil && *got == *m
}

func FuzzParsePlatform(f *testing.F) {
	rng := rand.NewChaCha8([32]byte{'p'})
	s := build()
	storeAddr(s, attestation.Address{Hash: [32]byte{1}}).MustStoreSlice(make([]byte, 32), 256).MustStoreSlice(make([]byte, 34), 272).
		MustStoreUInt(4, 8).MustStoreBoolBit(false).MustStoreBoolBit(false)
	f.Add(s.EndCell().ToBOC())
	f.Add(PlatformKey{attestation.Address{Hash: [32]byte{1}}, [32]byte{2}}.Cell().ToBOC())
	junk := make([]byte, 64)
	rng.Read(junk)
	f.Add(junk)
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := cell.FromBOC(b)
		if err != nil {
			return
		}
		if s, err := ParsePlatform(c); err == nil {
			_ = s.SlotFor(attestation.Address{}, 0)
		}
		for _, parse := range []func(*cell.Cell) error{
			func(c *cell.Cell) error { _, err := ParsePlatformHello(c); return err },
			func(c *cell.Cell) error { _, err := ParsePlatformWelcome(c); return err },
			func(c *cell.Cell) error { _, err := ParsePlatformRevoke(c); return err },
			func(c *cell.Cell) error { _, err := ParseClaimSlot(c); return err },
			func(c *cell.Cell) error { _, err := ParseReleaseSlot(c); return err },
			func(c *cell.Cell) error { _, err := ParseRegistrationAnswer(c); return err },
		} {
			_ = parse(c)
		}
	})
}
