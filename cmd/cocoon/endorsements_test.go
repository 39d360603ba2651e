package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/intel"
	"github.com/cocoon-go/cocoon/attestation/sim"
)

var judged = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// machine is a simulated machine in a directory of its own: quote.bin, a policy
// that names its root, and a mirror that answers about it.
type machine struct {
	t      *testing.T
	dir    string
	mirror *httptest.Server

	collateral *intel.Collateral
	asked      int
	edit       func(path string, body []byte) []byte // of answers
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	m := &machine{t: t, dir: t.TempDir()}
	p, err := sim.NewIntel(rand.NewChaCha8(sha256.Sum256([]byte("cmd"))), sim.IntelOptions{Now: judged})
	if err != nil {
		t.Fatal(err)
	}
	q, err := p.Quote(sim.TD{})
	if err != nil {
		t.Fatal(err)
	}
	j, err := p.Endorsements(sim.Collateral{At: judged})
	if err != nil {
		t.Fatal(err)
	}
	c, err := intel.ParseCollateral(j)
	if err != nil {
		t.Fatal(err)
	}
	m.collateral = c
	m.mirror = httptest.NewServer(m.answers(c))
	t.Cleanup(m.mirror.Close)
	m.write("quote.bin", q)
	policy := attestation.PolicyTOML(attestation.PolicyOptions{SimulatedRoots: [][32]byte{p.RootFingerprint()}})
	policy = strings.Replace(policy, `measurements = "from registry"`, "unsafe_any_measurement = true", 1)
	m.write("policy.toml", []byte(policy))
	return m
}

// answers is a service that answers Intel's paths.
func (m *machine) answers(c *intel.Collateral) http.Handler {
	list := func(s string) []byte { b, _ := hex.DecodeString(s); return b }
	signed := func(field, body, sig string) []byte {
		b, _ := json.Marshal(map[string]any{field: json.RawMessage(body), "signature": sig})
		return b
	}
	mux := http.NewServeMux()
	for _, a := range []struct {
		path, header, chain string
		body                []byte
	}{
		{"/tdx/certification/v4/tcb", "TCB-Info-Issuer-Chain", c.TCBInfoIssuerChain, signed("tcbInfo", c.TCBInfo, c.TCBInfoSignature)},
		{"/tdx/certification/v4/qe/identity", "SGX-Enclave-Identity-Issuer-Chain", c.QEIdentityIssuerChain, signed("enclaveIdentity", c.QEIdentity, c.QEIdentitySignature)},
		{"/sgx/certification/v4/pckcrl", "SGX-PCK-CRL-Issuer-Chain", c.PCKCRLIssuerChain, list(c.PCKCRL)},
		{"/IntelSGXRootCA.der", "X-Other", "", list(c.RootCACRL)},
	} {
		mux.HandleFunc(a.path, func(w http.ResponseWriter, r *http.Request) {
			m.asked++
			w.Header().Set(a.header, url.QueryEscape(a.chain))
			body := a.body
			if m.edit != nil {
				body = m.edit(r.URL.Path, slices.Clone(body))
			}
			_, _ = w.Write(body)
		})
	}
	return mux
}

func (m *machine) path(name string) string { return filepath.Join(m.dir, name) }

func (m *machine) write(name string, data []byte) {
	m.t.Helper()
	if err := os.WriteFile(m.path(name), data, 0o600); err != nil {
		m.t.Fatal(err)
	}
}

// run runs a command and wants an exit code. Words that start with @ are paths
// in the machine's directory.
func (m *machine) run(code int, words ...string) (stdout, stderr string) {
	m.t.Helper()
	got, stdout, stderr := m.any(words...)
	if got != code {
		m.t.Fatalf("%q: exit code %d, want %d\n%s%s", words, got, code, stdout, stderr)
	}
	return stdout, stderr
}

