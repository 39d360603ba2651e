package sim

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"io"
	"math/big"

	"github.com/cocoon-go/cocoon/attestation/nvidia"
)

// NVIDIADeviceConfig describes one simulated device. The zero value is a good
// GPU GH100.
type NVIDIADeviceConfig struct {
	Chip string                  // "GH100" (default), "GB100" or another, "LS_10" for a switch
	ID   [8]byte                 // default random
	FWID [nvidia.DigestSize]byte // default random

	// EditFWID changes the extension with the firmware id before it is signed.
	EditFWID func(*pkix.Extension)
}

// NVIDIADevice is a simulated GPU or switch with a certified attestation key.
type NVIDIADevice struct {
	Chip  string
	ID    [8]byte
	FWID  [nvidia.DigestSize]byte
	Chain []*x509.Certificate // leaf first, root last
	leaf  nvidiaCA
}

// Switch reports whether the device is a switch.
func (d *NVIDIADevice) Switch() bool { return d.Chip == "LS_10" }

// NewDevice makes a device: its identity key, which the provisioner certifies,
// and the attestation key, which the identity certifies.
func (n *NVIDIA) NewDevice(cfg NVIDIADeviceConfig) (*NVIDIADevice, error) {
	d := &NVIDIADevice{Chip: cfg.Chip, ID: cfg.ID, FWID: cfg.FWID}
	if d.Chip == "" {
		d.Chip = "GH100"
	}
	for _, b := range [][]byte{d.ID[:], d.FWID[:]} {
		if err := n.fill(b); err != nil {
			return nil, err
		}
	}
	provisioner, identity, err := n.chipAuthorities(d.Chip)
	if err != nil {
		return nil, err
	}
	engine, tag := "GSP", byte(0x41)
	if d.Switch() {
		engine, tag = "FSP", 0x50
	}
	base := d.Chip + " A01 " + engine
	t := n.template(base + " BROM")
	t.IsCA, t.KeyUsage = true, x509.KeyUsageCertSign
	t.SerialNumber = new(big.Int).SetBytes(append([]byte{tag}, d.ID[:]...))
	device, err := n.issue("device", t, &provisioner)
	if err != nil {
		return nil, err
	}
	t = n.template(base + " FMC LF")
	t.BasicConstraintsValid, t.KeyUsage = false, x509.KeyUsageDigitalSignature
	ext, err := d.fwidExtension(device.cert)
	if err != nil {
		return nil, err
	}
	if cfg.EditFWID != nil {
		cfg.EditFWID(&ext)
	}
	t.ExtraExtensions = []pkix.Extension{ext}
	if d.leaf, err = n.issue("leaf", t, &device); err != nil {
		return nil, err
	}
	d.Chain = []*x509.Certificate{d.leaf.cert, device.cert, provisioner.cert, identity.cert, n.root.cert}
	return d, nil
}

// fill makes b random unless it is set.
func (n *NVIDIA) fill(b []byte) error {
	for _, x := range b {
		if x != 0 {
			return nil
		}
	}
	_, err := io.ReadFull(n.r, b)
	return err
}

type fwidValue struct {
	Algorithm asn1.ObjectIdentifier
	Digest    []byte
}

var oidSHA384 = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}

// fwidExtension writes the firmware id as the generation does: Blackwell in a
// DiceTcbInfo, the others in a CompositeDeviceID.
func (d *NVIDIADevice) fwidExtension(device *x509.Certificate) (pkix.Extension, error) {
	f := fwidValue{oidSHA384, d.FWID[:]}
	if d.Chip == "GH100" || d.Switch() {
		der, err := asn1.Marshal(struct {
			Version int
			Key     asn1.RawValue
			FWID    fwidValue
		}{1, asn1.RawValue{FullBytes: device.RawSubjectPublicKeyInfo}, f})
		return pkix.Extension{Id: asn1.ObjectIdentifier{2, 23, 133, 5, 4, 1}, Value: der}, err
	}
	der, err := asn1.Marshal(struct {
		Vendor string      `asn1:"tag:0,utf8"`
		Model  string      `asn1:"tag:1,utf8"`
		SVN    int         `asn1:"tag:3"`
		FWIDs  []fwidValue `asn1:"tag:6"`
	}{"NVIDIA", d.Chip + " A01 GSP", 1, []fwidValue{f, {oidSHA384, make([]byte, nvidia.DigestSize)}}})
	return pkix.Extension{Id: asn1.ObjectIdentifier{2, 23, 133, 5, 4, 1, 1}, Value: der}, err
}

// Evidence joins a report of the device and its certificates in the form of
// bundles.
func (d *NVIDIADevice) Evidence(report []byte) ([]byte, error) {
	e := nvidia.Evidence{Report: report}
	for _, c := range d.Chain {
		e.Chain = append(e.Chain, c.Raw)
	}
	return e.Encode()
}
