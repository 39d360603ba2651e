package contracts

import (
	"crypto/sha256"
	"encoding/hex"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation/sim"
	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

// exitUnderflow is TVM's exit code of a cell that is too short or too long.
const exitUnderflow = 9

func flip(b []byte, at int) { b[at] ^= 1 }

// quoteChecks has one entry for each check of quote.tolk: what it changes leaves
// every other check content.
var quoteChecks = []struct {
	name string
	code int64
	edit func(*minted)
}{
	// readPck, in its order.
	{"certificate is no SEQUENCE with two bytes of length", CodeQuoteCertificate, func(m *minted) { flip(m.tbs[0], 0) }},
	{"certificate of version 2", CodeQuoteCertificate, func(m *minted) { m.tbs[0][8] = 1 }},
	{"serial number of 22 bytes", CodeQuoteCertificate, func(m *minted) {
		n := int(m.tbs[0][10])
		more := 22 - n
		m.tbs[0][10] = 22
		m.tbs[0] = slices.Insert(m.tbs[0], 11+n, make([]byte, more)...)
		grow(m.tbsSize(), more)
	}},
	{"other signature algorithm", CodeQuoteCertificate, func(m *minted) { flip(m.tbs[0], len(m.tbs[0])-1) }},
	{"issuer is no SEQUENCE", CodeQuoteCertificate, func(m *minted) { m.tbs[1][0] = 0x31 }},
	{"validity has another length", CodeQuoteCertificate, func(m *minted) { m.tbs[2][1]++; grow(m.tbsSize(), 1) }},
	{"time of an unknown kind", CodeQuoteCertificate, func(m *minted) {
		m.setTime(time.Unix(m.now-day, 0), time.Unix(m.now+day, 0), true)
		m.tbs[2][2] = 0x19
	}},
	{"time before 2000 as GeneralizedTime", CodeQuoteCertificate, func(m *minted) {
		m.setTime(time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC), time.Unix(m.now+day, 0), true)
	}},
	{"time with a letter", CodeQuoteCertificate, func(m *minted) { m.tbs[2][5] = 'A' }},
	{"time not in UTC", CodeQuoteCertificate, func(m *minted) { m.tbs[2][16] = '+' }},
	{"subject is no SEQUENCE", CodeQuoteCertificate, func(m *minted) { m.tbs[3][0] = 0x31 }},
	{"key on another curve", CodeQuoteCertificate, func(m *minted) { flip(m.tbs[4], 22) }},
	{"no extensions", CodeQuoteCertificate, func(m *minted) { flip(m.tbs[4], 91) }},
	{"extensions are no list", CodeQuoteCertificate, func(m *minted) { flip(m.tbs[4], 95) }},
	{"list and its envelope disagree", CodeQuoteCertificate, func(m *minted) { growAll(1, m.outerSize(), m.tbsSize()) }},
	{"extensions and certificate disagree", CodeQuoteCertificate, func(m *minted) { growAll(1, m.tbsSize()) }},
	{"extension with two bytes of length", CodeQuoteCertificate, func(m *minted) { m.tbs[5][0] = 0x31 }},
	{"SGX Extensions are not the rest of the list", CodeQuoteCertificate, func(m *minted) { growAll(1, m.listSize(), m.outerSize(), m.tbsSize()) }},
	{"other extension in the place of SGX Extensions", CodeQuoteCertificate, func(m *minted) { flip(m.tbs[m.sgx], 14) }},
	{"octet string and SGX Extensions disagree", CodeQuoteCertificate, func(m *minted) { growAll(1, m.octetSize()) }},
	{"SGX Extensions are no list", CodeQuoteCertificate, func(m *minted) { flip(m.tbs[m.sgx], 19) }},
	{"fields and SGX Extensions disagree", CodeQuoteCertificate, func(m *minted) { growAll(1, m.fieldSize()) }},
	{"first field is not the PPID", CodeQuoteCertificate, func(m *minted) { flip(m.tbs[m.sgx], 36) }},
	{"TCB is no list", CodeQuoteCertificate, func(m *minted) { flip(m.tbs[m.sgx], 55) }},
	{"second field is not the TCB", CodeQuoteCertificate, func(m *minted) { flip(m.tbs[m.sgx], 70) }},
	{"numbers and TCB disagree", CodeQuoteCertificate, func(m *minted) { growAll(1, m.svnSize()) }},
	{"component 1 is another one", CodeQuoteCertificate, func(m *minted) { flip(m.tbs[m.sgx+1], 14) }},
	{"component 9 is another one", CodeQuoteCertificate, func(m *minted) { flip(m.tbs[m.sgx+2], 2*18+14) }},
	{"component 14 is another one", CodeQuoteCertificate, func(m *minted) { flip(m.tbs[m.sgx+3], 18+14) }},
	{"component 3 is another one, and long", CodeQuoteCertificate, func(m *minted) {
		m.setSVN(svnContents(3, []byte{0, 0x85}))
		flip(m.tbs[m.sgx+1], 2*18+14)
	}},
	{"component with a needless zero", CodeQuoteCertificate, func(m *minted) { m.setSVN(svnContents(3, []byte{0, 5})) }},
	{"negative component", CodeQuoteCertificate, func(m *minted) { m.setSVN(svnContents(3, []byte{0x85})) }},
	{"PCESVN with a needless zero", CodeQuoteCertificate, func(m *minted) { m.setSVN(svnContents(17, []byte{0, 13})) }},
	{"PCESVN with two needless zeros", CodeQuoteCertificate, func(m *minted) { m.setSVN(svnContents(17, []byte{0, 0x12, 0x34})) }},
	{"PCESVN of another form", CodeQuoteCertificate, func(m *minted) { m.setSVN(svnContents(17, []byte{1, 0x92, 0x34})) }},
	{"negative PCESVN", CodeQuoteCertificate, func(m *minted) { m.setSVN(svnContents(17, []byte{0x85})) }},
	{"PCESVN is another component", CodeQuoteCertificate, func(m *minted) { flip(m.tbs[m.sgx+3], 4*18+14) }},
	{"TCB has another length than its numbers", CodeQuoteCertificate, func(m *minted) { growAll(1, m.tcbSize(), m.svnSize()); m.growTo(1) }},
	{"no CPUSVN", CodeQuoteCertificate, func(m *minted) { flip(m.tbs[m.sgx+4], 14) }},
	{"PCE id 1", CodeQuoteCertificate, func(m *minted) { flip(m.tbs[m.sgx+4], 33+17) }},
	{"no FMSPC", CodeQuoteCertificate, func(m *minted) { flip(m.tbs[m.sgx+4], 33+18+13) }},
	{"no SGX type", CodeQuoteCertificate, func(m *minted) { flip(m.tbs[m.sgx+4], 33+18+22+13) }},
	{"rest has another length", CodeQuoteCertificate, func(m *minted) { m.growTo(1) }},
	{"rest is not the platform instance", CodeQuoteCertificate, func(m *minted) { flip(m.tbs[m.sgx+5], 13) }},
	{"configuration is no SEQUENCE", CodeQuoteCertificate, func(m *minted) { m.tbs[m.sgx+5][32] = 0x31 }},
	{"bytes behind the configuration", exitUnderflow, func(m *minted) {
		m.tbs[m.sgx+5] = append(m.tbs[m.sgx+5], 5, 0)
		m.growTo(2)
	}},

	// verifyTdxQuote, step 1.
	{"PCK certificate by another key", CodeQuotePCKSignature, func(m *minted) { m.wrongCA = true }},
	{"PCK certificate a second too early", CodeQuotePCKNotYet, func(m *minted) {
		m.setTime(time.Unix(m.now+1, 0), time.Unix(m.now+day, 0), false)
	}},
	{"PCK certificate a second too late", CodeQuotePCKExpired, func(m *minted) {
		m.setTime(time.Unix(m.now-day, 0), time.Unix(m.now-1, 0), false)
	}},

	// readQe.
	{"QE report by another key", CodeQuoteQESignature, func(m *minted) { m.wrongPCK = true }},
	{"QE with MISCSELECT", CodeQuoteQEIdentity, func(m *minted) { m.qe[0][19] = 1 }},
	{"QE under debug", CodeQuoteQEIdentity, func(m *minted) { m.qe[0][48] |= 2 }},
	{"QE not initialised", CodeQuoteQEIdentity, func(m *minted) { m.qe[0][48] &^= 1 }},
	{"QE with a reserved attribute", CodeQuoteQEIdentity, func(m *minted) { m.qe[0][55] = 1 }},
	{"QE for SGX", CodeQuoteQEIdentity, func(m *minted) { m.qe[2][64] = 1 }},
	{"QE with a high product number", CodeQuoteQEIdentity, func(m *minted) { m.qe[2][65] = 1 }},
	{"QE for another attestation key", CodeQuoteKey, func(m *minted) { m.bound = false; flip(m.qe[3], 40) }},
	{"QE with more report data", CodeQuoteKey, func(m *minted) { m.qe[3][95] = 1 }},

	// verifyTdxQuote, steps 3 and 4.
	{"version 3", CodeQuoteVersion, func(m *minted) { m.body[0][0] = 3 }},
	{"attestation key of another type", CodeQuoteVersion, func(m *minted) { m.body[0][2] = 3 }},
	{"SGX quote", CodeQuoteVersion, func(m *minted) { m.body[0][4] = 0 }},
	{"quote by another key", CodeQuoteTDSignature, func(m *minted) { m.wrongAK = true }},
	{"QE of another vendor", CodeQuoteVersion, func(m *minted) { flip(m.body[0], 27) }},
	{"MRSIGNERSEAM", CodeQuoteSEAM, func(m *minted) { m.body[1][0] = 1 }},
	{"end of MRSIGNERSEAM", CodeQuoteSEAM, func(m *minted) { m.body[1][47] = 1 }},
	{"SEAMATTRIBUTES", CodeQuoteSEAM, func(m *minted) { m.body[1][55] = 1 }},
	{"debug", CodeQuoteDebug, func(m *minted) { m.body[1][56] = 1 }},
	{"reserved bit of the kind of debug", CodeQuoteDebug, func(m *minted) { m.body[1][56] = 0x80 }},
}

