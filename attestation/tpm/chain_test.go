package tpm_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/sim"
	"github.com/cocoon-go/cocoon/attestation/tpm"
)

func newVendor(t testing.TB, cfg sim.TPMVendorConfig) *sim.TPMVendor {
	t.Helper()
	v, err := sim.NewTPMVendor(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func critical(oid ...int) pkix.Extension {
	return pkix.Extension{Id: oid, Critical: true, Value: []byte{5, 0}}
}

// TestCertificate changes one thing in the certificate of the key.
func TestCertificate(t *testing.T) {
	for _, x := range []struct {
		name, part string
		edit       func(*x509.Certificate)
	}{
		{"an authority", "one of an authority", func(c *x509.Certificate) { c.IsCA = true }},
		{"no usage", "lacks the extended key usage 2.23.133.8.3", func(c *x509.Certificate) { c.UnknownExtKeyUsage = nil }},
		{"usage of an endorsement key", "lacks the extended key usage", func(c *x509.Certificate) { c.UnknownExtKeyUsage[0] = asn1.ObjectIdentifier{2, 23, 133, 8, 1} }},
		{"usage of a server", "lacks the extended key usage", func(c *x509.Certificate) {
			c.UnknownExtKeyUsage, c.ExtKeyUsage = nil, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageAny}
		}},
		{"encrypts", "forbids its key to sign", func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment }},
		{"critical extension", "unknown critical extension 1.2.3.4", func(c *x509.Certificate) { c.ExtraExtensions = append(c.ExtraExtensions, critical(1, 2, 3, 4)) }},
	} {
		t.Run(x.name, func(t *testing.T) {
			_, _, err := setup{cfg: sim.TPMConfig{EditCert: x.edit}}.run(t)
			wantErr(t, err, fault.FamilyFalse, tpm.StepCertificate, x.part)
		})
	}
	t.Run("no key usage", func(t *testing.T) {
		if _, _, err := (setup{cfg: sim.TPMConfig{EditCert: func(c *x509.Certificate) { c.KeyUsage = 0 }}}).run(t); err != nil {
			t.Error(err)
		}
	})
	t.Run("another key", func(t *testing.T) {
		_, _, err := setup{edit: func(e *tpm.Evidence) { e.Certificates[0] = rsaTPM(t).Certificate.Raw }}.run(t)
		wantErr(t, err, fault.FamilyFalse, tpm.StepCertificate, "for another key")
	})
	t.Run("not DER", func(t *testing.T) {
		_, _, err := setup{edit: func(e *tpm.Evidence) { e.Certificates[0] = []byte{1} }}.run(t)
		wantErr(t, err, fault.FamilyInput, tpm.StepEvidence, "the first certificate")
		_, _, err = setup{edit: func(e *tpm.Evidence) { e.Certificates[2] = []byte{1} }}.run(t)
		wantErr(t, err, fault.FamilyInput, tpm.StepEvidence, "above the first")
	})
}

