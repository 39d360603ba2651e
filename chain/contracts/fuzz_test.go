package contracts

import (
	"testing"

	"github.com/google/go-tdx-guest/testing/testdata"
	"github.com/xssnick/tonutils-go/tvm/cell"
)

// seeds adds cells as seeds, and each cut short.
func seeds(f *testing.F, cells ...*cellT) {
	for _, c := range cells {
		b := c.ToBOC()
		f.Add(b)
		f.Add(b[:len(b)/2])
	}
}

// cellIn returns the cell in data; nil if there is none.
func cellIn(data []byte) *cellT {
	c, err := cell.FromBOC(data)
	if err != nil {
		return nil
	}
	return c
}

func FuzzParseNode(f *testing.F) {
	l := newLone(f)
	seeds(f, l.Data(l.node))
	l.stake(200_000_000_000)
	l.registerLone()
	good(f, l.SendExternal(l.node, l.anchor(5).Body()))
	l.registerLone()
	good(f, l.send(l.operator, ValueRegister, l.certified(l.heads())))
	seeds(f, l.Data(l.node))
	l.reportReceipts(l.anybody, 1)
	seeds(f, l.Data(l.node))
	c := newLogged(f, 40)
	c.publish()
	c.open()
	c.openLog(c.challengeLog(17, c.log.root(17)))
	seeds(f, c.Data(c.node))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := ParseNode(cellIn(data))
		if (s == nil) == (err == nil) {
			t.Fatalf("state %v with error %v", s, err)
		}
	})
}

func FuzzParseRoot(f *testing.F) {
	x := newFixture(f)
	x.register0(f)
	seeds(f, x.Data(x.root))
	x.govern(AddModel{[32]byte{1}, Model{"MIT", "https://models.example"}})
	x.govern(RevokePlatform{[32]byte{2}})
	seeds(f, x.Data(x.root))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := ParseRoot(cellIn(data))
		if (s == nil) == (err == nil) {
			t.Fatalf("state %v with error %v", s, err)
		}
		if err != nil {
			return
		}
		// What was read is written again without loss.
		c, err := s.Cell()
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseRoot(c)
		if err != nil {
			t.Fatal(err)
		}
		if d, _ := again.Cell(); string(d.Hash()) != string(c.Hash()) {
			t.Fatal("a state changes when it is read and written")
		}
	})
}

// register0 registers where the default parameters want a stake.
func (f *fixture) register0(t testing.TB) {
	f.stake(f.start.Params.MinStake)
	f.register()
}

func FuzzParseVerifier(f *testing.F) {
	x := newStaking(f)
	at, _ := x.verifierAt(0)
	seeds(f, VerifierKey{x.root, pub(x.verifier[0])}.Cell())
	x.stakeVerifier(0, x.operator, x.start.Params.MinStake, 0)
	seeds(f, x.Data(at))
	good(f, x.toVerifier(0, x.anybody, ValueVerifier, x.conflict(0)))
	seeds(f, x.Data(at))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := ParseVerifier(cellIn(data))
		if (s == nil) == (err == nil) {
			t.Fatalf("state %v with error %v", s, err)
		}
	})
}

func FuzzParseMessages(f *testing.F) {
	l := newLone(f)
	good(f, l.send(l.operator, ValueRegister, l.certified(l.heads())))
	question, answer := l.rootActor.Last().Body, l.answer()
	good(f, l.say(answer))
	good(f, l.send(l.anybody, ValueCheck, &Recheck{}))
	a := l.anchor(4)
	seeds(f, question, answer.Body(), l.rootActor.Last().Body, l.comfort().Body(), a.Body(), internal(a).AnchorInternal.Body(),
		build().MustStoreUInt(opDone, 32).MustStoreUInt(5, 64).MustStoreUInt(3, 16).EndCell(), plain(opPayout, 4).EndCell(), DefaultParams().Cell())
	seeds(f, (&Unlist{Code: 5, Requester: l.operator.Address, Key: NodeKey{l.root, l.operator.Address, 7}}).Body(), (&CountVerifier{Stake: 3, Leaving: 4}).Body(), (&VerifierCounted{Code: CodeStake, Window: 5}).Body())
	for _, a := range everyAction() {
		c, err := ActionCell(a)
		if err != nil {
			f.Fatal(err)
		}
		seeds(f, c)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c := cellIn(data)
		if m, err := ParseCheckRegistration(c); err == nil && string(m.Body().Hash()) != string(c.Hash()) {
			t.Error("a question changes when it is read and written")
		}
		if m, err := ParseCheckCurrent(c); err == nil && string(m.Body().Hash()) != string(c.Hash()) {
			t.Error("a question changes when it is read and written")
		}
		if m, err := ParseUnlist(c); err == nil && string(m.Body().Hash()) != string(c.Hash()) {
			t.Error("a word to Root changes when it is read and written")
		}
		if m, err := ParseRegistrationAnswer(c); err == nil && string(m.Body().Hash()) != string(c.Hash()) {
			t.Error("an answer changes when it is read and written")
		}
		if m, err := ParseCurrentChecked(c); err == nil && string(m.Body().Hash()) != string(c.Hash()) {
			t.Error("an answer changes when it is read and written")
		}
		if m, err := ParseCountVerifier(c); err == nil && string(m.Body().Hash()) != string(c.Hash()) {
			t.Error("a verifier's question changes when it is read and written")
		}
		if m, err := ParseVerifierCounted(c); err == nil && string(m.Body().Hash()) != string(c.Hash()) {
			t.Error("an answer to a verifier changes when it is read and written")
		}
		if a, err := ParseAction(c); err == nil {
			if d, err := ActionCell(a); err == nil && string(d.Hash()) != string(c.Hash()) {
				t.Errorf("%T changes when it is read and written", a)
			}
		}
		if p, err := ParseParams(c); err == nil && string(p.Cell().Hash()) != string(c.Hash()) {
			t.Error("parameters change when they are read and written")
		}
		ParseDone(c)
		ParsePayout(c)
		ParseAnchorMessage(c)
		NodeEventOf(c)
	})
}

func FuzzReadQuote(f *testing.F) {
	f.Add(testdata.RawQuote)
	m := newFixture(f)
	f.Add(mint(f, m.intel, testTD()))
	td := testTD()
	td.Version = 5
	f.Add(mint(f, m.intel, td))
	f.Fuzz(func(t *testing.T, quote []byte) {
		info, err := ReadQuote(quote)
		if (info == nil) == (err == nil) {
			t.Fatalf("facts %v with error %v", info, err)
		}
		QuoteCells(quote)
		TDReportCells(quote)
	})
}
