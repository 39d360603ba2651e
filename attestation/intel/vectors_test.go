package intel_test

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation/intel"
	"github.com/cocoon-go/cocoon/attestation/vectortest"
)

type manifestEntry struct {
	File     string
	Note     string
	FMSPC    string
	Debug    bool
	MRTD     string
	XFAM     string
	TDAttr   string `json:"td_attributes"`
	SVN      string `json:"tee_tcb_svn"`
	Report   string `json:"report_data"`
	Enclave  string `json:"mrenclave"`
	Signer   string `json:"mrsigner"`
	Validity string `json:"pck_validity"`
	Expected []struct {
		Collateral                             string
		Now                                    int64
		Status, Platform, Module, QE, TCB_Date string
		Advisories                             []string
	}
}

func readFile(t testing.TB, path ...string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func loadCollateral(t testing.TB, path ...string) *intel.Endorsements {
	t.Helper()
	c, err := intel.ParseCollateral(readFile(t, path...))
	if err != nil {
		t.Fatal(err)
	}
	e := new(intel.Endorsements)
	if err := e.AddCollateral(c); err != nil {
		t.Fatal(err)
	}
	return e
}

// TestRealQuotes compares every verdict with that of Intel's own algorithm.
func TestRealQuotes(t *testing.T) {
	dir := vectortest.Dir(t)
	var m map[string]json.RawMessage
	if err := json.Unmarshal(readFile(t, dir, "manifest.json"), &m); err != nil {
		t.Fatal(err)
	}
	v := intel.NewVerifier()
	verdicts := 0
	for _, tee := range []string{"tdx", "sgx"} {
		var entries []manifestEntry
		if err := json.Unmarshal(m[tee], &entries); err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			q, err := intel.ParseQuote(readFile(t, dir, e.File))
			if err != nil {
				t.Errorf("%s: %v", e.File, err)
				continue
			}
			if q.TEE.String() != tee {
				t.Errorf("%s: TEE %s", e.File, q.TEE)
			}
			for _, x := range e.Expected {
				verdicts++
				f, err := v.Verify(q, loadCollateral(t, dir, tee, "collateral", x.Collateral), time.Unix(x.Now, 0))
				if err != nil {
					t.Errorf("%s with %s: %v", e.File, x.Collateral, err)
					continue
				}
				if string(f.Status) != x.Status || f.Debug() != e.Debug || hex.EncodeToString(f.Platform.FMSPC[:]) != e.FMSPC {
					t.Errorf("%s with %s: status %s debug %v fmspc %x, want %s %v %s", e.File, x.Collateral, f.Status, f.Debug(), f.Platform.FMSPC, x.Status, e.Debug, e.FMSPC)
				}
				if x.Platform == "" { // not rated at all
					continue
				}
				date := f.TCBDate.Format(time.DateOnly)
				if string(f.PlatformStatus) != x.Platform || string(f.ModuleStatus) != x.Module || string(f.QEStatus) != x.QE || date != x.TCB_Date {
					t.Errorf("%s with %s: platform %s module %s QE %s date %s, want %s %s %s %s", e.File, x.Collateral,
						f.PlatformStatus, f.ModuleStatus, f.QEStatus, date, x.Platform, x.Module, x.QE, x.TCB_Date)
				}
				if !slices.Equal(f.Advisories, x.Advisories) {
					t.Errorf("%s with %s: advisories %q, want %q", e.File, x.Collateral, f.Advisories, x.Advisories)
				}
			}
			checkBody(t, e, q)
		}
	}
	if verdicts < 37 {
		t.Errorf("only %d verdicts compared", verdicts)
	}
}

func checkBody(t *testing.T, e manifestEntry, q *intel.Quote) {
	t.Helper()
	eq := func(what string, got []byte, want string) {
		if want != "" && hex.EncodeToString(got) != want {
			t.Errorf("%s: %s %x, want %s", e.File, what, got, want)
		}
	}
	if td := q.TD(); td != nil {
		eq("MRTD", td.MRTD[:], e.MRTD)
		eq("XFAM", td.XFAM[:], e.XFAM)
		eq("attributes", td.TDAttributes[:], e.TDAttr)
		eq("TEE_TCB_SVN", td.TEETCBSVN[:], e.SVN)
		eq("report data", td.ReportData[:], e.Report)
		return
	}
	s := q.Enclave()
	eq("MRENCLAVE", s.MRENCLAVE[:], e.Enclave)
	eq("MRSIGNER", s.MRSIGNER[:], e.Signer)
	eq("report data", s.ReportData[:], e.Report)
}
