package nvidia

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Limits of key sets and of tokens.
const (
	MaxNRASKeys   = 1 << 20 // bytes in a key set; NVIDIA's has 80 kB
	maxNRASKeys   = 256
	MaxNRASTokens = 1 << 20 // bytes in a set of tokens
	maxNRASToken  = 64 << 10
	maxSubmodules = 64
)

// NRASKeysURL is the address of the service's key set.
const NRASKeysURL = NRASIssuer + "/.well-known/jwks.json"

// nrasAuthorities are the SHA-256 of the certificates, in DER form, that issue
// the keys of NVIDIA's remote attestation service. Their root is not published.
//
// "NVIDIA Attestation Service GPU Intermediate 004", 2025-12-08 to 2029-12-08,
// from the service's key set of September 2026.
var nrasAuthorities = []string{"2df8907cf4d6c277b855d407ec178a649930a8e73f7294e8fce66e6ee27c5175"}

// nrasAuthority starts the names of authorities, simulated ones too: those of
// devices and RIM documents are nothing here.
const nrasAuthority = "NVIDIA Attestation Service "

// NRASKeys is the key set of the remote attestation service (RFC 7517), parsed
// and not verified. Keys live for two days.
type NRASKeys struct {
	keys map[string]*nrasKey // by key id
}

// Len returns the number of keys.
func (k *NRASKeys) Len() int { return len(k.keys) }

// nrasKey is one key: on P-384, with the certificate that is for it and the
// authority that issued it.
type nrasKey struct {
	public          *ecdsa.PublicKey
	cert, authority *x509.Certificate
}

// ParseNRASKeys reads a key set. Every key has the form that NVIDIA's have: EC,
// P-384, and x5c with a certificate for the same key and its issuer. Errors are
// bad input.
func ParseNRASKeys(b []byte) (*NRASKeys, error) {
	if len(b) > MaxNRASKeys {
		return nil, inputAt(StepToken, "key set of %d bytes, limit %d", len(b), MaxNRASKeys)
	}
	set, err := jsonObject(b)
	if err != nil {
		return nil, inputAt(StepToken, "key set: %w", err)
	}
	list := jsonArray(set["keys"])
	if len(list) == 0 || len(list) > maxNRASKeys {
		return nil, inputAt(StepToken, "key set: no list of 1 to %d keys", maxNRASKeys)
	}
	k := &NRASKeys{keys: map[string]*nrasKey{}}
	for i, raw := range list {
		id, key, err := readNRASKey(raw)
		if err != nil {
			return nil, inputAt(StepToken, "key %d: %w", i, err)
		}
		if k.keys[id] != nil {
			return nil, inputAt(StepToken, "key id %.80q is there twice", id)
		}
		k.keys[id] = key
	}
	return k, nil
}

func readNRASKey(raw []byte) (string, *nrasKey, error) {
	o, err := jsonObject(raw)
	if err != nil {
		return "", nil, err
	}
	id := o.text("kid")
	if id == "" || o.text("kty") != "EC" || o.text("crv") != "P-384" {
		return "", nil, errors.New("not a key with an id on P-384")
	}
	for name, want := range map[string]string{"use": "sig", "alg": "ES384"} {
		if o[name] != nil && o.text(name) != want {
			return "", nil, fmt.Errorf("%s is not %s", name, want)
		}
	}
	point := []byte{4}
	for _, axis := range []string{"x", "y"} {
		b, err := base64.RawURLEncoding.Strict().DecodeString(o.text(axis))
		if err != nil || len(b) != DigestSize {
			return "", nil, fmt.Errorf("%s is not a coordinate", axis)
		}
		point = append(point, b...)
	}
	key := &nrasKey{}
	if key.public, err = ecdsa.ParseUncompressedPublicKey(elliptic.P384(), point); err != nil {
		return "", nil, errors.New("not a point of P-384")
	}
	return id, key, key.readCertificates(o["x5c"])
}

// readCertificates reads x5c, a certificate of the key and its issuer.
func (k *nrasKey) readCertificates(raw []byte) error {
	list := jsonArray(raw)
	if len(list) != 2 {
		return errors.New("x5c is not two certificates")
	}
	var certs [2]*x509.Certificate
	for i := range certs {
		der, err := base64.StdEncoding.Strict().DecodeString(jsonText(list[i]))
		if err != nil {
			return errors.New("x5c is not base64")
		}
		if len(der) > maxCertificate {
			return fmt.Errorf("x5c holds %d bytes, limit %d", len(der), maxCertificate)
		}
		if certs[i], err = x509.ParseCertificate(der); err != nil {
			return errors.New("x5c is not certificates")
		}
	}
	k.cert, k.authority = certs[0], certs[1]
	if !k.public.Equal(k.cert.PublicKey) {
		return errors.New("x5c is of another key")
	}
	return nil
}

// trust checks that the key was issued by an authority of NVIDIA's service, or
// by one that the caller named, and narrows w to its validity. It reports
// whether the authority is a simulated one.
func (k *nrasKey) trust(id string, c *nrasCheck) (simulated bool, err error) {
	d := sha256.Sum256(k.authority.Raw)
	if !slices.Contains(nrasAuthorities, hex.EncodeToString(d[:])) {
		if !slices.Contains(c.o.SimulatedRoots, d) || !strings.HasPrefix(k.authority.Subject.CommonName, nrasAuthority) {
			return false, falseAt(StepRoot, "key %.80q is issued by sha256:%x (%q), which is neither an authority of NVIDIA's service that is known here nor named by the caller",
				id, d, k.authority.Subject.CommonName)
		}
		simulated = true
	}
	if err := k.issued(); err != nil {
		return false, falseAt(StepChain, "key %.80q: %w", id, err)
	}
	for _, x := range []*x509.Certificate{k.cert, k.authority} {
		what := fmt.Sprintf("certificate %q of the remote attestation service", x.Subject.CommonName)
		if err := c.w.narrow(StepToken, what, x.NotBefore, x.NotAfter, c.at, NRASKeysURL); err != nil {
			return false, err
		}
	}
	return simulated, nil
}

// issued checks the signature on the key's certificate. NVIDIA's is RSA with
// SHA-256.
func (k *nrasKey) issued() error {
	if !bytes.Equal(k.cert.RawIssuer, k.authority.RawSubject) {
		return fmt.Errorf("its certificate is issued by %q, not by %q", k.cert.Issuer.CommonName, k.authority.Subject.CommonName)
	}
	if a := k.cert.SignatureAlgorithm; a != x509.SHA256WithRSA && a != x509.ECDSAWithSHA384 {
		return fmt.Errorf("signature algorithm %v, want SHA256-RSA or ECDSA-SHA384", a)
	}
	if k.cert.IsCA || k.cert.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		return errors.New("its certificate is not for signing tokens")
	}
	if err := k.cert.CheckSignatureFrom(k.authority); err != nil {
		return fmt.Errorf("its certificate is not signed by %q: %w", k.authority.Subject.CommonName, err)
	}
	return nil
}
