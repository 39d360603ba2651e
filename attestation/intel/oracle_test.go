package intel_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-tdx-guest/verify"

	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/intel"
	"github.com/cocoon-go/cocoon/attestation/sim"
	"github.com/cocoon-go/cocoon/attestation/vectortest"
)

// The oracle is go-tdx-guest v0.3.1 with documents and revocation lists. It says
// yes or no, and yes stands for UpToDate. What it can't judge or judges
// otherwise, one by one; the texts are those of its errors:
const (
	// It reads quotes of version 4 only.
	noVersion5 = "quote format not supported"
	// It compares the FMSPC of the TCB info, which Intel's service writes in
	// upper case since 2025, as text with the lower case of its own.
	noUpperCase = "is not equal to FMSPC value"
	// It knows the PCK Platform CA only, not the Processor CA.
	noProcessorCA = `"Intel SGX PCK Processor CA" is not expected`
	// It wants the PCK chain in the quote; Intel's library also takes it beside.
	noChainBeside = "PCK certificate chain data type invalid"
	// It takes the first level of the document that matches; Intel's library
	// sorts the levels first.
	noSorting = `TCB Status is not "UpToDate", found "OutOfDate"`
	// It looks at the end of the documents' validity, not at its start: accepted.
	acceptsFuture = "accepted"
)

// TestOracleOnSimulated compares verdicts on simulated quotes of which one thing
// is wrong.
func TestOracleOnSimulated(t *testing.T) {
	rated := func(platform, module, qe intel.Status) func(*sample) {
		return func(s *sample) {
			s.collateral.PlatformStatus, s.collateral.ModuleStatus, s.collateral.QEStatus = platform, module, qe
		}
	}
	svn := func(b ...byte) func(*sample) { return func(s *sample) { copy(s.td.TEETCBSVN[:], b) } }
	qe := func(f func([]byte)) func(*sample) { return func(s *sample) { s.td.Edit.QEReport = f } }
	documents := func(f func(*intel.Collateral)) func(*sample) { return func(s *sample) { s.documents = f } }
	for _, c := range []struct {
		name   string
		edit   func(*sample)
		good   bool
		differ string // the oracle's known error; empty: it agrees
	}{
		{name: "good", edit: func(*sample) {}, good: true},
		{name: "debug TD, which is for policy", edit: func(s *sample) { s.td.Attributes = sim.TDSeptVEDisable | sim.TDDebug }, good: true},
		{name: "padding", edit: func(s *sample) { s.td.Edit.Trailing = make([]byte, 100) }, good: true},
		{name: "other authentication data", edit: func(s *sample) { s.td.Edit.Auth = []byte("seventeen bytes..") }, good: true},
		{name: "module version 0", edit: svn(5, 0, 3), good: true},
		{name: "TD 1.5", edit: func(s *sample) { s.td.Version = 5 }, good: true, differ: noVersion5},
		{name: "FMSPC in upper case", edit: func(s *sample) { s.collateral.FMSPC = "514D00000000" }, good: true, differ: noUpperCase},
		{name: "processor CA", edit: func(s *sample) {
			s.platform = newPlatform(t, sim.IntelOptions{Processor: true})
			s.roots = [][32]byte{s.platform.RootFingerprint()}
		}, good: true, differ: noProcessorCA},
		{name: "chain beside", edit: func(s *sample) {
			s.td.Edit.CertType = 3
			s.documents = func(c *intel.Collateral) { c.PCKCertificateChain = string(s.platform.PCKChain()) }
		}, good: true, differ: noChainBeside},
		{name: "levels in ascending order", edit: func(s *sample) {
			s.collateral.Edit = func(name string, doc any) {
				if m, ok := doc.(object); ok {
					l := m["tcbLevels"].([]any)
					l[0], l[1] = l[1], l[0]
				}
			}
		}, good: true, differ: noSorting},
		{name: "documents of the future", edit: func(s *sample) { s.collateral.Issued = -time.Minute }, differ: acceptsFuture},

		{name: "SWHardeningNeeded", edit: rated(intel.SWHardeningNeeded, "", "")},
		{name: "ConfigurationNeeded", edit: rated(intel.ConfigurationNeeded, "", "")},
		{name: "OutOfDate platform with UpToDate module", edit: rated(intel.OutOfDate, "", "")},
		{name: "module OutOfDate", edit: rated("", intel.OutOfDate, "")},
		{name: "QE OutOfDate", edit: rated("", "", intel.OutOfDate)},
		{name: "platform Revoked", edit: rated(intel.Revoked, "", "")},
		{name: "module Revoked", edit: rated("", intel.Revoked, "")},
		{name: "QE Revoked", edit: rated("", "", intel.Revoked)},
		{name: "TDX component", edit: svn(5, 1, 2)},
		{name: "below every level", edit: svn(5, 1, 1)},
		{name: "old module", edit: svn(4, 1, 3)},
		{name: "unknown module", edit: svn(5, 9, 3)},
		{name: "old module version 0", edit: svn(4, 0, 3)},
		{name: "old QE", edit: qe(func(r []byte) { r[258] = 3 })},
		{name: "QE below every level", edit: qe(func(r []byte) { r[258] = 1 })},
		{name: "QE MISCSELECT", edit: qe(func(r []byte) { r[16] = 1 })},
		{name: "QE debug", edit: qe(func(r []byte) { r[48] |= 2 })},
		{name: "QE MRSIGNER", edit: qe(func(r []byte) { r[128] ^= 1 })},
		{name: "QE product", edit: qe(func(r []byte) { r[256] = 9 })},
		{name: "QE does not vouch", edit: qe(func(r []byte) { r[320] ^= 1 })},
		{name: "MRSIGNERSEAM", edit: func(s *sample) { s.td.MRSIGNERSEAM[0] = 1 }},
		{name: "SEAMATTRIBUTES", edit: func(s *sample) { s.td.SEAM = 1 }},
		{name: "wrong PCK key", edit: func(s *sample) { s.td.Edit.WrongPCK = true }},
		{name: "wrong attestation key", edit: func(s *sample) { s.td.Edit.WrongAK = true }},
		{name: "chain by reference", edit: func(s *sample) { s.td.Edit.CertType = 1 }},
		{name: "PCK revoked", edit: func(s *sample) { s.collateral.RevokePCK = true }},
		{name: "CA revoked", edit: func(s *sample) { s.collateral.RevokeCA = true }},
		{name: "signer revoked", edit: func(s *sample) { s.collateral.RevokeSigner = true }},
		{name: "expired documents", edit: func(s *sample) { s.collateral.Valid = -time.Minute }},
		{name: "expired certificates", edit: func(s *sample) { s.at = now.AddDate(8, 0, 0); s.collateral.At = s.at }},
		{name: "TCB info changed", edit: documents(func(c *intel.Collateral) { c.TCBInfo = strings.Replace(c.TCBInfo, `"svn":5`, `"svn":4`, 1) })},
		{name: "QE identity changed", edit: documents(func(c *intel.Collateral) { c.QEIdentity = strings.Replace(c.QEIdentity, `"isvsvn":4`, `"isvsvn":3`, 1) })},
		{name: "root list changed", edit: documents(func(c *intel.Collateral) { c.RootCACRL = flipHex(c.RootCACRL) })},
		{name: "PCK list changed", edit: documents(func(c *intel.Collateral) { c.PCKCRL = flipHex(c.PCKCRL) })},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSample(t)
			c.edit(s)
			raw, docs := s.make(t)
			f, err := s.verify(t)
			if ours := err == nil && f.Status == intel.UpToDate; ours != c.good {
				t.Errorf("ours: %+v, %v", f, err)
			}
			theirs := goTDXGuest(raw, docs, verify.Options{TrustedRoots: certPool(t, s.platform.RootPEM())}, s.at)
			agree(t, c.good, c.differ, theirs)
		})
	}
}

