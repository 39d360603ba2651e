package contracts

import (
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

// sample is a message of people, and where it goes.
type sample struct {
	to      attestation.Address
	message any
	body    *cell.Cell
}

// everySent returns at least one of each message that [ParseSent] reads.
func everySent(t testing.TB) (out []sample) {
	l := newLogged(t, 40)
	l.publish()
	f := newFixture(t, noStake)
	f.setProfile()
	f.stakeVerifier(0, f.anybody, tvmtest.Coin, 0)
	verifier, _ := f.verifierAt(0)
	add := func(to attestation.Address, messages ...bodyMaker) {
		for _, m := range messages {
			out = append(out, sample{to, m, mustBody(t, m)})
		}
	}
	a := internal(l.anchor(50)).AnchorInternal
	out = append(out, sample{l.node, &a, a.Body()})
	two := &ChallengeLog{Head: l.signedHead(1, 30, l.log.root(30)), Other: ptr(l.signedHead(1, 8, l.log.root(8)))}
	add(f.node, f.registration(f.heads()), f.again(f.heads()))
	add(l.node, l.certified(l.heads()),
		&SetProfile{QueryID: 1, Profile: Profile{2, 3, "http://node.example"}}, &Stake{4}, &Unbond{5, 6}, &Withdraw{7, 8}, &Retire{9}, &Recheck{10},
		l.twoHeads(1, 3), l.twoReceipts(1, 3), l.challenge(), l.challengeLog(7, l.log.root(7)), two, &Settle{11, [32]byte{12}})
	for _, n := range []int{0, 1, 3, 4, 64} {
		proof := make([][32]byte, n)
		for i := range proof {
			proof[i][0] = byte(i + 1)
		}
		if n == 0 {
			proof = nil
		}
		add(l.node, &Answer{QueryID: 13, Challenge: [32]byte{14}, Proof: proof})
	}
	for _, action := range everyAction() {
		add(f.root, f.approved(f.decision(action)))
	}
	add(f.root, &Execute{15, 16}, &Prune{17, [32]byte{18}, 19})
	add(l.node, &RenewPlatform{20})
	add(verifier, f.stakeBy(0, f.anybody), &LeaveVerifiers{21}, &RefreshVerifier{22}, &WithdrawVerifier{23}, f.conflict(0))
	return out
}

// TestParseSent reads what the builders write.
func TestParseSent(t *testing.T) {
	read := map[uint64]bool{}
	for _, s := range everySent(t) {
		got, err := ParseSent(s.body, tvmtest.GlobalID, s.to)
		if err != nil {
			t.Errorf("%T: %v", s.message, err)
			continue
		}
		read[s.body.MustBeginParse().MustLoadUInt(32)] = true
		again := writeSent(t, got)
		if again == nil || !tvmtest.Equal(again, s.body) {
			t.Errorf("%T changes when it is read and written", s.message)
		}
		switch got.(type) {
		case *RegisterTDX, *RegisterTDXAgain: // hold cells, which remember more than they are
		default:
			if !reflect.DeepEqual(got, s.message) {
				t.Errorf("%T\n%+v is read as\n%+v", s.message, s.message, got)
			}
		}
	}
	for op := range sent {
		if !read[op] {
			t.Errorf("%#x is not tried", op)
		}
	}
}

// writeSent builds a message that was read; nil where the builder refuses it.
func writeSent(t testing.TB, m any) *cell.Cell {
	switch m := m.(type) {
	case *AnchorInternal:
		return m.Body()
	case bodyMaker:
		c, err := m.Body()
		if err != nil {
			return nil
		}
		return c
	}
	t.Fatalf("%T can't be written", m)
	return nil
}

// TestParseSentRefuses: every message with a bit or a reference more or less than it
// has, anywhere, is bad input.
func TestParseSentRefuses(t *testing.T) {
	for _, s := range everySent(t) {
		root := treeOf(s.body)
		opaque := map[*tree]bool{} // cells that are kept as they came
		switch s.message.(type) {
		case *RegisterTDX:
			root.refs[2].walk("", func(_ string, c *tree) { opaque[c] = true })
		case *RegisterTDXAgain:
			root.refs[2].walk("", func(_ string, c *tree) { opaque[c] = true })
			root.refs[3].walk("", func(_ string, c *tree) { opaque[c] = true })
		}
		root.walk("", func(_ string, c *tree) {
			if opaque[c] {
				return
			}
			bits, refs := c.bits, c.refs
			for name, edit := range map[string]func(){
				"a bit more":       func() { c.bits = append(bits[:len(bits):len(bits)], 1) },
				"a bit less":       func() { c.bits = bits[:max(len(bits)-1, 0)] },
				"a reference more": func() { c.refs = append(refs[:len(refs):len(refs)], &tree{}) },
				"a reference less": func() { c.refs = refs[:max(len(refs)-1, 0)] },
			} {
				if edit(); len(c.bits) > 1023 || len(c.refs) > 4 || len(c.bits) == len(bits) && len(c.refs) == len(refs) {
					c.bits, c.refs = bits, refs
					continue
				}
				got, err := ParseSent(root.cell(), tvmtest.GlobalID, s.to)
				if err == nil && tvmtest.Equal(writeSent(t, got), s.body) || err != nil && attestation.ExitCode(err) != 1 {
					t.Errorf("%T with %s: %v", s.message, name, err)
				}
				if err == nil && !tvmtest.Equal(writeSent(t, got), root.cell()) {
					t.Errorf("%T with %s is read as another message", s.message, name)
				}
				c.bits, c.refs = bits, refs
			}
		})
	}
	for name, c := range map[string]*cell.Cell{
		"nothing":     nil,
		"empty":       build().EndCell(),
		"other kind":  plain(0xc0c00999, 1).EndCell(),
		"a channel's": plain(opDeposit, 1).MustStoreUInt(1, 64).EndCell(),
		"no end of approvals": plain(opGovern, 1).MustStoreUInt(0, 64).MustStoreRef(mustAction(t, Pause{})).
			MustStoreRef(longList(MaxQuorum + 1)).EndCell(),
		"approvals out of order": plain(opGovern, 1).MustStoreUInt(0, 64).MustStoreRef(mustAction(t, Pause{})).
			MustStoreRef(approvalCell(1, approvalCell(1, nil))).EndCell(),
		"a long proof": plain(opAnswer, 1).MustStoreUInt(0, 256).MustStoreRef(proofCell(make([][32]byte, 65))).EndCell(),
		"an empty cell behind a proof": plain(opAnswer, 1).MustStoreUInt(0, 256).
			MustStoreRef(build().MustStoreSlice(make([]byte, 96), 768).MustStoreRef(build().EndCell()).EndCell()).EndCell(),
	} {
		if m, err := ParseSent(c, tvmtest.GlobalID, attestation.Address{}); attestation.ExitCode(err) != 1 || m != nil {
			t.Errorf("%s: %v, %v", name, m, err)
		}
	}
}

func mustAction(t *testing.T, a Action) *cell.Cell {
	c, err := ActionCell(a)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func approvalCell(index uint64, next *cell.Cell) *cell.Cell {
	return build().MustStoreUInt(index, 8).MustStoreSlice(make([]byte, 64), 512).MustStoreMaybeRef(next).EndCell()
}

// longList is a list of n approvals in ascending order.
func longList(n int) (list *cell.Cell) {
	for i := n - 1; i >= 0; i-- {
		list = approvalCell(uint64(i), list)
	}
	return list
}

// TestEveryMessageIsRead: each message of the schema has a parser, here or of its own.
func TestEveryMessageIsRead(t *testing.T) {
	own := map[uint64]bool{}
	for _, op := range []uint64{
		opDone, opPayout, opCheckRegistration, opClaimSlot, opRegistrationAnswer, opCheckCurrent, opCurrentChecked, opUnlist, opReleaseSlot,
		opPlatformHello, opPlatformWelcome, opPlatformRevoke, opCountVerifier, opVerifierCounted,
		opDeposit, opSettleVoucher, opStartClose, opCloseNow, opFinishClose, opTakeOwed,
	} {
		own[op] = true
	}
	n := 0
	for name, c := range tlbConstructors(t) {
		if !strings.HasPrefix(c.tag, "c0c0") {
			continue
		}
		op, err := strconv.ParseUint(c.tag, 16, 32)
		if err != nil {
			t.Fatal(err)
		}
		if n++; (sent[op] != nil) == own[op] {
			t.Errorf("%s is read by ParseSent: %v, and has a parser of its own: %v", name, sent[op] != nil, own[op])
		}
	}
	if n != len(sent)+len(own) {
		t.Errorf("the schema has %d messages, %d are read", n, len(sent)+len(own))
	}
}

func FuzzParseSent(f *testing.F) {
	for _, s := range everySent(f) {
		seeds(f, s.body)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c := cellIn(data)
		m, err := ParseSent(c, tvmtest.GlobalID, attestation.Address{Hash: [32]byte{1}})
		if err != nil {
			return
		}
		if again := writeSent(t, m); again != nil && !tvmtest.Equal(again, c) {
			t.Errorf("%T changes when it is read and written", m)
		}
	})
}

// TestBuildersRefuse: what a contract would refuse whatever its state is not written.
func TestBuildersRefuse(t *testing.T) {
	l := newLogged(t, 40)
	l.publish()
	heads, receipts, challenge, log := *l.twoHeads(1, 3), *l.twoReceipts(1, 3), *l.challenge(), *l.challengeLog(7, l.log.root(7))
	heads.B.Root = heads.A.Root
	receipts.B = receipts.A
	challenge.Payout = attestation.Address{}
	challenge.Sign(key("holder"))
	log.Other = ptr(log.Head)
	for name, m := range map[string]bodyMaker{
		"unbonding of nothing":      &Unbond{},
		"one head":                  &heads,
		"one receipt":               &receipts,
		"nobody to pay":             &challenge,
		"one head of a log":         &log,
		"too long a proof":          &Answer{Proof: make([][32]byte, 65)},
		"a long endpoint":           &SetProfile{Profile: Profile{Endpoint: strings.Repeat("x", 128)}},
		"an endpoint with a letter": &SetProfile{Profile: Profile{Endpoint: "http://ä"}},
		"no entries":                &Prune{},
		"too many entries":          &Prune{Count: MaxPrune + 1},
		"no approvals":              &Govern{Decision: Decision{Action: Pause{}}},
		"no quote":                  &RegisterTDX{Heads: l.heads()},
		"no claims":                 &RegisterTDX{Quote: build().EndCell()},
		"no report":                 &RegisterTDXAgain{Heads: l.heads()},
		"no certificate":            &RegisterQuorum{Heads: l.heads()},
	} {
		if c, err := m.Body(); c != nil || attestation.ExitCode(err) != 1 {
			t.Errorf("%s: %v, %v", name, c != nil, err)
		}
	}
}
