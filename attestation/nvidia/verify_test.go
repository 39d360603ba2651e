package nvidia_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/nvidia"
	"github.com/cocoon-go/cocoon/attestation/sim"
)

func TestDevices(t *testing.T) {
	for _, x := range []struct {
		chip string
		kind nvidia.Kind
	}{{"GH100", nvidia.Hopper}, {"GB100", nvidia.Blackwell}, {"GB202", nvidia.Blackwell}, {"LS_10", nvidia.LS10}} {
		s := setup{device: sim.NVIDIADeviceConfig{Chip: x.chip}, report: sim.NVIDIAReport{NVDEC0: true}}
		f, d, err := s.run(t)
		if err != nil {
			t.Fatalf("%s: %v", x.chip, err)
		}
		if f.Kind != x.kind || f.Chip != x.chip || f.Model != d.Chain[1].Subject.CommonName || f.DeviceID != d.ID || !f.HasDeviceID {
			t.Errorf("%s: facts %+v", x.chip, f)
		}
		if f.UEID != hex.EncodeToString(d.Chain[0].SerialNumber.Bytes()) || f.FWID != d.FWID || f.FWIDBound == f.Kind.Switch() || !f.NonceBound {
			t.Errorf("%s: facts %+v", x.chip, f)
		}
		if !f.Simulated || f.Root != vendor().Roots()[0] || f.Revocation.Checked || !f.At.Equal(at) {
			t.Errorf("%s: facts %+v", x.chip, f)
		}
		if y := f.NotBefore.Year(); y != 2020 || f.NotAfter.Year() != 2045 {
			t.Errorf("%s: from %v to %v", x.chip, f.NotBefore, f.NotAfter)
		}
		if o := &f.Report.Opaque; f.Kind.Switch() && (o.PDI != d.ID || len(o.GPUs) != 8) || !f.Kind.Switch() && (o.NVDEC0 != nvidia.On || o.Feature != nvidia.SPT) {
			t.Errorf("%s: opaque data %+v", x.chip, o)
		}
	}
}

func TestArguments(t *testing.T) {
	zero := nvidia.Nonce{}
	_, _, err := setup{nonce: &zero}.run(t)
	wantErr(t, err, fault.FamilyInput, nvidia.StepNonce, "no nonce given")
	d := newDevice(t, vendor(), sim.NVIDIADeviceConfig{})
	report, err := d.Report(vendor(), sim.NVIDIAReport{})
	if err != nil {
		t.Fatal(err)
	}
	b := evidence(t, d, report)
	_, err = nvidia.Verify(nil, nvidia.AnyNonceUnsafe(), &nvidia.Endorsements{}, bare, at)
	wantErr(t, err, fault.FamilyInput, nvidia.StepReport, "no evidence given")
	_, err = nvidia.Verify(b, nvidia.AnyNonceUnsafe(), nil, bare, at)
	wantErr(t, err, fault.FamilyInput, nvidia.StepRIM, "no endorsements given")
	_, err = nvidia.Verify(b, nvidia.AnyNonceUnsafe(), &nvidia.Endorsements{}, bare, time.Time{})
	wantErr(t, err, fault.FamilyInput, nvidia.StepValidity, "no time given")
}

func TestNonce(t *testing.T) {
	_, _, err := setup{report: sim.NVIDIAReport{Nonce: [32]byte{9}}}.run(t)
	wantErr(t, err, fault.FamilyFalse, nvidia.StepNonce, "the report answers 09")
	any := nvidia.AnyNonceUnsafe()
	f, _, err := setup{report: sim.NVIDIAReport{Nonce: [32]byte{9}}, nonce: &any}.run(t)
	if err != nil || f.NonceBound || f.Report.RequestNonce != [32]byte{9} {
		t.Errorf("any nonce: %v, %+v", err, f)
	}
}

