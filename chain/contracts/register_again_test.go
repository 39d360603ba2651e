package contracts

import (
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/sim"
)

// again returns a good registration of a later boot for the heads.
func (f *fixture) again(h *attestation.Heads, edit ...func(*sim.TD)) *RegisterTDXAgain {
	f.t.Helper()
	td := testTD()
	digest := h.Digest()
	copy(td.ReportData[:], digest[:])
	for _, e := range edit {
		e(&td)
	}
	body, signature, err := TDReportCells(mint(f.t, f.intel, td))
	if err != nil {
		f.t.Fatal(err)
	}
	f.query++
	return &RegisterTDXAgain{QueryID: f.query, Heads: h, TDBody: body, Signature: signature}
}

// TestRegisterAgain: the record is the one that the whole quote would make.
func TestRegisterAgain(t *testing.T) {
	f := newFixture(t, noStake, withPlatforms)
	f.deployPlatform()
	f.register()
	first := *f.nodeState().Current
	for _, version := range []uint16{4, 5} {
		later := func(td *sim.TD) { td.Version = version }
		f.Now += 3600
		h := f.heads()
		info, err := ReadQuote(mint(t, f.intel, testTD()))
		if err != nil {
			t.Fatal(err)
		}
		if !first.Knows(info, f.Now) {
			t.Error("the record does not know the machine")
		}
		good(t, f.send(f.operator, ValueRegister, f.registration(h, later)))
		done(t, f.operator, 0)
		whole := *f.nodeState().Current
		h = f.heads()
		m := f.again(h, later)
		good(t, f.send(f.operator, ValueRegister, m))
		done(t, f.operator, 0)
		s := f.nodeState()
		c := s.Current
		if s.Status != StatusActive || s.Expires != f.Now+f.start.Params.RegistrationValidity || c.ClaimsDigest != h.Digest() ||
			c.ReceiptKey != h.ReceiptKey || c.LogKey != h.LogKey || c.QueryID != m.QueryID || c.RegisteredAt != f.Now {
			t.Errorf("version %d: after the registration %+v, record %+v", version, s, c)
		}
		if *c.Check.TDX != *whole.Check.TDX || c.Attestation != whole.Attestation || c.NotAfter != whole.NotAfter || c.Attestation == (PublicKey{}) {
			t.Errorf("version %d: check is %+v, the whole quote says %+v", version, c.Check.TDX, whole.Check.TDX)
		}
		a, b := c.Check, whole.Check
		if a.TDX, b.TDX = nil, nil; a != b {
			t.Errorf("version %d: check is %+v, the whole quote says %+v", version, a, b)
		}
	}
}

func TestRegisterAgainRefused(t *testing.T) {
	f := newQuorumFixture(t)
	f.refuses(CodeNotRegistered, f.operator, ValueRegister, f.again(f.heads()))
	good(t, f.send(f.operator, ValueRegister, f.certified(f.heads())))
	f.refuses(CodeKind, f.operator, ValueRegister, f.again(f.heads())) // after mode B nothing is known
	f.register()

	m := f.again(f.heads())
	f.refuses(CodeNotOperator, f.anybody, ValueRegister, m)
	f.refuses(CodeValueTooLow, f.operator, ValueRegister-1, m)
	for _, c := range claimsChecks {
		t.Run(c.name, func(t *testing.T) {
			h := f.heads()
			c.edit(h)
			f.refuses(c.code, f.operator, ValueRegister, f.again(h))
		})
	}
	for name, c := range map[string]struct {
		edit func(*sim.TD)
		code int
	}{
		"other report data":  {func(td *sim.TD) { td.ReportData[0] ^= 1 }, CodeReportData},
		"MRCONFIGID":         {func(td *sim.TD) { td.MRConfigID[0] = 1 }, CodeConfiguration},
		"MRSERVICETD":        {func(td *sim.TD) { td.Version, td.MRServiceTD[0] = 5, 1 }, CodeConfiguration},
		"debug":              {func(td *sim.TD) { td.Attributes, td.Plain = sim.TDDebug, true }, CodeQuoteDebug},
		"another TDX module": {func(td *sim.TD) { td.MRSIGNERSEAM[0] = 1 }, CodeQuoteSEAM},
	} {
		t.Run(name, func(t *testing.T) { f.refuses(c.code, f.operator, ValueRegister, f.again(f.heads(), c.edit)) })
	}
	// Another machine's attestation key, and the machine's with another body.
	known := f.intel
	f.intel = platform(t, "another", sim.IntelOptions{})
	other := f.again(f.heads())
	f.refuses(CodeQuoteTDSignature, f.operator, ValueRegister, other)
	f.intel = known
	m = f.again(f.heads())
	m.TDBody = f.again(f.heads(), func(td *sim.TD) { td.RTMR[3][0] ^= 1 }).TDBody
	f.refuses(CodeQuoteTDSignature, f.operator, ValueRegister, m)
	// One registration waits at a time.
	l := newLone(t)
	good(t, l.send(l.operator, ValueRegister, l.registration(l.heads())))
	yes := l.answer()
	good(t, l.say(yes))
	good(t, l.send(l.operator, ValueRegister, l.again(l.heads())))
	l.refuses(CodePending, l.operator, ValueRegister, l.again(l.heads()))
	// The certificate's last second counts.
	l = newLone(t)
	good(t, l.send(l.operator, ValueRegister, l.registration(l.heads())))
	good(t, l.say(l.answer()))
	l.Now = l.nodeState().Current.NotAfter
	good(t, l.send(l.operator, ValueRegister, l.again(l.heads())))
	good(t, l.say(l.answer()))
	l.Now++
	l.refuses(CodeQuotePCKExpired, l.operator, ValueRegister, l.again(l.heads()))
}

