package attestation_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/vectortest"
)

func filled(b byte) (out [32]byte) {
	for i := range out {
		out[i] = b
	}
	return out
}

// exampleClaims are those of docs/spec/claims.md.
func exampleClaims() *attestation.Claims {
	start := time.Unix(1795572000, 0).UTC()
	return &attestation.Claims{
		Heads: attestation.Heads{ChainID: -3, Node: attestation.Address{Hash: filled(0x11)}, Epoch: 3, BlockSeqno: 48000100,
			BlockRoot: filled(0x22), ReceiptKey: filled(0x33), LogKey: filled(0x44), IdentityKey: filled(0x55)},
		Body: attestation.Body{
			KeyConfigs:    []attestation.KeyConfig{{Config: []byte{1, 2, 3, 4}, NotBefore: start, NotAfter: start.Add(24 * time.Hour)}},
			Configuration: filled(0x66), Models: []attestation.Model{{Name: "tinylm", Digest: filled(0x77)}},
			SelfTest: attestation.SelfTest{Passed: true, Answers: filled(0x88)}, Software: "1.0.0", Created: start, Engine: "tinylm/1",
		},
	}
}

// exampleBundle is that of docs/spec/bundle.md. Its evidence is a placeholder of
// four bytes: the format does not look into evidence.
func exampleBundle(t testing.TB, c *attestation.Claims) *attestation.Bundle {
	t.Helper()
	b, err := attestation.NewBundle(c, attestation.Item{Kind: attestation.KindTDX, Data: []byte{0xde, 0xad, 0xbe, 0xef}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// bundleVector is one file of testdata/vectors; docs/spec/bundle.md describes the
// form.
type bundleVector struct {
	name, comment, expect, reason string
	bundle                        []byte
	digest                        string // claims digest of an accepted one
}

func (v *bundleVector) text() []byte {
	return fmt.Appendf(nil, "cocoon bundle vector v1\ncomment: %s\nexpect: %s\nreason: %s\ndigest: %s\nbundle: %x\n", v.comment, v.expect, v.reason, v.digest, v.bundle)
}

func bundleVectors(t *testing.T) []bundleVector {
	enc := func(b *attestation.Bundle) []byte {
		t.Helper()
		out, err := b.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	plain := exampleBundle(t, exampleClaims())
	good := enc(plain)
	digest := fmt.Sprintf("%x", plain.Digest())
	full := exampleBundle(t, exampleClaims())
	full.Evidence = append(full.Evidence, attestation.Item{Kind: attestation.KindNVIDIA, Data: []byte{1}})
	full.EventLog = []byte{2}
	full.Attachments = []attestation.Item{{Kind: attestation.AttachEndorsements, Data: []byte("{}")}, {Kind: "live/tdx", Data: []byte{3}}}
	gpus := exampleClaims()
	gpus.Body.GPUEvidence = [][32]byte{filled(0x99), filled(0xaa)}
	gpuBundle := exampleBundle(t, gpus)
	edit := func(f func([]byte) []byte) []byte { return f(bytes.Clone(good)) }
	replace := func(from, to string) []byte {
		out := bytes.Replace(good, []byte(from), []byte(to), 1)
		if bytes.Equal(out, good) {
			t.Fatalf("no %q in the bundle", from)
		}
		return out
	}
	return []bundleVector{
		{"bundle-example", "the example of docs/spec/bundle.md", "ok", "", good, digest},
		{"bundle-full", "two pieces of evidence, event log, attachments", "ok", "", enc(full), digest},
		{"bundle-gpus", "claims that name the evidence of two GPUs", "ok", "", enc(gpuBundle), fmt.Sprintf("%x", gpuBundle.Digest())},
		{"bundle-body-bit", "one bit of the body flipped", "false", "the body is not the one that the heads name", replace("tinylm/1", "tinylm/0"), ""},
		{"bundle-tag", "unknown tag of the first head", "input", "unknown tags", replace("CCA1", "CCA2"), ""},
		{"bundle-tag-keys", "unknown tag of the second head", "input", "unknown tags", replace("CCK1", "CCK2"), ""},
		{"bundle-epoch", "epoch 0", "input", "epoch 0", replace("\x00\x00\x00\x03\x02\xdc\x6c\x64", "\x00\x00\x00\x00\x02\xdc\x6c\x64"), ""},
		{"bundle-block", "a block that is no multiple of 100", "input", "not a positive multiple of 100", replace("\x02\xdc\x6c\x64", "\x02\xdc\x6c\x65"), ""},
		{"bundle-one-key", "receipt key and log key are one", "input", "one key is used for two purposes", replace(strings.Repeat("\x44", 32), strings.Repeat("\x33", 32)), ""},
		{"bundle-version", "unknown version", "input", "type", replace("cocoon/bundle/v1", "cocoon/bundle/v2"), ""},
		{"bundle-no-evidence", "no evidence", "input", "0 pieces of evidence", edit(func(b []byte) []byte {
			return append(b[:bytes.LastIndex(b, []byte{0x03, 0x81})], 0x03, 0x80)
		}), ""},
		{"bundle-long-integer", "map length in two bytes", "input", "deterministic", append([]byte{0xb8, 4}, good[1:]...), ""},
		{"bundle-unknown-key", "an unknown key", "input", "unknown field", edit(func(b []byte) []byte { b[0]++; return append(b, 0x09, 0x00) }), ""},
		{"bundle-trailing-byte", "a byte after the end", "input", "extraneous data", append(bytes.Clone(good), 0), ""},
		{"bundle-truncated", "last byte missing", "input", "unexpected EOF", good[:len(good)-1], ""},
	}
}

// TestBundleVectors: the vectors are what the generator writes, and end as they
// say.
func TestBundleVectors(t *testing.T) {
	files := map[string][]byte{}
	for _, v := range bundleVectors(t) {
		files[v.name+".txt"] = v.text()
	}
	vectortest.Generated(t, "bundle-*.txt", files)
	for name, text := range files {
		t.Run(name, func(t *testing.T) {
			v := vectortest.Lines(t, text, "cocoon bundle vector v1", "comment", "expect", "reason", "digest", "bundle")
			b, err := attestation.ParseBundle(vectortest.Hex(t, v["bundle"]))
			vectortest.Ends(t, err, v["expect"], v["reason"])
			if err == nil && fmt.Sprintf("%x", b.Digest()) != v["digest"] {
				t.Errorf("digest %x, want %s", b.Digest(), v["digest"])
			}
		})
	}
}

// page reads a page of the specification, with and without its white space.
func page(t *testing.T, name string) (text, flat string) {
	t.Helper()
	b, err := os.ReadFile("../docs/spec/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b), strings.Join(strings.Fields(string(b)), "")
}

func has(t *testing.T, name, text string, want map[string]string) {
	t.Helper()
	for what, s := range want {
		if !strings.Contains(text, s) {
			t.Errorf("docs/spec/%s lacks %s: %s", name, what, s)
		}
	}
}

// TestSpecClaims: the bytes in the specification are those of the code.
func TestSpecClaims(t *testing.T) {
	_, flat := page(t, "claims.md")
	c := exampleClaims()
	heads, body, err := c.Encode()
	if err != nil {
		t.Fatal(err)
	}
	nonce, err := c.GPUNonce()
	if err != nil {
		t.Fatal(err)
	}
	live := filled(0xee)
	rtmr, event := attestation.ConfigurationRTMR3(c.Body.Configuration), attestation.ConfigurationEvent(c.Body.Configuration)
	has(t, "claims.md", flat, map[string]string{
		"the first head": hex.EncodeToString(heads[:attestation.ClaimsHeadSize]), "the second head": hex.EncodeToString(heads[attestation.ClaimsHeadSize:]),
		"the body": hex.EncodeToString(body), "the digest": fmt.Sprintf("%x", c.Digest()), "the model root": fmt.Sprintf("%x", c.Body.ModelRoot()),
		"the report data": fmt.Sprintf("%x", attestation.ReportData(c.Digest(), nil)), "the report data with a nonce": fmt.Sprintf("%x", attestation.ReportData(c.Digest(), &live)),
		"the nonce of the GPUs": fmt.Sprintf("%x", nonce), "the event": hex.EncodeToString(event[:]), "RTMR3": hex.EncodeToString(rtmr[:]),
		"the register of a TPM":    fmt.Sprintf("PCR15=%x", attestation.ConfigurationPCRValue(c.Body.Configuration)),
		"a measurement of a TD":    fmt.Sprintf("%x", attestation.MeasurementTDX([48]byte{1}, [48]byte{2}, [48]byte{3}, [48]byte{4})),
		"a measurement of a guest": fmt.Sprintf("%x", attestation.MeasurementSNP([48]byte{1})),
		"the id of a TDX machine":  fmt.Sprintf("%x", attestation.PlatformID("tdx", bytes.Repeat([]byte{7}, 16))),
		"the id of an SNP machine": fmt.Sprintf("%x", attestation.PlatformID("snp", bytes.Repeat([]byte{7}, 64))),
	})
}

func TestSpecBundle(t *testing.T) {
	text, flat := page(t, "bundle.md")
	b := exampleBundle(t, exampleClaims())
	enc, err := b.Encode()
	if err != nil {
		t.Fatal(err)
	}
	has(t, "bundle.md", flat, map[string]string{"the bundle": hex.EncodeToString(enc), "the digest": fmt.Sprintf("%x", b.Digest())})
	for _, v := range bundleVectors(t) {
		has(t, "bundle.md", text, map[string]string{"a vector": "`" + v.name + "`"})
	}
}

// TestSpecExitCodes: the codes in the specification are those of the code.
func TestSpecExitCodes(t *testing.T) {
	text, _ := page(t, "exit-codes.md")
	for code, err := range []error{nil, attestation.BadInput("x"), attestation.False("x"), attestation.Unknown("x"), attestation.Refused("x"), attestation.ChainDisagrees("x")} {
		if got := attestation.ExitCode(err); got != code {
			t.Errorf("%v: exit code %d, want %d", err, got, code)
		}
		if !strings.Contains(text, fmt.Sprintf("\n| %d | ", code)) {
			t.Errorf("docs/spec/exit-codes.md lacks code %d", code)
		}
	}
}

// block compares the first fenced block of a kind in a page with what the code
// writes, or with -update rewrites it.
func block(t *testing.T, name, kind, want string) {
	t.Helper()
	path := "../docs/spec/" + name
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), "\n```"+kind+"\n")
	got, after, ok2 := strings.Cut("\n"+rest, "\n```\n")
	if !ok || !ok2 {
		t.Fatalf("docs/spec/%s has no block of %s", name, kind)
	}
	if *vectortest.Update {
		if err := os.WriteFile(path, []byte(before+"\n```"+kind+"\n"+strings.TrimSuffix(want, "\n")+"\n```\n"+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if strings.TrimPrefix(got, "\n") != strings.TrimSuffix(want, "\n") {
		t.Errorf("docs/spec/%s: the example is not what the code writes: go test ./attestation -run Spec -update", name)
	}
}

// TestSpecPolicy: the example is the default policy, and every key is described.
func TestSpecPolicy(t *testing.T) {
	block(t, "policy.md", "toml", attestation.DefaultPolicyTOML())
}

// TestSpecVerdict: the example is what the code writes, and every key of facts
// and every rule is described.
func TestSpecVerdict(t *testing.T) {
	w := newWorld(t)
	v, err := w.verify()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v.Verdict()); err != nil {
		t.Fatal(err)
	}
	block(t, "verdict.md", "json", b.String())
	text, _ := page(t, "verdict.md")
	s := newSNPWorld(t)
	snp, err := s.verify()
	if err != nil {
		t.Fatal(err)
	}
	described := map[string]string{}
	for _, x := range []*attestation.Verdict{v.Verdict(), snp.Verdict()} {
		for _, k := range strings.Fields(keys(t, x) + " " + keys(t, x.Facts) + " " + keys(t, x.Checks[0])) {
			described["key "+k] = "`" + k + "`"
		}
	}
	for _, x := range []*world{w, s} {
		for _, r := range x.verifier().Policy().Explain() {
			if r.Rule != "price_ceiling" {
				described["rule "+r.Rule] = "`" + r.Rule + "`"
			}
		}
	}
	has(t, "verdict.md", text, described)
}
