package amd_test

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-sev-guest/abi"
	"github.com/google/go-sev-guest/kds"
	spb "github.com/google/go-sev-guest/proto/sevsnp"
	"github.com/google/go-sev-guest/validate"
	"github.com/google/go-sev-guest/verify"
	"github.com/google/go-sev-guest/verify/testdata"
	"github.com/google/go-sev-guest/verify/trust"

	"github.com/cocoon-go/cocoon/attestation/amd"
	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/sim"
)

// The second opinion is go-sev-guest v0.15.0. What it can't judge or judges
// otherwise, one by one; the texts are those of its errors:
const (
	// It does not know the extension of Turin's certificates for the FMC, and
	// decodes every TCB in the layout of Milan.
	noTurin = "not an AMD KDS OID: 1.3.6.1.4.1.3704.1.3.9"
	// It maps the CPUID of Bergamo and Siena to no product line.
	noBergamo = "VCEK could not be verified by any trusted roots"
	// It does not look at bytes 0x1f8 to 0x207, reserved before version 5.
	acceptsReserved = "accepted"
	// It takes a VMPL above 3.
	acceptsVMPL = "accepted"
	// It takes a report whose MASK_CHIP_KEY bit says that it is not signed.
	acceptsUnsigned = "accepted"
	// It only fetches revocation lists from the network, does not look at the
	// time of a fetched one, and looks up nothing but the ASK. Offline it
	// accepts what was revoked.
	acceptsRevoked = "accepted"
)

// oracle asks go-sev-guest. It needs both verify and validate, since verify
// alone binds neither chip id nor TCB, and a fresh Options for each call, since
// it writes into them.
func oracle(report, leaf []byte, p amd.Product, roots map[string][]*trust.AMDRootCerts, at time.Time) error {
	r, err := abi.ReportToProto(report)
	if err != nil {
		return err
	}
	info, err := abi.ParseSignerInfo(r.GetSignerInfo())
	if err != nil {
		return err
	}
	chain := &spb.CertificateChain{Extras: map[string][]byte{}}
	if info.SigningKey == abi.VlekReportSigner {
		chain.VlekCert = leaf
	} else {
		chain.VcekCert = leaf
	}
	root := roots[p.String()][0]
	chain.AskCert, chain.ArkCert = root.ProductCerts.Ask.Raw, root.ProductCerts.Ark.Raw
	cert, err := x509.ParseCertificate(leaf)
	if err != nil {
		return err
	}
	o := &verify.Options{DisableCertFetching: true, Now: at, TrustedRoots: roots}
	if r.GetVersion() < 3 && info.SigningKey == abi.VcekReportSigner {
		x, err := kds.VcekCertificateExtensions(cert)
		if err != nil {
			return err
		}
		if o.Product, err = kds.ParseProductName(x.ProductName, info.SigningKey); err != nil {
			return err
		}
	}
	att := &spb.Attestation{Report: r, CertificateChain: chain}
	if err := verify.SnpAttestation(att, o); err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	if err := validate.SnpAttestation(att, &validate.Options{
		GuestPolicy:               abi.SnpPolicy{SMT: true, MigrateMA: true, Debug: true, CXLAllowed: true},
		PermitProvisionalFirmware: true,
	}); err != nil {
		return fmt.Errorf("validate: %w", err)
	}
	return nil
}

// oracleRoots builds the oracle's trust from three certificates: ARK, ASK, ASVK.
func oracleRoots(t testing.TB, p amd.Product, certs ...*x509.Certificate) map[string][]*trust.AMDRootCerts {
	t.Helper()
	r := trust.AMDRootCertsProduct(p.String())
	r.ProductCerts = &trust.ProductCerts{Ark: certs[0], Ask: certs[1], Asvk: certs[2]}
	return map[string][]*trust.AMDRootCerts{p.String(): {r}}
}

// genuineRoots reads the constants in roots/.
func genuineRoots(t testing.TB, p amd.Product) []*x509.Certificate {
	t.Helper()
	b, err := os.ReadFile("roots/" + map[amd.Product]string{amd.Milan: "milan", amd.Genoa: "genoa", amd.Turin: "turin"}[p] + ".pem")
	if err != nil {
		t.Fatal(err)
	}
	var out []*x509.Certificate
	for len(out) < 3 {
		var blk *pem.Block
		blk, b = pem.Decode(b)
		c, err := x509.ParseCertificate(blk.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, c)
	}
	return out
}

