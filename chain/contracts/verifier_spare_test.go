package contracts

import (
	"testing"

	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

// TestVerifierSpare: what nothing needs leaves to the operator, and only that; it is
// no way out for the stake, the reserve or a reporter's credit.
func TestVerifierSpare(t *testing.T) {
	f := newStaking(t)
	a, _ := f.verifierAt(0)
	min := f.start.Params.MinStake
	gift := func(nano uint64) {
		t.Helper()
		good(t, f.anybody.Send(tvmtest.Message{To: a, Value: nano}))
	}
	withdraw := func(who *tvmtest.Actor) (paid uint64) {
		t.Helper()
		good(t, f.toVerifier(0, who, ValueWithdrawVerifier, &WithdrawVerifier{}))
		return who.Last().Value
	}
	// paid says what leaves; the wallet also gets the rest of its message back.
	paid := func(got, want uint64) {
		t.Helper()
		if got < want || got > want+ValueWithdrawVerifier {
			t.Errorf("%d left, want %d", got, want)
		}
		s := f.verifierState(0)
		if b, need := f.Balance(a).Uint64(), s.Stake+s.Owed+VerifierReserve; b < need-1_000_000 || b > need+1_000_000 {
			t.Errorf("the contract keeps %d, and needs %d", b, need)
		}
	}
	f.stakeVerifier(0, f.operator, min, 0)
	gift(ValueWithdrawVerifier / 2) // less than asking for it may cost
	f.refusesAtVerifier(0, CodeNoCredit, f.operator, ValueWithdrawVerifier, &WithdrawVerifier{})
	gift(3 * coin)
	f.refusesAtVerifier(0, CodeNoCredit, f.anybody, ValueWithdrawVerifier, &WithdrawVerifier{})
	paid(withdraw(f.operator), 3*coin+ValueWithdrawVerifier/2)
	if s := f.verifierState(0); s.Stake != min {
		t.Errorf("the stake is %d, was %d", s.Stake, min)
	}

	// On the way out, and when the stake leaves.
	good(t, f.toVerifier(0, f.operator, ValueVerifier, &LeaveVerifiers{}))
	f.refusesAtVerifier(0, CodeTooEarly, f.operator, ValueWithdrawVerifier, &WithdrawVerifier{})
	gift(coin)
	paid(withdraw(f.operator), coin)
	if s := f.verifierState(0); s.Stake != min || s.Leaving == 0 {
		t.Errorf("a gift has moved the stake: %+v", s)
	}

	// Who is slashed gets what was given, and leaves what is owed to the reporter.
	good(t, f.toVerifier(0, f.anybody, ValueVerifier, f.conflict(0)))
	gift(2 * coin)
	paid(withdraw(f.operator), 2*coin)
	if got := withdraw(f.anybody); got < min/2 {
		t.Errorf("the reporter got %d of a stake of %d", got, min)
	}
	f.refusesAtVerifier(0, CodeNoCredit, f.operator, ValueWithdrawVerifier, &WithdrawVerifier{})
	if s := f.verifierState(0); !s.Slashed {
		t.Error("the contract forgot that it is slashed")
	}
}
