package sim

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"fmt"
	"math/big"
	"slices"
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

// AMDChipConfig describes one simulated chip and the TCB that its endorsement
// key is for. The zero value is a good chip.
type AMDChipConfig struct {
	ChipID [amd.ChipIDSize]byte // default: random; only 8 bytes are used on Turin
	TCB    amd.TCB              // default: a TCB of the product's generation

	// VLEK endorses with the cloud provider's key instead of the chip's.
	VLEK  bool
	CSPID string // default "CN=simulated.example"; VLEK only

	NotBefore, NotAfter time.Time // default: the vendor's

	// EditExtensions changes AMD's extensions before they are signed; the key
	// is the rest of the identifier below 1.3.6.1.4.1.3704.1, such as "3.8".
	EditExtensions func(map[string][]byte)
	// EditLeaf changes the rest of the certificate template.
	EditLeaf func(*x509.Certificate)
}

// AMDChip is a simulated chip with an endorsed key.
type AMDChip struct {
	Leaf   *x509.Certificate // VCEK or VLEK
	ChipID [amd.ChipIDSize]byte
	TCB    amd.TCB
	VLEK   bool
	vendor *AMD
	key    *ecdsa.PrivateKey
}

// NewChip makes a chip and has its key endorsed.
func (a *AMD) NewChip(cfg AMDChipConfig) (*AMDChip, error) {
	c := &AMDChip{ChipID: cfg.ChipID, TCB: cfg.TCB, VLEK: cfg.VLEK, vendor: a}
	var err error
	if c.key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader); err != nil {
		return nil, err
	}
	if c.ChipID == ([amd.ChipIDSize]byte{}) {
		if _, err := rand.Read(c.ChipID[:]); err != nil {
			return nil, err
		}
	}
	if a.Product == amd.Turin {
		clear(c.ChipID[8:])
	}
	if c.TCB == (amd.TCB{}) {
		c.TCB = map[amd.Product]amd.TCB{
			amd.Milan: {Bootloader: 4, SNP: 24, Microcode: 219},
			amd.Genoa: {Bootloader: 10, SNP: 23, Microcode: 84},
			amd.Turin: {FMC: 1, Bootloader: 4, SNP: 24, Microcode: 219},
		}[a.Product]
	}
	ext := c.extensions(cfg.CSPID)
	if cfg.EditExtensions != nil {
		cfg.EditExtensions(ext)
	}
	ca, key, cn := a.ASK, a.ask, "SEV-VCEK"
	if cfg.VLEK {
		ca, key, cn = a.ASVK, a.asvk, "SEV-VLEK"
	}
	t := &x509.Certificate{
		SerialNumber: new(big.Int), Subject: a.name(cn), SignatureAlgorithm: x509.SHA384WithRSAPSS,
		NotBefore: a.notBefore, NotAfter: a.over, ExtraExtensions: amdExtensions(ext),
	}
	if !cfg.NotBefore.IsZero() {
		t.NotBefore = cfg.NotBefore
	}
	if !cfg.NotAfter.IsZero() {
		t.NotAfter = cfg.NotAfter
	}
	if cfg.EditLeaf != nil {
		cfg.EditLeaf(t)
	}
	pub := any(&c.key.PublicKey)
	if t.PublicKey != nil {
		pub = t.PublicKey
	}
	c.Leaf, err = sign(t, ca, pub, key)
	return c, err
}

func (c *AMDChip) extensions(csp string) map[string][]byte {
	product, version := c.vendor.Product.String(), 0
	spl := map[string]uint8{"3.1": c.TCB.Bootloader, "3.2": c.TCB.TEE, "3.3": c.TCB.SNP, "3.8": c.TCB.Microcode}
	if c.vendor.Product == amd.Turin {
		version = 1
		spl["3.9"] = c.TCB.FMC
		for i, n := range []string{"3.5", "3.6", "3.7"} {
			spl[n] = c.TCB.Reserved[i]
		}
	} else {
		for i, n := range []string{"3.4", "3.5", "3.6", "3.7"} {
			spl[n] = c.TCB.Reserved[i]
		}
		if !c.VLEK {
			product += "-B0"
		}
	}
	ext := map[string][]byte{"1": derInt(version), "2": derIA5(product)}
	for n, v := range spl {
		ext[n] = derInt(int(v))
	}
	if c.VLEK {
		if csp == "" {
			csp = "CN=simulated.example"
		}
		ext["5"] = derIA5(csp)
		return ext
	}
	ext["4"] = slices.Clone(c.ChipID[:])
	if c.vendor.Product == amd.Turin {
		ext["4"] = ext["4"][:8]
	}
	return ext
}

func derInt(v int) []byte {
	b, err := asn1.Marshal(v)
	if err != nil {
		panic("sim: an int has no DER form: " + err.Error())
	}
	return b
}

