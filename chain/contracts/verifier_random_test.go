package contracts

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

// TestVerifierRandom lets two honest verifiers, two dishonest ones and an attacker
// send messages in random order, while governance changes sets and parameters.
// After each, no coin is lost (the world checks that), every contract holds what
// it owes, and Root counts exactly those who have a stake, as they last told it.
// At the end the honest have lost no more than fees, and who signed two
// certificates in conflict while he was counted lost all of his stake.
func TestVerifierRandom(t *testing.T) {
	seeds := uint64(16)
	if os.Getenv("COCOON_LONG") != "" {
		seeds = 500
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			newBench(t, seed).run()
		})
	}
}

type juror struct {
	honest   bool
	operator *tvmtest.Actor
	messages uint64
	signed   []SignedCertificate
}

type bench struct {
	*fixture
	rng      *rand.Rand
	jurors   []*juror
	attacker *tvmtest.Actor
	block    uint32
	sent     []*cell.Cell
}

func newBench(t *testing.T, seed uint64) *bench {
	b := &bench{fixture: newStaking(t), rng: rand.New(rand.NewPCG(seed, 11)), block: 1_000_000}
	b.attacker = b.Actor("attacker", initialCoins)
	for i := range 4 {
		j := &juror{honest: i < 2, operator: b.Actor(fmt.Sprint("juror ", i), initialCoins)}
		b.jurors = append(b.jurors, j)
		a, si := b.verifierAt(i)
		good(t, j.operator.Send(tvmtest.Message{To: a, Value: coin, StateInit: si}))
	}
	return b
}

func (b *bench) run() {
	for range 60 {
		b.Now += uint32(b.rng.IntN(12 * 3600))
		b.block += uint32(b.rng.IntN(1000))
		i := b.rng.IntN(4)
		switch b.rng.IntN(9) {
		case 0, 1:
			b.join(i)
		case 2:
			b.leave(i)
		case 3, 4, 5:
			b.sign(i)
		case 6:
			b.attack(i)
		case 7:
			b.report(i)
		case 8:
			if b.rng.IntN(4) == 0 {
				b.decide()
			}
		}
		b.check()
	}
	b.end()
}

// tell sends a message of a verifier's operator. It may be refused.
func (b *bench) tell(i int, value uint64, m bodyMaker) {
	b.jurors[i].messages++
	b.sent = append(b.sent, mustBody(b.t, m))
	b.toVerifier(i, b.jurors[i].operator, value, m)
}

func (b *bench) join(i int) {
	stake := b.start.Params.MinStake
	if b.rng.IntN(4) == 0 {
		stake = 1 + b.rng.Uint64N(stake)
	}
	b.tell(i, stake+ValueStakeVerifier, b.stakeBy(i, b.jurors[i].operator))
}

func (b *bench) leave(i int) {
	if b.rng.IntN(2) == 0 {
		b.tell(i, ValueVerifier, &LeaveVerifiers{})
		return
	}
	if s := b.verifierState(i); s.Leaving != 0 && b.rng.IntN(3) == 0 {
		b.Now = max(b.Now, s.LeaveAt)
	}
	b.tell(i, ValueWithdrawVerifier, &WithdrawVerifier{})
}

// sign makes a certificate about one epoch. An honest verifier says the same as
// before, until the block of what it said is of no use any more.
func (b *bench) sign(i int) {
	j := b.jurors[i]
	c := b.statement(func(c *Certificate) {
		c.BlockSeqno, c.Expiry, c.Set = b.block, b.Now+day, uint32(b.rng.IntN(3))
		c.ClaimsDigest = sha([]byte{byte(b.block), byte(b.block >> 8), byte(b.block >> 16)})
	})
	if n := len(j.signed); n > 0 && j.honest {
		if last := j.signed[n-1].Certificate; b.block-last.BlockSeqno < KnownBlocks {
			last.Expiry, last.Set = c.Expiry, c.Set
			c = last
		}
	}
	j.signed = append(j.signed, b.signedBy(i, c))
}

