package contracts

import (
	"reflect"
	"strings"
	"testing"

	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

// roomy is a typical registry whose lists hold what everyAction takes off or changes.
func roomy(s *RootState) {
	typical(s)
	s.Params.MinStake, s.Params.ReceiptLoss, s.Params.ForkLoss = 0, 0, 0
	s.Measurements[[32]byte{1}] = Measurement{Flags: MeasurementAccepted}
	s.Models[[32]byte{2}] = Model{Licence: "MIT", URL: "https://models.example/2"}
	s.Floors[[6]byte{3}], s.Floors[[6]byte{4}] = someFloor(), someFloor()
	s.CAKeys[PublicKey{[32]byte{5}, [32]byte{5}}.Digest()] = CAKey{CAProcessor, PublicKey{[32]byte{5}, [32]byte{5}}}
	s.Revoked[[32]byte{17}] = true
}

// costly is everyAction, about what a roomy registry has.
func costly() []Action {
	all := everyAction()
	for i, a := range all {
		switch a.(type) {
		case RemoveCAKey:
			all[i] = RemoveCAKey{PublicKey{[32]byte{5}, [32]byte{5}}.Digest()}
		case CancelProposal:
			all[i] = CancelProposal{1}
		}
	}
	return all
}

// TestRootMessageCosts compares what each transaction of Root costs with its page.
func TestRootMessageCosts(t *testing.T) {
	got := map[string]tvmtest.Tx{}
	for _, a := range costly() {
		f := newFixture(t, roomy)
		f.verifiers = typicalVerifierSet()
		name := "`" + strings.Replace(snake(reflect.TypeOf(a).Name()), "cakey", "ca_key", 1) + "`"
		switch a.(type) {
		case CancelProposal:
			f.govern(Resume{})
		case Sweep:
			f.topUp(f.root, 5*coin)
		}
		number := f.rootState().NextProposal
		got["`Govern`: "+name] = f.sendTo(f.root, f.anybody, ValueGovern, f.approved(f.decision(a)))[0]
		if !Tightens(a) {
			f.Now += f.start.Params.GovernanceDelay
			got["`Execute`: "+name] = f.sendTo(f.root, f.anybody, ValueGovern, &Execute{Number: number})[0]
		}
	}
	f := newFixture(t, roomy)
	f.verifier, f.verifiers = typicalVerifierKeys(), typicalVerifierSet()
	p := f.deployPlatform()
	f.setProfile()
	renew := good(t, f.sendTo(p, f.anybody, ValueRenew, &RenewPlatform{}))
	first, again := f.register(), f.register()
	recheck := good(t, f.send(f.anybody, ValueCheck, &Recheck{}))
	f.govern(Pause{})
	paused := good(t, f.send(f.operator, ValueRegister, f.registration(f.heads())))
	retire := good(t, f.send(f.operator, ValueCheck, &Retire{}))
	count := good(t, f.stakeVerifier(0, f.anybody, coin, 0))
	got["`CheckRegistration`, the first"] = at(t, first, opCheckRegistration)
	got["`CheckRegistration`, a later one"] = at(t, again, opCheckRegistration)
	got["`CheckRegistration`, paused"] = at(t, paused, opCheckRegistration)
	got["`CheckCurrent`, recheck"] = at(t, recheck, opCheckCurrent)
	got["`CheckCurrent`, retire"] = at(t, retire, opCheckCurrent)
	got["`PlatformHello`"] = at(t, renew, opPlatformHello)
	got["`CountVerifier`"] = at(t, count, opCountVerifier)
	got["`Unlist`"] = at(t, refusedSlot(t), opUnlist)
	for name, tx := range got {
		if tx.ExitCode != 0 || tx.Action != 0 || tx.Aborted {
			t.Errorf("%s: %v", name, tx)
		}
	}
	checkCosts(t, "contracts-root.md", got)
}

// refusedSlot is a registration of a node that gets no slot of a full machine.
func refusedSlot(t *testing.T) []tvmtest.Tx {
	f := newFixture(t, roomy, slots(1))
	f.deployPlatform()
	f.register()
	f.nodeOf("second")
	txs := good(t, f.send(f.operator, ValueRegister, f.registration(f.heads())))
	done(t, f.operator, CodeNoSlot)
	return txs
}

// TestNodeMessageCosts does so for Node, where the path's cost does not say it.
func TestNodeMessageCosts(t *testing.T) {
	f := newFixture(t, roomy)
	f.verifier, f.verifiers = typicalVerifierKeys(), typicalVerifierSet()
	p := f.deployPlatform()
	f.setProfile()
	first, next := f.register(), f.register()
	again := good(t, f.send(f.operator, ValueRegister, f.again(f.heads())))
	m := f.certified(f.heads(), func(c *Certificate) { c.PlatformID, c.Kind = f.platformID(), KindTDXQuorum })
	m.Approvals = f.approve(m.Certificate.Digest(), 0, 1, 2, 3, 4, 5, 6)
	quorum := good(t, f.send(f.operator, ValueRegister, m))
	recheck := good(t, f.send(f.anybody, ValueCheck, &Recheck{}))
	f.govern(Pause{})
	no := good(t, f.send(f.operator, ValueRegister, f.registration(f.heads())))
	retire := good(t, f.send(f.operator, ValueCheck, &Retire{}))
	late := good(t, f.anybody.Send(tvmtest.Message{To: f.node, Value: ValueCheck, Body: (&RegistrationAnswer{LT: 1}).Body()}))
	_ = p
	checkCosts(t, "contracts-node.md", map[string]tvmtest.Tx{
		"`RegisterTdx`":                               at(t, first, opRegisterTDX),
		"`RegisterTdxAgain`":                          at(t, again, opRegisterTDXAgain),
		"`RegisterQuorum`, 7 of 10":                   at(t, quorum, opRegisterQuorum),
		"`RegistrationAnswer`, yes to the first":      at(t, first, opRegistrationAnswer),
		"`RegistrationAnswer`, yes to a later one":    at(t, next, opRegistrationAnswer),
		"`RegistrationAnswer`, no":                    at(t, no, opRegistrationAnswer),
		"`RegistrationAnswer`, no slot, and not live": at(t, refusedSlot(t), opRegistrationAnswer),
		"`RegistrationAnswer`, a late yes":            at(t, late, opRegistrationAnswer),
		"`Recheck`":                                   at(t, recheck, opRecheck),
		"`Retire`":                                    at(t, retire, opRetire),
		"`CurrentChecked`, recheck":                   at(t, recheck, opCurrentChecked),
		"`CurrentChecked`, retire":                    at(t, retire, opCurrentChecked),
	})
}
