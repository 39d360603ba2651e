package intel

import (
	"crypto/x509"
	"encoding/asn1"

	"github.com/cocoon-go/cocoon/attestation/fault"
)

// Platform is what the PCK certificate says of one machine: the SGX extensions,
// OID 1.2.840.113741.1.13.1 (Intel, "SGX PCK certificate and CRL profile").
type Platform struct {
	PPID   [16]byte // identity of the machine's processors
	CPUSVN [16]byte // security versions of the processor's components
	PCESVN uint16   // security version of the provisioning certification enclave
	PCEID  [2]byte  // which provisioning certification enclave
	FMSPC  [6]byte  // processor family and platform type
	CA     string   // "platform" or "processor"
	// InstanceID and the three flags exist only under the platform CA.
	InstanceID      [16]byte
	DynamicPlatform bool // processors can be added
	CachedKeys      bool // Intel keeps the platform's keys
	SMT             bool // hyper-threading is on
}

var oidSGX = asn1.ObjectIdentifier{1, 2, 840, 113741, 1, 13, 1}

// oidSGXBytes is the content of the DER encoding of oidSGX, the prefix of
// every identifier inside the extension.
var oidSGXBytes = []byte{0x2a, 0x86, 0x48, 0x86, 0xf8, 0x4d, 0x01, 0x0d, 0x01}

// Tags of DER that occur in the extension.
const (
	derBool   = 0x01
	derInt    = 0x02
	derOctets = 0x04
	derOID    = 0x06
	derEnum   = 0x0a
	derSeq    = 0x30
)

// der reads DER values with short and one- or two-byte long lengths.
type der struct{ b []byte }

// next returns the content of the next value, which must have the given tag.
func (d *der) next(tag byte) ([]byte, bool) {
	if len(d.b) < 2 || d.b[0] != tag {
		return nil, false
	}
	n, head := int(d.b[1]), 2
	switch {
	case n < 0x80:
	case n == 0x81 && len(d.b) > 2 && d.b[2] >= 0x80:
		n, head = int(d.b[2]), 3
	case n == 0x82 && len(d.b) > 3 && d.b[2] != 0:
		n, head = int(d.b[2])<<8|int(d.b[3]), 4
	default:
		return nil, false
	}
	if len(d.b)-head < n {
		return nil, false
	}
	v := d.b[head : head+n]
	d.b = d.b[head+n:]
	return v, true
}

// pair reads SEQUENCE { OID oidSGX.path.n, value } and returns n and the rest.
func (d *der) pair(path ...byte) (n byte, value der, ok bool) {
	s, ok := d.next(derSeq)
	if !ok {
		return 0, der{}, false
	}
	value = der{s}
	id, ok := value.next(derOID)
	want := len(oidSGXBytes) + len(path) + 1
	if !ok || len(id) != want || string(id[:len(oidSGXBytes)]) != string(oidSGXBytes) ||
		string(id[len(oidSGXBytes):want-1]) != string(path) {
		return 0, der{}, false
	}
	return id[want-1], value, true
}

// fixed reads an octet string of exactly len(dst) bytes that ends the value.
func (d der) fixed(dst []byte) bool {
	v, ok := d.next(derOctets)
	return ok && len(d.b) == 0 && len(v) == len(dst) && copy(dst, v) == len(dst)
}

// uint reads a non-negative integer of at most 16 bits that ends the value.
func (d der) uint(tag byte) (uint16, bool) {
	v, ok := d.next(tag)
	if !ok || len(d.b) != 0 || len(v) == 0 || len(v) > 3 || v[0]&0x80 != 0 {
		return 0, false
	}
	if len(v) > 1 && v[0] == 0 && v[1]&0x80 == 0 {
		return 0, false // not minimal
	}
	n := 0
	for _, c := range v {
		n = n<<8 | int(c)
	}
	return uint16(n), n <= 0xffff
}

// parsePlatform reads the SGX extension of a PCK certificate, strictly: every
// field once, nothing unknown.
func parsePlatform(c *x509.Certificate) (*Platform, error) {
	var ext []byte
	for _, e := range c.Extensions {
		if e.Id.Equal(oidSGX) {
			if ext != nil {
				return nil, fault.BadInput("PCK certificate: two SGX extensions")
			}
			ext = e.Value
		}
	}
	if ext == nil {
		return nil, fault.BadInput("PCK certificate: no SGX extension")
	}
	p := new(Platform)
	if !p.parse(ext) {
		return nil, fault.BadInput("PCK certificate: the SGX extension is malformed")
	}
	switch c.Issuer.CommonName {
	case namePlatformCA:
		p.CA = "platform"
	case nameProcessorCA:
		p.CA = "processor"
	}
	return p, nil
}

func (p *Platform) parse(ext []byte) bool {
	top := der{ext}
	body, ok := top.next(derSeq)
	if !ok || len(top.b) != 0 {
		return false
	}
	seen := 0
	for d := (der{body}); len(d.b) > 0; {
		n, v, ok := d.pair()
		if !ok || n > 7 || seen&(1<<n) != 0 {
			return false
		}
		seen |= 1 << n
		switch n {
		case 1:
			ok = v.fixed(p.PPID[:])
		case 2:
			ok = p.parseTCB(v)
		case 3:
			ok = v.fixed(p.PCEID[:])
		case 4:
			ok = v.fixed(p.FMSPC[:])
		case 5:
			_, ok = v.uint(derEnum)
		case 6:
			ok = v.fixed(p.InstanceID[:])
		case 7:
			ok = p.parseConfiguration(v)
		default:
			ok = false
		}
		if !ok {
			return false
		}
	}
	return seen&0x1e == 0x1e // PPID, TCB, PCEID, FMSPC
}

func (p *Platform) parseTCB(v der) bool {
	s, ok := v.next(derSeq)
	if !ok || len(v.b) != 0 {
		return false
	}
	seen := 0
	for d := (der{s}); len(d.b) > 0; {
		n, v, ok := d.pair(2)
		if !ok || n == 0 || n > 18 || seen&(1<<n) != 0 {
			return false
		}
		seen |= 1 << n
		switch {
		case n <= 16:
			var u uint16
			u, ok = v.uint(derInt)
			ok = ok && u <= 0xff
			p.CPUSVN[n-1] = byte(u)
		case n == 17:
			p.PCESVN, ok = v.uint(derInt)
		default: // the raw CPUSVN, opaque
			var raw [16]byte
			ok = v.fixed(raw[:])
		}
		if !ok {
			return false
		}
	}
	return seen&0x3fffe == 0x3fffe // components 1 to 16 and PCESVN
}

func (p *Platform) parseConfiguration(v der) bool {
	s, ok := v.next(derSeq)
	if !ok || len(v.b) != 0 {
		return false
	}
	for d := (der{s}); len(d.b) > 0; {
		n, v, ok := d.pair(7)
		if !ok {
			return false
		}
		f, ok := v.next(derBool)
		if !ok || len(v.b) != 0 || len(f) != 1 {
			return false
		}
		switch n {
		case 1:
			p.DynamicPlatform = f[0] != 0
		case 2:
			p.CachedKeys = f[0] != 0
		case 3:
			p.SMT = f[0] != 0
		default:
			return false
		}
	}
	return true
}
