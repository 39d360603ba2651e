package contracts

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

// puppets is a registry that takes a puppet's code for that of Node and of
// Platform, so that a test may ask it anything in their names.
type puppets struct {
	*fixture
	node     attestation.Address // puppet in the name of node 7 of operator
	platform attestation.Address // puppet in the name of the platform 0x77
}

var puppetPlatform = [32]byte{0x77}

func newPuppets(t testing.TB, edit ...func(*RootState)) *puppets {
	t.Helper()
	id := CodeIDOf(puppet)
	p := &puppets{fixture: newFixture(t, append([]func(*RootState){noStake, func(s *RootState) {
		s.Node, s.Platform = id, id
		s.Measurements[snpMeasurement] = Measurement{Flags: MeasurementAccepted}
	}}, edit...)...)}
	p.node = p.newPuppet(NodeKey{p.root, p.operator.Address, 7}.Cell())
	p.platform = p.newPuppet(storeAddr(build(), p.root).MustStoreSlice(puppetPlatform[:], 256).EndCell())
	return p
}

// check is a good question of the puppet node about a registration.
func (p *puppets) check() *CheckRegistration {
	return &CheckRegistration{
		LT: 1234, NotAfter: p.Now + 100*day, Key: NodeKey{p.root, p.operator.Address, 7},
		Check: Check{Kind: KindSNP, Measurement: snpMeasurement, PlatformID: puppetPlatform, Authority: hash32(p.verifiers.Cell())},
	}
}

// current is the same about the current registration.
func (p *puppets) current(purpose uint8) *CheckCurrent {
	m := p.check()
	return &CheckCurrent{LT: m.LT, Purpose: purpose, QueryID: 9, Requester: p.anybody.Address, Key: m.Key, Check: m.Check}
}

// unlist is the puppet node's word that it is not registered.
func (p *puppets) unlist(code uint16) *Unlist {
	return &Unlist{QueryID: 8, Code: code, Requester: p.anybody.Address, Key: NodeKey{p.root, p.operator.Address, 7}}
}

// ask puts a question to Root through a puppet and returns the transactions:
// the puppet's, Root's and, if Root answered or bounced, the puppet's again.
func (p *puppets) ask(who attestation.Address, value uint64, body *cellT) []tvmtest.Tx {
	p.t.Helper()
	txs := p.pull(who, p.root, value, body)
	if len(txs) < 2 || txs[1].To != p.root {
		p.t.Fatalf("the puppet did not ask: %v", txs)
	}
	return txs[1:]
}

// unanswered fails the test unless Root refuses the question with code.
func (p *puppets) unanswered(code int, who attestation.Address, body *cellT) {
	p.t.Helper()
	data := p.Data(p.root)
	refused(p.t, p.ask(who, 3*ValueRootCheck, body), code)
	if !tvmtest.Equal(data, p.Data(p.root)) {
		p.t.Error("a question that was refused changed the registry")
	}
}

// listed says whether the puppet node is on the list, and until when.
func (p *puppets) listed() (uint32, bool) {
	n, ok := p.rootState().Nodes[p.node]
	return n.Expires, ok
}

