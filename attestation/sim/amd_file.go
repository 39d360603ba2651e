package sim

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/amd"
)

// AMDMachine is a simulated AMD with one machine of it, to be kept between
// processes. Safe for concurrent use.
type AMDMachine struct {
	Vendor *AMD
	Chip   *AMDChip
}

// NewAMDMachine makes a machine of a vendor of its own, EPYC of the fourth
// generation. The first call of a process takes seconds.
func NewAMDMachine() (*AMDMachine, error) {
	v, err := NewAMD(AMDConfig{Product: amd.Genoa})
	if err != nil {
		return nil, err
	}
	c, err := v.NewChip(AMDChipConfig{})
	return &AMDMachine{v, c}, err
}

// Endorsements returns everything that a report of the machine needs, as files:
// its certificates, and a revocation list from one time to another.
func (m *AMDMachine) Endorsements(from, to time.Time) ([]File, error) {
	list, err := m.Vendor.CRL(from, to)
	if err != nil {
		return nil, err
	}
	out := []File{{Name: "amd-crl.der", Data: list}}
	for i, d := range m.Chip.Documents() {
		out = append(out, File{Name: fmt.Sprintf("amd-%s.der", []string{"vcek", "ask", "ark"}[i]), Data: d})
	}
	return out, nil
}

// AMDMachineFile is the name of the file of a stored machine, with its private
// keys.
const AMDMachineFile = "amd.json"

const amdFormat = "cocoon/sim-amd/v1"

type amdFile struct {
	Format      string  `json:"format"`
	Warning     string  `json:"warning"`
	Fingerprint string  `json:"root_fingerprint"`
	ChipID      string  `json:"chip_id"`
	TCB         amd.TCB `json:"tcb"`

	ARK  intelIdentity `json:"ark"`
	ASK  intelIdentity `json:"ask"` // without its key: no other chip is endorsed
	Chip intelIdentity `json:"vcek"`
}

// File returns the machine as a file to keep it between processes.
func (m *AMDMachine) File() (File, error) {
	root := m.Vendor.Root()
	f := amdFile{Format: amdFormat, Warning: intelWarning, Fingerprint: "sha256:" + hex.EncodeToString(root[:]),
		ChipID: hex.EncodeToString(m.Chip.ChipID[:]), TCB: m.Chip.TCB, ASK: intelIdentity{Certificate: string(pemCerts(m.Vendor.ASK))}}
	for _, i := range []struct {
		to   *intelIdentity
		cert *x509.Certificate
		key  any
	}{{&f.ARK, m.Vendor.ARK, m.Vendor.ark}, {&f.Chip, m.Chip.Leaf, m.Chip.key}} {
		der, err := x509.MarshalPKCS8PrivateKey(i.key)
		if err != nil {
			return File{}, err
		}
		*i.to = intelIdentity{string(pemCerts(i.cert)), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))}
	}
	data, err := json.MarshalIndent(&f, "", "  ")
	return File{AMDMachineFile, append(data, '\n'), true}, err
}

// ParseAMDMachine reads the content of [AMDMachineFile]. The machine can sign
// reports and revocation lists, and endorse no other chip.
func ParseAMDMachine(data []byte) (*AMDMachine, error) {
	if len(data) > maxPlatformSize {
		return nil, attestation.BadInput("simulated AMD machine: %d bytes, the limit is %d", len(data), maxPlatformSize)
	}
	var f amdFile
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return nil, attestation.BadInput("simulated AMD machine: %v", err)
	}
	if f.Format != amdFormat {
		return nil, attestation.BadInput("simulated AMD machine: format %q, want %q", f.Format, amdFormat)
	}
	m, err := f.machine()
	if err != nil {
		return nil, attestation.BadInput("simulated AMD machine: %w", err)
	}
	return m, nil
}

func (f *amdFile) machine() (*AMDMachine, error) {
	v := &AMD{Product: amd.Genoa, org: AMDOrganization}
	c := &AMDChip{TCB: f.TCB, vendor: v}
	id, err := hex.DecodeString(f.ChipID)
	if err != nil || len(id) != len(c.ChipID) {
		return nil, fmt.Errorf("%.40q is not %d hexadecimal digits", f.ChipID, 2*len(c.ChipID))
	}
	copy(c.ChipID[:], id)
	if v.ARK, v.ark, err = parsePair[*rsa.PrivateKey](f.ARK); err != nil {
		return nil, err
	}
	if v.ASK, err = parseCertificate(f.ASK.Certificate); err != nil {
		return nil, err
	}
	if c.Leaf, c.key, err = parsePair[*ecdsa.PrivateKey](f.Chip); err != nil {
		return nil, err
	}
	if c.key.Curve != elliptic.P384() {
		return nil, fmt.Errorf("the chip's key is not on P-384")
	}
	v.notBefore, v.over = v.ARK.NotBefore, v.ARK.NotAfter
	return &AMDMachine{v, c}, nil
}

func parseCertificate(text string) (*x509.Certificate, error) {
	der, err := pemBlock(text, "CERTIFICATE")
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// parsePair reads a certificate with its private key. The key is in no error.
func parsePair[K interface {
	comparable
	Public() crypto.PublicKey
}](i intelIdentity) (*x509.Certificate, K, error) {
	var none K
	c, err := parseCertificate(i.Certificate)
	if err != nil {
		return nil, none, err
	}
	der, err := pemBlock(i.Key, "PRIVATE KEY")
	if err != nil {
		return nil, none, err
	}
	k, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, none, fmt.Errorf("a private key does not parse") // the cause could quote it
	}
	key, ok := k.(K)
	if !ok {
		return nil, none, fmt.Errorf("a private key is of another type than %q needs", c.Subject.CommonName)
	}
	if p, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool }); !ok || !p.Equal(c.PublicKey) {
		return nil, none, fmt.Errorf("the key of %q does not fit its certificate", c.Subject.CommonName)
	}
	return c, key, nil
}