func TestRoots(t *testing.T) {
	roots := func(r ...[32]byte) *nvidia.Options {
		return &nvidia.Options{SimulatedRoots: r, WithoutRevocationUnsafe: true, WithoutRIMUnsafe: true}
	}
	const part = "neither \"NVIDIA Device Identity CA\" of NVIDIA nor named by the caller"
	_, _, err := setup{options: roots()}.run(t)
	wantErr(t, err, fault.FamilyFalse, nvidia.StepRoot, part)
	_, _, err = setup{options: roots([32]byte{1}, vendor().Roots()[1])}.run(t)
	wantErr(t, err, fault.FamilyFalse, nvidia.StepRoot, part)

	// A root of another role does not become one of devices by being named.
	n := newVendor(t, sim.NVIDIAConfig{Edit: func(role string, c *x509.Certificate) {
		if role == "root" {
			c.Subject.CommonName = "NVIDIA CoRIM signing Root CA"
		}
	}})
	_, _, err = setup{vendor: n}.run(t)
	wantErr(t, err, fault.FamilyFalse, nvidia.StepRoot, part)
}

var unknownCritical = pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}}

func TestChain(t *testing.T) {
	other := newDevice(t, newVendor(t, sim.NVIDIAConfig{}), sim.NVIDIADeviceConfig{})
	sister := newDevice(t, vendor(), sim.NVIDIADeviceConfig{})
	swap := func(i int, c *x509.Certificate) func(*nvidia.Evidence) {
		return func(e *nvidia.Evidence) { e.Chain[i] = c.Raw }
	}
	for _, x := range []struct {
		name string
		f    fault.Family
		part string
		edit func(*nvidia.Evidence)
	}{
		{"no root", fault.FamilyInput, "4 certificates, want 5", func(e *nvidia.Evidence) { e.Chain = e.Chain[:4] }},
		{"six", fault.FamilyInput, "6 certificates, want 5", func(e *nvidia.Evidence) { e.Chain = append(e.Chain, e.Chain[4]) }},
		{"no certificate", fault.FamilyInput, "certificate 3: x509", func(e *nvidia.Evidence) { e.Chain[3] = []byte("none") }},
		{"trailing byte", fault.FamilyInput, "certificate 0: x509: trailing data", func(e *nvidia.Evidence) { e.Chain[0] = append(e.Chain[0], 0) }},
		{"leaf of another device", fault.FamilyFalse, "is not signed by \"GH100 A01 GSP BROM\"", swap(0, sister.Chain[0])},
		{"device of another vendor", fault.FamilyFalse, "is not signed by", swap(1, other.Chain[1])},
		{"provisioner of another vendor", fault.FamilyFalse, "is not signed by", swap(2, other.Chain[2])},
		{"identity of another vendor", fault.FamilyFalse, "is not signed by", swap(3, other.Chain[3])},
		{"root of another vendor", fault.FamilyFalse, "is not signed by", swap(4, other.Chain[4])},
		{"order", fault.FamilyFalse, "\"NVIDIA Device Identity CA\" is not the identity authority", func(e *nvidia.Evidence) { e.Chain[3], e.Chain[4] = e.Chain[4], e.Chain[3] }},
		{"identity of another generation", fault.FamilyFalse, "is issued by \"NVIDIA GH100 Identity\", not by \"NVIDIA GB100 Identity\"", swap(3, newDevice(t, vendor(), sim.NVIDIADeviceConfig{Chip: "GB100"}).Chain[3])},
		{"not a device", fault.FamilyFalse, "are not the attestation key and the identity of one device", func(e *nvidia.Evidence) {
			e.Chain = append([][]byte{e.Chain[0]}, e.Chain[0], e.Chain[2], e.Chain[3], e.Chain[4])
		}},
		{"device as attestation key", fault.FamilyFalse, "are not the attestation key", func(e *nvidia.Evidence) { e.Chain[0] = e.Chain[1] }},
	} {
		t.Run(x.name, func(t *testing.T) {
			_, _, err := setup{evidence: x.edit}.run(t)
			wantErr(t, err, x.f, nvidia.StepChain, x.part)
		})
	}
}

