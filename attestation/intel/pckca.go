package intel

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"time"

	"github.com/cocoon-go/cocoon/attestation/fault"
)

// PCKCA is a certificate of a CA that signs PCK certificates. That it has the form
// of one says nothing of who made it: [PCKCA.Genuine] does.
type PCKCA struct {
	cert *x509.Certificate
}

// ParsePCKCA reads the certificate of a PCK Platform CA or a PCK Processor CA, in
// PEM or DER form: by its names, its key on P-256, and what it may be used for
// (Intel SGX PCK Certificate and CRL Profile Specification, sections 1.2 and 1.3).
// Errors are [*fault.InputError].
func ParsePCKCA(data []byte) (*PCKCA, error) {
	if p, rest := pem.Decode(data); p != nil {
		if p.Type != "CERTIFICATE" || len(bytes.TrimSpace(rest)) != 0 {
			return nil, fault.BadInput("want one certificate in PEM or DER form, and nothing else")
		}
		data = p.Bytes
	}
	c, err := x509.ParseCertificate(data)
	if err != nil {
		return nil, fault.BadInput("not a certificate: %v", err)
	}
	if err := checkRole(c, rolePCKCA); err != nil {
		return nil, fault.BadInput("not a certificate of Intel's SGX PCK Platform CA or SGX PCK Processor CA: %v", err)
	}
	return &PCKCA{c}, nil
}

// Platform reports whether it is the Platform CA, which signs for machines with
// several sockets; otherwise it is the Processor CA.
func (c *PCKCA) Platform() bool { return c.cert.Subject.CommonName == namePlatformCA }

// Key returns the CA's public key: x and y, 32 bytes each.
func (c *PCKCA) Key() (key [64]byte) {
	b, err := c.cert.PublicKey.(*ecdsa.PublicKey).Bytes() // 4 || x || y
	if err != nil {
		panic("intel: a parsed key is not on its curve: " + err.Error())
	}
	copy(key[:], b[1:])
	return key
}

// Valid returns an [*fault.UnknownError] when the certificate is not valid at a
// time.
func (c *PCKCA) Valid(at time.Time) error { return certWindow(c.cert).check(at) }

// Genuine returns nil when the built-in Intel SGX Root CA signed the certificate,
// otherwise an [*fault.FalseError]. Whether Intel has revoked it since, only the
// root's revocation list says.
func (c *PCKCA) Genuine() error { return checkIssued(c.cert, intelRoot()) }
