package contracts

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

func TestChannelKeyCheck(t *testing.T) {
	good := ChannelKey{Node: attestation.Address{Hash: [32]byte{1}}, ClientKey: [32]byte{2}, Payout: attestation.Address{Hash: [32]byte{3}}, Delay: MinChannelDelay, Salt: [16]byte{4}}
	a, si, err := ChannelAddress(good)
	if err != nil {
		t.Fatal(err)
	}
	if a.Hash != hash32(si) {
		t.Errorf("address is %s", a)
	}
	if got, err := parseChannelKey(good.Cell()); err != nil || got != good {
		t.Errorf("key does not survive: %+v, %v", got, err)
	}
	seen := map[attestation.Address]string{a: "good"}
	for name, edit := range map[string]func(*ChannelKey){
		"node": func(k *ChannelKey) { k.Node.Hash[0]++ }, "client": func(k *ChannelKey) { k.ClientKey[0]++ },
		"payout": func(k *ChannelKey) { k.Payout.Hash[0]++ }, "delay": func(k *ChannelKey) { k.Delay++ }, "salt": func(k *ChannelKey) { k.Salt[0]++ },
	} {
		k := good
		edit(&k)
		b, _, err := ChannelAddress(k)
		if err != nil || seen[b] != "" {
			t.Errorf("other %s: %s, %v", name, b, err)
		}
		seen[b] = name
	}
	for name, edit := range map[string]func(*ChannelKey){
		"no node": func(k *ChannelKey) { k.Node = attestation.Address{} }, "no client": func(k *ChannelKey) { k.ClientKey = [32]byte{} },
		"no payout": func(k *ChannelKey) { k.Payout = attestation.Address{} }, "masterchain payout": func(k *ChannelKey) { k.Payout.Workchain = -1 },
		"short delay": func(k *ChannelKey) { k.Delay = MinChannelDelay - 1 }, "long delay": func(k *ChannelKey) { k.Delay = MaxChannelDelay + 1 },
		"no salt": func(k *ChannelKey) { k.Salt = [16]byte{} },
	} {
		k := good
		edit(&k)
		if _, _, err := ChannelAddress(k); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

// TestChannelCheckVoucher: what the bindings say is what the contract does.
func TestChannelCheckVoucher(t *testing.T) {
	c := newChannel(t)
	c.open(10 * coin)
	refusal := func(err error) bool { e := (*fault.RefusedError)(nil); return errors.As(err, &e) }
	take := func(v *Voucher) error { return c.state().CheckVoucher(v, tvmtest.GlobalID, c.Balance(c.at).Uint64()) }
	settle := func(v *Voucher) error { return c.state().CheckSettle(v, tvmtest.GlobalID, c.Balance(c.at).Uint64()) }
	if err := take(c.voucher(10 * coin)); err != nil {
		t.Error(err)
	}
	if err := take(c.voucher(10*coin + 1)); !refusal(err) {
		t.Errorf("over the deposit: %v", err)
	}
	input := func(what string, v *Voucher) {
		for _, err := range []error{take(v), settle(v)} {
			if e := (*fault.InputError)(nil); !errors.As(err, &e) {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
	other := c.voucher(coin)
	other.Channel = c.key.Node
	input("another channel", other)
	elsewhere, err := NewVoucher(c.client, tvmtest.GlobalID+1, c.at, coin)
	if err != nil {
		t.Fatal(err)
	}
	input("the same channel on another chain", elsewhere)
	c.no(CodeBadSignature, c.payee, &SettleVoucher{Voucher: elsewhere})
	other = c.voucher(coin)
	other.Amount++
	for _, err := range []error{take(other), settle(other)} {
		if e := (*fault.FalseError)(nil); !errors.As(err, &e) {
			t.Errorf("other amount: %v", err)
		}
	}
	if err := settle(c.voucher(20 * coin)); err != nil {
		t.Error(err)
	}
	c.say(c.payee, &SettleVoucher{Voucher: c.voucher(4 * coin)})
	for _, v := range []*Voucher{c.voucher(4 * coin), c.voucher(3 * coin)} {
		if err := take(v); !refusal(err) {
			t.Errorf("%d of 4 paid coins again: %v", v.Amount, err)
		}
	}
	// Storage has eaten of the deposit: what is left is paid, and no more counts.
	s := c.state()
	if err := s.CheckVoucher(c.voucher(10*coin), tvmtest.GlobalID, 6*coin); err != nil {
		t.Errorf("just enough: %v", err)
	}
	if err := s.CheckVoucher(c.voucher(10*coin), tvmtest.GlobalID, 6*coin-1); !refusal(err) {
		t.Errorf("over the balance: %v", err)
	}
	s.Owed = coin
	if err := s.CheckVoucher(c.voucher(10*coin), tvmtest.GlobalID, 6*coin); !refusal(err) {
		t.Errorf("over the balance less what is owed: %v", err)
	}
	if err := s.CheckSettle(c.voucher(10*coin), tvmtest.GlobalID, coin); !refusal(err) {
		t.Errorf("all of it is owed: %v", err)
	}
	if got := s.Due(10*coin, 3*coin); got != 2*coin {
		t.Errorf("due %d", got)
	}
	c.say(c.payee, &SettleVoucher{Voucher: c.voucher(20 * coin)})
	if err := settle(c.voucher(20 * coin)); !refusal(err) {
		t.Errorf("nothing due: %v", err)
	}
	good(t, c.sendTo(c.at, c.funder, 3*coin, &Deposit{Amount: 2 * coin}))
	c.say(c.anybody, &StartClose{Request: c.request()})
	if err := take(c.voucher(11 * coin)); !refusal(err) {
		t.Errorf("while closing: %v", err)
	}
	if err := settle(c.voucher(11 * coin)); err != nil {
		t.Error(err)
	}
	c.say(c.payee, &CloseNow{Final: c.final(11 * coin)})
	for _, err := range []error{take(c.voucher(12 * coin)), settle(c.voucher(12 * coin))} {
		if !refusal(err) {
			t.Errorf("closed: %v", err)
		}
	}
	s = c.state()
	s.Deposited = 20 * coin
	if err := s.CheckSettle(c.voucher(20*coin), tvmtest.GlobalID, 20*coin); !refusal(err) || !strings.Contains(err.Error(), "channel is closed") {
		t.Errorf("closed, with something due: %v", err)
	}
}

// TestChannelOddDelay: the contract settles on a channel that nobody should have
// taken, and the bindings say both.
func TestChannelOddDelay(t *testing.T) {
	for _, delay := range []uint32{0, MinChannelDelay - 1, MaxChannelDelay + 1} {
		c := newChannel(t, func(k *ChannelKey) { k.Delay = delay })
		c.open(10 * coin)
		v := c.voucher(4 * coin)
		if err := c.state().CheckVoucher(v, tvmtest.GlobalID, c.Balance(c.at).Uint64()); fault.FamilyOf(err) != fault.FamilyInput || !strings.Contains(err.Error(), "delay") {
			t.Errorf("delay %d: taken: %v", delay, err)
		}
		if err := c.state().CheckSettle(v, tvmtest.GlobalID, c.Balance(c.at).Uint64()); err != nil {
			t.Errorf("delay %d: %v", delay, err)
		}
		c.say(c.payee, &SettleVoucher{Voucher: v})
		if paid := c.state().Paid; paid != 4*coin {
			t.Errorf("delay %d: %d nano are paid", delay, paid)
		}
	}
}

// TestChannelDigests fixes the digests, as docs/spec/contracts-channel.md has them.
func TestChannelDigests(t *testing.T) {
	at := attestation.Address{Hash: [32]byte{0x11, 0x22}}
	refund := attestation.Address{Hash: [32]byte{0x33}}
	v := &Voucher{ChainID: -239, Channel: at, Amount: 1_500_000_000}
	r := &CloseRequest{ChainID: -239, Channel: at, Refund: refund, ValidUntil: 1_800_000_000}
	f := &FinalStatement{ChainID: -239, Channel: at, Refund: refund, Amount: 1_500_000_000}
	for want, got := range map[string][32]byte{
		"e5da8554565aeb5889a2da98af53ba6f428bbd44270f90be8c5aa73facca0e42": v.Digest(),
		"75cebd7e82be52d53b86515017e7eb8e9bc8b356eb8e16f2889332a3b0930269": r.Digest(),
		"2f5cdecf92af3a1698b8994705a7b75af287267aeef759ddec309a14cbc3745f": f.Digest(),
	} {
		if hex.EncodeToString(got[:]) != want {
			t.Errorf("digest is %x, want %s", got, want)
		}
	}
}

func TestChannelSigning(t *testing.T) {
	k := key("client")
	at, refund := attestation.Address{Hash: [32]byte{1}}, attestation.Address{Hash: [32]byte{2}}
	v, err := NewVoucher(k, 1, at, 5)
	if err != nil || v.Verify(pub(k)) != nil {
		t.Error(err)
	}
	r, err := NewCloseRequest(k, 1, at, refund, 5)
	if err != nil || r.Verify(pub(k)) != nil {
		t.Error(err)
	}
	f, err := NewFinalStatement(k, 1, at, refund, 0)
	if err != nil || f.Verify(pub(k)) != nil {
		t.Error(err)
	}
	for name, err := range map[string]error{
		"voucher, other key": v.Verify(pub(key("other"))), "request, other key": r.Verify(pub(key("other"))),
		"statement, other key": f.Verify(pub(key("other"))), "no key": v.Verify([32]byte{}),
	} {
		if e := (*fault.FalseError)(nil); !errors.As(err, &e) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := NewVoucher(k, 1, at, 0); err == nil {
		t.Error("a voucher over nothing")
	}
	if _, err := NewVoucher(k[:31], 1, at, 1); err == nil {
		t.Error("a voucher with a short key")
	}
	if _, err := NewVoucher(k, 1, attestation.Address{}, 1); err == nil {
		t.Error("a voucher for no channel")
	}
	if _, err := NewCloseRequest(k, 1, at, attestation.Address{}, 1); err == nil {
		t.Error("a refund to nowhere")
	}
	if _, err := NewFinalStatement(k, 1, at, attestation.Address{}, 1); err == nil {
		t.Error("a refund to nowhere")
	}
	for _, m := range []bodyMaker{&SettleVoucher{}, &StartClose{}, &CloseNow{}, &Deposit{}, &Deposit{Amount: 1<<62 + 1}} {
		if _, err := m.Body(); err == nil {
			t.Errorf("%T without content", m)
		}
	}
}

func body[T bodyMaker](m T) *cell.Cell {
	b, err := m.Body()
	if err != nil {
		panic(err)
	}
	return b
}

func TestChannelMessages(t *testing.T) {
	k, at := key("client"), attestation.Address{Hash: [32]byte{1}}
	if !roundTrip(t, &Deposit{3, 4}, body[*Deposit], ParseDeposit) ||
		!roundTrip(t, &FinishClose{3}, body[*FinishClose], ParseFinishClose) ||
		!roundTrip(t, &TakeOwed{3}, body[*TakeOwed], ParseTakeOwed) {
		t.Error("a message does not survive")
	}
	v, _ := NewVoucher(k, 7, at, 5)
	if m, err := ParseSettleVoucher(body(&SettleVoucher{2, v}), 7, at); err != nil || m.QueryID != 2 || *m.Voucher != *v {
		t.Errorf("settle is %+v: %v", m, err)
	}
	r, _ := NewCloseRequest(k, 7, at, at, 9)
	if m, err := ParseStartClose(body(&StartClose{2, r}), 7, at); err != nil || m.QueryID != 2 || *m.Request != *r {
		t.Errorf("start is %+v: %v", m, err)
	}
	f, _ := NewFinalStatement(k, 7, at, at, 9)
	if m, err := ParseCloseNow(body(&CloseNow{2, f}), 7, at); err != nil || m.QueryID != 2 || *m.Final != *f {
		t.Errorf("close is %+v: %v", m, err)
	}
	for _, c := range []*cell.Cell{body(&SettleVoucher{2, v}), body(&StartClose{2, r}), body(&CloseNow{2, f})} {
		n := c.BitsSize()
		for _, bad := range []*cell.Cell{
			build().MustStoreSlice(c.MustBeginParse().MustLoadSlice(n-1), n-1).EndCell(),
			build().MustStoreSlice(c.MustBeginParse().MustLoadSlice(n), n).MustStoreUInt(1, 1).EndCell(),
		} {
			_, e1 := ParseSettleVoucher(bad, 7, at)
			_, e2 := ParseStartClose(bad, 7, at)
			_, e3 := ParseCloseNow(bad, 7, at)
			if e1 == nil || e2 == nil || e3 == nil {
				t.Errorf("%d bits are read", bad.BitsSize())
			}
		}
	}
}

func TestParseChannelRefuses(t *testing.T) {
	k := ChannelKey{Node: attestation.Address{Hash: [32]byte{1}}, ClientKey: [32]byte{2}, Payout: attestation.Address{Hash: [32]byte{3}}, Delay: MinChannelDelay, Salt: [16]byte{4}}
	state := func(deposited, paid uint64, closeAt uint32, closed, refund bool) *cell.Cell {
		b := build().MustStoreUInt(deposited, 64).MustStoreUInt(paid, 64).MustStoreUInt(0, 64).MustStoreUInt(uint64(closeAt), 32).MustStoreBoolBit(closed)
		var to *attestation.Address
		if refund {
			to = &attestation.Address{Hash: [32]byte{5}}
		}
		return storeMaybeAddr(b, to).MustStoreRef(k.Cell()).EndCell()
	}
	if s, err := ParseChannel(state(5, 3, 9, false, true)); err != nil || s.Key != k || s.Left() != 2 || s.Refund == nil {
		t.Errorf("state is %+v: %v", s, err)
	}
	for name, c := range map[string]*cell.Cell{
		"nil": nil, "paid too much": state(3, 5, 0, false, false), "closing without refund": state(5, 3, 9, false, false),
		"closed without refund": state(5, 3, 0, true, false), "refund of an open one": state(5, 3, 0, false, true),
		"short key": build().MustStoreUInt(0, 64).EndCell(), "empty": build().EndCell(),
		"no state":       build().MustStoreRef(k.Cell()).EndCell(),
		"two references": build().MustStoreBuilder(state(5, 3, 9, false, true).ToBuilder()).MustStoreRef(k.Cell()).EndCell(),
	} {
		if _, err := ParseChannel(c); err == nil {
			t.Errorf("%s is read", name)
		}
	}
}

func TestChannelBadMessages(t *testing.T) {
	c := newChannel(t)
	c.open(coin)
	c.refusesBody(c.at, CodeUnknownMessage, c.anybody, coin, plain(opStake, 1).EndCell())
	c.refusesBody(c.at, CodeUnknownMessage, c.anybody, coin, build().MustStoreUInt(1, 1).EndCell())
	for _, m := range []*cell.Cell{body(&Deposit{1, 1}), body(&SettleVoucher{1, c.voucher(1)}), body(&StartClose{1, c.request()}),
		body(&CloseNow{1, c.final(1)}), body(&FinishClose{1}), body(&TakeOwed{1})} {
		n := m.BitsSize()
		bits := m.MustBeginParse().MustLoadSlice(n)
		c.refusesBody(c.at, 9, c.payee, coin, build().MustStoreSlice(bits, n-1).EndCell())
		c.refusesBody(c.at, 9, c.payee, coin, build().MustStoreSlice(bits, n).MustStoreUInt(0, 1).EndCell())
		c.refusesBody(c.at, 9, c.payee, coin, build().MustStoreSlice(bits, n).MustStoreRef(m).EndCell())
	}
	// Nothing comes from outside.
	if txs := c.SendExternal(c.at, body(&FinishClose{1})); txs[0].Accepted {
		t.Errorf("an external message is taken: %v", txs)
	}
}

func FuzzParseChannel(f *testing.F) {
	k := ChannelKey{Node: attestation.Address{Hash: [32]byte{1}}, Payout: attestation.Address{Hash: [32]byte{3}}}
	f.Add(k.Cell().ToBOC())
	f.Add(build().MustStoreUInt(5, 64).MustStoreUInt(3, 64).MustStoreUInt(0, 64+32+1+2).MustStoreRef(k.Cell()).EndCell().ToBOC())
	v, _ := NewVoucher(key("client"), 1, k.Node, 1)
	f.Add(body(&SettleVoucher{1, v}).ToBOC())
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := cell.FromBOC(b)
		if err != nil {
			return
		}
		if s, err := ParseChannel(c); err == nil {
			if s.Left() > s.Deposited {
				t.Error("more is left than was deposited")
			}
			_ = s.CheckVoucher(v, 1, 5)
			_ = s.CheckSettle(v, 1, 5)
			if s.Due(v.Amount, 5) > min(v.Amount, 5) {
				t.Error("more is due than was promised, or than there is")
			}
		}
		_, _ = ParseDeposit(c)
		_, _ = ParseSettleVoucher(c, 1, k.Node)
		_, _ = ParseStartClose(c, 1, k.Node)
		_, _ = ParseCloseNow(c, 1, k.Node)
		_, _ = ParseFinishClose(c)
		_, _ = ParseTakeOwed(c)
	})
}
