package nvidia_test

import (
	"encoding/base64"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/nvidia"
	"github.com/cocoon-go/cocoon/attestation/vectortest"
)

type rimVector struct{ File, Version, Expected string }

func rimVectors(t testing.TB) []rimVector {
	t.Helper()
	var m struct {
		RIMs []rimVector `json:"nvidia_rims"`
	}
	if err := json.Unmarshal(vectortest.Read(t, "manifest.json"), &m); err != nil {
		t.Fatal(err)
	}
	if len(m.RIMs) < 27 {
		t.Fatalf("only %d RIM entries", len(m.RIMs))
	}
	return m.RIMs
}

// noOCSP verifies real documents: there are no real OCSP responses.
var noOCSP = nvidia.Options{WithoutRevocationUnsafe: true}

// signedAt is a time at which the signer of most real documents was in force.
var signedAt = time.Date(2025, 6, 1, 12, 0, 0, 0, time.UTC)

// TestRIMVectors compares every RIM of the manifest with its verdict.
func TestRIMVectors(t *testing.T) {
	for _, v := range rimVectors(t) {
		t.Run(filepath.Base(v.File), func(t *testing.T) {
			doc := vectortest.Read(t, v.File)
			d, err := nvidia.ParseRIM(doc)
			if err != nil {
				t.Fatal(err)
			}
			when := signedAt
			if d.Product == "LS10" {
				when = at
			}
			if d.Version != v.Version {
				t.Errorf("version %q, want %q", d.Version, v.Version)
			}
			r, err := nvidia.VerifyRIM(doc, nil, noOCSP, when)
			switch {
			case strings.HasPrefix(v.Expected, "XML signature + chain to NVIDIA CoRIM signing Root CA verify"):
				if err != nil {
					t.Fatal(err)
				}
				if f := r.Facts(); f.Simulated || f.Root != nvidia.RIMRoot() || f.Version != v.Version || f.Revocation.Checked {
					t.Errorf("facts %+v", f)
				}
			case v.Expected == "XML signature invalid" || strings.HasPrefix(v.Expected, "digest mismatch"):
				wantErr(t, err, fault.FamilyFalse, nvidia.StepRIM, "")
			default:
				t.Errorf("unknown expectation %q", v.Expected)
			}
			wrapped, err := json.Marshal(map[string]string{"id": "X", "rim": base64.StdEncoding.EncodeToString(doc), "sha256": "", "rim_format": "TCG"})
			if err != nil {
				t.Fatal(err)
			}
			if w, err := nvidia.ParseRIM(wrapped); err != nil || w.Digest() != d.Digest() {
				t.Errorf("in the service's JSON: %v", err)
			}
		})
	}
}

// manifestIDs returns the ids of VBIOS RIM documents by the name of the report.
func manifestIDs(t testing.TB) map[string]string {
	t.Helper()
	var m struct {
		NVIDIA []struct {
			Report string
			ID     string `json:"vbios_rim_id"`
		}
	}
	if err := json.Unmarshal(vectortest.Read(t, "manifest.json"), &m); err != nil {
		t.Fatal(err)
	}
	ids := map[string]string{}
	for _, v := range m.NVIDIA {
		ids[v.Report] = v.ID
	}
	return ids
}
