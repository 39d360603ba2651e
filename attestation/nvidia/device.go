package nvidia

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"slices"
	"strings"
	"time"
)

// Kind is a generation of devices. Reports and certificates of one kind share
// their layout.
type Kind string

// The kinds that are known here.
const (
	Hopper    Kind = "hopper"    // GPUs GH100: H100, H200, GH200
	Blackwell Kind = "blackwell" // GPUs GB1xx, GB2xx
	LS10      Kind = "ls10"      // third generation NVSwitch
)

// Switch reports whether devices of the kind are switches.
func (k Kind) Switch() bool { return k == LS10 }

// kindOf reads the chip's name as certificates write it.
func kindOf(chip string) Kind {
	switch {
	case chip == "GH100":
		return Hopper
	case chip == "LS_10":
		return LS10
	case len(chip) == 5 && strings.HasPrefix(chip, "GB") && strings.Trim(chip[2:], "0123456789") == "":
		return Blackwell
	}
	return ""
}

// chainLength is how many certificates the chain of a device has: attestation
// key, device identity, provisioner, identity of the generation, root.
const chainLength = 5

// Ends of the names of a device's certificates: of its attestation key, and of
// its identity.
const (
	leafSuffix   = " FMC LF"
	deviceSuffix = " BROM"
)

// device is a chain of certificates that is signed up to a trusted root. It is
// immutable.
type device struct {
	above     []*x509.Certificate // all but the leaf, root last
	leaf      [32]byte            // SHA-256 of the leaf
	root      [32]byte            // SHA-256 of the root
	simulated bool
	valid     window // of the leaf

	kind  Kind
	chip  string // "GH100"
	model string // "GH100 A01 GSP BROM"
	ueid  string // serial number of the leaf, hex
	key   *ecdsa.PublicKey
	fwid  [DigestSize]byte
	id    [8]byte
	hasID bool
}

func chainDigest(ders [][]byte) [32]byte {
	h := sha256.New()
	for _, d := range ders {
		s := sha256.Sum256(d)
		h.Write(s[:])
	}
	return digestOf("chain", h.Sum(nil))
}

// verifyDevice parses the chain of a device, leaf first and root last, and
// verifies it up to a trusted root. Time plays no part in it.
func (v *Verifier) verifyDevice(ders [][]byte) (*device, error) {
	if len(ders) != chainLength {
		return nil, inputAt(StepChain, "%d certificates, want %d: attestation key, device, two authorities, root", len(ders), chainLength)
	}
	var certs [chainLength]*x509.Certificate
	for i, der := range ders {
		var err error
		if certs[i], err = v.certificate(i, der); err != nil {
			return nil, inputAt(StepChain, "certificate %d: %w", i, err)
		}
	}
	d := &device{
		above: slices.Clone(certs[1:]), valid: window{certs[0].NotBefore, certs[0].NotAfter},
		leaf: sha256.Sum256(ders[0]), root: sha256.Sum256(ders[chainLength-1]),
	}
	if err := d.readNames(certs[0]); err != nil {
		return nil, err
	}
	if err := verifyLinks(certs[:], v.held); err != nil {
		return nil, falseAt(StepChain, "%w", err)
	}
	var err error
	if d.simulated, err = deviceRole.trust(certs[chainLength-1], &v.o); err != nil {
		return nil, err
	}
	if err := d.readLeaf(certs[0]); err != nil {
		return nil, err
	}
	return d, nil
}

// inForce checks that all certificates of the chain are valid at a time.
func (d *device) inForce(w *window, at time.Time) error {
	if err := w.narrow(StepValidity, "certificate of the attestation key", d.valid.notBefore, d.valid.notAfter, at, ""); err != nil {
		return err
	}
	for _, c := range d.above {
		if err := w.narrow(StepValidity, "certificate "+c.Subject.CommonName, c.NotBefore, c.NotAfter, at, ""); err != nil {
			return err
		}
	}
	return nil
}

// certificate parses certificate i of a chain. Authorities are kept: all devices
// of a kind share them.
func (v *Verifier) certificate(i int, der []byte) (*x509.Certificate, error) {
	parse := func() (*x509.Certificate, error) { return x509.ParseCertificate(bytes.Clone(der)) }
	if i < 2 {
		return parse()
	}
	return v.authorities.get(sha256.Sum256(der), parse)
}

