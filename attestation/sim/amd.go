package sim

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"sync"
	"time"

	"github.com/cocoon-go/cocoon/attestation/amd"
)

// AMDOrganization is the organization in the names of simulated AMD
// certificates.
const AMDOrganization = "SIMULATION - NOT CONFIDENTIAL"

// AMDConfig describes a simulated AMD vendor for one product line.
type AMDConfig struct {
	Product amd.Product // required

	// NotBefore and NotAfter bound the root and intermediate certificates.
	// Defaults: 2020-01-01 and 2045-01-01.
	NotBefore, NotAfter time.Time

	// GenuineNames writes AMD's own organization into the names instead of
	// [AMDOrganization], for third-party verifiers that insist on it.
	GenuineNames bool

	// OtherKeys swaps the keys of the roles, which makes a second vendor of
	// the same names whose signatures do not verify under the first.
	OtherKeys bool

	// EditARK, EditASK, EditASVK change the certificate templates before they
	// are signed.
	EditARK, EditASK, EditASVK func(*x509.Certificate)
}

// AMD is a simulated AMD for one product line: a root key (ARK) and the keys
// that sign VCEKs (ASK) and VLEKs (ASVK). RSA-4096 keys are slow to make, so
// one set per process serves all of them.
type AMD struct {
	Product         amd.Product
	ARK, ASK, ASVK  *x509.Certificate
	ark, ask, asvk  *rsa.PrivateKey
	notBefore, over time.Time
	org             string
}

var amdKeys = sync.OnceValues(func() ([3]*rsa.PrivateKey, error) {
	var keys [3]*rsa.PrivateKey
	var errs [3]error
	var wg sync.WaitGroup
	for i := range keys {
		wg.Add(1)
		go func() {
			defer wg.Done()
			keys[i], errs[i] = rsa.GenerateKey(rand.Reader, 4096)
		}()
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return keys, err
		}
	}
	return keys, nil
})

// NewAMD makes a vendor. The first call of a process takes seconds.
func NewAMD(cfg AMDConfig) (*AMD, error) {
	keys, err := amdKeys()
	if err != nil {
		return nil, fmt.Errorf("simulated AMD keys: %w", err)
	}
	a := &AMD{Product: cfg.Product, ark: keys[0], ask: keys[1], asvk: keys[2],
		notBefore: cfg.NotBefore, over: cfg.NotAfter, org: AMDOrganization}
	if cfg.OtherKeys {
		a.ark, a.ask, a.asvk = keys[1], keys[2], keys[0]
	}
	if cfg.GenuineNames {
		a.org = "Advanced Micro Devices"
	}
	if a.notBefore.IsZero() {
		a.notBefore = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	if a.over.IsZero() {
		a.over = time.Date(2045, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	p := cfg.Product.String()
	ark := a.authority("ARK-"+p, 0x10000, amd.VCEK, &a.ark.PublicKey, cfg.EditARK)
	ark.KeyUsage |= x509.KeyUsageCRLSign
	if a.ARK, err = sign(ark, ark, &a.ark.PublicKey, a.ark); err != nil {
		return nil, err
	}
	for _, x := range []struct {
		cert **x509.Certificate
		key  *rsa.PrivateKey
		name string
		sn   int64
		kind amd.KeyKind
		edit func(*x509.Certificate)
	}{
		{&a.ASK, a.ask, "SEV-" + p, 0x10001, amd.VCEK, cfg.EditASK},
		{&a.ASVK, a.asvk, "SEV-VLEK-" + p, 0x10101, amd.VLEK, cfg.EditASVK},
	} {
		t := a.authority(x.name, x.sn, x.kind, &x.key.PublicKey, nil)
		t.MaxPathLenZero = true
		if x.edit != nil {
			x.edit(t)
		}
		if *x.cert, err = sign(t, a.ARK, &x.key.PublicKey, a.ark); err != nil {
			return nil, err
		}
	}
	return a, nil
}

func (a *AMD) name(cn string) pkix.Name {
	return pkix.Name{CommonName: cn, Organization: []string{a.org}, OrganizationalUnit: []string{"Engineering"},
		Country: []string{"US"}, Locality: []string{"Santa Clara"}, Province: []string{"CA"}}
}

func (a *AMD) authority(cn string, serial int64, kind amd.KeyKind, pub *rsa.PublicKey, edit func(*x509.Certificate)) *x509.Certificate {
	id := sha1.Sum(x509.MarshalPKCS1PublicKey(pub))
	t := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: a.name(cn), SubjectKeyId: id[:],
		NotBefore: a.notBefore, NotAfter: a.over, SignatureAlgorithm: x509.SHA384WithRSAPSS,
		BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign,
		CRLDistributionPoints: []string{amd.CRLURL(a.Product, kind)},
	}
	if edit != nil {
		edit(t)
	}
	return t
}

func sign(t, parent *x509.Certificate, pub any, key crypto.Signer) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, t, parent, pub, key)
	if err != nil {
		return nil, fmt.Errorf("simulated certificate %q: %w", t.Subject.CommonName, err)
	}
	return x509.ParseCertificate(der)
}

// Root returns the SHA-256 of the root certificate, which a policy has to name
// before anything of this vendor is accepted.
func (a *AMD) Root() [32]byte { return sha256.Sum256(a.ARK.Raw) }

// CRL signs a revocation list of the root, in DER form.
func (a *AMD) CRL(thisUpdate, nextUpdate time.Time, revoked ...*big.Int) ([]byte, error) {
	return a.EditedCRL(thisUpdate, nextUpdate, nil, revoked...)
}

// EditedCRL is [AMD.CRL] with a last change to the template.
func (a *AMD) EditedCRL(thisUpdate, nextUpdate time.Time, edit func(*x509.RevocationList), revoked ...*big.Int) ([]byte, error) {
	t := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: thisUpdate, NextUpdate: nextUpdate,
		SignatureAlgorithm: x509.SHA384WithRSAPSS}
	for _, sn := range revoked {
		t.RevokedCertificateEntries = append(t.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: sn, RevocationTime: thisUpdate})
	}
	if edit != nil {
		edit(t)
	}
	return x509.CreateRevocationList(rand.Reader, t, a.ARK, a.ark)
}