func TestCertificates(t *testing.T) {
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		name string
		role string
		part string
		edit func(*x509.Certificate)
	}{
		{"leaf may sign certificates", "leaf", "may not sign reports", func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true }},
		{"leaf for other use", "leaf", "may not sign reports", func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyAgreement }},
		{"leaf on P-256", "leaf", "is not on P-384", func(c *x509.Certificate) { c.PublicKey = &p256.PublicKey }},
		{"leaf with a key of another kind", "leaf", "is not on P-384", func(c *x509.Certificate) { c.PublicKey = ed25519.PublicKey(make([]byte, 32)) }},
		{"leaf with SHA-256", "leaf", "want ECDSA-SHA384", func(c *x509.Certificate) { c.SignatureAlgorithm = x509.ECDSAWithSHA256 }},
		{"leaf with critical extension", "leaf", "unknown critical extensions", func(c *x509.Certificate) { c.ExtraExtensions = append(c.ExtraExtensions, unknownCritical) }},
		{"leaf of another name", "leaf", "are not the attestation key and the identity", func(c *x509.Certificate) { c.Subject.CommonName = "GH100 A02 GSP FMC LF" }},
		{"device of another name", "device", "are not the attestation key and the identity", func(c *x509.Certificate) { c.Subject.CommonName = "GH100 A01 GSP FMC" }},
		{"device without its kind of key", "device", "are not the attestation key and the identity", func(c *x509.Certificate) { c.Subject.CommonName = "GH100 A01 GSP" }},
		{"device is no authority", "device", "is not signed by", func(c *x509.Certificate) { c.IsCA = false }},
		{"device may not certify", "device", "is not signed by", func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature }},
		{"device with critical extension", "device", "unknown critical extensions", func(c *x509.Certificate) { c.ExtraExtensions = append(c.ExtraExtensions, unknownCritical) }},
		{"provisioner of another chip", "provisioner", `a device GH100 is provisioned by "NVIDIA GB100 Provisioner ICA 1"`, func(c *x509.Certificate) { c.Subject.CommonName = "NVIDIA GB100 Provisioner ICA 1" }},
		{"identity of another name", "identity", `"NVIDIA GH100 Provisioner" is not the identity authority`, func(c *x509.Certificate) { c.Subject.CommonName = "NVIDIA GH100 Provisioner" }},
		{"identity of another vendor", "identity", `"GH100 Identity" is not the identity authority`, func(c *x509.Certificate) { c.Subject.CommonName = "GH100 Identity" }},
		{"identity with path length 0", "identity", "has 2 authorities below it, at most 0", func(c *x509.Certificate) { c.MaxPathLenZero = true }},
		{"root with path length 1", "root", "has 3 authorities below it, at most 1", func(c *x509.Certificate) { c.MaxPathLen = 1 }},
		{"root with critical extension", "root", "unknown critical extensions", func(c *x509.Certificate) { c.ExtraExtensions = append(c.ExtraExtensions, unknownCritical) }},
	} {
		t.Run(x.name, func(t *testing.T) {
			n := newVendor(t, sim.NVIDIAConfig{Edit: func(role string, c *x509.Certificate) {
				if role == x.role {
					x.edit(c)
				}
			}})
			_, _, err := setup{vendor: n}.run(t)
			wantErr(t, err, fault.FamilyFalse, nvidia.StepChain, x.part)
		})
	}
}

func TestUnknownChip(t *testing.T) {
	for _, chip := range []string{"GR100", "GB1X0", "GB1000", "GH200", "LS_11"} {
		_, _, err := setup{device: sim.NVIDIADeviceConfig{Chip: chip}}.run(t)
		wantErr(t, err, fault.FamilyUnknown, nvidia.StepChain, "layout of devices "+chip+": not known to this version")
	}
}

// TestDeviceID changes the serial number that holds the device's identity.
func TestDeviceID(t *testing.T) {
	for _, x := range []struct {
		sn []byte
		ok bool
	}{
		{append([]byte{0x41}, bytes.Repeat([]byte{7}, 8)...), true},
		{append([]byte{0x50}, bytes.Repeat([]byte{7}, 8)...), false},
		{append([]byte{0x41}, bytes.Repeat([]byte{0}, 8)...), false},
		{append([]byte{0x41}, bytes.Repeat([]byte{7}, 9)...), false},
	} {
		n := newVendor(t, sim.NVIDIAConfig{Edit: func(role string, c *x509.Certificate) {
			if role == "device" {
				c.SerialNumber = new(big.Int).SetBytes(x.sn)
			}
		}})
		f, _, err := setup{vendor: n}.run(t)
		if err != nil || f.HasDeviceID != x.ok {
			t.Fatalf("%x: %v, %+v", x.sn, err, f)
		}
		if _, err := nvidia.CheckTopology([]*nvidia.Facts{f}); x.ok != (err == nil) {
			t.Errorf("%x: %v", x.sn, err)
		} else if !x.ok {
			wantErr(t, err, fault.FamilyUnknown, nvidia.StepTopology, "identity of GH100 A01 GSP BROM: not in its certificate")
		}
	}
}