func TestRootSenders(t *testing.T) {
	p := newPuppets(t)
	m := p.check()
	again := p.current(PurposeRecheck)
	for name, edit := range map[string]func(*NodeKey){
		"another operator": func(k *NodeKey) { k.Operator = p.anybody.Address },
		"another index":    func(k *NodeKey) { k.Index++ },
	} {
		other, about := *m, *again
		edit(&other.Key)
		edit(&about.Key)
		t.Run(name, func(t *testing.T) {
			p.unanswered(CodeWrongSender, p.node, other.Body())
			p.unanswered(CodeWrongSender, p.node, about.Body())
		})
	}
	// A node of another Root knows its own address, and may not ask here.
	foreign := NodeKey{p.anybody.Address, p.operator.Address, 7}
	stranger := p.newPuppet(foreign.Cell())
	m.Key = foreign
	p.unanswered(CodeWrongSender, stranger, m.Body())
	m.Key = p.check().Key
	// Other cells than a key: longer, shorter, with a reference, exotic.
	key := treeOf(m.Key.Cell())
	for name, c := range map[string]struct {
		key  *cellT
		code int
	}{
		"longer":      {(&tree{bits: append(slices.Clone(key.bits), 0)}).cell(), exitUnderflow},
		"shorter":     {(&tree{bits: key.bits[:len(key.bits)-1]}).cell(), exitUnderflow},
		"with a cell": {(&tree{bits: key.bits, refs: []*tree{{}}}).cell(), exitUnderflow},
		"a library":   {libraryOf(t, m.Key.Cell()), CodeWrongSender},
	} {
		s := m.Body().MustBeginParse()
		bits := s.BitsLeft()
		swapped := build().MustStoreSlice(s.MustLoadSlice(bits), bits).MustStoreRef(c.key).MustStoreRef(m.Check.Cell()).EndCell()
		t.Run("a key that is "+name, func(t *testing.T) {
			p.unanswered(c.code, p.newPuppet(c.key), swapped)
		})
	}
	p.unanswered(CodeWrongSender, p.platform, m.Body())
	p.refusesAtRoot(CodeWrongSender, ValueRootCheck, &rawBody{m.Body()})
	twin := p.ActorAt(attestation.Address{Workchain: -1, Hash: p.node.Hash}, tvmtest.Coin)
	refused(t, twin.Send(tvmtest.Message{To: p.root, Value: 3 * ValueRootCheck, Bounce: true, Body: m.Body()}), CodeWrongSender)
	refused(t, p.ask(p.node, ValueRootCheck-1_000_000, m.Body()), CodeValueTooLow)
	refused(t, p.ask(p.node, ValueRootCheck-1_000_000, again.Body()), CodeValueTooLow)
	p.refusesAtRoot(CodeUnknownMessage, ValueGovern, &rawBody{build().MustStoreUInt(0xdeadbeef, 32).EndCell()})
	good(t, p.anybody.Send(tvmtest.Message{To: p.root, Value: tvmtest.Coin, Bounce: true})) // a gift

	// A node that has the address and none of the code can't ask.
	f := newFixture(t, noStake)
	fake := f.newPuppet(NodeKey{f.root, f.operator.Address, 7}.Cell())
	q := &puppets{fixture: f, node: fake}
	q.unanswered(CodeWrongSender, fake, q.check().Body())
}

func TestRootJudgesKinds(t *testing.T) {
	p := newPuppets(t)
	tdx := &CheckTDX{}
	for name, c := range map[string]struct {
		code int
		edit func(*Check)
	}{
		"kind 0":                 {CodeKind, func(c *Check) { c.Kind = 0 }},
		"kind 4":                 {CodeKind, func(c *Check) { c.Kind = 4 }},
		"mode A without a quote": {CodeKind, func(c *Check) { c.Kind = KindTDX }},
		"mode A by verifiers":    {CodeCAKey, func(c *Check) { c.Kind, c.TDX = KindTDX, tdx }},
		"another set":            {CodeVerifierSet, func(c *Check) { c.Authority[0] ^= 1 }},
		"another measurement":    {CodeMeasurement, func(c *Check) { c.Measurement[0] ^= 1 }},
		"SNP":                    {0, func(c *Check) {}},
		"TDX by quorum":          {0, func(c *Check) { c.Kind = KindTDXQuorum }},
	} {
		t.Run(name, func(t *testing.T) {
			m := p.check()
			c.edit(&m.Check)
			p.answered(t, m, c.code)
		})
	}
}

// answered asks Root about a registration through the puppet node. A no comes
// back; after a yes the Platform is asked, whose puppet can't read that.
func (p *puppets) answered(t *testing.T, m *CheckRegistration, code int) {
	t.Helper()
	txs := p.ask(p.node, 5*ValueRootCheck, m.Body())
	good(t, txs[:1])
	params := p.rootState().Params
	expires := min(m.NotAfter, p.Now+params.RegistrationValidity)
	to, want := p.node, (&RegistrationAnswer{LT: m.LT, Code: uint16(code), Expires: expires, Params: params}).Body()
	if code == 0 {
		to, want = p.platform, (&ClaimSlot{LT: m.LT, Node: p.node.Hash, Expires: expires, Params: params}).Body()
	}
	if len(txs) != 2 || txs[1].To != to {
		t.Fatalf("Root did not go on: %v", txs)
	}
	if got := p.lastBody(); !tvmtest.Equal(got, want) {
		t.Errorf("Root says %s, want %s", got.Dump(), want.Dump())
	}
}

// TestRootPlatformMissing claims a slot where no platform is: the node hears of
// it, and pays for that too.
func TestRootPlatformMissing(t *testing.T) {
	p := newPuppets(t)
	m := p.check()
	m.Check.PlatformID = [32]byte{0x99}
	kept := p.Balance(p.root).Uint64()
	txs := p.ask(p.node, 5*ValueRootCheck, m.Body())
	if len(txs) != 4 || !txs[1].Skipped || txs[2].To != p.root || !txs[2].Bounced || txs[3].To != p.node {
		t.Fatalf("the claim did not come back: %v", txs)
	}
	good(t, txs[2:3])
	want := &RegistrationAnswer{LT: m.LT, Code: CodeRefused, Params: p.rootState().Params}
	if got := p.lastBody(); !tvmtest.Equal(got, want.Body()) {
		t.Errorf("Root answered %s, want %+v", got.Dump(), want)
	}
	if got := p.Balance(p.root).Uint64() - kept; got != p.start.Params.CheckFee {
		t.Errorf("Root kept %d", got)
	}
}

