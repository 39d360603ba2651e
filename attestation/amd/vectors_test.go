package amd_test

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation/amd"
	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/vectortest"
)

type snpVector struct {
	File        string
	Version     uint32
	Policy      string
	VMPL        uint32
	SigningKey  string `json:"signing_key"`
	CurrentTCB  string `json:"current_tcb"`
	ReportedTCB string `json:"reported_tcb"`
	Committed   string `json:"committed_tcb"`
	LaunchTCB   string `json:"launch_tcb"`
	FMS         string `json:"cpuid_fms"`
	Measurement string
	ReportData  string `json:"report_data"`
	Debug       bool
	Cert        string
	Product     string
	Expected    string
}

func snpVectors(t testing.TB) []snpVector {
	t.Helper()
	var m struct{ SNP []snpVector }
	if err := json.Unmarshal(vectortest.Read(t, "manifest.json"), &m); err != nil {
		t.Fatal(err)
	}
	if len(m.SNP) < 12 {
		t.Fatalf("only %d SNP entries", len(m.SNP))
	}
	return m.SNP
}

// TestVectors compares every SNP entry of the manifest: fields, verdict, and
// the opinion of go-sev-guest.
func TestVectors(t *testing.T) {
	crls := map[string][]byte{
		"Milan": vectortest.Read(t, "snp/crl/milan-2025-05-06_2026-05-12.crl.der"),
		"Genoa": vectortest.Read(t, "snp/crl/genoa-2024-10-23_2025-11-03.crl.der"),
	}
	listed := map[string]time.Time{
		"Milan": time.Date(2025, 9, 1, 0, 0, 0, 0, time.UTC),
		"Genoa": time.Date(2025, 9, 1, 0, 0, 0, 0, time.UTC),
	}
	for _, v := range snpVectors(t) {
		t.Run(filepath.Base(v.File), func(t *testing.T) {
			report := vectortest.Read(t, v.File)
			r, err := amd.ParseReport(report)
			if err != nil {
				t.Fatal(err)
			}
			compare(t, v, r)
			if v.Cert == "" {
				_, err := amd.Verify(report, endorsements(t), amd.Options{}, listed["Milan"])
				wantErr(t, err, fault.FamilyUnknown, amd.StepLeaf, "missing; get it from https://kdsintf.amd.com/vcek/v1/Milan/")
				if !strings.Contains(v.Expected, "no endorsement certificate available") {
					t.Errorf("expected %q", v.Expected)
				}
				return
			}
			leaf := vectortest.Read(t, v.Cert)
			cert, err := x509.ParseCertificate(leaf)
			if err != nil {
				t.Fatal(err)
			}
			// At a time when the certificate and AMD's list are in force, if
			// there is one; else the list is what is missing.
			at := listed[v.Product]
			e := endorsements(t, leaf, crls[v.Product])
			f, err := amd.Verify(report, e, amd.Options{}, at)
			if cert.NotBefore.After(at) {
				wantErr(t, err, fault.FamilyUnknown, amd.StepValidity, "valid from")
				at = cert.NotBefore.Add(time.Hour)
				_, err = amd.Verify(report, e, amd.Options{}, at)
				wantErr(t, err, fault.FamilyUnknown, amd.StepRevocation, "revocation list of ARK-"+v.Product+": expired")
				f, err = amd.Verify(report, e, amd.Options{WithoutRevocationUnsafe: true}, at)
			}
			if err != nil {
				t.Fatal(err)
			}
			if f.Simulated || f.Product.String() != v.Product || f.SigningKey.String() != v.SigningKey {
				t.Errorf("facts %+v", f)
			}
			if (f.SigningKey == amd.VLEK) != (f.CSPID == "CN=cc-us-east-2.amazonaws.com") {
				t.Errorf("provider %q", f.CSPID)
			}
			p := map[string]amd.Product{"Milan": amd.Milan, "Genoa": amd.Genoa}[v.Product]
			if err := oracle(report, leaf, p, oracleRoots(t, p, genuineRoots(t, p)...), at); err != nil {
				t.Errorf("go-sev-guest: %v", err)
			}
		})
	}
}

