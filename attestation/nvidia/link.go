package nvidia

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
)

// maxCertificates bounds a chain.
const maxCertificates = 8

// verifyLinks checks that every certificate of a chain, leaf first, was signed
// by the next one. The last is not checked: a root is trusted by its digest.
func verifyLinks(chain []*x509.Certificate, m *memo) error {
	if len(chain) < 2 || len(chain) > maxCertificates {
		return fmt.Errorf("%d certificates, want 2 to %d", len(chain), maxCertificates)
	}
	for i, c := range chain[:len(chain)-1] {
		ca := chain[i+1]
		if ca.MaxPathLen >= 0 && i > ca.MaxPathLen {
			return fmt.Errorf("%q has %d authorities below it, at most %d are allowed", ca.Subject.CommonName, i, ca.MaxPathLen)
		}
		if err := once(m, linkKey(c, ca), func() error { return signedBy(c, ca) }); err != nil {
			return err
		}
	}
	return nil
}

// signedBy checks that ca may sign certificates, that c names it as its issuer,
// and that it signed c with the one algorithm that NVIDIA uses: ECDSA on P-384
// with SHA-384.
func signedBy(c, ca *x509.Certificate) error {
	if !bytes.Equal(c.RawIssuer, ca.RawSubject) {
		return fmt.Errorf("%q is issued by %q, not by %q", c.Subject.CommonName, c.Issuer.CommonName, ca.Subject.CommonName)
	}
	if _, err := p384(ca); err != nil {
		return err
	}
	if c.SignatureAlgorithm != x509.ECDSAWithSHA384 {
		return fmt.Errorf("%q has signature algorithm %v, want ECDSA-SHA384", c.Subject.CommonName, c.SignatureAlgorithm)
	}
	if len(c.UnhandledCriticalExtensions) != 0 || len(ca.UnhandledCriticalExtensions) != 0 {
		return fmt.Errorf("%q or its issuer has unknown critical extensions", c.Subject.CommonName)
	}
	if err := c.CheckSignatureFrom(ca); err != nil {
		return fmt.Errorf("%q is not signed by %q: %w", c.Subject.CommonName, ca.Subject.CommonName, err)
	}
	return nil
}

// p384 returns the key of a certificate.
func p384(c *x509.Certificate) (*ecdsa.PublicKey, error) {
	k, ok := c.PublicKey.(*ecdsa.PublicKey)
	if !ok || k.Curve != elliptic.P384() {
		return nil, errors.New("the key of " + c.Subject.CommonName + " is not on P-384")
	}
	return k, nil
}

func linkKey(c, ca *x509.Certificate) [32]byte {
	d, e := sha256.Sum256(c.Raw), sha256.Sum256(ca.Raw)
	return digestOf("link", d[:], e[:])
}

// digestOf returns a key for a [cache]: SHA-256 over a domain and parts of fixed
// length.
func digestOf(domain string, parts ...[]byte) (out [32]byte) {
	h := sha256.New()
	h.Write([]byte("nvidia " + domain + "\n"))
	for _, p := range parts {
		h.Write(p)
	}
	h.Sum(out[:0])
	return out
}