// judged asks Root about the current registration.
func (p *puppets) judged(t *testing.T, m *CheckCurrent, code int) {
	t.Helper()
	txs := p.ask(p.node, 5*ValueRootCheck, m.Body())
	good(t, txs[:1])
	if len(txs) != 2 || txs[1].To != p.node {
		t.Fatalf("Root did not answer: %v", txs)
	}
	want := &CurrentChecked{LT: m.LT, Purpose: m.Purpose, QueryID: m.QueryID, Requester: m.Requester,
		Code: uint16(code), Platform: &p.platform, Params: p.rootState().Params}
	if got := p.lastBody(); !tvmtest.Equal(got, want.Body()) {
		t.Errorf("Root answered %s, want %+v", got.Dump(), want)
	}
}

// TestRootExpiry takes the earliest of the evidence's end and the registry's validity.
func TestRootExpiry(t *testing.T) {
	p := newPuppets(t)
	validity := p.start.Params.RegistrationValidity
	for _, end := range []uint32{1, validity - 1, validity, validity + 1} {
		m := p.check()
		m.NotAfter = p.Now + end
		p.answered(t, m, 0)
	}
}

// lastBody is the body of the last message that a contract received.
func (p *puppets) lastBody() *cellT {
	p.t.Helper()
	r := p.Record()
	return messageBody(p.t, r[len(r)-1].Message)
}

func TestRootList(t *testing.T) {
	p := newPuppets(t)
	m := p.check()
	validity := p.start.Params.RegistrationValidity

	p.answered(t, m, 0)
	if e, ok := p.listed(); !ok || e != p.Now+2*validity {
		t.Errorf("listed %v until %d", ok, e)
	}
	// The next epoch moves the time only when it has to.
	data := p.Data(p.root)
	p.Now += validity
	p.answered(t, m, 0)
	if !tvmtest.Equal(data, p.Data(p.root)) {
		t.Error("a registration wrote what was not needed")
	}
	p.Now++
	p.answered(t, m, 0)
	if e, _ := p.listed(); e != p.Now+2*validity || len(p.rootState().Nodes) != 1 {
		t.Errorf("listed until %d, want %d", e, p.Now+2*validity)
	}
	// A recheck that holds changes nothing; one that doesn't takes it off.
	data = p.Data(p.root)
	again := p.current(PurposeRecheck)
	p.judged(t, again, 0)
	if !tvmtest.Equal(data, p.Data(p.root)) {
		t.Error("a recheck that held changed the registry")
	}
	again.Check.Measurement[0] ^= 1
	p.judged(t, again, CodeMeasurement)
	if _, ok := p.listed(); ok {
		t.Error("a node that was refused is listed")
	}
	// A recheck that holds puts it back: there may have been no room before.
	again.Check.Measurement[0] ^= 1
	p.judged(t, again, 0)
	if e, ok := p.listed(); !ok || e != p.Now+2*validity || len(p.rootState().Nodes) != 1 {
		t.Errorf("listed %v until %d after a recheck", ok, e)
	}
	// Retiring asks nothing of the policy.
	p.answered(t, m, 0)
	again.Purpose, again.Check.Kind = PurposeRetire, 0
	p.judged(t, again, 0)
	if s := p.rootState(); len(s.Nodes) != 0 {
		t.Errorf("listed after retiring: %v", s.Nodes)
	}
	p.judged(t, again, 0) // again
	if s := p.rootState(); len(s.Nodes) != 0 {
		t.Errorf("listed after retiring twice: %v", s.Nodes)
	}
}

func TestRootStakeAndPause(t *testing.T) {
	p := newPuppets(t, func(s *RootState) { s.Params = DefaultParams() })
	m := p.check()
	m.Stake = p.start.Params.MinStake - 1
	p.answered(t, m, CodeStake)
	again := p.current(PurposeRecheck)
	again.Stake = m.Stake
	p.judged(t, again, CodeStake)
	again.Stake++
	p.judged(t, again, 0)
	p.govern(Pause{})
	p.judged(t, again, 0) // those that are registered go on
	m.Stake++
	good(t, p.ask(p.node, 5*ValueRootCheck, p.unlist(0).Body()))
	p.answered(t, m, CodePaused)
	if _, ok := p.listed(); ok {
		t.Error("a node was listed while paused")
	}
}

