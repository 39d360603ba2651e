package contracts

import (
	"crypto/sha256"
	"reflect"
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
)

func sha(b []byte) [32]byte { return sha256.Sum256(b) }

func someFloor() TDXFloor {
	f := TDXFloor{PCESVN: 11, QESVN: 4, QESigner: [32]byte{3}, TDAllowed: [8]byte{3: 0x10}, XFAMAllowed: [8]byte{0xff}}
	for i := range f.CPUSVN {
		f.CPUSVN[i], f.TEESVN[i], f.Modules[i] = byte(i), byte(2*i), byte(3*i)
	}
	return f
}

// everyAction has one of each kind, in the order of their tags.
func everyAction() []Action {
	p := DefaultParams()
	p.MergeDelay = 700
	q := Quorum{Threshold: 1, Keys: map[uint8][32]byte{0: {1}, 3: {2}}}
	return []Action{
		RemoveMeasurement{[32]byte{1}}, RemoveModel{[32]byte{2}}, RemoveFloor{[6]byte{3}}, RaiseFloor{[6]byte{4}, someFloor()},
		RemoveCAKey{[32]byte{5}}, RemoveVerifiers{}, Pause{}, RevokePlatform{[32]byte{8}}, CancelProposal{9},
		AddMeasurement{[32]byte{11}, 1}, AddModel{[32]byte{12}, Model{"Apache-2.0", "https://models.example/m"}}, SetFloor{[6]byte{13}, someFloor()},
		AddCAKey{CAKey{CAPlatform, PublicKey{[32]byte{14}, [32]byte{15}}}}, SetVerifiers{VerifierSet{16, q}},
		Resume{}, RestorePlatform{[32]byte{17}}, SetParams{p}, SetGovernance{q}, Sweep{attestation.Address{Workchain: -1, Hash: [32]byte{18}}, MinKept},
	}
}

func TestActionCodec(t *testing.T) {
	for _, a := range everyAction() {
		c, err := ActionCell(a)
		if err != nil {
			t.Fatalf("%T: %v", a, err)
		}
		got, err := ParseAction(c)
		if err != nil || !reflect.DeepEqual(got, a) {
			t.Errorf("%T: read %+v, %v, want %+v", a, got, err, a)
		}
		more := treeOf(c)
		more.bits = append(more.bits, 0)
		if _, err := ParseAction(more.cell()); err == nil {
			t.Errorf("%T: trailing data was read", a)
		}
	}
}

