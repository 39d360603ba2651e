package contracts

import (
	"testing"

	"github.com/xssnick/tonutils-go/tlb"
	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

// decision returns the next decision of the registry.
func (f *fixture) decision(a Action) Decision {
	f.t.Helper()
	return Decision{ChainID: tvmtest.GlobalID, Root: f.root, Number: f.rootState().NextProposal, Expiry: f.Now + day, Action: a}
}

// approved returns it approved by the first two governors.
func (f *fixture) approved(d Decision) *Govern {
	f.t.Helper()
	digest, err := d.Digest()
	if err != nil {
		f.t.Fatal(err)
	}
	f.query++
	m := &Govern{QueryID: f.query, Decision: d, Approvals: Approvals{}}
	for _, k := range f.governors[:2] {
		if err := m.Approvals.Sign(f.governance, k, digest); err != nil {
			f.t.Fatal(err)
		}
	}
	return m
}

// govern brings a decision; it must be taken.
func (f *fixture) govern(a Action) []tvmtest.Tx {
	f.t.Helper()
	txs := good(f.t, f.sendTo(f.root, f.anybody, ValueGovern, f.approved(f.decision(a))))
	done(f.t, f.anybody, 0)
	return txs
}

// execute carries out a proposal, or is refused with code.
func (f *fixture) execute(number uint32, code int) {
	f.t.Helper()
	m := &Execute{QueryID: 5, Number: number}
	if code != 0 {
		b, _ := m.Body()
		f.refusesBody(f.root, code, f.anybody, ValueGovern, b)
		return
	}
	good(f.t, f.sendTo(f.root, f.anybody, ValueGovern, m))
	done(f.t, f.anybody, 0)
}

// refusesAtRoot fails the test unless Root refuses the message.
func (f *fixture) refusesAtRoot(code int, value uint64, m bodyMaker) {
	f.t.Helper()
	b, err := m.Body()
	if err != nil {
		f.t.Fatal(err)
	}
	f.refusesBody(f.root, code, f.anybody, value, b)
}

// messageBody returns the body of an internal message.
func messageBody(t testing.TB, boc []byte) *cellT {
	t.Helper()
	c, err := cell.FromBOC(boc)
	if err != nil {
		t.Fatal(err)
	}
	var m tlb.Message
	if err := tlb.Parse(&m, c); err != nil {
		t.Fatal(err)
	}
	return m.AsInternal().Body
}
