package attestation_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/fault"
)

func input(t *testing.T, name string, err error, want string) {
	t.Helper()
	if fault.FamilyOf(err) != fault.FamilyInput || err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%s: family %d, %v; want bad input, %q", name, fault.FamilyOf(err), err, want)
	}
}

func TestHeads(t *testing.T) {
	w := newWorld(t)
	heads, body, err := w.claims.Encode()
	if err != nil {
		t.Fatal(err)
	}
	h, err := attestation.ParseHeads(heads)
	if err != nil || *h != w.claims.Heads || !bytes.Equal(h.AppendTo(nil), heads) {
		t.Fatalf("round trip: %v", err)
	}
	if len(heads) != 216 || h.Digest() != sha256.Sum256(heads) || h.BodyDigest != sha256.Sum256(body) {
		t.Error("length or digest")
	}
	put := func(at int, b ...byte) []byte {
		out := slices.Clone(heads)
		copy(out[at:], b)
		return out
	}
	zero := make([]byte, 32)
	for _, c := range []struct {
		name string
		b    []byte
		want string
	}{
		{"short", heads[:215], "215 bytes"}, {"long", append(slices.Clone(heads), 0), "217 bytes"},
		{"tag", put(0, 'X'), "unknown tags"}, {"second tag", put(116, 'X'), "unknown tags"},
		{"epoch 0", put(44, 0, 0, 0, 0), "epoch 0"},
		{"block 0", put(48, 0, 0, 0, 0), "multiple of 100"}, {"block 101", put(48, 0, 0, 0, 101), "multiple of 100"},
		{"no receipt key", put(120, zero...), "all zero"}, {"no log key", put(152, zero...), "all zero"}, {"no identity key", put(184, zero...), "all zero"},
		{"receipt key as log key", put(120, heads[152:184]...), "two purposes"},
		{"log key as identity key", put(152, heads[184:216]...), "two purposes"},
		{"receipt key as identity key", put(120, heads[184:216]...), "two purposes"},
	} {
		got, err := attestation.ParseHeads(c.b)
		input(t, c.name, err, c.want)
		if got != nil {
			t.Errorf("%s: heads with an error", c.name)
		}
	}
}

