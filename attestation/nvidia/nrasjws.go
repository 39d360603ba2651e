package nvidia

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"
)

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
	return claims, c.answers(what, claims.text("eat_nonce"))
}

// answers checks the nonce of a token. Where any will do, it is that of the first
// token.
func (c *nrasCheck) answers(what, got string) error {
	if b, err := hex.DecodeString(got); c.nonce.any && err == nil && len(b) == len(c.nonce.want) {
		c.nonce = WantNonce([32]byte(b))
		c.facts.Nonce = c.nonce.want
	}
	if !strings.EqualFold(got, hex.EncodeToString(c.nonce.want[:])) {
		return falseAt(StepToken, "%s: it answers nonce %.80q, %x was asked", what, got, c.nonce.want)
	}
	return nil
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