// svnContents returns the simulated machine's components with one replaced.
func svnContents(n int, content []byte) (c [17][]byte) {
	for i := range c {
		v := 0
		if i < 8 {
			v = 3
		}
		if i == 16 {
			v = 13
		}
		c[i] = integer(v)
	}
	c[n-1] = content
	return c
}

func TestQuoteChecks(t *testing.T) {
	good := newMinted(t, testTD())
	if r := good.verify(); r.exit != 0 {
		t.Fatalf("a good quote ends with %s", ErrorName(int(r.exit)))
	}
	for _, c := range quoteChecks {
		m := newMinted(t, testTD())
		c.edit(m)
		if r := m.verify(); r.exit != c.code {
			t.Errorf("%s: got %s, want %s", c.name, ErrorName(int(r.exit)), ErrorName(int(c.code)))
		}
	}
}

// TestQuoteWithoutHeads takes out each constant of the certificate, lengths as
// they were: what follows must not be read in its place.
func TestQuoteWithoutHeads(t *testing.T) {
	sgx := newMinted(t, testTD()).sgx
	serial := int(newMinted(t, testTD()).tbs[0][10])
	for _, c := range []struct{ piece, at, size int }{
		{0, 0, 2}, {0, 4, 6}, {0, 11 + serial, 12}, // certificate, version and serial number, algorithm
		{4, 0, 27}, {4, 91, 2}, {4, 95, 2}, // key, extensions
		{sgx, 4, 13}, {sgx, 19, 2}, {sgx, 23, 16}, {sgx, 55, 2}, {sgx, 59, 14}, // SGX Extensions, list, PPID, list, TCB
		{sgx + 4, 0, 17}, {sgx + 4, 33, 18}, {sgx + 4, 51, 16}, {sgx + 4, 73, 17}, // CPUSVN, PCE id, FMSPC, type
		{sgx + 5, 0, 16}, // platform instance
	} {
		m := newMinted(t, testTD())
		m.tbs[c.piece] = slices.Delete(m.tbs[c.piece], c.at, c.at+c.size)
		if c.piece == sgx+5 {
			m.growTo(-c.size)
		}
		if r := m.verify(); r.exit != CodeQuoteCertificate {
			t.Errorf("piece %d without bytes %d to %d: %s", c.piece, c.at, c.at+c.size, ErrorName(int(r.exit)))
		}
	}
}

