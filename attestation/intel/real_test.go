package intel_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"math/rand/v2"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	tdxtest "github.com/google/go-tdx-guest/testing"
	"github.com/google/go-tdx-guest/testing/testdata"
	"github.com/google/go-tdx-guest/verify"

	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/intel"
	"github.com/cocoon-go/cocoon/attestation/vectortest"
)

// moduleTime lies in the window of the documents inside go-tdx-guest.
var moduleTime = time.Date(2023, 7, 1, 1, 0, 0, 0, time.UTC)

// moduleCollateral returns the genuine documents that ship inside the
// go-tdx-guest module, so that real evidence is verified in every clone.
func moduleCollateral(t testing.TB) *intel.Collateral {
	t.Helper()
	chain := func(h map[string][]string) string {
		for _, v := range h {
			s, err := url.QueryUnescape(v[0])
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		return ""
	}
	signed := func(b []byte, field string) (string, string) {
		var m map[string]json.RawMessage
		var sig string
		if err := json.Unmarshal(b, &m); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(m["signature"], &sig); err != nil {
			t.Fatal(err)
		}
		return string(m[field]), sig
	}
	c := &intel.Collateral{
		PCKCRL: hex.EncodeToString(testdata.PckCrlBody), RootCACRL: hex.EncodeToString(testdata.RootCrlBody),
		PCKCRLIssuerChain: chain(tdxtest.PckCrlHeader), TCBInfoIssuerChain: chain(tdxtest.TcbInfoHeader),
		QEIdentityIssuerChain: chain(tdxtest.QeIdentityHeader),
	}
	c.TCBInfo, c.TCBInfoSignature = signed(testdata.TcbInfoBody, "tcbInfo")
	c.QEIdentity, c.QEIdentitySignature = signed(testdata.QeIdentityBody, "enclaveIdentity")
	return c
}

func endorse(t testing.TB, c *intel.Collateral) *intel.Endorsements {
	t.Helper()
	e := new(intel.Endorsements)
	if err := e.AddCollateral(c); err != nil {
		t.Fatal(err)
	}
	return e
}

// TestRealQuoteInModule verifies the genuine quote and documents inside
// go-tdx-guest. Intel's rating is NotSupported: the machine, a pre-release
// stepping, is below every level of its TCB info.
func TestRealQuoteInModule(t *testing.T) {
	q, err := intel.ParseQuote(testdata.RawQuote)
	if err != nil {
		t.Fatal(err)
	}
	c := moduleCollateral(t)
	f, err := intel.NewVerifier().Verify(q, endorse(t, c), moduleTime)
	if err != nil {
		t.Fatal(err)
	}
	if f.Root != intel.RootFingerprint() || f.Status != intel.NotSupported || hex.EncodeToString(f.Platform.FMSPC[:]) != "50806f000000" {
		t.Errorf("root %x, status %s, FMSPC %x", f.Root, f.Status, f.Platform.FMSPC)
	}
	// Second opinion: genuine without rating, and no level with it.
	if err := verify.RawTdxQuote(testdata.RawQuote, &verify.Options{Now: moduleTime}); err != nil {
		t.Errorf("go-tdx-guest: %v", err)
	}
	if err := goTDXGuest(testdata.RawQuote, c, verify.Options{}, moduleTime); err == nil {
		t.Error("go-tdx-guest rates the platform")
	}
}

// regions lists what the chain of signatures of a quote covers, and the lengths
// and types that frame it.
func regions(raw []byte) map[string][2]int {
	le := binary.LittleEndian
	body, frame := 48+384, 0 // of an SGX quote of version 3
	switch version := le.Uint16(raw); {
	case version == 5:
		body, frame = 48+6+int(le.Uint32(raw[50:])), 6
	case version == 4 && raw[4] == 0x81:
		body, frame = 48+584, 6
	}
	sig := body + 4
	qe := sig + 128 + frame
	auth := int(le.Uint16(raw[qe+448:]))
	cert := qe + 450 + auth + 6
	return map[string][2]int{
		"header and body":       {0, body}, // of version 5 also type and size of the body
		"signature":             {sig, sig + 64},
		"attestation key":       {sig + 64, sig + 128},
		"QE report":             {qe, qe + 384},
		"QE report signature":   {qe + 384, qe + 448},
		"QE authentication":     {qe + 450, qe + 450 + auth},
		"signature data length": {body, sig},
		"lengths and types":     {sig + 128, qe},
		"authentication length": {qe + 448, qe + 450},
		"certification type":    {qe + 450 + auth, cert},
	}
}

// mutate flips bits of the signed regions of raw; every flip must be refused.
// Bits of a PEM chain are covered by the certificates' signatures, except the
// text around and in the armour (line breaks, header lines), which nothing
// signs and from which nothing is read.
func mutate(t *testing.T, raw []byte, e *intel.Endorsements, v *intel.Verifier, at time.Time, flips int) {
	t.Helper()
	signed := regions(raw)
	var bits []int
	for _, r := range signed {
		for i := r[0] * 8; i < r[1]*8; i++ {
			bits = append(bits, i)
		}
	}
	if os.Getenv("COCOON_LONG") == "" {
		rnd := rand.New(seeded("mutations"))
		slices.Sort(bits)
		rnd.Shuffle(len(bits), func(i, j int) { bits[i], bits[j] = bits[j], bits[i] })
		bits = bits[:flips]
	}
	for _, bit := range bits {
		b := bytes.Clone(raw)
		b[bit/8] ^= 1 << (bit % 8)
		q, err := intel.ParseQuote(b)
		if err == nil {
			_, err = v.Verify(q, e, at)
		}
		if err == nil {
			t.Errorf("accepted with bit %d of byte %d changed", bit%8, bit/8)
		} else if fam := fault.FamilyOf(err); fam != fault.FamilyFalse && fam != fault.FamilyInput && fam != fault.FamilyUnknown {
			t.Errorf("bit %d of byte %d: family %d: %v", bit%8, bit/8, fam, err)
		}
	}
}

// TestMutatedReal flips bits of the genuine quote: 500 seeded ones, all with
// COCOON_LONG=1.
func TestMutatedReal(t *testing.T) {
	v, e := intel.NewVerifier(), endorse(t, moduleCollateral(t))
	mutate(t, testdata.RawQuote, e, v, moduleTime, 500)
}

// TestMutatedChain flips bits of the certificates inside a quote: whatever
// still parses to the same certificates may be accepted, anything else not.
func TestMutatedChain(t *testing.T) {
	s := newSample(t)
	raw, c := s.make(t)
	e := endorse(t, c)
	start := bytes.Index(raw, []byte("-----BEGIN"))
	end := bytes.LastIndex(raw, []byte("-----END"))
	rnd := rand.New(seeded("chain"))
	accepted := 0
	for range 300 {
		b := bytes.Clone(raw)
		i := start + rnd.IntN(end-start)
		b[i] ^= 1 << rnd.IntN(8)
		q, err := intel.ParseQuote(b)
		if err == nil {
			_, err = intel.NewVerifier(s.roots...).Verify(q, e, now)
		}
		if err != nil {
			continue
		}
		accepted++
		if !samePEM(raw[start:], b[start:]) {
			t.Errorf("accepted with another certificate, byte %d", i)
		}
	}
	t.Logf("%d of 300 flips change the armour only", accepted)
}

// samePEM reports whether two texts hold the same base64 characters between
// the same armour.
func samePEM(a, b []byte) bool {
	strip := func(s []byte) string {
		var out strings.Builder
		for _, l := range strings.Split(string(s), "-----") {
			if !strings.Contains(l, "CERT") {
				for _, r := range l {
					if r > ' ' && r < 0x7f {
						out.WriteRune(r)
					}
				}
			}
		}
		return out.String()
	}
	return strip(a) == strip(b)
}

// TestMutatedDocuments flips bits of every document: nothing is accepted with
// a changed text, signature or list.
func TestMutatedDocuments(t *testing.T) {
	s := newSample(t)
	raw, good := s.make(t)
	q, err := intel.ParseQuote(raw)
	if err != nil {
		t.Fatal(err)
	}
	n := 60
	if os.Getenv("COCOON_LONG") != "" {
		n = 4000
	}
	rnd := rand.New(seeded("documents"))
	flip := func(s string) string {
		b := []byte(s)
		b[rnd.IntN(len(b))] ^= 1 << rnd.IntN(8)
		return string(b)
	}
	flipBin := func(s string) string {
		b, _ := hex.DecodeString(s)
		b[rnd.IntN(len(b))] ^= 1 << rnd.IntN(8)
		return hex.EncodeToString(b)
	}
	for name, edit := range map[string]func(*intel.Collateral){
		"TCB info":              func(c *intel.Collateral) { c.TCBInfo = flip(c.TCBInfo) },
		"TCB info signature":    func(c *intel.Collateral) { c.TCBInfoSignature = flipBin(c.TCBInfoSignature) },
		"QE identity":           func(c *intel.Collateral) { c.QEIdentity = flip(c.QEIdentity) },
		"QE identity signature": func(c *intel.Collateral) { c.QEIdentitySignature = flipBin(c.QEIdentitySignature) },
		"root CRL":              func(c *intel.Collateral) { c.RootCACRL = flipBin(c.RootCACRL) },
		"PCK CRL":               func(c *intel.Collateral) { c.PCKCRL = flipBin(c.PCKCRL) },
	} {
		for range n {
			c := *good
			edit(&c)
			e := new(intel.Endorsements)
			err := e.AddCollateral(&c)
			if err == nil {
				_, err = intel.NewVerifier(s.roots...).Verify(q, e, now)
			}
			if err == nil {
				t.Fatalf("%s: accepted when changed", name)
			}
		}
	}
}

// TestMutatedVectors flips bits of one real quote of each version and kind. What
// is not signed: the armour and text of the PEM chain (TestMutatedChain), and
// bytes behind the quote, of which nothing is read.
func TestMutatedVectors(t *testing.T) {
	dir := vectortest.Dir(t)
	for _, x := range []struct {
		tee, quote, collateral string
		at                     int64
	}{
		{"tdx", "dcap-qvl-9069d475eda3.bin", "20a06f000000-2025-09.json", 1756802519},        // version 4
		{"tdx", "go-tdx-guest-cf77a6e91e48.bin", "90c06f000000-2026-02-18.json", 1771415931}, // version 5
		{"sgx", "automata-dcap-attestation-c81a90ee23bb.bin", "00606a000000-2025-08.json", 1755240086},
	} {
		t.Run(x.quote, func(t *testing.T) {
			raw := readFile(t, dir, x.tee, "quotes", x.quote)
			e, v, at := loadCollateral(t, dir, x.tee, "collateral", x.collateral), intel.NewVerifier(), time.Unix(x.at, 0)
			q, err := intel.ParseQuote(raw)
			if err == nil {
				_, err = v.Verify(q, e, at)
			}
			if err != nil {
				t.Fatalf("unchanged: %v", err)
			}
			mutate(t, raw, e, v, at, 200)
		})
	}
}

// TestIntelSample judges the sample of Intel's own library. It has a root of its
// own and carries its PCK chain beside the quote. Its quoting enclave is not the
// one that its QE identity names, so that Intel's library answers
// STATUS_QE_IDENTITY_MISMATCH: here, the last check before the rating.
func TestIntelSample(t *testing.T) {
	dir := vectortest.Dir(t) + "/tdx/intel-qvl-sample"
	at := time.Date(2023, 2, 1, 0, 0, 0, 0, time.UTC)
	q, err := intel.ParseQuote(readFile(t, dir, "quote.dat"))
	if err != nil {
		t.Fatal(err)
	}
	rootPEM := readFile(t, dir, "trustedRootCaCert.pem")
	e := new(intel.Endorsements)
	if err := e.AddCollateral(&intel.Collateral{
		PCKCertificateChain: string(readFile(t, dir, "pckCert.pem")) + "\n" + string(readFile(t, dir, "pckSignChain.pem")) + "\n" + string(rootPEM),
		TCBInfoIssuerChain:  string(readFile(t, dir, "tcbSignChain.pem")),
		RootCACRL:           hex.EncodeToString(readFile(t, dir, "rootCaCrl.der")),
		PCKCRL:              hex.EncodeToString(readFile(t, dir, "intermediateCaCrl.der")),
	}); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{"tcbInfo.json", "qeIdentity.json"} {
		if ok, err := e.AddServiceAnswer(readFile(t, dir, f)); !ok || err != nil {
			t.Fatalf("%s: %v %v", f, ok, err)
		}
	}
	if _, err := intel.NewVerifier().Verify(q, e, at); err == nil {
		t.Error("accepted under Intel's root")
	}
	_, err = intel.NewVerifier(certificate(t, rootPEM)).Verify(q, e, at)
	if fault.FamilyOf(err) != fault.FamilyFalse || !strings.Contains(err.Error(), "the quoting enclave is not signed by Intel") {
		t.Errorf("under its own root: %v", err)
	}

	// The SGX sample has a TCB info of version 2, which Intel has retired.
	sgx := vectortest.Dir(t) + "/sgx/intel-qvl-sample"
	_, err = new(intel.Endorsements).AddServiceAnswer(readFile(t, sgx, "tcbInfo.json"))
	if fault.FamilyOf(err) != fault.FamilyInput {
		t.Errorf("TCB info of version 2: %v", err)
	}
}

// TestRealWithoutDocuments verifies every real quote without its documents:
// their signatures are good, and what is missing is named. One quote has a
// pre-production root and is false.
func TestRealWithoutDocuments(t *testing.T) {
	dir := vectortest.Dir(t)
	at := time.Date(2025, 9, 10, 0, 0, 0, 0, time.UTC)
	for _, tee := range []string{"tdx", "sgx"} {
		files, err := os.ReadDir(dir + "/" + tee + "/quotes")
		if err != nil || len(files) == 0 {
			t.Fatalf("no %s quotes: %v", tee, err)
		}
		for _, f := range files {
			q, err := intel.ParseQuote(readFile(t, dir, tee, "quotes", f.Name()))
			if err != nil {
				t.Errorf("%s: %v", f.Name(), err)
				continue
			}
			_, err = intel.NewVerifier().Verify(q, nil, at)
			want := fault.FamilyUnknown
			if strings.Contains(f.Name(), "3f49cfeb29e6") {
				want = fault.FamilyFalse
			}
			if fault.FamilyOf(err) != want {
				t.Errorf("%s without documents: family %d, want %d: %v", f.Name(), fault.FamilyOf(err), want, err)
			}
		}
	}
}