// shipped is when the real report that ships inside go-sev-guest was valid.
var shipped = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

// TestShippedReport verifies the real report that ships inside go-sev-guest, in
// every clone. No revocation list ships with it.
func TestShippedReport(t *testing.T) {
	e := endorsements(t, testdata.VcekBytes)
	_, err := amd.Verify(testdata.AttestationBytes, e, amd.Options{}, shipped)
	wantErr(t, err, fault.FamilyUnknown, amd.StepRevocation, "https://kdsintf.amd.com/vcek/v1/Milan/crl")

	f, err := amd.Verify(testdata.AttestationBytes, e, amd.Options{WithoutRevocationUnsafe: true}, shipped)
	if err != nil {
		t.Fatal(err)
	}
	if f.Simulated || f.Product != amd.Milan || f.ProductName != "Milan-B0" || !f.Report.Policy.Debug() ||
		f.Reported != (amd.TCB{Bootloader: 2, SNP: 5, Microcode: 0x44}) || f.Report.Version != 2 || f.SigningKey != amd.VCEK {
		t.Errorf("facts %+v", f)
	}
	if !f.NotBefore.Equal(time.Date(2022, 9, 24, 0, 55, 28, 0, time.UTC)) || !f.NotAfter.Equal(time.Date(2029, 9, 24, 0, 55, 28, 0, time.UTC)) {
		t.Errorf("valid from %v to %v", f.NotBefore, f.NotAfter)
	}
	if err := oracle(testdata.AttestationBytes, testdata.VcekBytes, amd.Milan, oracleRoots(t, amd.Milan, genuineRoots(t, amd.Milan)...), shipped); err != nil {
		t.Errorf("go-sev-guest: %v", err)
	}

	// The chain as AMD serves it, in PEM, beside the certificate.
	e = endorsements(t, testdata.VcekBytes, trust.AskArkMilanVcekBytes, trust.AskArkMilanVlekBytes)
	if _, err := amd.Verify(testdata.AttestationBytes, e, amd.Options{WithoutRevocationUnsafe: true}, shipped); err != nil {
		t.Errorf("with AMD's chain beside: %v", err)
	}
}

// TestBuiltinRoots pins AMD's constants against the copy in go-sev-guest.
func TestBuiltinRoots(t *testing.T) {
	for p, bundles := range map[amd.Product][2][]byte{
		amd.Milan: {trust.AskArkMilanVcekBytes, trust.AskArkMilanVlekBytes},
		amd.Genoa: {trust.AskArkGenoaVcekBytes, trust.AskArkGenoaVlekBytes},
		amd.Turin: {trust.AskArkTurinVcekBytes, trust.AskArkTurinVlekBytes},
	} {
		ours := genuineRoots(t, p)
		for i, b := range bundles {
			ask, rest := pem.Decode(b)
			ark, _ := pem.Decode(rest)
			if !bytes.Equal(ark.Bytes, ours[0].Raw) || !bytes.Equal(ask.Bytes, ours[1+i].Raw) {
				t.Errorf("%v: bundle %d differs", p, i)
			}
		}
	}
}