func TestChain(t *testing.T) {
	other := newVendor(t, sim.TPMVendorConfig{})
	good := vendor(t)
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		name string
		s    setup
		f    fault.Family
		step tpm.Step
		part string
	}{
		{"no authority", setup{edit: func(e *tpm.Evidence) { e.Certificates = e.Certificates[:1] }}, fault.FamilyUnknown, tpm.StepChain, "Simulated TPM CA,O=SIMULATION - NOT CONFIDENTIAL\": missing"},
		{"no root", setup{edit: func(e *tpm.Evidence) { e.Certificates = e.Certificates[:2] }}, fault.FamilyUnknown, tpm.StepChain, "Simulated TPM Root"},
		{"authority of the same name", setup{edit: func(e *tpm.Evidence) { e.Certificates[1] = other.CA.Raw }}, fault.FamilyFalse, tpm.StepChain, "is not signed by \"CN=Simulated TPM CA"},
		{"root of the same name", setup{edit: func(e *tpm.Evidence) { e.Certificates[2] = other.Root.Raw }}, fault.FamilyFalse, tpm.StepChain, "is not signed by \"CN=Simulated TPM Root"},
		{"authority that is none", setup{vendor: newVendor(t, sim.TPMVendorConfig{EditCA: func(c *x509.Certificate) { c.IsCA = false; c.KeyUsage = x509.KeyUsageDigitalSignature }})}, fault.FamilyFalse, tpm.StepChain, "is not signed by"},
		{"authority that may not sign", setup{vendor: newVendor(t, sim.TPMVendorConfig{EditCA: func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign }})}, fault.FamilyFalse, tpm.StepChain, "is not signed by"},
		{"authority with a critical extension", setup{vendor: newVendor(t, sim.TPMVendorConfig{EditCA: func(c *x509.Certificate) { c.ExtraExtensions = append(c.ExtraExtensions, critical(1, 2, 3)) }})}, fault.FamilyFalse, tpm.StepChain, "unhandled critical extension"},
		{"authority with a weak key", setup{vendor: newVendor(t, sim.TPMVendorConfig{CAKey: weak})}, fault.FamilyFalse, tpm.StepChain, "RSA key has 1024 bits"},
		{"names not allowed", setup{
			vendor: newVendor(t, sim.TPMVendorConfig{EditCA: func(c *x509.Certificate) {
				c.PermittedDNSDomainsCritical, c.PermittedDNSDomains = true, []string{"example.com"}
			}}),
			cfg: sim.TPMConfig{EditCert: func(c *x509.Certificate) { c.DNSNames = []string{"example.org"} }}}, fault.FamilyFalse, tpm.StepChain, "not permitted"},
		{"root forbids authorities", setup{vendor: newVendor(t, sim.TPMVendorConfig{EditRoot: func(c *x509.Certificate) { c.MaxPathLenZero = true }})}, fault.FamilyFalse, tpm.StepChain, "too many intermediates"},
		{"unknown root", setup{options: func(o *tpm.Options) { o.Roots = [][32]byte{other.RootFingerprint()} }}, fault.FamilyFalse, tpm.StepRoot, "does not name"},
		{"before", setup{at: time.Date(2019, 12, 31, 23, 59, 59, 0, time.UTC)}, fault.FamilyUnknown, tpm.StepValidity, "valid from 2020-01-01"},
		{"after", setup{at: time.Date(2045, 1, 1, 0, 0, 1, 0, time.UTC)}, fault.FamilyUnknown, tpm.StepValidity, "expired at 2045-01-01"},
		{"authority expired", setup{vendor: newVendor(t, sim.TPMVendorConfig{EditCA: func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Second) }})}, fault.FamilyUnknown, tpm.StepValidity, "\"CN=Simulated TPM CA,O=SIMULATION - NOT CONFIDENTIAL\": expired"},
		{"root expired", setup{vendor: newVendor(t, sim.TPMVendorConfig{EditRoot: func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Second) }})}, fault.FamilyUnknown, tpm.StepValidity, "Simulated TPM Root"},
		{"key's certificate not yet valid", setup{cfg: sim.TPMConfig{EditCert: func(c *x509.Certificate) { c.NotBefore = now.Add(time.Second) }}}, fault.FamilyUnknown, tpm.StepValidity, "Simulated TPM AK"},
	} {
		t.Run(x.name, func(t *testing.T) {
			_, _, err := x.s.run(t)
			wantErr(t, err, x.f, x.step, x.part)
		})
	}
	t.Run("ends of the window", func(t *testing.T) {
		for _, at := range []time.Time{time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2045, 1, 1, 0, 0, 0, 0, time.UTC)} {
			if _, _, err := (setup{at: at}).run(t); err != nil {
				t.Error(err)
			}
		}
	})
	t.Run("certificates among the endorsements", func(t *testing.T) {
		p := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: good.Root.Raw})
		f, _, err := setup{docs: [][]byte{good.CA.Raw, other.CA.Raw, p}, edit: func(e *tpm.Evidence) { e.Certificates = e.Certificates[:1] }}.run(t)
		if err != nil || f.Certificate.Root != good.RootFingerprint() {
			t.Error(err)
		}
	})
	t.Run("an authority as the anchor", func(t *testing.T) {
		f, _, err := setup{options: func(o *tpm.Options) { o.Roots = [][32]byte{sha(good.CA.Raw)} }, edit: func(e *tpm.Evidence) { e.Certificates = e.Certificates[:2] }}.run(t)
		if err != nil || f.Certificate.Root != sha(good.CA.Raw) {
			t.Error(err)
		}
	})
	t.Run("the key's own certificate is no anchor", func(t *testing.T) {
		x, err := good.NewTPM(sim.TPMConfig{})
		if err != nil {
			t.Fatal(err)
		}
		e, err := x.Evidence(nonce)
		if err != nil {
			t.Fatal(err)
		}
		e.Certificates = e.Certificates[:1]
		_, err = tpm.Verify(e, nil, nil, tpm.Options{Roots: [][32]byte{sha(x.Certificate.Raw)}}, now)
		wantErr(t, err, fault.FamilyUnknown, tpm.StepChain, "missing")
	})
	t.Run("a circle of names", func(t *testing.T) {
		// An authority whose issuer is itself by name but not by signature.
		v := newVendor(t, sim.TPMVendorConfig{EditCA: func(c *x509.Certificate) { c.Subject.CommonName = "Simulated TPM Root" }})
		_, _, err := setup{vendor: v, edit: func(e *tpm.Evidence) { e.Certificates = e.Certificates[:2] }}.run(t)
		wantErr(t, err, fault.FamilyFalse, tpm.StepRoot, "does not name")
	})
}