// TestFWID changes the extension with the firmware id.
func TestFWID(t *testing.T) {
	sister := newDevice(t, vendor(), sim.NVIDIADeviceConfig{})
	replace := func(old, new []byte) func(*pkix.Extension) {
		return func(e *pkix.Extension) {
			if !bytes.Contains(e.Value, old) {
				t.Fatalf("%x is not in %x", old, e.Value)
			}
			e.Value = bytes.Replace(e.Value, old, new, 1)
		}
	}
	sha384 := []byte{0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02}
	sha512 := []byte{0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03}
	for _, x := range []struct {
		name, chip, part string
		edit             func(*pkix.Extension)
	}{
		{"missing", "GH100", "its firmware id is missing", func(e *pkix.Extension) { e.Id = asn1.ObjectIdentifier{2, 23, 133, 5, 4, 9} }},
		{"missing", "GB100", "its firmware id is missing", func(e *pkix.Extension) { e.Id = asn1.ObjectIdentifier{2, 23, 133, 5, 4, 1} }},
		{"of the other form", "GH100", "its firmware id is missing", func(e *pkix.Extension) { e.Id = asn1.ObjectIdentifier{2, 23, 133, 5, 4, 1, 1} }},
		{"malformed", "GH100", "its firmware id is malformed", func(e *pkix.Extension) { e.Value = e.Value[:9] }},
		{"trailing byte", "GH100", "its firmware id is malformed", func(e *pkix.Extension) { e.Value = append(e.Value, 0) }},
		{"digest of another type", "GH100", "its firmware id is malformed", func(e *pkix.Extension) { e.Value[len(e.Value)-50] = 5 }},
		{"version 2", "GH100", "its firmware id is malformed", replace([]byte{2, 1, 1}, []byte{2, 1, 2})},
		{"another device", "GH100", "its firmware id names another device key", func(e *pkix.Extension) {
			key := e.Value[bytes.Index(e.Value, []byte{2, 1, 1})+3:][:len(sister.Chain[1].RawSubjectPublicKeyInfo)]
			copy(key, sister.Chain[1].RawSubjectPublicKeyInfo)
		}},
		{"another digest", "GH100", "its firmware id is not a SHA-384 digest", replace(sha384, sha512)},
		{"short", "GB100", "its firmware id is malformed", func(e *pkix.Extension) { e.Value = e.Value[:9] }},
		{"trailing byte", "GB100", "its firmware id is malformed", func(e *pkix.Extension) { e.Value = append(e.Value, 0) }},
		{"another digest", "GB100", "its firmware id is not a SHA-384 digest", replace(sha384, sha512)},
		{"empty list", "GB100", "its firmware id is malformed", func(e *pkix.Extension) { e.Value = []byte{0x30, 2, 0xa6, 0} }},
		{"no list but an object identifier", "GB100", "its firmware id is missing", func(e *pkix.Extension) { e.Value = []byte{0x30, 3, 6, 1, 0x2a} }},
		{"no list", "GB100", "its firmware id is missing", func(e *pkix.Extension) { e.Value = []byte{0x30, 3, 0x83, 1, 1} }},
		{"short digest", "GB100", "its firmware id is not a SHA-384 digest", func(e *pkix.Extension) {
			e.Value = slices.Concat([]byte{0x30, 17, 0xa6, 15, 0x30, 13, 6, 9}, sha384, []byte{4, 0})
		}},
	} {
		t.Run(x.chip+" "+x.name, func(t *testing.T) {
			_, _, err := setup{device: sim.NVIDIADeviceConfig{Chip: x.chip, EditFWID: x.edit}}.run(t)
			wantErr(t, err, fault.FamilyFalse, nvidia.StepChain, x.part)
		})
	}
}