// TestOracleOnSimulated compares verdicts on simulated reports of which one
// thing is wrong.
func TestOracleOnSimulated(t *testing.T) {
	for _, p := range []amd.Product{amd.Milan, amd.Genoa} {
		v := newVendor(t, sim.AMDConfig{Product: p, GenuineNames: true})
		roots := oracleRoots(t, p, v.ARK, v.ASK, v.ASVK)
		o := amd.Options{SimulatedRoots: [][32]byte{v.Root()}, WithoutRevocationUnsafe: true}
		for _, x := range []struct {
			name   string
			chip   sim.AMDChipConfig
			report sim.AMDReport
			good   bool
			differ string // the known error of go-sev-guest; empty: it agrees
		}{
			{name: "good", good: true},
			{name: "good VLEK", chip: sim.AMDChipConfig{VLEK: true}, good: true},
			{name: "version 5", report: sim.AMDReport{Version: 5}, good: true},
			{name: "masked chip id", report: sim.AMDReport{MaskChipID: true}, good: true},
			{name: "chip id", report: sim.AMDReport{Edit: func(b []byte) { b[0x1a0] ^= 1 }}},
			{name: "TCB", report: sim.AMDReport{Reported: &amd.TCB{Bootloader: 1}}},
			{name: "reserved bytes of version 3", report: sim.AMDReport{Edit: func(b []byte) { b[0x1f8] = 1 }}, differ: acceptsReserved},
			{name: "VMPL", report: sim.AMDReport{VMPL: 4}, differ: acceptsVMPL},
			{name: "mask chip key", report: sim.AMDReport{Edit: func(b []byte) { b[0x48] |= 2 }}, differ: acceptsUnsigned},
			{name: "version 6", report: sim.AMDReport{Version: 6}},
			{name: "policy without bit 17", report: sim.AMDReport{Policy: 0x10000}},
			{name: "signature", report: sim.AMDReport{EditSigned: func(b []byte) { b[0x2a0] ^= 1 }}},
			{name: "signed part", report: sim.AMDReport{EditSigned: func(b []byte) { b[0x50] ^= 1 }}},
			{name: "after the signature", report: sim.AMDReport{EditSigned: func(b []byte) { b[0x49f] = 1 }}},
			{name: "expired", chip: sim.AMDChipConfig{NotAfter: now.AddDate(0, 0, -1)}},
			{name: "structure of extensions", chip: sim.AMDChipConfig{EditExtensions: func(m map[string][]byte) { delete(m, "3.3") }}},
		} {
			t.Run(p.String()+"/"+x.name, func(t *testing.T) {
				if p == amd.Genoa && !x.chip.VLEK {
					x.chip.TCB = amd.TCB{Bootloader: 10, SNP: 23, Microcode: 84}
				}
				chip, err := v.NewChip(x.chip)
				if err != nil {
					t.Fatal(err)
				}
				report, err := chip.Report(x.report)
				if err != nil {
					t.Fatal(err)
				}
				_, ours := amd.Verify(report, endorsements(t, chip.Documents()...), o, now)
				theirs := oracle(report, chip.Leaf.Raw, p, roots, now)
				if (ours == nil) != x.good {
					t.Errorf("ours: %v", ours)
				}
				agree(t, x.good, x.differ, theirs)
			})
		}
	}
}

// agree compares the oracle's answer with ours, or with its known error.
func agree(t *testing.T, good bool, differ string, theirs error) {
	t.Helper()
	switch {
	case differ == "":
		if (theirs == nil) != good {
			t.Errorf("go-sev-guest: %v, ours: %v", theirs, good)
		}
	case (theirs == nil) == good:
		t.Errorf("go-sev-guest has lost a known error: %v, ours: %v", theirs, good)
	case theirs != nil && !strings.Contains(theirs.Error(), differ):
		t.Errorf("go-sev-guest: %v, want %q", theirs, differ)
	}
}

// TestOracleLimits shows what go-sev-guest can't judge.
func TestOracleLimits(t *testing.T) {
	for _, x := range []struct {
		name    string
		product amd.Product
		edit    func([]byte) // of the report, before it is signed
		revoke  bool
		differ  string
	}{
		{name: "Turin", product: amd.Turin, differ: noTurin},
		{name: "Bergamo", product: amd.Genoa, edit: func(b []byte) { b[0x189] = 0xa0 }, differ: noBergamo},
		{name: "revoked", product: amd.Milan, revoke: true, differ: acceptsRevoked},
	} {
		t.Run(x.name, func(t *testing.T) {
			v := newVendor(t, sim.AMDConfig{Product: x.product, GenuineNames: true})
			chip, err := v.NewChip(sim.AMDChipConfig{})
			if err != nil {
				t.Fatal(err)
			}
			report, err := chip.Report(sim.AMDReport{Edit: x.edit})
			if err != nil {
				t.Fatal(err)
			}
			var revoked []*big.Int
			if x.revoke {
				revoked = append(revoked, v.ASK.SerialNumber)
			}
			docs := append(chip.Documents(), crl(t, v, now.AddDate(0, 0, -1), now.AddDate(0, 0, 1), revoked...))
			_, ours := amd.Verify(report, endorsements(t, docs...), amd.Options{SimulatedRoots: [][32]byte{v.Root()}}, now)
			if (ours == nil) == x.revoke {
				t.Errorf("ours: %v", ours)
			}
			agree(t, ours == nil, x.differ, oracle(report, chip.Leaf.Raw, x.product, oracleRoots(t, x.product, v.ARK, v.ASK, v.ASVK), now))
		})
	}
}