// TestQuoteV5 checks what only quotes of version 5 have.
func TestQuoteV5(t *testing.T) {
	for _, c := range []struct {
		name string
		td   sim.TD
		code int64
		edit func(*minted)
	}{
		{"body type 2", sim.TD{BodyType: 2}, 0, func(*minted) {}},
		{"body type 3", sim.TD{}, 0, func(*minted) {}},
		{"body type 2 called 3", sim.TD{BodyType: 2}, CodeQuoteVersion, func(m *minted) { m.body[0][48] = 3 }},
		{"body type 4", sim.TD{}, CodeQuoteVersion, func(m *minted) { m.body[0][48] = 4 }},
		{"body type 3 of another length", sim.TD{}, CodeQuoteVersion, func(m *minted) { m.body[0][50]++ }},
		{"body type 3 called 2", sim.TD{}, CodeQuoteVersion, func(m *minted) { copy(m.body[0][48:], []byte{2, 0, 0x88}) }},
		{"body type 3 as 2", sim.TD{}, exitUnderflow, func(m *minted) { copy(m.body[0][48:], []byte{2, 0, 0x48, 2, 0, 0}) }},
	} {
		c.td.Version = 5
		m := newMinted(t, c.td)
		c.edit(m)
		if r := m.verify(); r.exit != c.code {
			t.Errorf("%s: got %s, want %s", c.name, ErrorName(int(r.exit)), ErrorName(int(c.code)))
		}
	}
}

