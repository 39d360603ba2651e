package amd_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"testing"

	"github.com/cocoon-go/cocoon/attestation/amd"
	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/sim"
)

var criticalExtension = pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 3704, 99}, Critical: true, Value: []byte{5, 0}}

func TestLeafForm(t *testing.T) {
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	set := func(k string, v ...byte) func(map[string][]byte) {
		return func(m map[string][]byte) { m[k] = v }
	}
	del := func(k string) func(map[string][]byte) { return func(m map[string][]byte) { delete(m, k) } }
	for _, x := range []struct {
		name    string
		product amd.Product
		cfg     sim.AMDChipConfig
		part    string
	}{
		{"no structure version", amd.Milan, sim.AMDChipConfig{EditExtensions: del("1")}, "extension 1.0 is missing"},
		{"structure version 2", amd.Milan, sim.AMDChipConfig{EditExtensions: set("1", 2, 1, 2)}, "structure version 2"},
		{"structure version of Turin", amd.Milan, sim.AMDChipConfig{EditExtensions: func(m map[string][]byte) {
			m["1"], m["3.9"] = []byte{2, 1, 1}, []byte{2, 1, 0}
		}}, `does not belong to product "Milan-B0"`},
		{"structure version of Milan", amd.Turin, sim.AMDChipConfig{EditExtensions: func(m map[string][]byte) {
			m["1"], m["3.4"] = []byte{2, 1, 0}, []byte{2, 1, 0}
		}}, `does not belong to product "Turin"`},
		{"no product", amd.Milan, sim.AMDChipConfig{EditExtensions: del("2")}, "extension 2.0 is missing"},
		{"unknown product", amd.Milan, sim.AMDChipConfig{EditExtensions: set("2", 0x16, 4, 'R', 'o', 'm', 'e')}, `unknown product "Rome"`},
		{"product as UTF8String", amd.Milan, sim.AMDChipConfig{EditExtensions: set("2", 0x0c, 5, 'M', 'i', 'l', 'a', 'n')}, "not an IA5String"},
		{"product with trailing byte", amd.Milan, sim.AMDChipConfig{EditExtensions: set("2", 0x16, 5, 'M', 'i', 'l', 'a', 'n', 0)}, "not an IA5String"},
		{"product with control character", amd.Milan, sim.AMDChipConfig{EditExtensions: set("2", 0x16, 6, 'M', 'i', 'l', 'a', 'n', 7)}, "control characters"},
		{"no boot loader level", amd.Milan, sim.AMDChipConfig{EditExtensions: del("3.1")}, "extension 3.1 is missing"},
		{"level of 256", amd.Milan, sim.AMDChipConfig{EditExtensions: set("3.3", 2, 2, 1, 0)}, "not an integer from 0 to 255"},
		{"negative level", amd.Milan, sim.AMDChipConfig{EditExtensions: set("3.3", 2, 1, 0x80)}, "not an integer"},
		{"level in long form", amd.Milan, sim.AMDChipConfig{EditExtensions: set("3.3", 2, 2, 0, 24)}, "not an integer"},
		{"level as BOOLEAN", amd.Milan, sim.AMDChipConfig{EditExtensions: set("3.3", 1, 1, 24)}, "not an integer"},
		{"no FMC level on Turin", amd.Turin, sim.AMDChipConfig{EditExtensions: del("3.9")}, "extension 3.9 is missing"},
		{"FMC level on Milan", amd.Milan, sim.AMDChipConfig{EditExtensions: set("3.9", 2, 1, 0)}, "unexpected AMD extension 3.9"},
		{"unknown extension", amd.Milan, sim.AMDChipConfig{EditExtensions: set("6", 2, 1, 0)}, "unexpected AMD extension 6.0"},
		{"no hardware id", amd.Milan, sim.AMDChipConfig{EditExtensions: del("4")}, "hardware id of 0 bytes, want 64"},
		{"short hardware id", amd.Milan, sim.AMDChipConfig{EditExtensions: set("4", 1, 2, 3, 4, 5, 6, 7, 8)}, "hardware id of 8 bytes, want 64"},
		{"long hardware id on Turin", amd.Turin, sim.AMDChipConfig{EditExtensions: set("4", make([]byte, 64)...)}, "hardware id of 64 bytes, want 8"},
		{"provider in a VCEK", amd.Milan, sim.AMDChipConfig{EditExtensions: set("5", 0x16, 1, 'x')}, "unexpected AMD extension 5.0"},
		{"hardware id in a VLEK", amd.Milan, sim.AMDChipConfig{VLEK: true, EditExtensions: set("4", make([]byte, 64)...)}, "unexpected AMD extension 4.0"},
		{"no provider in a VLEK", amd.Milan, sim.AMDChipConfig{VLEK: true, EditExtensions: del("5")}, "extension 5.0 is missing"},
		{"unknown extension below a known one", amd.Milan, sim.AMDChipConfig{EditLeaf: func(c *x509.Certificate) {
			c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 3704, 1, 3, 8, 1}, Value: []byte{2, 1, 0}})
		}}, "unknown AMD extension"},
		{"critical extension", amd.Milan, sim.AMDChipConfig{EditLeaf: func(c *x509.Certificate) {
			c.ExtraExtensions = append(c.ExtraExtensions, criticalExtension)
		}}, "critical extensions"},
		{"an authority", amd.Milan, sim.AMDChipConfig{EditLeaf: func(c *x509.Certificate) { c.BasicConstraintsValid, c.IsCA = true, true }}, "authority"},
		{"P-256 key", amd.Milan, sim.AMDChipConfig{EditLeaf: func(c *x509.Certificate) { c.PublicKey = &p256.PublicKey }}, "not on P-384"},
		{"PKCS #1 signature", amd.Milan, sim.AMDChipConfig{EditLeaf: func(c *x509.Certificate) { c.SignatureAlgorithm = x509.SHA384WithRSA }}, "want SHA384-RSAPSS"},
	} {
		t.Run(x.name, func(t *testing.T) {
			_, _, err := setup{vendor: vendor(t, x.product), chip: x.cfg}.run(t)
			wantErr(t, err, fault.FamilyFalse, amd.StepLeaf, x.part)
		})
	}
	t.Run("another subject", func(t *testing.T) {
		_, _, err := setup{chip: sim.AMDChipConfig{EditLeaf: func(c *x509.Certificate) { c.Subject.CommonName = "SEV-XCEK" }}}.run(t)
		wantErr(t, err, fault.FamilyUnknown, amd.StepLeaf, "VCEK certificate of this chip and TCB: missing")
	})
}