// attack replays, reports what is no fault, and takes what is another's.
func (b *bench) attack(i int) {
	a, _ := b.verifierAt(i)
	var body *cell.Cell
	switch b.rng.IntN(4) {
	case 0:
		if len(b.sent) == 0 {
			return
		}
		body = b.sent[b.rng.IntN(len(b.sent))]
	case 1:
		body = mustBody(b.t, &RefreshVerifier{})
	case 2:
		body = mustBody(b.t, &WithdrawVerifier{})
	case 3: // a forged second certificate
		m := b.conflict(i)
		m.B = b.signedBy((i+1)%4, m.B.Certificate)
		body = mustBody(b.t, m)
	}
	b.attacker.Send(tvmtest.Message{To: a, Value: ValueVerifier + b.rng.Uint64N(coin), Bounce: true, Body: body})
}

// report has the attacker bring two certificates of a verifier, whatever they say.
func (b *bench) report(i int) {
	j := b.jurors[i]
	if len(j.signed) < 2 {
		return
	}
	m := &ReportCertificates{A: j.signed[b.rng.IntN(len(j.signed))], B: j.signed[b.rng.IntN(len(j.signed))]}
	before := b.verifierState(i)
	b.toVerifier(i, b.attacker, ValueVerifier, m)
	after := b.verifierState(i)
	fault := m.A.Certificate.ConflictsWith(&m.B.Certificate)
	if fault && j.honest {
		b.t.Fatal("the test's honest verifier is not")
	}
	if after.Slashed != (before.Slashed || fault) || fault && after.Stake != 0 {
		b.t.Errorf("a report of %v left %+v", fault, after)
	}
}

// decide lists the same verifiers anew: their contracts tell Root again.
func (b *bench) decide() {
	next := *b.rootState().Listed
	next.Number++
	number := b.rootState().NextProposal
	b.govern(SetVerifiers{next})
	b.Now += b.start.Params.GovernanceDelay
	b.execute(number, 0)
	if n, _ := b.counted(0); n != 0 {
		b.t.Errorf("a new set begins with %d verifiers", n)
	}
	for i := range b.jurors {
		b.toVerifier(i, b.anybody, ValueVerifier, &RefreshVerifier{})
	}
}

func (b *bench) check() {
	b.t.Helper()
	for i := range b.jurors {
		s := b.verifierState(i)
		a, _ := b.verifierAt(i)
		var owed uint64
		for _, c := range s.Credits {
			owed += c
		}
		if owed != s.Owed || b.Balance(a).Uint64() < s.Stake+s.Owed {
			b.t.Errorf("verifier %d holds %d: %+v", i, b.Balance(a), s)
		}
		counts := s.Leaving == 0 && s.Stake >= b.start.Params.MinStake
		if _, is := b.counted(i); is != counts {
			b.t.Errorf("Root counts verifier %d: %v, state %+v", i, is, s)
		}
	}
}

// end has every fault reported and everybody leave with what is his.
func (b *bench) end() {
	for i, j := range b.jurors {
		for _, x := range j.signed {
			for _, y := range j.signed {
				if x.Certificate.ConflictsWith(&y.Certificate) && !b.verifierState(i).Slashed {
					good(b.t, b.toVerifier(i, b.attacker, ValueVerifier, &ReportCertificates{A: x, B: y}))
				}
			}
		}
		b.tell(i, ValueVerifier, &LeaveVerifiers{})
	}
	b.Now += VerifierSilence
	for i, j := range b.jurors {
		b.tell(i, ValueWithdrawVerifier, &WithdrawVerifier{})
		b.toVerifier(i, b.attacker, ValueWithdrawVerifier, &WithdrawVerifier{})
		s := b.verifierState(i)
		if s.Stake != 0 || s.Owed != 0 {
			b.t.Errorf("verifier %d still holds %+v", i, s)
		}
		lost := initialCoins - j.operator.Balance.Uint64()
		if fees := coin + 60_000_000*j.messages; j.honest && lost > fees {
			b.t.Errorf("an honest verifier lost %d with %d messages", lost, j.messages)
		}
		if j.honest && s.Slashed {
			b.t.Errorf("honest verifier %d is slashed", i)
		}
	}
}