// TestRootRevokes checks that every node on a revoked platform ends, and that a
// platform that is deployed later learns that it is revoked.
func TestRootRevokes(t *testing.T) {
	p := newPuppets(t)
	m := p.check()
	p.answered(t, m, 0)
	txs := p.sendTo(p.root, p.anybody, ValueGovern, p.approved(p.decision(RevokePlatform{puppetPlatform})))
	good(t, txs[:1]) // the puppet can't read what it is told
	if len(txs) != 2 || txs[1].To != p.platform || txs[1].Op != 0xc0c00302 {
		t.Errorf("the platform was not told: %v", txs)
	}
	if got := p.lastBody(); !tvmtest.Equal(got, build().MustStoreUInt(0xc0c00302, 32).MustStoreBoolBit(true).EndCell()) {
		t.Errorf("the platform was told %s", got.Dump())
	}
	p.judged(t, p.current(PurposeRecheck), CodeRevoked)
	if _, ok := p.listed(); ok {
		t.Error("a node on a revoked platform is listed")
	}
	p.answered(t, m, CodeRevoked)
	other := *m
	other.Check.PlatformID[5] = 1
	if a := p.ask(p.node, 5*ValueRootCheck, other.Body()); a[0].Aborted {
		t.Error("another platform's node is not answered")
	}
	p.welcomed(t, true)
	p.govern(RestorePlatform{puppetPlatform})
	p.Now += p.start.Params.GovernanceDelay
	good(t, p.sendTo(p.root, p.anybody, ValueGovern, &Execute{Number: 2})[:1])
	p.answered(t, m, 0)
	p.welcomed(t, false)
}

// hello is a platform's question.
func hello(id [32]byte, query uint64, requester attestation.Address) *cellT {
	return storeAddr(build().MustStoreUInt(0xc0c00202, 32).MustStoreSlice(id[:], 256).MustStoreUInt(query, 64), requester).EndCell()
}

// welcomed asks Root in the platform's name.
func (p *puppets) welcomed(t *testing.T, revoked bool) {
	t.Helper()
	txs := p.ask(p.platform, 5*ValueRootCheck, hello(puppetPlatform, 6, p.anybody.Address))
	good(t, txs[:1])
	id := CodeIDOf(puppet)
	want := build().MustStoreUInt(0xc0c00301, 32).MustStoreSlice(id.Hash[:], 256).MustStoreUInt(uint64(id.Depth), 16).
		MustStoreUInt(uint64(p.start.Params.PlatformSlots), 8).MustStoreBoolBit(revoked).MustStoreUInt(6, 64)
	if got := p.lastBody(); !tvmtest.Equal(got, storeAddr(want, p.anybody.Address).EndCell()) {
		t.Errorf("the platform is told %s", got.Dump())
	}
}

func TestRootPlatformHello(t *testing.T) {
	p := newPuppets(t)
	p.welcomed(t, false)
	p.unanswered(CodeWrongSender, p.platform, hello([32]byte{0x78}, 6, p.anybody.Address))
	p.unanswered(CodeWrongSender, p.node, hello(puppetPlatform, 6, p.anybody.Address))
	refused(t, p.ask(p.platform, ValueRootCheck-1_000_000, hello(puppetPlatform, 6, p.anybody.Address)), CodeValueTooLow)
	p.refusesAtRoot(CodeWrongSender, ValueRootCheck, &rawBody{hello(puppetPlatform, 6, p.anybody.Address)})
}

// TestRootKeepsFee checks that each check leaves its fee, and nothing else, in
// the registry.
func TestRootKeepsFee(t *testing.T) {
	p := newPuppets(t)
	for _, ask := range []func(){
		func() { p.ask(p.node, 5*ValueRootCheck, p.check().Body()) },
		func() { p.ask(p.node, 5*ValueRootCheck, p.current(PurposeRecheck).Body()) },
		func() { p.ask(p.platform, 5*ValueRootCheck, hello(puppetPlatform, 6, p.anybody.Address)) },
	} {
		before := p.Balance(p.root).Uint64()
		ask()
		if got := p.Balance(p.root).Uint64() - before; got != p.start.Params.CheckFee {
			t.Errorf("a check left %d", got)
		}
	}
}

