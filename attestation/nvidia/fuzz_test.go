package nvidia_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/nvidia"
	"github.com/cocoon-go/cocoon/attestation/sim"
	"github.com/cocoon-go/cocoon/attestation/vectortest"
)

// FuzzReport parses reports: never a panic, never a report with an error, and
// what is parsed is small.
func FuzzReport(f *testing.F) {
	for _, chip := range []string{"GH100", "GB100", "LS_10"} {
		f.Add(mint(f, chip, sim.NVIDIAReport{Feature: nvidia.PPCIE, Switches: [][8]byte{{1}}}))
	}
	f.Add(mint(f, "GB100", sim.NVIDIAReport{OpaqueHeader: []byte("NVDAOD\x00\x00\x02\x00\x00\x00")}))
	for _, b := range realFiles(f, "*.report.bin") {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := nvidia.ParseReport(b)
		if err != nil {
			if fault.FamilyOf(err) != fault.FamilyInput || r != nil {
				t.Fatalf("%v, %v", err, r)
			}
			return
		}
		if o := &r.Opaque; r.Count() > nvidia.MaxMeasurements || len(o.Switches) > 18 || len(o.GPUs) > 8 || len(o.Unknown)*4 > len(b) {
			t.Fatalf("report %+v", r)
		}
	})
}

// FuzzEvidence reads files in every form. The form of bundles is unique: what is
// read encodes to the same bytes.
func FuzzEvidence(f *testing.F) {
	d := newDevice(f, vendor(), sim.NVIDIADeviceConfig{})
	report, err := d.Report(vendor(), sim.NVIDIAReport{})
	if err != nil {
		f.Fatal(err)
	}
	ev := evidence(f, d, report)
	bundle, err := ev.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(bundle)
	f.Add(report)
	f.Add(jsonOf(f, []any{map[string]any{"evidence": report, "certificate": chainPEM(ev.Chain...)}}))
	f.Add([]byte(`{"evidences":[{"evidence":"AA==","certificate":""}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if e, err := nvidia.ParseEvidence(b); err == nil {
			again, err := e.Encode()
			if err != nil || !bytes.Equal(again, b) {
				t.Fatalf("encodes to other bytes: %v", err)
			}
		}
		list, err := nvidia.ParseFile(b)
		if (err == nil) == (len(list) == 0) || len(list) > nvidia.MaxDevices || err != nil && fault.FamilyOf(err) != fault.FamilyInput {
			t.Fatalf("%v with %d devices", err, len(list))
		}
	})
}

// FuzzEndorsements reads documents of every form. Signatures are not reached.
func FuzzEndorsements(f *testing.F) {
	d := newDevice(f, vendor(), sim.NVIDIADeviceConfig{})
	for _, doc := range documents(f, d) {
		f.Add(doc)
	}
	f.Add(chainPEM(d.Chain[0].Raw))
	f.Add(d.Chain[1].Raw)
	s := newNRAS(f, sim.NVIDIAConfig{})
	keys, err := s.KeySet(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(keys)
	f.Add(s.tokens(f, sim.NRASTokens{}))
	f.Add([]byte(`[["JWT","e30.e30.AA"],{"GPU-0":"e30.e30.AA"}]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		e := &nvidia.Endorsements{}
		if err := e.Add(b); err != nil && fault.FamilyOf(err) != fault.FamilyInput {
			t.Fatal(err)
		}
	})
}

// realFiles returns real evidence as seeds, nothing when there is none.
func realFiles(f *testing.F, pattern string) [][]byte {
	if !vectortest.Has() {
		return nil
	}
	names, err := filepath.Glob(filepath.Join(vectortest.Dir(f), "nvidia/evidence", pattern))
	if err != nil || len(names) == 0 {
		f.Fatalf("no files %s: %v", pattern, err)
	}
	var out [][]byte
	for _, n := range names {
		b, err := os.ReadFile(n)
		if err != nil {
			f.Fatal(err)
		}
		out = append(out, b)
	}
	return out
}
