package contracts

import (
	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

// verifierPaths is the life of a verifier of the typical set, and the end of one
// that signed what it may not.
func (m *meter) verifierPaths() {
	f := newFixture(m.t, typical, func(s *RootState) { s.List(*s.Listed) })
	f.verifier, f.verifiers = typicalVerifierKeys(), typicalVerifierSet()
	const last = typicalVerifiers - 1 // the dearest to find
	for i := range last {
		f.stakeVerifier(i, f.anybody, f.start.Params.MinStake, 0)
	}
	at, si := f.verifierAt(last)
	stake := f.start.Params.MinStake
	m.path(f.World, "verifier-stake", ValueStakeVerifier, amount(int64(stake)), func() []tvmtest.Tx {
		return f.operator.Send(tvmtest.Message{To: at, Value: stake + ValueStakeVerifier, Bounce: true, StateInit: si, Body: mustBody(m.t, f.stakeBy(last, f.operator))})
	})
	m.send(f, "verifier-stake-more", at, f.operator, ValueStakeVerifier, int64(coin), f.stakeBy(last, f.operator))
	m.send(f, "verifier-refresh", at, f.anybody, ValueVerifier, 0, &RefreshVerifier{QueryID: 1})
	m.send(f, "verifier-leave", at, f.operator, ValueVerifier, 0, &LeaveVerifiers{QueryID: 1})
	m.path(f.World, "verifier-withdraw", ValueWithdrawVerifier, amount(-int64(stake+coin)), func() []tvmtest.Tx {
		p := f.start.Params
		f.Now += p.Unbonding + p.RegistrationValidity
		return f.toVerifier(last, f.operator, ValueWithdrawVerifier, &WithdrawVerifier{QueryID: 1})
	})
	bad, _ := f.verifierAt(0)
	half := int64(stake / 2)
	m.send(f, "report-certificates", bad, f.anybody, ValueVerifier, 0, f.conflict(0))
	m.send(f, "verifier-withdraw-credit", bad, f.anybody, ValueWithdrawVerifier, -half, &WithdrawVerifier{QueryID: 1})
}