func TestClaimsBody(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func(*attestation.Body)
		want string
	}{
		{"no key", func(b *attestation.Body) { b.KeyConfigs = nil }, "0 key configurations"},
		{"257 keys", func(b *attestation.Body) { b.KeyConfigs = slices.Repeat(b.KeyConfigs[:1], 257) }, "257 key configurations"},
		{"empty key", func(b *attestation.Body) { b.KeyConfigs[0].Config = nil }, "of 0 bytes"},
		{"long key", func(b *attestation.Body) { b.KeyConfigs[0].Config = make([]byte, 4097) }, "of 4097 bytes"},
		{"key that ends before it starts", func(b *attestation.Body) { b.KeyConfigs[0].NotAfter = b.KeyConfigs[0].NotBefore }, "never valid"},
		{"key from before 1970", func(b *attestation.Body) { b.KeyConfigs[0].NotBefore = time.Unix(-1, 0) }, "never valid"},
		{"no model", func(b *attestation.Body) { b.Models = nil }, "0 models"},
		{"257 models", func(b *attestation.Body) { b.Models = slices.Repeat(b.Models[:1], 257) }, "257 models"},
		{"model without name", func(b *attestation.Body) { b.Models[0].Name = "" }, "model name of 0 bytes"},
		{"model with a long name", func(b *attestation.Body) { b.Models[0].Name = strings.Repeat("a", 257) }, "model name of 257 bytes"},
		{"models out of order", func(b *attestation.Body) { slices.Reverse(b.Models) }, "out of order"},
		{"model twice", func(b *attestation.Body) { b.Models[1].Name = b.Models[0].Name }, "there twice"},
		{"65 GPUs", func(b *attestation.Body) { b.GPUEvidence = make([][32]byte, 65) }, "65 GPUs"},
		{"GPU twice", func(b *attestation.Body) { b.GPUEvidence = [][32]byte{{1}, {1}} }, "there twice"},
		{"long software", func(b *attestation.Body) { b.Software = strings.Repeat("a", 257) }, "longer than"},
		{"long engine", func(b *attestation.Body) { b.Engine = strings.Repeat("a", 257) }, "longer than"},
		{"before 1970", func(b *attestation.Body) { b.Created = time.Unix(-1, 0) }, "before 1970"},
		{"too large", func(b *attestation.Body) {
			for i := range b.KeyConfigs {
				b.KeyConfigs[i].Config = make([]byte, 4096)
			}
			b.KeyConfigs = slices.Repeat(b.KeyConfigs[:1], 100)
		}, "the limit is 262144"},
	} {
		w := newWorld(t)
		c.edit(&w.claims.Body)
		_, err := attestation.EncodeBody(&w.claims.Body)
		input(t, c.name, err, c.want)
		if _, _, err := w.claims.Encode(); err == nil {
			t.Errorf("%s: claims are encoded", c.name)
		}
	}
	w := newWorld(t)
	w.claims.Body.GPUEvidence = [][32]byte{{1}, {2}}
	heads, body, err := w.claims.Encode()
	if err != nil {
		t.Fatal(err)
	}
	c, err := attestation.ParseClaims(heads, body)
	if err != nil || c.Body.Models[1] != w.claims.Body.Models[1] || c.Body.GPUEvidence[1] != [32]byte{2} || !c.Body.Created.Equal(w.claims.Body.Created) ||
		string(c.Body.KeyConfigs[1].Config) != "second" || !c.Body.SelfTest.Passed || c.Body.Engine != "tinylm/1" || c.Body.Software != "test" {
		t.Fatalf("round trip: %+v, %v", c, err)
	}
	// The GPUs' nonce does not depend on their evidence, and on all else.
	nonce, err := c.GPUNonce()
	if err != nil {
		t.Fatal(err)
	}
	c.Body.GPUEvidence = nil
	if n, _ := c.GPUNonce(); n != nonce {
		t.Error("the nonce depends on the evidence that it is for")
	}
	c.Body.Engine = "x"
	if n, _ := c.GPUNonce(); n == nonce {
		t.Error("the nonce does not depend on the claims")
	}
}

// TestClaimsEncoding changes bytes of the encoding itself. The heads are made
// to name the changed body, so that only the decoder can refuse it.
func TestClaimsEncoding(t *testing.T) {
	w := newWorld(t)
	_, body, err := w.claims.Encode()
	if err != nil {
		t.Fatal(err)
	}
	parse := func(b []byte) error {
		h := w.claims.Heads
		h.BodyDigest = sha256.Sum256(b)
		_, err := attestation.ParseClaims(h.AppendTo(nil), b)
		return err
	}
	if err := parse(body); err != nil {
		t.Fatal(err)
	}
	replace := func(from, to string) []byte {
		if !strings.Contains(string(body), from) {
			t.Fatalf("no %q in the body", from)
		}
		return []byte(strings.Replace(string(body), from, to, 1))
	}
	root := w.claims.Body.ModelRoot()
	for _, c := range []struct {
		name string
		b    []byte
		want string
	}{
		{"empty", nil, "claims body"},
		{"trailing byte", append(slices.Clone(body), 0), "extraneous"},
		{"truncated", body[:len(body)-1], "EOF"},
		{"indefinite map", append(append([]byte{0xbf}, body[1:]...), 0xff), "indefinite"},
		{"long form of a length", append([]byte{0xb8, 0x0a}, body[1:]...), "deterministic"},
		{"unknown key", append(append([]byte{0xab}, body[1:]...), 0x0a, 0x01), "unknown field"},
		{"key twice", append(append([]byte{0xab}, body[1:]...), 0x09, 0x61, 'x'), "duplicate"},
		{"missing key", append([]byte{0xa9}, body[1:len(body)-len("\x09\x68tinylm/1")]...), "deterministic"},
		{"tag", append([]byte{0xc1}, body...), "tag"},
		{"type", replace("cocoon/claims/v1", "cocoon/claims/v2"), `type "cocoon/claims/v2"`},
		{"model root", replace(string(root[:]), strings.Repeat("r", 32)), "model root"},
		{"short digest", replace("\x02\x58\x20", "\x02\x58\x1f"), "claims body"},
		{"text that is no UTF-8", replace("tinylm/1", "tinylm/\xff"), "UTF-8"},
		{"array", []byte{0x80}, "claims body"},
		{"too large", make([]byte, attestation.MaxBodySize+1), "the limit is"},
	} {
		input(t, c.name, parse(c.b), c.want)
	}
	h := w.claims.Heads
	h.BodyDigest[0] ^= 1
	if _, err := attestation.ParseClaims(h.AppendTo(nil), body); fault.FamilyOf(err) != fault.FamilyFalse {
		t.Errorf("another body: %v", err)
	}
}

