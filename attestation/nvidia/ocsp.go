package nvidia

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"time"

	"golang.org/x/crypto/ocsp"
)

// OCSPURL is the address of NVIDIA's responder. Certificates name it too.
const OCSPURL = "https://ocsp.ndis.nvidia.com"

// maxOCSP bounds a response, in bytes; those of NVIDIA have about 2000.
const maxOCSP = 8 << 10

// ocspResponse is a parsed OCSP response (RFC 6960) about one certificate. Its
// signature is not verified: that costs more than all else, and most responses of
// a set are about other devices.
type ocspResponse struct {
	*ocsp.Response
	id     ocspCertID
	digest [32]byte // SHA-256 of the whole response
}

// The parts of a response that package ocsp does not show (RFC 6960, section
// 4.2.1).
type (
	ocspOuter struct {
		Status asn1.Enumerated
		Inner  struct {
			Type asn1.ObjectIdentifier
			Data []byte
		} `asn1:"explicit,tag:0,optional"`
	}
	ocspBasic struct {
		Data         ocspData
		Algorithm    pkix.AlgorithmIdentifier
		Signature    asn1.BitString
		Certificates []asn1.RawValue `asn1:"explicit,tag:0,optional"`
	}
	// ocspRaw is the same, to take the certificates out.
	ocspRaw struct {
		Data, Algorithm, Signature asn1.RawValue
		Certificates               asn1.RawValue `asn1:"optional"`
	}
	ocspData struct {
		Version    int `asn1:"explicit,tag:0,default:0,optional"`
		Responder  asn1.RawValue
		ProducedAt time.Time `asn1:"generalized"`
		Responses  []struct{ ID ocspCertID }
		Extensions []pkix.Extension `asn1:"explicit,tag:1,optional"`
	}
	ocspCertID struct {
		Hash       pkix.AlgorithmIdentifier
		IssuerName []byte
		IssuerKey  []byte
		Serial     *big.Int
	}
)

var oidECDSAWithSHA384 = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 3}

// parseOCSP reads a response in DER form. One that says that there was an error,
// that is about several certificates, or that is signed by another algorithm
// than NVIDIA's, is bad input.
func parseOCSP(der []byte) (*ocspResponse, error) {
	if len(der) > maxOCSP {
		return nil, fmt.Errorf("OCSP response of %d bytes, limit %d", len(der), maxOCSP)
	}
	basic, err := readOCSP(der)
	if err != nil {
		return nil, fmt.Errorf("OCSP response: %w", err)
	}
	bare, err := withoutCertificates(der)
	if err != nil {
		return nil, fmt.Errorf("OCSP response: %w", err)
	}
	r, err := ocsp.ParseResponse(bare, nil)
	if err != nil {
		return nil, fmt.Errorf("OCSP response: %w", err)
	}
	if len(basic.Certificates) > 0 { // the first counts, others may follow it
		if r.Certificate, err = x509.ParseCertificate(basic.Certificates[0].FullBytes); err != nil {
			return nil, errors.New("OCSP response: the certificate in it cannot be read")
		}
	}
	return &ocspResponse{r, basic.Data.Responses[0].ID, sha256.Sum256(der)}, nil
}

// withoutCertificates leaves the unsigned certificates of a response out. Package
// ocsp verifies the signature of a response that has some while it reads it.
func withoutCertificates(der []byte) ([]byte, error) {
	var outer ocspOuter
	var basic ocspRaw
	if _, err := asn1.Unmarshal(der, &outer); err != nil {
		return nil, errors.New("malformed")
	}
	if _, err := asn1.Unmarshal(outer.Inner.Data, &basic); err != nil {
		return nil, errors.New("malformed")
	}
	basic.Certificates = asn1.RawValue{}
	var err error
	if outer.Inner.Data, err = asn1.Marshal(basic); err != nil {
		return nil, errors.New("malformed")
	}
	return asn1.Marshal(outer)
}

// readOCSP checks what package ocsp leaves out.
func readOCSP(der []byte) (*ocspBasic, error) {
	var outer ocspOuter
	if rest, err := asn1.Unmarshal(der, &outer); err != nil || len(rest) != 0 {
		return nil, errors.New("malformed")
	}
	if outer.Status != asn1.Enumerated(ocsp.Success) {
		return nil, fmt.Errorf("the responder answered: %v", ocsp.ResponseStatus(outer.Status))
	}
	var basic ocspBasic
	if _, err := asn1.Unmarshal(outer.Inner.Data, &basic); err != nil {
		return nil, errors.New("malformed")
	}
	if !strictDER(der, maxDERDepth) || !strictDER(outer.Inner.Data, maxDERDepth) {
		return nil, errors.New("malformed")
	}
	if len(basic.Data.Responses) != 1 {
		return nil, fmt.Errorf("about %d certificates, want 1", len(basic.Data.Responses))
	}
	if !basic.Algorithm.Algorithm.Equal(oidECDSAWithSHA384) {
		return nil, fmt.Errorf("signature algorithm %v, want ECDSA-SHA384", basic.Algorithm.Algorithm)
	}
	for _, x := range basic.Data.Extensions {
		if x.Critical {
			return nil, fmt.Errorf("unknown critical extension %v", x.Id)
		}
	}
	return &basic, nil
}

// isFor reports whether the response is about the certificate of this serial
// number by this issuer. The issuer counts: one responder key may serve several.
func (r *ocspResponse) isFor(c, issuer *x509.Certificate) bool {
	return r.id.Serial.Cmp(c.SerialNumber) == 0 &&
		bytes.Equal(r.id.IssuerName, r.sum(issuer.RawSubject)) && bytes.Equal(r.id.IssuerKey, r.sum(keyBits(issuer)))
}

// keyBits returns the public key as OCSP hashes it, nothing when it is malformed.
func keyBits(c *x509.Certificate) []byte {
	var key struct {
		Algorithm pkix.AlgorithmIdentifier
		Bits      asn1.BitString
	}
	if _, err := asn1.Unmarshal(c.RawSubjectPublicKeyInfo, &key); err != nil {
		return nil
	}
	return key.Bits.RightAlign()
}

func (r *ocspResponse) sum(b []byte) []byte {
	h := r.IssuerHash.New()
	h.Write(b)
	return h.Sum(nil)
}

// until returns the end of the response's validity. Without one, NVIDIA's own
// verifier counts one hour (attestation-sdk, DEFAULT_NEXT_UPDATE_TTL_SECONDS).
func (r *ocspResponse) until() time.Time {
	if r.NextUpdate.IsZero() {
		return r.ThisUpdate.Add(time.Hour)
	}
	return r.NextUpdate
}

// ocspSet holds responses by the serial number that they are about.
type ocspSet struct {
	bySerial map[string][]*ocspResponse
}

func (s *ocspSet) add(r *ocspResponse) {
	if s.bySerial == nil {
		s.bySerial = map[string][]*ocspResponse{}
	}
	k := r.SerialNumber.String()
	s.bySerial[k] = append(s.bySerial[k], r)
}
