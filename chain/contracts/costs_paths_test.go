package contracts

import (
	"crypto/ed25519"
	"math/big"
	"time"

	"github.com/xssnick/tonutils-go/tlb"

	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

// rootPaths is governance.
func (m *meter) rootPaths() {
	f := m.newTypical()
	w := tvmtest.New(m.t)
	at, si, err := RootAddress(f.start)
	if err != nil {
		m.t.Fatal(err)
	}
	founder := w.Actor("founder", 10*coin)
	m.path(w, "root-deploy", 0, left(w, at), func() []tvmtest.Tx {
		return founder.Send(tvmtest.Message{To: at, Value: coin, StateInit: si})
	})

	govern := func(name string, a Action) {
		m.send(f, name, f.root, f.anybody, ValueGovern, 0, f.approved(f.decision(a)))
	}
	listed := sha([]byte{'m', 0})
	govern("govern-remove-measurement", RemoveMeasurement{listed})
	govern("govern-pause", Pause{})
	govern("govern-revoke-platform", RevokePlatform{f.platformID()})
	info, err := ReadQuote(mint(m.t, f.intel, testTD()))
	if err != nil {
		m.t.Fatal(err)
	}
	govern("govern-raise-floor", RaiseFloor{info.FMSPC, FloorOf(info.TCB)})
	number := f.rootState().NextProposal
	govern("govern-propose", AddMeasurement{Digest: listed, Flags: MeasurementAccepted})
	m.path(f.World, "govern-execute", ValueGovern, amount(0), func() []tvmtest.Tx {
		f.Now += f.start.Params.GovernanceDelay
		return f.sendTo(f.root, f.anybody, ValueGovern, &Execute{QueryID: 1, Number: number})
	})
	number = f.rootState().NextProposal
	govern("govern-propose-verifiers", SetVerifiers{VerifierSet{2, typicalVerifierSet().Quorum}})
	govern("govern-cancel", CancelProposal{number})
	f.Now += 31 * day // all listed nodes are over
	m.send(f, "prune-40", f.root, f.anybody, ValuePrune, 0, &Prune{QueryID: 1, Count: MaxPrune})
}

// channelPaths is the life of payment channels.
func (m *meter) channelPaths() {
	say := func(c *channel, name string, from *tvmtest.Actor, put func() int64, b bodyMaker) {
		m.path(c.World, name, ValueChannel, put, func() []tvmtest.Tx { return c.sendTo(c.at, from, ValueChannel, b) })
	}
	open := func(c *channel, name string) {
		d := &Deposit{QueryID: 1, Amount: 5 * coin}
		m.path(c.World, name, d.Value()-d.Amount, amount(int64(d.Amount)), func() []tvmtest.Tx {
			return c.funder.Send(tvmtest.Message{To: c.at, Value: d.Value(), Bounce: true, StateInit: c.init, Body: body(d)})
		})
	}
	c := newChannel(m.t)
	open(c, "channel-open")
	m.path(c.World, "channel-top-up", ValueChannel, amount(coin), func() []tvmtest.Tx {
		return c.sendTo(c.at, c.funder, coin+ValueChannel, &Deposit{QueryID: 1, Amount: coin})
	})
	say(c, "voucher-settle", c.anybody, amount(-coin), &SettleVoucher{QueryID: 1, Voucher: c.voucher(coin)})
	c.payee.Refuse = true
	say(c, "voucher-settle-returned", c.anybody, amount(0), &SettleVoucher{QueryID: 1, Voucher: c.voucher(2 * coin)})
	c.payee.Refuse = false
	before := received(c.payee)
	paid := func() int64 { return -int64(received(c.payee)-before) - int64(received(c.refund)) }
	say(c, "channel-take-owed", c.payee, paid, &TakeOwed{QueryID: 1})
	say(c, "channel-start-close", c.anybody, amount(0), &StartClose{QueryID: 1, Request: c.request()})
	m.path(c.World, "channel-finish-close", ValueChannel, func() int64 { return -int64(received(c.refund)) }, func() []tvmtest.Tx {
		c.Now += c.key.Delay
		return c.sendTo(c.at, c.anybody, ValueChannel, &FinishClose{QueryID: 1})
	})

	d := newChannel(m.t)
	d.open(5 * coin)
	paid = func() int64 { return -int64(received(d.payee)) - int64(received(d.refund)) }
	say(d, "channel-close-now", d.payee, paid, &CloseNow{QueryID: 1, Final: d.final(2 * coin)})
}

// walletPath is what a wallet takes for the message that starts a path, without
// the forwarding of that message: paths count it.
func (m *meter) walletPath() {
	m.t.Helper()
	w := tvmtest.New(m.t)
	funder, sink := w.Actor("funder", 100*coin), w.Actor("sink", 0)
	v5, err := chain.NewWallet(ed25519.NewKeyFromSeed(make([]byte, 32)), tvmtest.GlobalID)
	if err != nil {
		m.t.Fatal(err)
	}
	init, err := tlb.ToCell(v5.StateInit())
	if err != nil {
		m.t.Fatal(err)
	}
	funder.Send(tvmtest.Message{To: v5.Address(), Value: 10 * coin, StateInit: init})
	transfer, err := v5.Transfer(0, time.Unix(tvmtest.Start+60, 0), false, chain.Message{To: sink.Address, Amount: big.NewInt(coin)})
	if err != nil {
		m.t.Fatal(err)
	}
	var e tlb.ExternalMessage
	if err := tlb.Parse(&e, transfer); err != nil {
		m.t.Fatal(err)
	}
	before := w.Fees()
	tx := good(m.t, w.SendExternal(v5.Address(), e.Body))[0]
	c := pathCost{Name: "wallet", Messages: 1, Gas: tx.Gas, Compute: m.p.compute(uint64(tx.Gas)), Forward: m.p.forward(transfer)}
	c.Fees = c.Compute + c.Forward
	if all := before.Sub(w.Fees(), before).Uint64(); all != c.Fees+m.p.MessageLump {
		m.t.Errorf("a wallet takes %d, want %d and the forwarding of an empty message", all, c.Fees)
	}
	m.rows = append(m.rows, c)
}
