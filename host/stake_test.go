package host

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/registry"
)

// free does what must be refused before anything is paid.
func (p *onePlatform) free(o *Operator, do func(context.Context) error, code int, says string) {
	p.Helper()
	before := p.balance(o)
	wantRefusal(p.T, do(p.Context()), code, true, says)
	if after := p.balance(o); after != before {
		p.Errorf("it cost %d", before-after)
	}
	if e, err := o.errands.load(); e != nil || err != nil {
		p.Errorf("begun: %+v, %v", e, err)
	}
}

func unstakes(o *Operator, amount uint64) func(context.Context) error {
	return func(ctx context.Context) error { return o.Unstake(ctx, amount) }
}

func withdraws(o *Operator, surplus uint64) func(context.Context) error {
	return func(ctx context.Context) error { return o.Withdraw(ctx, surplus) }
}

// TestLeavingForeseen goes the whole way out, and tries every step too early.
func TestLeavingForeseen(t *testing.T) {
	l := newLeaver(t, 5)
	o := l.op
	l.anchored(5)
	l.free(o, unstakes(o, leaverStake+1), contracts.CodeNoStake, "has a stake of 20 coins, not of 20.000000001 coins")
	l.free(o, unstakes(o, leaverStake-5e9+1), contracts.CodeLive, "takes a stake of 5 coins: it has 20 coins, and 15 coins can leave now; all of it after `cocoon-node unregister`")
	l.free(o, withdraws(o, 0), contracts.CodeNoCredit, "has nothing to pay out")
	l.free(o, withdraws(o, 1e9), contracts.CodeBalance, "can spare 0.3")
	l.did(o.Unstake(t.Context(), leaverStake-5e9), o)
	l.did(o.Withdraw(t.Context(), 3e8), o)
	at := clock(must(o.Record(t.Context())).State.Book.UnbondingAt)
	l.challengeLog(3)
	l.free(o, withdraws(o, 0), contracts.CodeNoCredit, "nothing to pay out; 15 coins are on their way out, to be withdrawn from "+at+", and not while a challenge is open: ")
	if done, err := o.Answer(t.Context(), l.source()); len(done) != 1 || err != nil {
		t.Fatal(done, err)
	}
	l.did(o.Withdraw(t.Context(), 0), o) // the rest of the bond
	l.free(o, withdraws(o, 0), contracts.CodeNoCredit, "to be withdrawn from "+at)
	l.pass(3*24*time.Hour + time.Minute)
	l.challengeLog(4)
	for id, c := range must(o.Record(t.Context())).State.Book.Challenges {
		l.free(o, withdraws(o, 0), contracts.CodeFrozen, fmt.Sprintf("while a challenge is open: %x, to be answered until %s", id, clock(c.Deadline)))
	}
	if done, err := o.Answer(t.Context(), l.source()); len(done) != 1 || err != nil {
		t.Fatal(done, err)
	}
	l.did(o.Withdraw(t.Context(), 0), o)

	l.did(o.Unregister(t.Context()), o)
	l.free(o, o.Unregister, contracts.CodeNotRegistered, "is not registered any more: its operator unregistered the node at ")
	l.did(o.Unstake(t.Context(), 5e9), o)
	at = clock(must(o.Record(t.Context())).State.Book.UnbondingAt)
	l.free(o, unstakes(o, 1), contracts.CodeNoStake, "; 5 coins are on their way out, to be withdrawn from "+at)
	l.pass(3*24*time.Hour + time.Minute)
	l.did(o.Withdraw(t.Context(), 0), o)
	if s := must(o.Record(t.Context())).State; s.Stake+s.Unbonding != 0 {
		t.Errorf("%d and %d are left", s.Stake, s.Unbonding)
	}
}

