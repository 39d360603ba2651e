package contracts

import (
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/cocoon-go/cocoon/attestation/receipt"
	"github.com/cocoon-go/cocoon/attestation/translog"
	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

// sameLeaves is the stored hashes of a log of equal leaves, of any size.
func sameLeaves(leaf [32]byte) (u uniform) {
	u[0] = leaf
	for i := 1; i < len(u); i++ {
		u[i] = tlog.NodeHash(u[i-1], u[i-1])
	}
	return u
}

// faultPaths are reports and challenges.
func (m *meter) faultPaths() {
	f := m.newTypical()
	holder := f.Actor("holder", 10*coin)
	f.register()
	bond := f.start.Params.ChallengeBond
	open := func(name string, c bodyMaker) [32]byte {
		if name == "" { // measured already
			good(f.t, f.send(f.anybody, ValueChallenge+bond, c))
		} else {
			m.send(f, name, f.node, f.anybody, ValueChallenge, int64(bond), c)
		}
		return f.openChallenge()
	}
	for _, l := range []struct {
		levels       string
		size         uint64
		receipt, log string
	}{{"20", 1 << 20, "challenge-receipt", "challenge-log"}, {"30", 1 << 30, "", ""}, {"48", translog.MaxSize - 10, "", ""}} {
		// The log holds the receipt in every place, so it is in the right one too.
		c := f.challengeOf(holder, l.size/3)
		u := sameLeaves(c.ID())
		f.publish(u, l.size)
		id := open(l.receipt, c)
		m.send(f, "inclusion-"+l.levels, f.node, f.anybody, ValueAnswer, 0, &Answer{QueryID: 1, Challenge: id, Proof: u.inclusion(f.t, l.size/3, l.size)})

		old := l.size/2 - 1 // nearly twice as many hashes as levels count
		id = open(l.log, &ChallengeLog{QueryID: 1, Head: f.head(u, old), Other: ptr(f.head(u, l.size))})
		m.send(f, "consistency-"+l.levels, f.node, f.anybody, ValueAnswer, 0, &Answer{QueryID: 1, Challenge: id, Proof: u.consistency(f.t, old, l.size)})
	}
	// No anchor covers this one when it is challenged.
	late := uint64(translog.MaxSize - 5)
	c := f.challengeOf(holder, late)
	u := sameLeaves(c.ID())
	id := open("", c)
	f.publish(u, translog.MaxSize-1)
	m.send(f, "inclusion-late-48", f.node, f.anybody, ValueAnswer, 0, &Answer{QueryID: 1, Challenge: id, Proof: u.inclusion(f.t, late, translog.MaxSize-1)})

	id = open("", f.challengeOf(holder, 7))
	m.path(f.World, "settle", ValueReport, amount(0), func() []tvmtest.Tx {
		f.Now += f.start.Params.AnswerWindow + 1
		return f.send(f.anybody, ValueReport, &Settle{QueryID: 1, Challenge: id})
	})
	m.path(f.World, "withdraw-credit", ValueSmall, amount(-int64(f.nodeState().Book.Credits[holder.Address])), func() []tvmtest.Tx {
		return f.send(holder, ValueSmall, &Withdraw{QueryID: 1})
	})

	f = m.newTypical()
	f.register()
	m.send(f, "report-receipts", f.node, f.anybody, ValueReport, 0, f.twoReceipts(1, 3))
	m.send(f, "report-heads", f.node, f.anybody, ValueReport, 0, f.twoHeads(1, 17))
}

// openChallenge is the id of the only challenge that is open.
func (f *fixture) openChallenge() [32]byte {
	f.t.Helper()
	for id := range f.nodeState().Book.Challenges {
		return id
	}
	f.t.Fatal("no challenge is open")
	return [32]byte{}
}

func (u uniform) inclusion(t testing.TB, index, size uint64) [][32]byte {
	t.Helper()
	p, err := tlog.ProveRecord(int64(size), int64(index), u)
	if err != nil {
		t.Fatal(err)
	}
	return hashes(p)
}

func (u uniform) consistency(t testing.TB, old, size uint64) [][32]byte {
	t.Helper()
	p, err := tlog.ProveTree(int64(size), int64(old), u)
	if err != nil {
		t.Fatal(err)
	}
	return hashes(p)
}

// head signs a head of a log of equal leaves.
func (f *fixture) head(u uniform, size uint64) SignedHead {
	f.t.Helper()
	root, err := tlog.TreeHash(int64(size), u)
	if err != nil {
		f.t.Fatal(err)
	}
	a := Anchor{Epoch: f.nodeState().Epoch, Size: size, Root: root}
	return SignedHead{a, f.signAnchor(a)}
}

// publish anchors it by whoever pays.
func (f *fixture) publish(u uniform, size uint64) {
	f.t.Helper()
	h := f.head(u, size)
	good(f.t, f.send(f.anybody, ValueSmall, internal(&AnchorExternal{h.Anchor, h.Signature})))
}

// challengeOf is a holder's challenge of the receipt with an index.
func (f *fixture) challengeOf(holder *tvmtest.Actor, index uint64) *ChallengeReceipt {
	e := f.nodeState().Epoch
	h := f.receiptHead(e, index, 1)
	h.Time = f.Now - f.start.Params.MergeDelay
	h.Holder = receipt.Holder(pub(key("holder")))
	c := &ChallengeReceipt{QueryID: 1, ChainID: tvmtest.GlobalID, Payout: holder.Address, Head: *h}
	c.SignReceipt = signHead(h, e)
	c.Sign(key("holder"))
	return c
}
