package tpm

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"slices"
)

var (
	// oidAttestationKey is tcg-kp-AIKCertificate (TCG Infrastructure Working
	// Group, "A CMC Profile for AIK Certificate Enrollment", 3.1).
	oidAttestationKey = asn1.ObjectIdentifier{2, 23, 133, 8, 3}
	oidAltName        = asn1.ObjectIdentifier{2, 5, 29, 17}
)

// parseLeaf reads the certificate of an attestation key. It checks its form and
// that it is for this key, not who signed it.
func parseLeaf(der []byte, key crypto.PublicKey) (*x509.Certificate, error) {
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, inputAt(StepEvidence, "the first certificate cannot be read")
	}
	// The alternative name of a TPM is a directory name, which crypto/x509 does
	// not know, and critical when the subject is empty. No name is relied on.
	c.UnhandledCriticalExtensions = slices.DeleteFunc(c.UnhandledCriticalExtensions, oidAltName.Equal)
	if err := checkLeaf(c, key); err != nil {
		return nil, falseAt(StepCertificate, "%w", err)
	}
	return c, nil
}

func checkLeaf(c *x509.Certificate, key crypto.PublicKey) error {
	if k, ok := c.PublicKey.(interface{ Equal(crypto.PublicKey) bool }); !ok || !k.Equal(key) {
		return fmt.Errorf("the certificate is for another key than the attestation key")
	}
	if c.IsCA {
		return fmt.Errorf("the certificate is one of an authority, not of an attestation key")
	}
	if len(c.UnhandledCriticalExtensions) != 0 {
		return fmt.Errorf("the certificate has the unknown critical extension %v", c.UnhandledCriticalExtensions[0])
	}
	if !slices.ContainsFunc(c.UnknownExtKeyUsage, oidAttestationKey.Equal) {
		return fmt.Errorf("the certificate is not one of an attestation key: it lacks the extended key usage %v", oidAttestationKey)
	}
	if c.KeyUsage != 0 && c.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		return fmt.Errorf("the certificate forbids its key to sign")
	}
	return nil
}

// issuers returns the certificates among candidates whose names say that they
// issued c.
func issuers(c *x509.Certificate, candidates []*x509.Certificate) []*x509.Certificate {
	var out []*x509.Certificate
	for _, ca := range candidates {
		if bytes.Equal(ca.RawSubject, c.RawIssuer) && len(out) < maxTries {
			out = append(out, ca)
		}
	}
	return out
}
