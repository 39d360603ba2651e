package sim

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/cocoon-go/cocoon/attestation/nvidia"
)

// NRAS is a simulated remote attestation service of NVIDIA: an authority, and
// one key that signs tokens.
type NRAS struct {
	KeyID     string
	Key       *ecdsa.PrivateKey
	Cert      *x509.Certificate // of the key
	Authority *x509.Certificate
}

// NewNRAS makes a service. The roles of its certificates for [NVIDIAConfig.Edit]
// are "nras-authority" and "nras-key".
func (n *NVIDIA) NewNRAS() (*NRAS, error) {
	ca, err := n.authority("nras-authority", "NVIDIA Attestation Service GPU Intermediate 004", nil)
	if err != nil {
		return nil, err
	}
	t := n.template("NVIDIA Attestation Service GPU GH100")
	t.BasicConstraintsValid, t.KeyUsage = false, x509.KeyUsageDigitalSignature
	k, err := n.issue("nras-key", t, &ca)
	if err != nil {
		return nil, err
	}
	return &NRAS{KeyID: "nv-eat-kid-sim-1", Key: k.key, Cert: k.cert, Authority: ca.cert}, nil
}

// Root returns the SHA-256 of the authority, which a policy has to name before
// any token of this service is accepted.
func (s *NRAS) Root() [32]byte { return sha256.Sum256(s.Authority.Raw) }

// JWK is one key of a key set. Its members have the names of RFC 7517.
type JWK map[string]any

// JWK returns the key as the service publishes it.
func (s *NRAS) JWK() (JWK, error) {
	point, err := s.Key.PublicKey.Bytes()
	if err != nil {
		return nil, err
	}
	b64 := base64.RawURLEncoding.EncodeToString
	return JWK{
		"kty": "EC", "crv": "P-384", "kid": s.KeyID, "x": b64(point[1:49]), "y": b64(point[49:]),
		"x5c": []string{base64.StdEncoding.EncodeToString(s.Cert.Raw), base64.StdEncoding.EncodeToString(s.Authority.Raw)},
	}, nil
}

// KeySet returns the service's key set. Edit, which may be nil, changes the key.
func (s *NRAS) KeySet(edit func(JWK)) ([]byte, error) {
	k, err := s.JWK()
	if err != nil {
		return nil, err
	}
	if edit != nil {
		edit(k)
	}
	return json.Marshal(map[string]any{"keys": []JWK{k}})
}

// NRASTokens describes a set of tokens. The zero value of all but the times is
// that of one good GPU.
type NRASTokens struct {
	Nonce    [32]byte
	IssuedAt time.Time     // required
	Lifetime time.Duration // default one hour
	Devices  []string      // names; default "GPU-0". "SWITCH-" starts those of switches
	Failed   bool          // the service says that attestation failed

	EditHeader func(name string, h map[string]any)           // the overall token has an empty name
	EditClaims func(name string, c map[string]any)           // before they are signed
	EditToken  func(name, token string) string               // of a device, before its digest is taken
	EditSet    func(overall string, d map[string]string) any // replaces the whole set
}

// Tokens signs a set of tokens.
func (s *NRAS) Tokens(f NRASTokens) ([]byte, error) {
	if f.Devices == nil {
		f.Devices = []string{"GPU-0"}
	}
	devices, submods := map[string]string{}, map[string]any{}
	for i, name := range f.Devices {
		token, err := s.sign(name, f, f.claims(name, i))
		if err != nil {
			return nil, err
		}
		if f.EditToken != nil {
			token = f.EditToken(name, token)
		}
		d := sha256.Sum256([]byte(token))
		devices[name] = token
		submods[name] = []any{"DIGEST", []any{"SHA-256", hex.EncodeToString(d[:])}}
	}
	claims := f.common()
	claims["sub"], claims["x-nvidia-ver"] = "NVIDIA-PLATFORM-ATTESTATION", "2.0"
	claims["x-nvidia-overall-att-result"], claims["submods"] = !f.Failed, submods
	overall, err := s.sign("", f, claims)
	if err != nil {
		return nil, err
	}
	if f.EditSet != nil {
		return json.Marshal(f.EditSet(overall, devices))
	}
	return json.Marshal([]any{[]any{"JWT", overall}, devices})
}

func (f NRASTokens) common() map[string]any {
	life := f.Lifetime
	if life == 0 {
		life = time.Hour
	}
	at := f.IssuedAt.Unix()
	return map[string]any{
		"iss": nvidia.NRASIssuer, "eat_nonce": hex.EncodeToString(f.Nonce[:]), "jti": "00000000-0000-4000-8000-000000000000",
		"iat": at, "nbf": at, "exp": at + int64(life/time.Second),
	}
}

// claims returns what the service says of one device, with claims of version 2.
func (f NRASTokens) claims(name string, i int) map[string]any {
	c := f.common()
	c["hwmodel"], c["ueid"], c["oemid"] = "GH100 A01 GSP BROM", fmt.Sprint(1000+i), "5703"
	c["measres"], c["secboot"], c["dbgstat"] = "success", true, "disabled"
	p, checks := "x-nvidia-gpu-", []string{"driver-rim-signature-verified", "vbios-rim-signature-verified", "vbios-index-no-conflict"}
	if len(name) > 7 && name[:7] == "SWITCH-" {
		p, checks = "x-nvidia-switch-", []string{"bios-rim-signature-verified"}
		c[p+"bios-version"], c["hwmodel"] = nvidiaSwitchVBIOS, "LS_10 A01 FSP BROM"
	} else {
		c[p+"driver-version"], c[p+"vbios-version"] = nvidiaDriver, nvidiaVBIOS
	}
	for _, s := range append(checks, "arch-check", "attestation-report-parsed", "attestation-report-nonce-match", "attestation-report-signature-verified") {
		c[p+s] = true
	}
	c[p+"attestation-report-cert-chain"] = map[string]any{"x-nvidia-cert-status": "valid", "x-nvidia-cert-ocsp-status": "good"}
	if f.Failed {
		c["measres"] = "fail"
		c["x-nvidia-error-details"] = map[string]any{"code": 4007, "message": "NONCE_NOT_MATCHING"}
	}
	return c
}

func (s *NRAS) sign(name string, f NRASTokens, claims map[string]any) (string, error) {
	header := map[string]any{"alg": "ES384", "kid": s.KeyID}
	if f.EditHeader != nil {
		f.EditHeader(name, header)
	}
	if f.EditClaims != nil {
		f.EditClaims(name, claims)
	}
	h, err := json.Marshal(header)
	if err != nil {
		return "", err
	}
	c, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	return s.SignJWS(h, c)
}

// SignJWS signs a header and a payload as they are, with ES384, and returns the
// compact form.
func (s *NRAS) SignJWS(header, payload []byte) (string, error) {
	b64 := base64.RawURLEncoding.EncodeToString
	in := b64(header) + "." + b64(payload)
	d := sha512.Sum384([]byte(in))
	sig, err := signP384(s.Key, d[:])
	if err != nil {
		return "", err
	}
	return in + "." + b64(sig), nil
}
