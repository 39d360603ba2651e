package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/xssnick/tonutils-go/tl"
	"github.com/xssnick/tonutils-go/tlb"
	"github.com/xssnick/tonutils-go/ton"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/devnet"
	"github.com/cocoon-go/cocoon/chain/registry"
)

// ends checks how the newest registration ended.
func (p *onePlatform) ends(o *Operator, how contracts.NodeEvent, code int, back bool, says string) {
	p.Helper()
	rec := must(o.Record(p.Context()))
	end, err := o.ending(p.Context(), rec)
	if err != nil || end.how != how || end.code != code || end.back != back || !strings.Contains(end.String(), says) {
		p.Errorf("%v (%+v), %v; want %q", end, end, err, says)
	}
	if live(rec) {
		p.Error("it is live")
	}
}

func (p *onePlatform) did(err error, o *Operator) {
	p.Helper()
	if err := errors.Join(err, o.Told()); err != nil {
		p.Fatal(err)
	}
}

// TestEnding: how a registration ended is read from the node's history.
func TestEnding(t *testing.T) {
	l := newLeaver(t, 2)
	o, second := l.op, l.operator(1)
	if !live(must(o.Record(t.Context()))) {
		t.Fatal("it is not live")
	}
	// Silence: what comes later does not hide it.
	l.anchored(2)
	l.challenge(1)
	l.pass(25 * time.Hour)
	id := must(o.Record(t.Context())).State.Book.Challenges
	for c := range id {
		if _, err := second.Collect(t.Context(), o.Node, c); err != nil {
			t.Fatal(err)
		}
	}
	l.ends(o, contracts.EventFault, 0, false, "a fault of the node was proved at ")
	l.did(o.Stake(t.Context(), 1e9), o)
	l.ends(o, contracts.EventFault, 0, true, "its stake was cut")

	l.did(second.Stake(t.Context(), leaverStake), second)
	l.register(second)
	l.did(second.Stake(t.Context(), 1e9), second) // before the end
	l.did(second.Unregister(t.Context()), second)
	l.ends(second, contracts.EventRetired, 0, false, "its operator unregistered the node at ")
	l.did(second.Unstake(t.Context(), 1e9), second)
	err := second.Send(t.Context(), "stake too little", contracts.ValueSmall/2, func(q uint64) Message { return &contracts.Stake{QueryID: q} }, second.Node)
	wantRefusal(t, err, contracts.CodeValueTooLow, false, "came back")
	l.ends(second, contracts.EventRetired, 0, false, "its operator unregistered")
	l.did(second.Stake(t.Context(), 1e9), second)
	l.ends(second, contracts.EventRetired, 0, true, "its operator unregistered")

	l.register(second)
	l.pass(31 * 24 * time.Hour)
	l.ends(second, contracts.EventOther, 0, false, "it ended at ")
	l.register(second)
	l.revoke(o)
	if _, err := o.Recheck(t.Context(), second.Node); err != nil {
		t.Fatal(err)
	}
	l.ends(second, contracts.EventRechecked, contracts.CodeRevoked, false, "the registry's policy refused it at ")
}

// TestEndingOrder: within one second the order of transactions counts.
func TestEndingOrder(t *testing.T) {
	at := time.Unix(100, 0)
	tx := func(second int64, m Message) *chain.Transaction {
		return &chain.Transaction{Time: time.Unix(second, 0), In: &tlb.Message{Msg: &tlb.InternalMessage{Body: must(m.Body())}}}
	}
	retire, stake, settle := &contracts.Retire{}, &contracts.Stake{}, &contracts.Settle{}
	for name, c := range map[string]struct {
		txs  []*chain.Transaction // oldest first
		want ending
	}{
		"nothing":                   {nil, ending{}},
		"stake before":              {[]*chain.Transaction{tx(100, stake), tx(100, retire)}, ending{how: contracts.EventRetired}},
		"stake after":               {[]*chain.Transaction{tx(100, retire), tx(100, stake)}, ending{how: contracts.EventRetired, back: true}},
		"stake long before":         {[]*chain.Transaction{tx(99, stake), tx(100, retire)}, ending{how: contracts.EventRetired}},
		"a fault after":             {[]*chain.Transaction{tx(100, retire), tx(100, settle)}, ending{how: contracts.EventRetired}},
		"a fault later":             {[]*chain.Transaction{tx(100, retire), tx(200, settle)}, ending{how: contracts.EventRetired}},
		"a fault, long after":       {[]*chain.Transaction{tx(200, settle)}, ending{}},
		"stake later, nothing else": {[]*chain.Transaction{tx(101, stake)}, ending{back: true}},
		"stake, nothing else":       {[]*chain.Transaction{tx(100, stake)}, ending{}},
		"retired in another epoch":  {[]*chain.Transaction{tx(50, retire)}, ending{}},
	} {
		e := ending{at: at}
		for _, x := range c.txs {
			e.add(x)
		}
		if c.want.at = at; e != c.want {
			t.Errorf("%s: %+v", name, e)
		}
	}
}

