package nvidia_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/nvidia"
	"github.com/cocoon-go/cocoon/attestation/sim"
)

const hour = time.Hour

// fresh is a response from an hour ago for the next day.
var fresh = sim.NVIDIAOCSP{ThisUpdate: at.Add(-hour), NextUpdate: at.Add(24 * hour)}

// ocspOf signs a response for certificate i of the chain of RIM documents.
func ocspOf(t testing.TB, n *sim.NVIDIA, i int, f sim.NVIDIAOCSP) []byte {
	t.Helper()
	chain := n.RIMChain()
	b, err := n.OCSP(chain[i], chain[i+1], f)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// withOCSP verifies a document with these responses for the signer, and good
// ones for the rest of the chain.
func withOCSP(t testing.TB, n *sim.NVIDIA, o nvidia.Options, signer ...[]byte) (*nvidia.RIM, error) {
	t.Helper()
	o.SimulatedRoots = n.Roots()
	docs := append(signer, ocspOf(t, n, 1, fresh), ocspOf(t, n, 2, fresh))
	return nvidia.VerifyRIM(rim(t, n, sim.NVIDIARIM{}), docs, o, at)
}

func TestOCSPGood(t *testing.T) {
	n := vendor()
	for _, f := range []sim.NVIDIAOCSP{
		fresh,
		{ThisUpdate: fresh.ThisUpdate, NextUpdate: fresh.NextUpdate, ByIssuer: true},
		{ThisUpdate: fresh.ThisUpdate, NextUpdate: fresh.NextUpdate, Hash: crypto.SHA256},
		{ThisUpdate: fresh.ThisUpdate, NextUpdate: fresh.NextUpdate, Hash: crypto.SHA384},
		{ThisUpdate: fresh.ThisUpdate}, // one hour without an end
		{ThisUpdate: at, NextUpdate: at},
	} {
		r, err := withOCSP(t, n, nvidia.Options{}, ocspOf(t, n, 0, f))
		if err != nil {
			t.Errorf("%+v: %v", f, err)
			continue
		}
		until := f.NextUpdate
		if until.IsZero() {
			until = at
		}
		if rev := r.Facts().Revocation; !rev.Checked || !rev.ThisUpdate.Equal(fresh.ThisUpdate) || !rev.NextUpdate.Equal(until) || !r.Facts().NotAfter.Equal(until) || !r.Facts().NotBefore.Equal(f.ThisUpdate) {
			t.Errorf("%+v: %+v", f, r.Facts())
		}
	}
}

// TestOCSPEveryLevel needs a response for each certificate but the root, and
// obeys a revocation of each.
func TestOCSPEveryLevel(t *testing.T) {
	n := vendor()
	chain := n.RIMChain()
	o := nvidia.Options{SimulatedRoots: n.Roots()}
	for i := range 3 {
		var without, revoked [][]byte
		for j := range 3 {
			if j != i {
				without = append(without, ocspOf(t, n, j, fresh))
			}
		}
		_, err := nvidia.VerifyRIM(rim(t, n, sim.NVIDIARIM{}), without, o, at)
		wantErr(t, err, fault.FamilyUnknown, nvidia.StepRevocation, fmt.Sprintf("OCSP response for %q: missing; get it from http://ocsp.ndis.nvidia.com", chain[i].Subject.CommonName))
		f := fresh
		f.Status, f.Reason = ocsp.Revoked, ocsp.KeyCompromise
		// What is revoked stands alone, whatever is missing beside it.
		_, err = nvidia.VerifyRIM(rim(t, n, sim.NVIDIARIM{}), [][]byte{ocspOf(t, n, i, f)}, o, at)
		var m *nvidia.MissingError
		if wantErr(t, err, fault.FamilyFalse, nvidia.StepRevocation, "was revoked at"); errors.As(err, &m) {
			t.Errorf("revoked, and %v", m)
		}
		revoked = append(without, ocspOf(t, n, i, f))
		for _, unsafe := range []bool{false, true} {
			o := o
			o.WithoutRevocationUnsafe = unsafe
			_, err = nvidia.VerifyRIM(rim(t, n, sim.NVIDIARIM{}), revoked, o, at)
			wantErr(t, err, fault.FamilyFalse, nvidia.StepRevocation, fmt.Sprintf("%q with serial number %x was revoked at 2026-06-01T11:00:00Z (reason 1)", chain[i].Subject.CommonName, chain[i].SerialNumber))
		}
	}
}

// TestOCSPWindows looks at thisUpdate and nextUpdate, to the second.
func TestOCSPWindows(t *testing.T) {
	n := vendor()
	for _, c := range []struct {
		this, next time.Time
		part       string
	}{
		{at, at.Add(hour), ""},
		{at.Add(time.Second), at.Add(hour), "valid from 2026-06-01T12:00:01Z, later than the time of verification"},
		{at.Add(-hour), at, ""},
		{at.Add(-hour), at.Add(-time.Second), "expired at 2026-06-01T11:59:59Z"},
		{at.Add(-hour), time.Time{}, ""},
		{at.Add(-hour - time.Second), time.Time{}, "expired at 2026-06-01T11:59:59Z"},
	} {
		der := ocspOf(t, n, 0, sim.NVIDIAOCSP{ThisUpdate: c.this, NextUpdate: c.next})
		_, err := withOCSP(t, n, nvidia.Options{}, der)
		if c.part == "" {
			if err != nil {
				t.Errorf("%v to %v: %v", c.this, c.next, err)
			}
			continue
		}
		wantErr(t, err, fault.FamilyUnknown, nvidia.StepRevocation, c.part)
		r, err := withOCSP(t, n, nvidia.Options{WithoutRevocationUnsafe: true}, der)
		if err != nil || r.Facts().Revocation.Checked {
			t.Errorf("without revocation: %v", err)
		}
	}
}

// TestOCSPSeveral says which of several responses counts.
func TestOCSPSeveral(t *testing.T) {
	n := vendor()
	at0 := func(h int, status, reason int) []byte {
		return ocspOf(t, n, 0, sim.NVIDIAOCSP{ThisUpdate: at.Add(time.Duration(h) * hour), NextUpdate: at.Add(24 * hour), Status: status, Reason: reason})
	}
	ends := func(h int, next int) []byte {
		return ocspOf(t, n, 0, sim.NVIDIAOCSP{ThisUpdate: at.Add(time.Duration(h) * hour), NextUpdate: at.Add(time.Duration(next) * hour)})
	}
	revokedAt := func(h int, revoked int) []byte {
		return ocspOf(t, n, 0, sim.NVIDIAOCSP{ThisUpdate: at.Add(time.Duration(h) * hour), NextUpdate: at.Add(24 * hour), Status: ocsp.Revoked, Reason: ocsp.KeyCompromise, RevokedAt: at.Add(time.Duration(revoked) * hour)})
	}
	forged := ocspOf(t, newVendor(t, sim.NVIDIAConfig{}), 0, fresh)
	for _, c := range []struct {
		name      string
		responses [][]byte
		family    fault.Family
		part      string
	}{
		{"older good", [][]byte{at0(-9, ocsp.Good, 0), at0(-1, ocsp.Good, 0)}, fault.FamilyNone, ""},
		{"older one has expired", [][]byte{ends(-9, -8), at0(-1, ocsp.Good, 0)}, fault.FamilyNone, ""},
		{"newest has expired", [][]byte{ends(-1, -1), at0(-9, ocsp.Good, 0)}, fault.FamilyUnknown, "expired"},
		{"newest unknown", [][]byte{at0(-9, ocsp.Good, 0), at0(-1, ocsp.Unknown, 0)}, fault.FamilyUnknown, "the responder does not know the certificate"},
		{"unknown once", [][]byte{at0(-1, ocsp.Good, 0), at0(-9, ocsp.Unknown, 0)}, fault.FamilyNone, ""},
		{"on hold", [][]byte{at0(-9, ocsp.Good, 0), at0(-1, ocsp.Revoked, ocsp.CertificateHold)}, fault.FamilyFalse, "(reason 6)"},
		{"no longer on hold", [][]byte{at0(-1, ocsp.Good, 0), at0(-9, ocsp.Revoked, ocsp.CertificateHold)}, fault.FamilyNone, ""},
		{"revoked for good", [][]byte{at0(-1, ocsp.Good, 0), at0(-9, ocsp.Revoked, ocsp.KeyCompromise)}, fault.FamilyFalse, "(reason 1)"},
		{"revoked for no reason", [][]byte{at0(-1, ocsp.Good, 0), at0(-9, ocsp.Revoked, ocsp.Unspecified)}, fault.FamilyFalse, "(reason 0)"},
		{"revoked, as was known later", [][]byte{at0(-1, ocsp.Good, 0), revokedAt(5, -5)}, fault.FamilyFalse, "revoked at 2026-06-01T07:00:00Z"},
		{"revoked later", [][]byte{at0(-1, ocsp.Good, 0), revokedAt(5, 5)}, fault.FamilyNone, ""},
		{"from later only", [][]byte{at0(2, ocsp.Good, 0)}, fault.FamilyUnknown, "later than the time of verification"},
		{"a forged one too", [][]byte{forged, at0(-1, ocsp.Good, 0)}, fault.FamilyNone, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := withOCSP(t, n, nvidia.Options{}, c.responses...)
			if c.family == fault.FamilyNone {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantErr(t, err, c.family, nvidia.StepRevocation, c.part)
		})
	}
}

// responder makes the parts of a good response by a new responder; key may be
// nil.
func responder(t testing.TB, key *ecdsa.PrivateKey, edit func(*x509.Certificate)) answer {
	t.Helper()
	chain := vendor().RIMChain()
	c, k, err := vendor().NewResponder(chain[1], key, edit)
	if err != nil {
		t.Fatal(err)
	}
	return answer{serial: chain[0].SerialNumber, issuer: chain[1], signer: c, key: k, this: at.Add(-hour), next: at.Add(hour)}
}

// TestOCSPResponders says who may sign.
func TestOCSPResponders(t *testing.T) {
	chain := vendor().RIMChain()
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := responder(t, nil, nil)
	// A responder of the authority above, of another vendor, and the same key
	// with a certificate of the authority above.
	above, aboveKey, err := vendor().NewResponder(chain[2], nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	other := newVendor(t, sim.NVIDIAConfig{})
	stranger, strangerKey, err := other.NewResponder(other.RIMChain()[1], nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	twin, _, err := vendor().NewResponder(chain[2], good.key, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		a    answer
		edit func(*answer)
		part string
	}{
		{"a responder of its own", good, nil, ""},
		{"by name", good, func(a *answer) { a.byName = true }, ""},
		{"on P-256", responder(t, p256, nil), nil, ""},
		{"more certificates", good, func(a *answer) { a.certificates = []*x509.Certificate{a.signer, chain[1]} }, ""},
		{"a nonce", good, func(a *answer) {
			a.extensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 2}, Value: []byte{4, 0}}}
		}, ""},
		{"on P-224", responder(t, p224, nil), nil, "not on P-384 or P-256"},
		{"not for OCSP", responder(t, nil, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning} }), nil, "is not for OCSP signing"},
		{"for anything", responder(t, nil, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageAny} }), nil, "is not for OCSP signing"},
		{"for nothing in particular", responder(t, nil, func(c *x509.Certificate) { c.ExtKeyUsage = nil }), nil, "is not for OCSP signing"},
		{"expired", responder(t, nil, func(c *x509.Certificate) { c.NotAfter = at.Add(-time.Second) }), nil, "its responder's certificate: expired at"},
		{"not yet valid", responder(t, nil, func(c *x509.Certificate) { c.NotBefore = at.Add(time.Second) }), nil, "its responder's certificate: valid from"},
		{"of the authority above", good, func(a *answer) { a.signer, a.key = above, aboveKey }, `is issued by "NVIDIA Reference Value GH100 CA"`},
		{"another key", good, func(a *answer) { a.key = responder(t, nil, nil).key }, "it is not signed by its responder"},
		{"of another vendor", good, func(a *answer) { a.signer, a.key = stranger, strangerKey }, "is not signed by"},
		{"the wrong name", good, func(a *answer) {
			a.responder = marshal(t, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 1, IsCompound: true, Bytes: chain[3].RawSubject})
		}, "it names another responder"},
		{"the wrong key", good, func(a *answer) {
			a.responder = marshal(t, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 2, IsCompound: true, Bytes: marshal(t, make([]byte, 20))})
		}, "it names another responder"},
		{"without its certificate", good, func(a *answer) { a.noResponder = true }, "it is not signed by the issuer"},
		{"another issuer's certificate of one serial number", good, func(a *answer) { a.issuer = chain[2] }, "missing"},
		{"another issuer's, attached to this one's certificate", good, func(a *answer) { a.issuer, a.signer = chain[2], twin }, "missing"},
		{"another serial number", good, func(a *answer) { a.serial = new(big.Int).Add(a.serial, big.NewInt(1)) }, "missing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.edit != nil {
				c.edit(&c.a)
			}
			_, err := withOCSP(t, vendor(), nvidia.Options{}, c.a.mint(t))
			if c.part == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantErr(t, err, fault.FamilyUnknown, nvidia.StepRevocation, c.part)
		})
	}
	// A key that serves two issuers: its answer of one, with the certificate of
	// the other in the unsigned part.
	for hash := range ocspHashes {
		if hash == crypto.MD5 {
			continue
		}
		a := good
		a.issuer, a.hash = chain[2], hash
		_, err := withOCSP(t, vendor(), nvidia.Options{}, a.mint(t))
		wantErr(t, err, fault.FamilyUnknown, nvidia.StepRevocation, "missing")
	}
}

