package nvidia

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
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
	Nonce   [32]byte // that the tokens answer
	Bound   bool     // it is the one that was asked
	Version string   // of the claims, "2.0"
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
	return verifyNRAS(tokens, keys, WantNonce(nonce), &o, at)
}

// VerifyTokens does what [VerifyNRAS] does, with the keys in e. With
// [AnyNonceUnsafe], tokens count that answer any nonce, all of them the same:
// they may be old ones, and the facts say so.
func (v *Verifier) VerifyTokens(tokens []byte, n Nonce, e *Endorsements, at time.Time) (*NRASFacts, error) {
	keys := &NRASKeys{}
	if e != nil && e.keys != nil {
		keys = e.keys
	}
	return verifyNRAS(tokens, keys, n, &v.o, at)
}

func verifyNRAS(tokens []byte, keys *NRASKeys, n Nonce, o *Options, at time.Time) (*NRASFacts, error) {
	overall, devices, err := splitNRAS(tokens)
	if err != nil {
		return nil, inputAt(StepToken, "%w", err)
	}
	switch {
	case keys == nil:
		return nil, inputAt(StepToken, "no keys given")
	case at.IsZero():
		return nil, inputAt(StepToken, "no time given")
	case !n.given && !n.any:
		return nil, inputAt(StepNonce, "no nonce given")
	}
	c := &nrasCheck{keys: keys, o: o, nonce: n, at: at, facts: &NRASFacts{Nonce: n.want, Bound: n.given, At: at}}
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
	nonce Nonce // with any, that of the first token once it is read
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
	c.facts.Version = claims.text("x-nvidia-ver")
	if len(c.facts.Version) > 16 || strings.Trim(c.facts.Version, rimNameChars) != "" {
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

// isDigest checks ["DIGEST", ["SHA-256", hex]] (RFC 9711, section 4.2.18,
// "Detached Submodule Digest").
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
