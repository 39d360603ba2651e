package contracts

import (
	"testing"
)

// newQuorumFixture is a registry that lists the measurement of mode B, and a
// node without epochs.
func newQuorumFixture(t testing.TB, edit ...func(*RootState)) *fixture {
	t.Helper()
	f := newFixture(t, append([]func(*RootState){noStake, func(s *RootState) {
		s.Measurements[snpMeasurement] = Measurement{Flags: MeasurementAccepted}
	}}, edit...)...)
	f.setProfile()
	return f
}

func TestRegisterQuorum(t *testing.T) {
	for _, kind := range []uint8{KindSNP, KindTDXQuorum} {
		f := newQuorumFixture(t)
		h := f.heads()
		m := f.certified(h, func(c *Certificate) { c.Kind = kind })
		txs := good(t, f.send(f.operator, ValueRegister, m))
		done(t, f.operator, 0)
		if len(txs) != 3 {
			t.Errorf("a registration takes %d messages", len(txs))
		}
		s := f.nodeState()
		want := EpochRecord{
			BlockSeqno: h.BlockSeqno, RegisteredAt: f.Now, NotAfter: f.Now + 10*day, QueryID: m.QueryID,
			LT: s.Current.LT, ReceiptKey: h.ReceiptKey, LogKey: h.LogKey, IdentityKey: h.IdentityKey, ClaimsDigest: h.Digest(),
			Check: Check{Kind: kind, Measurement: snpMeasurement, PlatformID: [32]byte{0xee}, Authority: hash32(f.verifiers.Cell())},
		}
		if s.Status != StatusActive || s.Epoch != 1 || s.Current == nil || *s.Current != want {
			t.Errorf("kind %d: %+v, record %+v", kind, s, s.Current)
		}
		// The certificate ends before the registry's validity does.
		if s.Expires != f.Now+10*day {
			t.Errorf("expires at %d, want %d", s.Expires, f.Now+10*day)
		}
		if n := len(f.rootState().Nodes); n != 1 {
			t.Errorf("registry lists %d nodes", n)
		}
	}
}

// TestRegisterQuorumThreshold wants any three of four, and more than three too.
func TestRegisterQuorumThreshold(t *testing.T) {
	for _, who := range [][]int{{0, 1, 2}, {1, 2, 3}, {0, 1, 3}, {0, 1, 2, 3}} {
		f := newQuorumFixture(t)
		m := f.certified(f.heads())
		m.Approvals = f.approve(m.Certificate.Digest(), who...)
		good(t, f.send(f.operator, ValueRegister, m))
		done(t, f.operator, 0)
	}
}

// quorumBody builds the message without the checks of RegisterQuorum.Body, so
// that contracts see what no client of ours would send.
func quorumBody(m *RegisterQuorum, c *Certificate) *rawBody {
	head, keys := headCells(m.Heads)
	cert := build().MustStoreUInt(uint64(c.Kind), 8).MustStoreSlice(c.PlatformID[:], 256).
		MustStoreSlice(c.Measurement[:], 256).MustStoreUInt(uint64(c.Expiry), 32).
		MustStoreRef(m.Verifiers.Cell()).MustStoreRef(m.Approvals.Cell()).EndCell()
	return &rawBody{plain(opRegisterQuorum, m.QueryID).MustStoreRef(head).MustStoreRef(keys).MustStoreRef(cert).EndCell()}
}

