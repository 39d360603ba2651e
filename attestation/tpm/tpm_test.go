package tpm_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation/eventlog"
	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/sim"
	"github.com/cocoon-go/cocoon/attestation/tpm"
)

var (
	now   = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	nonce = []byte("a nonce of the verifier")
)

// wantErr checks family, step and text of an error.
func wantErr(t testing.TB, err error, f fault.Family, step tpm.Step, part string) {
	t.Helper()
	var s *tpm.StepError
	if err == nil || fault.FamilyOf(err) != f || !errors.As(err, &s) || s.Step != step || !strings.Contains(err.Error(), part) {
		t.Errorf("got %v (family %d), want family %d at step %q with %q", err, fault.FamilyOf(err), f, step, part)
	}
}

// vendors makes one authority for all tests that don't need their own.
var vendors = sync.OnceValues(func() (*sim.TPMVendor, error) { return sim.NewTPMVendor(sim.TPMVendorConfig{}) })

func vendor(t testing.TB) *sim.TPMVendor {
	t.Helper()
	v, err := vendors()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// rsaKeys makes one RSA key for all tests: such keys are slow.
var rsaKeys = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// simTPM makes a TPM of the common vendor.
func simTPM(t testing.TB, cfg sim.TPMConfig) *sim.TPM {
	t.Helper()
	return newTPM(t, vendor(t), cfg)
}

func newTPM(t testing.TB, v *sim.TPMVendor, cfg sim.TPMConfig) *sim.TPM {
	t.Helper()
	if cfg.Scheme == tpm.RSASSA || cfg.Scheme == tpm.RSAPSS {
		k, err := rsaKeys()
		if err != nil {
			t.Fatal(err)
		}
		cfg.Key = k
	}
	x, err := v.NewTPM(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func rsaTPM(t testing.TB) *sim.TPM {
	t.Helper()
	return simTPM(t, sim.TPMConfig{Scheme: tpm.RSASSA})
}

// setup is one verification. Tests change one thing in it.
type setup struct {
	vendor  *sim.TPMVendor
	cfg     sim.TPMConfig
	quote   sim.TPMQuote
	edit    func(*tpm.Evidence)
	options func(*tpm.Options)
	docs    [][]byte
	hw      *tpm.Hardware
	at      time.Time
}

func (s setup) run(t testing.TB) (*tpm.Facts, *tpm.Evidence, error) {
	t.Helper()
	if s.vendor == nil {
		s.vendor = vendor(t)
	}
	x := newTPM(t, s.vendor, s.cfg)
	if s.quote.ExtraData == nil {
		s.quote.ExtraData = nonce
	}
	q, err := x.Quote(s.quote)
	if err != nil {
		t.Fatal(err)
	}
	e := &tpm.Evidence{Quotes: []tpm.Quote{q}, Public: x.Public,
		Certificates: [][]byte{x.Certificate.Raw, s.vendor.CA.Raw, s.vendor.Root.Raw}}
	if s.edit != nil {
		s.edit(e)
	}
	o := tpm.Options{Roots: [][32]byte{s.vendor.RootFingerprint()}}
	if s.options != nil {
		s.options(&o)
	}
	if s.at.IsZero() {
		s.at = now
	}
	f, err := tpm.Verify(e, s.hw, endorsements(t, s.docs...), o, s.at)
	if (f == nil) == (err == nil) {
		t.Fatalf("facts %v with error %v", f, err)
	}
	return f, e, err
}

func endorsements(t testing.TB, docs ...[]byte) *tpm.Endorsements {
	t.Helper()
	e := &tpm.Endorsements{}
	for _, d := range docs {
		if err := e.Add(d); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

func TestVerify(t *testing.T) {
	banks := []eventlog.Alg{eventlog.SHA1, eventlog.SHA256, eventlog.SHA384, eventlog.SHA512}
	for _, x := range []struct {
		name string
		cfg  sim.TPMConfig
	}{
		{"P-256", sim.TPMConfig{Banks: banks}},
		{"P-384 with SHA-384", sim.TPMConfig{Curve: elliptic.P384(), Hash: eventlog.SHA384}},
		{"P-521 with SHA-512", sim.TPMConfig{Curve: elliptic.P521(), Hash: eventlog.SHA512}},
		{"RSASSA", sim.TPMConfig{Scheme: tpm.RSASSA}},
		{"RSAPSS with SHA-384", sim.TPMConfig{Scheme: tpm.RSAPSS, Hash: eventlog.SHA384}},
		{"owner hierarchy", sim.TPMConfig{Hierarchy: tpm.HierarchyOwner}},
		{"without a subject", sim.TPMConfig{Unnamed: true}},
	} {
		t.Run(x.name, func(t *testing.T) {
			f, e, err := setup{cfg: x.cfg}.run(t)
			if err != nil {
				t.Fatal(err)
			}
			if f.Development || f.Simulated || f.Confidential() || f.Certificate == nil || f.HCL != nil {
				t.Errorf("vouched for by %+v", f)
			}
			if f.Certificate.Root != vendor(t).RootFingerprint() || !bytes.Equal(f.Certificate.DER, e.Certificates[0]) ||
				f.Certificate.Digest != sha256.Sum256(e.Certificates[0]) || f.Certificate.Revocation.Unlisted != 2 {
				t.Errorf("certificate %+v", f.Certificate)
			}
			if want := x.cfg.Hierarchy; f.Hierarchy != want && (want != 0 || f.Hierarchy != tpm.HierarchyEndorsement) {
				t.Errorf("hierarchy %v", f.Hierarchy)
			}
			if a := f.Quotes[0]; a.ResetCount != 3 || a.RestartCount != 1 || a.Firmware != 0x2026_0001 || a.Clock != 77_000 || !a.Safe {
				t.Errorf("quote %+v", a)
			}
			if err := f.CheckExtraData(nonce); err != nil {
				t.Error(err)
			}
			for bank, values := range e.Quotes[0].PCRs {
				if len(f.PCRs[bank]) != 24 || !bytes.Equal(f.PCRs[bank][17], values[17]) {
					t.Errorf("bank %v: %v", bank, f.PCRs[bank])
				}
			}
			if f.NotAfter.Year() != 2045 || f.At != now {
				t.Errorf("at %v, until %v", f.At, f.NotAfter)
			}
		})
	}
}

func TestExtraData(t *testing.T) {
	f, _, err := setup{}.run(t)
	if err != nil {
		t.Fatal(err)
	}
	wantErr(t, f.CheckExtraData(nil), fault.FamilyInput, tpm.StepSignature, "nonce of 0 bytes")
	wantErr(t, f.CheckExtraData(make([]byte, 67)), fault.FamilyInput, tpm.StepSignature, "nonce of 67 bytes")
	wantErr(t, f.CheckExtraData([]byte("a nonce of somebody else")), fault.FamilyFalse, tpm.StepSignature, "another nonce")
	wantErr(t, f.CheckExtraData(nonce[1:]), fault.FamilyFalse, tpm.StepSignature, "another nonce")

	claims, live := [32]byte{1}, [32]byte{2}
	want := sha256.Sum256(append(append([]byte("cocoon/tpm/v1\n"), claims[:]...), live[:]...))
	if got := tpm.ExtraData(claims, &live); got != want {
		t.Errorf("%x, want %x", got, want)
	}
	if tpm.ExtraData(claims, nil) != tpm.ExtraData(claims, &[32]byte{}) || tpm.ExtraData(claims, nil) == want {
		t.Error("the nonce does not change the extra data")
	}
}

// TestWho covers who vouches for a key that has no HCL report.
func TestWho(t *testing.T) {
	root := vendor(t).RootFingerprint()
	none := func(e *tpm.Evidence) { e.Certificates = nil }
	var digest [32]byte
	remember := func(e *tpm.Evidence) { none(e); digest = sha256.Sum256(e.Public) }

	_, _, err := setup{edit: none}.run(t)
	wantErr(t, err, fault.FamilyUnknown, tpm.StepCertification, "nobody vouches for this key")

	_, _, err = setup{edit: none, options: func(o *tpm.Options) { o.UnsafeDevelopmentKeys = [][32]byte{{1}} }}.run(t)
	wantErr(t, err, fault.FamilyUnknown, tpm.StepCertification, "nobody vouches for this key")

	f, _, err := setup{edit: remember, options: func(o *tpm.Options) { o.UnsafeDevelopmentKeys = [][32]byte{digest} }}.run(t)
	if err != nil || !f.Development || f.Simulated || f.Confidential() || f.Certificate != nil {
		t.Errorf("development key: %+v, %v", f, err)
	}

	// A simulated root is not a production root, whatever else the caller names.
	for _, roots := range [][][32]byte{nil, {root}} {
		f, _, err = setup{options: func(o *tpm.Options) { o.Roots, o.SimulatedRoots = roots, [][32]byte{root} }}.run(t)
		if err != nil || !f.Simulated || !f.Development || !f.Certificate.Simulated {
			t.Errorf("simulated root: %+v, %v", f, err)
		}
	}

	_, _, err = setup{options: func(o *tpm.Options) { o.Roots = nil }}.run(t)
	wantErr(t, err, fault.FamilyFalse, tpm.StepRoot, "which the caller does not name")

	// A development key does not make up for a certificate that does not hold.
	_, _, err = setup{edit: func(e *tpm.Evidence) { digest = sha256.Sum256(e.Public) }, options: func(o *tpm.Options) {
		o.Roots, o.UnsafeDevelopmentKeys = nil, [][32]byte{digest}
	}}.run(t)
	wantErr(t, err, fault.FamilyFalse, tpm.StepRoot, "which the caller does not name")

	_, _, err = setup{hw: &tpm.Hardware{Kind: tpm.SNP}}.run(t)
	wantErr(t, err, fault.FamilyInput, tpm.StepHCL, "no HCL report that binds")
}

func TestArguments(t *testing.T) {
	_, err := tpm.Verify(nil, nil, nil, tpm.Options{}, now)
	wantErr(t, err, fault.FamilyInput, tpm.StepEvidence, "no evidence")
	_, err = tpm.Verify(&tpm.Evidence{}, nil, nil, tpm.Options{}, time.Time{})
	wantErr(t, err, fault.FamilyInput, tpm.StepValidity, "no time")
	_, err = tpm.Verify(&tpm.Evidence{}, nil, nil, tpm.Options{}, now)
	wantErr(t, err, fault.FamilyInput, tpm.StepEvidence, "0 quotes")

	// Certificates may all come with the evidence; a nil set is an empty one.
	e, err := simTPM(t, sim.TPMConfig{}).Evidence(nonce)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tpm.Verify(e, nil, nil, tpm.Options{Roots: [][32]byte{vendor(t).RootFingerprint()}}, now); err != nil {
		t.Error(err)
	}
}

func TestKey(t *testing.T) {
	with := func(a tpm.Attributes) setup { return setup{cfg: sim.TPMConfig{Attributes: a}} }
	const good = tpm.FixedTPM | tpm.FixedParent | tpm.SensitiveDataOrigin | tpm.Restricted | tpm.Sign
	for _, x := range []struct {
		name, part string
		s          setup
	}{
		{"not restricted", "lacks restricted", with(good &^ tpm.Restricted)},
		{"not signing", "lacks sign", with(good &^ tpm.Sign)},
		{"movable", "lacks fixedTPM, fixedParent", with(good &^ (tpm.FixedTPM | tpm.FixedParent))},
		{"imported", "lacks sensitiveDataOrigin", with(good &^ tpm.SensitiveDataOrigin)},
		{"decrypts", "also decrypts", with(good | tpm.Decrypt)},
		{"signs certificates", "or signs certificates", with(good | tpm.X509Sign)},
	} {
		t.Run(x.name, func(t *testing.T) {
			_, _, err := x.s.run(t)
			wantErr(t, err, fault.FamilyFalse, tpm.StepKey, x.part)
		})
	}
}

// TestHierarchy: a public area with other attributes has another name, which the
// quote shows.
func TestHierarchy(t *testing.T) {
	f, _, err := setup{edit: func(e *tpm.Evidence) { e.Public[7] ^= 0x40 }}.run(t) // userWithAuth
	if err != nil || f.Hierarchy != 0 || f.Hierarchy.String() != "unknown" {
		t.Errorf("%+v, %v", f, err)
	}
	for h, want := range map[tpm.Hierarchy]string{tpm.HierarchyNull: "null", tpm.HierarchyPlatform: "platform", tpm.HierarchyOwner: "owner", tpm.HierarchyEndorsement: "endorsement"} {
		if f, _, err := (setup{cfg: sim.TPMConfig{Hierarchy: h}}).run(t); err != nil || f.Hierarchy.String() != want {
			t.Errorf("%v: %+v, %v", h, f, err)
		}
	}
}

func TestQuote(t *testing.T) {
	sign := func(f func(*tpm.Quote)) setup { return setup{quote: sim.TPMQuote{EditSigned: f}} }
	pcr := func(f func(map[int][]byte)) setup {
		return sign(func(q *tpm.Quote) { f(q.PCRs[eventlog.SHA256]) })
	}
	for _, x := range []struct {
		name string
		s    setup
		f    fault.Family
		step tpm.Step
		part string
	}{
		{"message", sign(func(q *tpm.Quote) { q.Attest[60] ^= 1 }), fault.FamilyFalse, tpm.StepSignature, "did not sign"},
		{"signature", sign(func(q *tpm.Quote) { q.Signature[20] ^= 1 }), fault.FamilyFalse, tpm.StepSignature, "did not sign"},
		{"r is zero", sign(func(q *tpm.Quote) { clear(q.Signature[6:38]) }), fault.FamilyFalse, tpm.StepSignature, "did not sign"},
		{"r longer than the curve", sign(func(q *tpm.Quote) {
			q.Signature = slices.Insert(q.Signature, 6, 0)
			q.Signature[5]++
		}), fault.FamilyFalse, tpm.StepSignature, "did not sign"},
		{"s longer than the curve", sign(func(q *tpm.Quote) {
			q.Signature = slices.Insert(q.Signature, 40, 0)
			q.Signature[39]++
		}), fault.FamilyFalse, tpm.StepSignature, "did not sign"},
		{"another hash", sign(func(q *tpm.Quote) { q.Signature[3] = 0x0c }), fault.FamilyFalse, tpm.StepSignature, "the key signs with ecdsa and sha256 only"},
		{"another scheme", sign(func(q *tpm.Quote) { q.Signature = []byte{0, 0x14, 0, 0x0b, 0, 1, 1} }), fault.FamilyFalse, tpm.StepSignature, "signed with rsassa and sha256"},
		{"PCR value", pcr(func(m map[int][]byte) { m[4][0] ^= 1 }), fault.FamilyFalse, tpm.StepPCRs, "quoted digest"},
		{"digest of the PCRs", setup{quote: sim.TPMQuote{Edit: func(b []byte) []byte { b[len(b)-1] ^= 1; return b }}}, fault.FamilyFalse, tpm.StepPCRs, "quoted digest"},
		{"missing PCR", pcr(func(m map[int][]byte) { delete(m, 4) }), fault.FamilyInput, tpm.StepEvidence, "PCR 4 of bank sha256 is quoted"},
		{"short PCR", pcr(func(m map[int][]byte) { m[4] = m[4][1:] }), fault.FamilyInput, tpm.StepEvidence, "PCR 4 of bank sha256 has 31 bytes"},
		{"a boundary moved", pcr(func(m map[int][]byte) { m[4], m[5] = m[4][:31], append([]byte{m[4][31]}, m[5]...) }), fault.FamilyInput, tpm.StepEvidence, "has 31 bytes"},
		{"PCR that is not quoted", setup{quote: sim.TPMQuote{PCRs: []int{0, 7}, EditSigned: func(q *tpm.Quote) {
			q.PCRs[eventlog.SHA256][4] = make([]byte, 32)
		}}}, fault.FamilyInput, tpm.StepEvidence, "3 PCR values for 2 quoted ones"},
		{"bank that is not quoted", sign(func(q *tpm.Quote) { q.PCRs[eventlog.SHA384] = map[int][]byte{1: make([]byte, 48)} }), fault.FamilyInput, tpm.StepEvidence, "25 PCR values for 24"},
		{"bank without values", sign(func(q *tpm.Quote) { q.PCRs[eventlog.SHA384] = map[int][]byte{} }), fault.FamilyInput, tpm.StepEvidence, "no values of PCR bank sha384"},
	} {
		t.Run(x.name, func(t *testing.T) {
			_, _, err := x.s.run(t)
			wantErr(t, err, x.f, x.step, x.part)
		})
	}
	// RSA signatures have one length.
	q, err := rsaTPM(t).Quote(sim.TPMQuote{ExtraData: nonce})
	if err != nil {
		t.Fatal(err)
	}
	for name, sig := range map[string][]byte{
		"short": append([]byte{0, 0x14, 0, 0x0b, 0, 255}, q.Signature[7:]...), "long": append([]byte{0, 0x14, 0, 0x0b, 1, 1, 0}, q.Signature[6:]...),
	} {
		e := &tpm.Evidence{Quotes: []tpm.Quote{{Attest: q.Attest, Signature: sig, PCRs: q.PCRs}}, Public: rsaTPM(t).Public}
		_, err := tpm.Verify(e, nil, nil, tpm.Options{UnsafeDevelopmentKeys: [][32]byte{sha256.Sum256(e.Public)}}, now)
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
		wantErr(t, err, fault.FamilyFalse, tpm.StepSignature, "did not sign")
	}
}

// TestMalformed: parts that cannot be read are bad input.
func TestMalformed(t *testing.T) {
	for name, edit := range map[string]func(*tpm.Evidence){
		"public area": func(e *tpm.Evidence) { e.Public = e.Public[1:] },
		"quote":       func(e *tpm.Evidence) { e.Quotes[0].Attest = nil },
		"signature":   func(e *tpm.Evidence) { e.Quotes[0].Signature = nil },
		"certificate": func(e *tpm.Evidence) { e.Certificates[0] = nil },
	} {
		_, _, err := setup{edit: edit}.run(t)
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
		wantErr(t, err, fault.FamilyInput, tpm.StepEvidence, "")
	}
}

// TestPSS: a TPM of the older rule signs with the longest possible salt.
func TestPSS(t *testing.T) {
	f, _, err := setup{cfg: sim.TPMConfig{Scheme: tpm.RSAPSS}, quote: sim.TPMQuote{EditSigned: func(q *tpm.Quote) {
		if !bytes.HasPrefix(q.Signature, []byte{0, 0x16, 0, 0x0b, 1, 0}) {
			t.Errorf("signature %x", q.Signature[:6])
		}
	}}}.run(t)
	if err != nil || f.Scheme != tpm.RSAPSS || f.Hash != eventlog.SHA256 {
		t.Errorf("%+v, %v", f, err)
	}
	_, _, err = setup{cfg: sim.TPMConfig{Scheme: tpm.RSAPSS}, quote: sim.TPMQuote{EditSigned: func(q *tpm.Quote) { q.Signature[100] ^= 1 }}}.run(t)
	wantErr(t, err, fault.FamilyFalse, tpm.StepSignature, "did not sign")
}

func TestSeveralQuotes(t *testing.T) {
	x := simTPM(t, sim.TPMConfig{Banks: []eventlog.Alg{eventlog.SHA256, eventlog.SHA384}})
	o := tpm.Options{Roots: [][32]byte{vendor(t).RootFingerprint()}}
	e, err := x.Evidence(nonce)
	if err != nil {
		t.Fatal(err)
	}
	f, err := tpm.Verify(e, nil, nil, o, now)
	if err != nil || len(f.Quotes) != 2 || len(f.PCRs[eventlog.SHA256]) != 24 || len(f.PCRs[eventlog.SHA384]) != 24 {
		t.Fatalf("%+v, %v", f, err)
	}
	second := func(q sim.TPMQuote, change, restore func()) error {
		if q.Bank == 0 {
			q.Bank = eventlog.SHA384
		}
		if q.ExtraData == nil {
			q.ExtraData = nonce
		}
		if change != nil {
			change()
			defer restore()
		}
		other, err := x.Quote(q)
		if err != nil {
			t.Fatal(err)
		}
		bad := *e
		bad.Quotes = []tpm.Quote{e.Quotes[0], other}
		_, err = tpm.Verify(&bad, nil, nil, o, now)
		return err
	}
	if err := second(sim.TPMQuote{}, nil, nil); err != nil {
		t.Fatal(err)
	}
	err = second(sim.TPMQuote{ExtraData: []byte("another")}, nil, nil)
	wantErr(t, err, fault.FamilyFalse, tpm.StepSignature, "different nonces")
	err = second(sim.TPMQuote{}, func() { x.Reset++ }, func() { x.Reset-- })
	wantErr(t, err, fault.FamilyFalse, tpm.StepSignature, "different boots")
	err = second(sim.TPMQuote{}, func() { x.Restart++ }, func() { x.Restart-- })
	wantErr(t, err, fault.FamilyFalse, tpm.StepSignature, "different boots")
	err = second(sim.TPMQuote{Edit: func(b []byte) []byte { b[12] ^= 1; return b }}, nil, nil)
	wantErr(t, err, fault.FamilyFalse, tpm.StepSignature, "different names")
	err = second(sim.TPMQuote{Bank: eventlog.SHA256}, nil, nil)
	wantErr(t, err, fault.FamilyInput, tpm.StepEvidence, "two quotes of PCR bank sha256")
	err = second(sim.TPMQuote{EditSigned: func(q *tpm.Quote) { q.Attest[100] ^= 1 }}, nil, nil)
	wantErr(t, err, fault.FamilyFalse, tpm.StepSignature, "did not sign")
	// An empty map for another quote's bank must not hide its values.
	err = second(sim.TPMQuote{EditSigned: func(q *tpm.Quote) { q.PCRs[eventlog.SHA256] = map[int][]byte{} }}, nil, nil)
	wantErr(t, err, fault.FamilyInput, tpm.StepEvidence, "no values of PCR bank")
}

// TestConcurrent shares everything that may be shared.
func TestConcurrent(t *testing.T) {
	_, e, err := setup{}.run(t)
	if err != nil {
		t.Fatal(err)
	}
	o := tpm.Options{Roots: [][32]byte{vendor(t).RootFingerprint()}}
	s := endorsements(t, vendor(t).CA.Raw, vendor(t).Root.Raw)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 4 {
				if _, err := tpm.Verify(e, nil, s, o, now); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// TestFactsAreCopies: changing the evidence afterwards changes no facts.
func TestFactsAreCopies(t *testing.T) {
	f, e, err := setup{}.run(t)
	if err != nil {
		t.Fatal(err)
	}
	want := hex.EncodeToString(f.PCRs[eventlog.SHA256][20])
	clear(e.Quotes[0].PCRs[eventlog.SHA256][20])
	clear(e.Quotes[0].Attest)
	clear(e.Certificates[0])
	if got := hex.EncodeToString(f.PCRs[eventlog.SHA256][20]); got != want || !bytes.Equal(f.ExtraData, nonce) || f.Certificate.DER[0] == 0 {
		t.Errorf("facts share memory with the evidence: %s", got)
	}
}

func TestNames(t *testing.T) {
	for got, want := range map[string]string{
		tpm.RSASSA.String(): "rsassa", tpm.RSAPSS.String(): "rsapss", tpm.ECDSA.String(): "ecdsa", tpm.Scheme(0x10).String(): "scheme-0x0010",
		tpm.SNP.String(): "snp", tpm.TDX.String(): "tdx", tpm.HardwareKind(3).String(): "unknown hardware",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	p, err := tpm.ParsePublic(rsaTPM(t).Public)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(p.Bytes(), rsaTPM(t).Public) || p.Digest() != sha256.Sum256(p.Bytes()) || len(p.Name()) != 34 || p.Name()[1] != 0x0b {
		t.Errorf("public area %+v", p)
	}
	if _, ok := p.Key.(*ecdsa.PublicKey); ok {
		t.Error("an RSA key became one on a curve")
	}
}

func sha(b []byte) [32]byte { return sha256.Sum256(b) }