// TestOCSPIssuerInside accepts a response of the issuer itself that brings the
// issuer's certificate along.
func TestOCSPIssuerInside(t *testing.T) {
	f := fresh
	f.ByIssuer = true
	var outer ocspOuter
	if _, err := asn1.Unmarshal(ocspOf(t, vendor(), 0, f), &outer); err != nil {
		t.Fatal(err)
	}
	var basic ocspBasic
	if _, err := asn1.Unmarshal(outer.Inner.Data, &basic); err != nil {
		t.Fatal(err)
	}
	basic.Certificates = []asn1.RawValue{{FullBytes: vendor().RIMChain()[1].Raw}}
	outer.Inner.Data = marshal(t, basic)
	if _, err := withOCSP(t, vendor(), nvidia.Options{}, marshal(t, outer)); err != nil {
		t.Error(err)
	}
}

// TestOCSPTries looks at a bounded number of responses.
func TestOCSPTries(t *testing.T) {
	forger := newVendor(t, sim.NVIDIAConfig{})
	for _, c := range []struct {
		n    int
		part string
	}{{15, ""}, {16, "its responder is not of the issuer"}} {
		a := responder(t, nil, nil)
		var all [][]byte
		for i := range c.n {
			bad, key, err := forger.NewResponder(forger.RIMChain()[1], nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			f := a
			f.signer, f.key, f.next = bad, key, at.Add(time.Duration(i+1)*hour)
			all = append(all, f.mint(t))
		}
		_, err := withOCSP(t, vendor(), nvidia.Options{}, append(all, a.mint(t))...)
		if c.part == "" && err != nil {
			t.Error(err)
		} else if c.part != "" {
			wantErr(t, err, fault.FamilyUnknown, nvidia.StepRevocation, c.part)
		}
	}
}

// TestOCSPForms refuses responses of another form.
func TestOCSPForms(t *testing.T) {
	good := responder(t, nil, nil)
	critical := []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: []byte{5, 0}}}
	for _, c := range []struct {
		name string
		der  func() []byte
		part string
	}{
		{"unauthorized", func() []byte { return ocsp.UnauthorizedErrorResponse }, "the responder answered: unauthorized"},
		{"try later", func() []byte { return ocsp.TryLaterErrorResponse }, "the responder answered: try later"},
		{"nothing", func() []byte { return nil }, "malformed"},
		{"trailing", func() []byte { return append(good.mint(t), 0) }, "malformed"},
		{"length of an explicit tag", func() []byte { return tagLength(t, good.mint(t), bytes.Index) }, "malformed"},
		{"length of an inner explicit tag", func() []byte { return tagLength(t, good.mint(t), bytes.LastIndex) }, "malformed"},
		{"success without a response", func() []byte { return []byte{0x30, 3, 0x0a, 1, 0} }, "malformed"},
		{"long", func() []byte { return make([]byte, 8<<10+1) }, "limit 8192"},
		{"two certificates", func() []byte { a := good; a.copies = 2; return a.mint(t) }, "about 2 certificates"},
		{"critical extension", func() []byte { a := good; a.extensions = critical; return a.mint(t) }, "unknown critical extension 1.2.3"},
		{"critical extension of the answer", func() []byte { a := good; a.single = critical; return a.mint(t) }, "critical extension"},
		{"hash of the id", func() []byte { a := good; a.hash = crypto.MD5; return a.mint(t) }, "unsupported issuer hash"},
		{"algorithm", func() []byte {
			a := good
			a.algorithm = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}
			a.digest = func(b []byte) (crypto.Hash, []byte) { d := sha256.Sum256(b); return crypto.SHA256, d[:] }
			return a.mint(t)
		}, "signature algorithm 1.2.840.10045.4.3.2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := withOCSP(t, vendor(), nvidia.Options{}, c.der())
			wantErr(t, err, fault.FamilyInput, nvidia.StepRevocation, c.part)
		})
	}
}

// tagLength changes the length of an explicit tag 0, which encoding/asn1 does not
// look at.
func tagLength(t testing.TB, der []byte, find func(s, sep []byte) int) []byte {
	t.Helper()
	i := find(der, []byte{0xa0, 0x82})
	if i < 0 {
		t.Fatal("no explicit tag")
	}
	der[i+3] ^= 1
	if _, err := ocsp.ParseResponse(der, nil); err != nil {
		t.Fatalf("package ocsp sees it: %v", err)
	}
	return der
}

// TestOCSPOracle compares with package ocsp: what is good here is good there.
func TestOCSPOracle(t *testing.T) {
	chain := vendor().RIMChain()
	der := responder(t, nil, nil).mint(t)
	r, err := ocsp.ParseResponseForCert(der, chain[0], chain[1])
	if err != nil || r.Status != ocsp.Good || !r.ThisUpdate.Equal(at.Add(-hour)) {
		t.Fatalf("%v, %+v", err, r)
	}
	if _, err := withOCSP(t, vendor(), nvidia.Options{}, der); err != nil {
		t.Error(err)
	}
}
