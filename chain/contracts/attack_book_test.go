package contracts

import (
	"os"
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/receipt"
	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

const (
	gasPrice   = 400 // nano
	longestWay = 267 // bits of the address by which a credit is found
)

// beside is an address that shares its first n bits with another.
func beside(a attestation.Address, n int) attestation.Address {
	a.Hash[n/8] ^= 0x80 >> (n % 8)
	return a
}

// crowd has somebody make a node owe a bond's half to so many addresses next to
// each of the parties, so that the way to their own credits is as long as it can
// be. It returns receipts that the log holds and that nobody has asked for.
func (l *logged) crowd(credits, left int, parties ...*tvmtest.Actor) (rest []*receipt.Head) {
	l.t.Helper()
	for i := range uint64(credits*len(parties) + left) {
		h := l.newReceipt(i)
		l.log.add(h.LeafHash())
		rest = append(rest, h)
	}
	l.publish()
	l.Now += l.params.MergeDelay
	for i := range credits * len(parties) {
		l.receipt = rest[i]
		m := l.challenge()
		m.Payout = beside(parties[i%len(parties)].Address, i/len(parties))
		m.Sign(key("holder"))
		good(l.t, l.send(l.anybody, l.bond()+ValueChallenge, m))
		good(l.t, l.send(l.operator, ValueAnswer, l.answerTo(l.receipt)))
	}
	return rest[credits*len(parties):]
}

// answerTo proves that the log holds a receipt.
func (l *logged) answerTo(h *receipt.Head) *Answer {
	n := int(l.nodeState().Anchor.Size)
	return &Answer{Challenge: h.LeafHash(), Proof: l.log.inclusion(int(h.Index), n)}
}

// TestCrowdedBook: whatever book somebody makes of a node's, the values that tools
// send pay for every answer, report and withdrawal; a payout that comes back costs
// the node nothing; and the operator's own credit is found at once.
func TestCrowdedBook(t *testing.T) {
	credits := 40
	if os.Getenv("COCOON_LONG") != "" {
		credits = 256
	}
	l, plain := newLogged(t, 0), newLogged(t, 0)
	few, many := plain.crowd(0, 3), l.crowd(credits, 3, l.holder, l.operator)
	pays := func(what string, value uint64, f func(*logged, []*receipt.Head) tvmtest.Tx, more int64) {
		t.Helper()
		a, b := f(plain, few).Gas, f(l, many).Gas
		worst := b + more + (b-a)*int64(longestWay-credits)/int64(credits)
		t.Logf("%s: %d gas, %d in this book, %d at most", what, a, b, worst)
		if worst*gasPrice > int64(value) {
			t.Errorf("%s: %d gas cost %d, the message brings %d", what, worst, worst*gasPrice, value)
		}
	}
	first := func(txs []tvmtest.Tx) tvmtest.Tx { t.Helper(); return good(t, txs)[0] }
	ask := func(l *logged, h *receipt.Head) {
		t.Helper()
		l.receipt = h
		l.open()
	}

	pays("answer", ValueAnswer, func(l *logged, at []*receipt.Head) tvmtest.Tx {
		ask(l, at[0])
		return first(l.send(l.operator, ValueAnswer, l.answerTo(at[0])))
	}, 50_000) // of the longest proof
	pays("operator's withdrawal", ValueSmall, func(l *logged, _ []*receipt.Head) tvmtest.Tx {
		if l == plain {
			ask(l, few[1])
			good(t, l.send(l.operator, ValueAnswer, l.answerTo(few[1])))
		}
		return first(l.send(l.operator, ValueSmall, &Withdraw{}))
	}, 0)
	withdraw := (&Book{Credits: make(map[attestation.Address]uint64)})
	for i := range longestWay {
		withdraw.Credits[attestation.Address{Hash: [32]byte{byte(i), byte(i >> 8)}}] = 1
	}
	pays("withdrawal", withdraw.ValueWithdraw(), func(l *logged, _ []*receipt.Head) tvmtest.Tx {
		b := l.nodeState().Book
		return first(l.send(l.holder, b.ValueWithdraw(), &Withdraw{}))
	}, 0)
	pays("settlement", ValueReport, func(l *logged, at []*receipt.Head) tvmtest.Tx {
		ask(l, at[2])
		l.Now += l.params.AnswerWindow + 1
		return first(l.send(l.holder, ValueReport, &Settle{Challenge: at[2].LeafHash()}))
	}, 0)
	pays("report", ValueReport, func(l *logged, _ []*receipt.Head) tvmtest.Tx {
		return first(l.send(l.holder, ValueReport, l.twoReceipts(1, 1<<40)))
	}, 0)

	b := l.nodeState().Book
	l.holder.Refuse = true
	spare := l.Balance(l.node).Uint64() - l.nodeState().Protected()
	txs := l.send(l.holder, b.ValueWithdraw(), &Withdraw{})
	if len(txs) != 2 || !txs[1].Bounced || txs[1].ExitCode != 0 {
		t.Fatalf("a payout did not come back: %v", txs)
	}
	left := l.Balance(l.node).Uint64() - l.nodeState().Protected()
	t.Logf("a payout that came back: %d gas, and %d nano more for the node", txs[1].Gas, left-spare)
	if left < spare {
		t.Errorf("a payout that came back cost the node %d", spare-left)
	}
}