// TestActions applies each action and looks at what it did. Those that loosen
// wait; the test goes through the delay.
func TestActions(t *testing.T) {
	listed := CAKey{CAPlatform, PublicKey{[32]byte{14}, [32]byte{15}}}
	q := Quorum{Threshold: 1, Keys: map[uint8][32]byte{0: {1}, 3: {2}}}
	params := DefaultParams()
	params.MergeDelay = 700
	higher := someFloor()
	higher.PCESVN++
	start := func(s *RootState) {
		s.Measurements[[32]byte{1}] = Measurement{Flags: 1}
		s.Models[[32]byte{2}] = Model{"MIT", "https://models.example/2"}
		s.Floors[[6]byte{3}] = someFloor()
		s.AddCAKey(CAProcessor, PublicKey{[32]byte{5}, [32]byte{5}})
		s.Revoked[[32]byte{17}] = true
	}
	for _, c := range []struct {
		action Action
		before func(*RootState)
		done   func(s *RootState, now uint32) bool
	}{
		{RemoveMeasurement{[32]byte{1}}, nil, func(s *RootState, _ uint32) bool { return len(s.Measurements) == 1 }},
		{RemoveModel{[32]byte{2}}, nil, func(s *RootState, _ uint32) bool { return len(s.Models) == 0 }},
		{RemoveFloor{[6]byte{3}}, nil, func(s *RootState, _ uint32) bool { return len(s.Floors) == 1 }},
		{RaiseFloor{[6]byte{3}, higher}, nil, func(s *RootState, _ uint32) bool { return s.Floors[[6]byte{3}] == higher }},
		{RemoveCAKey{PublicKey{[32]byte{5}, [32]byte{5}}.Digest()}, nil, func(s *RootState, _ uint32) bool { return len(s.CAKeys) == 1 }},
		{RemoveVerifiers{}, nil, func(s *RootState, _ uint32) bool { return s.Verifiers == nil && s.Listed == nil && s.LastSet == 1 }},
		{Pause{}, nil, func(s *RootState, _ uint32) bool { return s.Paused }},
		{RevokePlatform{[32]byte{8}}, nil, func(s *RootState, _ uint32) bool { return s.Revoked[[32]byte{8}] && len(s.Revoked) == 2 }},
		{RevokePlatform{[32]byte{17}}, nil, func(s *RootState, _ uint32) bool { return len(s.Revoked) == 1 }}, // again
		{AddMeasurement{[32]byte{11}, 1}, nil, func(s *RootState, now uint32) bool { return s.Measurements[[32]byte{11}] == Measurement{1, now} }},
		{AddMeasurement{[32]byte{1}, 0}, nil, func(s *RootState, now uint32) bool { return s.Measurements[[32]byte{1}] == Measurement{0, now} }},
		{AddModel{[32]byte{12}, Model{"Apache-2.0", "https://models.example/m"}}, nil, func(s *RootState, _ uint32) bool {
			return s.Models[[32]byte{12}] == Model{"Apache-2.0", "https://models.example/m"}
		}},
		{SetFloor{[6]byte{13}, someFloor()}, nil, func(s *RootState, _ uint32) bool { return s.Floors[[6]byte{13}] == someFloor() }},
		{SetFloor{[6]byte{3}, TDXFloor{}}, nil, func(s *RootState, _ uint32) bool { return s.Floors[[6]byte{3}] == TDXFloor{} }},
		{AddCAKey{listed}, nil, func(s *RootState, _ uint32) bool { return s.CAKeys[listed.Key.Digest()] == listed }},
		{SetVerifiers{VerifierSet{16, q}}, nil, func(s *RootState, _ uint32) bool {
			nobody := Quorum{Threshold: q.Threshold, Keys: map[uint8][32]byte{}}
			return s.LastSet == 16 && reflect.DeepEqual(s.Listed, &VerifierSet{16, q}) && reflect.DeepEqual(s.Verifiers, &VerifierSet{16, nobody})
		}},
		{Resume{}, func(s *RootState) { s.Paused = true }, func(s *RootState, _ uint32) bool { return !s.Paused }},
		{RestorePlatform{[32]byte{17}}, nil, func(s *RootState, _ uint32) bool { return len(s.Revoked) == 0 }},
		{SetParams{params}, nil, func(s *RootState, _ uint32) bool { return s.Params == params }},
		{SetGovernance{q}, nil, func(s *RootState, _ uint32) bool { return reflect.DeepEqual(s.Governance, q) }},
	} {
		edits := []func(*RootState){start}
		if c.before != nil {
			edits = append(edits, c.before)
		}
		f := newFixture(t, edits...)
		before := f.rootState()
		f.govern(c.action)
		if !Tightens(c.action) {
			s := f.rootState()
			s.Proposals, s.NextProposal = before.Proposals, before.NextProposal
			if !reflect.DeepEqual(s, before) {
				t.Errorf("%T happened at once", c.action)
			}
			f.Now += f.start.Params.GovernanceDelay
			f.execute(1, 0)
		}
		if s := f.rootState(); !c.done(s, f.Now) {
			t.Errorf("%+v gave %+v", c.action, s)
		}
	}
}

// TestActionsNotFound removes and raises what is not there.
func TestActionsNotFound(t *testing.T) {
	f := newFixture(t, func(s *RootState) { s.Verifiers, s.Listed = nil, nil })
	for _, a := range []Action{
		RemoveMeasurement{[32]byte{1}}, RemoveModel{[32]byte{2}}, RemoveFloor{[6]byte{3}}, RaiseFloor{[6]byte{4}, someFloor()},
		RemoveCAKey{[32]byte{5}}, RemoveVerifiers{}, CancelProposal{9},
	} {
		t.Logf("%T", a)
		f.refusesAtRoot(CodeNotFound, ValueGovern, f.approved(f.decision(a)))
	}
	// Where the delay comes first the proposal can't be executed, and lapses.
	f.govern(RestorePlatform{[32]byte{17}})
	f.Now += f.start.Params.GovernanceDelay
	f.execute(1, CodeNotFound)
	f.Now += ExecuteWindow
	f.execute(1, 0)
}