// agree compares the oracle's answer with ours, or with its known error.
func agree(t *testing.T, good bool, differ string, theirs error) {
	t.Helper()
	switch {
	case differ == "":
		if (theirs == nil) != good {
			t.Errorf("go-tdx-guest: %v, ours: %v", theirs, good)
		}
	case (theirs == nil) == good:
		t.Errorf("go-tdx-guest has lost a known error: %v, ours: %v", theirs, good)
	case theirs != nil && !strings.Contains(theirs.Error(), differ):
		t.Errorf("go-tdx-guest: %v, want %q", theirs, differ)
	}
}

// TestOracleOnVectors compares on every real TDX quote: with each set of
// documents its rating, and without any its chain and signatures.
func TestOracleOnVectors(t *testing.T) {
	dir := vectortest.Dir(t)
	var m struct{ TDX []manifestEntry }
	if err := json.Unmarshal(readFile(t, dir, "manifest.json"), &m); err != nil {
		t.Fatal(err)
	}
	judged := 0
	for _, e := range m.TDX {
		raw := readFile(t, dir, e.File)
		q, err := intel.ParseQuote(raw)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range e.Expected {
			t.Run(filepath.Base(e.File)+"/"+x.Collateral, func(t *testing.T) {
				at := time.Unix(x.Now, 0)
				c, err := intel.ParseCollateral(readFile(t, dir, "tdx", "collateral", x.Collateral))
				if err != nil {
					t.Fatal(err)
				}
				f, err := intel.NewVerifier().Verify(q, endorse(t, c), at)
				if err != nil {
					t.Fatal(err)
				}
				differ, upper := "", strings.ToUpper(e.FMSPC)
				switch good := f.Status == intel.UpToDate; {
				case q.Version != 4:
					differ = noVersion5
				case upper != e.FMSPC && strings.Contains(c.TCBInfo, `"`+upper+`"`):
					differ = noUpperCase
				default:
					judged++
					agree(t, good, "", goTDXGuest(raw, c, verify.Options{}, at))
					return
				}
				// It refuses, whatever the rating; that is why, and nothing else.
				if theirs := goTDXGuest(raw, c, verify.Options{}, at); theirs == nil || !strings.Contains(theirs.Error(), differ) {
					t.Errorf("go-tdx-guest: %v, want %q", theirs, differ)
				}
			})
		}
		if q.Version != 4 {
			continue
		}
		start, _, _ := strings.Cut(e.Validity, "..")
		at, err := time.Parse(time.DateOnly, start)
		if err != nil {
			t.Fatal(err)
		}
		at = at.AddDate(0, 1, 0)
		_, ours := intel.NewVerifier().Verify(q, nil, at) // false, or only the documents are missing
		agree(t, fault.FamilyOf(ours) == fault.FamilyUnknown, "", verify.RawTdxQuote(raw, &verify.Options{Now: at}))
	}
	if judged < 10 {
		t.Errorf("go-tdx-guest judged only %d ratings", judged)
	}
}