func TestBundleLimits(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func(*attestation.Bundle)
		want string
	}{
		{"no evidence", func(b *attestation.Bundle) { b.Evidence = nil }, "0 pieces of evidence"},
		{"129 pieces", func(b *attestation.Bundle) { b.Evidence = slices.Repeat(b.Evidence, 129) }, "129 pieces of evidence"},
		{"129 attachments", func(b *attestation.Bundle) {
			b.Attachments = slices.Repeat([]attestation.Item{{Kind: "x", Data: []byte{1}}}, 129)
		}, "129 attachments"},
		{"long event log", func(b *attestation.Bundle) { b.EventLog = make([]byte, attestation.MaxEventLogSize+1) }, "event log of"},
		{"evidence without kind", func(b *attestation.Bundle) { b.Evidence[0].Kind = "" }, `item of kind ""`},
		{"evidence with a long kind", func(b *attestation.Bundle) { b.Evidence[0].Kind = strings.Repeat("k", 65) }, "item of kind"},
		{"empty evidence", func(b *attestation.Bundle) { b.Evidence[0].Data = nil }, "with 0 bytes"},
		{"empty attachment", func(b *attestation.Bundle) { b.Attachments = []attestation.Item{{Kind: "x"}} }, "with 0 bytes"},
		{"too large", func(b *attestation.Bundle) {
			b.Attachments = []attestation.Item{{Kind: "x", Data: make([]byte, attestation.MaxBundleSize)}}
		}, "the limit is"},
		{"heads", func(b *attestation.Bundle) { b.Heads = b.Heads[1:] }, "215 bytes"},
	} {
		b := newWorld(t).bundle()
		c.edit(b)
		_, err := b.Encode()
		input(t, c.name, err, c.want)
	}
	b := newWorld(t).bundle()
	b.EventLog, b.Attachments = []byte{1}, []attestation.Item{{Kind: "x", Data: []byte{1}}}
	enc, err := b.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := attestation.ParseBundle(enc); err != nil || got.Attachments[0].Kind != "x" || len(got.EventLog) != 1 {
		t.Errorf("round trip: %v", err)
	}
	for _, c := range []struct {
		name string
		b    []byte
		want string
	}{
		{"empty", nil, "bundle"}, {"trailing byte", append(slices.Clone(enc), 0), "extraneous"},
		{"type", []byte(strings.Replace(string(enc), "cocoon/bundle/v1", "cocoon/bundle/v2", 1)), `type "cocoon/bundle/v2"`},
		{"too large", make([]byte, attestation.MaxBundleSize+1), "the limit is"},
		{"empty event log", append(append([]byte{enc[0]}, enc[1:]...)[:len(enc)-len("\x04\x41\x01\x05\x81\xa2\x01\x61x\x02\x41\x01")], []byte("\x04\x40\x05\x81\xa2\x01\x61x\x02\x41\x01")...), "deterministic"},
	} {
		_, err := attestation.ParseBundle(c.b)
		input(t, c.name, err, c.want)
	}
}