func TestBinding(t *testing.T) {
	le := binary.LittleEndian
	for _, x := range []struct {
		name string
		s    setup
		f    fault.Family
		step amd.Step
		part string
	}{
		{"chip id", setup{report: sim.AMDReport{Edit: func(b []byte) { b[0x1a0] ^= 1 }}}, fault.FamilyFalse, amd.StepBinding, "chip id"},
		{"chip id on Turin, ninth byte", setup{vendor: vendor(t, amd.Turin), report: sim.AMDReport{Edit: func(b []byte) { b[0x1a8] ^= 1 }}}, fault.FamilyFalse, amd.StepBinding, "chip id"},
		{"chip id on Turin, first byte", setup{vendor: vendor(t, amd.Turin), report: sim.AMDReport{Edit: func(b []byte) { b[0x1a0] ^= 1 }}}, fault.FamilyFalse, amd.StepBinding, "chip id"},
		{"reported TCB", setup{report: sim.AMDReport{Reported: &amd.TCB{Bootloader: 4, SNP: 24, Microcode: 218}}}, fault.FamilyFalse, amd.StepBinding, "reported TCB"},
		{"reported TCB, reserved byte", setup{report: sim.AMDReport{Edit: func(b []byte) { b[0x183] = 1 }}}, fault.FamilyFalse, amd.StepBinding, "reported TCB"},
		{"reported TCB of a VLEK", setup{chip: sim.AMDChipConfig{VLEK: true}, report: sim.AMDReport{Reported: &amd.TCB{Bootloader: 4}}}, fault.FamilyFalse, amd.StepBinding, "reported TCB"},
		{"product", setup{report: sim.AMDReport{Edit: func(b []byte) { b[0x189] = 0x11 }}}, fault.FamilyFalse, amd.StepBinding, "(Genoa), the certificate is for Milan"},
		{"unknown product", setup{report: sim.AMDReport{Edit: func(b []byte) { b[0x188] = 0x1b }}}, fault.FamilyFalse, amd.StepBinding, "(unknown product)"},
		{"not signed", setup{report: sim.AMDReport{Edit: func(b []byte) { le.PutUint32(b[0x48:], 7<<2) }}}, fault.FamilyFalse, amd.StepReport, "not signed"},
		{"masked chip key", setup{report: sim.AMDReport{Edit: func(b []byte) { le.PutUint32(b[0x48:], 2) }}}, fault.FamilyFalse, amd.StepReport, "not signed"},
		{"signed part", setup{report: sim.AMDReport{EditSigned: func(b []byte) { b[0x90] ^= 1 }}}, fault.FamilyFalse, amd.StepSignature, "did not sign"},
		{"r is zero", setup{report: sim.AMDReport{EditSigned: func(b []byte) { clear(b[0x2a0 : 0x2a0+48]) }}}, fault.FamilyFalse, amd.StepSignature, "did not sign"},
		{"s is zero", setup{report: sim.AMDReport{EditSigned: func(b []byte) { clear(b[0x2e8 : 0x2e8+48]) }}}, fault.FamilyFalse, amd.StepSignature, "did not sign"},
		{"VLEK report, VCEK certificate", setup{report: sim.AMDReport{Edit: func(b []byte) { le.PutUint32(b[0x48:], 1<<2) }}}, fault.FamilyUnknown, amd.StepLeaf, "the cloud provider hands it out"},
	} {
		t.Run(x.name, func(t *testing.T) {
			_, _, err := x.s.run(t)
			wantErr(t, err, x.f, x.step, x.part)
		})
	}
}