func TestValidity(t *testing.T) {
	for _, x := range []struct{ role, what string }{
		{"leaf", "certificate of the attestation key"}, {"device", "certificate GH100 A01 GSP BROM"},
		{"provisioner", "certificate NVIDIA GH100 Provisioner ICA 1"}, {"identity", "certificate NVIDIA GH100 Identity"},
		{"root", "certificate NVIDIA Device Identity CA"},
	} {
		from, to := at.AddDate(0, 0, -1), at.AddDate(0, 0, 1)
		n := newVendor(t, sim.NVIDIAConfig{Edit: func(role string, c *x509.Certificate) {
			if role == x.role {
				c.NotBefore, c.NotAfter = from, to
			}
		}})
		for _, good := range []time.Time{from, at, to} {
			f, _, err := setup{vendor: n, at: good}.run(t)
			if err != nil || !f.NotBefore.Equal(from) || !f.NotAfter.Equal(to) {
				t.Errorf("%s at %v: %v, %+v", x.role, good, err, f)
			}
		}
		_, _, err := setup{vendor: n, at: from.Add(-time.Second)}.run(t)
		wantErr(t, err, fault.FamilyUnknown, nvidia.StepValidity, x.what+": valid from 2026-05-31T12:00:00Z, later than the time of verification 2026-05-31T11:59:59Z")
		_, _, err = setup{vendor: n, at: to.Add(time.Second)}.run(t)
		wantErr(t, err, fault.FamilyUnknown, nvidia.StepValidity, x.what+": expired at 2026-06-02T12:00:00Z, before")
	}
}

func TestSignature(t *testing.T) {
	other := newDevice(t, vendor(), sim.NVIDIADeviceConfig{})
	report, err := other.Report(vendor(), sim.NVIDIAReport{Nonce: nonce})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = setup{evidence: func(e *nvidia.Evidence) { e.Report = report }}.run(t)
	wantErr(t, err, fault.FamilyFalse, nvidia.StepSignature, "did not sign this report")
	_, _, err = setup{report: sim.NVIDIAReport{EditSigned: func(b []byte) { clear(b[len(b)-96:]) }}}.run(t)
	wantErr(t, err, fault.FamilyFalse, nvidia.StepSignature, "did not sign this report")
}

func TestBinding(t *testing.T) {
	const gpu, sw = "GH100", "LS_10"
	set := func(typ uint16, data []byte) func([]sim.NVIDIAField) []sim.NVIDIAField {
		return func(f []sim.NVIDIAField) []sim.NVIDIAField {
			f = slices.DeleteFunc(f, func(x sim.NVIDIAField) bool { return x.Type == typ })
			if data == nil {
				return f
			}
			return append(f, sim.NVIDIAField{Type: typ, Data: data})
		}
	}
	for _, x := range []struct {
		name, chip, part string
		edit             func([]sim.NVIDIAField) []sim.NVIDIAField
	}{
		{"another firmware", gpu, "firmware 0101", set(20, bytes.Repeat([]byte{1}, 48))},
		{"another chip", "GB100", `the report is of a "GB202", the certificate of a "GB100"`, set(35, []byte("GB202"))},
		{"GPU without driver", gpu, "the certificate is of a GPU, the report is not", set(3, nil)},
		{"GPU with an identity of switches", gpu, "the certificate is of a GPU, the report is not", set(22, bytes.Repeat([]byte{1}, 8))},
		{"switch with a driver", sw, "the certificate is of a switch, the report is not", set(3, []byte("590.48.01"))},
		{"switch without identity", sw, "the certificate is of a switch, the report is not", set(22, nil)},
		{"another switch", sw, "the report is of switch 0101010101010101, the certificate of", set(22, bytes.Repeat([]byte{1}, 8))},
	} {
		t.Run(x.name, func(t *testing.T) {
			_, _, err := setup{device: sim.NVIDIADeviceConfig{Chip: x.chip}, report: sim.NVIDIAReport{EditField: x.edit}}.run(t)
			wantErr(t, err, fault.FamilyFalse, nvidia.StepBinding, x.part)
		})
	}
	f, _, err := setup{report: sim.NVIDIAReport{NoFWID: true}}.run(t)
	if err != nil || f.FWIDBound {
		t.Errorf("without a firmware id: %v, %+v", err, f)
	}
}
