package contracts

import (
	"testing"

	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

type cellT = cell.Cell

func (f *fixture) unbond(nano uint64) {
	f.t.Helper()
	good(f.t, f.send(f.operator, ValueSmall, &Unbond{QueryID: 2, Amount: nano}))
	done(f.t, f.operator, 0)
}

func TestStake(t *testing.T) {
	l := newLone(t)
	l.refuses(CodeNotOperator, l.anybody, tvmtest.Coin, &Stake{})
	l.refuses(CodeValueTooLow, l.operator, ValueSmall, &Stake{})
	before := l.Balance(l.node).Uint64()
	good(t, l.send(l.operator, 5*tvmtest.Coin, &Stake{QueryID: 9}))
	done(t, l.operator, 0)
	if s := l.nodeState(); s.Stake != 5*tvmtest.Coin-ValueSmall {
		t.Errorf("stake is %d", s.Stake)
	}
	if got := l.Balance(l.node).Uint64() - before; got != 5*tvmtest.Coin-ValueSmall {
		t.Errorf("the balance grew by %d", got)
	}
	if v := l.operator.Last().Value; v == 0 || v >= ValueSmall {
		t.Errorf("%d came back", v)
	}
	l.stake(tvmtest.Coin)
	if s := l.nodeState(); s.Stake != 6*tvmtest.Coin-ValueSmall {
		t.Errorf("stake is %d after the second message", s.Stake)
	}
	// One nano is a stake.
	good(t, l.send(l.operator, ValueSmall+1, &Stake{}))
}

// TestUnbondBefore takes a stake back that never stood behind anything: at once.
func TestUnbondBefore(t *testing.T) {
	l := newLone(t)
	l.stake(5 * tvmtest.Coin)
	l.unbond(2 * tvmtest.Coin)
	good(t, l.send(l.operator, ValueSmall, &Withdraw{QueryID: 8}))
	if got := l.operator.Last().Value; got < 2*tvmtest.Coin || got > 2*tvmtest.Coin+ValueSmall {
		t.Errorf("paid %d", got)
	}
	p, err := ParsePayout(l.operator.Last().Body)
	if err != nil || p.QueryID != 8 {
		t.Errorf("payout %v, %v", p, err)
	}
	if s := l.nodeState(); s.Stake != 3*tvmtest.Coin || s.Unbonding != 0 {
		t.Errorf("after the withdrawal: %+v", s)
	}
}

func TestUnbond(t *testing.T) {
	l := newLone(t)
	min := l.params.MinStake
	l.stake(min + 50*tvmtest.Coin)
	l.refuses(CodeNotOperator, l.anybody, ValueSmall, &Unbond{Amount: 1})
	l.refuses(CodeValueTooLow, l.operator, ValueSmall-1, &Unbond{Amount: 1})
	l.refusesBody(l.node, CodeNoStake, l.operator, ValueSmall, plain(opUnbond, 0).MustStoreUInt(0, 64).EndCell())
	l.refuses(CodeNoStake, l.operator, ValueSmall, &Unbond{Amount: min + 50*tvmtest.Coin + 1})

	// A registration under way counts with all of the stake.
	good(t, l.send(l.operator, ValueRegister, l.certified(l.heads(), func(c *Certificate) { c.Expiry = l.Now + 30*day })))
	l.refuses(CodePending, l.operator, ValueSmall, &Unbond{Amount: 1})
	good(t, l.say(l.answer()))

	// What backs a live registration stays.
	l.refuses(CodeLive, l.operator, ValueSmall, &Unbond{Amount: 50*tvmtest.Coin + 1})
	l.unbond(20 * tvmtest.Coin)
	s := l.nodeState()
	if s.Stake != min+30*tvmtest.Coin || s.Unbonding != 20*tvmtest.Coin || s.Book.UnbondingAt != l.Now+l.params.Unbonding {
		t.Errorf("after unbonding: %+v", s)
	}
	l.refuses(CodeNoCredit, l.operator, ValueSmall, &Withdraw{})
	// A second part starts the time again, for both.
	l.Now += 3 * day
	l.unbond(30 * tvmtest.Coin)
	l.Now += l.params.Unbonding - 1
	l.refuses(CodeNoCredit, l.operator, ValueSmall, &Withdraw{})
	l.refuses(CodeNoCredit, l.anybody, ValueSmall, &Withdraw{})
	l.Now++
	good(t, l.send(l.operator, ValueSmall, &Withdraw{}))
	if got := l.operator.Last().Value; got < 50*tvmtest.Coin {
		t.Errorf("paid %d", got)
	}
	l.refuses(CodeNoCredit, l.operator, ValueSmall, &Withdraw{})

	// The registration expires: the rest may go its way.
	l.refuses(CodeLive, l.operator, ValueSmall, &Unbond{Amount: 1})
	l.Now = l.nodeState().Expires - 1
	l.refuses(CodeLive, l.operator, ValueSmall, &Unbond{Amount: 1})
	l.Now++
	l.unbond(min)
	l.Now += l.params.Unbonding
	good(t, l.send(l.operator, ValueSmall, &Withdraw{}))
	if got := l.operator.Last().Value; got < min {
		t.Errorf("paid %d", got)
	}
}

// TestUnbondDropsPending checks that a registration that nobody answered in time
// can't become active with a stake that left.
func TestUnbondDropsPending(t *testing.T) {
	l := newLone(t)
	l.stake(5 * tvmtest.Coin)
	good(t, l.send(l.operator, ValueRegister, l.certified(l.heads())))
	l.Now += pendingTimeout
	l.unbond(5 * tvmtest.Coin)
	refused(t, l.say(l.answer()), CodeNotPending)
	if s := l.nodeState(); s.Status != StatusNone || s.Pending == nil || s.Pending.LT != 0 || s.Book.UnbondingAt != l.Now+30*day {
		t.Errorf("after the late answer: %+v", s)
	}
}

func TestWithdraw(t *testing.T) {
	l := newLone(t)
	l.refuses(CodeNoCredit, l.operator, ValueSmall, &Withdraw{})
	l.refuses(CodeValueTooLow, l.operator, ValueSmall-1, &Withdraw{})
	l.refuses(CodeNotOperator, l.anybody, ValueSmall, &Withdraw{Surplus: 1})

	// Surplus: not below the reserve, which is larger while registered.
	l.registerLone()
	spare := l.Balance(l.node).Uint64() - NodeReserve
	l.refuses(CodeBalance, l.operator, ValueSmall, &Withdraw{Surplus: spare + 1})
	good(t, l.send(l.operator, ValueSmall, &Withdraw{Surplus: spare}))
	if got := l.Balance(l.node).Uint64(); got != NodeReserve {
		t.Errorf("%d are left", got)
	}
	l.Now = l.nodeState().Expires
	l.Now++ // storage is paid for the time since
	good(t, l.anybody.Send(tvmtest.Message{To: l.node, Value: tvmtest.Coin}))
	spare = l.Balance(l.node).Uint64() - NodeReserveRetired
	l.refuses(CodeBalance, l.operator, ValueSmall, &Withdraw{Surplus: spare + 1})
	good(t, l.send(l.operator, ValueSmall, &Withdraw{Surplus: spare}))
	if got := l.Balance(l.node).Uint64(); got != NodeReserveRetired {
		t.Errorf("%d are left", got)
	}
}

// TestPayoutBounces has a payee refuse: the credit is his again, less what the
// way back cost, and nobody else can take it.
func TestPayoutBounces(t *testing.T) {
	l := newLone(t)
	l.stake(200 * tvmtest.Coin)
	l.registerLone()
	l.reportReceipts(l.anybody, 1)
	s := l.nodeState()
	credit := s.Book.Credits[l.anybody.Address]
	if credit != l.params.ReceiptLoss/2 || s.Owed != credit {
		t.Fatalf("credit %d, owed %d", credit, s.Owed)
	}
	l.anybody.Refuse = true
	txs := good(t, l.send(l.anybody, ValueSmall, &Withdraw{}))
	if len(txs) != 2 || !txs[1].Bounced {
		t.Fatalf("no bounce: %v", txs)
	}
	s = l.nodeState()
	back := s.Book.Credits[l.anybody.Address]
	if back > credit+ValueSmall || back < credit-bounceCost || s.Owed != back {
		t.Errorf("credit %d became %d, owed %d", credit, back, s.Owed)
	}
	l.refuses(CodeNoCredit, l.operator, ValueSmall, &Withdraw{})
	l.anybody.Refuse = false
	good(t, l.send(l.anybody, ValueSmall, &Withdraw{}))
	if got := l.anybody.Last().Value; got < back {
		t.Errorf("paid %d of %d", got, back)
	}
	if s := l.nodeState(); s.Owed != 0 || len(s.Book.Credits) != 0 {
		t.Errorf("after the payout: %+v", s)
	}

	// The same for the operator's stake.
	l.unbond(l.nodeState().Stake)
	l.Now += l.params.Unbonding
	l.operator.Refuse = true
	stake := l.nodeState().Unbonding
	good(t, l.send(l.operator, ValueSmall, &Withdraw{}))
	s = l.nodeState()
	if s.Unbonding != 0 || s.Book.Credits[l.operator.Address] < stake-bounceCost || s.Owed != s.Book.Credits[l.operator.Address] {
		t.Errorf("stake %d became %+v", stake, s)
	}
	l.operator.Refuse = false
	good(t, l.send(l.operator, ValueSmall, &Withdraw{}))
	if got := l.operator.Last().Value; got < stake {
		t.Errorf("paid %d of %d", got, stake)
	}
}

// TestWithdrawWithoutCoins checks that a payout that the balance can't bear
// changes nothing: the coins that storage ate may be brought and it works.
func TestWithdrawWithoutCoins(t *testing.T) {
	l := newLone(t)
	l.stake(tvmtest.Coin)
	good(t, l.send(l.operator, ValueSmall, &Withdraw{Surplus: l.Balance(l.node).Uint64() - tvmtest.Coin - NodeReserveRetired}))
	l.unbond(tvmtest.Coin)
	l.Now += 10 * 365 * day
	before := l.Data(l.node)
	txs := l.send(l.operator, ValueSmall, &Withdraw{})
	if txs[0].Action == 0 || !l.operator.Last().Bounced {
		t.Fatalf("paid out of nothing: %v", txs)
	}
	if !tvmtest.Equal(before, l.Data(l.node)) {
		t.Error("the state changed")
	}
	good(t, l.anybody.Send(tvmtest.Message{To: l.node, Value: tvmtest.Coin}))
	good(t, l.send(l.operator, ValueSmall, &Withdraw{}))
	if got := l.operator.Last().Value; got < tvmtest.Coin {
		t.Errorf("paid %d", got)
	}
}

func TestSetProfile(t *testing.T) {
	l := newLone(t)
	m := &SetProfile{QueryID: 4, Profile: Profile{PromptPrice: 5, CompletionPrice: 6, Endpoint: "https://node.example/x"}}
	l.refuses(CodeNotOperator, l.anybody, ValueSmall, m)
	l.refuses(CodeValueTooLow, l.operator, ValueSmall-1, m)
	good(t, l.send(l.operator, ValueSmall, m))
	done(t, l.operator, 0)
	if got := l.nodeState().Profile; got != m.Profile {
		t.Errorf("profile is %+v", got)
	}
	body, _ := m.Body()
	b := treeOf(body)
	b.refs[0].refs[0].refs = []*tree{{}}
	l.refusesBody(l.node, CodeBadFormat, l.operator, ValueSmall, b.cell())
	b = treeOf(body)
	b.refs[0].bits = append(b.refs[0].bits, 0)
	l.refusesBody(l.node, exitUnderflow, l.operator, ValueSmall, b.cell())
	for _, endpoint := range []string{"https://node.example/\n", string(make([]byte, 128)), "https://nöde.example"} {
		if _, err := (&SetProfile{Profile: Profile{Endpoint: endpoint}}).Body(); err == nil {
			t.Errorf("endpoint %q: a body was made", endpoint)
		}
	}
}