// any is run for any exit code.
func (m *machine) any(words ...string) (code int, stdout, stderr string) {
	m.t.Helper()
	for i, w := range words {
		if name, ok := strings.CutPrefix(w, "@"); ok {
			words[i] = m.path(name)
		}
	}
	m.t.Setenv("XDG_CONFIG_HOME", m.path("config"))
	var out, errs bytes.Buffer
	code = app().Run(m.t.Context(), words, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

func (m *machine) fetch(code int, words ...string) (stdout, stderr string) {
	m.t.Helper()
	return m.run(code, slices.Concat([]string{"endorsements", "fetch", "@docs", "--evidence", "@quote.bin", "--mirror", m.mirror.URL,
		"--policy", "@policy.toml", "--at", judged.Format(time.RFC3339)}, words)...)
}

// TestEndorsementsFetch: what was fetched verifies the evidence offline, and is
// not fetched again.
func TestEndorsementsFetch(t *testing.T) {
	m := newMachine(t)
	at := judged.Format(time.RFC3339)
	m.run(3, "verify", "evidence", "@quote.bin", "--policy", "@policy.toml", "--at", at)
	out, _ := m.fetch(0)
	if strings.Count(out, "FETCHED  ") != 7 || !strings.Contains(out, "COMPLETE  the evidence verifies with ") {
		t.Errorf("fetched:\n%s", out)
	}
	m.run(0, "verify", "evidence", "@quote.bin", "--policy", "@policy.toml", "--at", at, "--endorsements", "@docs")
	asked := m.asked
	if out, _ = m.fetch(0, "--json"); m.asked != asked || !strings.Contains(out, `"fetched": [],`) {
		t.Errorf("asked again %d times:\n%s", m.asked-asked, out)
	}
}

// TestEndorsementsFetchBundle: what a bundle's evidence needs.
func TestEndorsementsFetchBundle(t *testing.T) {
	m := newMachine(t)
	quote, err := os.ReadFile(m.path("quote.bin"))
	if err != nil {
		t.Fatal(err)
	}
	c := &attestation.Claims{
		Heads: attestation.Heads{Epoch: 1, BlockSeqno: 100, ReceiptKey: [32]byte{1}, LogKey: [32]byte{2}, IdentityKey: [32]byte{3}},
		Body: attestation.Body{Models: []attestation.Model{{Name: "m"}}, Created: judged,
			KeyConfigs: []attestation.KeyConfig{{Config: []byte{1}, NotBefore: judged, NotAfter: judged.Add(time.Hour)}}},
	}
	b, err := attestation.NewBundle(c, attestation.Item{Kind: "tdx", Data: quote}, attestation.Item{Kind: "tpm", Data: []byte{1}})
	if err != nil {
		t.Fatal(err)
	}
	data, err := b.Encode()
	if err != nil {
		t.Fatal(err)
	}
	m.write("bundle.cbor", data)
	if out, _ := m.fetch(0, "--evidence", "@bundle.cbor"); strings.Count(out, "FETCHED  ") != 7 {
		t.Error(out)
	}
}

// TestEndorsementsFetchRefused: what does not verify is not stored.
func TestEndorsementsFetchRefused(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func(path string, body []byte) []byte
		code int
		want string
	}{
		{"changed", func(p string, b []byte) []byte { return bytes.Replace(b, []byte(`"UpToDate"`), []byte(`"Revoked"`), 1) }, 2, "signature"},
		{"text", func(p string, b []byte) []byte { return []byte("welcome") }, 3, "of no use"},
		{"nothing", func(p string, b []byte) []byte { return nil }, 3, "answers nothing"},
	} {
		m := newMachine(t)
		m.edit = c.edit
		if _, errs := m.fetch(c.code); !strings.Contains(errs, c.want) {
			t.Errorf("%s: %s", c.name, errs)
		}
		if _, err := os.Stat(m.path("docs")); err == nil {
			t.Errorf("%s: something was stored", c.name)
		}
	}
	m := newMachine(t)
	m.mirror.Close()
	if _, errs := m.fetch(3); !strings.Contains(errs, "connection refused") {
		t.Errorf("no service: %s", errs)
	}
}

// TestEndorsementsInput: usage, each with its reason.
func TestEndorsementsInput(t *testing.T) {
	m := newMachine(t)
	for _, c := range []struct {
		words string
		want  string
	}{
		{"endorsements fetch", "want one directory"},
		{"endorsements fetch @docs", "--evidence names the file"},
		{"endorsements fetch @docs --evidence @none", "no such file"},
		{"endorsements fetch @docs --evidence @policy.toml", "no evidence of a kind that is known"},
		{"endorsements fetch @docs --evidence @quote.bin --mirror ftp://x", "--mirror: want a URL"},
		{"endorsements fetch @docs --evidence @quote.bin --at today", "--at: want a time"},
		{"endorsements fetch @quote.bin --evidence @quote.bin --policy @policy.toml", "is not a directory"},
		{"endorsements fetch @docs --evidence @quote.bin --policy @none", "no such file"},
		{"endorsements show", "want one directory or file"},
		{"endorsements show @none", "no such file"},
	} {
		if _, errs := m.run(1, strings.Fields(c.words)...); !strings.Contains(errs, c.want) {
			t.Errorf("%s: %s", c.words, errs)
		}
	}
	// Without a policy no simulated root counts, and nobody is asked.
	_, errs := m.run(2, "endorsements", "fetch", "@docs", "--evidence", "@quote.bin", "--mirror", m.mirror.URL)
	if !strings.Contains(errs, "neither Intel's nor a simulated root") || m.asked != 0 {
		t.Errorf("asked %d times: %s", m.asked, errs)
	}
}

// TestEndorsementsShow lists documents with their validity, and other files.
func TestEndorsementsShow(t *testing.T) {
	m := newMachine(t)
	m.fetch(0)
	m.write("docs/README.md", []byte("hello"))
	at := func(d time.Duration) string { return judged.Add(d).Format(time.RFC3339) }
	out, _ := m.run(0, "endorsements", "show", "@docs", "--at", at(0))
	for _, want := range []string{"NOT VERIFIED: ", "VALID  intel  TCB info         TDX, FMSPC 514d00000000, evaluation 18", "VALID  intel  revocation list  Intel SGX Root CA", "OTHER  README.md"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if out, _ := m.run(0, "endorsements", "show", "@docs", "--at", at(31*24*time.Hour)); strings.Count(out, "EXPIRED") != 4 {
		t.Errorf("a month later:\n%s", out)
	}
	if out, _ := m.run(0, "endorsements", "show", "@docs", "--at", at(-2*time.Hour)); strings.Count(out, "NOT YET") != 4 {
		t.Errorf("before:\n%s", out)
	}
	out, _ = m.run(0, "endorsements", "show", "@docs", "--at", at(0), "--json")
	var got struct {
		Trusted   bool
		Documents []struct {
			File, Vendor, Kind, Subject string
			NotAfter                    time.Time `json:"not_after"`
			Valid                       bool
		}
		Other []string `json:"other_files"`
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil || len(got.Documents) != 10 || len(got.Other) != 1 || got.Trusted || !got.Documents[0].Valid || got.Documents[0].NotAfter.IsZero() {
		t.Errorf("%v, %+v", err, got)
	}
	if err := os.Mkdir(m.path("empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	m.run(3, "endorsements", "show", "@empty")
}