func TestRegisterQuorumRefused(t *testing.T) {
	f := newQuorumFixture(t)
	m := f.certified(f.heads())
	f.refuses(CodeNotOperator, f.anybody, ValueRegister, m)
	f.refuses(CodeValueTooLow, f.operator, ValueRegister-1, m)

	// The signatures hold for what is signed; the message says something else.
	for name, edit := range map[string]func(*Certificate){
		"another platform":    func(c *Certificate) { c.PlatformID[0] ^= 1 },
		"another measurement": func(c *Certificate) { c.Measurement[0] ^= 1 },
		"later expiry":        func(c *Certificate) { c.Expiry++ },
		"another kind":        func(c *Certificate) { c.Kind = KindTDXQuorum },
	} {
		t.Run(name, func(t *testing.T) {
			c := m.Certificate
			edit(&c)
			f.refuses(CodeBadSignature, f.operator, ValueRegister, quorumBody(m, &c))
		})
	}
	// What is signed names something else than the claims do.
	for name, edit := range map[string]func(*Certificate){
		"for another chain": func(c *Certificate) { c.ChainID++ },
		"for another node":  func(c *Certificate) { c.Node.Hash[0] ^= 1 },
		"of workchain -1":   func(c *Certificate) { c.Node.Workchain = -1 },
		"for another epoch": func(c *Certificate) { c.Epoch++ },
		"for other claims":  func(c *Certificate) { c.ClaimsDigest[0] ^= 1 },
		"for another block": func(c *Certificate) { c.BlockSeqno++ },
		"of another set":    func(c *Certificate) { c.Set++ },
	} {
		t.Run(name, func(t *testing.T) {
			c := m.Certificate
			edit(&c)
			signed := *m
			signed.Approvals = f.approve(c.Digest(), 0, 1, 2)
			f.refuses(CodeBadSignature, f.operator, ValueRegister, quorumBody(&signed, &m.Certificate))
		})
	}
	for _, kind := range []uint8{0, KindTDX, 4, 255} {
		c := f.certified(f.heads(), func(c *Certificate) { c.Kind = kind })
		f.refuses(CodeKind, f.operator, ValueRegister, quorumBody(c, &c.Certificate))
	}
	for _, past := range []uint32{0, 1, f.Now} {
		f.refuses(CodeExpired, f.operator, ValueRegister, f.certified(f.heads(), func(c *Certificate) { c.Expiry = f.Now - past }))
	}
	for _, c := range claimsChecks {
		t.Run(c.name, func(t *testing.T) {
			h := f.heads()
			c.edit(h)
			f.refuses(c.code, f.operator, ValueRegister, f.certified(h))
		})
	}
}

// approvalList encodes approvals as given: order, repetition and all.
func approvalList(a Approvals, indexes ...uint8) *tree {
	var list *tree
	for i := len(indexes) - 1; i >= 0; i-- {
		s := a[indexes[i]]
		c := treeOf(build().MustStoreUInt(uint64(indexes[i]), 8).MustStoreSlice(s[:], 512).MustStoreBoolBit(list != nil).EndCell())
		if list != nil {
			c.refs = []*tree{list}
		}
		list = c
	}
	return list
}

// approvalChecks are the lists that no quorum of 3 of 4 takes.
var approvalChecks = []struct {
	name string
	code int
	list []uint8
}{
	{"too few", CodeTooFewApprovals, []uint8{0, 1}},
	{"one member three times", CodeBadApprovals, []uint8{0, 0, 0}},
	{"one member at both ends", CodeBadApprovals, []uint8{0, 1, 0}},
	{"falling order", CodeBadApprovals, []uint8{2, 1, 0}},
	{"a stranger", CodeBadApprovals, []uint8{0, 1, 9}},
	{"a bad signature", CodeBadSignature, []uint8{0, 1, 2}},
	{"a bad one beside enough good ones", CodeBadSignature, []uint8{0, 1, 2, 3}},
}

func TestRegisterQuorumApprovals(t *testing.T) {
	f := newQuorumFixture(t)
	for _, c := range approvalChecks {
		t.Run(c.name, func(t *testing.T) {
			m := f.certified(f.heads())
			all := f.approve(m.Certificate.Digest(), 0, 1, 2, 3)
			all[9] = all[3]
			if c.code == CodeBadSignature {
				last := c.list[len(c.list)-1]
				s := all[last]
				s[0] ^= 1
				all[last] = s
			}
			b := treeOf(quorumBody(m, &m.Certificate).c)
			b.refs[2].refs[1] = approvalList(all, c.list...)
			f.refusesBody(f.node, c.code, f.operator, ValueRegister, b.cell())
		})
	}
	// A set that demands nobody.
	m := f.certified(f.heads())
	m.Verifiers.Quorum.Threshold = 0
	f.refuses(CodeTooFewApprovals, f.operator, ValueRegister, quorumBody(m, &m.Certificate))
}

