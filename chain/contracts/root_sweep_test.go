package contracts

import (
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

// TestRootSweep takes out what the registry does not need: after the delay, to
// whom governance named, and no more.
func TestRootSweep(t *testing.T) {
	f := newFixture(t, noStake)
	to := f.Actor("treasury", 0)
	sweep := Sweep{To: to.Address, Keep: 2 * tvmtest.Coin}
	f.govern(sweep)
	if to.Balance.Sign() != 0 {
		t.Error("coins moved at once")
	}
	f.Now += f.start.Params.GovernanceDelay
	f.execute(1, CodeBalance) // there is but one
	if _, waits := f.rootState().Proposals[1]; !waits {
		t.Error("a sweep that found nothing is gone")
	}
	good(t, f.anybody.Send(tvmtest.Message{To: f.root, Value: 7 * tvmtest.Coin}))
	had := f.Balance(f.root).Uint64()
	before := f.anybody.Balance.Uint64()
	f.execute(1, 0)
	if got := f.Balance(f.root).Uint64(); got != sweep.Keep {
		t.Errorf("the registry keeps %d of %d, want %d", got, had, sweep.Keep)
	}
	if got := to.Balance.Uint64(); got > had-sweep.Keep || got < had-sweep.Keep-1_000_000 {
		t.Errorf("%d arrived of %d", got, had-sweep.Keep)
	}
	if cost := before - f.anybody.Balance.Uint64(); cost > 20_000_000 {
		t.Errorf("the execution cost its sender %d", cost)
	}
	if l := to.Last(); l.From != f.root || l.Body.BitsSize() != 0 {
		t.Errorf("the treasury got %+v", l)
	}
	// The registry works on, and once is once.
	f.setProfile()
	f.register()
	f.execute(1, CodeProposalNumber)
}

// TestRootSweepBounds proposes sweeps that would fail, or starve the registry.
func TestRootSweepBounds(t *testing.T) {
	f := newFixture(t)
	body := func(to attestation.Address, keep uint64) *cellT {
		return storeAddr(build().MustStoreUInt(0x8a, 8), to).MustStoreUInt(keep, 64).EndCell()
	}
	master, base := attestation.Address{Workchain: -1, Hash: [32]byte{1}}, attestation.Address{Hash: [32]byte{1}}
	for _, a := range []Sweep{{base, MinKept - 1}, {base, 0}, {attestation.Address{Workchain: 1, Hash: base.Hash}, MinKept}, {attestation.Address{Workchain: -2, Hash: base.Hash}, MinKept}} {
		f.refusesAtRoot(CodeBadAction, ValueGovern, f.governRaw(body(a.To, a.Keep)))
		if _, err := ActionCell(a); err == nil {
			t.Errorf("%+v: an action was made", a)
		}
	}
	if _, err := ActionCell(Sweep{Keep: MinKept}); err == nil {
		t.Error("a sweep to nobody was made")
	}
	good(t, f.sendTo(f.root, f.anybody, ValueGovern, f.governRaw(body(master, MinKept))))
	good(t, f.sendTo(f.root, f.anybody, ValueGovern, f.governRaw(body(base, MinKept))))
}
