package sim

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"time"
)

// IntelOptions says what kind of platform [NewIntel] makes. The zero value is
// good for most uses.
type IntelOptions struct {
	Now       time.Time // start of the certificates' validity is a day before; required
	Processor bool      // PCK issued by the processor CA rather than by the platform CA
	FMSPC     [6]byte   // zero means 514d00000000, which no real processor has
	Years     int       // validity of the certificates, default 7
	// Windows overrides the validity of single certificates: "root", "ca",
	// "signer", "pck".
	Windows map[string][2]time.Time
}

// Intel is a simulated Intel platform: root, PCK CA, TCB signer, one machine
// with its PCK and attestation key. It is safe for concurrent use.
type Intel struct {
	root, ca, signer, pck                 *x509.Certificate
	rootKey, caKey, signerKey, pckKey, ak *ecdsa.PrivateKey
	processor                             bool
	fmspc                                 [6]byte
	cpusvn                                [16]byte
	pcesvn                                int
	ppid                                  [16]byte
	qeSigner                              [32]byte
}

const (
	rootCRLURL = "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der"
	pckCRLURL  = "https://api.trustedservices.intel.com/sgx/certification/v4/pckcrl?ca=%s&encoding=der"
)

// NewIntel makes a platform from the randomness of r, nil for crypto/rand. The
// same bytes and options give the same platform.
func NewIntel(r io.Reader, o IntelOptions) (*Intel, error) {
	if o.Now.IsZero() {
		return nil, fmt.Errorf("sim: no time to make a platform at")
	}
	if r == nil {
		r = rand.Reader
	}
	if o.FMSPC == ([6]byte{}) {
		o.FMSPC = [6]byte{0x51, 0x4d}
	}
	if o.Years == 0 {
		o.Years = 7
	}
	p := &Intel{processor: o.Processor, fmspc: o.FMSPC, pcesvn: 13}
	for i := range 8 {
		p.cpusvn[i] = 3
	}
	from := o.Now.Add(-24 * time.Hour)
	m := &minter{r: r, from: from, to: from.AddDate(o.Years, 0, 0), windows: o.Windows} // Intel's end at the same second of a year, too
	for _, k := range []**ecdsa.PrivateKey{&p.rootKey, &p.caKey, &p.signerKey, &p.pckKey, &p.ak} {
		*k = m.key()
	}
	m.read(p.ppid[:])
	m.read(p.qeSigner[:])
	caName, caKind := "Intel SGX PCK Platform CA", "platform"
	if o.Processor {
		caName, caKind = "Intel SGX PCK Processor CA", "processor"
	}
	p.root = m.certificate("root", "Intel SGX Root CA", p.rootKey, nil, p.rootKey, rootCRLURL, 1)
	p.ca = m.certificate("ca", caName, p.caKey, p.root, p.rootKey, rootCRLURL, 0)
	p.signer = m.certificate("signer", "Intel SGX TCB Signing", p.signerKey, p.root, p.rootKey, rootCRLURL, -1)
	ext, err := p.sgxExtension()
	if err != nil {
		return nil, err
	}
	p.pck = m.certificate("pck", "Intel SGX PCK Certificate", p.pckKey, p.ca, p.caKey, fmt.Sprintf(pckCRLURL, caKind), -1,
		pkix.Extension{Id: oidSGX, Value: ext})
	return p, m.err
}

// RootFingerprint is the SHA-256 of the root certificate (DER), which a policy
// must name before it accepts this platform.
func (p *Intel) RootFingerprint() [32]byte { return sha256.Sum256(p.root.Raw) }

// RootPEM returns the root certificate.
func (p *Intel) RootPEM() []byte { return pemCerts(p.root) }

// PPID returns the identity of the simulated machine.
func (p *Intel) PPID() [16]byte { return p.ppid }

// FMSPC returns the family and platform type of the simulated machine.
func (p *Intel) FMSPC() [6]byte { return p.fmspc }

// CAPublicKey returns the public key of the CA that issued the PCK certificate,
// x || y, 64 bytes: the form in which a registry contract lists it.
func (p *Intel) CAPublicKey() [64]byte { return rawPublicKey(p.caKey) }

// PCKChain returns the chain PCK, CA, root as it stands in quotes.
func (p *Intel) PCKChain() []byte { return append(pemCerts(p.pck, p.ca, p.root), 0) }
