package contracts

import (
	"testing"

	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

func TestChannelCosts(t *testing.T) {
	c := newChannel(t)
	m := &Deposit{Amount: coin}
	open := good(t, c.funder.Send(tvmtest.Message{To: c.at, Value: m.Value(), Bounce: true, StateInit: c.init, Body: body(m)}))
	deposit := good(t, c.sendTo(c.at, c.funder, 2*coin, m))
	c.payee.Refuse = true
	settle := c.say(c.payee, &SettleVoucher{Voucher: c.voucher(coin)})
	c.payee.Refuse = false
	take := c.say(c.payee, &TakeOwed{})
	start := c.say(c.anybody, &StartClose{Request: c.request()})
	now := c.say(c.payee, &CloseNow{Final: c.final(2 * coin)})
	d := newChannel(t)
	d.open(coin)
	d.say(d.anybody, &StartClose{Request: d.request()})
	d.Now += d.key.Delay
	finish := d.say(d.anybody, &FinishClose{})
	checkCosts(t, "contracts-channel.md", map[string]tvmtest.Tx{
		"`Deposit`, the first": open[0], "`Deposit`, later": deposit[0], "`SettleVoucher`": settle[0], "`Payout` that came back": settle[1],
		"`TakeOwed`": take[0], "`StartClose`": start[0], "`CloseNow`": now[0], "`FinishClose`": finish[0],
	})
}
