package contracts

import (
	"crypto/ed25519"
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

// governBody builds the message without the checks of Govern.Body: any action,
// any list of approvals.
func governBody(number, expiry uint32, action *cellT, list *tree) *rawBody {
	return &rawBody{plain(opGovern, 0).MustStoreUInt(uint64(number), 32).MustStoreUInt(uint64(expiry), 32).
		MustStoreRef(action).MustStoreRef(list.cell()).EndCell()}
}

// governRaw approves any cell as the next action of the registry.
func (f *fixture) governRaw(action *cellT) *rawBody {
	f.t.Helper()
	number, expiry := f.rootState().NextProposal, f.Now+day
	return governBody(number, expiry, action, approvalList(f.governors2(governDigestOf(tvmtest.GlobalID, f.root, number, action, expiry)), 0, 1))
}

// governors2 signs by the first two governors.
func (f *fixture) governors2(digest [32]byte) Approvals {
	a := Approvals{}
	for i, k := range f.governors[:2] {
		a[uint8(i)] = [64]byte(ed25519.Sign(k, digest[:]))
	}
	return a
}

// governDigestOf is the digest by its definition, for actions of any shape.
func governDigestOf(chain int32, root attestation.Address, number uint32, action *cellT, expiry uint32) [32]byte {
	b := build().MustStoreSlice([]byte("cocoon/govern/v1\n"), 17*8).MustStoreInt(int64(chain), 32).
		MustStoreInt(int64(root.Workchain), 32).MustStoreSlice(root.Hash[:], 256).
		MustStoreUInt(uint64(number), 32).MustStoreSlice(action.Hash(), 256).MustStoreUInt(uint64(expiry), 32)
	s := b.ToSlice()
	n := s.BitsLeft()
	return sha(s.MustLoadSlice(n))
}

func TestGovern(t *testing.T) {
	f := newFixture(t)
	d := f.decision(Pause{})
	digest, err := d.Digest()
	if err != nil {
		t.Fatal(err)
	}
	action, _ := ActionCell(d.Action)
	if digest != governDigestOf(d.ChainID, d.Root, d.Number, action, d.Expiry) {
		t.Error("the digest is not what its definition says")
	}
	balance := f.Balance(f.root).Uint64()
	f.govern(Pause{})
	s := f.rootState()
	if !s.Paused || s.NextProposal != 2 || len(s.Proposals) != 0 {
		t.Errorf("after pausing: %+v", s)
	}
	if f.Balance(f.root).Uint64() != balance {
		t.Error("a decision changed the balance")
	}
	// All three may sign, and any two.
	for _, who := range [][]int{{0, 1, 2}, {0, 2}, {1, 2}} {
		d := f.decision(Pause{})
		digest, _ := d.Digest()
		m := &Govern{Decision: d, Approvals: Approvals{}}
		for _, i := range who {
			if err := m.Approvals.Sign(f.governance, f.governors[i], digest); err != nil {
				t.Fatal(err)
			}
		}
		good(t, f.sendTo(f.root, f.anybody, ValueGovern, m))
	}
}

// TestGovernRefused checks what approvals are bound to, and who may give them.
func TestGovernRefused(t *testing.T) {
	f := newFixture(t)
	f.govern(Pause{})
	f.refusesAtRoot(CodeValueTooLow, ValueGovern-1, f.approved(f.decision(Pause{})))

	for name, c := range map[string]struct {
		code int
		edit func(*Decision)
	}{
		"the last number":  {CodeProposalNumber, func(d *Decision) { d.Number-- }},
		"the number after": {CodeProposalNumber, func(d *Decision) { d.Number++ }},
		"expired":          {CodeExpired, func(d *Decision) { d.Expiry = f.Now }},
		"long expired":     {CodeExpired, func(d *Decision) { d.Expiry = 0 }},
	} {
		t.Run(name, func(t *testing.T) {
			d := f.decision(Resume{})
			c.edit(&d)
			f.refusesAtRoot(c.code, ValueGovern, f.approved(d))
		})
	}
	// Signed for something else than the message says.
	for name, edit := range map[string]func(*Decision){
		"another chain":     func(d *Decision) { d.ChainID = -239 },
		"another registry":  func(d *Decision) { d.Root.Hash[0] ^= 1 },
		"another workchain": func(d *Decision) { d.Root.Workchain = -1 },
		"another number":    func(d *Decision) { d.Number++ },
		"another action":    func(d *Decision) { d.Action = Pause{} },
		"another expiry":    func(d *Decision) { d.Expiry++ },
	} {
		t.Run(name, func(t *testing.T) {
			d := f.decision(Resume{})
			other := d
			edit(&other)
			m := f.approved(other)
			m.Decision = d
			f.refusesAtRoot(CodeBadSignature, ValueGovern, m)
		})
	}
	d := f.decision(Resume{})
	action, _ := ActionCell(d.Action)
	digest, _ := d.Digest()
	all := Approvals{}
	for i, k := range f.governors {
		all[uint8(i)] = [64]byte(ed25519.Sign(k, digest[:]))
	}
	all[9] = all[2]
	for _, c := range []struct {
		name string
		code int
		list []uint8
	}{
		{"too few", CodeTooFewApprovals, []uint8{1}},
		{"one governor twice", CodeBadApprovals, []uint8{1, 1}},
		{"falling order", CodeBadApprovals, []uint8{2, 1}},
		{"a stranger", CodeBadApprovals, []uint8{0, 9}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f.refusesAtRoot(c.code, ValueGovern, governBody(d.Number, d.Expiry, action, approvalList(all, c.list...)))
		})
	}
	if _, err := (&Govern{Decision: d}).Body(); err == nil {
		t.Error("a body without approvals was made")
	}
	if err := (Approvals{}).Sign(f.governance, key("stranger"), digest); err == nil {
		t.Error("a stranger signed")
	}
}

