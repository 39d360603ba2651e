package sim

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"io"
	"math/big"
	"time"
)

// NVIDIAOrganization is the organization in the names of simulated NVIDIA
// certificates. The common names are the genuine ones.
const NVIDIAOrganization = "SIMULATION - NOT CONFIDENTIAL"

const nvidiaOCSP = "http://ocsp.ndis.nvidia.com"

// NVIDIAConfig describes a simulated NVIDIA. The zero value is good for most
// uses.
type NVIDIAConfig struct {
	// NotBefore and NotAfter bound all certificates. Defaults: 2020-01-01 and
	// 2045-01-01.
	NotBefore, NotAfter time.Time

	// Edit changes the template of a certificate before it is signed. The roles
	// are "root", "identity", "provisioner", "device", "leaf" for devices,
	// "rim-root", "rim-ca", "rim-l3", "rim-signer" for RIM documents, and
	// "ocsp" for the responders.
	Edit func(role string, t *x509.Certificate)
}

// nvidiaCA is a certificate with its key.
type nvidiaCA struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NVIDIA is a simulated NVIDIA: the root of devices with an identity authority
// and a provisioner per kind of chip, the root and signers of RIM documents,
// and OCSP responders. All keys are on P-384. It is not safe for concurrent use.
type NVIDIA struct {
	cfg  NVIDIAConfig
	r    io.Reader
	root nvidiaCA

	identities   map[string]nvidiaCA // by the name of the certificate
	provisioners map[string]nvidiaCA // by chip
	responders   map[string]nvidiaCA // by the name of the issuer

	rim [4]nvidiaCA // signer, L3, CA, root
}

// NewNVIDIA makes a vendor from the randomness of r, nil for crypto/rand. The
// same bytes, configuration and calls give the same vendor.
func NewNVIDIA(r io.Reader, cfg NVIDIAConfig) (*NVIDIA, error) {
	if r == nil {
		r = rand.Reader
	}
	if cfg.NotBefore.IsZero() {
		cfg.NotBefore = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	if cfg.NotAfter.IsZero() {
		cfg.NotAfter = time.Date(2045, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	n := &NVIDIA{cfg: cfg, r: r, identities: map[string]nvidiaCA{}, provisioners: map[string]nvidiaCA{}, responders: map[string]nvidiaCA{}}
	var err error
	if n.root, err = n.authority("root", "NVIDIA Device Identity CA", nil); err != nil {
		return nil, err
	}
	return n, n.newRIMChain()
}

// Roots returns the SHA-256 of the two root certificates, of devices and of RIM
// documents, which a policy has to name before anything of this vendor is
// accepted.
func (n *NVIDIA) Roots() [][32]byte {
	return [][32]byte{sha256.Sum256(n.root.cert.Raw), sha256.Sum256(n.rim[3].cert.Raw)}
}

// chipAuthorities returns the provisioner and the identity authority of a chip,
// made on first use. Switches share the authority of GH100, as the genuine ones.
func (n *NVIDIA) chipAuthorities(chip string) (provisioner, identity nvidiaCA, err error) {
	name := "NVIDIA " + chip + " Identity"
	if chip == "LS_10" {
		name = "NVIDIA GH100 Identity"
	}
	identity, ok := n.identities[name]
	if !ok {
		if identity, err = n.authority("identity", name, &n.root); err != nil {
			return
		}
		n.identities[name] = identity
	}
	if provisioner, ok = n.provisioners[chip]; !ok {
		if provisioner, err = n.authority("provisioner", "NVIDIA "+chip+" Provisioner ICA 1", &identity); err != nil {
			return
		}
		n.provisioners[chip] = provisioner
	}
	return
}

// authority makes a key with the certificate of an authority. Without a parent
// it signs itself.
func (n *NVIDIA) authority(role, cn string, parent *nvidiaCA) (nvidiaCA, error) {
	t := n.template(cn)
	t.IsCA, t.KeyUsage = true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
	return n.issue(role, t, parent)
}

func (n *NVIDIA) template(cn string) *x509.Certificate {
	return &x509.Certificate{
		Subject:   pkix.Name{CommonName: cn, Organization: []string{NVIDIAOrganization}, Country: []string{"US"}},
		NotBefore: n.cfg.NotBefore, NotAfter: n.cfg.NotAfter, BasicConstraintsValid: true,
	}
}

// issue makes a key and signs its certificate.
func (n *NVIDIA) issue(role string, t *x509.Certificate, parent *nvidiaCA) (nvidiaCA, error) {
	key, err := n.key()
	if err != nil {
		return nvidiaCA{}, err
	}
	return n.certify(role, t, key, parent)
}

func (n *NVIDIA) certify(role string, t *x509.Certificate, key *ecdsa.PrivateKey, parent *nvidiaCA) (nvidiaCA, error) {
	if t.SerialNumber == nil {
		b := make([]byte, 16)
		if _, err := io.ReadFull(n.r, b); err != nil {
			return nvidiaCA{}, err
		}
		b[0] = b[0]&0x7f | 0x40
		t.SerialNumber = new(big.Int).SetBytes(b)
	}
	pub, err := key.PublicKey.Bytes()
	if err != nil {
		return nvidiaCA{}, err
	}
	id := sha1.Sum(pub)
	t.SubjectKeyId, t.SignatureAlgorithm = id[:], x509.ECDSAWithSHA384
	if parent != nil {
		t.OCSPServer = []string{nvidiaOCSP}
	}
	if n.cfg.Edit != nil {
		n.cfg.Edit(role, t)
	}
	out, signer, by := nvidiaCA{key: key}, key, t
	if parent != nil {
		signer, by = parent.key, parent.cert
	}
	subject := any(&key.PublicKey)
	if t.PublicKey != nil {
		subject = t.PublicKey
	}
	der, err := x509.CreateCertificate(n.r, t, by, subject, deterministic{signer})
	if err != nil {
		return out, fmt.Errorf("simulated certificate %q: %w", t.Subject.CommonName, err)
	}
	out.cert, err = x509.ParseCertificate(der)
	return out, err
}

// key makes a P-384 key from the source of randomness.
func (n *NVIDIA) key() (*ecdsa.PrivateKey, error) {
	for {
		b := make([]byte, 48)
		if _, err := io.ReadFull(n.r, b); err != nil {
			return nil, err
		}
		if k, err := ecdsa.ParseRawPrivateKey(elliptic.P384(), b); err == nil {
			return k, nil
		}
	}
}

// signP384 signs a SHA-384 digest and returns r || s.
func signP384(k *ecdsa.PrivateKey, digest []byte) ([]byte, error) {
	der, err := k.Sign(nil, digest, crypto.SHA384)
	if err != nil {
		return nil, err
	}
	var rs struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &rs); err != nil {
		return nil, err
	}
	out := make([]byte, 96)
	rs.R.FillBytes(out[:48])
	rs.S.FillBytes(out[48:])
	return out, nil
}
