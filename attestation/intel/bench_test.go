package intel_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-tdx-guest/verify"

	"github.com/cocoon-go/cocoon/attestation/intel"
	"github.com/cocoon-go/cocoon/attestation/sim"
)

// benchCase mints one quote with its endorsements as JSON.
func benchCase(b *testing.B) (p *sim.Intel, quote, collateral []byte) {
	b.Helper()
	p = newPlatform(b, sim.IntelOptions{})
	quote, err := p.Quote(sim.TD{})
	if err != nil {
		b.Fatal(err)
	}
	collateral, err = p.Endorsements(sim.Collateral{At: now})
	if err != nil {
		b.Fatal(err)
	}
	return p, quote, collateral
}

func addJSON(tb testing.TB, data []byte) *intel.Endorsements {
	tb.Helper()
	c, err := intel.ParseCollateral(data)
	if err != nil {
		tb.Fatal(err)
	}
	e := new(intel.Endorsements)
	if err := e.AddCollateral(c); err != nil {
		tb.Fatal(err)
	}
	return e
}

func verifyOnce(b *testing.B, v *intel.Verifier, quote []byte, e *intel.Endorsements) {
	q, err := intel.ParseQuote(quote)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := v.Verify(q, e, now); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkTDXCold parses and verifies everything: endorsements with both
// revocation lists, PCK chain, quote.
func BenchmarkTDXCold(b *testing.B) {
	p, quote, collateral := benchCase(b)
	b.ReportAllocs()
	for b.Loop() {
		verifyOnce(b, intel.NewVerifier(p.RootFingerprint()), quote, addJSON(b, collateral))
	}
}

// BenchmarkTDXHot verifies a quote of a known platform under known endorsements.
func BenchmarkTDXHot(b *testing.B) {
	p, quote, collateral := benchCase(b)
	v, e := intel.NewVerifier(p.RootFingerprint()), addJSON(b, collateral)
	verifyOnce(b, v, quote, e)
	b.ReportAllocs()
	for b.Loop() {
		verifyOnce(b, v, quote, e)
	}
}

// TestHotAllocations keeps the path of a known platform under known endorsements
// at 40 allocations.
func TestHotAllocations(t *testing.T) {
	s := newSample(t)
	raw, c := s.make(t)
	v, e := intel.NewVerifier(s.roots...), endorse(t, c)
	if n := testing.AllocsPerRun(20, func() {
		q, err := intel.ParseQuote(raw)
		if err == nil {
			_, err = v.Verify(q, e, now)
		}
		if err != nil {
			t.Fatal(err)
		}
	}); n > 40 {
		t.Errorf("%v allocations, at most 40", n)
	}
}

// getter answers go-tdx-guest's requests from collateral.
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
		b, err := hex.DecodeString(g.c.PCKCRL)
		return chain("Sgx-Pck-Crl-Issuer-Chain", g.c.PCKCRLIssuerChain), b, err
	case strings.HasSuffix(u, "IntelSGXRootCA.der"):
		b, err := hex.DecodeString(g.c.RootCACRL)
		return nil, b, err
	}
	return nil, nil, fmt.Errorf("unexpected request %s", u)
}

// goTDXGuest runs go-tdx-guest v0.3.1 with collateral and revocation.
func goTDXGuest(quote []byte, c *intel.Collateral, o verify.Options, at time.Time) error {
	o.CheckRevocations, o.GetCollateral, o.Getter, o.Now = true, true, getter{c}, at
	return verify.RawTdxQuote(quote, &o)
}

// BenchmarkGoTDXGuest is the baseline: go-tdx-guest with collateral and
// revocation lists, which caches nothing.
func BenchmarkGoTDXGuest(b *testing.B) {
	p, quote, collateral := benchCase(b)
	c, err := intel.ParseCollateral(collateral)
	if err != nil {
		b.Fatal(err)
	}
	roots := certPool(b, p.RootPEM())
	b.ReportAllocs()
	for b.Loop() {
		if err := goTDXGuest(quote, c, verify.Options{TrustedRoots: roots}, now); err != nil {
			b.Fatal(err)
		}
	}
}