// TestVerifierSetNumber checks that an old set can't come back.
func TestVerifierSetNumber(t *testing.T) {
	f := newFixture(t)
	for _, number := range []uint32{0, 1} {
		f.govern(SetVerifiers{VerifierSet{number, f.verifiers.Quorum}})
		f.Now += f.start.Params.GovernanceDelay
		f.execute(number+1, CodeBadAction)
	}
	f.govern(RemoveVerifiers{})
	f.execute(1, CodeBadAction)
	f.govern(SetVerifiers{VerifierSet{2, f.verifiers.Quorum}})
	f.Now += f.start.Params.GovernanceDelay
	f.execute(4, 0)
	if s := f.rootState(); s.LastSet != 2 || s.Listed == nil || s.Verifiers == nil {
		t.Errorf("after a newer set: %+v", s)
	}
}

// TestRaiseFloor tries every way to make a floor laxer at once.
func TestRaiseFloor(t *testing.T) {
	fmspc := [6]byte{3}
	base := someFloor()
	for i := range base.CPUSVN {
		base.CPUSVN[i], base.TEESVN[i], base.Modules[i] = 5, 5, 5
	}
	base.TDRequired, base.TDAllowed = [8]byte{3: 1}, [8]byte{3: 3}
	base.XFAMRequired, base.XFAMAllowed = [8]byte{1}, [8]byte{3}
	f := newFixture(t, func(s *RootState) { s.Floors[fmspc] = base })
	try := func(name string, lax, strict func(*TDXFloor)) {
		t.Run(name, func(t *testing.T) {
			lower := base
			lax(&lower)
			f.refusesAtRoot(CodeBadAction, ValueGovern, f.approved(f.decision(RaiseFloor{fmspc, lower})))
			if strict == nil {
				return
			}
			fresh := newFixture(t, func(s *RootState) { s.Floors[fmspc] = base })
			higher := base
			strict(&higher)
			fresh.govern(RaiseFloor{fmspc, higher})
			if got := fresh.rootState().Floors[fmspc]; got != higher {
				t.Errorf("floor is %+v, want %+v", got, higher)
			}
		})
	}
	for _, i := range []int{0, 1, 7, 14, 15} {
		try("CPUSVN", func(f *TDXFloor) { f.CPUSVN[i]-- }, func(f *TDXFloor) { f.CPUSVN[i]++ })
		try("TEE SVN", func(f *TDXFloor) { f.TEESVN[i]-- }, func(f *TDXFloor) { f.TEESVN[i] = 255 })
		try("modules", func(f *TDXFloor) { f.Modules[i]-- }, func(f *TDXFloor) { f.Modules[i] = NoModule })
	}
	try("PCESVN", func(f *TDXFloor) { f.PCESVN-- }, func(f *TDXFloor) { f.PCESVN++ })
	try("QE SVN", func(f *TDXFloor) { f.QESVN-- }, func(f *TDXFloor) { f.QESVN++ })
	try("QE signer", func(f *TDXFloor) { f.QESigner[0]++ }, nil)
	try("TD required", func(f *TDXFloor) { f.TDRequired[3] = 0 }, func(f *TDXFloor) { f.TDRequired[3] = 3 })
	try("TD allowed", func(f *TDXFloor) { f.TDAllowed[3] = 7 }, func(f *TDXFloor) { f.TDAllowed[3] = 1 })
	try("XFAM required", func(f *TDXFloor) { f.XFAMRequired[0] = 0 }, func(f *TDXFloor) { f.XFAMRequired[0] = 3 })
	try("XFAM allowed", func(f *TDXFloor) { f.XFAMAllowed[0] = 7 }, func(f *TDXFloor) { f.XFAMAllowed[0] = 1 })
}
