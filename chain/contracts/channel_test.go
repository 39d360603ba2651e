package contracts

import (
	"crypto/ed25519"
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

func TestChannelDeposit(t *testing.T) {
	c := newChannel(t)
	c.open(5 * coin)
	s := c.state()
	if s.Key != c.key || s.Deposited != 5*coin || s.Paid != 0 || s.CloseAt != 0 || s.Closed || s.Refund != nil || s.Left() != 5*coin {
		t.Errorf("after the deposit: %+v", s)
	}
	if b := c.Balance(c.at).Uint64(); b != 5*coin+ChannelReserve {
		t.Errorf("channel holds %d", b)
	}
	// Anybody may add, and pays fees alone: the reserve is there.
	paid := cost(c.anybody, func() {
		good(t, c.sendTo(c.at, c.anybody, 3*coin, &Deposit{Amount: 2 * coin}))
		done(t, c.anybody, 0)
	})
	if paid < 2*coin || paid > 2*coin+5_000_000 {
		t.Errorf("a deposit of 2 coins cost %d", paid)
	}
	if s := c.state(); s.Deposited != 7*coin {
		t.Errorf("after the top up: %+v", s)
	}
	b, _ := (&Deposit{Amount: coin}).Body()
	c.refusesBody(c.at, CodeValueTooLow, c.anybody, coin+ValueChannel-1_000_000, b)
	raw := func(amount uint64) *rawBody { return &rawBody{plain(opDeposit, 1).MustStoreUInt(amount, 64).EndCell()} }
	c.no(CodeBadAmount, c.anybody, raw(0))
	c.no(CodeBadAmount, c.anybody, raw(1<<64-1))
	c.no(CodeBadAmount, c.anybody, raw(1<<64-7*coin)) // the sum has 65 bits
	c.no(CodeValueTooLow, c.anybody, raw(1<<64-7*coin-1))
	// Coins without words are for storage; they don't count as deposit.
	good(t, c.anybody.Send(tvmtest.Message{To: c.at, Value: coin}))
	if s := c.state(); s.Deposited != 7*coin {
		t.Errorf("after coins without words: %+v", s)
	}
	// Nor does the next depositor get them back.
	paid = cost(c.anybody, func() { good(t, c.sendTo(c.at, c.anybody, 3*coin, &Deposit{Amount: coin})) })
	if paid < coin {
		t.Errorf("a deposit of one coin cost %d", paid)
	}
}

func TestChannelFirstDeposit(t *testing.T) {
	c := newChannel(t)
	m := &Deposit{Amount: coin}
	b, _ := m.Body()
	// One that leaves out the reserve is refused, and the account has no state yet.
	refused(t, c.funder.Send(tvmtest.Message{To: c.at, Value: m.Value() - 1, Bounce: true, StateInit: c.init, Body: b}), CodeValueTooLow)
	c.open(coin)
	if s := c.state(); s.Deposited != coin {
		t.Errorf("after the deposit: %+v", s)
	}
}

func TestChannelSettle(t *testing.T) {
	c := newChannel(t)
	c.open(10 * coin)
	paid := cost(c.anybody, func() {
		c.say(c.anybody, &SettleVoucher{QueryID: 4, Voucher: c.voucher(3 * coin)})
		done(t, c.anybody, 0)
	})
	if paid > 5_000_000 {
		t.Errorf("settling costs %d", paid)
	}
	if got := received(c.payee); got != 3*coin {
		t.Errorf("payee got %d", got)
	}
	if s := c.state(); s.Paid != 3*coin || s.Left() != 7*coin {
		t.Errorf("after settling: %+v", s)
	}
	// A replay and an older voucher pay nothing.
	c.no(CodeNothingNew, c.anybody, &SettleVoucher{Voucher: c.voucher(3 * coin)})
	c.no(CodeNothingNew, c.payee, &SettleVoucher{Voucher: c.voucher(2 * coin)})
	c.say(c.payee, &SettleVoucher{Voucher: c.voucher(4 * coin)})
	if got := received(c.payee); got != 4*coin {
		t.Errorf("payee got %d", got)
	}
	// Over the deposit it pays what there is, and the rest after a top up.
	c.say(c.anybody, &SettleVoucher{Voucher: c.voucher(12 * coin)})
	if got, s := received(c.payee), c.state(); got != 10*coin || s.Paid != 10*coin || s.Left() != 0 {
		t.Errorf("payee got %d: %+v", got, s)
	}
	c.no(CodeNothingNew, c.anybody, &SettleVoucher{Voucher: c.voucher(12 * coin)})
	good(t, c.sendTo(c.at, c.funder, 6*coin, &Deposit{Amount: 5 * coin}))
	c.say(c.anybody, &SettleVoucher{Voucher: c.voucher(12 * coin)})
	if got, s := received(c.payee), c.state(); got != 12*coin || s.Left() != 3*coin {
		t.Errorf("payee got %d: %+v", got, s)
	}
	if b := c.Balance(c.at).Uint64(); b != 3*coin+ChannelReserve {
		t.Errorf("channel holds %d", b)
	}
}

func TestChannelVoucherSignature(t *testing.T) {
	c := newChannel(t)
	c.open(10 * coin)
	other, _ := place(ChannelCode(), ChannelKey{Node: c.key.Node, ClientKey: c.key.ClientKey, Payout: c.key.Payout, Delay: c.key.Delay, Salt: [16]byte{2}}.Cell())
	sign := func(k ed25519.PrivateKey, chain int32, at attestation.Address, amount uint64) *Voucher {
		v, err := NewVoucher(k, chain, at, amount)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for name, v := range map[string]*Voucher{
		"other key":     sign(key("payee"), tvmtest.GlobalID, c.at, coin),
		"other chain":   sign(c.client, -239, c.at, coin),
		"other channel": sign(c.client, tvmtest.GlobalID, other, coin),
		"other amount":  sign(c.client, tvmtest.GlobalID, c.at, coin+1),
	} {
		if err := v.Verify(pub(c.client)); (err == nil) != (name != "other key") {
			t.Errorf("%s: %v", name, err)
		}
		v.Amount = coin
		t.Run(name, func(t *testing.T) { c.no(CodeBadSignature, c.anybody, &SettleVoucher{Voucher: v}) })
	}
	for i := range 64 {
		v := c.voucher(coin)
		v.Signature[i] ^= 1 << (i % 8)
		c.no(CodeBadSignature, c.anybody, &SettleVoucher{Voucher: v})
	}
	// What the client signs to close is no voucher, nor the other way round.
	v := c.voucher(coin)
	f, r := c.final(coin), c.request()
	c.no(CodeBadSignature, c.anybody, &SettleVoucher{Voucher: &Voucher{Amount: coin, Signature: f.Signature}})
	c.no(CodeBadSignature, c.anybody, &SettleVoucher{Voucher: &Voucher{Amount: coin, Signature: r.Signature}})
	f.Signature, r.Signature = v.Signature, c.final(uint64(r.ValidUntil)).Signature
	c.no(CodeBadSignature, c.payee, &CloseNow{Final: f})
	c.no(CodeBadSignature, c.anybody, &StartClose{Request: r})
}

func TestChannelClose(t *testing.T) {
	c := newChannel(t)
	c.open(10 * coin)
	c.say(c.payee, &SettleVoucher{Voucher: c.voucher(coin)})
	c.no(CodeNotClosing, c.anybody, &FinishClose{})
	// The client is dead to nobody: anybody brings what he signed.
	c.say(c.anybody, &StartClose{QueryID: 9, Request: c.request()})
	done(t, c.anybody, 0)
	s := c.state()
	if s.CloseAt != c.Now+c.key.Delay || s.Closed || s.Refund == nil || *s.Refund != c.refund.Address {
		t.Errorf("after the request: %+v", s)
	}
	// Again does not move the time; no more deposits.
	c.no(CodeClosing, c.anybody, &StartClose{Request: c.request()})
	c.no(CodeClosing, c.funder, &Deposit{Amount: 1})
	// The node brings its last voucher in time, even on the last second.
	c.Now = s.CloseAt - 1
	c.no(CodeTooEarly, c.anybody, &FinishClose{})
	c.say(c.payee, &SettleVoucher{Voucher: c.voucher(4 * coin)})
	c.Now = s.CloseAt
	c.say(c.payee, &SettleVoucher{Voucher: c.voucher(5 * coin)})
	before := c.Balance(c.at).Uint64()
	paid := cost(c.anybody, func() {
		c.say(c.anybody, &FinishClose{QueryID: 3})
		done(t, c.anybody, 0)
	})
	if paid > 6_000_000 {
		t.Errorf("closing costs %d", paid)
	}
	// Storage of three days is all that is missing.
	if got := received(c.refund); got > before || got < before-1_000_000 || got < 5*coin {
		t.Errorf("client got %d back of %d", got, before)
	}
	if got := received(c.payee); got != 5*coin {
		t.Errorf("payee got %d", got)
	}
	if s := c.state(); !s.Closed || c.Balance(c.at).Sign() != 0 {
		t.Errorf("after closing: %+v, %s left", s, c.Balance(c.at))
	}
	c.closedForEver()
}

// closedForEver checks that a closed channel takes nothing.
func (c *channel) closedForEver() {
	c.t.Helper()
	c.no(CodeClosed, c.funder, &Deposit{Amount: 1})
	c.no(CodeClosed, c.payee, &SettleVoucher{Voucher: c.voucher(9 * coin)})
	c.no(CodeClosed, c.anybody, &StartClose{Request: c.request()})
	c.no(CodeClosed, c.payee, &CloseNow{Final: c.final(9 * coin)})
	c.no(CodeClosed, c.anybody, &FinishClose{})
	c.refusesBody(c.at, CodeClosed, c.anybody, coin, build().EndCell())
	// Deploying again changes nothing.
	m := &Deposit{Amount: coin}
	b, _ := m.Body()
	refused(c.t, c.funder.Send(tvmtest.Message{To: c.at, Value: m.Value(), Bounce: true, StateInit: c.init, Body: b}), CodeClosed)
	// Coins that were forced upon it go to the client.
	before := received(c.refund)
	c.anybody.Send(tvmtest.Message{To: c.at, Value: coin})
	c.say(c.anybody, &FinishClose{})
	if got := received(c.refund) - before; got < coin-2_000_000 || got > coin {
		c.t.Errorf("client got %d of a coin", got)
	}
	c.no(CodeClosed, c.anybody, &FinishClose{})
}

func TestChannelStartCloseRefused(t *testing.T) {
	c := newChannel(t)
	c.open(coin)
	b, _ := (&StartClose{Request: c.request()}).Body()
	c.refusesBody(c.at, CodeValueTooLow, c.anybody, ValueChannel-1, b)
	late := c.request()
	c.Now = late.ValidUntil
	c.no(CodeExpired, c.anybody, &StartClose{Request: late})
	for name, edit := range map[string]func(*CloseRequest){
		"other refund": func(r *CloseRequest) { r.Refund = c.anybody.Address },
		"other time":   func(r *CloseRequest) { r.ValidUntil++ },
		"signature":    func(r *CloseRequest) { r.Signature[3] ^= 4 },
		"other key": func(r *CloseRequest) {
			d := r.Digest()
			r.Signature = [64]byte(ed25519.Sign(key("payee"), d[:]))
		},
		"other channel": func(r *CloseRequest) {
			o, _ := NewCloseRequest(c.client, tvmtest.GlobalID, c.key.Node, r.Refund, r.ValidUntil)
			r.Signature = o.Signature
		},
		"other chain": func(r *CloseRequest) {
			o, _ := NewCloseRequest(c.client, -3, c.at, r.Refund, r.ValidUntil)
			r.Signature = o.Signature
		},
	} {
		r := c.request()
		edit(r)
		t.Run(name, func(t *testing.T) { c.no(CodeBadSignature, c.anybody, &StartClose{Request: r}) })
	}
	// A refund address that no coins reach would keep it open for ever.
	r := c.request()
	r.Refund.Workchain = 5
	d := r.Digest()
	r.Signature = [64]byte(ed25519.Sign(c.client, d[:]))
	c.no(CodeBadFormat, c.anybody, &StartClose{Request: r})
	if _, err := NewCloseRequest(c.client, 1, c.at, r.Refund, 1); err == nil {
		t.Error("the binding signs it")
	}
	b, _ = (&FinishClose{}).Body()
	c.refusesBody(c.at, CodeValueTooLow, c.anybody, ValueChannel-1, b)
	b, _ = (&SettleVoucher{Voucher: c.voucher(1)}).Body()
	c.refusesBody(c.at, CodeValueTooLow, c.anybody, ValueChannel-1, b)
	if s := c.state(); s.CloseAt != 0 {
		t.Errorf("channel is %+v", s)
	}
}

func TestChannelCloseNow(t *testing.T) {
	for name, k := range map[string]struct {
		settled, last, payee uint64
		closing              bool
	}{
		"more than settled": {settled: 2 * coin, last: 3 * coin, payee: 3 * coin},
		"nothing more":      {settled: 2 * coin, last: 2 * coin, payee: 2 * coin},
		"less than settled": {settled: 2 * coin, last: coin, payee: 2 * coin},
		"nothing at all":    {},
		"over the deposit":  {settled: coin, last: 30 * coin, payee: 10 * coin},
		"while closing":     {settled: coin, last: 3 * coin, payee: 3 * coin, closing: true},
	} {
		t.Run(name, func(t *testing.T) {
			c := newChannel(t)
			c.open(10 * coin)
			if k.settled > 0 {
				c.say(c.payee, &SettleVoucher{Voucher: c.voucher(k.settled)})
			}
			if k.closing {
				c.say(c.anybody, &StartClose{Request: c.request()})
			}
			c.no(CodeNotPayee, c.anybody, &CloseNow{Final: c.final(k.last)})
			c.say(c.payee, &CloseNow{QueryID: 2, Final: c.final(k.last)})
			done(t, c.payee, 0)
			if got := received(c.payee); got != k.payee {
				t.Errorf("payee got %d, want %d", got, k.payee)
			}
			if got, want := received(c.refund), 10*coin-k.payee+ChannelReserve; got != want {
				t.Errorf("client got %d, want %d", got, want)
			}
			if s := c.state(); !s.Closed || s.Paid != k.payee || c.Balance(c.at).Sign() != 0 {
				t.Errorf("channel is %+v, %s left", s, c.Balance(c.at))
			}
			c.closedForEver()
		})
	}
}

func TestChannelCloseNowRefused(t *testing.T) {
	c := newChannel(t)
	c.open(coin)
	b, _ := (&CloseNow{Final: c.final(1)}).Body()
	c.refusesBody(c.at, CodeValueTooLow, c.payee, ValueChannel-1, b)
	for name, edit := range map[string]func(*FinalStatement){
		"other refund": func(f *FinalStatement) { f.Refund = c.payee.Address },
		"other amount": func(f *FinalStatement) { f.Amount++ },
		"signature":    func(f *FinalStatement) { f.Signature[3] ^= 4 },
		"other channel": func(f *FinalStatement) {
			o, _ := NewFinalStatement(c.client, tvmtest.GlobalID, c.key.Node, f.Refund, f.Amount)
			f.Signature = o.Signature
		},
	} {
		f := c.final(coin)
		edit(f)
		t.Run(name, func(t *testing.T) { c.no(CodeBadSignature, c.payee, &CloseNow{Final: f}) })
	}
	for _, workchain := range []int32{-1, 1} {
		f := c.final(coin)
		f.Refund.Workchain = workchain
		d := f.Digest()
		f.Signature = [64]byte(ed25519.Sign(c.client, d[:]))
		c.no(CodeBadFormat, c.payee, &CloseNow{Final: f})
		if _, err := NewFinalStatement(c.client, tvmtest.GlobalID, c.at, f.Refund, coin); err == nil {
			t.Error("the binding signs it")
		}
	}
	c.say(c.payee, &CloseNow{Final: c.final(coin)})
}

// TestChannelPayoutBounces: a payee whose contract refuses coins loses the cost
// of the way, no more.
func TestChannelPayoutBounces(t *testing.T) {
	c := newChannel(t)
	c.open(10 * coin)
	c.no(CodeNoCredit, c.payee, &TakeOwed{})
	c.payee.Refuse = true
	c.say(c.anybody, &SettleVoucher{Voucher: c.voucher(4 * coin)})
	s := c.state()
	if s.Paid != 4*coin || s.Owed > 4*coin || s.Owed < 4*coin-3_000_000 {
		t.Fatalf("after a payout that came back: %+v", s)
	}
	if b := c.Balance(c.at).Uint64(); b < 6*coin+s.Owed+ChannelReserve {
		t.Errorf("channel holds %d", b)
	}
	c.no(CodeNothingNew, c.anybody, &SettleVoucher{Voucher: c.voucher(4 * coin)})
	c.no(CodeNotPayee, c.anybody, &TakeOwed{})
	b, _ := (&TakeOwed{}).Body()
	c.refusesBody(c.at, CodeValueTooLow, c.payee, ValueChannel-1, b)
	// It may come back again.
	c.say(c.payee, &TakeOwed{})
	if o := c.state().Owed; o > s.Owed || o < s.Owed-3_000_000 {
		t.Errorf("%d are owed, were %d", o, s.Owed)
	}
	// What is owed survives the end.
	c.say(c.payee, &CloseNow{Final: c.final(4 * coin)})
	owed := c.state().Owed
	if b := c.Balance(c.at).Uint64(); owed < 4*coin-6_000_000 || b != owed {
		t.Errorf("%d are owed, channel holds %d", owed, b)
	}
	if got := received(c.refund); got < 6*coin+ChannelReserve {
		t.Errorf("client got %d", got)
	}
	c.no(CodeClosed, c.anybody, &FinishClose{})
	c.payee.Refuse = false
	c.say(c.payee, &TakeOwed{})
	if got, s := received(c.payee), c.state(); got != owed || s.Owed != 0 || c.Balance(c.at).Sign() != 0 {
		t.Errorf("payee got %d of %d: %+v", got, owed, s)
	}
	c.closedForEver()
}

// TestChannelLastPayoutBounces: the payout comes back to a channel that closed
// when it was sent.
func TestChannelLastPayoutBounces(t *testing.T) {
	c := newChannel(t)
	c.open(10 * coin)
	c.payee.Refuse = true
	c.say(c.payee, &CloseNow{Final: c.final(4 * coin)})
	s := c.state()
	if !s.Closed || s.Owed < 4*coin-3_000_000 || c.Balance(c.at).Uint64() < s.Owed {
		t.Fatalf("channel is %+v, holds %s", s, c.Balance(c.at))
	}
	if got := received(c.refund); got != 6*coin+ChannelReserve {
		t.Errorf("client got %d", got)
	}
	c.payee.Refuse = false
	c.say(c.payee, &TakeOwed{})
	if got := received(c.payee); got != s.Owed {
		t.Errorf("payee got %d of %d", got, s.Owed)
	}
}

// TestChannelDelayIsBounded: no key locks a deposit for longer than the bound.
func TestChannelDelayIsBounded(t *testing.T) {
	c := newChannel(t, func(k *ChannelKey) { k.Delay = 1<<32 - 1 })
	c.open(coin)
	c.say(c.anybody, &StartClose{Request: c.request()})
	if at := c.state().CloseAt; at != c.Now+MaxChannelDelay {
		t.Errorf("closes in %d s", at-c.Now)
	}
}

// TestChannelYears: storage eats the reserve, then the deposit. Vouchers are paid
// as far as coins reach, a top up fills up what is missing, and it can be closed.
func TestChannelYears(t *testing.T) {
	c := newChannel(t)
	c.open(coin)
	c.Now += 20 * 365 * day
	c.say(c.payee, &SettleVoucher{Voucher: c.voucher(coin)})
	got := received(c.payee)
	if s := c.state(); got >= coin || got < coin/2 || s.Paid != got || c.Balance(c.at).Sign() != 0 {
		t.Fatalf("payee got %d: %+v, %s left", got, s, c.Balance(c.at))
	}
	c.no(CodeNothingNew, c.payee, &SettleVoucher{Voucher: c.voucher(coin)})
	b, _ := (&Deposit{Amount: coin}).Body()
	c.refusesBody(c.at, CodeValueTooLow, c.funder, coin+ChannelReserve+ValueChannel, b)
	good(t, c.sendTo(c.at, c.funder, 3*coin, &Deposit{Amount: coin}))
	if s := c.state(); c.Balance(c.at).Uint64() != s.Left()+ChannelReserve {
		t.Errorf("channel is %+v, holds %s", s, c.Balance(c.at))
	}
	c.say(c.payee, &SettleVoucher{Voucher: c.voucher(coin)})
	if received(c.payee) != coin {
		t.Errorf("payee got %d", received(c.payee))
	}
	c.say(c.anybody, &StartClose{Request: c.request()})
	c.Now += c.key.Delay
	c.say(c.anybody, &FinishClose{})
}

// TestChannelFrozen: a closed channel that nobody pays for freezes. It can't be
// opened again with its first state.
func TestChannelFrozen(t *testing.T) {
	c := newChannel(t)
	c.open(coin)
	c.say(c.payee, &CloseNow{Final: c.final(coin)})
	c.Now += 30 * 365 * day
	c.anybody.Send(tvmtest.Message{To: c.at, Value: 1})
	if c.Data(c.at) != nil {
		t.Fatal("channel is not frozen: the test is wrong")
	}
	m := &Deposit{Amount: coin}
	b, _ := m.Body()
	txs := c.funder.Send(tvmtest.Message{To: c.at, Value: m.Value(), Bounce: true, StateInit: c.init, Body: b})
	if len(txs) != 1 || !txs[0].Skipped || c.Data(c.at) != nil {
		t.Errorf("it was deployed again: %v", txs)
	}
}

// TestChannelOwedIsKept: where storage took a part of the deposit, vouchers don't
// take what is owed, and the next deposit fills up for it too.
func TestChannelOwedIsKept(t *testing.T) {
	c := newChannel(t)
	c.open(2 * coin)
	c.payee.Refuse = true
	c.say(c.anybody, &SettleVoucher{Voucher: c.voucher(coin)})
	c.payee.Refuse = false
	owed := c.state().Owed
	c.Now += 40 * 365 * day
	c.say(c.anybody, &SettleVoucher{Voucher: c.voucher(2 * coin)})
	if got, b := received(c.payee), c.Balance(c.at).Uint64(); got > coin-100_000_000 || b != owed {
		t.Fatalf("payee got %d, channel holds %d and owes %d", got, b, owed)
	}
	good(t, c.sendTo(c.at, c.funder, 5*coin, &Deposit{Amount: coin}))
	if s := c.state(); c.Balance(c.at).Uint64() != s.Left()+s.Owed+ChannelReserve {
		t.Errorf("channel is %+v, holds %s", s, c.Balance(c.at))
	}
	c.say(c.payee, &TakeOwed{})
	c.say(c.payee, &CloseNow{Final: c.final(3 * coin)})
	if got := received(c.payee); got < 3*coin-3_000_000 {
		t.Errorf("payee got %d", got)
	}
}
