package contracts

import (
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

// hop delivers the first message on the way from one account to another.
func (f *fixture) hop(from, to attestation.Address) tvmtest.Delivery {
	f.t.Helper()
	return f.Deliver(tvmtest.Route{From: from, To: to})
}

// newHeld is a node that was registered by a certificate on a machine with one
// slot; from now on messages wait.
func newHeld(t testing.TB, n uint8) (f *fixture, platform attestation.Address) {
	f = newFixture(t, noStake, withPlatforms, slots(n), snpListed)
	platform = f.deployPlatform()
	f.register()
	f.Hold()
	return f, platform
}

// TestCrossingRetire: Root's answer to a Retire arrives behind the confirmation
// of the next boot, which came by way of the Platform.
func TestCrossingRetire(t *testing.T) {
	f, platform := newHeld(t, 1)
	op := f.operator.Address
	f.send(f.operator, ValueCheck, &Retire{QueryID: 1})
	f.hop(op, f.node)
	f.hop(f.node, f.root)
	// The answer of Root waits.
	f.send(f.operator, ValueRegister, f.registration(f.heads()))
	f.hop(op, f.node)
	f.hop(f.node, f.root)
	f.hop(f.root, platform)
	f.hop(platform, f.node)
	if s := f.nodeState(); s.Status != StatusActive || s.Epoch != 2 {
		t.Fatalf("not registered again: %+v", s)
	}
	f.hop(f.root, f.node)
	f.hop(f.node, platform)
	if h := f.platformState(platform).Holders; h[f.node].LT != f.nodeState().Current.LT {
		t.Errorf("epoch 2 is registered, holders are %v", h)
	}
}

// TestCrossingRecheck: a recheck of the current epoch is under way behind a
// registration that takes longer than others wait for it.
func TestCrossingRecheck(t *testing.T) {
	f, platform := newHeld(t, 1)
	op, any := f.operator.Address, f.anybody.Address
	f.send(f.operator, ValueRegister, f.registration(f.heads()))
	f.hop(op, f.node)
	f.hop(f.node, f.root)
	f.Now += pendingTimeout
	f.sendTo(f.root, f.anybody, ValueGovern, f.approved(f.decision(RevokePlatform{f.platformID()})))
	f.hop(any, f.root)
	f.send(f.anybody, ValueCheck, &Recheck{})
	f.hop(any, f.node)
	f.hop(f.node, f.root)
	f.hop(f.root, f.node)
	f.hop(f.root, platform) // the claim, before the revocation
	f.hop(platform, f.node)
	if _, listed := f.rootState().Nodes[f.node]; !listed && f.nodeState().Status == StatusActive {
		t.Errorf("epoch %d is registered and not listed", f.nodeState().Epoch)
	}
}

// TestCrossingShorter: a slot was renewed for a registration that ends sooner and
// that its node did not wait for. The node lives on longer than its slot.
func TestCrossingShorter(t *testing.T) {
	f, platform := newHeld(t, 1)
	op := f.operator.Address
	before := f.platformState(platform).Holders[f.node]
	m := f.certified(f.heads(), func(c *Certificate) { c.PlatformID, c.Expiry = f.platformID(), f.Now+day })
	f.send(f.operator, ValueRegister, m)
	f.hop(op, f.node)
	f.hop(f.node, f.root)
	f.hop(f.root, platform)
	f.Now += pendingTimeout
	f.send(f.operator, 2*ValueSmall, &Stake{})
	f.hop(op, f.node)
	f.send(f.operator, ValueSmall, &Unbond{Amount: 1})
	f.hop(op, f.node)
	f.hop(platform, f.node)
	s := f.nodeState()
	if slot := f.platformState(platform).Holders[f.node]; s.Status != StatusActive || slot.Expires < s.Expires {
		t.Errorf("%v until %d, slot %+v, was %+v", s.Status, s.Expires, slot, before)
	}
}

// TestCrossingLost: a slot that was given for a registration that its node did
// not wait for comes back when anybody asks.
func TestCrossingLost(t *testing.T) {
	f, platform := newHeld(t, 1)
	op, any := f.operator.Address, f.anybody.Address
	f.send(f.operator, ValueRegister, f.registration(f.heads()))
	f.hop(op, f.node)
	f.hop(f.node, f.root)
	f.Now += pendingTimeout
	f.send(f.operator, ValueCheck, &Retire{})
	f.hop(op, f.node)
	f.hop(f.node, f.root)
	f.hop(f.root, platform)
	f.hop(platform, f.node) // refused: nothing waits
	f.hop(f.root, f.node)
	f.hop(f.node, platform)
	f.send(f.anybody, ValueCheck, &Recheck{})
	f.hop(any, f.node)
	f.hop(f.node, f.root)
	f.hop(f.root, f.node)
	f.hop(f.node, platform)
	if h := f.platformState(platform).Holders; len(h) != 0 {
		t.Errorf("%v, holders are %v", f.nodeState().Status, h)
	}
}

// TestCrossingFewer: a slot whose time is over is not renewed where fewer are
// allowed now.
func TestCrossingFewer(t *testing.T) {
	f := newFixture(t, noStake, withPlatforms, slots(2), snpListed)
	platform := f.deployPlatform()
	f.register()
	first, operator := f.node, f.operator
	f.nodeOf("second")
	f.register()
	p := f.start.Params
	p.PlatformSlots = 1
	number := f.rootState().NextProposal
	f.govern(SetParams{p})
	f.Now += p.GovernanceDelay
	f.execute(number, 0)
	good(t, f.sendTo(platform, f.anybody, ValueRenew, &RenewPlatform{}))
	f.register()
	f.Now += p.RegistrationValidity - p.GovernanceDelay
	f.node, f.operator = first, operator
	good(t, f.send(f.operator, ValueRegister, f.registration(f.heads())))
	done(t, f.operator, CodeNoSlot)
	live := 0
	for _, h := range f.platformState(platform).Holders {
		if h.Expires > f.Now {
			live++
		}
	}
	if live > 1 {
		t.Errorf("a machine with one slot passes for %d nodes", live)
	}
}

// TestCrossingSameClaims: the answer to a registration that was replaced does not
// confirm another one over the same claims, of which Root was not asked.
func TestCrossingSameClaims(t *testing.T) {
	f := newFixture(t, noStake, withPlatforms, snpListed)
	platform := f.deployPlatform()
	f.Hold()
	op := f.operator.Address
	h := f.heads()
	f.send(f.operator, ValueRegister, f.certified(h, func(c *Certificate) { c.PlatformID = f.platformID() }))
	f.hop(op, f.node)
	f.hop(f.node, f.root)
	f.hop(f.root, platform)
	f.Now += pendingTimeout
	f.send(f.operator, ValueRegister, f.certified(h, func(c *Certificate) { c.PlatformID, c.Measurement = f.platformID(), of32(7) }))
	f.hop(op, f.node)
	f.hop(platform, f.node)
	if s := f.nodeState(); s.Status == StatusActive {
		t.Errorf("registered with %+v", s.Current.Check)
	}
}
