package attestation_test

import (
	"encoding/binary"
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/intel"
	"github.com/cocoon-go/cocoon/attestation/vectortest"
)

// TestVectorsIntel compares every real quote of the manifest with the verdict of
// Intel's own algorithm: rating of all parts, date, advisories, windows, and
// what the quote says. One verifier judges all of them, so what it remembers of
// one must not change another.
func TestVectorsIntel(t *testing.T) {
	m := readManifest(t)
	docs := map[string]collateralVector{}
	for _, c := range m.Collateral {
		docs[c.File] = c
	}
	v, verdicts := strict(t), 0
	for kind, list := range map[string][]quoteVector{attestation.KindTDX: m.TDX, attestation.KindSGX: m.SGX} {
		for _, q := range list {
			raw := sealed(t, q.File, q.SHA256)
			for _, form := range forms(kind, raw) {
				t.Run(path.Base(q.File)+"/"+form.name, func(t *testing.T) {
					if k := attestation.DetectKind(form.data); k != kind {
						t.Errorf("detected as %q", k)
					}
					for _, x := range q.Expected {
						verdicts++
						c := docs[kind+"/collateral/"+x.Collateral]
						f, err := v.VerifyEvidence("", form.data, setOf(t, vectortest.Read(t, c.File)), time.Unix(x.Now, 0))
						if err != nil {
							t.Errorf("with %s: %v", x.Collateral, err)
							continue
						}
						compareRating(t, v, f, &q, &x, &c)
						if f.Intel.OpenEnclave != form.wrapped || f.Intel.Trailing != form.trailing {
							t.Errorf("Open Enclave %v, %d bytes behind", f.Intel.OpenEnclave, f.Intel.Trailing)
						}
					}
					if len(q.Expected) == 0 {
						withoutDocuments(t, v, &q, form.data)
					}
				})
			}
		}
	}
	if verdicts < 2*37 {
		t.Errorf("only %d verdicts compared", verdicts)
	}
}

type form struct {
	name     string
	data     []byte
	wrapped  bool
	trailing int
}

// forms returns a quote in the forms in which it comes: alone, with the padding
// of the buffer behind it, and for SGX as remote report of Open Enclave and
// EGo. Neither header nor padding is signed.
func forms(kind string, raw []byte) []form {
	fs := []form{{name: "quote", data: raw}, {name: "padded", data: append(slices.Clone(raw), make([]byte, 3000)...), trailing: 3000}}
	if kind == attestation.KindSGX {
		oe := binary.LittleEndian.AppendUint32(nil, 1)
		oe = binary.LittleEndian.AppendUint32(oe, 2)
		oe = binary.LittleEndian.AppendUint64(oe, uint64(len(raw)))
		fs = append(fs, form{name: "open enclave", data: append(oe, raw...), wrapped: true})
	}
	return fs
}

func compareRating(t *testing.T, v *attestation.Verifier, f *attestation.Facts, q *quoteVector, x *rating, c *collateralVector) {
	t.Helper()
	s := same{t, x.Collateral}
	got := v.Policy().Appraise(f, attestation.Subject{At: time.Unix(x.Now, 0)})
	if !got.Authentic || got.Simulated || f.Root != intel.RootFingerprint() {
		t.Errorf("%s: verdict %+v, root %x", x.Collateral, got, f.Root)
	}
	facts := got.Facts
	s.check("status", facts.TCBStatus, x.Status)
	s.check("FMSPC", facts.FMSPC, q.FMSPC)
	s.check("report data", facts.ReportData, q.ReportData)
	s.check("debug", fmt.Sprint(facts.Debug), fmt.Sprint(q.Debug))
	s.check("evaluation", fmt.Sprint(facts.EvaluationNumber), fmt.Sprint(c.Evaluation))
	if pck, _, _ := strings.Cut(q.Validity, ".."); pck > c.From.Format(time.DateOnly) {
		s.check("start", facts.NotBefore[:len(pck)], pck) // the certificate is younger than the documents
	} else {
		s.check("start", facts.NotBefore, c.From.Format(time.RFC3339))
	}
	s.check("end", facts.NotAfter, c.To.Format(time.RFC3339))
	if x.Error == "" {
		s.check("platform", facts.PlatformStatus, x.Platform)
		s.check("module", facts.ModuleStatus, x.Module)
		s.check("QE", facts.QEStatus, x.QE)
		s.check("date", facts.TCBDate, x.TCBDate)
		s.check("advisories", strings.Join(facts.Advisories, " "), strings.Join(x.Advisories, " "))
	} else { // no level matches: Intel's library stops there
		s.check("platform", facts.PlatformStatus, string(intel.NotSupported))
	}
	if td := facts.TDVerdict; td != nil {
		s.check("MRTD", td.MRTD, q.MRTD)
		s.check("XFAM", td.XFAM, q.XFAM)
		s.check("TDATTRIBUTES", td.TDAttributes, q.TDAttributes)
		s.check("TEE_TCB_SVN", td.TEETCBSVN, q.TEETCBSVN)
	} else {
		s.check("MRENCLAVE", facts.MRENCLAVE, q.MRENCLAVE)
		s.check("MRSIGNER", facts.MRSIGNER, q.MRSIGNER)
	}
}

// withoutDocuments judges a quote whose documents are in no set: signatures and
// PCK chain hold, and what is missing is named; or its root is not Intel's.
func withoutDocuments(t *testing.T, v *attestation.Verifier, q *quoteVector, raw []byte) {
	t.Helper()
	start, _, _ := strings.Cut(q.Validity, "..")
	at, err := time.Parse(time.DateOnly, start)
	if err != nil {
		t.Fatal(err)
	}
	_, err = v.VerifyEvidence("", raw, nil, at.AddDate(0, 1, 0))
	if strings.Contains(q.Note, "unknown root") {
		if fault.FamilyOf(err) != fault.FamilyFalse || !strings.Contains(err.Error(), "neither Intel's nor a simulated root") {
			t.Errorf("with an unknown root: %v", err)
		}
		return
	}
	if fault.FamilyOf(err) != fault.FamilyUnknown || !strings.Contains(err.Error(), "tcb?fmspc="+q.FMSPC) {
		t.Errorf("without documents: %v", err)
	}
	if _, err = v.VerifyEvidence("", raw, nil, at.AddDate(0, 0, -1)); fault.FamilyOf(err) != fault.FamilyUnknown || !strings.Contains(err.Error(), "is not valid before "+start) {
		t.Errorf("before its certificate: %v", err)
	}
	bad := slices.Clone(raw)
	bad[600%len(bad)] ^= 1
	if _, err = v.VerifyEvidence("", bad, nil, at.AddDate(0, 1, 0)); fault.FamilyOf(err) != fault.FamilyFalse {
		t.Errorf("changed: %v", err)
	}
}
