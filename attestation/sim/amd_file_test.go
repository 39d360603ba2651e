package sim

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/amd"
)

// storedMachine is one machine for all tests: RSA keys are slow to make.
func storedMachine(t testing.TB) (*AMDMachine, []byte) {
	t.Helper()
	m, err := NewAMDMachine()
	if err != nil {
		t.Fatal(err)
	}
	f, err := m.File()
	if err != nil || !f.Secret || f.Name != AMDMachineFile {
		t.Fatalf("%s, secret %v, %v", f.Name, f.Secret, err)
	}
	return m, f.Data
}

// TestAMDMachineFile: what is read again is the same machine: its reports verify
// under the certificates of the first, and it is written the same.
func TestAMDMachineFile(t *testing.T) {
	m, data := storedMachine(t)
	again, err := ParseAMDMachine(data)
	if err != nil {
		t.Fatal(err)
	}
	f, err := again.File()
	if err != nil || !bytes.Equal(f.Data, data) {
		t.Fatalf("written again it differs, %v", err)
	}
	if again.Vendor.Root() != m.Vendor.Root() || again.Chip.ChipID != m.Chip.ChipID || again.Chip.TCB != m.Chip.TCB {
		t.Error("another machine")
	}
	now := time.Now()
	docs, err := again.Endorsements(now.Add(-time.Hour), now.Add(time.Hour))
	if err != nil || len(docs) != 4 {
		t.Fatalf("%d documents, %v", len(docs), err)
	}
	report, err := again.Chip.Report(AMDReport{})
	if err != nil {
		t.Fatal(err)
	}
	var der [][]byte
	for _, d := range docs {
		if der = append(der, d.Data); d.Secret {
			t.Errorf("%s is secret", d.Name)
		}
	}
	e, err := amd.ParseEndorsements(der...)
	if err != nil {
		t.Fatal(err)
	}
	facts, err := amd.Verify(report, e, amd.Options{SimulatedRoots: [][32]byte{m.Vendor.Root()}}, now)
	if err != nil || !facts.Simulated {
		t.Errorf("its report: %+v, %v", facts, err)
	}
}

// TestPlatformFile: a directory holds one platform.
func TestPlatformFile(t *testing.T) {
	for want, names := range map[string][]string{
		IntelPlatformFile: {IntelRootFile, IntelPlatformFile, NVIDIAMachineFile}, AMDMachineFile: {AMDMachineFile, NVIDIAMachineFile},
	} {
		if got, err := PlatformFile(names...); got != want || err != nil {
			t.Errorf("%v: %s, %v", names, got, err)
		}
	}
	for _, names := range [][]string{nil, {NVIDIAMachineFile}, {IntelPlatformFile, AMDMachineFile}} {
		var bad *attestation.InputError
		if got, err := PlatformFile(names...); got != "" || !errors.As(err, &bad) {
			t.Errorf("%v: %s, %v", names, got, err)
		}
	}
}

// TestParseAMDMachine changes one thing of a stored machine.
func TestParseAMDMachine(t *testing.T) {
	_, data := storedMachine(t)
	var bad *attestation.InputError
	for name, edit := range map[string]func(map[string]any){
		"another format":      func(f map[string]any) { f["format"] = "cocoon/sim-amd/v2" },
		"an unknown field":    func(f map[string]any) { f["more"] = 1 },
		"a short chip id":     func(f map[string]any) { f["chip_id"] = "00" },
		"no root certificate": func(f map[string]any) { f["ark"].(map[string]any)["certificate"] = "" },
		"no root key":         func(f map[string]any) { f["ark"].(map[string]any)["key"] = "" },
		"no intermediate":     func(f map[string]any) { f["ask"] = map[string]any{} },
		"keys swapped":        func(f map[string]any) { f["ark"].(map[string]any)["key"] = f["vcek"].(map[string]any)["key"] },
		"certificates swapped": func(f map[string]any) {
			f["ark"].(map[string]any)["certificate"] = f["ask"].(map[string]any)["certificate"]
		},
		"a key that is no key": func(f map[string]any) {
			f["vcek"].(map[string]any)["key"] = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
		},
		"two keys": func(f map[string]any) {
			v := f["vcek"].(map[string]any)
			v["key"] = v["key"].(string) + v["key"].(string)
		},
		"a certificate cut off": func(f map[string]any) {
			v := f["vcek"].(map[string]any)
			v["certificate"] = v["certificate"].(string)[:400]
		},
		"a chip with the root's": func(f map[string]any) { f["vcek"] = f["ark"] },
	} {
		t.Run(name, func(t *testing.T) {
			var f map[string]any
			if err := json.Unmarshal(data, &f); err != nil {
				t.Fatal(err)
			}
			edit(f)
			changed, err := json.Marshal(f)
			if err != nil {
				t.Fatal(err)
			}
			m, err := ParseAMDMachine(changed)
			if m != nil || !errors.As(err, &bad) {
				t.Fatalf("read: %v", err)
			}
			if strings.Contains(err.Error(), "PRIVATE KEY-----") || strings.Contains(err.Error(), "MII") {
				t.Errorf("the error holds a key: %v", err)
			}
		})
	}
	if _, err := ParseAMDMachine(make([]byte, maxPlatformSize+1)); !errors.As(err, &bad) {
		t.Errorf("a large file: %v", err)
	}
}

func FuzzParseAMDMachine(f *testing.F) {
	_, data := storedMachine(f)
	f.Add(data)
	f.Add([]byte(`{"format":"cocoon/sim-amd/v1"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseAMDMachine(b)
		if err != nil {
			return
		}
		if _, err := m.File(); err != nil {
			t.Error(err)
		}
	})
}