// TestRegisterAgainPolicy: what was verified before is judged anew.
func TestRegisterAgainPolicy(t *testing.T) {
	for name, c := range map[string]struct {
		code   int
		action func(f *fixture) Action
	}{
		"paused":      {CodePaused, func(*fixture) Action { return Pause{} }},
		"measurement": {CodeMeasurement, func(f *fixture) Action { return RemoveMeasurement{f.nodeState().Current.Check.Measurement} }},
		"CA key":      {CodeCAKey, func(f *fixture) Action { return RemoveCAKey{f.nodeState().Current.Check.Authority} }},
		"floor gone":  {CodeFloor, func(f *fixture) Action { return RemoveFloor{f.nodeState().Current.Check.TDX.FMSPC} }},
		"machine":     {CodeRevoked, func(f *fixture) Action { return RevokePlatform{f.platformID()} }},
		"CPUSVN":      {CodeQuoteCPUSVN, raised(func(fl *TDXFloor) { fl.CPUSVN[15]++ })},
		"PCESVN":      {CodeQuotePCESVN, raised(func(fl *TDXFloor) { fl.PCESVN++ })},
		"QE SVN":      {CodeQuoteQESVN, raised(func(fl *TDXFloor) { fl.QESVN++ })},
		"TEE SVN":     {CodeQuoteTEESVN, raised(func(fl *TDXFloor) { fl.TEESVN[2]++ })},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, noStake)
			f.register()
			f.sendTo(f.root, f.anybody, ValueGovern, f.approved(f.decision(c.action(f))))
			done(t, f.anybody, 0)
			good(t, f.send(f.operator, ValueRegister, f.again(f.heads())))
			done(t, f.operator, c.code)
			if s := f.nodeState(); s.Epoch != 1 || s.Pending != nil {
				t.Errorf("after a refusal: %+v", s)
			}
		})
	}
}

// raised raises the floor of the fixture's machine.
func raised(edit func(*TDXFloor)) func(*fixture) Action {
	return func(f *fixture) Action {
		fmspc := f.nodeState().Current.Check.TDX.FMSPC
		fl := f.rootState().Floors[fmspc]
		edit(&fl)
		return RaiseFloor{fmspc, fl}
	}
}

// TestEpochKnows changes one thing of the machine: the whole quote is needed.
func TestEpochKnows(t *testing.T) {
	f := newFixture(t, noStake)
	f.register()
	r := f.nodeState().Current
	good, err := ReadQuote(mint(t, f.intel, testTD()))
	if err != nil {
		t.Fatal(err)
	}
	if !r.Knows(good, r.NotAfter) || r.Knows(good, r.NotAfter+1) {
		t.Error("the record knows its machine until the certificate ends, and no longer")
	}
	for name, edit := range map[string]func(*QuoteInfo){
		"CA": func(q *QuoteInfo) { q.CA.X[0] ^= 1 }, "end": func(q *QuoteInfo) { q.NotAfter++ },
		"attestation key": func(q *QuoteInfo) { q.Attestation.Y[0] ^= 1 }, "platform": func(q *QuoteInfo) { q.PlatformID[0] ^= 1 },
		"FMSPC": func(q *QuoteInfo) { q.FMSPC[0] ^= 1 }, "CPUSVN": func(q *QuoteInfo) { q.TCB.CPUSVN[0]++ },
		"PCESVN": func(q *QuoteInfo) { q.TCB.PCESVN++ }, "QE SVN": func(q *QuoteInfo) { q.TCB.QESVN++ },
		"QE signer": func(q *QuoteInfo) { q.TCB.QESigner[0] ^= 1 },
	} {
		q := *good
		if edit(&q); r.Knows(&q, f.Now) {
			t.Errorf("%s: the record knows another machine", name)
		}
	}
	if (&EpochRecord{Check: Check{Kind: KindSNP}, NotAfter: f.Now + day}).Knows(good, f.Now) {
		t.Error("a record of mode B knows a machine")
	}
}
