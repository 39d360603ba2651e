package contracts

import (
	"crypto/ed25519"
	"testing"

	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

const coin = tvmtest.Coin

// channel is a channel with everybody around it.
type channel struct {
	*fixture
	key    ChannelKey
	client ed25519.PrivateKey
	at     attestation.Address
	init   *cell.Cell
	funder *tvmtest.Actor // the client's wallet
	payee  *tvmtest.Actor
	refund *tvmtest.Actor // where the client wants his coins back
}

func newChannel(t testing.TB, edit ...func(*ChannelKey)) *channel {
	t.Helper()
	c := &channel{fixture: &fixture{World: tvmtest.New(t), t: t}, client: key("client")}
	c.funder, c.payee = c.Actor("funder", 1000*coin), c.Actor("payee", 10*coin)
	c.refund, c.anybody = c.Actor("refund", 0), c.Actor("anybody", 1000*coin)
	c.key = ChannelKey{Node: attestation.Address{Hash: [32]byte{7}}, ClientKey: pub(c.client), Payout: c.payee.Address, Delay: 3 * day, Salt: [16]byte{1}}
	for _, e := range edit {
		e(&c.key)
	}
	c.at, c.init = place(ChannelCode(), c.key.Cell())
	return c
}

// open deploys the channel with a deposit.
func (c *channel) open(amount uint64) {
	c.t.Helper()
	m := &Deposit{QueryID: 1, Amount: amount}
	b, err := m.Body()
	if err != nil {
		c.t.Fatal(err)
	}
	good(c.t, c.funder.Send(tvmtest.Message{To: c.at, Value: m.Value(), Bounce: true, StateInit: c.init, Body: b}))
	done(c.t, c.funder, 0)
}

func (c *channel) state() *ChannelState {
	c.t.Helper()
	s, err := ParseChannel(c.Data(c.at))
	if err != nil {
		c.t.Fatal(err)
	}
	return s
}

func (c *channel) voucher(amount uint64) *Voucher {
	c.t.Helper()
	v, err := NewVoucher(c.client, tvmtest.GlobalID, c.at, amount)
	if err != nil {
		c.t.Fatal(err)
	}
	return v
}

func (c *channel) request() *CloseRequest {
	c.t.Helper()
	r, err := NewCloseRequest(c.client, tvmtest.GlobalID, c.at, c.refund.Address, c.Now+600)
	if err != nil {
		c.t.Fatal(err)
	}
	return r
}

func (c *channel) final(amount uint64) *FinalStatement {
	c.t.Helper()
	f, err := NewFinalStatement(c.client, tvmtest.GlobalID, c.at, c.refund.Address, amount)
	if err != nil {
		c.t.Fatal(err)
	}
	return f
}

// say sends a message that must be taken.
func (c *channel) say(from *tvmtest.Actor, m bodyMaker) []tvmtest.Tx {
	c.t.Helper()
	return good(c.t, c.sendTo(c.at, from, ValueChannel, m))
}

// no sends a message that must be refused with code.
func (c *channel) no(code int, from *tvmtest.Actor, m bodyMaker) {
	c.t.Helper()
	b, err := m.Body()
	if err != nil {
		c.t.Fatal(err)
	}
	c.refusesBody(c.at, code, from, ValueChannel, b)
}

// received returns what an actor got in payouts.
func received(a *tvmtest.Actor) (sum uint64) {
	for _, l := range a.Inbox {
		if _, err := ParsePayout(l.Body); err == nil && !l.Bounced {
			sum += l.Value
		}
	}
	return sum
}

// cost runs f and returns what it cost an actor beside what f returns.
func cost(a *tvmtest.Actor, f func()) uint64 {
	before := a.Balance.Uint64()
	f()
	return before - a.Balance.Uint64()
}