// TestGovernBadAction gives Root actions that are none.
func TestGovernBadAction(t *testing.T) {
	f := newFixture(t)
	for _, tag := range []uint64{0x00, 0x0a, 0x7f, 0x80, 0x8b, 0xff} {
		f.refusesAtRoot(CodeBadAction, ValueGovern, f.governRaw(build().MustStoreUInt(tag, 8).EndCell()))
	}
	f.refusesAtRoot(CodeBadAction, ValueGovern, f.governRaw(build().EndCell()))
	f.refusesAtRoot(exitUnderflow, ValueGovern, f.governRaw(build().MustStoreUInt(0x07, 8).MustStoreUInt(0, 1).EndCell()))
	f.refusesAtRoot(exitUnderflow, ValueGovern, f.governRaw(build().MustStoreUInt(0x01, 8).MustStoreUInt(0, 255).EndCell()))
	f.refusesAtRoot(exitUnderflow, ValueGovern, f.governRaw(build().MustStoreUInt(0x88, 8).MustStoreRef(build().EndCell()).EndCell()))

	for name, edit := range map[string]func(*Params){
		"governance delay equals unbonding": func(p *Params) { p.GovernanceDelay = p.Unbonding },
		"unbonding equals the windows":      func(p *Params) { p.Unbonding = p.MergeDelay + 2*p.AnswerWindow },
		"answer window below a day":         func(p *Params) { p.AnswerWindow = day - 1 },
		"answer window above three days":    func(p *Params) { p.AnswerWindow = 3*day + 1 },
		"no anchor interval":                func(p *Params) { p.AnchorInterval = 0 },
		"merge delay below the interval":    func(p *Params) { p.MergeDelay = p.AnchorInterval - 1 },
		"no validity":                       func(p *Params) { p.RegistrationValidity = 0 },
		"validity above 30 days":            func(p *Params) { p.RegistrationValidity = 30*day + 1 },
		"receipt loss above fork loss":      func(p *Params) { p.ReceiptLoss = p.ForkLoss + 1 },
		"fork loss above the stake":         func(p *Params) { p.ForkLoss = p.MinStake + 1 },
		"bond below the cost of answers":    func(p *Params) { p.ChallengeBond = MinChallengeBond - 1 },
		"bond that nobody pays":             func(p *Params) { p.ChallengeBond = MaxChallengeBond + 1 },
		"fee that takes the answer's coins": func(p *Params) { p.CheckFee = MaxCheckFee + 1 },
		"governance that waits too long":    func(p *Params) { p.GovernanceDelay = MaxGovernanceDelay + 1 },
		"times that fit no clock":           func(p *Params) { p.Unbonding, p.GovernanceDelay = 0xfffffff0, 0xffffffff },
	} {
		p := DefaultParams()
		if name == "answer window above three days" {
			p.Unbonding, p.GovernanceDelay = 20*day, 21*day
		}
		if err := p.Check(); err != nil {
			t.Fatal(err)
		}
		edit(&p)
		t.Run(name, func(t *testing.T) {
			f.refusesAtRoot(CodeBadAction, ValueGovern, f.governRaw(build().MustStoreUInt(0x88, 8).MustStoreRef(p.Cell()).EndCell()))
			if _, err := ActionCell(SetParams{p}); err == nil {
				t.Error("an action was made")
			}
		})
	}
	many := Quorum{Threshold: 1, Keys: map[uint8][32]byte{}}
	for i := range uint8(33) {
		many.Keys[i] = [32]byte{i, 1}
	}
	for name, q := range map[string]Quorum{
		"nobody":      {Threshold: 0, Keys: map[uint8][32]byte{0: {1}}},
		"no keys":     {Threshold: 1},
		"more than n": {Threshold: 2, Keys: map[uint8][32]byte{0: {1}}},
		"zero key":    {Threshold: 1, Keys: map[uint8][32]byte{0: {1}, 1: {}}},
		"key twice":   {Threshold: 1, Keys: map[uint8][32]byte{0: {1}, 7: {1}}},
		"33 keys":     many,
	} {
		t.Run(name, func(t *testing.T) {
			f.refusesAtRoot(CodeBadAction, ValueGovern, f.governRaw(build().MustStoreUInt(0x89, 8).MustStoreRef(q.Cell()).EndCell()))
			set := VerifierSet{Number: 2, Quorum: q}
			f.refusesAtRoot(CodeBadAction, ValueGovern, f.governRaw(build().MustStoreUInt(0x85, 8).MustStoreRef(set.Cell()).EndCell()))
			if _, err := ActionCell(SetGovernance{q}); err == nil {
				t.Error("a governance was made")
			}
			if _, err := ActionCell(SetVerifiers{set}); err == nil {
				t.Error("a verifier set was made")
			}
		})
	}
	delete(many.Keys, 0)
	f.govern(SetGovernance{many})
	for _, kind := range []uint8{0, 3, 255} {
		k := CAKey{Kind: kind}
		f.refusesAtRoot(CodeBadAction, ValueGovern, f.governRaw(k.store(build().MustStoreUInt(0x84, 8)).EndCell()))
		if _, err := ActionCell(AddCAKey{k}); err == nil {
			t.Errorf("an action with a CA key of kind %d was made", kind)
		}
	}
	if _, err := ActionCell(nil); err == nil {
		t.Error("no action was encoded")
	}
}

