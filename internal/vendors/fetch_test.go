package vendors

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/amd"
	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/intel"
	"github.com/cocoon-go/cocoon/attestation/sim"
	"github.com/cocoon-go/cocoon/internal/endorse"
)

var now = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// answer is what the recorded service answers at one path with one query.
type answer struct {
	status int
	header map[string]string
	body   []byte
}

// service answers like the services of Intel and AMD, from simulated vendors.
type service struct {
	*httptest.Server
	mu      sync.Mutex
	answers map[string]answer
	asked   []string
	before  func(n int, w http.ResponseWriter) bool // true: it has answered request n
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.asked = append(s.asked, r.URL.RequestURI())
	n, before := len(s.asked), s.before
	a, ok := s.answers[r.URL.RequestURI()]
	s.mu.Unlock()
	if before != nil && before(n, w) {
		return
	}
	if !ok {
		http.NotFound(w, r)
		return
	}
	for k, v := range a.header {
		w.Header().Set(k, v)
	}
	if a.status != 0 {
		w.WriteHeader(a.status)
	}
	_, _ = w.Write(a.body)
}

func (s *service) client(t *testing.T) *Client {
	t.Helper()
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return &Client{Mirror: u, Wait: time.Millisecond}
}

func serve(t *testing.T) *service {
	s := &service{answers: map[string]answer{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

// world is a machine of each vendor, with what the vendors' services answer
// about them.
type world struct {
	*service
	verifier   *attestation.Verifier
	tdx, snp   []byte
	machine    *sim.Intel
	collateral *intel.Collateral
}

const (
	tcbPath  = "/tdx/certification/v4/tcb?fmspc=514d00000000"
	qePath   = "/tdx/certification/v4/qe/identity"
	pckPath  = "/sgx/certification/v4/pckcrl?ca=platform&encoding=der"
	rootPath = "/IntelSGXRootCA.der"
	crlPath  = "/vcek/v1/Genoa/crl"
)

var vendorAMD = sync.OnceValues(func() (*sim.AMD, error) { return sim.NewAMD(sim.AMDConfig{Product: amd.Genoa}) })

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{service: serve(t)}
	w.intel(t)
	w.amd(t)
	return w
}

func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func (w *world) intel(t *testing.T) {
	t.Helper()
	p := must[*sim.Intel](t)(sim.NewIntel(rand.NewChaCha8(sha256.Sum256([]byte("vendors"))), sim.IntelOptions{Now: now}))
	w.machine, w.tdx = p, must[[]byte](t)(p.Quote(sim.TD{}))
	w.record(t, sim.Collateral{At: now})
	a := must[*sim.AMD](t)(vendorAMD())
	policy := must[*attestation.Policy](t)(attestation.ParsePolicy([]byte(attestation.PolicyTOML(
		attestation.PolicyOptions{SimulatedRoots: [][32]byte{p.RootFingerprint(), a.Root()}}))))
	w.verifier = must[*attestation.Verifier](t)(attestation.NewVerifier(policy))
}

// record puts Intel's answers on the service.
func (w *world) record(t *testing.T, s sim.Collateral) {
	t.Helper()
	c := must[*intel.Collateral](t)(intel.ParseCollateral(must[[]byte](t)(w.machine.Endorsements(s))))
	w.collateral = c
	signed := func(field, body, sig string) []byte {
		return must[[]byte](t)(json.Marshal(map[string]any{field: json.RawMessage(body), "signature": sig}))
	}
	list := func(s string) []byte { return must[[]byte](t)(hex.DecodeString(s)) }
	w.answers[tcbPath] = answer{header: map[string]string{"TCB-Info-Issuer-Chain": url.QueryEscape(c.TCBInfoIssuerChain)}, body: signed("tcbInfo", c.TCBInfo, c.TCBInfoSignature)}
	w.answers[qePath] = answer{header: map[string]string{"SGX-Enclave-Identity-Issuer-Chain": url.QueryEscape(c.QEIdentityIssuerChain)}, body: signed("enclaveIdentity", c.QEIdentity, c.QEIdentitySignature)}
	w.answers[pckPath] = answer{header: map[string]string{"SGX-PCK-CRL-Issuer-Chain": url.QueryEscape(c.PCKCRLIssuerChain)}, body: list(c.PCKCRL)}
	w.answers[rootPath] = answer{body: list(c.RootCACRL)}
}

// amd puts AMD's answers on the service. The simulated intermediates are not
// built in, so they lie beside the key's certificate.
func (w *world) amd(t *testing.T) {
	t.Helper()
	a := must[*sim.AMD](t)(vendorAMD())
	chip := must[*sim.AMDChip](t)(a.NewChip(sim.AMDChipConfig{ChipID: [64]byte{7}}))
	w.snp = must[[]byte](t)(chip.Report(sim.AMDReport{}))
	w.answers["/vcek/v1/Genoa/07"+strings.Repeat("00", 63)+"?blSPL=10&teeSPL=00&snpSPL=23&ucodeSPL=84"] = answer{body: chip.Leaf.Raw}
	w.answers[crlPath] = answer{body: must[[]byte](t)(a.CRL(now.Add(-time.Hour), now.Add(time.Hour)))}
	w.answers["/vcek/v1/Genoa/cert_chain"] = answer{body: pemOf(a.ASK.Raw, a.ARK.Raw)}
}

func (w *world) fetch(t *testing.T, evidence []byte, have ...endorse.File) (*Fetched, error) {
	t.Helper()
	w.asked = nil
	got, err := w.client(t).Fetch(t.Context(), w.verifier, "", evidence, have, now)
	if (got == nil) == (err == nil) {
		t.Fatalf("%v with error %v", got, err)
	}
	return got, err
}

// TestFetch gets all that a piece of evidence needs, once, and nothing more when
// it is at hand.
func TestFetch(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		evidence        []byte
		files, requests int
	}{"tdx": {w.tdx, 7, 4}, "snp": {w.snp, 3, 3}} {
		got, err := w.fetch(t, c.evidence)
		if err != nil || len(got.Files) != c.files || got.Requests != c.requests || len(w.asked) != c.requests {
			t.Fatalf("%s: %v, %+v, asked %q", name, err, got, w.asked)
		}
		set, err := endorse.Set(got.Files)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.verifier.VerifyEvidence("", c.evidence, set, now); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := endorse.Encode(got.Files); err != nil {
			t.Errorf("%s: names: %v", name, err)
		}
		again, err := w.fetch(t, c.evidence, got.Files...)
		if err != nil || len(again.Files) != 0 || len(w.asked) != 0 {
			t.Errorf("%s, at hand: %v, %+v, asked %q", name, err, again, w.asked)
		}
	}
}

// TestFetchStale gets anew only what is not valid any more.
func TestFetchStale(t *testing.T) {
	w := newWorld(t)
	w.record(t, sim.Collateral{At: now, Edit: func(name string, doc any) {
		if m, ok := doc.(map[string]any); ok && name == "tcb_info" {
			m["nextUpdate"] = now.Add(-time.Minute).Format(time.RFC3339)
		}
	}})
	old, err := w.client(t).Fetch(t.Context(), w.verifier, "", w.tdx, nil, now.Add(-30*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	w.record(t, sim.Collateral{At: now})
	got, err := w.fetch(t, w.tdx, old.Files...)
	if err != nil || strings.Join(w.asked, " ") != tcbPath {
		t.Fatalf("%v, asked %q", err, w.asked)
	}
	if got.Files[0].Name != old.Files[2].Name && got.Files[0].Name != old.Files[0].Name && !contains(old.Files, got.Files[0].Name) {
		t.Errorf("the newer document is called %s", got.Files[0].Name)
	}
}

func contains(files []endorse.File, name string) bool {
	for _, f := range files {
		if f.Name == name {
			return true
		}
	}
	return false
}

// TestFetchWrongAtHand: a certificate of the chip's former firmware speaks
// against the report; it is left out and the right one fetched.
func TestFetchWrongAtHand(t *testing.T) {
	w := newWorld(t)
	a := must[*sim.AMD](t)(vendorAMD())
	former := must[*sim.AMDChip](t)(a.NewChip(sim.AMDChipConfig{ChipID: [64]byte{7}, TCB: amd.TCB{Bootloader: 9, SNP: 22, Microcode: 83}}))
	got, err := w.fetch(t, w.snp, endorse.File{Name: "former.der", Data: former.Leaf.Raw})
	if err != nil || len(got.Files) != 3 {
		t.Fatalf("%v, %+v", err, got)
	}
}

// TestFetchRefused: what does not verify, is missing, too large, of another form
// or not answered is never returned, and the error has the right family.
func TestFetchRefused(t *testing.T) {
	garbled := func(path string) func(*world) {
		return func(w *world) {
			a := w.answers[path]
			a.body = append([]byte(nil), a.body...)
			a.body[len(a.body)/2] ^= 1
			w.answers[path] = a
		}
	}
	status := func(path string, code int) func(*world) {
		return func(w *world) { w.answers[path] = answer{status: code} }
	}
	for _, c := range []struct {
		name   string
		edit   func(*world)
		family fault.Family
		want   string
	}{
		{"TCB info changed", func(w *world) {
			a := w.answers[tcbPath]
			a.body = []byte(strings.Replace(string(a.body), `"UpToDate"`, `"Revoked"`, 1))
			w.answers[tcbPath] = a
		}, fault.FamilyFalse, "TCB info for FMSPC 514d00000000: the signature"},
		{"revoked", func(w *world) { w.record(t, sim.Collateral{At: now, RevokePCK: true}) }, fault.FamilyFalse, "is revoked"},
		{"expired", func(w *world) { w.record(t, sim.Collateral{At: now, Valid: -time.Minute}) }, fault.FamilyUnknown, "expired at"},
		{"list garbled", garbled(pckPath), 0, ""},
		{"not found", status(qePath, 404), fault.FamilyUnknown, "404 Not Found"},
		{"forbidden", status(qePath, 403), fault.FamilyUnknown, "403 Forbidden"},
		{"down", status(rootPath, 503), fault.FamilyUnknown, "503 Service Unavailable"},
		{"redirect", func(w *world) {
			w.answers[rootPath] = answer{status: 302, header: map[string]string{"Location": w.URL + "/elsewhere"}}
			w.answers["/elsewhere"] = answer{body: []byte{0x30}}
		}, fault.FamilyUnknown, "302 Found"},
		{"text", func(w *world) { w.answers[rootPath] = answer{body: []byte("<html>welcome</html>")} }, fault.FamilyUnknown, "of no use"},
		{"empty", func(w *world) { w.answers[rootPath] = answer{} }, fault.FamilyUnknown, "answers nothing"},
		{"too large", func(w *world) { w.answers[rootPath] = answer{body: make([]byte, maxAnswer+1)} }, fault.FamilyUnknown, "more than 4194304 bytes"},
		{"chain too large", func(w *world) {
			a := w.answers[tcbPath]
			a.header = map[string]string{"TCB-Info-Issuer-Chain": strings.Repeat("a", maxChainHeader+1)}
			w.answers[tcbPath] = a
		}, fault.FamilyUnknown, "the limit is 65536"},
		{"no chain", func(w *world) {
			for _, p := range []string{tcbPath, qePath} {
				w.answers[p] = answer{body: w.answers[p].body}
			}
		}, fault.FamilyUnknown, `"Intel SGX TCB Signing" that signs it is missing`},
		{"chain that is none", func(w *world) {
			a := w.answers[tcbPath]
			a.header = map[string]string{"TCB-Info-Issuer-Chain": "hello"}
			w.answers[tcbPath] = a
		}, fault.FamilyUnknown, "no PEM in it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			c.edit(w)
			_, err := w.fetch(t, w.tdx)
			if err == nil || c.want != "" && (fault.FamilyOf(err) != c.family || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("family %d, %v", fault.FamilyOf(err), err)
			}
			if len(w.asked) > 20 {
				t.Errorf("%d requests", len(w.asked))
			}
		})
	}
}

// TestFetchFalse: evidence that is false by itself is refused before anybody is
// asked.
func TestFetchFalse(t *testing.T) {
	w := newWorld(t)
	bad := append([]byte(nil), w.tdx...)
	bad[600] ^= 1
	if _, err := w.fetch(t, bad); fault.FamilyOf(err) != fault.FamilyFalse || len(w.asked) != 0 {
		t.Errorf("%v, asked %q", err, w.asked)
	}
	if _, err := w.fetch(t, []byte("hello")); fault.FamilyOf(err) != fault.FamilyInput || len(w.asked) != 0 {
		t.Errorf("%v, asked %q", err, w.asked)
	}
}

// TestFetchAgain repeats what was refused for the moment, and not for ever.
func TestFetchAgain(t *testing.T) {
	w := newWorld(t)
	w.before = func(n int, h http.ResponseWriter) bool {
		if n%2 == 0 {
			return false
		}
		h.Header().Set("Retry-After", "3600") // longer than the client waits
		http.Error(h, "later", http.StatusTooManyRequests)
		return true
	}
	if got, err := w.fetch(t, w.tdx); err != nil || got.Requests != 8 {
		t.Errorf("%v, %+v", err, got)
	}
	w.before = func(_ int, h http.ResponseWriter) bool { http.Error(h, "never", http.StatusBadGateway); return true }
	if _, err := w.fetch(t, w.tdx); fault.FamilyOf(err) != fault.FamilyUnknown || len(w.asked) != attempts {
		t.Errorf("%v, asked %d times", err, len(w.asked))
	}
}

// TestFetchCancelled ends with its context.
func TestFetchCancelled(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	w.before = func(int, http.ResponseWriter) bool { cancel(); return false }
	if _, err := w.client(t).Fetch(ctx, w.verifier, "", w.tdx, nil, now); fault.FamilyOf(err) != fault.FamilyUnknown {
		t.Errorf("%v", err)
	}
}

// TestFetchBounded: one call makes so many requests and no more.
func TestFetchBounded(t *testing.T) {
	w := newWorld(t)
	c := w.client(t)
	r := &run{c: c, ctx: t.Context(), seen: map[string]bool{}, got: &Fetched{Requests: maxRequests}}
	if _, _, err := r.get(c.Mirror, nil); fault.FamilyOf(err) != fault.FamilyUnknown || !strings.Contains(err.Error(), "more than 128 requests") || len(w.asked) != 0 {
		t.Errorf("%v, asked %q", err, w.asked)
	}
}

// TestAddress: without a mirror only the vendors' hosts are asked, over TLS.
func TestAddress(t *testing.T) {
	mirror := must[*url.URL](t)(url.Parse("http://cache.example:8081/pcs"))
	for _, c := range []struct{ in, want, mirrored string }{
		{"https://kdsintf.amd.com/vcek/v1/Milan/crl?a=b", "https://kdsintf.amd.com/vcek/v1/Milan/crl?a=b", "http://cache.example:8081/pcs/vcek/v1/Milan/crl?a=b"},
		{"http://ocsp.ndis.nvidia.com", "https://ocsp.ndis.nvidia.com", "http://cache.example:8081/pcs"},
		{"ftp://kdsintf.amd.com/vcek/v1/Milan/crl", "", ""},
		{"https://kdsintf.amd.com:444/x", "", ""},
		{"https://user@kdsintf.amd.com/x", "", ""},
		{"https://169.254.169.254/x", "", ""},
		{"https://example.com/x", "", ""},
		{"://", "", ""},
	} {
		for _, x := range []struct {
			c    Client
			want string
		}{{Client{}, c.want}, {Client{Mirror: mirror}, c.mirrored}} {
			u, err := x.c.address(c.in)
			if got := fmt.Sprint(u); x.want != "" && got != x.want || (err != nil) != (x.want == "") {
				t.Errorf("%s: %v, %v; want %q", c.in, u, err, x.want)
			}
		}
	}
}

// TestFileName: one address, one name, fit for a set.
func TestFileName(t *testing.T) {
	long := "https://kdsintf.amd.com/vcek/v1/Genoa/" + strings.Repeat("07", 64) + "?blSPL=10&teeSPL=00&snpSPL=23&ucodeSPL=84"
	for _, a := range []string{long, "https://api.trustedservices.intel.com/tdx/certification/v4/tcb?fmspc=00A067110000", "../../etc/passwd"} {
		n := fileName(a, []byte("{}"))
		if n != fileName(a, []byte("{ }")) || !strings.HasSuffix(n, ".json") || len(n) > maxName+5 {
			t.Errorf("%s: %q", a, n)
		}
		if _, err := endorse.Encode([]endorse.File{{Name: strings.TrimLeft(n, "."), Data: []byte{1}}}); err != nil {
			t.Errorf("%s: %v", a, err)
		}
	}
	if fileName(long, nil) == fileName(strings.Replace(long, "ucodeSPL=84", "ucodeSPL=85", 1), nil) {
		t.Error("two addresses have one name")
	}
}