// readNames learns from the names what the device is. All certificates of a
// chain are made for one chip:
//
//	GH100 A01 GSP FMC LF <- GH100 A01 GSP BROM <- NVIDIA GH100 Provisioner ICA 1 <- NVIDIA GH100 Identity <- root
//
// Switches hang below the identity of GH100.
func (d *device) readNames(leaf *x509.Certificate) error {
	d.model = d.above[0].Subject.CommonName
	base, ok := strings.CutSuffix(d.model, deviceSuffix)
	if !ok || leaf.Subject.CommonName != base+leafSuffix {
		return falseAt(StepChain, "%q and %q are not the attestation key and the identity of one device", leaf.Subject.CommonName, d.model)
	}
	d.chip, _, _ = strings.Cut(base, " ")
	if d.kind = kindOf(d.chip); d.kind == "" {
		return missing(StepChain, "layout of devices "+d.chip, "not known to this version", "")
	}
	if ca := d.above[1].Subject.CommonName; !strings.HasPrefix(ca, "NVIDIA "+d.chip+" Provisioner ICA ") {
		return falseAt(StepChain, "a device %s is provisioned by %q", d.chip, ca)
	}
	if ca := d.above[2].Subject.CommonName; !strings.HasPrefix(ca, "NVIDIA ") || !strings.HasSuffix(ca, " Identity") {
		return falseAt(StepChain, "%q is not the identity authority of a generation", ca)
	}
	return nil
}

// readLeaf reads the attestation key and the identity of the device.
func (d *device) readLeaf(leaf *x509.Certificate) error {
	if leaf.IsCA || leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		return falseAt(StepChain, "%q may not sign reports", leaf.Subject.CommonName)
	}
	d.ueid = hex.EncodeToString(leaf.SerialNumber.Bytes())
	var err error
	if d.key, err = p384(leaf); err != nil {
		return falseAt(StepChain, "%w", err)
	}
	if d.fwid, err = d.firmwareID(leaf); err != nil {
		return falseAt(StepChain, "%q: %w", leaf.Subject.CommonName, err)
	}
	// The serial number of the identity is one byte for the kind of device (41
	// for GPUs, 50 for switches), then the device's identity.
	want := byte(0x41)
	if d.kind.Switch() {
		want = 0x50
	}
	if sn := d.above[0].SerialNumber.Bytes(); len(sn) == 9 && sn[0] == want {
		d.id = [8]byte(sn[1:])
		d.hasID = d.id != [8]byte{}
	}
	return nil
}

// Extensions of the leaf with the firmware id (TCG DICE Attestation
// Architecture 1.1, section 6.1; the older one is not documented by TCG any
// more).
var (
	oidCompositeDeviceID = asn1.ObjectIdentifier{2, 23, 133, 5, 4, 1}
	oidTCBInfo           = asn1.ObjectIdentifier{2, 23, 133, 5, 4, 1, 1}
	oidSHA384            = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}
)

type fwid struct {
	Algorithm asn1.ObjectIdentifier
	Digest    []byte
}

func (f fwid) value() (out [DigestSize]byte, err error) {
	if !f.Algorithm.Equal(oidSHA384) || len(f.Digest) != DigestSize {
		return out, errFWID("is not a SHA-384 digest")
	}
	return [DigestSize]byte(f.Digest), nil
}

type errFWID string

func (e errFWID) Error() string { return "its firmware id " + string(e) }

// firmwareID reads the digest of the firmware that holds the attestation key.
// Blackwell writes a DiceTcbInfo, the others a CompositeDeviceID.
func (d *device) firmwareID(leaf *x509.Certificate) (out [DigestSize]byte, err error) {
	oid, read := oidCompositeDeviceID, d.compositeDeviceID
	if d.kind == Blackwell {
		oid, read = oidTCBInfo, tcbInfo
	}
	for _, e := range leaf.Extensions {
		if e.Id.Equal(oid) {
			return read(e.Value)
		}
	}
	return out, errFWID("is missing")
}

// compositeDeviceID reads SEQUENCE { version 1, key of the device, FWID }. The
// key is that of the certificate above.
func (d *device) compositeDeviceID(der []byte) (out [DigestSize]byte, err error) {
	var c struct {
		Version int
		Key     asn1.RawValue
		FWID    fwid
	}
	if rest, err := asn1.Unmarshal(der, &c); err != nil || len(rest) != 0 || c.Version != 1 {
		return out, errFWID("is malformed")
	}
	if !bytes.Equal(c.Key.FullBytes, d.above[0].RawSubjectPublicKeyInfo) {
		return out, errFWID("names another device key")
	}
	return c.FWID.value()
}

// tcbInfo reads the first of the firmware ids in a DiceTcbInfo, as NVIDIA does.
func tcbInfo(der []byte) (out [DigestSize]byte, err error) {
	var fields []asn1.RawValue
	if rest, err := asn1.Unmarshal(der, &fields); err != nil || len(rest) != 0 {
		return out, errFWID("is malformed")
	}
	for _, f := range fields {
		if f.Class != asn1.ClassContextSpecific || f.Tag != 6 {
			continue
		}
		var first fwid
		if _, err := asn1.Unmarshal(f.Bytes, &first); err != nil {
			return out, errFWID("is malformed")
		}
		return first.value()
	}
	return out, errFWID("is missing")
}
