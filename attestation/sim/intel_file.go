package sim

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"

	"github.com/cocoon-go/cocoon/attestation"
)

// File is one file of a stored platform. Storing it is up to the caller: with
// mode 0600 when Secret is set.
type File struct {
	Name   string
	Data   []byte
	Secret bool
}

// Names of the files of a stored Intel platform.
const (
	IntelPlatformFile = "intel.json"     // everything, with the private keys
	IntelRootFile     = "intel-root.pem" // the root certificate
	intelFormat       = "cocoon/sim-intel/v1"
	intelWarning      = "simulated platform: for development only, protects nothing"
	maxPlatformSize   = 1 << 20
)

type intelFile struct {
	Format      string `json:"format"`
	Warning     string `json:"warning"`
	Fingerprint string `json:"root_fingerprint"`
	Processor   bool   `json:"processor_ca"`
	FMSPC       string `json:"fmspc"`
	CPUSVN      string `json:"cpusvn"`
	PCESVN      int    `json:"pcesvn"`
	PPID        string `json:"ppid"`
	QESigner    string `json:"qe_mrsigner"`

	Root   intelIdentity `json:"root"`
	CA     intelIdentity `json:"pck_ca"`
	Signer intelIdentity `json:"tcb_signer"`
	PCK    intelIdentity `json:"pck"`
	AK     intelIdentity `json:"attestation"`
}

// intelIdentity is a key with its certificate, in PEM. The attestation key has
// no certificate.
type intelIdentity struct {
	Certificate string `json:"certificate,omitempty"`
	Key         string `json:"key"`
}

// Files returns the platform as files to keep it between processes.
func (p *Intel) Files() ([]File, error) {
	fp := p.RootFingerprint()
	f := intelFile{Format: intelFormat, Warning: intelWarning, Fingerprint: "sha256:" + hex.EncodeToString(fp[:]), Processor: p.processor,
		FMSPC: hex.EncodeToString(p.fmspc[:]), CPUSVN: hex.EncodeToString(p.cpusvn[:]), PCESVN: p.pcesvn,
		PPID: hex.EncodeToString(p.ppid[:]), QESigner: hex.EncodeToString(p.qeSigner[:])}
	for _, i := range p.identities(&f) {
		der, err := x509.MarshalPKCS8PrivateKey(*i.key)
		if err != nil {
			return nil, err
		}
		i.to.Key = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
		if i.cert != nil {
			i.to.Certificate = string(pemCerts(*i.cert))
		}
	}
	data, err := json.MarshalIndent(&f, "", "  ")
	if err != nil {
		return nil, err
	}
	return []File{{IntelPlatformFile, append(data, '\n'), true}, {IntelRootFile, p.RootPEM(), false}}, nil
}

type identity struct {
	to   *intelIdentity
	cert **x509.Certificate
	key  **ecdsa.PrivateKey
}

func (p *Intel) identities(f *intelFile) []identity {
	return []identity{
		{&f.Root, &p.root, &p.rootKey}, {&f.CA, &p.ca, &p.caKey}, {&f.Signer, &p.signer, &p.signerKey},
		{&f.PCK, &p.pck, &p.pckKey}, {&f.AK, nil, &p.ak},
	}
}

// ParseIntel reads the content of [IntelPlatformFile].
func ParseIntel(data []byte) (*Intel, error) {
	if len(data) > maxPlatformSize {
		return nil, attestation.BadInput("simulated platform: %d bytes, the limit is %d", len(data), maxPlatformSize)
	}
	var f intelFile
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return nil, attestation.BadInput("simulated platform: %v", err)
	}
	if f.Format != intelFormat {
		return nil, attestation.BadInput("simulated platform: format %q, want %q", f.Format, intelFormat)
	}
	p := &Intel{processor: f.Processor, pcesvn: f.PCESVN}
	for _, h := range []struct {
		text string
		to   []byte
	}{{f.FMSPC, p.fmspc[:]}, {f.CPUSVN, p.cpusvn[:]}, {f.PPID, p.ppid[:]}, {f.QESigner, p.qeSigner[:]}} {
		b, err := hex.DecodeString(h.text)
		if err != nil || len(b) != len(h.to) {
			return nil, attestation.BadInput("simulated platform: %q is not %d hexadecimal digits", h.text, 2*len(h.to))
		}
		copy(h.to, b)
	}
	for _, i := range p.identities(&f) {
		if err := i.parse(); err != nil {
			return nil, attestation.BadInput("simulated platform: %w", err)
		}
	}
	return p, nil
}

func (i *identity) parse() error {
	der, err := pemBlock(i.to.Key, "PRIVATE KEY")
	if err != nil {
		return err
	}
	k, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return fmt.Errorf("a private key does not parse") // the cause could quote it
	}
	key, ok := k.(*ecdsa.PrivateKey)
	if !ok || key.Curve != elliptic.P256() {
		return fmt.Errorf("a private key is not on P-256")
	}
	*i.key = key
	if i.cert == nil {
		return nil
	}
	if der, err = pemBlock(i.to.Certificate, "CERTIFICATE"); err != nil {
		return err
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return err
	}
	if !key.PublicKey.Equal(c.PublicKey) {
		return fmt.Errorf("the key of %q does not fit its certificate", c.Subject.CommonName)
	}
	*i.cert = c
	return nil
}

func pemBlock(text, kind string) ([]byte, error) {
	b, rest := pem.Decode([]byte(text))
	if b == nil || b.Type != kind || len(bytes.TrimSpace(rest)) != 0 {
		return nil, fmt.Errorf("want one PEM block %q", kind)
	}
	return b.Bytes, nil
}