func TestWhereToGet(t *testing.T) {
	_, _, err := setup{
		cfg:  sim.TPMConfig{EditCert: func(c *x509.Certificate) { c.IssuingCertificateURL = []string{"http://ca.example/ca.der"} }},
		edit: func(e *tpm.Evidence) { e.Certificates = e.Certificates[:1] },
	}.run(t)
	var m *tpm.MissingError
	if !errors.As(err, &m) || len(m.URLs) != 1 || !strings.Contains(err.Error(), "get it from http://ca.example/ca.der") {
		t.Error(err)
	}
}

func TestRevocation(t *testing.T) {
	const url = "http://crl.example/list"
	v := newVendor(t, sim.TPMVendorConfig{CRL: url})
	forger := newVendor(t, sim.TPMVendorConfig{})
	from, to := now.AddDate(0, 0, -1), now.AddDate(0, 0, 1)
	lists := func(v *sim.TPMVendor, from, to time.Time, edit func(*x509.RevocationList), revoked ...*x509.Certificate) [][]byte {
		t.Helper()
		out, err := v.CRLs(from, to, edit, revoked...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	good := lists(v, from, to, nil)
	x, err := v.NewTPM(sim.TPMConfig{})
	if err != nil {
		t.Fatal(err)
	}
	e, err := x.Evidence(nonce)
	if err != nil {
		t.Fatal(err)
	}
	unsafe := false
	verify := func(docs ...[]byte) (*tpm.Facts, error) {
		t.Helper()
		return tpm.Verify(e, nil, endorsements(t, docs...), tpm.Options{Roots: [][32]byte{v.RootFingerprint()}, WithoutRevocationUnsafe: unsafe}, now)
	}

	f, err := verify(good...)
	if err != nil {
		t.Fatal(err)
	}
	if r := f.Certificate.Revocation; r.Checked != 2 || r.Unlisted != 0 || r.Skipped != 0 || !r.ThisUpdate.Equal(from) || !f.NotAfter.Equal(to) || !f.NotBefore.Equal(from) {
		t.Errorf("revocation %+v, from %v to %v", r, f.NotBefore, f.NotAfter)
	}
	// The newest list in force counts, and the oldest of those in use is told.
	older := lists(v, from.Add(-time.Hour), to, nil, x.Certificate)
	if f, err = verify(append(good, older...)...); err != nil || !f.Certificate.Revocation.ThisUpdate.Equal(from) {
		t.Errorf("with an older list: %v", err)
	}
	if f, err = verify(good[1], lists(v, from.Add(-time.Hour), to, nil)[0]); err != nil || !f.Certificate.Revocation.ThisUpdate.Equal(from.Add(-time.Hour)) {
		t.Errorf("oldest list in use: %v", err)
	}
	if _, err = verify(append(older, good...)...); err != nil {
		t.Errorf("with an older list first: %v", err)
	}

	stale := lists(v, now.AddDate(0, 0, -9), now.AddDate(0, 0, -2), nil)
	future := lists(v, now.AddDate(0, 0, 2), now.AddDate(0, 0, 9), nil)
	for _, c := range []struct {
		name string
		docs [][]byte
		f    fault.Family
		part string
	}{
		{"no list", nil, fault.FamilyUnknown, "missing; get it from " + url},
		{"no list of the root", good[1:], fault.FamilyUnknown, "revocation list of \"CN=Simulated TPM Root"},
		{"no list of the authority", good[:1], fault.FamilyUnknown, "revocation list of \"CN=Simulated TPM CA"},
		{"stale", stale, fault.FamilyUnknown, "expired at"},
		{"from the future", future, fault.FamilyUnknown, "later than the time of verification"},
		{"key revoked", lists(v, from, to, nil, x.Certificate), fault.FamilyFalse, "\"CN=Simulated TPM AK,O=SIMULATION - NOT CONFIDENTIAL\" with serial number"},
		{"authority revoked", lists(v, from, to, nil, v.CA), fault.FamilyFalse, "\"CN=Simulated TPM CA,O=SIMULATION - NOT CONFIDENTIAL\" with serial number"},
		{"revoked by a stale list", lists(v, now.AddDate(0, 0, -9), now.AddDate(0, 0, -2), nil, x.Certificate), fault.FamilyFalse, "was revoked"},
		{"critical extension", lists(v, from, to, func(l *x509.RevocationList) { l.ExtraExtensions = []pkix.Extension{critical(2, 5, 29, 28)} }), fault.FamilyUnknown, "critical extension 2.5.29.28"},
		{"list of a forger", lists(forger, from, to, nil), fault.FamilyUnknown, "missing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := verify(c.docs...)
			wantErr(t, err, c.f, tpm.StepRevocation, c.part)
		})
	}
	t.Run("forged signature", func(t *testing.T) {
		bad := append([]byte(nil), good[1]...)
		bad[len(bad)-1] ^= 1
		_, err := verify(good[0], bad)
		wantErr(t, err, fault.FamilyFalse, tpm.StepRevocation, "not signed by it")
	})

	unsafe = true
	for name, docs := range map[string][][]byte{"no list": nil, "stale": stale} {
		if f, err := verify(docs...); err != nil || f.Certificate.Revocation.Skipped != 2 || f.Certificate.Revocation.Checked != 0 {
			t.Errorf("%s, without revocation: %+v, %v", name, f, err)
		}
	}
	_, err = verify(lists(v, now.AddDate(0, 0, -9), now.AddDate(0, 0, -2), nil, x.Certificate)...)
	wantErr(t, err, fault.FamilyFalse, tpm.StepRevocation, "was revoked")
	f, err = verify(good...)
	if err != nil || f.Certificate.Revocation.Checked != 2 {
		t.Errorf("%+v, %v", f, err)
	}
}

// TestListsOfTwoIssuers: key identifiers are chosen by their owners, and may be
// equal.
func TestListsOfTwoIssuers(t *testing.T) {
	same := func(c *x509.Certificate) { c.SubjectKeyId = []byte{1} }
	v := newVendor(t, sim.TPMVendorConfig{CRL: "http://crl.example", EditRoot: same, EditCA: same})
	lists, err := v.CRLs(now.AddDate(0, 0, -1), now.AddDate(0, 0, 1), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, docs := range [][][]byte{lists, {lists[1], lists[0]}} {
		if f, _, err := (setup{vendor: v, docs: docs}).run(t); err != nil || f.Certificate.Revocation.Checked != 2 {
			t.Errorf("%v", err)
		}
	}
}

// TestUnlisted: a list that nobody announced is obeyed too.
func TestUnlisted(t *testing.T) {
	lists, err := vendor(t).CRLs(now.AddDate(0, 0, -1), now.AddDate(0, 0, 1), nil, vendor(t).CA)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = setup{docs: lists}.run(t)
	wantErr(t, err, fault.FamilyFalse, tpm.StepRevocation, "was revoked")
}

func TestEndorsements(t *testing.T) {
	v := vendor(t)
	lists, err := v.CRLs(now, now.AddDate(0, 0, 1), nil)
	if err != nil {
		t.Fatal(err)
	}
	p := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: v.Root.Raw})
	p = append(p, pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: lists[0]})...)
	e := endorsements(t, p, v.Root.Raw, lists[0], append(p, '\n'))
	if e.Len() != 2 {
		t.Errorf("%d parts, want 2", e.Len())
	}
	var seen []string
	e.Each(func(kind, subject string, from, to time.Time) {
		seen = append(seen, fmt.Sprintf("%s %.21s %d %d", kind, subject, from.Year(), to.Year()))
	})
	if got, want := strings.Join(seen, ", "), "certificate CN=Simulated TPM Root 2020 2045, revocation list CN=Simulated TPM Root 2026 2026"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for name, doc := range map[string][]byte{
		"too long": append(append([]byte(nil), p...), bytes.Repeat([]byte{'\n'}, tpm.MaxDocument)...), "empty": nil, "garbage": []byte("garbage"), "no end": []byte("-----BEGIN CERTIFICATE-----\nAAAA\n"),
		"text after PEM": append(append([]byte(nil), p...), "text"...), "PEM of something else": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte{1}}),
	} {
		if err := (&tpm.Endorsements{}).Add(doc); fault.FamilyOf(err) != fault.FamilyInput || err == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	t.Run("too many", func(t *testing.T) {
		e := &tpm.Endorsements{}
		for i := range tpm.MaxParts {
			if err := e.AddCertificate(&x509.Certificate{Raw: []byte{byte(i), byte(i >> 8)}}); err != nil {
				t.Fatal(err)
			}
		}
		if err := e.AddCertificate(&x509.Certificate{Raw: []byte{1, 2, 3}}); fault.FamilyOf(err) != fault.FamilyInput || err == nil {
			t.Error(err)
		}
		if err := e.AddCRL(&x509.RevocationList{Raw: []byte{1, 2, 3}}); err == nil {
			t.Error("one more list was taken")
		}
	})
}
