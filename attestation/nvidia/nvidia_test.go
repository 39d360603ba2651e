package nvidia_test

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/nvidia"
	"github.com/cocoon-go/cocoon/attestation/vectortest"
)

// nvidiaVector is an entry of the manifest.
type nvidiaVector struct {
	Report       string
	Chain        string
	Arch         string
	Driver       string
	VBIOS        string
	RequestNonce string `json:"request_nonce"`
	Expected     string
}

// id returns the short name that the manifest's pairs use.
func (v nvidiaVector) id() string {
	s := strings.TrimSuffix(filepath.Base(v.Report), ".report.bin")
	return s[strings.LastIndex(s, "-")+1:]
}

func nvidiaVectors(t testing.TB) []nvidiaVector {
	t.Helper()
	var m struct{ NVIDIA []nvidiaVector }
	if err := json.Unmarshal(vectortest.Read(t, "manifest.json"), &m); err != nil {
		t.Fatal(err)
	}
	if len(m.NVIDIA) < 16 {
		t.Fatalf("only %d NVIDIA entries", len(m.NVIDIA))
	}
	return m.NVIDIA
}

// evidence returns a real report and its chain.
func (v nvidiaVector) evidence(t testing.TB) *nvidia.Evidence {
	t.Helper()
	e, err := nvidia.NewEvidence(vectortest.Read(t, v.Report), vectortest.Read(t, v.Chain))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// at is a time inside the validity of all real device certificates.
var at = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// bare looks at chain and report alone.
var bare = nvidia.Options{WithoutRevocationUnsafe: true, WithoutRIMUnsafe: true}

// wantErr asserts the family, the step and a part of the message.
func wantErr(t testing.TB, err error, f fault.Family, s nvidia.Step, part string) {
	t.Helper()
	var se *nvidia.StepError
	if err == nil || fault.FamilyOf(err) != f || !errors.As(err, &se) || se.Step != s || !strings.Contains(err.Error(), part) {
		t.Errorf("got %v (family %d, step %+v), want family %d at step %q with %q", err, fault.FamilyOf(err), se, f, s, part)
	}
}
