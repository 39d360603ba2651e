package nvidia

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"time"
)

// NRASIssuer is the issuer that NVIDIA's remote attestation service names in its
// tokens.
const NRASIssuer = "https://nras.attestation.nvidia.com"

// NRASFacts is what a verified set of tokens proves: that NVIDIA's service found
// these devices genuine, with golden measurements, by reports that answer the
// nonce. How it did so is not visible.
type NRASFacts struct {
	Nonce   [32]byte
	Version string // of the claims, "2.0"
	Devices []NRASDevice

	Authority [32]byte // SHA-256 of the certificate that issued the keys, DER
	Simulated bool     // the authority is not NVIDIA's

	At        time.Time // the time of verification
	NotBefore time.Time // latest start of tokens and keys
	NotAfter  time.Time // earliest end of them
}

// NRASDevice is one device of a set of tokens.
type NRASDevice struct {
	Name   string // "GPU-0"
	Switch bool
	Model  string // "GH100"
	UEID   string // serial number of the attestation key's certificate, as the service writes it
	Driver string // driver version; GPUs only
	VBIOS  string

	SecureBoot    bool // the service vouches for it
	DebugDisabled bool
}

// VerifyNRAS verifies the tokens of NVIDIA's remote attestation service (a
// detached EAT bundle in JSON: the overall token, and one per device) at the
// given time: signatures, issuer, nonce, validity, result, and the digest of
// every device's token.
//
// Tokens say what the service saw; they do not carry the report. An expired
// token or a missing key is "could not find out". A token of a failed
// attestation, which the service signs too, is false evidence.
func VerifyNRAS(tokens []byte, keys *NRASKeys, nonce [32]byte, o Options, at time.Time) (*NRASFacts, error) {
	overall, devices, err := splitNRAS(tokens)
	if err != nil {
		return nil, inputAt(StepToken, "%w", err)
	}
	switch {
	case keys == nil:
		return nil, inputAt(StepToken, "no keys given")
	case at.IsZero():
		return nil, inputAt(StepToken, "no time given")
	}
	c := &nrasCheck{keys: keys, o: &o, nonce: nonce, at: at, facts: &NRASFacts{Nonce: nonce, At: at}}
	if err := c.overall(overall, devices); err != nil {
		return nil, err
	}
	c.facts.NotBefore, c.facts.NotAfter = c.w.notBefore, c.w.notAfter
	return c.facts, nil
}

// splitNRAS reads [["JWT", overall], {name: token, ...}].
func splitNRAS(b []byte) (overall string, devices map[string]string, err error) {
	if len(b) > MaxNRASTokens {
		return "", nil, fmt.Errorf("tokens of %d bytes, limit %d", len(b), MaxNRASTokens)
	}
	outer := jsonArray(b)
	if len(outer) != 2 {
		return "", nil, errors.New("not a set of tokens: not an array of two")
	}
	first := jsonArray(outer[0])
	if len(first) != 2 || jsonText(first[0]) != "JWT" {
		return "", nil, errors.New(`not a set of tokens: no ["JWT", token]`)
	}
	detached, err := jsonObject(outer[1])
	if err != nil {
		return "", nil, fmt.Errorf("tokens of devices: %w", err)
	}
	if len(detached) == 0 || len(detached) > maxSubmodules {
		return "", nil, fmt.Errorf("%d tokens of devices, want 1 to %d", len(detached), maxSubmodules)
	}
	devices = map[string]string{}
	for name := range detached {
		devices[name] = detached.text(name)
	}
	return jsonText(first[1]), devices, nil
}

// nrasCheck is one verification.
type nrasCheck struct {
	keys  *NRASKeys
	o     *Options
	nonce [32]byte
	at    time.Time
	w     window
	facts *NRASFacts
}

// overall verifies the overall token and then those of the devices.
func (c *nrasCheck) overall(token string, devices map[string]string) error {
	claims, err := c.token("overall token", token)
	if err != nil {
		return err
	}
	if c.facts.Version = claims.text("x-nvidia-ver"); len(c.facts.Version) > 16 {
		return inputAt(StepToken, "overall token: version %.20q of claims", c.facts.Version)
	}
	if !claims.isTrue("x-nvidia-overall-att-result") {
		return falseAt(StepToken, "the service says that attestation failed%s", c.reason(devices))
	}
	digests, err := jsonObject(claims["submods"])
	if err != nil {
		return falseAt(StepToken, "overall token: submods: %w", err)
	}
	if len(digests) != len(devices) {
		return falseAt(StepToken, "the overall token is about %d devices, tokens of %d are there", len(digests), len(devices))
	}
	for _, name := range slices.Sorted(maps.Keys(devices)) {
		d := sha256.Sum256([]byte(devices[name]))
		if err := isDigest(digests[name], d); err != nil {
			return falseAt(StepToken, "token of %.40q: %w", name, err)
		}
		if err := c.device(name, devices[name]); err != nil {
			return err
		}
	}
	return c.distinct()
}

