package nvidia_test

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/nvidia"
	"github.com/cocoon-go/cocoon/attestation/sim"
)

// nrasFixture is a simulated service with the options that accept it.
type nrasFixture struct {
	*sim.NRAS
	o nvidia.Options
}

func newNRAS(t testing.TB, cfg sim.NVIDIAConfig) nrasFixture {
	t.Helper()
	n, err := sim.NewNVIDIA(nil, cfg)
	if err != nil {
		t.Fatal(err)
	}
	s, err := n.NewNRAS()
	if err != nil {
		t.Fatal(err)
	}
	return nrasFixture{s, nvidia.Options{SimulatedRoots: [][32]byte{s.Root()}}}
}

func (f nrasFixture) keys(t testing.TB, edit func(sim.JWK)) *nvidia.NRASKeys {
	t.Helper()
	set, err := f.KeySet(edit)
	if err != nil {
		t.Fatal(err)
	}
	k, err := nvidia.ParseNRASKeys(set)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

var tokenNonce = [32]byte{1, 2, 3}

func (f nrasFixture) tokens(t testing.TB, x sim.NRASTokens) []byte {
	t.Helper()
	if x.IssuedAt.IsZero() {
		x.IssuedAt = at.Add(-time.Minute)
	}
	if x.Nonce == [32]byte{} {
		x.Nonce = tokenNonce
	}
	b, err := f.Tokens(x)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestNRAS(t *testing.T) {
	f := newNRAS(t, sim.NVIDIAConfig{})
	got, err := nvidia.VerifyNRAS(f.tokens(t, sim.NRASTokens{Devices: []string{"GPU-0", "GPU-1", "SWITCH-0"}}), f.keys(t, nil), tokenNonce, f.o, at)
	if err != nil {
		t.Fatal(err)
	}
	want := "[{GPU-0 false GH100 A01 GSP BROM 1000 590.48.01 96.00.5E.00.01 true true}" +
		" {GPU-1 false GH100 A01 GSP BROM 1001 590.48.01 96.00.5E.00.01 true true}" +
		" {SWITCH-0 true LS_10 A01 FSP BROM 1002  96.10.55.00.01 true true}]"
	if s := fmt.Sprint(got.Devices); s != want {
		t.Errorf("devices %s, want %s", s, want)
	}
	issued := at.Add(-time.Minute)
	if !got.Simulated || got.Authority != f.Root() || got.Nonce != tokenNonce || got.Version != "2.0" || got.At != at ||
		!got.NotBefore.Equal(issued) || !got.NotAfter.Equal(issued.Add(time.Hour-1)) {
		t.Errorf("facts %+v", got)
	}
	// A token need not say since when it is valid.
	if _, err := nvidia.VerifyNRAS(f.tokens(t, sim.NRASTokens{EditClaims: func(_ string, c map[string]any) { delete(c, "iat"); delete(c, "nbf") }}), f.keys(t, nil), tokenNonce, f.o, at); err != nil {
		t.Error(err)
	}
	if _, err := nvidia.VerifyNRAS(f.tokens(t, sim.NRASTokens{}), f.keys(t, nil), tokenNonce, nvidia.Options{}, at); err == nil {
		t.Error("a simulated service was accepted that nobody named")
	} else {
		wantErr(t, err, fault.FamilyFalse, nvidia.StepRoot, "neither an authority of NVIDIA's service")
	}
}

// TestNRASRefusals changes one thing at a time.
func TestNRASRefusals(t *testing.T) {
	f := newNRAS(t, sim.NVIDIAConfig{})
	header := func(name, k string, v any) sim.NRASTokens {
		return sim.NRASTokens{EditHeader: func(n string, h map[string]any) {
			if n == name {
				h[k] = v
			}
		}}
	}
	claim := func(name, k string, v any) sim.NRASTokens {
		return sim.NRASTokens{EditClaims: func(n string, c map[string]any) {
			if n == name {
				c[k] = v
			}
		}}
	}
	without := func(name, k string) sim.NRASTokens {
		return sim.NRASTokens{EditClaims: func(n string, c map[string]any) {
			if n == name {
				delete(c, k)
			}
		}}
	}
	set := func(e func(overall string, d map[string]string) any) sim.NRASTokens {
		return sim.NRASTokens{EditSet: e}
	}
	const gpu = "x-nvidia-gpu-"
	for _, c := range []struct {
		name   string
		tokens sim.NRASTokens
		family fault.Family
		part   string
	}{
		{"alg none", header("", "alg", "none"), fault.FamilyInput, `algorithm "none", want ES384`},
		{"alg HS384", header("", "alg", "HS384"), fault.FamilyInput, "want ES384"},
		{"alg ES256", header("GPU-0", "alg", "ES256"), fault.FamilyInput, "want ES384"},
		{"alg es384", header("", "alg", "es384"), fault.FamilyInput, "want ES384"},
		{"own key", header("", "jwk", map[string]string{"kty": "EC"}), fault.FamilyInput, `"jwk" is not allowed`},
		{"critical", header("", "crit", []string{"exp"}), fault.FamilyInput, `"crit" is not allowed`},
		{"type", header("", "typ", "JOSE"), fault.FamilyInput, "type is not JWT"},
		{"no key id", header("", "kid", ""), fault.FamilyInput, "no key id"},
		{"other key id", header("GPU-0", "kid", "other"), fault.FamilyUnknown, `key "other" of the remote attestation service: missing; get it from https://nras.attestation.nvidia.com/.well-known/jwks.json`},

		{"issuer", claim("", "iss", "https://nras.attestation-stg.nvidia.com"), fault.FamilyFalse, "overall token: issuer"},
		{"issuer of a device", claim("GPU-0", "iss", ""), fault.FamilyFalse, `token of "GPU-0": issuer ""`},
		{"nonce", claim("", "eat_nonce", strings.Repeat("00", 32)), fault.FamilyFalse, "overall token: it answers nonce"},
		{"no nonce", without("", "eat_nonce"), fault.FamilyFalse, `it answers nonce ""`},
		{"nonce of a device", claim("GPU-0", "eat_nonce", "01"), fault.FamilyFalse, `token of "GPU-0": it answers nonce "01"`},
		{"no expiry", without("", "exp"), fault.FamilyFalse, "it never expires"},
		{"expiry as text", claim("", "exp", "9999999999"), fault.FamilyFalse, "it never expires"},
		{"issued at no time", claim("", "iat", "x"), fault.FamilyFalse, "iat is not a time"},
		{"not before", claim("GPU-0", "nbf", at.Add(time.Minute).Unix()), fault.FamilyUnknown, "later than the time of verification"},
		{"issued later", claim("", "iat", at.Add(time.Minute).Unix()), fault.FamilyUnknown, "later than the time of verification"},
		{"expired", claim("", "exp", at.Unix()), fault.FamilyUnknown, "overall token: expired"},
		{"device expired", claim("GPU-0", "exp", at.Unix()), fault.FamilyUnknown, `token of "GPU-0": expired`},

		{"failed", sim.NRASTokens{Failed: true}, fault.FamilyFalse, `the service says that attestation failed: "GPU-0": "NONCE_NOT_MATCHING"`},
		{"result as text", claim("", "x-nvidia-overall-att-result", "true"), fault.FamilyFalse, "attestation failed"},
		{"no result", without("", "x-nvidia-overall-att-result"), fault.FamilyFalse, "attestation failed"},
		{"measurements", claim("GPU-0", "measres", "fail"), fault.FamilyFalse, "measurements are not golden"},
		{"no measurements", without("GPU-0", "measres"), fault.FamilyFalse, "measurements are not golden"},
		{"nonce match", claim("GPU-0", gpu+"attestation-report-nonce-match", nil), fault.FamilyFalse, "nonce-match is not true"},
		{"signature", without("GPU-0", gpu+"attestation-report-signature-verified"), fault.FamilyFalse, "signature-verified is not true"},
		{"a failed check", claim("GPU-0", gpu+"vbios-index-no-conflict", false), fault.FamilyFalse, "no-conflict is false"},
		{"a revoked chain", claim("GPU-0", gpu+"driver-rim-cert-chain", map[string]string{"x-nvidia-cert-status": "valid", "x-nvidia-cert-ocsp-status": "revoked"}), fault.FamilyFalse, "driver-rim-cert-chain is not valid and good"},
		{"an expired chain", claim("GPU-0", gpu+"driver-rim-cert-chain", map[string]string{"x-nvidia-cert-status": "expired", "x-nvidia-cert-ocsp-status": "good"}), fault.FamilyFalse, "driver-rim-cert-chain is not valid and good"},
		{"GPU and switch", claim("GPU-0", "x-nvidia-switch-arch-check", true), fault.FamilyFalse, "it is about a GPU and a switch"},
		{"no device", without("GPU-0", "ueid"), fault.FamilyFalse, "it names no device"},
		{"odd name", claim("GPU-0", "ueid", "1\n2"), fault.FamilyInput, "not allowed"},
		{"odd version of claims", claim("", "x-nvidia-ver", "2\n"), fault.FamilyInput, "version"},
		{"version of claims", claim("", "x-nvidia-ver", strings.Repeat("2", 17)), fault.FamilyInput, "version"},
		{"one device twice", sim.NRASTokens{Devices: []string{"GPU-0", "GPU-1"}, EditClaims: func(n string, c map[string]any) {
			if n != "" {
				c["ueid"] = "7"
			}
		}}, fault.FamilyFalse, `"GPU-0" and "GPU-1" are one device`},

		{"no submodules", claim("", "submods", nil), fault.FamilyFalse, "submods"},
		{"other digest", claim("", "submods", map[string]any{"GPU-0": []any{"DIGEST", []any{"SHA-256", strings.Repeat("00", 32)}}}), fault.FamilyFalse, "another digest"},
		{"other algorithm", claim("", "submods", map[string]any{"GPU-0": []any{"DIGEST", []any{"MD5", strings.Repeat("00", 16)}}}), fault.FamilyFalse, "no SHA-256"},
		{"half a digest", claim("", "submods", map[string]any{"GPU-0": []any{"DIGEST"}}), fault.FamilyFalse, "no digest"},
		{"another kind", claim("", "submods", map[string]any{"GPU-0": []any{"CLAIMS", []any{"SHA-256", strings.Repeat("00", 32)}}}), fault.FamilyFalse, "no digest"},
		{"digest without a value", claim("", "submods", map[string]any{"GPU-0": []any{"DIGEST", []any{"SHA-256"}}}), fault.FamilyFalse, "no SHA-256"},
		{"no digest", claim("", "submods", map[string]any{"GPU-0": "x"}), fault.FamilyFalse, "no digest"},
		{"digest of another", claim("", "submods", map[string]any{"GPU-1": []any{"DIGEST", []any{"SHA-256", strings.Repeat("00", 32)}}}), fault.FamilyFalse, "no digest of it"},
		{"one token too many", set(func(o string, d map[string]string) any { d["GPU-1"] = d["GPU-0"]; return []any{[]any{"JWT", o}, d} }), fault.FamilyFalse, "about 1 devices, tokens of 2"},
		{"one too few", sim.NRASTokens{Devices: []string{"GPU-0", "GPU-1"}, EditSet: func(o string, d map[string]string) any { delete(d, "GPU-1"); return []any{[]any{"JWT", o}, d} }}, fault.FamilyFalse, "about 2 devices, tokens of 1"},
		{"forged overall", set(func(o string, d map[string]string) any { return []any{[]any{"JWT", forge(o)}, d} }), fault.FamilyFalse, "did not sign it"},
		{"forged device", sim.NRASTokens{EditToken: func(_, s string) string { return forge(s) }}, fault.FamilyFalse, `token of "GPU-0": key "nv-eat-kid-sim-1" did not sign it`},
		{"short signature", set(func(o string, d map[string]string) any { return []any{[]any{"JWT", o[:len(o)-4]}, d} }), fault.FamilyFalse, "did not sign it"},
		{"no signature", set(func(o string, d map[string]string) any {
			return []any{[]any{"JWT", o[:strings.LastIndex(o, ".")+1]}, d}
		}), fault.FamilyFalse, "did not sign it"},
		{"a longer signature", set(func(o string, d map[string]string) any { return []any{[]any{"JWT", o + "AAAA"}, d} }), fault.FamilyFalse, "did not sign it"},
		{"no token", set(func(o string, d map[string]string) any { return []any{[]any{"JWT"}, d} }), fault.FamilyInput, `no ["JWT", token]`},
		{"devices in a list", set(func(o string, d map[string]string) any { return []any{[]any{"JWT", o}, []any{}} }), fault.FamilyInput, "tokens of devices: not a JSON object"},
		{"65 devices", set(func(o string, d map[string]string) any {
			for i := range 65 {
				d[fmt.Sprint(i)] = o
			}
			return []any{[]any{"JWT", o}, d}
		}), fault.FamilyInput, "66 tokens of devices"},
		{"long model", claim("GPU-0", "hwmodel", strings.Repeat("x", 129)), fault.FamilyInput, "not allowed"},
		{"padded", set(func(o string, d map[string]string) any { return []any{[]any{"JWT", o + "="}, d} }), fault.FamilyInput, "not base64url"},
		{"line break", set(func(o string, d map[string]string) any { return []any{[]any{"JWT", o + "\n"}, d} }), fault.FamilyInput, "not base64url"},
		{"two parts", set(func(o string, d map[string]string) any { return []any{[]any{"JWT", "a.b"}, d} }), fault.FamilyInput, "compact form"},
		{"long token", set(func(o string, d map[string]string) any { return []any{[]any{"JWT", strings.Repeat("a", 64<<10+1)}, d} }), fault.FamilyInput, "limit 65536"},
		{"not JWT", set(func(o string, d map[string]string) any { return []any{[]any{"CWT", o}, d} }), fault.FamilyInput, `no ["JWT", token]`},
		{"no devices", set(func(o string, _ map[string]string) any { return []any{[]any{"JWT", o}, map[string]string{}} }), fault.FamilyInput, "0 tokens of devices"},
		{"not two", set(func(o string, d map[string]string) any { return []any{[]any{"JWT", o}} }), fault.FamilyInput, "not an array of two"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := nvidia.VerifyNRAS(f.tokens(t, c.tokens), f.keys(t, nil), tokenNonce, f.o, at)
			wantErr(t, err, c.family, nvidia.StepToken, c.part)
			if got != nil {
				t.Error("facts with an error")
			}
		})
	}
}

// forge changes the payload of a token.
func forge(token string) string {
	p := strings.Split(token, ".")
	b, err := base64.RawURLEncoding.DecodeString(p[1])
	if err != nil {
		panic(err)
	}
	p[1] = base64.RawURLEncoding.EncodeToString(append([]byte(`{"a":1,`), b[1:]...))
	return strings.Join(p, ".")
}

// TestNRASDuplicates refuses JSON that different readers read differently.
func TestNRASDuplicates(t *testing.T) {
	f := newNRAS(t, sim.NVIDIAConfig{})
	good := string(f.tokens(t, sim.NRASTokens{}))
	for _, bad := range []string{
		strings.Replace(good, `{"GPU-0":`, `{"GPU-0":"x","GPU-0":`, 1),
		good + "x",
		strings.Replace(good, `"GPU-0"`, "\"GPU\xff0\"", 1),
	} {
		_, err := nvidia.VerifyNRAS([]byte(bad), f.keys(t, nil), tokenNonce, f.o, at)
		wantErr(t, err, fault.FamilyInput, nvidia.StepToken, "")
	}
	// Names are compared exactly: ALG is not alg.
	token, err := f.SignJWS([]byte(`{"ALG":"ES384","kid":"nv-eat-kid-sim-1"}`), []byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal([]any{[]string{"JWT", token}, map[string]string{"GPU-0": token}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = nvidia.VerifyNRAS(b, f.keys(t, nil), tokenNonce, f.o, at)
	wantErr(t, err, fault.FamilyInput, nvidia.StepToken, `"ALG" is not allowed`)

	for _, c := range []struct{ header, claims, part string }{
		{`[]`, `{}`, "header: not a JSON object"}, {`{"alg":"ES384","kid":"nv-eat-kid-sim-1"}`, `[]`, "claims: not a JSON object"},
		{`{"alg":"ES384","kid":"nv-eat-kid-sim-1"`, `{}`, "header: not a JSON object"}, {`{"alg":"ES384","kid":"nv-eat-kid-sim-1"}`, `{"a":}`, "claims: not a JSON object"},
		{`{"alg":"ES384","kid":"nv-eat-kid-sim-1"}`, `{"a":1}}`, "claims: not a JSON object"},
	} {
		if token, err = f.SignJWS([]byte(c.header), []byte(c.claims)); err != nil {
			t.Fatal(err)
		}
		if b, err = json.Marshal([]any{[]string{"JWT", token}, map[string]string{"GPU-0": token}}); err != nil {
			t.Fatal(err)
		}
		_, err = nvidia.VerifyNRAS(b, f.keys(t, nil), tokenNonce, f.o, at)
		wantErr(t, err, fault.FamilyInput, nvidia.StepToken, c.part)
	}

	// One name twice in what is signed.
	token, err = f.SignJWS([]byte(`{"alg":"ES384","kid":"nv-eat-kid-sim-1"}`), []byte(`{"iss":"a","iss":"b"}`))
	if err != nil {
		t.Fatal(err)
	}
	if b, err = json.Marshal([]any{[]string{"JWT", token}, map[string]string{"GPU-0": token}}); err != nil {
		t.Fatal(err)
	}
	_, err = nvidia.VerifyNRAS(b, f.keys(t, nil), tokenNonce, f.o, at)
	wantErr(t, err, fault.FamilyInput, nvidia.StepToken, `"iss" is there twice`)
}

func TestNRASArguments(t *testing.T) {
	f := newNRAS(t, sim.NVIDIAConfig{})
	b := f.tokens(t, sim.NRASTokens{})
	_, err := nvidia.VerifyNRAS(b, nil, tokenNonce, f.o, at)
	wantErr(t, err, fault.FamilyInput, nvidia.StepToken, "no keys given")
	_, err = nvidia.VerifyNRAS(b, f.keys(t, nil), tokenNonce, f.o, time.Time{})
	wantErr(t, err, fault.FamilyInput, nvidia.StepToken, "no time given")
	_, err = nvidia.VerifyNRAS(make([]byte, nvidia.MaxNRASTokens+1), f.keys(t, nil), tokenNonce, f.o, at)
	wantErr(t, err, fault.FamilyInput, nvidia.StepToken, "limit 1048576")
	_, err = nvidia.VerifyNRAS(b, f.keys(t, nil), [32]byte{}, f.o, at)
	wantErr(t, err, fault.FamilyFalse, nvidia.StepToken, "was asked")
}

// TestNRASKeys refuses keys that are not what they say or are out of force.
func TestNRASKeys(t *testing.T) {
	edit := func(role string, e func(*x509.Certificate)) sim.NVIDIAConfig {
		return sim.NVIDIAConfig{Edit: func(r string, c *x509.Certificate) {
			if r == role {
				e(c)
			}
		}}
	}
	for _, c := range []struct {
		name   string
		cfg    sim.NVIDIAConfig
		family fault.Family
		step   nvidia.Step
		part   string
	}{
		{"key expired", edit("nras-key", func(c *x509.Certificate) { c.NotAfter = at.Add(-time.Second) }), fault.FamilyUnknown, nvidia.StepToken, "expired"},
		{"key not yet valid", edit("nras-key", func(c *x509.Certificate) { c.NotBefore = at.Add(time.Second) }), fault.FamilyUnknown, nvidia.StepToken, "valid from"},
		{"authority expired", edit("nras-authority", func(c *x509.Certificate) { c.NotAfter = at.Add(-time.Second) }), fault.FamilyUnknown, nvidia.StepToken, "expired"},
		{"authority of devices", edit("nras-authority", func(c *x509.Certificate) { c.Subject.CommonName = "NVIDIA Device Identity CA" }), fault.FamilyFalse, nvidia.StepRoot, "neither"},
		{"no authority", edit("nras-authority", func(c *x509.Certificate) { c.IsCA = false }), fault.FamilyFalse, nvidia.StepChain, "is not signed by"},
		{"not for signing", edit("nras-key", func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyAgreement }), fault.FamilyFalse, nvidia.StepChain, "not for signing tokens"},
		{"algorithm", edit("nras-key", func(c *x509.Certificate) { c.SignatureAlgorithm = x509.ECDSAWithSHA256 }), fault.FamilyFalse, nvidia.StepChain, "signature algorithm ECDSA-SHA256"},
		{"another authority", edit("nras-key", func(c *x509.Certificate) { c.BasicConstraintsValid, c.IsCA = true, true }), fault.FamilyFalse, nvidia.StepChain, "not for signing tokens"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newNRAS(t, c.cfg)
			_, err := nvidia.VerifyNRAS(f.tokens(t, sim.NRASTokens{}), f.keys(t, nil), tokenNonce, f.o, at)
			wantErr(t, err, c.family, c.step, c.part)
		})
	}
	// An authority of the same key and another name.
	a, b := newVendor(t, sim.NVIDIAConfig{}), newVendor(t, edit("nras-authority", func(c *x509.Certificate) { c.Subject.CommonName = "NVIDIA Attestation Service GPU Intermediate 005" }))
	s, err := a.NewNRAS()
	if err != nil {
		t.Fatal(err)
	}
	other, err := b.NewNRAS()
	if err != nil {
		t.Fatal(err)
	}
	s.Authority = other.Authority
	twin := nrasFixture{s, nvidia.Options{SimulatedRoots: [][32]byte{s.Root()}}}
	_, err = nvidia.VerifyNRAS(twin.tokens(t, sim.NRASTokens{}), twin.keys(t, nil), tokenNonce, twin.o, at)
	wantErr(t, err, fault.FamilyFalse, nvidia.StepChain, `is issued by "NVIDIA Attestation Service GPU Intermediate 004", not by "NVIDIA Attestation Service GPU Intermediate 005"`)

	// The certificate of this service's key under the name of the other's authority.
	f, g := newNRAS(t, sim.NVIDIAConfig{}), newNRAS(t, sim.NVIDIAConfig{})
	k := f.keys(t, func(k sim.JWK) {
		k["x5c"] = []string{base64.StdEncoding.EncodeToString(f.Cert.Raw), base64.StdEncoding.EncodeToString(g.Authority.Raw)}
	})
	_, err = nvidia.VerifyNRAS(f.tokens(t, sim.NRASTokens{}), k, tokenNonce, g.o, at)
	wantErr(t, err, fault.FamilyFalse, nvidia.StepChain, "is not signed by")
}

// TestNRASKeyForms refuses key sets of another form.
func TestNRASKeyForms(t *testing.T) {
	f, g := newNRAS(t, sim.NVIDIAConfig{}), newNRAS(t, sim.NVIDIAConfig{})
	for _, c := range []struct {
		name string
		edit func(sim.JWK)
		part string
	}{
		{"symmetric", func(k sim.JWK) { k["kty"] = "oct" }, "not a key with an id on P-384"},
		{"curve", func(k sim.JWK) { k["crv"] = "P-256" }, "not a key with an id on P-384"},
		{"no id", func(k sim.JWK) { k["kid"] = "" }, "not a key with an id on P-384"},
		{"use", func(k sim.JWK) { k["use"] = "enc" }, "use is not sig"},
		{"algorithm", func(k sim.JWK) { k["alg"] = "HS384" }, "alg is not ES384"},
		{"x", func(k sim.JWK) { k["x"] = "AA" }, "x is not a coordinate"},
		{"x and more", func(k sim.JWK) { k["x"] = k["x"].(string) + "!" }, "x is not a coordinate"},
		{"long certificate", func(k sim.JWK) { k["x5c"] = []string{strings.Repeat("AAAA", 3000), ""} }, "x5c holds 9000 bytes"},
		{"not on the curve", func(k sim.JWK) { k["y"] = k["x"] }, "not a point"},
		{"no certificates", func(k sim.JWK) { delete(k, "x5c") }, "x5c is not two certificates"},
		{"one certificate", func(k sim.JWK) { k["x5c"] = k["x5c"].([]string)[:1] }, "x5c is not two certificates"},
		{"not base64", func(k sim.JWK) { k["x5c"] = []string{"!", "!"} }, "x5c is not base64"},
		{"not certificates", func(k sim.JWK) { k["x5c"] = []string{"AAAA", "AAAA"} }, "x5c is not certificates"},
		{"another key's certificate", func(k sim.JWK) {
			k["x5c"] = []string{base64.StdEncoding.EncodeToString(g.Cert.Raw), base64.StdEncoding.EncodeToString(g.Authority.Raw)}
		}, "x5c is of another key"},
	} {
		set, err := f.KeySet(c.edit)
		if err != nil {
			t.Fatal(err)
		}
		_, err = nvidia.ParseNRASKeys(set)
		wantErr(t, err, fault.FamilyInput, nvidia.StepToken, c.part)
	}
	k, err := f.JWK()
	if err != nil {
		t.Fatal(err)
	}
	twice, err := json.Marshal(map[string]any{"keys": []sim.JWK{k, k}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ set, part string }{
		{string(twice), "is there twice"}, {`{"keys":[]}`, "no list"}, {`{"keys":{}}`, "no list"}, {`[]`, "not a JSON object"}, {`{}x`, "not a JSON object"},
		{strings.Repeat(" ", nvidia.MaxNRASKeys+1), "limit"}, {`{"keys":[` + strings.Repeat("0,", 256) + `0]}`, "no list"},
		{`{"keys":["x"]}`, "key 0: not a JSON object"}, {`{"keys":null}`, "no list"},
	} {
		_, err := nvidia.ParseNRASKeys([]byte(c.set))
		wantErr(t, err, fault.FamilyInput, nvidia.StepToken, c.part)
	}
}

// TestNRASGenuineKey reads a key that NVIDIA's service published in September
// 2026: its authority is the one that is built in. A token that the key did not
// sign gets as far as the signature, while the key is in force.
func TestNRASGenuineKey(t *testing.T) {
	set, err := os.ReadFile("testdata/nras-jwks-2026-09-09.json")
	if err != nil {
		t.Fatal(err)
	}
	keys, err := nvidia.ParseNRASKeys(set)
	if err != nil || keys.Len() != 1 {
		t.Fatal(err)
	}
	f := newNRAS(t, sim.NVIDIAConfig{})
	f.KeyID = "nv-eat-kid-prod-20260909194920621-de0411ec-7524-481f-9ade-326d412ccb8e"
	b := f.tokens(t, sim.NRASTokens{})
	inForce := time.Date(2026, 9, 10, 0, 0, 0, 0, time.UTC)
	_, err = nvidia.VerifyNRAS(b, keys, tokenNonce, nvidia.Options{}, inForce)
	wantErr(t, err, fault.FamilyFalse, nvidia.StepToken, "did not sign it")
	for _, when := range []time.Time{inForce.AddDate(0, 0, -2), inForce.AddDate(0, 0, 2)} {
		_, err = nvidia.VerifyNRAS(b, keys, tokenNonce, nvidia.Options{}, when)
		wantErr(t, err, fault.FamilyUnknown, nvidia.StepToken, `certificate "NVIDIA Attestation Service GPU GH100" of the remote attestation service`)
	}
}