func derIA5(s string) []byte {
	b, err := asn1.MarshalWithParams(s, "ia5")
	if err != nil {
		panic("sim: name is not ASCII: " + err.Error())
	}
	return b
}

func amdExtensions(m map[string][]byte) []pkix.Extension {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	var out []pkix.Extension
	for _, k := range keys {
		id := asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 3704, 1}
		var major, minor int
		if n, _ := fmt.Sscanf(k, "%d.%d", &major, &minor); n == 2 {
			id = append(id, major, minor)
		} else {
			id = append(id, major)
		}
		out = append(out, pkix.Extension{Id: id, Value: m[k]})
	}
	return out
}

// AMDReport lists the fields of a report. Zero values are sensible: version 3,
// an unremarkable guest policy, VMPL 0, all TCBs those of the chip.
type AMDReport struct {
	Version     uint32 // default 3
	GuestSVN    uint32
	Policy      uint64 // default 0x30000: SMT allowed, nothing else
	VMPL        uint32
	Info        uint64 // platform info; default 0x25
	ReportData  [64]byte
	Measurement [48]byte
	HostData    [32]byte
	IDKey       [48]byte
	AuthorKey   [48]byte
	FamilyID    [16]byte
	ImageID     [16]byte

	Current, Reported, Committed, Launch *amd.TCB // default: the chip's

	MaskChipID bool // report a chip id of zero

	Edit       func([]byte) // changes the report before it is signed
	EditSigned func([]byte) // changes it afterwards
}

// Report signs a report.
func (c *AMDChip) Report(f AMDReport) ([]byte, error) {
	le := binary.LittleEndian
	b := make([]byte, amd.ReportSize)
	def := func(v, d uint64) uint64 {
		if v == 0 {
			return d
		}
		return v
	}
	version := uint32(def(uint64(f.Version), 3))
	le.PutUint32(b[0x000:], version)
	le.PutUint32(b[0x004:], f.GuestSVN)
	le.PutUint64(b[0x008:], def(f.Policy, 0x30000))
	copy(b[0x010:], f.FamilyID[:])
	copy(b[0x020:], f.ImageID[:])
	le.PutUint32(b[0x030:], f.VMPL)
	le.PutUint32(b[0x034:], 1)
	le.PutUint64(b[0x040:], def(f.Info, 0x25))
	if c.VLEK {
		le.PutUint32(b[0x048:], 1<<2)
	}
	copy(b[0x050:], f.ReportData[:])
	copy(b[0x090:], f.Measurement[:])
	copy(b[0x0c0:], f.HostData[:])
	copy(b[0x0e0:], f.IDKey[:])
	copy(b[0x110:], f.AuthorKey[:])
	if _, err := rand.Read(b[0x140:0x160]); err != nil {
		return nil, err
	}
	for i := range 32 {
		b[0x160+i] = 0xff
	}
	for off, t := range map[int]*amd.TCB{0x038: f.Current, 0x180: f.Reported, 0x1e0: f.Committed, 0x1f0: f.Launch} {
		if t == nil {
			t = &c.TCB
		}
		v := t.Encode(c.vendor.Product)
		copy(b[off:], v[:])
	}
	if version >= 3 {
		copy(b[0x188:], map[amd.Product][]byte{amd.Milan: {0x19, 0x01, 1}, amd.Genoa: {0x19, 0x11, 1}, amd.Turin: {0x1a, 0x02, 1}}[c.vendor.Product])
	}
	if !f.MaskChipID {
		copy(b[0x1a0:], c.ChipID[:])
	}
	copy(b[0x1e8:], []byte{0x1d, 0x37, 1, 0, 0x1d, 0x37, 1, 0})
	if f.Edit != nil {
		f.Edit(b)
	}
	if err := c.SignReport(b); err != nil {
		return nil, err
	}
	if f.EditSigned != nil {
		f.EditSigned(b)
	}
	return b, nil
}

// SignReport writes the signature of the chip's key into a report.
func (c *AMDChip) SignReport(b []byte) error {
	digest := sha512.Sum384(b[:amd.SignedSize])
	r, s, err := ecdsa.Sign(rand.Reader, c.key, digest[:])
	if err != nil {
		return err
	}
	clear(b[amd.SignedSize:])
	for i, v := range []*big.Int{r, s} {
		be := v.FillBytes(make([]byte, 48))
		slices.Reverse(be)
		copy(b[amd.SignedSize+72*i:], be)
	}
	return nil
}

// Documents returns the certificates above and of the chip's key, in DER form,
// ready for amd.ParseEndorsements: leaf, intermediate, root.
func (c *AMDChip) Documents() [][]byte {
	inter := c.vendor.ASK
	if c.VLEK {
		inter = c.vendor.ASVK
	}
	return [][]byte{c.Leaf.Raw, inter.Raw, c.vendor.ARK.Raw}
}
