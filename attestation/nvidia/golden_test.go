package nvidia_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cocoon-go/cocoon/attestation/nvidia"
	"github.com/cocoon-go/cocoon/attestation/vectortest"
)

// TestGoldenPairs compares every pair of report and RIM documents of the
// manifest with its verdict.
func TestGoldenPairs(t *testing.T) {
	var m struct {
		Pairs []struct {
			Report   string
			Driver   string `json:"driver_rim"`
			VBIOS    string `json:"vbios_rim"`
			Expected string
		} `json:"nvidia_pairs"`
	}
	if err := json.Unmarshal(vectortest.Read(t, "manifest.json"), &m); err != nil {
		t.Fatal(err)
	}
	if len(m.Pairs) < 4 {
		t.Fatalf("only %d pairs", len(m.Pairs))
	}
	load := func(name string) *nvidia.RIM {
		if name == "" {
			return nil
		}
		when := signedAt
		if strings.HasPrefix(name, "switch") {
			when = at
		}
		r, err := nvidia.VerifyRIM(vectortest.Read(t, filepath.Join("nvidia/rims", name)), nil, noOCSP, when)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for _, p := range m.Pairs {
		var report []byte
		for _, v := range nvidiaVectors(t) {
			if v.id() == p.Report {
				report = vectortest.Read(t, v.Report)
			}
		}
		r, err := nvidia.ParseReport(report)
		if err != nil {
			t.Fatal(err)
		}
		g, err := nvidia.CompareGolden(r, load(p.Driver), load(p.VBIOS))
		if err != nil {
			t.Fatal(err)
		}
		var wrong []string
		for _, x := range g.Mismatches {
			wrong = append(wrong, fmt.Sprint(x.Index))
			if x.Source != "vbios" || x.Absent {
				t.Errorf("%s: mismatch %+v", p.Report, x)
			}
		}
		got := fmt.Sprintf("%d of %d match", g.Compared-len(wrong), g.Compared)
		if len(wrong) != 0 {
			got = "vbios mismatch at " + strings.Join(wrong, ",")
		}
		want := map[string]string{
			"vbios mismatch at 1,2,3,9":                           "vbios mismatch at 1,2,3,9",
			"vbios 12/12 match":                                   "12 of 12 match",
			"vbios mismatch at 9 (RIM signature itself is valid)": "vbios mismatch at 9",
			"switch 31/31 match":                                  "31 of 31 match",
		}[p.Expected]
		if got != want {
			t.Errorf("%s: %s, want %s", p.Report, got, p.Expected)
		}
		// Only the switch has all its documents here.
		if complete := r.Opaque.Driver == "" || p.Driver != ""; g.Complete != complete || g.Match() != (complete && len(wrong) == 0) {
			t.Errorf("%s: complete %v, match %v", p.Report, g.Complete, g.Match())
		}
		if skips := p.Driver != ""; skips != (len(g.Skipped) == 1 && g.Skipped[0] == 35) {
			t.Errorf("%s: skipped %v", p.Report, g.Skipped)
		}
	}
}
