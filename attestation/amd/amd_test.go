package amd_test

import (
	"bytes"
	"crypto/x509"
	"errors"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation/amd"
	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/sim"
)

var now = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// vendors caches the simulated vendors, whose RSA keys are slow to make.
var vendors sync.Map

func vendor(t testing.TB, p amd.Product) *sim.AMD {
	t.Helper()
	if v, ok := vendors.Load(p); ok {
		return v.(*sim.AMD)
	}
	v := newVendor(t, sim.AMDConfig{Product: p})
	vendors.Store(p, v)
	return v
}

func newVendor(t testing.TB, cfg sim.AMDConfig) *sim.AMD {
	t.Helper()
	v, err := sim.NewAMD(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// setup is everything that one verification takes, so that a test changes one
// thing.
type setup struct {
	vendor  *sim.AMD
	chip    sim.AMDChipConfig
	report  sim.AMDReport
	crl     []byte   // default: valid for a month around now, nothing revoked
	docs    [][]byte // default: leaf, intermediate, root and crl
	options *amd.Options
	at      time.Time
}

func (s setup) run(t testing.TB) (*amd.Facts, *sim.AMDChip, error) {
	t.Helper()
	if s.vendor == nil {
		s.vendor = vendor(t, amd.Milan)
	}
	chip, err := s.vendor.NewChip(s.chip)
	if err != nil {
		t.Fatal(err)
	}
	report, err := chip.Report(s.report)
	if err != nil {
		t.Fatal(err)
	}
	if s.crl == nil {
		s.crl = crl(t, s.vendor, now.AddDate(0, 0, -15), now.AddDate(0, 0, 15))
	}
	if s.docs == nil {
		s.docs = append(chip.Documents(), s.crl)
	}
	if s.options == nil {
		s.options = &amd.Options{SimulatedRoots: [][32]byte{s.vendor.Root()}}
	}
	if s.at.IsZero() {
		s.at = now
	}
	f, err := amd.Verify(report, endorsements(t, s.docs...), *s.options, s.at)
	if (f == nil) == (err == nil) {
		t.Fatalf("facts %v with error %v", f, err)
	}
	return f, chip, err
}

func crl(t testing.TB, v *sim.AMD, from, to time.Time, revoked ...*big.Int) []byte {
	t.Helper()
	b, err := v.CRL(from, to, revoked...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func endorsements(t testing.TB, docs ...[]byte) *amd.Endorsements {
	t.Helper()
	e, err := amd.ParseEndorsements(docs...)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// wantErr asserts the family, the step and a part of the message.
func wantErr(t testing.TB, err error, f fault.Family, s amd.Step, part string) {
	t.Helper()
	var se *amd.StepError
	if err == nil || fault.FamilyOf(err) != f || !errors.As(err, &se) || se.Step != s || !strings.Contains(err.Error(), part) {
		t.Errorf("got %v (family %d, step %+v), want family %d at step %q with %q", err, fault.FamilyOf(err), se, f, s, part)
	}
}

func TestSimulatedPlatforms(t *testing.T) {
	for _, p := range []amd.Product{amd.Milan, amd.Genoa, amd.Turin} {
		for _, vlek := range []bool{false, true} {
			for version := uint32(2); version <= 5; version++ {
				tcb := amd.TCB{Bootloader: 9, TEE: 2, SNP: 23, Microcode: 200}
				if p == amd.Turin {
					tcb.FMC = 3
				}
				s := setup{vendor: vendor(t, p), chip: sim.AMDChipConfig{VLEK: vlek, TCB: tcb}, report: sim.AMDReport{Version: version, VMPL: 1}}
				s.report.Measurement[0], s.report.HostData[1], s.report.ReportData[2] = 1, 2, 3
				f, chip, err := s.run(t)
				if err != nil {
					t.Fatalf("%v vlek=%v v%d: %v", p, vlek, version, err)
				}
				if !f.Simulated || f.Root != s.vendor.Root() || f.Product != p || f.Reported != tcb || f.Report.Version != version {
					t.Errorf("%v vlek=%v v%d: facts %+v", p, vlek, version, f)
				}
				if f.HardwareID != chip.ChipID || !f.HasHardwareID || (f.CSPID != "") != vlek {
					t.Errorf("%v vlek=%v v%d: hardware id %x, provider %q", p, vlek, version, f.HardwareID, f.CSPID)
				}
				if !f.Revocation.Checked || !f.NotBefore.Equal(now.AddDate(0, 0, -15)) || !f.NotAfter.Equal(now.AddDate(0, 0, 15)) {
					t.Errorf("%v: window %v to %v, revocation %+v", p, f.NotBefore, f.NotAfter, f.Revocation)
				}
				if f.Report.Measurement[0] != 1 || f.Report.HostData[1] != 2 || f.Report.ReportData[2] != 3 || f.Report.VMPL != 1 {
					t.Errorf("%v: report %+v", p, f.Report)
				}
			}
		}
	}
}

func TestMaskedChipID(t *testing.T) {
	f, chip, err := setup{report: sim.AMDReport{MaskChipID: true}}.run(t)
	if err != nil || !f.HasHardwareID || f.HardwareID != chip.ChipID || !f.Report.ChipIDMasked() {
		t.Errorf("VCEK: %v, facts %+v; want the hardware id of the certificate", err, f)
	}
	f, _, err = setup{chip: sim.AMDChipConfig{VLEK: true}, report: sim.AMDReport{MaskChipID: true}}.run(t)
	if err != nil || f.HasHardwareID || f.HardwareID != [64]byte{} {
		t.Errorf("VLEK: %v, facts %+v; want no hardware id", err, f)
	}
}

func TestRoots(t *testing.T) {
	_, _, err := setup{options: &amd.Options{}}.run(t)
	wantErr(t, err, fault.FamilyFalse, amd.StepRoot, "neither AMD's nor named by the caller")
	_, _, err = setup{options: &amd.Options{SimulatedRoots: [][32]byte{{1}}}}.run(t)
	wantErr(t, err, fault.FamilyFalse, amd.StepRoot, "neither AMD's")
	_, _, err = setup{vendor: newVendor(t, sim.AMDConfig{Product: amd.Milan, GenuineNames: true}), options: &amd.Options{}}.run(t)
	wantErr(t, err, fault.FamilyFalse, amd.StepRoot, "neither AMD's")
}

func TestChain(t *testing.T) {
	milan := vendor(t, amd.Milan)
	other := newVendor(t, sim.AMDConfig{Product: amd.Milan, OtherKeys: true})
	chip, err := milan.NewChip(sim.AMDChipConfig{})
	if err != nil {
		t.Fatal(err)
	}
	report, err := chip.Report(sim.AMDReport{})
	if err != nil {
		t.Fatal(err)
	}
	o := amd.Options{SimulatedRoots: [][32]byte{milan.Root(), other.Root()}}
	list := crl(t, milan, now.AddDate(0, 0, -1), now.AddDate(0, 0, 1))
	leaf, ask, ark := chip.Leaf.Raw, milan.ASK.Raw, milan.ARK.Raw
	check := func(name string, f fault.Family, s amd.Step, part string, docs ...[]byte) {
		t.Helper()
		_, err := amd.Verify(report, endorsements(t, docs...), o, now)
		t.Run(name, func(t *testing.T) { wantErr(t, err, f, s, part) })
	}
	check("no leaf", fault.FamilyUnknown, amd.StepLeaf, "https://kdsintf.amd.com/vcek/v1/Milan/", ask, ark, list)
	check("no intermediate", fault.FamilyUnknown, amd.StepChain, "SEV-Milan certificate: missing; get it from https://kdsintf.amd.com/vcek/v1/Milan/cert_chain", leaf, ark, list)
	check("no root", fault.FamilyUnknown, amd.StepChain, "ARK-Milan certificate: missing", leaf, ask, list)
	check("no list", fault.FamilyUnknown, amd.StepRevocation, "revocation list of ARK-Milan: missing; get it from https://kdsintf.amd.com/vcek/v1/Milan/crl", leaf, ask, ark)
	check("intermediate of others", fault.FamilyFalse, amd.StepChain, `"SEV-VCEK" is not signed by "SEV-Milan"`, leaf, other.ASK.Raw, ark, list)
	check("root of others", fault.FamilyFalse, amd.StepChain, `"SEV-Milan" is not signed by "ARK-Milan"`, leaf, ask, other.ARK.Raw, list)

	// The same names: the right ones are found among wrong ones.
	if _, err := amd.Verify(report, endorsements(t, other.ARK.Raw, other.ASK.Raw, leaf, ask, ark, list), o, now); err != nil {
		t.Errorf("with another vendor's certificates beside: %v", err)
	}
	many := [][]byte{leaf, ark, list}
	for i := range 8 {
		c := bytes.Clone(other.ASK.Raw)
		c[len(c)-1] ^= byte(i) // told apart by the signature
		many = append(many, c)
	}
	check("too many of one name", fault.FamilyFalse, amd.StepChain, "is not signed by", append(many, ask)...)

	for _, x := range []struct {
		name string
		cfg  sim.AMDConfig
		step amd.Step
		part string
	}{
		{"intermediate is no authority", sim.AMDConfig{EditASK: func(c *x509.Certificate) { c.IsCA, c.MaxPathLenZero = false, false }}, amd.StepChain, "is not signed by"},
		{"intermediate may not sign", sim.AMDConfig{EditASK: func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign }}, amd.StepChain, "is not signed by"},
		{"intermediate of another name", sim.AMDConfig{EditASK: func(c *x509.Certificate) { c.Subject.CommonName = "SEV-Genoa" }}, amd.StepChain, `is issued by "SEV-Genoa", want "SEV-Milan"`},
		{"intermediate signed with PKCS #1", sim.AMDConfig{EditASK: func(c *x509.Certificate) { c.SignatureAlgorithm = x509.SHA384WithRSA }}, amd.StepChain, "want SHA384-RSAPSS"},
		{"intermediate with critical extension", sim.AMDConfig{EditASK: func(c *x509.Certificate) {
			c.ExtraExtensions = append(c.ExtraExtensions, criticalExtension)
		}}, amd.StepChain, "critical"},
		{"root of another name", sim.AMDConfig{EditARK: func(c *x509.Certificate) { c.Subject.CommonName = "ARK-Genoa" }}, amd.StepChain, `issued by "ARK-Genoa", want "ARK-Milan"`},
	} {
		t.Run(x.name, func(t *testing.T) {
			x.cfg.Product = amd.Milan
			_, _, err := setup{vendor: newVendor(t, x.cfg)}.run(t)
			wantErr(t, err, fault.FamilyFalse, x.step, x.part)
		})
	}
}

func TestValidity(t *testing.T) {
	day := func(d int) time.Time { return now.AddDate(0, 0, d) }
	window := func(from, to int) sim.AMDConfig {
		return sim.AMDConfig{Product: amd.Milan, NotBefore: day(from), NotAfter: day(to)}
	}
	leafWindow := func(from, to time.Time) setup {
		return setup{chip: sim.AMDChipConfig{NotBefore: from, NotAfter: to}}
	}
	inter := func(from, to int) setup {
		return setup{vendor: newVendor(t, sim.AMDConfig{Product: amd.Milan, EditASK: func(c *x509.Certificate) { c.NotBefore, c.NotAfter = day(from), day(to) }})}
	}
	root := func(from, to int) setup {
		v := newVendor(t, window(from, to))
		return setup{vendor: v, chip: sim.AMDChipConfig{NotBefore: day(-9), NotAfter: day(9)}}
	}
	list := func(from, to time.Time) setup { return setup{crl: crl(t, vendor(t, amd.Milan), from, to)} }
	for _, x := range []struct {
		name string
		s    setup
		step amd.Step
		part string // empty: accepted
	}{
		{"leaf too early", leafWindow(day(1), day(2)), amd.StepValidity, "VCEK certificate: valid from 2026-06-02"},
		{"leaf too late", leafWindow(day(-2), day(-1)), amd.StepValidity, "VCEK certificate: expired at 2026-05-31"},
		{"leaf one second early", leafWindow(now.Add(time.Second), day(1)), amd.StepValidity, "valid from"},
		{"leaf from now", leafWindow(now, day(1)), "", ""},
		{"leaf until now", leafWindow(day(-1), now), "", ""},
		{"leaf one second late", leafWindow(day(-1), now.Add(-time.Second)), amd.StepValidity, "expired"},
		{"intermediate too early", inter(1, 2), amd.StepValidity, "SEV-Milan certificate: valid from"},
		{"intermediate too late", inter(-2, -1), amd.StepValidity, "SEV-Milan certificate: expired"},
		{"all certificates good", inter(-2, 1), "", ""},
		{"intermediate and root too early", root(1, 2), amd.StepValidity, "valid from"},
		{"list in the future", list(day(1), day(2)), amd.StepRevocation, "valid from 2026-06-02"},
		{"list out of date", list(day(-2), day(-1)), amd.StepRevocation, "revocation list of ARK-Milan: expired at 2026-05-31T12:00:00Z, before the time of verification 2026-06-01T12:00:00Z; get it from https://kdsintf.amd.com/vcek/v1/Milan/crl"},
		{"list from now", list(now, day(1)), "", ""},
		{"list until now", list(day(-1), now), "", ""},
		{"list one second late", list(day(-1), now.Add(-time.Second)), amd.StepRevocation, "expired"},
		{"list one second early", list(now.Add(time.Second), day(1)), amd.StepRevocation, "valid from"},
	} {
		t.Run(x.name, func(t *testing.T) {
			_, _, err := x.s.run(t)
			if x.part == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantErr(t, err, fault.FamilyUnknown, x.step, x.part)
		})
	}
	t.Run("root alone", func(t *testing.T) {
		v := newVendor(t, sim.AMDConfig{Product: amd.Milan, EditARK: func(c *x509.Certificate) { c.NotAfter = day(-1) }})
		_, _, err := setup{vendor: v}.run(t)
		wantErr(t, err, fault.FamilyUnknown, amd.StepValidity, "ARK-Milan certificate: expired")
	})
	t.Run("no time", func(t *testing.T) {
		_, err := amd.VerifyChain(&amd.Report{}, endorsements(t), amd.Options{}, time.Time{})
		wantErr(t, err, fault.FamilyInput, amd.StepValidity, "no time")
	})
}

func TestRevocation(t *testing.T) {
	v := vendor(t, amd.Milan)
	day := func(d int) time.Time { return now.AddDate(0, 0, d) }
	edited := func(edit func(*x509.RevocationList)) []byte {
		b, err := v.EditedCRL(day(-1), day(1), edit)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	leafSerial := func(c *x509.Certificate) { c.SerialNumber = big.NewInt(77) }
	for _, x := range []struct {
		name string
		s    setup
		f    fault.Family
		part string
	}{
		{"intermediate", setup{crl: crl(t, v, day(-1), day(1), v.ASK.SerialNumber)}, fault.FamilyFalse, `"SEV-Milan" with serial number 10001 was revoked`},
		{"leaf", setup{crl: crl(t, v, day(-1), day(1), big.NewInt(77)), chip: sim.AMDChipConfig{EditLeaf: leafSerial}}, fault.FamilyFalse, `"SEV-VCEK" with serial number 4d was revoked`},
		{"VLEK's intermediate", setup{chip: sim.AMDChipConfig{VLEK: true}, crl: crl(t, v, day(-1), day(1), v.ASVK.SerialNumber)}, fault.FamilyFalse, `"SEV-VLEK-Milan"`},
		{"critical extension", setup{crl: edited(func(l *x509.RevocationList) { l.ExtraExtensions = append(l.ExtraExtensions, criticalExtension) })}, fault.FamilyUnknown, "unknown critical extension"},
		{"wrong algorithm", setup{crl: edited(func(l *x509.RevocationList) { l.SignatureAlgorithm = x509.SHA384WithRSA })}, fault.FamilyFalse, "want SHA384-RSAPSS"},
	} {
		t.Run(x.name, func(t *testing.T) {
			_, _, err := x.s.run(t)
			wantErr(t, err, x.f, amd.StepRevocation, x.part)
		})
	}
	t.Run("another serial", func(t *testing.T) {
		if _, _, err := (setup{crl: crl(t, v, day(-1), day(1), v.ASVK.SerialNumber)}).run(t); err != nil {
			t.Error(err)
		}
	})
	t.Run("forged", func(t *testing.T) {
		b := slices.Clone(crl(t, v, day(-1), day(1)))
		b[len(b)-1] ^= 1
		_, _, err := setup{crl: b}.run(t)
		wantErr(t, err, fault.FamilyFalse, amd.StepRevocation, "not signed by it")
	})
	t.Run("forged beside a good one", func(t *testing.T) {
		chip, err := v.NewChip(sim.AMDChipConfig{})
		if err != nil {
			t.Fatal(err)
		}
		report, err := chip.Report(sim.AMDReport{})
		if err != nil {
			t.Fatal(err)
		}
		forged := slices.Clone(crl(t, v, day(0), day(9)))
		forged[len(forged)-1] ^= 1
		good := crl(t, v, day(-1), day(1))
		verifier := amd.NewVerifier(amd.Options{SimulatedRoots: [][32]byte{v.Root()}}, 0)
		for range 2 {
			f, err := verifier.Verify(report, endorsements(t, append(chip.Documents(), forged, good)...), now)
			if err != nil || !f.Revocation.NextUpdate.Equal(day(1)) {
				t.Errorf("%v, %+v", err, f)
			}
		}
	})
	t.Run("of another product", func(t *testing.T) {
		_, _, err := setup{crl: crl(t, vendor(t, amd.Genoa), day(-1), day(1))}.run(t)
		wantErr(t, err, fault.FamilyUnknown, amd.StepRevocation, "missing")
	})
	t.Run("of another root of the same name", func(t *testing.T) {
		_, _, err := setup{crl: crl(t, newVendor(t, sim.AMDConfig{Product: amd.Milan, OtherKeys: true}), day(-1), day(1))}.run(t)
		wantErr(t, err, fault.FamilyUnknown, amd.StepRevocation, "missing")
	})
	t.Run("newest decides", func(t *testing.T) {
		chip, err := v.NewChip(sim.AMDChipConfig{})
		if err != nil {
			t.Fatal(err)
		}
		report, err := chip.Report(sim.AMDReport{})
		if err != nil {
			t.Fatal(err)
		}
		o := amd.Options{SimulatedRoots: [][32]byte{v.Root()}}
		good, bad := crl(t, v, day(-3), day(3)), crl(t, v, day(-2), day(2), v.ASK.SerialNumber)
		for _, docs := range [][][]byte{{good, bad}, {bad, good}} {
			_, err := amd.Verify(report, endorsements(t, append(chip.Documents(), docs...)...), o, now)
			wantErr(t, err, fault.FamilyFalse, amd.StepRevocation, "revoked")
		}
		// Under the opt-out a missing list is accepted, a revocation is not.
		o.WithoutRevocationUnsafe = true
		f, err := amd.Verify(report, endorsements(t, chip.Documents()...), o, now)
		if err != nil || f.Revocation.Checked {
			t.Errorf("opt-out without list: %v, %+v", err, f)
		}
		old := crl(t, v, day(-9), day(-8))
		if f, err = amd.Verify(report, endorsements(t, append(chip.Documents(), old)...), o, now); err != nil || f.Revocation.Checked {
			t.Errorf("opt-out with an old list: %v, %+v", err, f)
		}
		old = crl(t, v, day(-9), day(-8), v.ASK.SerialNumber)
		_, err = amd.Verify(report, endorsements(t, append(chip.Documents(), old)...), o, now)
		wantErr(t, err, fault.FamilyFalse, amd.StepRevocation, "revoked")
	})
}