// facts is TdxFacts as the harness returns it.
type facts struct {
	reportLow, reportHigh, measurement, platformID, serial, notAfter *big.Int
	configurationZero, serviceZero                                   bool
	fmspc, cpuSVN, pceSVN, teeSVN, teeSVNNow, qeSVN, qeSigner        *big.Int
	tdAttributes, xfam                                               *big.Int
}

func factsOf(t testing.TB, r result) facts {
	t.Helper()
	if r.exit != 0 || len(r.stack) != 21 {
		t.Fatalf("%s, %d results", ErrorName(int(r.exit)), len(r.stack))
	}
	n := func(i int) *big.Int { return r.stack[i].(*big.Int) }
	return facts{n(0), n(1), n(2), n(3), n(4), n(5), n(6).Sign() != 0, n(7).Sign() != 0,
		n(12), n(13), n(14), n(15), n(16), n(17), n(18), n(19), n(20)}
}

func num(b []byte) *big.Int { return new(big.Int).SetBytes(b) }

func wantNum(t testing.TB, what string, got *big.Int, want []byte) {
	t.Helper()
	if got.Cmp(num(want)) != 0 {
		t.Errorf("%s is %x, want %x", what, got, want)
	}
}

// compareFacts compares what the contract reads with what ReadQuote does.
func compareFacts(t testing.TB, f facts, quote []byte) {
	t.Helper()
	info, err := ReadQuote(quote)
	if err != nil {
		t.Fatal(err)
	}
	wantNum(t, "REPORTDATA[:32]", f.reportLow, info.ReportData[:32])
	wantNum(t, "REPORTDATA[32:]", f.reportHigh, info.ReportData[32:])
	wantNum(t, "measurement", f.measurement, info.Measurement[:])
	wantNum(t, "platform id", f.platformID, info.PlatformID[:])
	wantNum(t, "FMSPC", f.fmspc, info.FMSPC[:])
	wantNum(t, "CPUSVN", f.cpuSVN, info.TCB.CPUSVN[:])
	wantNum(t, "TEE_TCB_SVN", f.teeSVN, info.TCB.TEESVN[:])
	wantNum(t, "TEE_TCB_SVN2", f.teeSVNNow, info.TCB.TEESVNNow[:])
	wantNum(t, "QE signer", f.qeSigner, info.TCB.QESigner[:])
	wantNum(t, "TDATTRIBUTES", f.tdAttributes, info.TCB.TDAttributes[:])
	wantNum(t, "XFAM", f.xfam, info.TCB.XFAM[:])
	if f.pceSVN.Int64() != int64(info.TCB.PCESVN) || f.qeSVN.Int64() != int64(info.TCB.QESVN) {
		t.Errorf("PCESVN %v and QE SVN %v, want %d and %d", f.pceSVN, f.qeSVN, info.TCB.PCESVN, info.TCB.QESVN)
	}
}

