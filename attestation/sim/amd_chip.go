package sim

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/cocoon-go/cocoon/attestation/amd"
)

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

// Documents returns the certificates above and of the chip's key, in DER form,
// ready for amd.ParseEndorsements: leaf, intermediate, root.
func (c *AMDChip) Documents() [][]byte {
	inter := c.vendor.ASK
	if c.VLEK {
		inter = c.vendor.ASVK
	}
	return [][]byte{c.Leaf.Raw, inter.Raw, c.vendor.ARK.Raw}
}
