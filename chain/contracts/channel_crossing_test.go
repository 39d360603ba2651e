package contracts

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

// TestChannelCrossing is TestChannelRandom where messages cross and wait for up to
// three hours. A payee that looks at the channel every hour gets all that vouchers
// promised him before the last hours, however it was closed.
func TestChannelCrossing(t *testing.T) {
	seeds := uint64(20)
	if os.Getenv("COCOON_LONG") != "" {
		seeds = 3000
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			newCrossedWalk(t, seed).run()
		})
	}
}

type crossedWalk struct {
	*walk
	carrier
	promised []promisedVoucher
	agreed   bool // closed at once, by a statement of both
	bounces  uint64
}

// promisedVoucher is a voucher with the time when the payee got it.
type promisedVoucher struct {
	*Voucher
	at uint32
}

func newCrossedWalk(t *testing.T, seed uint64) *crossedWalk {
	w := &crossedWalk{walk: newWalk(t, seed)}
	w.carrier = carrier{
		world: w.World, seed: seed, rng: w.walk.rng, longest: []uint32{60, 3600, 3 * 3600}[seed%3], slow: seed % 50,
		beat: w.Now + 3600, duties: w.collect, arrive: w.deliver,
	}
	w.Hold()
	return w
}

func (w *crossedWalk) run() {
	for i := range 160 {
		w.carrier.rng = rand.New(rand.NewPCG(w.carrier.seed, uint64(i)+100))
		w.walk.rng = w.carrier.rng
		w.pass(w.someTime())
		if w.carrier.rng.IntN(3) != 0 {
			w.deliverOne()
			continue
		}
		known := len(w.vouchers)
		w.act()
		for _, v := range w.vouchers[known:] {
			w.promised = append(w.promised, promisedVoucher{v, w.Now})
		}
	}
	w.finish()
}

func (w *crossedWalk) deliver(r tvmtest.Route) {
	before := w.state()
	d := w.Deliver(r)
	after := w.state()
	if after.Paid < before.Paid || before.Closed && (!after.Closed || after.Paid != before.Paid) {
		w.t.Errorf("%+v became %+v", before, after)
	}
	if d.Bounced && d.To == w.at {
		w.bounces++
	}
	w.agreed = w.agreed || after.Closed && !before.Closed && d.Op() == opCloseNow
	w.check()
}

// collect has the payee bring the best voucher when the channel is being closed.
func (w *crossedWalk) collect() (next uint32) {
	s := w.state()
	var best *Voucher
	for _, p := range w.promised {
		if best == nil || p.Amount > best.Amount {
			best = p.Voucher
		}
	}
	if s.CloseAt != 0 && !s.Closed && best != nil && min(best.Amount, s.Deposited) > s.Paid {
		w.sendTo(w.at, w.payee, ValueChannel, &SettleVoucher{QueryID: uint64(w.Now), Voucher: best})
	}
	return 3600
}

// finish has all arrive, closes the channel, and counts.
func (w *crossedWalk) finish() {
	w.payee.Refuse = false
	w.drain()
	if s := w.state(); !s.Closed {
		if s.CloseAt == 0 {
			w.sendTo(w.at, w.anybody, ValueChannel, &StartClose{Request: w.request()})
			w.drain()
		}
		w.rest(max(w.state().CloseAt, w.Now) - w.Now)
		w.sendTo(w.at, w.anybody, ValueChannel, &FinishClose{})
		w.drain()
	}
	s := w.state()
	for _, p := range w.promised {
		if !w.agreed && p.at+w.longest+3600 < s.CloseAt && s.Paid < min(p.Amount, s.Deposited) {
			w.t.Errorf("of a voucher over %d, %d before the end, %d are paid", p.Amount, s.CloseAt-p.at, s.Paid)
		}
	}
	w.Release()
	w.walk.end()
	if got, lost := received(w.payee), 3_000_000*w.bounces+ValueChannel; got+lost < s.Paid {
		w.t.Errorf("payee got %d of %d", got, s.Paid)
	}
}