func TestAddress(t *testing.T) {
	text := "-1:" + strings.Repeat("0f", 32)
	a, err := attestation.ParseAddress(text)
	if err != nil || a.String() != text || a.Workchain != -1 || a.IsZero() {
		t.Fatalf("%v, %v", a, err)
	}
	if b, err := attestation.DecodeAddress(a.AppendTo(nil)); err != nil || b != a {
		t.Errorf("round trip: %v, %v", b, err)
	}
	m, err := a.MarshalText()
	var u attestation.Address
	if err != nil || u.UnmarshalText(m) != nil || u != a {
		t.Errorf("text round trip: %v", err)
	}
	for _, s := range []string{"", ":", "0", "0:" + strings.Repeat("0f", 31), "00:" + strings.Repeat("0f", 32), "+0:" + strings.Repeat("0f", 32),
		"2147483648:" + strings.Repeat("0f", 32), "0:" + strings.Repeat("0g", 32), "x:" + strings.Repeat("0f", 32)} {
		if _, err := attestation.ParseAddress(s); fault.FamilyOf(err) != fault.FamilyInput {
			t.Errorf("%q: %v", s, err)
		}
		if u.UnmarshalText([]byte(s)) == nil {
			t.Errorf("%q is read", s)
		}
	}
	if _, err := attestation.DecodeAddress(make([]byte, 35)); err == nil {
		t.Error("35 bytes are an address")
	}
}

// TestEndorsementForms: every form that is known is read, everything else is
// bad input that names the file.
func TestEndorsementForms(t *testing.T) {
	w := newSNPWorld(t)
	w.bundle()
	j, err := w.platform.Endorsements(w.collateral)
	if err != nil {
		t.Fatal(err)
	}
	e := attestation.NewEndorsements()
	for i := range 2 { // what is there already is not counted again
		if err := e.AddFile("collateral.json", j); err != nil || e.Len() != 7 {
			t.Errorf("collateral, %d: %d documents, %v", i, e.Len(), err)
		}
	}
	var c map[string]string
	if err := json.Unmarshal(j, &c); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{c["pck_crl"], strings.ToUpper(c["root_ca_crl"]) + "\n"} { // as caching services answer
		if err := e.AddFile("list.hex", []byte(text)); err != nil || e.Len() != 7 {
			t.Errorf("list in hexadecimal: %d documents, %v", e.Len(), err)
		}
	}
	if err := e.AddFile("root.pem", w.platform.PCKChain()); err != nil || e.Len() != 8 {
		t.Errorf("PCK chain: %d documents, %v", e.Len(), err)
	}
	for _, d := range w.minted.Documents() {
		if err := e.AddFile("amd.der", d); err != nil {
			t.Error(err)
		}
	}
	if e.Len() != 11 {
		t.Errorf("%d documents", e.Len())
	}
	for name, data := range map[string]string{
		"empty": "", "text": "hello", "JSON": `{"a":1}`, "broken JSON": `{"tcb_info":`, "an array": "[]", "DER": "\x30\x03\x02\x01\x01",
		"key": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "no PEM block": "-----BEGIN nothing",
		"broken hexadecimal": "3082000a00",
		"empty collateral":   `{"tcb_info":"","pck_crl":""}`, "bad signature": `{"tcbInfo":{},"signature":"zz"}`,
		"large": strings.Repeat("a", attestation.MaxEndorsementSize+1),
	} {
		err := attestation.NewEndorsements().AddFile("the file", []byte(data))
		input(t, name, err, "endorsement the file")
	}
}

func TestDigests(t *testing.T) {
	a, b := [48]byte{1}, [48]byte{2}
	if attestation.MeasurementTDX(a, b, a, b) == attestation.MeasurementTDX(b, a, a, b) || attestation.MeasurementSNP(a) == attestation.MeasurementSNP(b) {
		t.Error("measurements are not told apart")
	}
	if attestation.PlatformID("tdx", []byte{1}) == attestation.PlatformID("snp", []byte{1}) {
		t.Error("platforms of different kinds are not told apart")
	}
	if attestation.ConfigurationRTMR3([32]byte{1}) == attestation.ConfigurationRTMR3([32]byte{2}) {
		t.Error("configurations are not told apart")
	}
}
