package attestation_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/vectortest"
)

// manifest is what the vectors say about themselves.
type manifest struct {
	TDX, SGX   []quoteVector
	SNP        []reportVector
	Collateral []collateralVector
	SNPExtra   []struct{ File, What string } `json:"snp_extra"`
}

// quoteVector is a real quote. Byte strings are hexadecimal.
type quoteVector struct {
	File, SHA256, FMSPC, MRTD, XFAM, MRENCLAVE, MRSIGNER string

	Validity     string `json:"pck_validity"` // "2024-07-02..2031-07-02"
	TDAttributes string `json:"td_attributes"`
	TEETCBSVN    string `json:"tee_tcb_svn"`
	ReportData   string `json:"report_data"`
	Note         string `json:"expected_note"`
	Debug        bool
	Expected     []rating
}

// rating is what Intel's algorithm says of a quote with one set of documents at
// one time.
type rating struct {
	Collateral                          string
	Now                                 int64
	Status, Platform, Module, QE, Error string
	TCBDate                             string `json:"tcb_date"`
	Advisories                          []string
}

// collateralVector is a set of Intel's documents, with the time in which all of
// them are valid.
type collateralVector struct {
	File       string
	Evaluation int       `json:"tcb_eval"`
	From       time.Time `json:"valid_from"`
	To         time.Time `json:"valid_to"`
}

// reportVector is a real SEV-SNP report.
type reportVector struct {
	File, SHA256, Measurement, Cert, Product, Policy, Expected string

	Version, VMPL int
	SigningKey    string `json:"signing_key"`
	Current       string `json:"current_tcb"`
	Reported      string `json:"reported_tcb"`
	Committed     string `json:"committed_tcb"`
	Launch        string `json:"launch_tcb"`
	ReportData    string `json:"report_data"`
	Debug         bool
}

func readManifest(t testing.TB) *manifest {
	t.Helper()
	var m manifest
	if err := json.Unmarshal(vectortest.Read(t, "manifest.json"), &m); err != nil {
		t.Fatal(err)
	}
	if len(m.TDX) < 22 || len(m.SGX) < 7 || len(m.SNP) < 12 || len(m.Collateral) < 11 || len(m.SNPExtra) < 5 {
		t.Fatalf("the manifest has lost entries: %d TDX, %d SGX, %d SNP, %d collateral, %d others", len(m.TDX), len(m.SGX), len(m.SNP), len(m.Collateral), len(m.SNPExtra))
	}
	return &m
}

// sealed reads a file and compares it with its digest in the manifest.
func sealed(t testing.TB, name, digest string) []byte {
	t.Helper()
	b := vectortest.Read(t, name)
	if d := sha256.Sum256(b); hex.EncodeToString(d[:]) != digest {
		t.Fatalf("%s is not the file that the manifest describes", name)
	}
	return b
}

// strict returns a verifier under the default policy: no simulated roots.
func strict(t testing.TB) *attestation.Verifier {
	t.Helper()
	p, err := attestation.ParsePolicy([]byte(attestation.DefaultPolicyTOML()))
	if err != nil {
		t.Fatal(err)
	}
	v, err := attestation.NewVerifier(p)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func setOf(t testing.TB, docs ...[]byte) *attestation.Endorsements {
	t.Helper()
	e := attestation.NewEndorsements()
	for _, d := range docs {
		if err := e.AddFile("document", d); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

// same compares texts by name.
type same struct {
	t    testing.TB
	name string
}

func (s same) check(what, got, want string) {
	s.t.Helper()
	if got != want {
		s.t.Errorf("%s: %s %q, want %q", s.name, what, got, want)
	}
}
