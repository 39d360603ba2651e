package contracts

import (
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

// inMasterchain is a party whose messages, and those to it, cost 25 times as much.
func (f *fixture) inMasterchain(name string) *tvmtest.Actor {
	a := attestation.Address{Workchain: -1}
	copy(a.Hash[:], name)
	return f.ActorAt(a, 10_000*coin)
}

// TestMasterchainParties: who is in the masterchain is served as all others are; no
// contract fails to send what it should because the way there is dear.
func TestMasterchainParties(t *testing.T) {
	f := newFixture(t, withPlatforms, slots(1), snpListed)
	first := f.deployPlatform()
	f.anybody = f.inMasterchain("anybody")
	min := f.start.Params.MinStake
	f.stake(3 * min)
	f.register()
	b, si, err := PlatformAddress(f.root, machineSNP)
	if err != nil {
		t.Fatal(err)
	}
	good(t, f.anybody.Send(tvmtest.Message{To: b, Value: ValueRenew, StateInit: si, Body: body(&RenewPlatform{})}))
	done(t, f.anybody, 0)
	// To another machine, whose Platform tells him.
	good(t, f.send(f.operator, ValueRegister, f.certified(f.heads(), func(c *Certificate) { c.PlatformID = machineSNP })))
	done(t, f.operator, 0)
	if n := len(f.platformState(first).Holders); n != 0 {
		t.Errorf("%d slots are held where the node left", n)
	}
	good(t, f.send(f.anybody, ValueCheck, &Recheck{}))
	done(t, f.anybody, 0)
	good(t, f.send(f.operator, ValueCheck, &Retire{}))
	done(t, f.operator, 0)
	good(t, f.send(f.anybody, ValueCheck, &Recheck{}))
	done(t, f.anybody, 0)
	if n, listed := len(f.platformState(b).Holders), len(f.rootState().Nodes); n != 0 || listed != 0 {
		t.Errorf("%d slots, %d entries are left", n, listed)
	}
	good(t, f.send(f.operator, ValueSmall, &Unbond{Amount: 3 * min}))
	good(t, f.send(f.anybody, ValueReport, f.twoReceipts(1, 9)))
	f.Now += f.start.Params.Unbonding
	good(t, f.send(f.operator, ValueSmall, &Withdraw{}))
	good(t, f.send(f.anybody, ValueSmall, &Withdraw{}))
	if s := f.nodeState(); s.Protected() != 0 {
		t.Errorf("still held: %+v", s)
	}
	f.govern(Pause{})
	good(t, f.sendTo(f.root, f.anybody, ValuePrune, &Prune{Count: MaxPrune}))
	done(t, f.anybody, 0)
}
