package contracts

import (
	"crypto/ed25519"
	"encoding/hex"
	"testing"

	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/sim"
	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

// lone is a node whose Root and Platform are parties of the test: it sees every
// question and gives any answer.
type lone struct {
	*fixture
	rootActor, platform *tvmtest.Actor
	params              Params
}

func newLone(t testing.TB) *lone {
	t.Helper()
	l := &lone{fixture: &fixture{World: tvmtest.New(t), t: t}, params: DefaultParams()}
	l.rootActor = l.Actor("root", 1000*tvmtest.Coin)
	l.operator, l.anybody = l.Actor("operator", 10000*tvmtest.Coin), l.Actor("anybody", 10000*tvmtest.Coin)
	for _, n := range []string{"a", "b", "c", "d"} {
		l.verifier = append(l.verifier, key("verifier "+n))
	}
	l.verifiers.Number = 1
	var err error
	if l.verifiers.Quorum, err = NewQuorum(3, publics(l.verifier)...); err != nil {
		t.Fatal(err)
	}
	l.intel = platform(t, "machine", sim.IntelOptions{})
	l.root = l.rootActor.Address
	var at attestation.Address
	if at, _, err = PlatformAddress(l.root, [32]byte{0xee}); err != nil { // of what certified vouches for
		t.Fatal(err)
	}
	l.platform = l.ActorAt(at, 1000*tvmtest.Coin)
	var si *cell.Cell
	if l.node, si, err = NodeAddress(l.root, l.operator.Address, 7); err != nil {
		t.Fatal(err)
	}
	good(t, l.operator.Send(tvmtest.Message{To: l.node, Value: tvmtest.Coin, StateInit: si}))
	return l
}

// question returns what the node asked Root last, about a registration.
func (l *lone) question() *CheckRegistration {
	l.t.Helper()
	q, err := ParseCheckRegistration(l.rootActor.Last().Body)
	if err != nil {
		l.t.Fatal(err)
	}
	return q
}

// answer returns the yes to the last question about a registration.
func (l *lone) answer() *RegistrationAnswer {
	l.t.Helper()
	q := l.question()
	return &RegistrationAnswer{LT: q.LT, Expires: min(q.NotAfter, l.Now+l.params.RegistrationValidity), Params: l.params}
}

// doubt returns what the node asked Root last, about the current registration.
func (l *lone) doubt() *CheckCurrent {
	l.t.Helper()
	q, err := ParseCheckCurrent(l.rootActor.Last().Body)
	if err != nil {
		l.t.Fatal(err)
	}
	return q
}

// comfort returns Root's yes to the last question about the current registration.
func (l *lone) comfort() *CurrentChecked {
	l.t.Helper()
	q := l.doubt()
	return &CurrentChecked{LT: q.LT, Purpose: q.Purpose, QueryID: q.QueryID, Requester: q.Requester, Params: l.params}
}

// say sends Root's answer with what the question brought.
func (l *lone) say(a interface{ Body() *cell.Cell }) []tvmtest.Tx {
	l.t.Helper()
	return l.from(l.rootActor, a.Body())
}

// from sends a contract's message, unbounceable as theirs are.
func (l *lone) from(who *tvmtest.Actor, body *cell.Cell) []tvmtest.Tx {
	l.t.Helper()
	return who.Send(tvmtest.Message{To: l.node, Value: 40_000_000, Body: body})
}

// certified returns a good mode B registration for the heads.
func (f *fixture) certified(h *attestation.Heads, edit ...func(*Certificate)) *RegisterQuorum {
	f.t.Helper()
	c := NewCertificate(h)
	c.Kind, c.PlatformID, c.Expiry, c.Set = KindSNP, [32]byte{0xee}, f.Now+10*day, f.verifiers.Number
	c.Measurement = snpMeasurement
	for _, e := range edit {
		e(&c)
	}
	f.query++
	return &RegisterQuorum{QueryID: f.query, Heads: h, Certificate: c, Verifiers: f.verifiers, Approvals: f.approve(c.Digest(), 0, 1, 2)}
}

// snpMeasurement is the measurement of mode B that fixtures list.
var snpMeasurement = [32]byte{0x5e, 0x0b}

// approve signs a digest by these verifiers.
func (f *fixture) approve(d [32]byte, who ...int) Approvals {
	f.t.Helper()
	a := Approvals{}
	for _, i := range who {
		a[uint8(i)] = [64]byte(ed25519.Sign(f.verifier[i], d[:]))
	}
	return a
}

// registerLone registers the next epoch by mode B, confirmed without a Platform.
func (l *lone) registerLone() {
	l.t.Helper()
	good(l.t, l.send(l.operator, ValueRegister, l.certified(l.heads())))
	good(l.t, l.say(l.answer()))
	done(l.t, l.operator, 0)
}

// stake adds coins to the node's stake.
func (f *fixture) stake(nano uint64) {
	f.t.Helper()
	good(f.t, f.send(f.operator, nano+ValueSmall, &Stake{QueryID: 1}))
}

// refuses fails the test unless the message is refused with code, bounced, and
// changes nothing in the contract.
func (f *fixture) refuses(code int, from *tvmtest.Actor, value uint64, m bodyMaker) {
	f.t.Helper()
	b, err := m.Body()
	if err != nil {
		f.t.Fatal(err)
	}
	f.refusesBody(f.node, code, from, value, b)
}

func (f *fixture) refusesBody(to attestation.Address, code int, from *tvmtest.Actor, value uint64, body *cell.Cell) {
	f.t.Helper()
	data, letters := f.Data(to), len(from.Inbox)
	txs := from.Send(tvmtest.Message{To: to, Value: value, Bounce: true, Body: body})
	refused(f.t, txs, code)
	if !tvmtest.Equal(data, f.Data(to)) {
		f.t.Error("a message that was refused changed the state")
	}
	if len(txs) != 1 || len(from.Inbox) != letters+1 || !from.Last().Bounced {
		f.t.Errorf("a message that was refused did not come back: %v", txs)
	}
}

// puppet is a contract that anybody can make send anything. A Root that lists
// its code takes it for a Node or a Platform.
var puppet = func() *cell.Cell {
	// recv_internal: DROP (selector), LDREF, DROP, PUSHINT 64, SENDRAWMSG
	b, err := hex.DecodeString("ff0030d4308040fb00")
	if err != nil {
		panic(err)
	}
	return build().MustStoreSlice(b, uint(8*len(b))).EndCell()
}()

// newPuppet deploys a puppet with the given initial data.
func (f *fixture) newPuppet(data *cell.Cell) attestation.Address {
	f.t.Helper()
	a, si := place(puppet, data)
	// The first message has nothing to send on; its bounce is not asked for.
	f.anybody.Send(tvmtest.Message{To: a, Value: tvmtest.Coin, StateInit: si})
	if f.Data(a) == nil {
		f.t.Fatal("puppet is not deployed")
	}
	return a
}

// pull makes a puppet send a message with what comes in.
func (f *fixture) pull(p, to attestation.Address, value uint64, body *cell.Cell) []tvmtest.Tx {
	f.t.Helper()
	// int_msg_info$0 without ihr, bounceable, source none; destination; then
	// value, extra currencies, fees, times and init all zero; body as a reference.
	msg := storeAddr(build().MustStoreUInt(0b0110_00, 6), to).MustStoreUInt(0, 4+1+4+4+64+32+1).
		MustStoreBoolBit(true).MustStoreRef(body).EndCell()
	return f.anybody.Send(tvmtest.Message{To: p, Value: value, Bounce: true, Body: build().MustStoreRef(msg).EndCell()})
}

// rawBody is a message body that was made elsewhere.
type rawBody struct{ c *cell.Cell }

func (r *rawBody) Body() (*cell.Cell, error) { return r.c, nil }