// TestChainOfOtherKind gives a chain of a VLEK to a report of a VCEK: the only
// way to get past the selection of certificates.
func TestChainOfOtherKind(t *testing.T) {
	v := vendor(t, amd.Milan)
	o := amd.Options{SimulatedRoots: [][32]byte{v.Root()}, WithoutRevocationUnsafe: true}
	var chains []*amd.Chain
	var reports [][]byte
	for _, vlek := range []bool{false, true} {
		chip, err := v.NewChip(sim.AMDChipConfig{VLEK: vlek})
		if err != nil {
			t.Fatal(err)
		}
		b, err := chip.Report(sim.AMDReport{})
		if err != nil {
			t.Fatal(err)
		}
		r, err := amd.ParseReport(b)
		if err != nil {
			t.Fatal(err)
		}
		c, err := amd.VerifyChain(r, endorsements(t, chip.Documents()...), o, now)
		if err != nil {
			t.Fatal(err)
		}
		chains, reports = append(chains, c), append(reports, b)
	}
	for i := range reports {
		if _, err := chains[i].Verify(reports[i], now); err != nil {
			t.Error(err)
		}
		_, err := chains[1-i].Verify(reports[i], now)
		wantErr(t, err, fault.FamilyFalse, amd.StepBinding, "the certificate is of a")
		_, err = chains[i].Verify(reports[i], chains[i].NotAfter().Add(1))
		wantErr(t, err, fault.FamilyUnknown, amd.StepValidity, "not at")
		_, err = chains[i].Verify(reports[i], chains[i].NotBefore().Add(-1))
		wantErr(t, err, fault.FamilyUnknown, amd.StepValidity, "not at")
	}
}

func TestSelectLeaf(t *testing.T) {
	v := vendor(t, amd.Milan)
	o := amd.Options{SimulatedRoots: [][32]byte{v.Root()}, WithoutRevocationUnsafe: true}
	var docs [][]byte
	var chips []*sim.AMDChip
	for range 3 {
		c, err := v.NewChip(sim.AMDChipConfig{})
		if err != nil {
			t.Fatal(err)
		}
		chips = append(chips, c)
		docs = append(docs, c.Documents()...)
	}
	for _, c := range chips {
		b, err := c.Report(sim.AMDReport{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := amd.Verify(b, endorsements(t, docs...), o, now); err != nil {
			t.Error(err)
		}
	}
	c, err := v.NewChip(sim.AMDChipConfig{ChipID: [64]byte{1, 2, 3}})
	if err != nil {
		t.Fatal(err)
	}
	b, err := c.Report(sim.AMDReport{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = amd.Verify(b, endorsements(t, docs...), o, now)
	wantErr(t, err, fault.FamilyUnknown, amd.StepLeaf, "none of the 3 given is for it; get it from https://kdsintf.amd.com/vcek/v1/Milan/010203000")
	wantErr(t, err, fault.FamilyUnknown, amd.StepLeaf, "?blSPL=04&teeSPL=00&snpSPL=24&ucodeSPL=219")
}
