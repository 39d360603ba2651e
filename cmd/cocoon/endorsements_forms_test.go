package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/intel"
	"github.com/cocoon-go/cocoon/attestation/nvidia"
	"github.com/cocoon-go/cocoon/internal/endorse"
)

// TestEvidenceForms: --endorsements reads every form in which Intel's documents
// occur, from a file and from a directory with other things in it.
func TestEvidenceForms(t *testing.T) {
	m := newMachine(t)
	c := m.collateral
	list := func(s string) []byte {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	crl := func(s string) []byte { return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: list(s)}) }
	answer := func(field, body, sig string) []byte {
		b, err := json.Marshal(map[string]any{field: json.RawMessage(body), "signature": sig})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	whole, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	tcb, qe := answer("tcbInfo", c.TCBInfo, c.TCBInfoSignature), answer("enclaveIdentity", c.QEIdentity, c.QEIdentitySignature)
	signer := []byte(c.TCBInfoIssuerChain)
	first, _ := pem.Decode(signer)
	set, err := endorse.Encode([]endorse.File{{Name: "a.json", Data: whole}})
	if err != nil {
		t.Fatal(err)
	}
	for name, files := range map[string]map[string][]byte{
		"collateral":        {"collateral.json": whole},
		"service, DER":      {"tcb.json": tcb, "qe.json": qe, "root.der": list(c.RootCACRL), "pck.der": list(c.PCKCRL), "signer.pem": signer},
		"service, PEM":      {"tcb.json": tcb, "qe.json": qe, "all.pem": slices.Concat(crl(c.RootCACRL), []byte("text between\n"), crl(c.PCKCRL), signer)},
		"service, hex":      {"tcb.json": tcb, "qe.json": qe, "root": []byte(c.RootCACRL), "pck": []byte(strings.ToUpper(c.PCKCRL) + "\n"), "signer.der": first.Bytes},
		"as a relay serves": {"set.cbor": set},
	} {
		dir := "docs-" + strings.ReplaceAll(name, " ", "-")
		if err := os.MkdirAll(m.path(dir+"/sub"), 0o755); err != nil {
			t.Fatal(err)
		}
		for file, data := range files {
			m.write(dir+"/sub/"+file, data)
		}
		m.write(dir+"/README.md", []byte("what else lies there"))
		m.evidence(0, "--endorsements", "@"+dir)
		if len(files) == 1 {
			for file := range files {
				m.evidence(0, "--endorsements", "@"+dir+"/sub/"+file)
			}
		}
	}
}

// evidence runs verify evidence on the machine's quote.
func (m *machine) evidence(code int, words ...string) (stdout, stderr string) {
	m.t.Helper()
	return m.run(code, append([]string{"verify", "evidence", "@quote.bin", "--policy", "@policy.toml", "--at", judged.Format(time.RFC3339)}, words...)...)
}

// gpuReport is a file of NVIDIA's tools with a report of zeros, and something
// for its chain.
func gpuReport(size int) []byte {
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte{1}})
	b, _ := json.Marshal([]map[string][]byte{{"evidence": make([]byte, size), "certificate": certificate}})
	return b
}

// TestEndorsementSizes: a document over its limit is named, with the limit.
func TestEndorsementSizes(t *testing.T) {
	m := newMachine(t)
	rim := func(size int) []byte {
		return append([]byte(`<SoftwareIdentity xmlns="http://standards.iso.org/iso/19770/-2/2015/schema.xsd">`), bytes.Repeat([]byte(" "), size)...)
	}
	m.write("rim.swidtag", rim(nvidia.MaxDocument))
	_, errs := m.evidence(1, "--endorsements", "@rim.swidtag")
	if !strings.Contains(errs, "rim.swidtag") || !strings.Contains(errs, "4194304") {
		t.Error(errs)
	}
	m.write("rim.swidtag", rim(1000))
	if _, errs = m.evidence(1, "--endorsements", "@rim.swidtag"); !strings.Contains(errs, "rim.swidtag") || strings.Contains(errs, "4194304") {
		t.Error(errs)
	}
}

// TestEvidenceInput: bad input of every kind has its message and exit code, and
// in JSON the verdict has its keys.
func TestEvidenceInput(t *testing.T) {
	m := newMachine(t)
	quote, err := os.ReadFile(m.path("quote.bin"))
	if err != nil {
		t.Fatal(err)
	}
	edit := func(f func([]byte) []byte) []byte { return f(slices.Clone(quote)) }
	report := make([]byte, attestation.MaxReportSize+1)
	report[0], report[0x34] = 2, 1
	for _, c := range []struct {
		name string
		data []byte
		code int
		want string
	}{
		{"too large a quote", append(slices.Clone(quote), make([]byte, intel.MaxQuoteSize)...), 1, "the limit is 1048576"},
		{"too large a report", report, 1, "the limit is 65536"},
		{"too large a file", make([]byte, attestation.MaxBundleSize+1), 1, "is larger than 4194304 bytes"},
		{"truncated", edit(func(b []byte) []byte { return b[:900] }), 1, "ends inside its signature data"},
		{"unknown version", edit(func(b []byte) []byte { b[0] = 9; return b }), 1, "quote: unknown version 9"},
		{"changed", edit(func(b []byte) []byte { b[600] ^= 1; return b }), 2, "signature does not verify"},
		{"nothing missing but documents", quote, 3, "https://api.trustedservices.intel.com/tdx/certification/v4/tcb?fmspc=514d00000000"},
		{"too large a report of a GPU", gpuReport(nvidia.MaxReport + 1), 1, "report of 65537 bytes, want 1 to 65536"},
		{"the largest report of a GPU", gpuReport(nvidia.MaxReport), 1, "starts with 00000000, want 11e001ff"},
		{"empty", nil, 1, "quote.bin is empty: give a file with evidence"},
		{"torn bundle", []byte("\xa5\x00\x70cocoon/bundle/v1\x01"), 1, "quote.bin: bundle: unexpected EOF"},
		{"text", []byte("hello"), 1, "no evidence of a kind"},
	} {
		m.write("quote.bin", c.data)
		if _, errs := m.evidence(c.code); !strings.Contains(errs, c.want) {
			t.Errorf("%s: %s", c.name, errs)
		}
	}
	m.write("quote.bin", quote)
	m.fetch(0)
	out, _ := m.evidence(0, "--endorsements", "@docs", "--json")
	var v map[string]json.RawMessage
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		t.Fatal(err)
	}
	for _, k := range []string{"kind", "authentic", "accepted", "simulated", "at", "facts", "checks", "refusals", "not_checked"} {
		if len(v[k]) == 0 {
			t.Errorf("no key %s in %s", k, out)
		}
	}
	// Facts are there also when the policy refuses.
	text, err := os.ReadFile(m.path("policy.toml"))
	if err != nil {
		t.Fatal(err)
	}
	m.write("policy.toml", []byte(strings.Replace(string(text), `accept = ["tdx", "snp"]`, `accept = ["snp"]`, 1)))
	out, _ = m.evidence(4, "--endorsements", "@docs", "--json")
	if !strings.Contains(out, `"tcb_status": "UpToDate"`) || !strings.Contains(out, `"accepted": false`) || !strings.Contains(out, `"authentic": true`) {
		t.Error(out)
	}
}
