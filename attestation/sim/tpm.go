package sim

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"time"

	"github.com/cocoon-go/cocoon/attestation/eventlog"
	"github.com/cocoon-go/cocoon/attestation/tpm"
)

// TPMOrganization is the organization in the names of simulated certificates of
// TPMs.
const TPMOrganization = "SIMULATION - NOT CONFIDENTIAL"

// TPMVendorConfig describes a simulated authority for attestation keys. The zero
// value is a good one.
type TPMVendorConfig struct {
	NotBefore, NotAfter time.Time // default: 2020-01-01 to 2045-01-01

	// CRL is where certificates say that the revocation lists of their issuers
	// are; none by default.
	CRL string

	CAKey crypto.Signer // of the authority below the root; default: a new one

	// EditRoot and EditCA change the certificate templates before they are
	// signed.
	EditRoot, EditCA func(*x509.Certificate)
}

// TPMVendor is a simulated authority that certifies attestation keys: a root and
// one authority below it.
type TPMVendor struct {
	Root, CA      *x509.Certificate
	rootKey, ca   crypto.Signer
	from, to      time.Time
	crl           string
	serial        int64
	organizations []string
}

// NewTPMVendor makes an authority.
func NewTPMVendor(cfg TPMVendorConfig) (*TPMVendor, error) {
	v := &TPMVendor{ca: cfg.CAKey, from: cfg.NotBefore, to: cfg.NotAfter, crl: cfg.CRL, organizations: []string{TPMOrganization}}
	if v.from.IsZero() {
		v.from = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	if v.to.IsZero() {
		v.to = time.Date(2045, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	var err error
	for _, k := range []*crypto.Signer{&v.rootKey, &v.ca} {
		if *k != nil {
			continue
		}
		if *k, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			return nil, err
		}
	}
	root := v.authority("Simulated TPM Root", cfg.EditRoot)
	root.CRLDistributionPoints = nil
	if v.Root, err = sign(root, root, v.rootKey.Public(), v.rootKey); err != nil {
		return nil, err
	}
	v.CA, err = sign(v.authority("Simulated TPM CA", cfg.EditCA), v.Root, v.ca.Public(), v.rootKey)
	return v, err
}

func (v *TPMVendor) template(cn string) *x509.Certificate {
	v.serial++
	t := &x509.Certificate{
		SerialNumber: big.NewInt(v.serial), Subject: pkix.Name{CommonName: cn, Organization: v.organizations},
		NotBefore: v.from, NotAfter: v.to, BasicConstraintsValid: true,
	}
	if v.crl != "" {
		t.CRLDistributionPoints = []string{v.crl}
	}
	return t
}

func (v *TPMVendor) authority(cn string, edit func(*x509.Certificate)) *x509.Certificate {
	t := v.template(cn)
	t.IsCA, t.KeyUsage = true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
	if edit != nil {
		edit(t)
	}
	return t
}

// RootFingerprint returns the SHA-256 of the root certificate, which a policy has
// to name before anything of this authority is accepted.
func (v *TPMVendor) RootFingerprint() [32]byte { return sha256.Sum256(v.Root.Raw) }

// CRLs signs a revocation list of the root and one of the authority below it, in
// DER form. Both list all given certificates.
func (v *TPMVendor) CRLs(thisUpdate, nextUpdate time.Time, edit func(*x509.RevocationList), revoked ...*x509.Certificate) ([][]byte, error) {
	t := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: thisUpdate, NextUpdate: nextUpdate}
	for _, c := range revoked {
		t.RevokedCertificateEntries = append(t.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: c.SerialNumber, RevocationTime: thisUpdate})
	}
	if edit != nil {
		edit(t)
	}
	root, err := x509.CreateRevocationList(rand.Reader, t, v.Root, v.rootKey)
	if err != nil {
		return nil, err
	}
	ca, err := x509.CreateRevocationList(rand.Reader, t, v.CA, v.ca)
	return [][]byte{root, ca}, err
}

// TPMConfig describes one simulated TPM. The zero value is a good one with an
// ECDSA P-256 key.
type TPMConfig struct {
	Scheme tpm.Scheme   // default tpm.ECDSA
	Hash   eventlog.Alg // of the scheme; default SHA-256
	Curve  elliptic.Curve
	Bits   int           // of an RSA key; default 2048
	Key    crypto.Signer // default: a new one; with one of ECDSA, quotes are reproducible

	Attributes tpm.Attributes // default: those of an attestation key
	Hierarchy  tpm.Hierarchy  // the key is a primary key of it; default endorsement
	Banks      []eventlog.Alg // default SHA-256
	EditPublic func([]byte)   // changes the public area before anything is made of it
	EditCert   func(*x509.Certificate)
	Unnamed    bool // a certificate without a subject, but with the names of the TPM, as hardware TPMs have
}