// TestQuoteFacts checks every fact, with a different value in each field.
func TestQuoteFacts(t *testing.T) {
	var td sim.TD
	fill := func(b []byte, v byte) {
		for i := range b {
			b[i] = v + byte(i)
		}
	}
	fill(td.MRTD[:], 0x10)
	for i := range td.RTMR {
		fill(td.RTMR[i][:], byte(0x40+0x20*i))
	}
	fill(td.ReportData[:], 0xc0)
	fill(td.MRSEAM[:], 0x81)
	td.TEETCBSVN = [16]byte{7, 1, 5, 0, 9}
	for _, version := range []uint16{4, 5} {
		td.Version = version
		if version == 5 {
			td.TEETCBSVN2 = [16]byte{8, 1, 6, 0, 9}
		}
		q := mint(t, platform(t, "machine", sim.IntelOptions{}), td)
		f := factsOf(t, remint(t, q).verify())
		compareFacts(t, f, q)
		if !f.configurationZero || !f.serviceZero {
			t.Errorf("version %d: configuration %v, service %v, want both to be zero", version, f.configurationZero, f.serviceZero)
		}
	}
	// Each of the four that bind the TD to somebody else.
	for name, c := range map[string]struct {
		edit    func(*sim.TD)
		service bool
	}{
		"MRCONFIGID":          {func(td *sim.TD) { td.MRConfigID[0] = 1 }, false},
		"end of MRCONFIGID":   {func(td *sim.TD) { td.MRConfigID[47] = 1 }, false},
		"MROWNER":             {func(td *sim.TD) { td.MROwner[0] = 1 }, false},
		"end of MROWNER":      {func(td *sim.TD) { td.MROwner[47] = 1 }, false},
		"MROWNERCONFIG":       {func(td *sim.TD) { td.MROwnerConfig[0] = 1 }, false},
		"end of it":           {func(td *sim.TD) { td.MROwnerConfig[47] = 1 }, false},
		"MRSERVICETD":         {func(td *sim.TD) { td.MRServiceTD[0] = 1 }, true},
		"end of MRSERVICETD":  {func(td *sim.TD) { td.MRServiceTD[47] = 1 }, true},
		"middle of MRCONFIG.": {func(td *sim.TD) { td.MRConfigID[33] = 1 }, false},
	} {
		td := sim.TD{Version: 5}
		c.edit(&td)
		f := factsOf(t, newMinted(t, td).verify())
		if f.configurationZero == !c.service || f.serviceZero == c.service {
			t.Errorf("%s: configuration zero %v, service zero %v", name, f.configurationZero, f.serviceZero)
		}
	}
}