// TestRootPrune removes what is over, and nothing else.
func TestRootPrune(t *testing.T) {
	f := newFixture(t, func(s *RootState) {
		for i := range 40 {
			var a attestation.Address
			binary.BigEndian.PutUint32(a.Hash[:], uint32(i))
			s.Nodes[a] = ListedNode{Expires: tvmtest.Start + uint32(i%2)*1000}
		}
	})
	m := &Prune{QueryID: 4, Count: 40}
	f.refusesAtRoot(CodeValueTooLow, ValuePrune-1, m)
	good(t, f.sendTo(f.root, f.anybody, ValuePrune, m))
	if n := len(f.rootState().Nodes); n != 40 {
		t.Errorf("%d are listed a second too early", n)
	}
	f.Now++
	m.Count = 10
	binary.BigEndian.PutUint32(m.Start[:], 20)
	good(t, f.sendTo(f.root, f.anybody, ValuePrune, m))
	done(t, f.anybody, 0)
	s := f.rootState()
	if len(s.Nodes) != 35 {
		t.Errorf("%d are listed, want 35", len(s.Nodes))
	}
	for i := range 40 {
		var a attestation.Address
		binary.BigEndian.PutUint32(a.Hash[:], uint32(i))
		if _, ok := s.Nodes[a]; ok == (i >= 20 && i < 30 && i%2 == 0) {
			t.Errorf("entry %d: listed %v", i, ok)
		}
	}
	m.Start, m.Count = [32]byte{}, MaxPrune
	good(t, f.sendTo(f.root, f.anybody, ValuePrune, m))
	if n := len(f.rootState().Nodes); n != 20 {
		t.Errorf("%d are listed, want 20", n)
	}
	for _, count := range []uint8{0, MaxPrune + 1, 255} {
		m.Count = count
		if _, err := m.Body(); err == nil {
			t.Errorf("a count of %d makes a message", count)
		}
		b := plain(opPrune, 1).MustStoreSlice(make([]byte, 32), 256).MustStoreUInt(uint64(count), 8).EndCell()
		f.refusesAtRoot(CodeCount, ValuePrune, &rawBody{b})
	}
	m.Start = [32]byte{255}
	m.Count = 9
	good(t, f.sendTo(f.root, f.anybody, ValuePrune, m)) // behind the end
	if n := len(f.rootState().Nodes); n != 20 {
		t.Errorf("%d are listed, want 20", n)
	}
}

// TestRootPruneLongest removes the most entries at once from the longest list.
func TestRootPruneLongest(t *testing.T) {
	f := newFixture(t, func(s *RootState) { listNodes(s, MaxNodes) })
	f.Now += 31 * day
	m := &Prune{Count: MaxPrune}
	tx := good(t, f.sendTo(f.root, f.anybody, ValuePrune, m))[0]
	if n := len(f.rootState().Nodes); n != MaxNodes-MaxPrune {
		t.Errorf("%d are listed, want %d", n, MaxNodes-MaxPrune)
	}
	if paid := ValuePrune / 400; tx.Gas > int64(paid)*9/10 {
		t.Errorf("%d removals take %d gas, and the value pays for %d", MaxPrune, tx.Gas, paid)
	}
	t.Logf("%d gas", tx.Gas)
}

// TestRootListFull starts a registry that counts as many nodes as it may hold.
func TestRootListFull(t *testing.T) {
	for count, room := range map[uint32]bool{MaxNodes - 1: true, MaxNodes: false} {
		p := newPuppets(t)
		c, err := p.start.Cell()
		if err != nil {
			t.Fatal(err)
		}
		start := treeOf(c)
		for i := range 32 { // behind nonce, paused, number and two code ids
			start.bits[64+1+32+2*272+i] = byte(count >> (31 - i) & 1)
		}
		a, si := place(RootCode(), start.cell())
		good(t, p.anybody.Send(tvmtest.Message{To: a, Value: tvmtest.Coin, StateInit: si}))
		p.root = a
		p.node = p.newPuppet(NodeKey{a, p.operator.Address, 7}.Cell())
		p.platform = p.newPuppet(storeAddr(build(), p.root).MustStoreSlice(puppetPlatform[:], 256).EndCell())
		txs := p.ask(p.node, 5*ValueRootCheck, p.check().Body())
		good(t, txs[:1])
		if txs[1].To != p.platform {
			t.Errorf("%d nodes: Root does not ask the platform: %v", count, txs)
		}
		txs = p.ask(p.node, 5*ValueRootCheck, p.current(PurposeRecheck).Body())
		good(t, txs[:1])
		if a, err := ParseCurrentChecked(p.lastBody()); err != nil || a.Code != 0 {
			t.Errorf("%d nodes: Root answers a recheck %+v, %v", count, a, err)
		}
		if !tvmtest.Equal(p.Data(a), start.cell()) != room {
			t.Errorf("%d nodes: the registry changed, or did not", count)
		}
	}
}