// TPM is a simulated TPM with an attestation key and registers.
type TPM struct {
	Certificate *x509.Certificate // of the attestation key
	Public      []byte            // TPMT_PUBLIC of the attestation key
	PCRs        tpm.PCRs          // current values of all registers; may be changed

	Reset, Restart uint32
	Firmware       uint64
	Clock          uint64 // milliseconds

	vendor *TPMVendor
	cfg    TPMConfig
	key    crypto.Signer
}

// NewTPM makes a TPM and has its attestation key certified.
func (v *TPMVendor) NewTPM(cfg TPMConfig) (*TPM, error) {
	cfg.defaults()
	t := &TPM{vendor: v, cfg: cfg, PCRs: tpm.PCRs{}, Reset: 3, Restart: 1, Firmware: 0x2026_0001, Clock: 77_000}
	for _, a := range cfg.Banks {
		t.PCRs[a] = startValues(a)
	}
	var err error
	switch {
	case cfg.Key != nil:
		t.key = cfg.Key
	case cfg.Scheme == tpm.ECDSA:
		t.key, err = ecdsa.GenerateKey(cfg.Curve, rand.Reader)
	default:
		t.key, err = rsa.GenerateKey(rand.Reader, cfg.Bits)
	}
	if err != nil {
		return nil, err
	}
	t.Public = t.publicArea()
	if cfg.EditPublic != nil {
		cfg.EditPublic(t.Public)
	}
	c := v.template("Simulated TPM AK")
	c.KeyUsage = x509.KeyUsageDigitalSignature
	c.UnknownExtKeyUsage = []asn1.ObjectIdentifier{{2, 23, 133, 8, 3}}
	if cfg.Unnamed {
		c.Subject = pkix.Name{}
		c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Critical: true, Value: directoryName()})
	}
	if cfg.EditCert != nil {
		cfg.EditCert(c)
	}
	t.Certificate, err = sign(c, v.CA, t.key.Public(), v.ca)
	return t, err
}

func (c *TPMConfig) defaults() {
	if c.Scheme == 0 {
		c.Scheme = tpm.ECDSA
	}
	if c.Hash == 0 {
		c.Hash = eventlog.SHA256
	}
	if c.Curve == nil {
		c.Curve = elliptic.P256()
	}
	if c.Bits == 0 {
		c.Bits = 2048
	}
	if c.Attributes == 0 {
		c.Attributes = tpm.FixedTPM | tpm.FixedParent | tpm.SensitiveDataOrigin | tpm.Restricted | tpm.Sign
	}
	if c.Hierarchy == 0 {
		c.Hierarchy = tpm.HierarchyEndorsement
	}
	if len(c.Banks) == 0 {
		c.Banks = []eventlog.Alg{eventlog.SHA256}
	}
}

// startValues returns the registers after a reset (PC Client Platform TPM
// Profile, 4.6.2): those of a dynamic launch are all ones.
func startValues(a eventlog.Alg) map[int][]byte {
	bank := map[int][]byte{}
	for i := range eventlog.NumPCRs {
		v := make([]byte, a.Hash().Size())
		for j := range v {
			if i >= 17 && i <= 22 {
				v[j] = 0xff
			}
		}
		bank[i] = v
	}
	return bank
}

// directoryName is an alternative name of the kind that TPMs have: maker, model
// and version in a directory name.
func directoryName() []byte {
	name, err := asn1.Marshal(pkix.RDNSequence{{
		{Type: asn1.ObjectIdentifier{2, 23, 133, 2, 1}, Value: "id:53494D00"},
		{Type: asn1.ObjectIdentifier{2, 23, 133, 2, 2}, Value: "simulated"},
		{Type: asn1.ObjectIdentifier{2, 23, 133, 2, 3}, Value: "id:00000001"},
	}})
	if err == nil {
		name, err = asn1.Marshal(asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 4, IsCompound: true, Bytes: name})
	}
	if err == nil {
		name, err = asn1.Marshal(asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: name})
	}
	if err != nil {
		panic("sim: a constant name has no DER form: " + err.Error())
	}
	return name
}

// Boot puts the registers into the state after the boot that a log describes.
func (t *TPM) Boot(l *EventLog) {
	for a, bank := range t.PCRs {
		for i, v := range l.PCRs(a) {
			bank[i] = v
		}
	}
}

// Extend extends a register in all banks by the digest of data.
func (t *TPM) Extend(pcr int, data []byte) error {
	for a, bank := range t.PCRs {
		old, ok := bank[pcr]
		if !ok {
			return fmt.Errorf("simulated TPM: no PCR %d", pcr)
		}
		bank[pcr] = digest(a, append(old[:len(old):len(old)], digest(a, data)...))
	}
	return nil
}
