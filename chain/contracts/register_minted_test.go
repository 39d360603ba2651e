package contracts

import (
	"slices"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/sim"
	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

// quoteForm is a form of genuine quotes that a Node must take: the version and
// body, the CA and how the certificate writes its dates.
type quoteForm struct {
	name      string
	td        func(*sim.TD)
	processor bool
	updated   bool // TEE_TCB_SVN2 is fresh
	edit      func(*minted)
}

func (q quoteForm) machine(t testing.TB) *sim.Intel {
	if q.processor {
		return platform(t, "processor", sim.IntelOptions{Processor: true})
	}
	return platform(t, "machine", sim.IntelOptions{})
}

func generalDates(m *minted) { m.setTime(time.Unix(m.now-day, 0), time.Unix(m.now+100*day, 0), true) }

// fresh is a TEE_TCB_SVN2 of a module that was updated while the TD runs.
var fresh = [16]byte{6, 1, 4, 0, 9}

var quoteForms = []quoteForm{
	{name: "version 4"},
	{name: "version 5, body 2", td: func(td *sim.TD) { td.Version, td.BodyType = 5, 2 }},
	{name: "version 5, body 3", td: func(td *sim.TD) { td.Version = 5 }},
	{name: "version 5, body 3, updated module", td: func(td *sim.TD) { td.Version, td.TEETCBSVN2 = 5, fresh }, updated: true},
	{name: "processor CA", processor: true},
	{name: "dates as GeneralizedTime", edit: generalDates},
	{name: "valid until after 2050", edit: func(m *minted) {
		m.setTime(time.Unix(m.now-day, 0), time.Date(2051, 2, 3, 4, 5, 6, 0, time.UTC), false)
	}},
	{name: "all of it", td: func(td *sim.TD) { td.Version, td.TEETCBSVN2 = 5, fresh }, updated: true, processor: true, edit: generalDates},
}

// minted returns a quote of the form over the claims, in pieces.
func (q quoteForm) minted(t testing.TB, h *attestation.Heads) *minted {
	t.Helper()
	td := testTD()
	if h != nil {
		digest := h.Digest()
		copy(td.ReportData[:], digest[:])
	}
	if q.td != nil {
		q.td(&td)
	}
	m := remint(t, mint(t, q.machine(t), td))
	if q.edit != nil {
		q.edit(m)
	}
	return m
}

// registerMinted is the registration of a minted quote.
func registerMinted(h *attestation.Heads, m *minted) *RegisterTDX {
	ca := rawKey(m.ca)
	return &RegisterTDX{QueryID: 9, Heads: h, CA: PublicKey{X: [32]byte(ca[:32]), Y: [32]byte(ca[32:])}, Quote: m.cells()}
}

// newMintedFixture is a registry that lists the keys of minted quotes, and what a
// quote of the form says.
func newMintedFixture(t testing.TB, q quoteForm, edit ...func(*RootState)) (*fixture, QuoteInfo) {
	t.Helper()
	td := testTD()
	if q.td != nil {
		q.td(&td)
	}
	info, err := ReadQuote(mint(t, q.machine(t), td))
	if err != nil {
		t.Fatal(err)
	}
	ca := rawKey(testKey("ca"))
	kind := CAPlatform
	if q.processor {
		kind = CAProcessor
	}
	list := func(s *RootState) {
		noStake(s)
		clear(s.CAKeys)
		s.AddCAKey(kind, PublicKey{X: [32]byte(ca[:32]), Y: [32]byte(ca[32:])})
		s.Floors[info.FMSPC] = FloorOf(info.TCB)
	}
	f := newFixture(t, append([]func(*RootState){list}, edit...)...)
	f.setProfile()
	return f, *info
}

// TestRegisterForms registers a quote of every form at a production Node.
func TestRegisterForms(t *testing.T) {
	for _, q := range quoteForms {
		t.Run(q.name, func(t *testing.T) {
			f, info := newMintedFixture(t, q)
			h := f.heads()
			good(t, f.send(f.operator, ValueRegister, registerMinted(h, q.minted(t, h))))
			done(t, f.operator, 0)
			s := f.nodeState()
			if s.Status != StatusActive || s.Current == nil || s.Current.ClaimsDigest != h.Digest() {
				t.Fatalf("after the registration: %+v", s)
			}
			c := s.Current.Check
			if c.TDX == nil || c.TDX.TCB != info.TCB || c.TDX.FMSPC != info.FMSPC || c.PlatformID != info.PlatformID || c.Measurement != info.Measurement {
				t.Errorf("check is %+v, the quote says %+v", c, info)
			}
			want := info.TCB.TEESVN
			if q.updated {
				want = fresh
			}
			if got := c.TDX.TCB.TEESVNNow; got != want {
				t.Errorf("TEE_TCB_SVN2 is recorded as %x, want %x", got, want)
			}
		})
	}
}

// TestRegisterFormsRefused brings one-field-wrong variants of quotes of every form
// to a production Node: every check of the quote, not in a test's contract.
func TestRegisterFormsRefused(t *testing.T) {
	for _, q := range []quoteForm{quoteForms[0], quoteForms[3], quoteForms[4], quoteForms[7]} {
		t.Run(q.name, func(t *testing.T) {
			f, _ := newMintedFixture(t, q)
			h := f.heads()
			tried := 0
			for _, c := range quoteChecks {
				m := q.minted(t, h)
				if !m.has(c.name, q) {
					continue
				}
				c.edit(m)
				t.Run(c.name, func(t *testing.T) {
					f.t = t
					f.refuses(int(c.code), f.operator, ValueRegister, registerMinted(h, m))
				})
				tried++
			}
			if tried < len(quoteChecks)-8 {
				t.Errorf("only %d of %d variants were tried", tried, len(quoteChecks))
			}
			// and the good one is still good
			f.t = t
			good(t, f.send(f.operator, ValueRegister, registerMinted(h, q.minted(t, h))))
			done(t, f.operator, 0)
		})
	}
}

// has reports whether a variant exists of a form: certificates of the processor CA
// have no platform instance, and one that expires says so in its own way.
func (m *minted) has(name string, q quoteForm) bool {
	if q.processor && slices.Contains([]string{"rest has another length", "rest is not the platform instance", "configuration is no SEQUENCE", "bytes behind the configuration"}, name) {
		return false
	}
	// these edit a UTCTime in its place
	return q.edit == nil || !slices.Contains([]string{"time with a letter", "time not in UTC"}, name)
}

// TestRegisterV5Refused tries what only quotes of version 5 have.
func TestRegisterV5Refused(t *testing.T) {
	q := quoteForms[3]
	body2 := quoteForms[1]
	f, info := newMintedFixture(t, q)
	h := f.heads()
	for _, c := range []struct {
		name string
		form quoteForm
		code int
		edit func(*minted)
	}{
		{"body type 2 called 3", body2, CodeQuoteVersion, func(m *minted) { m.body[0][48] = 3 }},
		{"body type 4", q, CodeQuoteVersion, func(m *minted) { m.body[0][48] = 4 }},
		{"body type 1", q, CodeQuoteVersion, func(m *minted) { m.body[0][48] = 1 }},
		{"another length", q, CodeQuoteVersion, func(m *minted) { m.body[0][50]++ }},
		{"body type 3 called 2", q, CodeQuoteVersion, func(m *minted) { copy(m.body[0][48:], []byte{2, 0, 0x88}) }},
		{"body type 3 as 2", q, exitUnderflow, func(m *minted) { copy(m.body[0][48:], []byte{2, 0, 0x48, 2, 0, 0}) }},
		{"version 4 with a body descriptor", q, exitUnderflow, func(m *minted) { m.body[0][0] = 4 }},
		{"another TEE_TCB_SVN2, not signed", q, CodeQuoteTDSignature, func(m *minted) { m.wrongAK = true; m.body[len(m.body)-1][0]++ }},
		{"MRSERVICETD", q, CodeConfiguration, func(m *minted) { last := m.body[len(m.body)-1]; last[len(last)-1] = 1 }},
		{"a byte more", q, exitUnderflow, func(m *minted) { m.body[len(m.body)-1] = append(m.body[len(m.body)-1], 0) }},
		{"a byte less", q, exitUnderflow, func(m *minted) { last := &m.body[len(m.body)-1]; *last = (*last)[:len(*last)-1] }},
	} {
		m := c.form.minted(t, h)
		c.edit(m)
		t.Run(c.name, func(t *testing.T) {
			f.t = t
			f.refuses(c.code, f.operator, ValueRegister, registerMinted(h, m))
		})
	}
	// Root judges both levels: at the start of the TD, and now.
	for name, c := range map[string]struct {
		code int
		edit func(*RootState)
		svn  [16]byte
	}{
		"updated, as the floor wants":         {0, func(*RootState) {}, fresh},
		"the module now is too old":           {CodeQuoteModule, func(*RootState) {}, [16]byte{4, 1, 4, 0, 9}},
		"the module now is an unknown one":    {CodeQuoteModule, func(*RootState) {}, [16]byte{6, 2, 4, 0, 9}},
		"a component is too low now":          {CodeQuoteTEESVN, func(*RootState) {}, [16]byte{6, 1, 2, 0, 9}},
		"only the level at the start too low": {CodeQuoteTEESVN, func(s *RootState) { fl := s.Floors[info.FMSPC]; fl.TEESVN[2] = 4; s.Floors[info.FMSPC] = fl }, fresh},
		"only the level at the start too old": {CodeQuoteModule, func(s *RootState) { fl := s.Floors[info.FMSPC]; fl.Modules[1] = 6; s.Floors[info.FMSPC] = fl }, fresh},
	} {
		t.Run(name, func(t *testing.T) {
			f, _ := newMintedFixture(t, q, c.edit)
			h := f.heads()
			form := quoteForm{td: func(td *sim.TD) { td.Version, td.TEETCBSVN2 = 5, c.svn }}
			good(t, f.send(f.operator, ValueRegister, registerMinted(h, form.minted(t, h))))
			done(t, f.operator, c.code)
			if s := f.nodeState(); (s.Status == StatusActive) != (c.code == 0) {
				t.Errorf("after %s: %+v", ErrorName(c.code), s)
			}
		})
	}
}

// TestRegisterProcessorRefused tries the ends of a certificate of the processor CA,
// and the other CA's key.
func TestRegisterProcessorRefused(t *testing.T) {
	q := quoteForms[4]
	f, _ := newMintedFixture(t, q)
	h := f.heads()
	m := q.minted(t, h)
	last := len(m.tbs) - 1
	m.tbs[last] = append(m.tbs[last], 5, 0)
	f.refuses(exitUnderflow, f.operator, ValueRegister, registerMinted(h, m))
	m = q.minted(t, h)
	m.growTo(1) // a rest that is not there
	f.refuses(exitUnderflow, f.operator, ValueRegister, registerMinted(h, m))
	// a registry that lists other keys only
	other := func(s *RootState) {
		clear(s.CAKeys)
		k := rawKey(testKey("another ca"))
		s.AddCAKey(CAProcessor, PublicKey{X: [32]byte(k[:32]), Y: [32]byte(k[32:])})
	}
	f, _ = newMintedFixture(t, q, other)
	h = f.heads()
	good(t, f.send(f.operator, ValueRegister, registerMinted(h, q.minted(t, h))))
	done(t, f.operator, CodeCAKey)
}

// TestRegisterDates tries the ends of a validity written as GeneralizedTime.
func TestRegisterDates(t *testing.T) {
	q := quoteForms[0]
	f, _ := newMintedFixture(t, q)
	h := f.heads()
	at := func(from, to int64) *RegisterTDX {
		m := q.minted(t, h)
		m.setTime(time.Unix(int64(f.Now)+from, 0), time.Unix(int64(f.Now)+to, 0), true)
		return registerMinted(h, m)
	}
	f.refuses(CodeQuotePCKNotYet, f.operator, ValueRegister, at(1, day))
	f.refuses(CodeQuotePCKExpired, f.operator, ValueRegister, at(-day, -1))
	for name, edit := range map[string]func(v []byte){
		"a letter":         func(v []byte) { v[7] = 'A' },
		"not in UTC":       func(v []byte) { v[18] = '+' },
		"called UTCTime":   func(v []byte) { v[2] = 0x17 },
		"a shorter length": func(v []byte) { v[3] = 13 },
	} {
		m := q.minted(t, h)
		m.setTime(time.Unix(int64(f.Now)-day, 0), time.Unix(int64(f.Now)+day, 0), true)
		edit(m.tbs[2])
		t.Run(name, func(t *testing.T) {
			f.t = t
			f.refuses(CodeQuoteCertificate, f.operator, ValueRegister, registerMinted(h, m))
		})
	}
	f.t = t
	if f.Now != tvmtest.Start {
		t.Fatal("the clock moved")
	}
	good(t, f.send(f.operator, ValueRegister, at(-day, day)))
	done(t, f.operator, 0)
}
