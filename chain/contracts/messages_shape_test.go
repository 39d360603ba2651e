package contracts

import (
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

// TestMessageShapes sends each message of people with a bit or a reference more
// or less than it has.
func TestMessageShapes(t *testing.T) {
	l := newLogged(t, 40)
	l.publish()
	l.Now += l.params.MergeDelay
	id := l.open()
	f := newFixture(t, noStake)
	f.setProfile()
	shapes := func(f *fixture, to attestation.Address, from *tvmtest.Actor, ms ...bodyMaker) {
		for _, m := range ms {
			for name, edit := range map[string]func(*tree){
				"a bit more":       func(c *tree) { c.bits = append(c.bits, 0) },
				"a bit less":       func(c *tree) { c.bits = c.bits[:len(c.bits)-1] },
				"a reference more": func(c *tree) { c.refs = append(c.refs, &tree{}) },
				"a reference less": func(c *tree) { c.refs = c.refs[:max(len(c.refs)-1, 0)] },
			} {
				b := treeOf(mustBody(t, m))
				refs := len(b.refs)
				if edit(b); len(b.refs) == refs && name == "a reference less" || len(b.refs) > 4 {
					continue
				}
				data := f.Data(to)
				txs := from.Send(tvmtest.Message{To: to, Value: tvmtest.Coin, Bounce: true, Body: b.cell()})
				// A reference that is read before the size is looked at is an underflow.
				if code := int(txs[0].ExitCode); code != CodeBadFormat && code != exitUnderflow || !txs[0].Aborted {
					t.Errorf("%T with %s: %s", m, name, ErrorName(code))
				}
				if !tvmtest.Equal(data, f.Data(to)) {
					t.Errorf("%T with %s changed the state", m, name)
				}
			}
		}
	}
	two := &ChallengeLog{Head: l.signedHead(1, 30, l.log.root(30)), Other: ptr(l.signedHead(1, 8, l.log.root(8)))}
	shapes(l.fixture, l.node, l.operator, &SetProfile{}, &Stake{}, &Unbond{Amount: 1}, &Withdraw{Surplus: 1}, &Retire{}, &Recheck{},
		l.twoHeads(1, 3), l.twoReceipts(1, 3), l.challengeLog(7, l.log.root(7)), two, &Answer{Challenge: id}, &Settle{Challenge: id},
		internal(l.anchor(50)), l.certified(l.heads()))
	l.receipt = l.newReceipt(41)
	l.receipt.Time -= l.params.MergeDelay
	shapes(l.fixture, l.node, l.operator, l.challenge())
	shapes(f, f.node, f.operator, f.registration(f.heads()), f.again(f.heads()))
	f.stakeVerifier(0, f.anybody, tvmtest.Coin, 0)
	verifier, _ := f.verifierAt(0)
	shapes(f, verifier, f.anybody, f.stakeBy(0, f.anybody), &LeaveVerifiers{}, &RefreshVerifier{}, &WithdrawVerifier{}, f.conflict(0))
	shapes(f, f.root, f.anybody, f.approved(f.decision(Pause{})), &Execute{Number: 1}, &Prune{Count: 1})
}