// TestRegisterQuorumPolicy has the node take a certificate that Root does not.
func TestRegisterQuorumPolicy(t *testing.T) {
	for name, c := range map[string]struct {
		code  int
		start func(*RootState)
		set   func(*fixture)
	}{
		"no verifiers":           {CodeVerifierSet, func(s *RootState) { s.Verifiers, s.Listed = nil, nil }, nil},
		"nobody has a stake":     {CodeVerifierSet, func(s *RootState) { s.List(*s.Listed) }, nil},
		"a set of the sender's":  {CodeVerifierSet, nil, func(f *fixture) { f.verifier[3] = key("stranger"); f.renumber(1) }},
		"an older number":        {CodeVerifierSet, nil, func(f *fixture) { f.renumber(0) }},
		"a newer number":         {CodeVerifierSet, nil, func(f *fixture) { f.renumber(2) }},
		"a lower threshold":      {CodeVerifierSet, nil, func(f *fixture) { f.verifiers.Quorum.Threshold = 2 }},
		"measurement not listed": {CodeMeasurement, func(s *RootState) { delete(s.Measurements, snpMeasurement) }, nil},
		"paused":                 {CodePaused, func(s *RootState) { s.Paused = true }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			edit := c.start
			if edit == nil {
				edit = func(*RootState) {}
			}
			f := newQuorumFixture(t, edit)
			if c.set != nil {
				c.set(f)
			}
			good(t, f.send(f.operator, ValueRegister, f.certified(f.heads())))
			done(t, f.operator, c.code)
			if s := f.nodeState(); s.Epoch != 0 || s.Pending != nil {
				t.Errorf("after a refusal: %+v", s)
			}
		})
	}
}

// renumber makes the fixture's verifiers sign as another set than Root's.
func (f *fixture) renumber(n uint32) {
	q, err := NewQuorum(3, publics(f.verifier)...)
	if err != nil {
		f.t.Fatal(err)
	}
	f.verifiers = VerifierSet{Number: n, Quorum: q}
}

// TestRegisterQuorumBody checks that a client refuses before anything is spent.
func TestRegisterQuorumBody(t *testing.T) {
	f := newQuorumFixture(t)
	for name, edit := range map[string]func(*RegisterQuorum){
		"no claims":      func(m *RegisterQuorum) { m.Heads = nil },
		"other claims":   func(m *RegisterQuorum) { m.Heads.BodyDigest[0] ^= 1 },
		"other node":     func(m *RegisterQuorum) { m.Certificate.Node.Hash[0] ^= 1 },
		"other chain":    func(m *RegisterQuorum) { m.Certificate.ChainID++ },
		"other epoch":    func(m *RegisterQuorum) { m.Certificate.Epoch++ },
		"other block":    func(m *RegisterQuorum) { m.Certificate.BlockSeqno++ },
		"other set":      func(m *RegisterQuorum) { m.Certificate.Set++ },
		"mode A":         func(m *RegisterQuorum) { m.Certificate.Kind = KindTDX },
		"too few":        func(m *RegisterQuorum) { delete(m.Approvals, 0) },
		"signs too much": func(m *RegisterQuorum) { m.Certificate.Expiry++ },
		"stranger":       func(m *RegisterQuorum) { m.Approvals[9] = m.Approvals[0] },
	} {
		h := *f.heads()
		m := f.certified(&h)
		edit(m)
		if _, err := m.Body(); err == nil {
			t.Errorf("%s: a body was made", name)
		}
	}
	if _, err := (&RegisterTDX{Heads: f.heads()}).Body(); err == nil {
		t.Error("mode A without a quote: a body was made")
	}
	if _, err := (&RegisterTDX{Quote: build().EndCell()}).Body(); err == nil {
		t.Error("mode A without claims: a body was made")
	}
}
