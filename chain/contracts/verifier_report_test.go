package contracts

import (
	"testing"

	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

// promises are changes of a certificate that make a second one a fault.
var promises = map[string]func(*Certificate){
	"platform":         func(c *Certificate) { c.PlatformID[31] ^= 1 },
	"measurement":      func(c *Certificate) { c.Measurement[0] ^= 0x80 },
	"claims":           func(c *Certificate) { c.ClaimsDigest[5] ^= 1 },
	"kind":             func(c *Certificate) { c.Kind = KindTDXQuorum },
	"a block":          func(c *Certificate) { c.BlockSeqno++ },
	"an earlier block": func(c *Certificate) { c.BlockSeqno -= KnownBlocks - 1 },
	"a later block and other claims": func(c *Certificate) {
		c.BlockSeqno += KnownBlocks - 1
		c.ClaimsDigest = of32(9)
	},
	"claims, in another set, until later": func(c *Certificate) {
		c.ClaimsDigest = of32(9)
		c.Set, c.Expiry = 7, c.Expiry+day
	},
}

// honest are changes that make two certificates which one may sign.
var honest = map[string]func(*Certificate){
	"the same":          func(*Certificate) {},
	"a longer expiry":   func(c *Certificate) { c.Expiry += day },
	"a shorter expiry":  func(c *Certificate) { c.Expiry -= day },
	"in another set":    func(c *Certificate) { c.Set++ },
	"in set and expiry": func(c *Certificate) { c.Set, c.Expiry = 0, 0 },
	"a new boot, once the old claims are of no use": func(c *Certificate) {
		c.BlockSeqno += KnownBlocks
		c.ClaimsDigest, c.PlatformID, c.Measurement, c.Kind = of32(9), of32(9), of32(9), KindTDXQuorum
	},
}

func TestReportCertificates(t *testing.T) {
	n := 0
	for name, edit := range promises {
		t.Run(name, func(t *testing.T) {
			f := newStaking(t)
			f.stakeVerifier(0, f.operator, f.start.Params.MinStake, 0)
			a, b := f.signedBy(0, f.statement()), f.signedBy(0, f.statement(edit))
			if n++; n%2 == 0 {
				a, b = b, a
			}
			m := &ReportCertificates{QueryID: 3, A: a, B: b}
			if err := m.Check(tvmtest.GlobalID, publics(f.verifier)[0]); err != nil {
				t.Error(err)
			}
			good(t, f.toVerifier(0, f.anybody, ValueVerifier, m))
			if s := f.verifierState(0); !s.Slashed {
				t.Error("nothing happened")
			}
		})
	}
	f := newStaking(t)
	f.stakeVerifier(0, f.operator, f.start.Params.MinStake, 0)
	for name, edit := range honest {
		t.Run(name, func(t *testing.T) {
			m := &ReportCertificates{QueryID: 3, A: f.signedBy(0, f.statement()), B: f.signedBy(0, f.statement(edit))}
			f.refusesAtVerifier(0, CodeNotAFault, f.anybody, ValueVerifier, m)
			m.A, m.B = m.B, m.A
			f.refusesAtVerifier(0, CodeNotAFault, f.anybody, ValueVerifier, m)
			if m.Check(tvmtest.GlobalID, publics(f.verifier)[0]) == nil {
				t.Error("the binding takes it for a fault")
			}
		})
	}
}

// TestReportSignatures: both signatures are this key's, over what the message says.
func TestReportSignatures(t *testing.T) {
	f := newStaking(t)
	f.stakeVerifier(0, f.operator, f.start.Params.MinStake, 0)
	refused := func(name string, edit func(*ReportCertificates)) {
		t.Run(name, func(t *testing.T) {
			m := f.conflict(0)
			edit(m)
			f.refusesAtVerifier(0, CodeBadSignature, f.anybody, ValueVerifier, m)
			if m.Check(tvmtest.GlobalID, publics(f.verifier)[0]) == nil {
				t.Error("the binding takes it")
			}
		})
	}
	refused("another verifier's first", func(m *ReportCertificates) { m.A = f.signedBy(1, m.A.Certificate) })
	refused("another verifier's second", func(m *ReportCertificates) { m.B = f.signedBy(1, m.B.Certificate) })
	refused("a flipped bit in the first", func(m *ReportCertificates) { m.A.Signature[40] ^= 1 })
	refused("a flipped bit in the second", func(m *ReportCertificates) { m.B.Signature[3] ^= 1 })
	for name, edit := range map[string]func(*Certificate){
		"another chain":     func(c *Certificate) { c.ChainID-- },
		"another node":      func(c *Certificate) { c.Node.Hash[0] ^= 1 },
		"another workchain": func(c *Certificate) { c.Node.Workchain = -1 },
		"another epoch":     func(c *Certificate) { c.Epoch++ },
		"another expiry":    func(c *Certificate) { c.Expiry++ },
		"another set":       func(c *Certificate) { c.Set++ },
	} {
		// The signature is over something else than the message says.
		refused("the first signs "+name, func(m *ReportCertificates) {
			c := m.A.Certificate
			edit(&c)
			m.A.Signature = f.signedBy(0, c).Signature
		})
		refused("the second signs "+name, func(m *ReportCertificates) {
			c := m.B.Certificate
			edit(&c)
			m.B.Signature = f.signedBy(0, c).Signature
		})
	}
	// Both on another chain: a fault there, not here.
	m := f.conflict(0)
	for _, s := range []*SignedCertificate{&m.A, &m.B} {
		s.Certificate.ChainID = -239
		*s = f.signedBy(0, s.Certificate)
	}
	f.refusesAtVerifier(0, CodeBadSignature, f.anybody, ValueVerifier, m)
	if m.Check(tvmtest.GlobalID, publics(f.verifier)[0]) == nil || m.Check(-239, publics(f.verifier)[0]) != nil {
		t.Error("the binding takes a report on the wrong chain")
	}
	// About two nodes there is no message.
	m.B.Certificate.Epoch++
	if _, err := m.Body(); err == nil {
		t.Error("a body was made of certificates about two epochs")
	}
}

// TestReportLoss: all is lost, whether it is on its way out or not; half is burned.
func TestReportLoss(t *testing.T) {
	for _, leaving := range []bool{false, true} {
		const stake = 5*tvmtest.Coin + 1
		w := newStaking(t, noStake)
		for i := range 4 {
			w.stakeVerifier(i, w.operator, stake, 0)
		}
		if leaving {
			good(t, w.toVerifier(1, w.operator, ValueVerifier, &LeaveVerifiers{}))
		}
		before, burned := w.verifierState(1), w.Balance(burnAddress).Uint64()
		a, _ := w.verifierAt(1)
		w.refusesAtVerifier(1, CodeValueTooLow, w.anybody, ValueVerifier-1, w.conflict(1))
		m := w.conflict(1)
		good(t, w.toVerifier(1, w.anybody, ValueVerifier, m))
		done(t, w.anybody, CodeStake) // Root counts it no longer
		s := w.verifierState(1)
		if !s.Slashed || s.Stake != 0 || s.Leaving != 0 || s.Owed != before.Stake/2 || s.Credits[w.anybody.Address] != before.Stake/2 {
			t.Errorf("after the report: %+v", s)
		}
		if got := w.Balance(burnAddress).Uint64() - burned; got < before.Stake/2+1-1_000_000 {
			t.Errorf("%d were burned of %d", got, before.Stake)
		}
		if n, is := w.counted(1); n != 3 || is {
			t.Errorf("Root counts %d verifiers, this one: %v", n, is)
		}
		// For ever: neither a second report nor a new stake.
		w.refusesAtVerifier(1, CodeSettled, w.anybody, ValueVerifier, m)
		w.refusesAtVerifier(1, CodeSettled, w.operator, tvmtest.Coin, w.stakeBy(1, w.operator))
		good(t, w.toVerifier(1, w.anybody, ValueVerifier, &RefreshVerifier{}))
		done(t, w.anybody, CodeStake)
		w.refusesAtVerifier(1, CodeNoCredit, w.operator, ValueWithdrawVerifier, &WithdrawVerifier{})
		good(t, w.toVerifier(1, w.anybody, ValueWithdrawVerifier, &WithdrawVerifier{}))
		if l := w.anybody.Last(); l.Value < before.Stake/2 {
			t.Errorf("the reporter got %d", l.Value)
		}
		if b := w.Balance(a).Uint64(); b < VerifierReserve-10_000_000 {
			t.Errorf("the contract keeps %d", b)
		}
	}
}

// TestReportDropsKey: the set without the slashed key is the one that certifies,
// at once; what the others signed before still holds.
func TestReportDropsKey(t *testing.T) {
	f := newQuorumFixture(t, func(s *RootState) { s.List(*s.Listed) })
	f.countAll()
	m := f.certified(f.heads())
	good(t, f.toVerifier(3, f.anybody, ValueVerifier, f.conflict(3)))
	good(t, f.send(f.operator, ValueRegister, m))
	done(t, f.operator, CodeVerifierSet) // by the set with all four
	m.QueryID++
	m.Verifiers = *f.rootState().Verifiers
	good(t, f.send(f.operator, ValueRegister, m))
	done(t, f.operator, 0)
	// Governance can't bring the key back either.
	next := *f.rootState().Listed
	next.Number++
	f.govern(SetVerifiers{next})
	f.Now += f.start.Params.GovernanceDelay
	f.execute(1, 0)
	good(t, f.toVerifier(3, f.anybody, ValueVerifier, &RefreshVerifier{}))
	if n, _ := f.counted(3); n != 0 {
		t.Errorf("Root counts %d verifiers", n)
	}
}

// TestReportNoStake: a key that has nothing to lose is out for ever all the same.
func TestReportNoStake(t *testing.T) {
	f := newStaking(t)
	a, si := f.verifierAt(0)
	good(t, f.anybody.Send(tvmtest.Message{To: a, Value: ValueVerifier, Bounce: true, StateInit: si, Body: mustBody(t, f.conflict(0))}))
	if s := f.verifierState(0); !s.Slashed || s.Owed != 0 || len(s.Credits) != 0 {
		t.Errorf("after the report: %+v", s)
	}
	f.refusesAtVerifier(0, CodeSettled, f.operator, tvmtest.Coin, f.stakeBy(0, f.operator))
}

// TestReportAfterStorage: a fault is punished when storage has eaten into the
// stake, and the contract owes no more than it says.
func TestReportAfterStorage(t *testing.T) {
	f := newStaking(t, noStake)
	const stake = 100_000_000
	f.stakeVerifier(0, f.operator, stake, 0)
	a, _ := f.verifierAt(0)
	f.Now += 11 * 365 * day
	f.toVerifier(0, f.anybody, ValueVerifier, &RefreshVerifier{})
	left := f.Balance(a).Uint64()
	if left >= stake/2 {
		t.Fatalf("storage left %d", left)
	}
	good(t, f.toVerifier(0, f.anybody, ValueVerifier, f.conflict(0)))
	if s := f.verifierState(0); !s.Slashed {
		t.Error("nothing happened")
	}
	if n, _ := f.counted(0); n != 0 {
		t.Errorf("Root counts %d verifiers", n)
	}
	if burned := f.Balance(burnAddress).Uint64(); burned < left-1_000_000 {
		t.Errorf("%d were burned of the %d that were left", burned, left)
	}
}