// TestNeverRegistered: what a node without a registration, or without a contract,
// can't end or pay out.
func TestNeverRegistered(t *testing.T) {
	p := newOnePlatform(t)
	o := p.operator(0)
	p.free(o, o.Unregister, contracts.CodeNotRegistered, "was never registered")
	none := must(OpenOperator(t.Context(), p.client, p.net.Operator, p.net.Registry, 7, t.TempDir()))
	p.free(none, none.Unregister, contracts.CodeNotRegistered, "has no contract")
	var elsewhere *attestation.ChainError
	for name, do := range map[string]func(context.Context) error{"unstake": unstakes(none, 1), "withdraw": withdraws(none, 1)} {
		if err := do(t.Context()); !errors.As(err, &elsewhere) || !strings.Contains(err.Error(), "are registry, wallet, --index and network those of the node?") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRegisterOver: a bundle registers once. While its epoch is live that is done,
// and then it is over.
func TestRegisterOver(t *testing.T) {
	p := newOnePlatform(t)
	o := p.operator(0)
	again := func(b *attestation.Bundle) func(context.Context) error {
		return func(ctx context.Context) error { return o.Register(ctx, always(b)) }
	}
	first := p.bundle(o)
	p.did(o.Register(t.Context(), always(first)), o)
	before := p.balance(o)
	if err := again(first)(t.Context()); err != nil || p.balance(o) != before {
		t.Errorf("while it is live: %v, cost %d", err, before-p.balance(o))
	}
	p.did(o.Unregister(t.Context()), o)
	p.free(o, again(first), contracts.CodeEpoch, "is over (its operator unregistered the node at ")
	second := p.bundle(o)
	p.did(o.Register(t.Context(), always(second)), o)
	p.pass(31 * 24 * time.Hour)
	e, _ := must(o.Record(t.Context())).Epoch(2)
	p.free(o, again(second), contracts.CodeEpoch, "epoch 2 of node "+o.Node.String()+" is over (it ended at "+e.Expires.Format(time.RFC3339)+"): boot the enclave again")
}

// between does something when what an operator begins is stored, and before it is
// paid for.
type between struct {
	errands
	act func()
}

func (b *between) save(e *errand) error {
	if act := b.act; act != nil {
		b.act = nil
		act()
	}
	return b.errands.save(e)
}

// TestLeavingRaces: what another process of the operator's changes between the look
// and the message, the contract refuses.
func TestLeavingRaces(t *testing.T) {
	l := newLeaver(t, 1)
	other := l.op
	o := must(OpenOperator(t.Context(), l.client, l.net.Operator, l.net.Registry, 0, t.TempDir()))
	races := &between{errands: o.errands}
	o.errands = races
	meanwhile := func(do func(context.Context) error) { races.act = func() { l.did(do(t.Context()), other) } }

	meanwhile(unstakes(other, 10e9))
	wantRefusal(t, o.Unstake(t.Context(), 15e9), contracts.CodeNoStake, false, "came back")
	meanwhile(other.Unregister)
	wantRefusal(t, o.Unregister(t.Context()), contracts.CodeNotRegistered, false, "came back")
	meanwhile(withdraws(other, 3e8))
	wantRefusal(t, o.Withdraw(t.Context(), 3e8), contracts.CodeBalance, false, "came back")
	l.did(other.Unstake(t.Context(), 10e9), other)
	l.pass(3*24*time.Hour + time.Minute)
	meanwhile(withdraws(other, 0))
	wantRefusal(t, o.Withdraw(t.Context(), 0), contracts.CodeNoCredit, false, "came back")
}

// TestLeavingCrash ends each step out when it is paid, and does it again: what was done
// is not foreseen to fail.
func TestLeavingCrash(t *testing.T) {
	l := newLeaver(t, 1)
	dir := t.TempDir()
	for _, step := range []func(*Operator) error{
		func(o *Operator) error { return o.Unregister(t.Context()) },
		func(o *Operator) error { return o.Unstake(t.Context(), leaverStake) },
		func(o *Operator) error { return o.Withdraw(t.Context(), 0) },
	} {
		o := life(t, l.op, l.net.Operator, dir, &crash{at: 3, after: true}) // begun, signed, landed
		if err := step(o); !errors.Is(err, errCrash) {
			t.Fatal(err)
		}
		o.Close()
		l.pass(3*24*time.Hour + time.Minute) // it arrives, and unbonding is over
		o = life(t, l.op, l.net.Operator, dir, &crash{})
		if err := step(o); err != nil || o.Repeated().IsZero() {
			t.Errorf("%v, repeated %v", err, o.Repeated())
		}
		if err := o.Told(); err != nil {
			t.Fatal(err)
		}
		o.Close()
	}
}

// broken gives no account.
type broken struct{ chain.Reader }

func (broken) Account(context.Context, attestation.Address) (*chain.Account, error) {
	return nil, errCrash
}

// TestStakeDeploys ends the first `stake` of a node at each durable step, and does it
// again: contract and stake are paid once.
func TestStakeDeploys(t *testing.T) {
	p := newOnePlatform(t)
	for at := 1; at <= 5; at++ { // begun, signed, landed, done, told
		for _, after := range []bool{false, true} {
			like := &Operator{Client: p.client, Registry: p.net.Registry, index: uint32(2 * at)}
			if after {
				like.index++
			}
			dir, notes := t.TempDir(), []string(nil)
			run := func(c *crash) (*Operator, error) {
				o := life(t, like, p.net.Operator, dir, c)
				defer o.Close()
				o.Note = func(s string) { notes = append(notes, s) }
				return o, errors.Join(o.Stake(t.Context(), 3e9), o.Told())
			}
			o, err := run(&crash{at: at, after: after})
			if !errors.Is(err, errCrash) {
				t.Fatalf("step %d: %v", at, err)
			}
			if at < 5 || !after { // else the user knows: the same is another
				if _, err := run(&crash{}); err != nil {
					t.Fatalf("step %d %v: %v", at, after, err)
				}
			}
			acc := must(p.client.Account(t.Context(), o.Node))
			rec := must(registry.NodeOf(acc))
			const most = 3e9 + balance
			if got := acc.Balance.Uint64(); rec.Stake != 3e9 || got > most || got < most-1e7 {
				t.Errorf("step %d %v: a stake of %d, and a balance of %d", at, after, rec.Stake, got)
			}
			if !strings.Contains(strings.Join(notes, "\n"), "has no contract yet: it is deployed with 0.5 coins") {
				t.Errorf("step %d %v: notes %q", at, after, notes)
			}
		}
	}
	// Another stake while the first is under way finds the contract that it deploys.
	like, dir := &Operator{Client: p.client, Registry: p.net.Registry, index: 1}, t.TempDir()
	o := life(t, like, p.net.Operator, dir, &crash{at: 2, after: true})
	if err := o.Stake(t.Context(), 3e9); !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	o.Close()
	o = life(t, like, p.net.Operator, dir, &crash{})
	p.did(o.Stake(t.Context(), 4e9), o)
	if acc := must(p.client.Account(t.Context(), o.Node)); acc.Balance.Uint64() > 7e9+balance {
		t.Errorf("it was deployed twice: a balance of %v", acc.Balance)
	}
	// Where the record can't be had nothing is known.
	o.reader = registry.Reader{Reader: broken{p.client}}
	before := p.balance(o)
	if err := o.Stake(t.Context(), 1e9); !errors.Is(err, errCrash) || p.balance(o) != before {
		t.Errorf("without a record: %v, cost %d", err, before-p.balance(o))
	}
	// The contract is there: the next one is stake alone.
	o = must(OpenOperator(t.Context(), p.client, p.net.Operator, p.net.Registry, 2, t.TempDir()))
	before = p.balance(o)
	p.did(o.Stake(t.Context(), 1e9), o)
	if cost := before - p.balance(o); cost > 1e9+contracts.ValueSmall {
		t.Errorf("it cost %d", cost)
	}
	if err := o.Deploy(t.Context(), contracts.Profile{Endpoint: "https://a.example"}); err != nil { // as `up` does
		t.Fatal(err)
	}
	if rec := must(o.Record(t.Context())); rec.Endpoint != "https://a.example" || rec.Stake != 4e9 {
		t.Errorf("%q, %d", rec.Endpoint, rec.Stake)
	}
}

// TestStakeChecks: the bounds of what is foreseen are the contract's.
func TestStakeChecks(t *testing.T) {
	const now = 1_800_000_000
	node := func(edit func(*contracts.NodeState)) *registry.Node {
		s := &contracts.NodeState{Status: contracts.StatusActive, Expires: now + 1, Stake: 20, Params: &contracts.Params{MinStake: 5}}
		edit(s)
		return &registry.Node{State: s, Current: 1, At: chain.Block{Time: time.Unix(now, 0)}}
	}
	pending := func(age uint32) func(*contracts.NodeState) {
		return func(s *contracts.NodeState) { s.Pending = &contracts.EpochRecord{RegisteredAt: now - age} }
	}
	var o Operator
	unstake := func(amount uint64) func(*registry.Node) error {
		return func(r *registry.Node) error { return checkUnstake(r, amount) }
	}
	withdraw := func(balance, surplus uint64) func(*registry.Node) error {
		return func(r *registry.Node) error { return checkWithdraw(r, nano(balance), surplus) }
	}
	unregister := func(r *registry.Node) error { return o.checkUnregister(t.Context(), r) }
	late := map[[32]byte]contracts.Challenge{{1}: {Deadline: now + 9}, {2}: {Deadline: now + 8}, {3}: {}, {4}: {}, {5}: {Deadline: 1}, {6}: {Deadline: 2}}
	open := map[[32]byte]contracts.Challenge{{1}: {Deadline: now}}
	same := func(*contracts.NodeState) {}
	for name, c := range map[string]struct {
		edit  func(*contracts.NodeState)
		check func(*registry.Node) error
		code  int
		says  string
	}{
		"down to the minimum":          {same, unstake(15), 0, ""},
		"below it":                     {same, unstake(16), contracts.CodeLive, ""},
		"below it before":              {func(s *contracts.NodeState) { s.Stake = 4 }, unstake(1), contracts.CodeLive, "nothing can leave now"},
		"its time is over":             {func(s *contracts.NodeState) { s.Expires = now }, unstake(20), 0, ""},
		"no parameters yet":            {func(s *contracts.NodeState) { s.Params = nil }, unstake(20), 0, ""},
		"more than there is":           {func(s *contracts.NodeState) { s.Status = contracts.StatusInactive }, unstake(21), contracts.CodeNoStake, ""},
		"pending":                      {pending(599), unstake(1), contracts.CodePending, "or after " + clock(now+1)},
		"pending for too long":         {pending(600), unstake(1), 0, ""},
		"unregister while pending":     {pending(599), unregister, contracts.CodePending, "waits for the registry's answer"},
		"unregister after it":          {pending(600), unregister, 0, ""},
		"nothing":                      {same, withdraw(1e9, 0), contracts.CodeNoCredit, ""},
		"credit":                       {func(s *contracts.NodeState) { s.Book.Credits = map[attestation.Address]uint64{{}: 1} }, withdraw(0, 0), 0, ""},
		"unbonding":                    {func(s *contracts.NodeState) { s.Unbonding, s.Book.UnbondingAt = 7, now+1 }, withdraw(1e9, 0), contracts.CodeNoCredit, clock(now + 1)},
		"unbonding is over":            {func(s *contracts.NodeState) { s.Unbonding, s.Book.UnbondingAt = 7, now }, withdraw(0, 0), 0, ""},
		"a challenge":                  {func(s *contracts.NodeState) { s.Unbonding, s.Book.Challenges = 7, open }, withdraw(1e9, 0), contracts.CodeFrozen, "00, to be answered until " + clock(now)},
		"challenges":                   {func(s *contracts.NodeState) { s.Unbonding, s.Book.Challenges = 7, late }, withdraw(1e9, 0), contracts.CodeFrozen, "00, not answered until " + clock(2) + ", and open until somebody settles it; and 2 more"},
		"a challenge, and a surplus":   {func(s *contracts.NodeState) { s.Unbonding, s.Book.Challenges = 7, open }, withdraw(1e9, 1), 0, ""},
		"all of the surplus":           {same, withdraw(contracts.NodeReserve+20+9, 9), 0, ""},
		"more":                         {same, withdraw(contracts.NodeReserve+20+9, 10), contracts.CodeBalance, "can spare 0 coins"},
		"more than is said":            {same, withdraw(contracts.NodeReserve+20+storageDue+3, 1e9), contracts.CodeBalance, "can spare 0.000000003 coins"},
		"less than the reserve":        {same, withdraw(7, 10), contracts.CodeBalance, "can spare 0 coins"},
		"a smaller reserve, when over": {func(s *contracts.NodeState) { s.Expires = now }, withdraw(contracts.NodeReserveRetired+20+9, 9), 0, ""},
		"more, when over":              {func(s *contracts.NodeState) { s.Expires = now }, withdraw(contracts.NodeReserveRetired+20+9, 10), contracts.CodeBalance, ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.check(node(c.edit))
			if c.code != 0 {
				wantRefusal(t, err, c.code, true, c.says)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}