// isDigest checks ["DIGEST", ["SHA-256", hex]] (RFC 9711, section 4.2.18.2).
func isDigest(raw []byte, want [32]byte) error {
	outer := jsonArray(raw)
	if len(outer) != 2 || jsonText(outer[0]) != "DIGEST" {
		return errors.New("the overall token has no digest of it")
	}
	inner := jsonArray(outer[1])
	if len(inner) != 2 || jsonText(inner[0]) != "SHA-256" && jsonText(inner[0]) != "SHA256" {
		return errors.New("the overall token has no SHA-256 of it")
	}
	if jsonText(inner[1]) != hex.EncodeToString(want[:]) {
		return errors.New("the overall token has another digest")
	}
	return nil
}

// device verifies the token of one device and notes what it says.
func (c *nrasCheck) device(name, token string) error {
	what := fmt.Sprintf("token of %.40q", name)
	claims, err := c.token(what, token)
	if err != nil {
		return err
	}
	if claims.text("measres") != "success" {
		return falseAt(StepToken, "%s: the service says that measurements are not golden", what)
	}
	prefix, err := passed(claims)
	if err != nil {
		return falseAt(StepToken, "%s: %w", what, err)
	}
	d := NRASDevice{
		Name: name, Switch: prefix == switchClaims, Model: claims.text("hwmodel"), UEID: claims.text("ueid"),
		Driver: claims.text(prefix + "driver-version"), VBIOS: claims.text(prefix + "vbios-version"),
		SecureBoot: claims.isTrue("secboot"), DebugDisabled: claims.text("dbgstat") == "disabled",
	}
	if d.Switch {
		d.VBIOS = claims.text(prefix + "bios-version")
	}
	for _, s := range []string{d.Name, d.Model, d.UEID, d.Driver, d.VBIOS} {
		if len(s) > maxRIMName || strings.Trim(s, rimNameChars+" ") != "" {
			return inputAt(StepToken, "%s: names with characters that are not allowed", what)
		}
	}
	if d.UEID == "" {
		return falseAt(StepToken, "%s: it names no device", what)
	}
	c.facts.Devices = append(c.facts.Devices, d)
	return nil
}

// Prefixes of the claims about single checks.
const (
	gpuClaims    = "x-nvidia-gpu-"
	switchClaims = "x-nvidia-switch-"
)

// passed checks the claims about single checks of the service: two have to be
// there, none may be false, and every chain of certificates has to be valid and
// good. It returns the prefix of the claims, which says what the device is.
func passed(claims object) (prefix string, err error) {
	for _, name := range slices.Sorted(maps.Keys(claims)) {
		p := gpuClaims
		if strings.HasPrefix(name, switchClaims) {
			p = switchClaims
		} else if !strings.HasPrefix(name, gpuClaims) {
			continue
		}
		if prefix != "" && p != prefix {
			return "", errors.New("it is about a GPU and a switch")
		}
		prefix = p
		if claims.isFalse(name) {
			return "", fmt.Errorf("%.80s is false", name)
		}
		if chain, err := jsonObject(claims[name]); err == nil && strings.HasSuffix(name, "-cert-chain") &&
			(chain.text("x-nvidia-cert-status") != "valid" || chain.text("x-nvidia-cert-ocsp-status") != "good") {
			return "", fmt.Errorf("%.80s is not valid and good", name)
		}
	}
	for _, name := range []string{"attestation-report-nonce-match", "attestation-report-signature-verified"} {
		if !claims.isTrue(prefix + name) {
			return "", fmt.Errorf("%s is not true", prefix+name)
		}
	}
	return prefix, nil
}

// distinct refuses one device under two names.
func (c *nrasCheck) distinct() error {
	seen := map[string]string{}
	for _, d := range c.facts.Devices {
		if other, twice := seen[d.UEID]; twice {
			return falseAt(StepToken, "%q and %q are one device", other, d.Name)
		}
		seen[d.UEID] = d.Name
	}
	return nil
}

