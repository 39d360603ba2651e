package tvmtest

import (
	"math/big"
	"slices"

	"github.com/xssnick/tonutils-go/tlb"
	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
)

// Route is the way from one account to another. On it messages keep their order;
// between routes there is none.
type Route struct {
	From attestation.Address // zero: from outside of the chain
	To   attestation.Address
}

// Flight is a message on its way.
type Flight struct {
	Route
	Sent    uint32 // the world's clock then
	Value   uint64
	Bounced bool
	Body    *cell.Cell
	fee     *big.Int // of forwarding; paid by the sender already
	msg     *cell.Cell
}

// Op returns the first 32 bits of the body, of a bounced one those of the message
// that came back; 0 if there are none.
func (f *Flight) Op() uint32 {
	s := f.Body.MustBeginParse()
	if f.Bounced && s.BitsLeft() >= 64 {
		s.MustLoadUInt(32)
	}
	if s.BitsLeft() < 32 {
		return 0
	}
	return uint32(s.MustLoadUInt(32))
}

// Delivery is what came of one message.
type Delivery struct {
	Flight
	Tx     *Tx      // nil: an actor took it
	Caused []Flight // in the order in which they left
}

// Hold ends the deliveries that [Actor.Send] and [World.SendExternal] make: from
// now on messages wait for [World.Deliver], those that follow from them too.
func (w *World) Hold() { w.hold = true }

// Waiting returns the first message of every route that has one, those sent first
// before others.
func (w *World) Waiting() (out []Flight) {
	for _, f := range w.queue {
		if !slices.ContainsFunc(out, func(o Flight) bool { return o.Route == f.Route }) {
			out = append(out, f)
		}
	}
	return out
}

// OnRoute returns all that waits on a route, in order.
func (w *World) OnRoute(r Route) (out []Flight) {
	for _, f := range w.queue {
		if f.Route == r {
			out = append(out, f)
		}
	}
	return out
}

// Deliver delivers the first message of a route; it fails the test if there is
// none.
func (w *World) Deliver(r Route) Delivery {
	w.T.Helper()
	i := slices.IndexFunc(w.queue, func(f Flight) bool { return f.Route == r })
	if i < 0 {
		w.T.Fatalf("no message from %s to %s", r.From, r.To)
	}
	d := Delivery{Flight: w.queue[i]}
	w.queue = slices.Delete(w.queue, i, i+1)
	n := len(w.queue)
	if a := w.actors[r.To]; a != nil {
		w.deliver(a, d.Flight)
	} else {
		tx := w.execute(d.Flight)
		d.Tx = &tx
	}
	d.Caused = slices.Clone(w.queue[n:])
	w.CheckConservation()
	return d
}

// enqueue puts a message on its way.
func (w *World) enqueue(msg *cell.Cell) {
	var m tlb.Message
	if err := tlb.Parse(&m, msg); err != nil {
		w.T.Fatal(err)
	}
	f := Flight{Sent: w.Now, fee: new(big.Int), msg: msg}
	if m.MsgType == tlb.MsgTypeExternalIn {
		e := m.AsExternalIn()
		f.To, f.Body = fromAddr(e.DstAddr), e.Body
	} else {
		i := m.AsInternal()
		f.Route = Route{fromAddr(i.SrcAddr), fromAddr(i.DstAddr)}
		f.Value, f.fee, f.Bounced, f.Body = i.Amount.Nano().Uint64(), i.FwdFee.Nano(), i.Bounced, i.Body
	}
	w.queue = append(w.queue, f)
}

// inFlight returns the coins on the way.
func (w *World) inFlight() *big.Int {
	sum := new(big.Int)
	for _, f := range w.queue {
		sum.Add(sum, f.fee).Add(sum, new(big.Int).SetUint64(f.Value))
	}
	return sum
}

// Release delivers all that waits, in the order in which it was sent, and from now
// on what is sent at once.
func (w *World) Release() []Tx {
	w.T.Helper()
	w.hold = false
	return w.run()
}
