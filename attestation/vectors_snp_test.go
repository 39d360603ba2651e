package attestation_test

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"path"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/vectortest"
)

// listTime is when both of AMD's revocation lists in the vectors are in force.
var listTime = time.Date(2025, 9, 1, 0, 0, 0, 0, time.UTC)

// TestVectorsSNP compares every real SEV-SNP report of the manifest: chain, key,
// product, TCBs, and what the report says.
func TestVectorsSNP(t *testing.T) {
	m := readManifest(t)
	lists := map[string][]byte{
		"Milan": vectortest.Read(t, "snp/crl/milan-2025-05-06_2026-05-12.crl.der"),
		"Genoa": vectortest.Read(t, "snp/crl/genoa-2024-10-23_2025-11-03.crl.der"),
	}
	roots := map[string]string{
		"Milan": "69d063b45344d26a2e94e1f4210de49ef555308287d4c174445c95639a540bcd",
		"Genoa": "4c6598d19c18719c5dfd4a7d335f674e5bfe1d8f800cea2cf270c10d103db2f1",
	}
	v, verified := strict(t), 0
	for _, x := range m.SNP {
		t.Run(path.Base(x.File), func(t *testing.T) {
			report := sealed(t, x.File, x.SHA256)
			if k := attestation.DetectKind(report); k != attestation.KindSNP {
				t.Errorf("detected as %q", k)
			}
			if x.Cert == "" {
				_, err := v.VerifyEvidence("", report, nil, listTime)
				if fault.FamilyOf(err) != fault.FamilyUnknown || !strings.Contains(err.Error(), "get it from https://kdsintf.amd.com/vcek/v1/") {
					t.Errorf("without certificate: %v", err)
				}
				return
			}
			leaf := vectortest.Read(t, x.Cert)
			cert, err := x509.ParseCertificate(leaf)
			if err != nil {
				t.Fatal(err)
			}
			f, err := v.VerifyEvidence("", report, setOf(t, leaf, lists[x.Product]), listTime)
			if cert.NotBefore.After(listTime) {
				notYet(t, v, report, leaf, lists[x.Product], cert.NotBefore, err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			verified++
			compareReport(t, v, f, &x, roots[x.Product], leaf)
		})
	}
	if verified < 10 {
		t.Errorf("only %d reports verified to the end", verified)
	}
}

// notYet: a certificate that is younger than AMD's list in the vectors is not
// valid while the list is, and the list is stale once it is.
func notYet(t *testing.T, v *attestation.Verifier, report, leaf, list []byte, from time.Time, err error) {
	t.Helper()
	if fault.FamilyOf(err) != fault.FamilyUnknown || !strings.Contains(err.Error(), "valid from "+from.UTC().Format(time.RFC3339)) {
		t.Errorf("before the certificate: %v", err)
	}
	_, err = v.VerifyEvidence("", report, setOf(t, leaf, list), from.Add(time.Hour))
	if fault.FamilyOf(err) != fault.FamilyUnknown || !strings.Contains(err.Error(), "revocation list of ARK-") {
		t.Errorf("after the list: %v", err)
	}
}

func compareReport(t *testing.T, v *attestation.Verifier, f *attestation.Facts, x *reportVector, root string, leaf []byte) {
	t.Helper()
	s := same{t, x.File}
	verdict := v.Policy().Appraise(f, attestation.Subject{At: listTime})
	got := verdict.Facts
	policy, err := strconv.ParseUint(x.Policy, 0, 64)
	if err != nil || !verdict.Authentic || verdict.Simulated {
		t.Fatalf("%v, verdict %+v", err, verdict)
	}
	s.check("root", got.Root, "sha256:"+root)
	s.check("leaf", hex.EncodeToString(f.AMD.LeafDigest[:]), fmt.Sprintf("%x", sha256.Sum256(leaf)))
	s.check("product", got.Product, x.Product)
	s.check("version", fmt.Sprint(got.ReportVersion), fmt.Sprint(x.Version))
	s.check("VMPL", fmt.Sprint(got.VMPL), fmt.Sprint(x.VMPL))
	s.check("policy", got.GuestPolicy, fmt.Sprintf("%016x", policy))
	s.check("debug", fmt.Sprint(got.Debug), fmt.Sprint(x.Debug))
	s.check("signing key", got.SigningKey, x.SigningKey)
	s.check("provider", got.CSPID, map[string]string{"VLEK": "CN=cc-us-east-2.amazonaws.com"}[x.SigningKey])
	s.check("measurement", got.LaunchDigest, x.Measurement)
	s.check("report data", got.ReportData, x.ReportData)
	s.check("current TCB", got.CurrentTCB.Raw, x.Current)
	s.check("reported TCB", got.ReportedTCB.Raw, x.Reported)
	s.check("committed TCB", got.CommittedTCB.Raw, x.Committed)
	s.check("launch TCB", got.LaunchTCB.Raw, x.Launch)
	if strings.Contains(x.Expected, "must be rejected by policy") && (verdict.Accepted || !strings.Contains(strings.Join(verdict.Refusals, "\n"), "debug")) {
		t.Errorf("refusals %q", verdict.Refusals)
	}
}

// TestVectorsExtra reads the other SNP files of the manifest: the Turin
// certificate and AMD's chains and lists are documents of a set; certificates
// that somebody changed verify no report.
func TestVectorsExtra(t *testing.T) {
	m := readManifest(t)
	var milan []byte
	for _, x := range m.SNP {
		if x.Product == "Milan" && x.SigningKey == "VCEK" && milan == nil {
			milan = vectortest.Read(t, x.File)
		}
	}
	list := vectortest.Read(t, "snp/crl/milan-2025-05-06_2026-05-12.crl.der")
	for _, x := range m.SNPExtra {
		if strings.Contains(x.File, "*") {
			continue // named one by one elsewhere
		}
		e := setOf(t, vectortest.Read(t, x.File), list)
		if e.Len() != 2 {
			t.Errorf("%s: %d documents", x.File, e.Len())
		}
		_, err := strict(t).VerifyEvidence("", milan, e, listTime)
		want := fault.FamilyFalse
		if strings.Contains(x.File, "Turin") {
			want = fault.FamilyUnknown // a good chain, for which there is no list
		}
		if fault.FamilyOf(err) != want {
			t.Errorf("%s: %v", x.File, err)
		}
	}
	for _, name := range []string{"milan", "milan_vlek", "genoa", "genoa_vlek", "turin_vcek", "turin_vlek"} {
		if e := setOf(t, vectortest.Read(t, "snp/roots/ask_ark_"+name+".pem")); e.Len() != 2 {
			t.Errorf("%s: %d documents", name, e.Len())
		}
	}
}