// TestProposal follows a loosening through its delay.
func TestProposal(t *testing.T) {
	f := newFixture(t)
	f.execute(1, CodeProposalNumber)
	f.govern(AddMeasurement{[32]byte{7}, MeasurementAccepted})
	s := f.rootState()
	delay := s.Params.GovernanceDelay
	p := s.Proposals[1]
	if len(s.Proposals) != 1 || p.ExecuteAfter != f.Now+delay || p.ExecuteBefore != f.Now+delay+ExecuteWindow {
		t.Fatalf("proposals are %+v", s.Proposals)
	}
	if a, err := ParseAction(p.Action); err != nil || a != (AddMeasurement{[32]byte{7}, MeasurementAccepted}) {
		t.Errorf("the proposal is %v, %v", a, err)
	}
	f.execute(2, CodeProposalNumber)
	f.Now += delay - 1
	f.execute(1, CodeTooEarly)
	if _, ok := f.rootState().Measurements[[32]byte{7}]; ok {
		t.Fatal("a loosening happened before its delay was over")
	}
	f.Now++
	b, _ := (&Execute{Number: 1}).Body()
	f.refusesBody(f.root, CodeValueTooLow, f.anybody, ValueGovern-1, b)
	f.execute(1, 0)
	if m := f.rootState().Measurements[[32]byte{7}]; m != (Measurement{MeasurementAccepted, f.Now}) {
		t.Errorf("listed %+v", m)
	}
	f.execute(1, CodeProposalNumber)

	// One that nobody executes lapses: it is removed, and does nothing.
	f.govern(AddMeasurement{[32]byte{8}, MeasurementAccepted})
	f.Now += delay + ExecuteWindow
	f.execute(2, 0)
	if s := f.rootState(); len(s.Proposals) != 0 || s.Measurements[[32]byte{8}] != (Measurement{}) {
		t.Errorf("after a lapse: %+v", s)
	}
	// A second before that it still counts.
	f.govern(AddMeasurement{[32]byte{8}, MeasurementAccepted})
	f.Now += delay + ExecuteWindow - 1
	f.execute(3, 0)
	if _, ok := f.rootState().Measurements[[32]byte{8}]; !ok {
		t.Error("a proposal lapsed a second too early")
	}

	// One may be withdrawn at once.
	f.govern(AddMeasurement{[32]byte{9}, MeasurementAccepted})
	f.govern(CancelProposal{4})
	if s := f.rootState(); len(s.Proposals) != 0 {
		t.Errorf("after withdrawing: %+v", s.Proposals)
	}
	f.Now += delay
	f.execute(4, CodeProposalNumber)
	f.refusesAtRoot(CodeNotFound, ValueGovern, f.approved(f.decision(CancelProposal{4})))
}

// TestGovernanceChange checks that keys change late, and then for good.
func TestGovernanceChange(t *testing.T) {
	f := newFixture(t)
	old := f.governors
	next := []ed25519.PrivateKey{key("new 0"), key("new 1"), key("new 2")}
	q, err := NewQuorum(2, publics(next)...)
	if err != nil {
		t.Fatal(err)
	}
	f.govern(SetGovernance{q})
	f.Now += f.start.Params.GovernanceDelay - 1
	f.execute(1, CodeTooEarly)
	f.govern(Pause{}) // the old ones still decide
	f.Now++
	f.execute(1, 0)
	f.refusesAtRoot(CodeBadSignature, ValueGovern, f.approved(f.decision(Resume{})))
	f.governors, f.governance = next, q
	f.govern(Pause{})
	f.governors = old
	f.refusesAtRoot(CodeBadSignature, ValueGovern, &rawBody{mustBody(t, &Govern{
		Decision: f.decision(Pause{}), Approvals: f.governors2(sha([]byte("no decision")))})})
}

func mustBody(t testing.TB, m bodyMaker) *cellT {
	t.Helper()
	b, err := m.Body()
	if err != nil {
		t.Fatal(err)
	}
	return b
}
