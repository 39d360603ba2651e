package amd

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"strings"
)

// maxCSPID bounds the cloud provider's name in a VLEK certificate.
const maxCSPID = 255

// leafInfo is what the extensions of a VCEK or VLEK certificate say (57230,
// tables 8 to 11).
type leafInfo struct {
	kind        KeyKind
	product     Product
	productName string // with stepping on some VCEKs: "Milan-B0"
	tcb         TCBVersion
	hwid        []byte // VCEK only
	cspID       string // VLEK only
	key         *ecdsa.PublicKey
}

// oidAMD is the arc of AMD's extensions, 1.3.6.1.4.1.3704.1.
var oidAMD = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 3704, 1}

// extensionID is the rest of an object identifier below oidAMD; minor is 0
// where there is none.
type extensionID struct{ major, minor int }

var (
	extStructVersion = extensionID{1, 0}
	extProductName   = extensionID{2, 0}
	extHWID          = extensionID{4, 0}
	extCSPID         = extensionID{5, 0}
)

// The SPL extensions by structure version: version 0 is Milan and Genoa,
// version 1 is Turin, which has an FMC and lacks number 4.
var splExtensions = map[int][]int{
	0: {1, 2, 3, 4, 5, 6, 7, 8},
	1: {1, 2, 3, 5, 6, 7, 8, 9},
}

// parseLeaf reads the certificate of an endorsement key. It checks its form,
// not who signed it.
func parseLeaf(c *x509.Certificate) (*leafInfo, error) {
	l := &leafInfo{}
	switch c.Subject.CommonName {
	case "SEV-VCEK":
		l.kind = VCEK
	case "SEV-VLEK":
		l.kind = VLEK
	default:
		return nil, fmt.Errorf("certificate of %q is not one of a VCEK or VLEK", c.Subject.CommonName)
	}
	key, ok := c.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P384() {
		return nil, fmt.Errorf("%v certificate: key is not on P-384", l.kind)
	}
	l.key = key
	if c.SignatureAlgorithm != x509.SHA384WithRSAPSS {
		return nil, fmt.Errorf("%v certificate: signature algorithm %v, want SHA384-RSAPSS", l.kind, c.SignatureAlgorithm)
	}
	if c.IsCA || len(c.UnhandledCriticalExtensions) != 0 {
		return nil, fmt.Errorf("%v certificate: marked as an authority or with critical extensions", l.kind)
	}
	ext, err := amdExtensions(c)
	if err != nil {
		return nil, fmt.Errorf("%v certificate: %w", l.kind, err)
	}
	if err := l.read(ext); err != nil {
		return nil, fmt.Errorf("%v certificate: %w", l.kind, err)
	}
	return l, nil
}

// amdExtensions collects AMD's extensions. Others are left to crypto/x509; none
// of them may be critical.
func amdExtensions(c *x509.Certificate) (map[extensionID][]byte, error) {
	m := map[extensionID][]byte{}
	for _, e := range c.Extensions {
		if len(e.Id) < len(oidAMD) || !e.Id[:len(oidAMD)].Equal(oidAMD) {
			continue
		}
		rest := e.Id[len(oidAMD):]
		var id extensionID
		switch {
		case len(rest) == 1:
			id.major = rest[0]
		case len(rest) == 2 && rest[1] != 0:
			id = extensionID{rest[0], rest[1]}
		default:
			return nil, fmt.Errorf("unknown AMD extension %v", e.Id)
		}
		m[id] = e.Value // crypto/x509 has refused duplicates
	}
	return m, nil
}

// read consumes every extension; one that is left over is unknown, and what it
// would mean is too.
func (l *leafInfo) read(ext map[extensionID][]byte) error {
	version, err := smallInt(ext, extStructVersion)
	if err != nil {
		return err
	}
	spls, ok := splExtensions[int(version)]
	if !ok {
		return fmt.Errorf("structure version %d; 0 and 1 are known", version)
	}
	if l.productName, err = ia5String(ext, extProductName); err != nil {
		return err
	}
	line, _, _ := strings.Cut(l.productName, "-")
	if l.product = productNamed(line); l.product == UnknownProduct {
		return fmt.Errorf("unknown product %q", l.productName)
	}
	if (l.product == Turin) != (version == 1) {
		return fmt.Errorf("structure version %d does not belong to product %q", version, l.productName)
	}
	var spl [10]uint8
	for _, n := range spls {
		if spl[n], err = smallInt(ext, extensionID{3, n}); err != nil {
			return err
		}
	}
	t := TCB{FMC: spl[9], Bootloader: spl[1], TEE: spl[2], SNP: spl[3], Microcode: spl[8],
		Reserved: [4]uint8{spl[4], spl[5], spl[6], spl[7]}}
	if l.product == Turin {
		t.Reserved = [4]uint8{spl[5], spl[6], spl[7]}
	}
	l.tcb = t.Encode(l.product)
	if l.kind == VCEK {
		if l.hwid, err = l.readHWID(ext); err != nil {
			return err
		}
	} else if l.cspID, err = ia5String(ext, extCSPID); err != nil {
		return err
	}
	for id := range ext {
		return fmt.Errorf("unexpected AMD extension %d.%d", id.major, id.minor)
	}
	return nil
}

// readHWID reads the hardware id: bare bytes, not an OCTET STRING (57230,
// table 11).
func (l *leafInfo) readHWID(ext map[extensionID][]byte) ([]byte, error) {
	id, ok := ext[extHWID]
	if !ok || len(id) != l.product.hwidSize() {
		return nil, fmt.Errorf("hardware id of %d bytes, want %d", len(id), l.product.hwidSize())
	}
	delete(ext, extHWID)
	return bytes.Clone(id), nil
}

// smallInt takes a DER INTEGER of 0 to 255 in its shortest form.
func smallInt(ext map[extensionID][]byte, id extensionID) (uint8, error) {
	v, ok := ext[id]
	if !ok {
		return 0, fmt.Errorf("AMD extension %d.%d is missing", id.major, id.minor)
	}
	delete(ext, id)
	switch {
	case len(v) == 3 && v[0] == asn1.TagInteger && v[1] == 1 && v[2] < 0x80:
		return v[2], nil
	case len(v) == 4 && v[0] == asn1.TagInteger && v[1] == 2 && v[2] == 0 && v[3] >= 0x80:
		return v[3], nil
	}
	return 0, fmt.Errorf("AMD extension %d.%d is not an integer from 0 to 255", id.major, id.minor)
}

// ia5String takes a DER IA5String of printable ASCII.
func ia5String(ext map[extensionID][]byte, id extensionID) (string, error) {
	v, ok := ext[id]
	if !ok {
		return "", fmt.Errorf("AMD extension %d.%d is missing", id.major, id.minor)
	}
	delete(ext, id)
	var s string
	if len(v) == 0 || len(v) > maxCSPID+3 || v[0] != asn1.TagIA5String {
		return "", fmt.Errorf("AMD extension %d.%d is not an IA5String", id.major, id.minor)
	}
	if rest, err := asn1.UnmarshalWithParams(v, &s, "ia5"); err != nil || len(rest) != 0 {
		return "", fmt.Errorf("AMD extension %d.%d is not an IA5String", id.major, id.minor)
	}
	for _, c := range []byte(s) {
		if c < 0x20 || c > 0x7e {
			return "", fmt.Errorf("AMD extension %d.%d holds control characters", id.major, id.minor)
		}
	}
	return s, nil
}