// nodeOf is the host of an operator's node, without an enclave.
func (l *leaver) nodeOf() *node {
	o := l.op
	o.Log = slog.New(slog.DiscardHandler)
	return &node{Options: Options{Dir: l.dir, Log: o.Log}, op: o, lookEvery: 20 * time.Millisecond}
}

// TestMayRegister: a node that was unregistered stays so until its operator says
// otherwise.
func TestMayRegister(t *testing.T) {
	l := newLeaver(t, 1)
	n := l.nodeOf()
	may := func(want bool) {
		t.Helper()
		err := n.mayRegister(t.Context())
		var refused *attestation.RefusedError
		if (err == nil) != want || err != nil && (!errors.As(err, &refused) || !strings.Contains(err.Error(), "--again")) {
			t.Errorf("%v", err)
		}
	}
	may(true)
	l.did(l.op.Unregister(t.Context()), l.op)
	may(false)
	n.Again = true
	may(true)
	n.served = true // as asked; then it was unregistered once more
	may(false)
	l.did(l.op.Stake(t.Context(), 1e9), l.op)
	may(true)
	never := l.nodeOf()
	never.op = must(OpenOperator(t.Context(), l.client, l.net.Operator, l.net.Registry, 7, t.TempDir()))
	if err := never.mayRegister(t.Context()); err != nil {
		t.Errorf("without a contract: %v", err)
	}
}

// TestMayRegisterFlood: transactions that hide how a registration ended do not undo
// that the operator unregistered the node.
func TestMayRegisterFlood(t *testing.T) {
	l := newLeaver(t, 1)
	n := l.nodeOf()
	l.did(l.op.Unregister(t.Context()), l.op)
	wantsAgain := func(what string, n *node, says string) {
		t.Helper()
		err := n.mayRegister(t.Context())
		var refused *attestation.RefusedError
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "--again") {
			t.Errorf("%s: %v", what, err)
		}
	}
	wantsAgain("before", n, "its operator unregistered the node")
	defer func(old int) { maxHistory = old }(maxHistory)
	maxHistory = 3
	dust := func() {
		t.Helper()
		for range 4 {
			if err := l.net.Chain.Faucet(t.Context(), l.op.Node, 1e6); err != nil {
				t.Fatal(err)
			}
		}
		at := must(l.op.Record(t.Context())).At.Seqno
		for must(l.client.Head(t.Context())).Seqno < at+5 {
			time.Sleep(10 * time.Millisecond)
		}
	}
	dust()
	wantsAgain("hidden", l.nodeOf(), "its operator may have unregistered it")
	wantsAgain("who saw it", n, "its operator unregistered the node")
	restarted := l.nodeOf()
	restarted.Again = true
	if err := restarted.mayRegister(t.Context()); err != nil {
		t.Errorf("--again: %v", err)
	}
	l.pass(2 * time.Second) // what comes in the second of the end may have come before it
	l.did(l.op.Stake(t.Context(), 1e9), l.op)
	for name, n := range map[string]*node{"who saw it": n, "restarted": l.nodeOf()} {
		if err := n.mayRegister(t.Context()); err != nil {
			t.Errorf("new stake, %s: %v", name, err)
		}
	}
	dust()
	if err := n.mayRegister(t.Context()); err != nil {
		t.Errorf("new stake, hidden: %v", err)
	}
}

// TestMayRegisterForgotten: servers that keep no history do not undo it either.
func TestMayRegisterForgotten(t *testing.T) {
	l := newLeaver(t, 1)
	n := l.nodeOf()
	l.did(l.op.Unregister(t.Context()), l.op)
	server := l.net.Chain.Liteservers()[0]
	server.Inject(devnet.Fault{Match: func(q tl.Serializable) bool { _, ok := q.(ton.GetTransactions); return ok }, Error: &ton.LSError{Code: -400, Text: "lt not in db"}})
	var unknown *attestation.UnknownError
	if err := n.mayRegister(t.Context()); !errors.As(err, &unknown) || !strings.Contains(err.Error(), "--again") {
		t.Errorf("without history: %v", err)
	}
	server.Inject(devnet.Fault{})
	var refused *attestation.RefusedError
	if err := n.mayRegister(t.Context()); !errors.As(err, &refused) {
		t.Errorf("with it: %v", err)
	}
}

