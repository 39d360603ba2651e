package intel

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	_ "embed"
	"encoding/pem"
	"slices"
	"sync"
	"time"

	"github.com/cocoon-go/cocoon/attestation/fault"
)

// Common names that give a certificate its role, as in Intel's library.
const (
	nameRoot        = "Intel SGX Root CA"
	namePlatformCA  = "Intel SGX PCK Platform CA"
	nameProcessorCA = "Intel SGX PCK Processor CA"
	nameSigner      = "Intel SGX TCB Signing"
	namePCK         = "Intel SGX PCK Certificate"
)

// rootPEM is the Intel SGX Root CA, from
// https://certificates.trustedservices.intel.com/Intel_SGX_Provisioning_Certification_RootCA.pem
//
//go:embed root.pem
var rootPEM []byte

var intelRoot = sync.OnceValue(func() *x509.Certificate {
	b, _ := pem.Decode(rootPEM)
	c, err := x509.ParseCertificate(b.Bytes)
	if err != nil {
		panic("intel: the built-in root does not parse: " + err.Error())
	}
	return c
})

// RootFingerprint returns the SHA-256 of Intel's SGX Root CA certificate (DER),
// the vendor root that is built in.
func RootFingerprint() [32]byte { return sha256.Sum256(intelRoot().Raw) }

// maxChainCerts bounds the certificates of one PEM text.
const maxChainCerts = 64

// parseCerts reads the certificates of a PEM text. Text around them is
// skipped; NUL bytes at the end, which Intel's chains carry, too.
func parseCerts(p []byte) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for {
		b, rest := pem.Decode(p)
		if b == nil {
			break
		}
		p = rest
		if b.Type != "CERTIFICATE" {
			return nil, fault.BadInput("certificate chain: unexpected PEM block %q", b.Type)
		}
		if len(out) == maxChainCerts {
			return nil, fault.BadInput("certificate chain: more than %d certificates", maxChainCerts)
		}
		c, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			return nil, fault.BadInput("certificate chain: certificate %d: %v", len(out)+1, err)
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, fault.BadInput("certificate chain: no PEM certificate in it")
	}
	return out, nil
}

// window is an interval of validity, both ends included.
type window struct {
	from, to time.Time
	fromWhat string // the document that sets from
	toWhat   string // the document that sets to
}

func certWindow(c *x509.Certificate) window {
	what := "certificate " + c.Subject.CommonName
	return window{c.NotBefore, c.NotAfter, what, what}
}

// and returns the intersection.
func (w window) and(o window) window {
	if w.from.IsZero() || o.from.After(w.from) {
		w.from, w.fromWhat = o.from, o.fromWhat
	}
	if w.to.IsZero() || o.to.Before(w.to) {
		w.to, w.toWhat = o.to, o.toWhat
	}
	return w
}

func (w window) contains(at time.Time) bool { return !at.Before(w.from) && !at.After(w.to) }

// check returns an [*fault.UnknownError] that names the document whose window
// does not contain at.
func (w window) check(at time.Time) error {
	if at.Before(w.from) {
		return fault.Unknown("%s is not valid before %s, and the time of the check is %s", w.fromWhat, stamp(w.from), stamp(at))
	}
	if at.After(w.to) {
		return fault.Unknown("%s expired at %s, and the time of the check is %s", w.toWhat, stamp(w.to), stamp(at))
	}
	return nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// role says what a certificate must be to stand at one place of a chain.
type role struct {
	names []string
	ca    bool
}

var (
	roleRoot   = role{[]string{nameRoot}, true}
	rolePCKCA  = role{[]string{namePlatformCA, nameProcessorCA}, true}
	roleSigner = role{[]string{nameSigner}, false}
	rolePCK    = role{[]string{namePCK}, false}
)

// checkRole refuses a certificate that is not made for the place where it stands.
func checkRole(c *x509.Certificate, r role) error {
	if !slices.Contains(r.names, c.Subject.CommonName) {
		return fault.False("certificate %q stands where %q belongs", c.Subject.CommonName, r.names[0])
	}
	if c.IsCA != r.ca || !c.BasicConstraintsValid {
		return fault.False("certificate %q: CA flag is %v, want %v", c.Subject.CommonName, c.IsCA, r.ca)
	}
	if r.ca && c.KeyUsage&(x509.KeyUsageCertSign|x509.KeyUsageCRLSign) != x509.KeyUsageCertSign|x509.KeyUsageCRLSign {
		return fault.False("certificate %q: may not sign certificates and CRLs", c.Subject.CommonName)
	}
	if len(c.UnhandledCriticalExtensions) != 0 {
		return fault.False("certificate %q: unknown critical extension %v", c.Subject.CommonName, c.UnhandledCriticalExtensions[0])
	}
	if k, ok := c.PublicKey.(*ecdsa.PublicKey); !ok || k.Curve != elliptic.P256() {
		return fault.False("certificate %q: its key is not on P-256", c.Subject.CommonName)
	}
	return nil
}

// checkIssued verifies that parent signed c.
func checkIssued(c, parent *x509.Certificate) error {
	if !bytes.Equal(c.RawIssuer, parent.RawSubject) {
		return fault.False("certificate %q: its issuer is not %q", c.Subject.CommonName, parent.Subject.CommonName)
	}
	if c.SignatureAlgorithm != x509.ECDSAWithSHA256 {
		return fault.False("certificate %q: signature algorithm %s, want ECDSA-SHA256", c.Subject.CommonName, c.SignatureAlgorithm)
	}
	if err := c.CheckSignatureFrom(parent); err != nil {
		return fault.False("certificate %q: the signature of %q does not verify: %v", c.Subject.CommonName, parent.Subject.CommonName, err)
	}
	return nil
}

// verifyRaw verifies an ECDSA P-256 signature of the form r || s over SHA-256.
func verifyRaw(key *ecdsa.PublicKey, digest *[32]byte, sig []byte) bool {
	if len(sig) != signatureSize {
		return false
	}
	var buf [72]byte
	return ecdsa.VerifyASN1(key, digest[:], appendDERSignature(buf[:0], sig))
}

// appendDERSignature writes r || s as an ASN.1 sequence of two integers.
func appendDERSignature(b, sig []byte) []byte {
	b = append(b, 0x30, 0)
	for _, n := range [][]byte{sig[:32], sig[32:64]} {
		for len(n) > 1 && n[0] == 0 {
			n = n[1:]
		}
		if n[0]&0x80 != 0 {
			b = append(b, 2, byte(len(n)+1), 0)
		} else {
			b = append(b, 2, byte(len(n)))
		}
		b = append(b, n...)
	}
	b[1] = byte(len(b) - 2)
	return b
}