func compare(t *testing.T, v snpVector, r *amd.Report) {
	t.Helper()
	policy, err := strconv.ParseUint(v.Policy, 0, 64)
	if err != nil {
		t.Fatal(err)
	}
	if r.Version != v.Version || uint64(r.Policy) != policy || r.VMPL != v.VMPL || r.SigningKey.String() != v.SigningKey || r.Policy.Debug() != v.Debug {
		t.Errorf("report %+v", r)
	}
	fms := ""
	if r.HasCPUID {
		fms = hex.EncodeToString([]byte{r.Family, r.Model, r.Stepping})
		if r.Product().String() != v.Product && v.Product != "" {
			t.Errorf("product %v", r.Product())
		}
	}
	for _, x := range []struct{ name, got, want string }{
		{"current TCB", r.CurrentTCB.String(), v.CurrentTCB}, {"reported TCB", r.ReportedTCB.String(), v.ReportedTCB},
		{"committed TCB", r.CommittedTCB.String(), v.Committed}, {"launch TCB", r.LaunchTCB.String(), v.LaunchTCB},
		{"measurement", hex.EncodeToString(r.Measurement[:]), v.Measurement},
		{"report data", hex.EncodeToString(r.ReportData[:]), v.ReportData}, {"CPUID", fms, v.FMS},
	} {
		if x.got != x.want {
			t.Errorf("%s %s, want %s", x.name, x.got, x.want)
		}
	}
}

// TestTurinCertificate verifies the only real Turin certificate that is known:
// there is no report of that chip, so one is made up that selects it.
func TestTurinCertificate(t *testing.T) {
	leaf := vectortest.Read(t, "snp/certs/SEV-Turin-vcek_turin.der")
	cert, err := x509.ParseCertificate(leaf)
	if err != nil {
		t.Fatal(err)
	}
	at := cert.NotBefore.Add(time.Hour)
	chip := [64]byte{0x1e, 0x55, 0x0a, 0x8e, 0xe5, 0xcf, 0x9f, 0x4d}
	r := &amd.Report{SigningKey: amd.VCEK, HasCPUID: true, Family: 0x1a, Model: 2, ChipID: chip, ReportedTCB: amd.TCBVersion{0, 0, 0, 0, 0, 0, 0, 9}}
	c, err := amd.VerifyChain(r, endorsements(t, leaf), amd.Options{WithoutRevocationUnsafe: true}, at)
	if err != nil {
		t.Fatal(err)
	}
	if !c.NotAfter().Equal(cert.NotAfter) {
		t.Errorf("valid until %v, want %v", c.NotAfter(), cert.NotAfter)
	}
	if got, want := r.VCEKURLs(), "https://kdsintf.amd.com/vcek/v1/Turin/1e550a8ee5cf9f4d?fmcSPL=00&blSPL=00&teeSPL=00&snpSPL=00&ucodeSPL=09"; len(got) != 1 || got[0] != want {
		t.Errorf("address %v, want %v", got, want)
	}
	_, err = amd.VerifyChain(r, endorsements(t, leaf), amd.Options{}, at)
	wantErr(t, err, fault.FamilyUnknown, amd.StepRevocation, "https://kdsintf.amd.com/vcek/v1/Turin/crl")
}

// TestTamperedCertificates rejects AMD certificates that somebody changed.
func TestTamperedCertificates(t *testing.T) {
	for _, name := range []string{"invalid-legacy.der", "invalid-new.der"} {
		leaf := vectortest.Read(t, "snp/certs/"+name)
		_, err := amd.VerifyChain(&amd.Report{SigningKey: amd.VCEK}, endorsements(t, leaf),
			amd.Options{WithoutRevocationUnsafe: true}, time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC))
		if fault.FamilyOf(err) != fault.FamilyFalse {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestVectorRoots compares the constants with the vectors' copies.
func TestVectorRoots(t *testing.T) {
	for p, names := range map[amd.Product][2]string{
		amd.Milan: {"ask_ark_milan.pem", "ask_ark_milan_vlek.pem"},
		amd.Genoa: {"ask_ark_genoa.pem", "ask_ark_genoa_vlek.pem"},
		amd.Turin: {"ask_ark_turin_vcek.pem", "ask_ark_turin_vlek.pem"},
	} {
		for i, name := range names {
			b := vectortest.Read(t, "snp/roots/"+name)
			inter, rest := pem.Decode(b)
			root, _ := pem.Decode(rest)
			if !bytes.Equal(root.Bytes, genuineRoots(t, p)[0].Raw) || !bytes.Equal(inter.Bytes, genuineRoots(t, p)[1+i].Raw) {
				t.Errorf("%s differs from our constants", name)
			}
		}
	}
}
