package attestation_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/sim"
)

var now = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// seeded is a reproducible source of randomness.
func seeded(seed string) *rand.ChaCha8 {
	return rand.NewChaCha8(sha256.Sum256([]byte(seed)))
}

// world is a simulated platform with one enclave on it, registered on a chain;
// tests change one field and verify.
type world struct {
	t          testing.TB
	platform   *sim.Intel
	claims     *attestation.Claims
	td         sim.TD
	collateral sim.Collateral
	policy     string
	registered *attestation.Registered
	nonce      *[32]byte
	at         time.Time
	edit       func(*attestation.Bundle)

	endorse func(*attestation.Endorsements) // adds to, or replaces, the documents

	// Of a world of kind snp.
	kind    string
	vendor  *sim.AMD
	chip    sim.AMDChipConfig
	report  sim.AMDReport
	crl     [2]time.Time
	revoked []*big.Int // serial numbers on the list
	minted  *sim.AMDChip
}

func newWorld(t testing.TB) *world {
	t.Helper()
	p, err := sim.NewIntel(seeded("world"), sim.IntelOptions{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, platform: p, at: now, collateral: sim.Collateral{At: now}}
	w.claims = &attestation.Claims{
		Heads: attestation.Heads{ChainID: -3, Node: attestation.Address{Hash: sha256.Sum256([]byte("node"))}, Epoch: 7,
			BlockSeqno: 41_000_100, BlockRoot: sha256.Sum256([]byte("block")), ReceiptKey: sha256.Sum256([]byte("receipt")),
			LogKey: sha256.Sum256([]byte("log")), IdentityKey: sha256.Sum256([]byte("identity"))},
		Body: attestation.Body{
			KeyConfigs: []attestation.KeyConfig{
				{Config: []byte("first"), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(23 * time.Hour)},
				{Config: []byte("second"), NotBefore: now.Add(22 * time.Hour), NotAfter: now.Add(46 * time.Hour)},
			},
			Configuration: sha256.Sum256([]byte("configuration")),
			Models:        []attestation.Model{{Name: "a", Digest: sha256.Sum256([]byte("model a"))}, {Name: "b", Digest: sha256.Sum256([]byte("model b"))}},
			SelfTest:      attestation.SelfTest{Passed: true, Answers: sha256.Sum256([]byte("answers"))},
			Software:      "test", Created: now.Add(-time.Hour), Engine: "tinylm/1",
		},
	}
	w.td.MRTD = [48]byte{1}
	w.td.RTMR = [4][48]byte{{2}, {3}, {4}, attestation.ConfigurationRTMR3(w.claims.Body.Configuration)}
	w.policy = attestation.PolicyTOML(attestation.PolicyOptions{SimulatedRoots: [][32]byte{p.RootFingerprint()}})
	w.registered = &attestation.Registered{ChainID: -3, Node: w.claims.Node, Epoch: 7,
		BlockTime: now.Add(-2 * time.Hour), RegisteredAt: now.Add(-time.Hour),
		Measurements: [][32]byte{attestation.MeasurementTDX(w.td.MRTD, w.td.RTMR[0], w.td.RTMR[1], w.td.RTMR[2])},
		Models:       [][32]byte{w.claims.Body.Models[1].Digest},
	}
	return w
}

// bundle signs the claims and puts everything together. It keeps report data
// and registered digest that a test has set.
func (w *world) bundle() *attestation.Bundle {
	w.t.Helper()
	if _, _, err := w.claims.Encode(); err != nil {
		w.t.Fatal(err)
	}
	d := w.claims.Digest()
	if w.td.ReportData == ([64]byte{}) {
		w.td.ReportData = attestation.ReportData(d, nil)
	}
	if w.registered != nil && w.registered.ClaimsDigest == ([32]byte{}) {
		w.registered.ClaimsDigest = d
	}
	b, err := attestation.NewBundle(w.claims, w.evidence())
	if err != nil {
		w.t.Fatal(err)
	}
	if w.edit != nil {
		w.edit(b)
	}
	return b
}

// evidence mints the evidence for the report data of the world.
func (w *world) evidence() attestation.Item {
	w.t.Helper()
	if w.kind == attestation.KindSNP {
		w.report.ReportData = w.td.ReportData
		c, err := w.vendor.NewChip(w.chip)
		if err != nil {
			w.t.Fatal(err)
		}
		w.minted = c
		r, err := c.Report(w.report)
		if err != nil {
			w.t.Fatal(err)
		}
		return attestation.Item{Kind: attestation.KindSNP, Data: r}
	}
	q, err := w.platform.Quote(w.td)
	if err != nil {
		w.t.Fatal(err)
	}
	return attestation.Item{Kind: attestation.KindTDX, Data: q}
}

func (w *world) endorsements() *attestation.Endorsements {
	w.t.Helper()
	if w.kind == attestation.KindSNP {
		return w.snpEndorsements()
	}
	j, err := w.platform.Endorsements(w.collateral)
	if err != nil {
		w.t.Fatal(err)
	}
	e := attestation.NewEndorsements()
	if err := e.AddFile("collateral.json", j); err != nil {
		w.t.Fatal(err)
	}
	if w.endorse != nil {
		w.endorse(e)
	}
	return e
}

func (w *world) verify() (*attestation.Verified, error) {
	w.t.Helper()
	p, err := attestation.ParsePolicy([]byte(w.policy))
	if err != nil {
		w.t.Fatal(err)
	}
	v, err := attestation.NewVerifier(p)
	if err != nil {
		w.t.Fatal(err)
	}
	b := w.bundle()
	return v.Verify(attestation.Input{Bundle: b, Endorsements: w.endorsements(), Registered: w.registered, Nonce: w.nonce, At: w.at})
}

func TestVerify(t *testing.T) {
	w := newWorld(t)
	v, err := w.verify()
	if err != nil {
		t.Fatal(err)
	}
	if !v.Simulated() || v.Digest() != w.claims.Digest() || v.Claims().Epoch != 7 || v.Kind() != attestation.KindTDX || v.Measurement() != w.registered.Measurements[0] {
		t.Errorf("simulated %v, digest %x", v.Simulated(), v.Digest())
	}
	if got := v.Models(); len(got) != 1 || got[0].Name != "b" {
		t.Errorf("models %v, want only b, which the registry lists", got)
	}
	for _, c := range []struct {
		at   time.Time
		want string
	}{{now, "first"}, {now.Add(22*time.Hour + time.Minute), "second"}} {
		if k, err := v.KeyConfig(c.at); err != nil || string(k) != c.want {
			t.Errorf("key configuration at %v: %q, %v, want %q", c.at, k, err, c.want)
		}
	}
	if v.NotAfter() != now.Add(46*time.Hour) {
		t.Errorf("good until %v, want the end of the last key", v.NotAfter())
	}
	var unknown *attestation.UnknownError
	if _, err := v.KeyConfig(now.Add(47 * time.Hour)); !errors.As(err, &unknown) {
		t.Errorf("key configuration after the end: %v", err)
	}
	if !v.Verdict().Accepted || len(v.Verdict().Refusals) != 0 {
		t.Errorf("verdict: %+v", v.Verdict())
	}
}

func TestBundleRoundTrip(t *testing.T) {
	b := newWorld(t).bundle()
	enc, err := b.Encode()
	if err != nil {
		t.Fatal(err)
	}
	again, err := attestation.ParseBundle(enc)
	if err != nil {
		t.Fatal(err)
	}
	enc2, err := again.Encode()
	if err != nil || !bytes.Equal(enc, enc2) || again.Digest() != b.Digest() {
		t.Fatalf("round trip: %v", err)
	}
	if !strings.HasPrefix(string(enc), "\xa4\x00pcocoon/bundle/v1") {
		t.Errorf("starts with %q", enc[:20])
	}
}