// TestWatch: an enclave ends with its registration.
func TestWatch(t *testing.T) {
	l := newLeaver(t, 1)
	n := l.nodeOf()
	e, _ := must(l.op.Record(t.Context())).Epoch(1)
	short, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := n.watch(short, e); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("while it is live: %v", err)
	}
	other := e
	other.Number = 2
	if err := n.watch(t.Context(), other); err == nil || !strings.Contains(err.Error(), "has registered epoch 1") {
		t.Errorf("another host: %v", err)
	}
	l.did(l.op.Unregister(t.Context()), l.op)
	var ended *endedError
	if err := n.watch(t.Context(), e); !errors.As(err, &ended) || !strings.HasPrefix(err.Error(), "the registration ended: its operator unregistered") {
		t.Errorf("unregistered: %v", err)
	}
}

// TestHold: while something is at stake the host stays, and tries again when what it
// is judged by is another.
func TestHold(t *testing.T) {
	l := newLeaver(t, 1)
	n, refused := l.nodeOf(), attestation.Refused("no")
	held := func(cause error, change func()) (again bool) {
		t.Helper()
		done := make(chan bool, 1)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		go func() { done <- n.hold(ctx, cause) }()
		if change != nil {
			for end := time.Now().Add(time.Minute); !n.idle.Load() && time.Now().Before(end); time.Sleep(time.Millisecond) {
			}
			change()
		}
		again = <-done
		if ctx.Err() != nil {
			t.Error("it held for ever")
		}
		return again
	}
	if held(fmt.Errorf("another: %w", attestation.BadInput("x")), nil) || held(attestation.ChainDisagrees("x"), nil) {
		t.Error("it holds for what is no refusal")
	}
	if !held(refused, func() { l.did(l.op.Stake(t.Context(), 1e9), l.op) }) {
		t.Error("new stake is no reason to try again")
	}
	if !held(refused, func() { l.decide(l.op, "pause", nil); l.told(l.op) }) {
		t.Error("another policy is no reason to try again")
	}
	if n.idle.Load() {
		t.Error("it still says that no enclave will run")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if n.hold(ctx, refused) {
		t.Error("interrupted, it goes on")
	}
	l.did(l.op.Unregister(t.Context()), l.op)
	l.did(l.op.Unstake(t.Context(), leaverStake+1e9), l.op)
	l.pass(3*24*time.Hour + time.Minute)
	if held(refused, func() { l.did(l.op.Withdraw(t.Context(), 0), l.op) }) {
		t.Error("with nothing at stake it goes on")
	}
	if atStake(&registry.Node{State: &contracts.NodeState{Stake: 1}}) {
		t.Error("a node that never registered has promised nothing")
	}
}

// TestHoldShort: with a wallet that can't pay a registration the host stays; when
// coins come it answers what waited, and tries again.
func TestHoldShort(t *testing.T) {
	l := newLeaver(t, 3)
	n := l.nodeOf()
	if err := os.Symlink(l.dir, filepath.Join(l.dir, LogDir)); err != nil {
		t.Fatal(err)
	}
	l.anchored(3)
	l.challenge(1)
	l.did(l.op.Stake(t.Context(), l.balance(l.op)-100_000_000), l.op)
	cause := l.op.Register(t.Context(), always(l.bundle(l.op)))
	var short *chain.ShortError
	if !errors.As(cause, &short) || short.Holds.Uint64() != l.balance(l.op) || !strings.Contains(cause.Error(), "send coins to it") {
		t.Fatalf("with %d nano: %v", l.balance(l.op), cause)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	done := make(chan bool, 1)
	go func() { done <- n.hold(ctx, fmt.Errorf("registering: %w", cause)) }()
	select {
	case again := <-done:
		t.Fatalf("without coins it ended: %v", again)
	case <-time.After(5 * n.lookEvery):
	}
	if err := l.net.Chain.Faucet(t.Context(), l.op.Wallet(), 1e9); err != nil {
		t.Fatal(err)
	}
	if !<-done || ctx.Err() != nil {
		t.Error("with coins it does not try again")
	}
	defer n.answers(ctx)()
	for len(must(l.op.Record(t.Context())).State.Book.Challenges) > 0 && ctx.Err() == nil {
		time.Sleep(10 * time.Millisecond)
	}
	if ctx.Err() != nil {
		t.Error("with coins it does not answer")
	}
	n.op = must(OpenOperator(t.Context(), l.client, l.net.Operator, l.net.Registry, 7, t.TempDir()))
	if n.hold(ctx, cause) || ctx.Err() != nil {
		t.Error("it holds for a node that is not there")
	}
}
