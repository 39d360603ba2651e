package contracts

import (
	"crypto/ed25519"
	"fmt"
	"testing"

	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

func TestVerifierStake(t *testing.T) {
	f := newStaking(t)
	min := f.start.Params.MinStake
	a, _ := f.verifierAt(1)
	f.stakeVerifier(1, f.operator, min-1, CodeStake)
	if n, is := f.counted(1); n != 0 || is {
		t.Error("Root counts a verifier with too little stake")
	}
	f.stakeVerifier(1, f.operator, 1, 0)
	if n, is := f.counted(1); n != 1 || !is {
		t.Errorf("Root counts %d verifiers, this one: %v", n, is)
	}
	s := f.verifierState(1)
	if s.Stake != min || *s.Operator != f.operator.Address || !s.Known || s.Slashed || s.Leaving != 0 || s.LeaveAt != 0 || s.Owed != 0 || len(s.Credits) != 0 {
		t.Errorf("after two stakes: %+v", s)
	}
	if s.Key != (VerifierKey{f.root, pub(f.verifier[1])}) {
		t.Errorf("the contract is of %+v", s.Key)
	}
	if b := f.Balance(a).Uint64(); b != min+VerifierReserve {
		t.Errorf("it holds %d, stake is %d", b, min)
	}
	if back := f.operator.Last().Value; back < ValueStakeVerifier-20_000_000 {
		t.Errorf("of what a stake may cost %d came back", back)
	}
}

func TestVerifierStakeRefused(t *testing.T) {
	f := newStaking(t)
	min := f.start.Params.MinStake
	a, si := f.verifierAt(0)
	good(t, f.anybody.Send(tvmtest.Message{To: a, Value: 10_000_000, StateInit: si}))
	f.refusesAtVerifier(0, CodeValueTooLow, f.operator, ValueStakeVerifier, f.stakeBy(0, f.operator))
	for name, m := range map[string]*StakeVerifier{
		"another wallet's":   f.stakeBy(0, f.anybody),
		"another verifier's": f.stakeBy(1, f.operator),
		"of another chain":   otherStake(t, f.verifier[0], -239, f.root, f.operator.Address),
		"of another Root":    otherStake(t, f.verifier[0], tvmtest.GlobalID, account(1), f.operator.Address),
	} {
		t.Run(name, func(t *testing.T) {
			f.refusesAtVerifier(0, CodeBadSignature, f.operator, min, m)
		})
	}
	// By another key for the right contract and wallet.
	d := VerifierOperatorDigest(tvmtest.GlobalID, a, f.operator.Address)
	f.refusesAtVerifier(0, CodeBadSignature, f.operator, min, &StakeVerifier{Signature: [64]byte(ed25519.Sign(f.verifier[1], d[:]))})
	// Whoever staked first stays the operator.
	f.stakeVerifier(0, f.operator, min, 0)
	f.refusesAtVerifier(0, CodeNotOperator, f.anybody, min, f.stakeBy(0, f.anybody))
}

func otherStake(t *testing.T, key ed25519.PrivateKey, chainID int32, root, operator attestation.Address) *StakeVerifier {
	t.Helper()
	m, err := NewStakeVerifier(key, chainID, root, operator, 1)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestVerifierNotListed: a stake makes nobody a verifier whom governance did not
// name, and where there is no set.
func TestVerifierNotListed(t *testing.T) {
	f := newStaking(t)
	min := f.start.Params.MinStake
	f.verifier = append(f.verifier, key("stranger"))
	f.stakeVerifier(4, f.anybody, min, CodeVerifierSet)
	if n, _ := f.counted(4); n != 0 {
		t.Errorf("Root counts %d verifiers", n)
	}
	f.govern(RemoveVerifiers{})
	f.stakeVerifier(0, f.anybody, min, CodeVerifierSet)
	if s := f.rootState(); s.Verifiers != nil || s.Listed != nil {
		t.Errorf("Root has sets %+v, %+v", s.Verifiers, s.Listed)
	}
}

// TestVerifierZeroStake: where no stake is demanded, none is not enough.
func TestVerifierZeroStake(t *testing.T) {
	f := newStaking(t, noStake)
	f.stakeVerifier(0, f.operator, 1, 0)
	good(t, f.toVerifier(0, f.operator, ValueVerifier, &LeaveVerifiers{QueryID: 5}))
	done(t, f.operator, CodeStake)
	if n, _ := f.counted(0); n != 0 {
		t.Errorf("Root counts %d verifiers", n)
	}
}

func TestVerifierLeave(t *testing.T) {
	f := newStaking(t)
	p := f.start.Params
	a, _ := f.verifierAt(2)
	f.stakeVerifier(2, f.operator, p.MinStake, 0)
	f.refusesAtVerifier(2, CodeNotOperator, f.anybody, ValueVerifier, &LeaveVerifiers{})
	f.refusesAtVerifier(2, CodeValueTooLow, f.operator, ValueVerifier-1, &LeaveVerifiers{})
	f.refusesAtVerifier(2, CodeNoCredit, f.operator, ValueWithdrawVerifier, &WithdrawVerifier{})
	good(t, f.toVerifier(2, f.operator, ValueVerifier, &LeaveVerifiers{QueryID: 5}))
	done(t, f.operator, CodeStake) // Root counts it no longer
	if n, _ := f.counted(2); n != 0 {
		t.Errorf("Root counts %d verifiers", n)
	}
	until := f.Now + p.RegistrationValidity + p.Unbonding
	if s := f.verifierState(2); s.Stake != p.MinStake || s.Leaving != f.Now || s.LeaveAt != until {
		t.Errorf("on its way out: %+v, want until %d", s, until)
	}
	f.refusesAtVerifier(2, CodeLeaving, f.operator, ValueVerifier, &LeaveVerifiers{})
	// Nobody puts it off, or has Root count it.
	f.Now += 5 * day
	good(t, f.toVerifier(2, f.anybody, ValueVerifier, &RefreshVerifier{QueryID: 6}))
	done(t, f.anybody, CodeStake)
	if s := f.verifierState(2); s.LeaveAt != until {
		t.Errorf("a refresh moves the end from %d to %d", until, s.LeaveAt)
	}
	if n, _ := f.counted(2); n != 0 {
		t.Errorf("Root counts %d verifiers", n)
	}
	f.Now = until - 1
	f.refusesAtVerifier(2, CodeTooEarly, f.operator, ValueWithdrawVerifier, &WithdrawVerifier{})
	f.Now = until
	f.refusesAtVerifier(2, CodeNoCredit, f.anybody, ValueWithdrawVerifier, &WithdrawVerifier{})
	f.refusesAtVerifier(2, CodeValueTooLow, f.operator, ValueWithdrawVerifier-1, &WithdrawVerifier{})
	good(t, f.toVerifier(2, f.operator, ValueWithdrawVerifier, &WithdrawVerifier{QueryID: 7}))
	if l := f.operator.Last(); l.Value < p.MinStake {
		t.Errorf("%d came back of a stake of %d", l.Value, p.MinStake)
	}
	if s := f.verifierState(2); s.Stake != 0 || s.Leaving != 0 || s.LeaveAt != 0 || s.Owed != 0 {
		t.Errorf("after the stake has left: %+v", s)
	}
	if b := f.Balance(a).Uint64(); b < VerifierReserve-10_000_000 {
		t.Errorf("the contract keeps %d", b)
	}
	f.refusesAtVerifier(2, CodeNoStake, f.operator, ValueVerifier, &LeaveVerifiers{})
	f.refusesAtVerifier(2, CodeNoCredit, f.operator, ValueWithdrawVerifier, &WithdrawVerifier{})
}

// TestVerifierStays: who stakes again on the way out is counted again, whole.
func TestVerifierStays(t *testing.T) {
	f := newStaking(t)
	min := f.start.Params.MinStake
	f.stakeVerifier(0, f.operator, min, 0)
	good(t, f.toVerifier(0, f.operator, ValueVerifier, &LeaveVerifiers{}))
	f.Now += day
	f.stakeVerifier(0, f.operator, 1, 0)
	if s := f.verifierState(0); s.Stake != min+1 || s.Leaving != 0 || s.LeaveAt != 0 {
		t.Errorf("after staking again: %+v", s)
	}
	if n, _ := f.counted(0); n != 1 {
		t.Errorf("Root counts %d verifiers", n)
	}
	f.Now += VerifierSilence
	f.refusesAtVerifier(0, CodeNoCredit, f.operator, ValueWithdrawVerifier, &WithdrawVerifier{})
}

// TestVerifierRefresh: anybody has Root judge again, after a new set and after
// new parameters.
func TestVerifierRefresh(t *testing.T) {
	f := newStaking(t)
	p := f.start.Params
	for i := range 3 {
		f.stakeVerifier(i, f.operator, p.MinStake, 0)
	}
	f.refusesAtVerifier(0, CodeValueTooLow, f.anybody, ValueVerifier-1, &RefreshVerifier{})
	q, err := NewQuorum(2, publics([]ed25519.PrivateKey{f.verifier[3], f.verifier[0], f.verifier[1]})...)
	if err != nil {
		t.Fatal(err)
	}
	f.govern(SetVerifiers{VerifierSet{2, q}})
	f.Now += p.GovernanceDelay
	f.execute(1, 0)
	for i, code := range []int{0, 0, CodeVerifierSet} {
		good(t, f.toVerifier(i, f.anybody, ValueVerifier, &RefreshVerifier{QueryID: 9}))
		done(t, f.anybody, code)
	}
	s := f.rootState()
	if k := s.Verifiers.Quorum.Keys; len(k) != 2 || k[1] != pub(f.verifier[0]) || k[2] != pub(f.verifier[1]) || s.Verifiers.Quorum.Threshold != 2 || s.Verifiers.Number != 2 {
		t.Errorf("Root counts %+v", s.Verifiers)
	}
	p.MinStake++
	f.govern(SetParams{p})
	f.Now += p.GovernanceDelay
	f.execute(2, 0)
	good(t, f.toVerifier(0, f.anybody, ValueVerifier, &RefreshVerifier{QueryID: 9}))
	done(t, f.anybody, CodeStake)
	if n, _ := f.counted(1); n != 1 {
		t.Errorf("Root counts %d verifiers", n)
	}
}

// TestVerifierQuorum registers by those who are counted, whoever they are.
func TestVerifierQuorum(t *testing.T) {
	f := newQuorumFixture(t, func(s *RootState) { s.List(*s.Listed) })
	for _, i := range []int{3, 0} {
		f.stakeVerifier(i, f.anybody, 1, 0)
	}
	f.verifiers = *f.rootState().Verifiers
	m := f.certified(f.heads())
	m.Approvals = f.approve(m.Certificate.Digest(), 0, 3)
	f.refuses(CodeTooFewApprovals, f.operator, ValueRegister, quorumBody(m, &m.Certificate))
	m.Approvals = f.approve(m.Certificate.Digest(), 0, 1, 3) // 1 is listed and has no stake
	f.refuses(CodeBadApprovals, f.operator, ValueRegister, quorumBody(m, &m.Certificate))
	f.stakeVerifier(2, f.anybody, 1, 0)
	m.Approvals = f.approve(m.Certificate.Digest(), 0, 2, 3)
	m.Verifiers = *f.rootState().Verifiers
	good(t, f.send(f.operator, ValueRegister, m))
	done(t, f.operator, 0)
}

// TestVerifierWrongSender has others speak for a verifier, and for Root.
func TestVerifierWrongSender(t *testing.T) {
	f := newStaking(t, func(s *RootState) { s.Verifier = CodeIDOf(puppet) })
	key := pub(f.verifier[0])
	m := &CountVerifier{Key: key, Stake: f.start.Params.MinStake, QueryID: 3, Requester: f.anybody.Address}
	f.refusesBody(f.root, CodeWrongSender, f.anybody, ValueVerifier, m.Body())
	for name, k := range map[string]VerifierKey{"another Root": {account(1), key}, "another key": {f.root, pub(f.verifier[1])}} {
		txs := f.pull(f.newPuppet(k.Cell()), f.root, ValueVerifier, m.Body())
		if last := txs[1]; last.To != f.root || int(last.ExitCode) != CodeWrongSender {
			t.Errorf("%s: %v", name, last)
		}
	}
	real := f.newPuppet(VerifierKey{f.root, key}.Cell())
	if txs := f.pull(real, f.root, 15_000_000, m.Body()); int(txs[1].ExitCode) != CodeValueTooLow {
		t.Errorf("with too little value: %v", txs[1])
	}
	if n, _ := f.counted(0); n != 0 {
		t.Errorf("Root counts %d verifiers", n)
	}
	// The answer comes back with all that is left.
	f.pull(real, f.root, ValueVerifier, m.Body())
	if n, is := f.counted(0); n != 1 || !is {
		t.Errorf("Root counts %d verifiers", n)
	}

	g := newStaking(t)
	g.stakeVerifier(0, g.operator, g.start.Params.MinStake, 0)
	answer := &VerifierCounted{Window: 1, QueryID: 3, Requester: g.anybody.Address}
	a, _ := g.verifierAt(0)
	g.refusesBody(a, CodeWrongSender, g.anybody, ValueVerifier, answer.Body())
	g.refusesBody(a, CodeUnknownMessage, g.anybody, ValueVerifier, plain(0xc0c005ff, 1).EndCell())
	good(t, g.anybody.Send(tvmtest.Message{To: a, Value: 1_000_000})) // a top up
}

// TestVerifierNotOfRoot stakes where Root does not know such contracts: the
// operator learns it, and gets all back without a delay.
func TestVerifierNotOfRoot(t *testing.T) {
	f := newStaking(t, func(s *RootState) { s.Verifier = CodeID{} })
	a, si := f.verifierAt(0)
	f.operator.Send(tvmtest.Message{To: a, Value: tvmtest.Coin + ValueStakeVerifier, Bounce: true, StateInit: si, Body: mustBody(t, f.stakeBy(0, f.operator))})
	done(t, f.operator, CodeNotOfRoot)
	if s := f.verifierState(0); s.Known || s.Stake != tvmtest.Coin {
		t.Errorf("state is %+v", s)
	}
	f.toVerifier(0, f.operator, ValueVerifier, &LeaveVerifiers{QueryID: 4})
	done(t, f.operator, CodeNotOfRoot)
	good(t, f.toVerifier(0, f.operator, ValueWithdrawVerifier, &WithdrawVerifier{}))
	if l := f.operator.Last(); l.Value < tvmtest.Coin {
		t.Errorf("%d came back", l.Value)
	}
}

// silent is a verifier whose Root is a puppet: it says what the test wants, and
// bounces every question.
type silent struct {
	*fixture
	at attestation.Address
}

func newSilent(t *testing.T) *silent {
	t.Helper()
	s := &silent{fixture: &fixture{World: tvmtest.New(t), t: t, verifier: []ed25519.PrivateKey{key("verifier a")}}}
	s.operator, s.anybody = s.Actor("operator", 1000*tvmtest.Coin), s.Actor("anybody", 1000*tvmtest.Coin)
	s.root = s.newPuppet(build().MustStoreUInt(1, 8).EndCell())
	var si *cell.Cell
	s.at, si = s.verifierAt(0)
	s.operator.Send(tvmtest.Message{To: s.at, Value: tvmtest.Coin + ValueStakeVerifier, Bounce: true, StateInit: si, Body: mustBody(t, s.stakeBy(0, s.operator))})
	done(t, s.operator, CodeNotOfRoot)
	return s
}

// say has Root answer.
func (s *silent) say(m VerifierCounted) {
	s.t.Helper()
	m.Requester = s.anybody.Address
	good(s.t, s.pull(s.root, s.at, ValueVerifier, m.Body()))
	done(s.t, s.anybody, int(m.Code))
}

// TestVerifierSilence: where Root answered once, and does no longer, stake leaves
// after a long time.
func TestVerifierSilence(t *testing.T) {
	s := newSilent(t)
	s.say(VerifierCounted{Window: 1})
	s.toVerifier(0, s.operator, ValueVerifier, &LeaveVerifiers{})
	done(t, s.operator, CodeNotOfRoot)
	if v := s.verifierState(0); v.LeaveAt != s.Now+VerifierSilence {
		t.Errorf("it leaves at %d, want %d", v.LeaveAt, s.Now+VerifierSilence)
	}
	s.Now += VerifierSilence - 1
	s.refusesAtVerifier(0, CodeTooEarly, s.operator, ValueWithdrawVerifier, &WithdrawVerifier{})
	s.Now++
	good(t, s.toVerifier(0, s.operator, ValueWithdrawVerifier, &WithdrawVerifier{}))
}

// TestVerifierAnswers: only the answer to this way out counts, from when it
// arrives, and never to put it off.
func TestVerifierAnswers(t *testing.T) {
	s := newSilent(t)
	s.say(VerifierCounted{Window: 1})
	s.toVerifier(0, s.operator, ValueVerifier, &LeaveVerifiers{})
	left, latest := s.Now, s.Now+VerifierSilence
	for _, c := range []struct {
		name string
		m    VerifierCounted
		want uint32
	}{
		{"to another question", VerifierCounted{Window: 1}, latest},
		{"to an earlier way out", VerifierCounted{Window: 1, Leaving: left - 1}, latest},
		{"longer than silence", VerifierCounted{Window: 1 << 40, Leaving: left}, latest},
		{"the answer", VerifierCounted{Window: 40 * day, Leaving: left}, s.Now + 1000 + 40*day},
		{"a longer one", VerifierCounted{Window: 50 * day, Leaving: left}, s.Now + 1000 + 40*day},
	} {
		if c.name == "the answer" {
			s.Now += 1000
		}
		if s.say(c.m); s.verifierState(0).LeaveAt != c.want {
			t.Errorf("%s: it leaves at %d, want %d", c.name, s.verifierState(0).LeaveAt, c.want)
		}
	}
}

// TestVerifierPayoutBounces: what can't be paid is owed again.
func TestVerifierPayoutBounces(t *testing.T) {
	f := newStaking(t)
	f.stakeVerifier(0, f.operator, f.start.Params.MinStake, 0)
	good(t, f.toVerifier(0, f.anybody, ValueVerifier, f.conflict(0)))
	credit := f.verifierState(0).Credits[f.anybody.Address]
	f.anybody.Refuse = true
	f.toVerifier(0, f.anybody, ValueWithdrawVerifier, &WithdrawVerifier{})
	s := f.verifierState(0)
	back := s.Credits[f.anybody.Address]
	if back < credit-bounceCost || back > credit || s.Owed != back {
		t.Errorf("of a credit of %d, %d are owed again: %+v", credit, back, s)
	}
	f.anybody.Refuse = false
	good(t, f.toVerifier(0, f.anybody, ValueWithdrawVerifier, &WithdrawVerifier{}))
	if s := f.verifierState(0); s.Owed != 0 || len(s.Credits) != 0 || f.anybody.Last().Value < back {
		t.Errorf("after the payout: %+v", s)
	}
}

// TestVerifierLargestSet: what a message must carry is enough for the last of as
// many verifiers as a set can have.
func TestVerifierLargestSet(t *testing.T) {
	f := newStaking(t, noStake)
	f.verifier = nil
	for i := range MaxQuorum {
		f.verifier = append(f.verifier, key(fmt.Sprint("many ", i)))
	}
	q, err := NewQuorum(MaxQuorum, publics(f.verifier)...)
	if err != nil {
		t.Fatal(err)
	}
	f.govern(SetVerifiers{VerifierSet{2, q}})
	f.Now += f.start.Params.GovernanceDelay
	f.execute(1, 0)
	f.countAll()
	const last = MaxQuorum - 1
	if n, is := f.counted(last); n != MaxQuorum || !is {
		t.Fatalf("Root counts %d verifiers", n)
	}
	for _, m := range []bodyMaker{&RefreshVerifier{}, &LeaveVerifiers{}, f.conflict(last)} {
		before := f.anybody.Balance.Uint64()
		good(t, f.toVerifier(last, f.anybody, ValueVerifier, m))
		if back := ValueVerifier - (before - f.anybody.Balance.Uint64()); back < ValueVerifier/2 {
			t.Errorf("%T: %d came back of %d", m, back, ValueVerifier)
		}
	}
	if n, _ := f.counted(last); n != MaxQuorum-1 {
		t.Errorf("Root counts %d verifiers", n)
	}
}
