package sim_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-tdx-guest/verify"

	"github.com/cocoon-go/cocoon/attestation/intel"
	"github.com/cocoon-go/cocoon/attestation/sim"
)

var now = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func newIntel(t testing.TB, o sim.IntelOptions) *sim.Intel {
	t.Helper()
	if o.Now.IsZero() {
		o.Now = now
	}
	p, err := sim.NewIntel(rand.NewChaCha8(sha256.Sum256([]byte("sim"))), o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func collateral(t testing.TB, p *sim.Intel, c sim.Collateral) *intel.Collateral {
	t.Helper()
	b, err := p.Endorsements(c)
	if err != nil {
		t.Fatal(err)
	}
	out, err := intel.ParseCollateral(b)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestReproducible: equal randomness gives an equal platform and equal quotes.
func TestReproducible(t *testing.T) {
	a, b := newIntel(t, sim.IntelOptions{}), newIntel(t, sim.IntelOptions{})
	if a.RootFingerprint() != b.RootFingerprint() || !bytes.Equal(a.PCKChain(), b.PCKChain()) {
		t.Fatal("two platforms from one seed differ")
	}
	qa, _ := a.Quote(sim.TD{MRTD: [48]byte{1}})
	qb, _ := b.Quote(sim.TD{MRTD: [48]byte{1}})
	if !bytes.Equal(qa, qb) {
		t.Fatal("two quotes from one seed differ")
	}
	ca, _ := a.Endorsements(sim.Collateral{At: now})
	cb, _ := b.Endorsements(sim.Collateral{At: now})
	if !bytes.Equal(ca, cb) {
		t.Fatal("two sets of endorsements from one seed differ")
	}
}

func TestFiles(t *testing.T) {
	p := newIntel(t, sim.IntelOptions{Processor: true})
	files, err := p.Files()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if f.Secret != bytes.Contains(f.Data, []byte("PRIVATE KEY")) {
			t.Errorf("%s: secret is %v", f.Name, f.Secret)
		}
	}
	again, err := sim.ParseIntel(files[0].Data)
	if err != nil {
		t.Fatal(err)
	}
	q1, _ := p.Quote(sim.TD{})
	q2, _ := again.Quote(sim.TD{})
	if !bytes.Equal(q1, q2) || again.PPID() != p.PPID() || again.CAPublicKey() != p.CAPublicKey() {
		t.Fatal("the stored platform is another one")
	}
	for name, edit := range map[string]func(string) string{
		"format":  func(s string) string { return strings.Replace(s, "sim-intel/v1", "sim-intel/v2", 1) },
		"unknown": func(s string) string { return strings.Replace(s, "{", `{"more":1,`, 1) },
		"key":     func(s string) string { return strings.Replace(s, "-----BEGIN PRIVATE", "-----BEGIN PUBLIC", 1) },
		"ppid":    func(s string) string { return strings.Replace(s, `"ppid": "`, `"ppid": "00`, 1) },
	} {
		if _, err := sim.ParseIntel([]byte(edit(string(files[0].Data)))); err == nil {
			t.Errorf("%s: a changed file is accepted", name)
		}
	}
}

// getter answers go-tdx-guest's requests from minted documents.
type getter struct{ c *intel.Collateral }

func (g getter) Get(u string) (map[string][]string, []byte, error) {
	chain := func(name, pem string) map[string][]string {
		return map[string][]string{name: {url.QueryEscape(pem)}}
	}
	answer := func(field, body, sig string) []byte {
		b, _ := json.Marshal(map[string]any{field: json.RawMessage(body), "signature": sig})
		return b
	}
	switch {
	case strings.Contains(u, "/tdx/certification/v4/tcb?"):
		return chain("Tcb-Info-Issuer-Chain", g.c.TCBInfoIssuerChain), answer("tcbInfo", g.c.TCBInfo, g.c.TCBInfoSignature), nil
	case strings.Contains(u, "/qe/identity"):
		return chain("Sgx-Enclave-Identity-Issuer-Chain", g.c.QEIdentityIssuerChain), answer("enclaveIdentity", g.c.QEIdentity, g.c.QEIdentitySignature), nil
	case strings.Contains(u, "/pckcrl?"):
		return chain("Sgx-Pck-Crl-Issuer-Chain", g.c.PCKCRLIssuerChain), unhex(g.c.PCKCRL), nil
	case strings.HasSuffix(u, "IntelSGXRootCA.der"):
		return nil, unhex(g.c.RootCACRL), nil
	}
	return nil, nil, fmt.Errorf("unexpected request %s", u)
}

func unhex(s string) []byte {
	b, _ := hex.DecodeString(s)
	return b
}

// TestOracle: go-tdx-guest accepts minted quotes under the minted root, and
// refuses them under Intel's.
func TestOracle(t *testing.T) {
	p := newIntel(t, sim.IntelOptions{})
	q, err := p.Quote(sim.TD{MRTD: [48]byte{1}, ReportData: [64]byte{9}})
	if err != nil {
		t.Fatal(err)
	}
	c := collateral(t, p, sim.Collateral{At: now})
	pool := x509.NewCertPool()
	b, _ := pem.Decode(p.RootPEM())
	root, err := x509.ParseCertificate(b.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	pool.AddCert(root)
	options := func(roots *x509.CertPool, c *intel.Collateral) *verify.Options {
		return &verify.Options{CheckRevocations: true, GetCollateral: true, Getter: getter{c}, Now: now, TrustedRoots: roots}
	}
	if err := verify.RawTdxQuote(q, options(pool, c)); err != nil {
		t.Errorf("under the minted root: %v", err)
	}
	if err := verify.RawTdxQuote(q, options(nil, c)); err == nil {
		t.Error("accepted under Intel's root")
	}
	for name, c := range map[string]*intel.Collateral{
		"platform out of date": collateral(t, p, sim.Collateral{At: now, PlatformStatus: intel.OutOfDate}),
		"PCK revoked":          collateral(t, p, sim.Collateral{At: now, RevokePCK: true}),
		"CA revoked":           collateral(t, p, sim.Collateral{At: now, RevokeCA: true}),
		"expired":              collateral(t, p, sim.Collateral{At: now.AddDate(0, -2, 0)}),
	} {
		if err := verify.RawTdxQuote(q, options(pool, c)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	q[600] ^= 1
	if err := verify.RawTdxQuote(q, options(pool, c)); err == nil {
		t.Error("a changed quote is accepted")
	}
}
