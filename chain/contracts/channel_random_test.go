package contracts

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

// TestChannelRandom lets everybody send anything in any order, and checks after
// each message that no coin is lost (the world does), that the payee never gets
// more than the largest voucher or the deposit, and that the channel holds what
// it owes. At the end it can always be closed, and client and payee have what is
// theirs.
func TestChannelRandom(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { newWalk(t, seed).run() })
	}
}

type walk struct {
	*channel
	rng      *rand.Rand
	largest  uint64 // voucher that was brought
	vouchers []*Voucher
}

func newWalk(t *testing.T, seed uint64) *walk {
	w := &walk{channel: newChannel(t), rng: rand.New(rand.NewPCG(seed, 1))}
	w.open(uint64(1+w.rng.IntN(20)) * coin)
	return w
}

func (w *walk) run() {
	for range 40 {
		w.step()
		w.check()
	}
	w.end()
}

// step lets time go by and sends one message.
func (w *walk) step() {
	w.Now += uint32(w.rng.IntN(day))
	w.act()
}

// act sends one message. Whether it is taken is the contract's business.
func (w *walk) act() {
	actors := []*tvmtest.Actor{w.funder, w.payee, w.anybody}
	from := actors[w.rng.IntN(len(actors))]
	w.payee.Refuse = w.rng.IntN(4) == 0
	value := ValueChannel
	if w.rng.IntN(5) == 0 {
		value = uint64(w.rng.IntN(2 * coin))
	}
	var m bodyMaker
	switch w.rng.IntN(12) {
	case 0, 1:
		d := &Deposit{Amount: uint64(1 + w.rng.IntN(coin))}
		m, value = d, d.Value()
	case 2, 3, 4:
		v := w.voucher(uint64(1 + w.rng.IntN(25*coin)))
		w.vouchers = append(w.vouchers, v)
		w.largest = max(w.largest, v.Amount)
		m = &SettleVoucher{Voucher: v}
	case 5:
		if len(w.vouchers) > 0 {
			m = &SettleVoucher{Voucher: w.vouchers[w.rng.IntN(len(w.vouchers))]}
		} else {
			m = &FinishClose{}
		}
	case 6:
		v := w.voucher(uint64(1 + w.rng.IntN(25*coin)))
		v.Amount++
		m = &SettleVoucher{Voucher: v}
	case 7:
		if w.rng.IntN(3) == 0 {
			m = &StartClose{Request: w.request()}
		} else {
			m = &TakeOwed{}
		}
	case 8:
		f := w.final(uint64(1 + w.rng.IntN(25*coin)))
		if w.rng.IntN(6) != 0 {
			f.Signature[0] ^= 1
		} else if from == w.payee {
			w.largest = max(w.largest, f.Amount)
		}
		m = &CloseNow{Final: f}
	case 9:
		m = &FinishClose{}
	case 10:
		m = &TakeOwed{}
	case 11:
		from.Send(tvmtest.Message{To: w.at, Value: value, Bounce: w.rng.IntN(2) == 0})
		return
	}
	w.sendTo(w.at, from, min(value, from.Balance.Uint64()), m)
}

func (w *walk) check() {
	w.t.Helper()
	s := w.state()
	if s.Paid > min(w.largest, s.Deposited) {
		w.t.Fatalf("paid %d of vouchers over %d and a deposit of %d", s.Paid, w.largest, s.Deposited)
	}
	if got := received(w.payee); got+s.Owed > s.Paid {
		w.t.Fatalf("payee got %d and is owed %d, paid are %d", got, s.Owed, s.Paid)
	}
	storage := uint64(1_000_000) // of the walk's days
	have := w.Balance(w.at).Uint64() + storage
	if !s.Closed && have < s.Left()+s.Owed+ChannelReserve || have < s.Owed {
		w.t.Fatalf("channel holds %d: %+v", have, s)
	}
}

// end closes the channel by the client's will alone.
func (w *walk) end() {
	w.t.Helper()
	w.payee.Refuse = false
	if s := w.state(); !s.Closed {
		if s.CloseAt == 0 {
			w.say(w.anybody, &StartClose{Request: w.request()})
		}
		w.Now = max(w.Now, w.state().CloseAt)
		w.say(w.anybody, &FinishClose{})
	}
	s := w.state()
	if s.Owed > 0 && w.Balance(w.at).Sign() != 0 { // storage may have taken it
		w.say(w.payee, &TakeOwed{})
	}
	if w.Balance(w.at).Sign() != 0 {
		w.sendTo(w.at, w.anybody, ValueChannel, &FinishClose{})
	}
	if w.Balance(w.at).Sign() != 0 {
		w.t.Errorf("%s are left in the channel", w.Balance(w.at))
	}
	if got := received(w.refund); got+5_000_000 < s.Deposited-s.Paid+ChannelReserve {
		w.t.Errorf("client got %d back: %+v", got, s)
	}
	if got := received(w.payee); got+80_000_000 < s.Paid {
		w.t.Errorf("payee got %d of %d", got, s.Paid)
	}
}