// TestQuoteDER checks numbers and times that make the certificate longer, and
// the ends of validity.
func TestQuoteDER(t *testing.T) {
	for n := 1; n <= 17; n++ {
		for _, v := range []int{0, 1, 127, 128, 255, 256, 0x7fff, 0x8000, 0xffff} {
			if n < 17 && v > 255 {
				continue
			}
			m := newMinted(t, testTD())
			m.setSVN(svnContents(n, integer(v)))
			f := factsOf(t, m.verify())
			want := slices.Concat(slices.Repeat([]byte{3}, 8), make([]byte, 8))
			pce := 13
			if n == 17 {
				pce = v
			} else {
				want[n-1] = byte(v)
			}
			if f.cpuSVN.Cmp(num(want)) != 0 || f.pceSVN.Int64() != int64(pce) {
				t.Errorf("component %d = %d: read CPUSVN %x, PCESVN %v", n, v, f.cpuSVN, f.pceSVN)
			}
		}
	}
	for _, c := range []struct {
		from, to time.Time
		general  bool
	}{
		{time.Unix(tvmtest.Start, 0), time.Unix(tvmtest.Start, 0), false},
		{time.Unix(tvmtest.Start, 0), time.Unix(tvmtest.Start, 0), true},
		{time.Date(1950, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2049, 12, 31, 23, 59, 59, 0, time.UTC), false},
		{time.Date(2000, 2, 29, 12, 0, 0, 0, time.UTC), time.Date(2099, 12, 31, 23, 59, 59, 0, time.UTC), false},
		{time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC), time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC), false},
		{time.Date(2023, 3, 1, 0, 0, 0, 0, time.UTC), time.Date(2088, 2, 29, 23, 0, 59, 0, time.UTC), false},
	} {
		m := newMinted(t, testTD())
		m.setTime(c.from, c.to, c.general)
		if f := factsOf(t, m.verify()); f.notAfter.Int64() != c.to.Unix() {
			t.Errorf("valid until %v: read %v", c.to, f.notAfter)
		}
	}
	// Every month and leap day, against Go's calendar.
	for d := time.Date(2026, 12, 31, 1, 2, 3, 0, time.UTC); d.Year() < 2030; d = d.AddDate(0, 0, 13) {
		m := newMinted(t, testTD())
		m.setTime(time.Unix(m.now-day, 0), d.AddDate(3, 0, 0), false)
		if f := factsOf(t, m.verify()); f.notAfter.Int64() != d.AddDate(3, 0, 0).Unix() {
			t.Fatalf("valid until %v: read %v", d.AddDate(3, 0, 0), f.notAfter)
		}
	}
}

// TestQuoteProcessorCA verifies a certificate without a platform instance.
func TestQuoteProcessorCA(t *testing.T) {
	q := mint(t, platform(t, "processor", sim.IntelOptions{Processor: true}), testTD())
	m := remint(t, q)
	compareFacts(t, factsOf(t, m.verify()), q)
	// It must end where its fields end.
	last := len(m.tbs) - 1
	m.tbs[last] = append(m.tbs[last], 5, 0)
	if r := m.verify(); r.exit != exitUnderflow {
		t.Errorf("bytes behind the SGX type: %s", ErrorName(int(r.exit)))
	}
}

// TestQuoteSerial checks that a serial number of any length moves nothing else.
func TestQuoteSerial(t *testing.T) {
	for _, n := range []int{1, 8, 19, 20, 21} {
		m := newMinted(t, testTD())
		old := int(m.tbs[0][10])
		serial := slices.Repeat([]byte{0x5a}, n)
		grow(m.tbsSize(), n-old)
		m.tbs[0] = slices.Concat(m.tbs[0][:10], []byte{byte(n)}, serial, m.tbs[0][11+old:])
		f := factsOf(t, m.verify())
		wantNum(t, "serial number", f.serial, serial)
	}
}

// TestMeasurement pins the measurement's definition by hand.
func TestMeasurement(t *testing.T) {
	td := testTD()
	f := factsOf(t, newMinted(t, td).verify())
	h := sha256.New()
	h.Write([]byte("cocoon/measurement/tdx/v1\n"))
	for _, b := range [][48]byte{td.MRTD, td.RTMR[0], td.RTMR[1], td.RTMR[2]} {
		h.Write(b[:])
	}
	if got, want := hex.EncodeToString(f.measurement.FillBytes(make([]byte, 32))), hex.EncodeToString(h.Sum(nil)); got != want {
		t.Errorf("measurement %s, want %s", got, want)
	}
}
