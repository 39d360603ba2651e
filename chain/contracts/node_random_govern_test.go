package contracts

import (
	"slices"

	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

// open deploys the machines' platforms, and stakes for the verifiers.
func (w *town) open(machines ...[32]byte) {
	w.jury = w.Actor("jury", 10*initialCoins)
	for i := range w.verifier {
		w.stakeVerifier(i, w.jury, w.start.Params.MinStake, 0)
	}
	w.deployPlatforms(machines...)
}

func (w *town) deployPlatforms(machines ...[32]byte) {
	for _, id := range machines {
		a, si, err := PlatformAddress(w.root, id)
		if err != nil {
			w.t.Fatal(err)
		}
		b, _ := (&RenewPlatform{QueryID: 1}).Body()
		good(w.t, w.anybody.Send(tvmtest.Message{To: a, Value: ValueRenew, Bounce: true, StateInit: si, Body: b}))
		done(w.t, w.anybody, 0)
	}
}

func (f *fixture) platformOf(machine [32]byte) *PlatformState {
	f.t.Helper()
	a, _, err := PlatformAddress(f.root, machine)
	if err != nil {
		f.t.Fatal(err)
	}
	return f.platformState(a)
}

// allowed is what registry and platform must say to a registration now: 0 or an
// error code. It is written anew from the page of the registry.
func (r *resident) allowed() int {
	r.t.Helper()
	root, s := r.rootState(), r.nodeState()
	switch {
	case root.Paused:
		return CodePaused
	case s.Stake < root.Params.MinStake:
		return CodeStake
	}
	if code := r.listed(root, true); code != 0 {
		return code
	}
	if r.platformOf(r.machine).SlotFor(r.node, r.Now) != nil {
		return CodeNoSlot
	}
	return 0
}

// listed is what the lists say of the resident's evidence.
func (r *resident) listed(root *RootState, isNew bool) int {
	if root.Revoked[r.machine] {
		return CodeRevoked
	}
	if !r.tdx {
		switch {
		case root.Verifiers == nil, isNew && root.Verifiers.Number != r.verifiers.Number:
			return CodeVerifierSet
		}
		return 0
	}
	floor, ok := root.Floors[r.says.FMSPC]
	if !ok {
		return CodeFloor
	}
	return floor.judge(r.says.TCB)
}

// decide does what governance may: it tightens, loosens, changes its mind, and
// carries out what has waited long enough.
func (w *town) decide() {
	w.t.Helper()
	root := w.rootState()
	info := w.tdx.says
	floor, hasFloor := root.Floors[info.FMSPC]
	machine := [][32]byte{w.good.machine, w.tdx.machine}[w.rng.IntN(2)]
	var a Action
	switch w.rng.IntN(11) {
	case 0:
		if floor.CPUSVN[3] < 250 {
			floor.CPUSVN[3]++
		}
		if hasFloor {
			a = RaiseFloor{info.FMSPC, floor}
		}
	case 1:
		floor.QESVN++
		if hasFloor {
			a = RaiseFloor{info.FMSPC, floor}
		}
	case 2:
		if hasFloor {
			a = RemoveFloor{info.FMSPC}
		}
	case 3, 4:
		a = SetFloor{info.FMSPC, FloorOf(info.TCB)}
	case 5:
		if !root.Revoked[machine] {
			a = RevokePlatform{machine}
		}
	case 6:
		if root.Revoked[machine] && !w.waits(RestorePlatform{machine}) {
			a = RestorePlatform{machine}
		}
	case 7:
		a = Pause{}
	case 8:
		a = Resume{}
	case 9:
		v := VerifierSet{Number: root.NextProposal + 10, Quorum: w.verifiers.Quorum}
		v.Quorum.Threshold = 2 + uint8(w.rng.IntN(2))
		a = SetVerifiers{v}
	case 10:
		if root.Verifiers != nil && w.rng.IntN(3) == 0 {
			a = RemoveVerifiers{}
		}
	}
	if a == nil {
		w.mature()
		return
	}
	m := w.approved(w.decision(a))
	if w.rng.IntN(5) == 0 { // by one governor alone
		for k := range m.Approvals {
			delete(m.Approvals, k)
			break
		}
		w.refusesAtRoot(CodeTooFewApprovals, ValueGovern, m)
		return
	}
	w.deliver(w.anybody, w.root, ValueGovern, m)
	done(w.t, w.anybody, 0)
	if Tightens(a) {
		w.follow()
		w.recheck()
	} else if w.rng.IntN(2) == 0 {
		w.wait(int(w.start.Params.GovernanceDelay)/day + 1)
		w.mature()
	}
}

// waits reports whether a proposal for an action waits.
func (w *town) waits(a Action) bool {
	w.t.Helper()
	c, err := ActionCell(a)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, p := range w.rootState().Proposals {
		if tvmtest.Equal(p.Action, c) {
			return true
		}
	}
	return false
}

// mature carries out the proposals whose delay is over, and tries those that wait.
func (w *town) mature() {
	w.t.Helper()
	root := w.rootState()
	var numbers []uint32
	for n := range root.Proposals {
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	for _, n := range numbers {
		if w.Now < root.Proposals[n].ExecuteAfter {
			w.execute(n, CodeTooEarly)
			continue
		}
		w.execute(n, 0)
	}
	w.follow()
}

// follow has the verifiers tell a new set of their stakes.
func (w *town) follow() {
	w.t.Helper()
	root := w.rootState()
	if root.Verifiers == nil || root.Verifiers.Number == w.verifiers.Number {
		return
	}
	for i := range w.verifier {
		w.stakeVerifier(i, w.jury, 1, 0)
	}
	set := *w.rootState().Verifiers
	if len(set.Quorum.Keys) != len(w.verifier) {
		w.t.Errorf("%d verifiers count, all %d have a stake", len(set.Quorum.Keys), len(w.verifier))
	}
	w.verifiers = set // the nodes learn of it when the old one is refused
}

// recheck has anybody ask whether a registration still holds. It ends if the lists
// say so, and costs no stake.
func (w *town) recheck() {
	w.t.Helper()
	r := w.all()[w.rng.IntN(3)]
	before := r.nodeState()
	if before.Status != StatusActive || w.Now >= before.Expires {
		return
	}
	want := r.listed(w.rootState(), false)
	if before.Stake < w.start.Params.MinStake {
		want = CodeStake
	}
	w.deliver(w.anybody, r.node, ValueCheck, &Recheck{QueryID: 3})
	done(w.t, w.anybody, want)
	after := r.nodeState()
	if (after.Status == StatusActive) != (want == 0) {
		w.t.Errorf("after a recheck the node is %v; the lists say %s", after.Status, ErrorName(want))
	}
	if after.Stake != before.Stake || after.Unbonding != before.Unbonding || after.Epoch != before.Epoch {
		w.t.Errorf("a recheck changed %+v into %+v", before, after)
	}
}

// checkSlots demands that machines pass for no more nodes than they may, and that
// whoever is registered holds a slot.
func (w *town) checkSlots() {
	w.t.Helper()
	for _, r := range append(w.all(), w.third) {
		p := w.platformOf(r.machine)
		live := 0
		for _, slot := range p.Holders {
			if slot.Expires > w.Now {
				live++
			}
		}
		if live > int(p.Slots) {
			w.t.Errorf("a machine passes for %d nodes, at most %d", live, p.Slots)
		}
		if s := r.nodeState(); s.Status == StatusActive && w.Now < s.Expires && p.Holders[r.node].LT != s.Current.LT {
			w.t.Errorf("epoch %d is registered, its slot is %+v", s.Epoch, p.Holders[r.node])
		}
		if p.Revoked != w.rootState().Revoked[r.machine] {
			w.t.Errorf("the platform is revoked: %v, the registry says %v", p.Revoked, !p.Revoked)
		}
	}
}