// reason returns what a signed token of a device says about its failure, if any.
func (c *nrasCheck) reason(devices map[string]string) string {
	for _, name := range slices.Sorted(maps.Keys(devices)) {
		claims, err := c.signed("", devices[name])
		if err != nil {
			continue
		}
		details, err := jsonObject(claims["x-nvidia-error-details"])
		if err != nil {
			continue
		}
		if m := details.text("message"); m != "" {
			return fmt.Sprintf(": %.40q: %.80q", name, m)
		}
	}
	return ""
}

// token verifies one token: signature, issuer, validity, nonce.
func (c *nrasCheck) token(what, token string) (object, error) {
	claims, err := c.signed(what, token)
	if err != nil {
		return nil, err
	}
	if claims.text("iss") != NRASIssuer {
		return nil, falseAt(StepToken, "%s: issuer %.80q, want %s", what, claims.text("iss"), NRASIssuer)
	}
	exp, ok := claims.seconds("exp")
	if !ok {
		return nil, falseAt(StepToken, "%s: it never expires", what)
	}
	start := time.Time{}
	for _, name := range []string{"iat", "nbf"} {
		if claims[name] == nil {
			continue
		}
		s, ok := claims.seconds(name)
		if !ok {
			return nil, falseAt(StepToken, "%s: %s is not a time", what, name)
		}
		if t := time.Unix(s, 0); t.After(start) {
			start = t
		}
	}
	// At exp it has expired already (RFC 7519, section 4.1.4).
	if err := c.w.narrow(StepToken, what, start, time.Unix(exp, 0).Add(-1), c.at, NRASIssuer); err != nil {
		return nil, err
	}
	if got := claims.text("eat_nonce"); !strings.EqualFold(got, hex.EncodeToString(c.nonce[:])) {
		return nil, falseAt(StepToken, "%s: it answers nonce %.80q, %x was asked", what, got, c.nonce)
	}
	return claims, nil
}

// signed verifies a JWS in compact form with ES384 (RFC 7515, section 5.2; RFC
// 7518, section 3.4) and returns its claims. The algorithm is fixed here, not
// chosen by the token.
func (c *nrasCheck) signed(what, token string) (object, error) {
	if len(token) > maxNRASToken {
		return nil, inputAt(StepToken, "%s of %d bytes, limit %d", what, len(token), maxNRASToken)
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, inputAt(StepToken, "%s: not a JWS in compact form", what)
	}
	var raw [3][]byte
	for i, p := range parts {
		var err error
		if raw[i], err = base64.RawURLEncoding.Strict().DecodeString(p); err != nil || strings.ContainsAny(p, "\r\n") {
			return nil, inputAt(StepToken, "%s: not base64url", what)
		}
	}
	id, err := nrasHeader(raw[0])
	if err != nil {
		return nil, inputAt(StepToken, "%s: %w", what, err)
	}
	key, ok := c.keys.keys[id]
	if !ok {
		return nil, missing(StepToken, fmt.Sprintf("key %.80q of the remote attestation service", id), "missing", NRASKeysURL)
	}
	simulated, err := key.trust(id, c)
	if err != nil {
		return nil, err
	}
	h := sha512.Sum384([]byte(parts[0] + "." + parts[1]))
	sig := raw[2]
	if len(sig) != signatureSize || !ecdsa.Verify(key.public, h[:], new(big.Int).SetBytes(sig[:DigestSize]), new(big.Int).SetBytes(sig[DigestSize:])) {
		return nil, falseAt(StepToken, "%s: key %.80q did not sign it", what, id)
	}
	claims, err := jsonObject(raw[1])
	if err != nil {
		return nil, inputAt(StepToken, "%s: claims: %w", what, err)
	}
	c.facts.Authority, c.facts.Simulated = sha256.Sum256(key.authority.Raw), c.facts.Simulated || simulated
	return claims, nil
}

// nrasHeader reads the header of a token, which holds the algorithm, the id of
// the key, perhaps the type, and nothing that could change how it is read.
func nrasHeader(b []byte) (string, error) {
	h, err := jsonObject(b)
	if err != nil {
		return "", fmt.Errorf("header: %w", err)
	}
	for name := range h {
		if name != "alg" && name != "kid" && name != "typ" {
			return "", fmt.Errorf("header: %.40q is not allowed", name)
		}
	}
	if h.text("alg") != "ES384" {
		return "", fmt.Errorf("header: algorithm %.20q, want ES384", h.text("alg"))
	}
	if h["typ"] != nil && h.text("typ") != "JWT" {
		return "", errors.New("header: type is not JWT")
	}
	if h.text("kid") == "" {
		return "", errors.New("header: no key id")
	}
	return h.text("kid"), nil
}
