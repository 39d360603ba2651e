package contracts

import (
	"crypto/ed25519"
	"math"
	"math/bits"
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/translog"
	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

// Sizes of the registry in which costs are measured.
const (
	typicalMeasurements = 10
	typicalModels       = 3
	typicalFloors       = 4
	typicalNodes        = 100
	largeNodes          = 4000
	typicalVerifiers    = 10
	typicalThreshold    = 7
)

// typical makes a registry one of usual size, with Platforms.
func typical(s *RootState) {
	s.Platform = PlatformCodeID()
	for i := range byte(typicalMeasurements - len(s.Measurements)) {
		s.Measurements[sha([]byte{'m', i})] = Measurement{Flags: MeasurementAccepted}
	}
	s.Measurements[snpMeasurement] = Measurement{Flags: MeasurementAccepted}
	for i := range byte(typicalModels) {
		s.Models[sha([]byte{'l', i})] = Model{Licence: "Apache-2.0", URL: "https://models.example/organisation/model-70b-instruct"}
	}
	for i := range byte(typicalFloors - len(s.Floors)) {
		s.Floors[[6]byte{0x50, 0x80, 0x6f, i}] = TDXFloor{CPUSVN: [16]byte{i}}
	}
	listNodes(s, typicalNodes)
	v := typicalVerifierSet()
	s.List(v)
	s.Verifiers = &v
}

// listNodes fills the registry's list of nodes up.
func listNodes(s *RootState, n int) {
	for i := len(s.Nodes); i < n; i++ {
		s.Nodes[attestation.Address{Hash: sha([]byte{'n', byte(i >> 8), byte(i)})}] = ListedNode{Expires: tvmtest.Start + 30*day}
	}
}

func typicalVerifierKeys() (keys []ed25519.PrivateKey) {
	for i := range typicalVerifiers {
		keys = append(keys, key("verifier "+string(rune('0'+i))))
	}
	return keys
}

func typicalVerifierSet() VerifierSet {
	q, err := NewQuorum(typicalThreshold, publics(typicalVerifierKeys())...)
	if err != nil {
		panic(err)
	}
	return VerifierSet{Number: 1, Quorum: q}
}

// forks is how many cells of the registry's list lead to a node's place in it.
func forks(s *RootState, node attestation.Address) int {
	seen := map[int]bool{}
	for a := range s.Nodes {
		n := 0
		for n < 32 && a.Hash[n] == node.Hash[n] {
			n++
		}
		seen[8*n+bits.LeadingZeros8(a.Hash[n%32]^node.Hash[n%32])] = true
	}
	return len(seen)
}

// usual is a typical registry that lists n nodes, and in whose list a node with an
// index has the depth that nodes have there on average: addresses change with every
// change of code, and a level more or less would be 600 gas.
func usual(t testing.TB, n int, index uint32, edit ...func(*RootState)) *fixture {
	t.Helper()
	for nonce := uint64(0); ; nonce++ {
		f := newFixture(t, append([]func(*RootState){typical, func(s *RootState) { s.Nonce = nonce; listNodes(s, n) }}, edit...)...)
		node, _, err := NodeAddress(f.root, f.operator.Address, index)
		if err != nil {
			t.Fatal(err)
		}
		if forks(f.start, node) == int(math.Round(math.Log2(float64(n))+0.36)) {
			return f
		}
	}
}

// newTypical is a typical registry with a node of 150 coins stake that has never
// registered, on a machine whose Platform is deployed.
func (m *meter) newTypical() *fixture {
	m.t.Helper()
	f := usual(m.t, typicalNodes, 7)
	f.verifier, f.verifiers = typicalVerifierKeys(), typicalVerifierSet()
	f.deployPlatform()
	f.setProfile()
	f.stake(150 * coin)
	return f
}

// send measures one message.
func (m *meter) send(f *fixture, name string, to attestation.Address, from *tvmtest.Actor, value uint64, put int64, b bodyMaker) {
	m.t.Helper()
	m.path(f.World, name, value, amount(put), func() []tvmtest.Tx { return f.sendTo(to, from, value+uint64(max(put, 0)), b) })
}

// left is what stayed in a contract.
func left(w *tvmtest.World, at attestation.Address) func() int64 {
	return func() int64 { return w.Balance(at).Int64() }
}

// nodePaths is the life of a node that does what it should.
func (m *meter) nodePaths() {
	f := usual(m.t, typicalNodes, 8)
	var si *cellT
	var err error
	if f.node, si, err = NodeAddress(f.root, f.operator.Address, 8); err != nil {
		m.t.Fatal(err)
	}
	m.path(f.World, "node-deploy", 0, left(f.World, f.node), func() []tvmtest.Tx {
		return f.operator.Send(tvmtest.Message{To: f.node, Value: coin, StateInit: si})
	})
	platform, si, err := PlatformAddress(f.root, f.platformID())
	if err != nil {
		m.t.Fatal(err)
	}
	m.path(f.World, "platform-deploy", ValueRenew, amount(0), func() []tvmtest.Tx {
		return f.anybody.Send(tvmtest.Message{To: platform, Value: ValueRenew, Bounce: true, StateInit: si, Body: body(&RenewPlatform{QueryID: 1})})
	})
	for range 2 { // fill the reserve up
		good(m.t, f.sendTo(platform, f.anybody, ValueRenew, &RenewPlatform{}))
	}
	m.send(f, "platform-renew", platform, f.anybody, ValueRenew, 0, &RenewPlatform{QueryID: 1})
	profile := &SetProfile{QueryID: 1, Profile: Profile{PromptPrice: 1e8, CompletionPrice: 4e8, Endpoint: "https://node.example"}}
	m.send(f, "profile", f.node, f.operator, ValueSmall, 0, profile)
	m.send(f, "stake", f.node, f.operator, ValueSmall, 150*int64(coin), &Stake{QueryID: 1})

	m.send(f, "register-tdx", f.node, f.operator, ValueRegister, 0, f.registration(f.heads()))
	m.anchorPaths(f)
	f.Now += day
	m.send(f, "register-tdx-next", f.node, f.operator, ValueRegister, 0, f.registration(f.heads()))
	f.Now += day
	m.send(f, "register-tdx-again", f.node, f.operator, ValueRegister, 0, f.again(f.heads()))
	m.send(f, "recheck", f.node, f.anybody, ValueCheck, 0, &Recheck{QueryID: 1})
	m.send(f, "retire", f.node, f.operator, ValueCheck, 0, &Retire{QueryID: 1})
	m.send(f, "unbond", f.node, f.operator, ValueSmall, 0, &Unbond{QueryID: 1, Amount: 150 * coin})
	m.path(f.World, "withdraw", ValueSmall, amount(-150*coin), func() []tvmtest.Tx {
		f.Now += DefaultParams().Unbonding
		return f.send(f.operator, ValueSmall, &Withdraw{QueryID: 1})
	})
	m.send(f, "withdraw-surplus", f.node, f.operator, ValueSmall, -int64(coin)/2, &Withdraw{QueryID: 1, Surplus: coin / 2})
}

// largePath registers where the registry lists many nodes.
func (m *meter) largePath() {
	f := usual(m.t, largeNodes, 7)
	f.deployPlatform()
	f.setProfile()
	f.stake(150 * coin)
	m.send(f, "register-tdx-4000-nodes", f.node, f.operator, ValueRegister, 0, f.registration(f.heads()))

	// The dearest no: of a machine whose slots are all held. The node goes off the list.
	f = newFixture(m.t, typical, noStake, slots(MaxSlots), func(s *RootState) { listNodes(s, largeNodes) })
	f.deployPlatform()
	for i := range MaxSlots {
		f.nodeOf("node " + string(rune('a'+i)))
		f.register()
	}
	f.nodeOf("late")
	m.send(f, "register-tdx-no-slot", f.node, f.operator, ValueRegister, 0, f.registration(f.heads()))
	done(m.t, f.operator, CodeNoSlot)
}

// anchorPaths anchors logs of any size.
func (m *meter) anchorPaths(f *fixture) {
	anchor := func(name string, size uint64) {
		a := f.anchor(size)
		m.path(f.World, name, 0, amount(0), func() []tvmtest.Tx { return f.SendExternal(f.node, a.Body()) })
		f.Now += DefaultParams().AnchorInterval
	}
	good(m.t, f.SendExternal(f.node, f.anchor(1).Body()))
	f.Now += DefaultParams().AnchorInterval
	anchor("anchor", 1000)
	anchor("anchor-most", translog.MaxSize-1)
	if a, b := m.row("anchor"), m.row("anchor-most"); a.Fees != b.Fees {
		m.t.Errorf("an anchor of 1000 outputs costs %d, one of 2^48 costs %d", a.Fees, b.Fees)
	}
	m.send(f, "anchor-internal", f.node, f.anybody, ValueSmall, 0, internal(f.anchor(translog.MaxSize)))
}

// quorumPaths registers by mode B, and what Root and Platform refuse.
func (m *meter) quorumPaths() {
	f := m.newTypical()
	certified := func() *RegisterQuorum {
		r := f.certified(f.heads(), func(c *Certificate) { c.PlatformID, c.Kind = f.platformID(), KindTDXQuorum })
		r.Approvals = f.approve(r.Certificate.Digest(), 0, 1, 2, 3, 4, 5, 6)
		return r
	}
	m.send(f, "register-quorum", f.node, f.operator, ValueRegister, 0, certified())
	f.Now += day
	m.send(f, "register-quorum-again", f.node, f.operator, ValueRegister, 0, certified())
	f.govern(RemoveMeasurement{snpMeasurement})
	m.send(f, "recheck-over", f.node, f.anybody, ValueCheck, 0, &Recheck{QueryID: 1})
	f.govern(Pause{})
	m.send(f, "register-tdx-refused", f.node, f.operator, ValueRegister, 0, f.registration(f.heads()))
	done(m.t, f.operator, CodePaused)
}
