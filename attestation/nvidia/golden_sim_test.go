package nvidia_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/nvidia"
	"github.com/cocoon-go/cocoon/attestation/sim"
	"github.com/cocoon-go/cocoon/attestation/vectortest"
)

const (
	driverVersion = "590.48.01"
	vbiosVersion  = "96.00.5E.00.01"
)

// verified signs and verifies a document of the common vendor.
func verified(t testing.TB, f sim.NVIDIARIM) *nvidia.RIM {
	t.Helper()
	r, err := nvidia.VerifyRIM(rim(t, vendor(), f), nil, nvidia.Options{SimulatedRoots: vendor().Roots(), WithoutRevocationUnsafe: true}, at)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func driverRIM(t testing.TB, indexes ...int) *nvidia.RIM {
	return verified(t, sim.NVIDIARIM{Version: driverVersion, Product: "GH100", Golden: sim.NVIDIAGolden(indexes...)})
}

func vbiosRIM(t testing.TB, indexes ...int) *nvidia.RIM {
	return verified(t, sim.NVIDIARIM{Version: vbiosVersion, Product: "GH100", Golden: sim.NVIDIAGolden(indexes...)})
}

func simReport(t testing.TB, chip string, f sim.NVIDIAReport) *nvidia.Report {
	t.Helper()
	b, err := newDevice(t, vendor(), sim.NVIDIADeviceConfig{Chip: chip}).Report(vendor(), f)
	if err != nil {
		t.Fatal(err)
	}
	r, err := nvidia.ParseReport(b)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestCompareGolden changes one measurement or golden value at a time.
func TestCompareGolden(t *testing.T) {
	other := bytes.Repeat([]byte{7}, nvidia.DigestSize)
	for _, c := range []struct {
		name    string
		report  sim.NVIDIAReport
		driver  []int
		vbios   []int
		want    string // compared, skipped, mismatches with source and whether absent
		matches bool
	}{
		{"golden", sim.NVIDIAReport{}, []int{7, 21}, []int{0, 1, 63}, "5 [] []", true},
		{"second alternative", sim.NVIDIAReport{Measurements: map[int][]byte{23: sim.NVIDIAMeasurement(1000)}}, []int{23}, []int{0}, "2 [] []", true},
		{"neither alternative", sim.NVIDIAReport{Measurements: map[int][]byte{23: other}}, []int{23}, []int{0}, "2 [] [23 driver false]", false},
		{"wrong in the driver", sim.NVIDIAReport{Measurements: map[int][]byte{21: other}}, []int{7, 21}, []int{0}, "3 [] [21 driver false]", false},
		{"wrong in the VBIOS", sim.NVIDIAReport{Measurements: map[int][]byte{0: other}}, []int{7}, []int{0}, "2 [] [0 vbios false]", false},
		{"sorted", sim.NVIDIAReport{Measurements: map[int][]byte{0: other, 7: other, 9: other}}, []int{7}, []int{0, 9}, "3 [] [0 vbios false 7 driver false 9 vbios false]", false},
		{"absent", sim.NVIDIAReport{Measurements: map[int][]byte{9: nil}}, []int{7}, []int{9}, "2 [] [9 vbios true]", false},
		{"not active", sim.NVIDIAReport{Measurements: map[int][]byte{50: other}}, []int{7}, []int{9}, "2 [] []", true},
		{"decoder off", sim.NVIDIAReport{Measurements: map[int][]byte{35: other}}, []int{7, 35}, []int{9}, "2 [35] []", true},
		{"decoder on", sim.NVIDIAReport{NVDEC0: true, Measurements: map[int][]byte{35: other}}, []int{7, 35}, []int{9}, "3 [] [35 driver false]", false},
		{"decoder on and golden", sim.NVIDIAReport{NVDEC0: true}, []int{7, 35}, []int{9}, "3 [] []", true},
		{"decoder not told", sim.NVIDIAReport{EditField: func(f []sim.NVIDIAField) []sim.NVIDIAField { return dropField(f, 11) }, Measurements: map[int][]byte{35: other}}, []int{7, 35}, []int{9}, "3 [] [35 driver false]", false},
		{"decoder off, VBIOS", sim.NVIDIAReport{Measurements: map[int][]byte{35: other}}, []int{7}, []int{35}, "1 [35] []", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			g, err := nvidia.CompareGolden(simReport(t, "GH100", c.report), driverRIM(t, c.driver...), vbiosRIM(t, c.vbios...))
			if err != nil {
				t.Fatal(err)
			}
			var wrong []string
			for _, m := range g.Mismatches {
				wrong = append(wrong, fmt.Sprintf("%d %s %v", m.Index, m.Source, m.Absent))
			}
			if got := fmt.Sprint(g.Compared, g.Skipped, wrong); got != c.want || g.Match() != c.matches || !g.Complete {
				t.Errorf("%s, match %v, want %s", got, g.Match(), c.want)
			}
			if g.Driver.Version != driverVersion || g.VBIOS.Version != vbiosVersion {
				t.Errorf("documents %+v, %+v", g.Driver, g.VBIOS)
			}
		})
	}
}

func dropField(fields []sim.NVIDIAField, t uint16) []sim.NVIDIAField {
	var out []sim.NVIDIAField
	for _, f := range fields {
		if f.Type != t {
			out = append(out, f)
		}
	}
	return out
}

// TestMismatch says what was found and what was wanted.
func TestMismatch(t *testing.T) {
	other := bytes.Repeat([]byte{7}, nvidia.DigestSize)
	r := simReport(t, "GH100", sim.NVIDIAReport{Measurements: map[int][]byte{23: other}})
	g, err := nvidia.CompareGolden(r, driverRIM(t, 23), nil)
	if err != nil {
		t.Fatal(err)
	}
	m := g.Mismatches[0]
	if !bytes.Equal(m.Got[:], other) || len(m.Want) != 2 || !bytes.Equal(m.Want[0][:], sim.NVIDIAMeasurement(1000)) || !bytes.Equal(m.Want[1][:], sim.NVIDIAMeasurement(23)) {
		t.Errorf("mismatch %+v", m)
	}
	// What the caller does to it does not reach the document.
	m.Want[0] = [nvidia.DigestSize]byte(other)
	if g, err := nvidia.CompareGolden(r, driverRIM(t, 23), nil); err != nil || len(g.Mismatches) != 1 {
		t.Errorf("%v, %+v", err, g)
	}
}

// TestGoldenIncomplete never matches while a document is missing.
func TestGoldenIncomplete(t *testing.T) {
	r := simReport(t, "GH100", sim.NVIDIAReport{})
	for _, c := range []struct{ driver, vbios *nvidia.RIM }{{driverRIM(t, 7), nil}, {nil, vbiosRIM(t, 1)}} {
		g, err := nvidia.CompareGolden(r, c.driver, c.vbios)
		if err != nil || g.Match() || g.Complete || g.Compared != 1 || len(g.Mismatches) != 0 || (g.Driver == nil) != (c.driver == nil) || (g.VBIOS == nil) != (c.vbios == nil) {
			t.Errorf("%v, %+v", err, g)
		}
	}
	s := simReport(t, "LS_10", sim.NVIDIAReport{})
	firmware := verified(t, sim.NVIDIARIM{Version: s.Opaque.VBIOS, Product: "LS10", Switch: true})
	if g, err := nvidia.CompareGolden(s, nil, firmware); err != nil || !g.Match() || g.Driver != nil {
		t.Errorf("switch: %v, %+v", err, g)
	}
	// With nothing to compare there is nothing that matches.
	quiet := simReport(t, "GH100", sim.NVIDIAReport{})
	if g, err := nvidia.CompareGolden(quiet, driverRIM(t, 35), vbiosRIM(t, 1)); err != nil || !g.Match() {
		t.Errorf("%v, %+v", err, g)
	}
	if (&nvidia.Golden{Complete: true}).Match() {
		t.Error("nothing matches")
	}
}

// TestGoldenRefusals are pairs that can't be compared.
func TestGoldenRefusals(t *testing.T) {
	gpu, sw := simReport(t, "GH100", sim.NVIDIAReport{}), simReport(t, "LS_10", sim.NVIDIAReport{})
	driver, vbios := driverRIM(t, 7), vbiosRIM(t, 1)
	firmware := verified(t, sim.NVIDIARIM{Version: sw.Opaque.VBIOS, Product: "LS10", Switch: true})
	const plain = `index="7" name="Measurement_7" size="48" type="Measurement"`
	edited := func(to string) *nvidia.RIM {
		return verified(t, sim.NVIDIARIM{Version: driverVersion, Product: "GH100", Golden: sim.NVIDIAGolden(7, 8), Edit: swap(plain, to)})
	}
	for _, c := range []struct {
		name          string
		report        *nvidia.Report
		driver, vbios *nvidia.RIM
		family        fault.Family
		part          string
	}{
		{"no report", nil, driver, vbios, fault.FamilyInput, "no report"},
		{"no document", gpu, nil, nil, fault.FamilyInput, "no RIM document"},
		{"driver of a switch", sw, driver, firmware, fault.FamilyInput, "a switch has no driver"},
		{"swapped", gpu, vbios, driver, fault.FamilyUnknown, `is not for the report's GPU "590.48.01"`},
		{"other driver", gpu, verified(t, sim.NVIDIARIM{Version: "590.48.02", Product: "GH100", Golden: sim.NVIDIAGolden(7)}), vbios, fault.FamilyUnknown, "is not for the report's"},
		{"other VBIOS", gpu, driver, verified(t, sim.NVIDIARIM{Version: "96.00.5E.00.02", Product: "GH100"}), fault.FamilyUnknown, "is not for the report's"},
		{"firmware of a switch", gpu, driver, verified(t, sim.NVIDIARIM{Version: vbiosVersion, Product: "LS10", Switch: true}), fault.FamilyUnknown, "is not for the report's"},
		{"VBIOS of a GPU", sw, nil, verified(t, sim.NVIDIARIM{Version: sw.Opaque.VBIOS, Product: "GH100"}), fault.FamilyUnknown, "is not for the report's"},
		{"both have one index", gpu, driverRIM(t, 7, 8), vbiosRIM(t, 1, 8), fault.FamilyUnknown, "both have measurement 8"},
		{"index past the measurements", gpu, edited(`index="64" name="min" size="48" type="Measurement"`), vbios, fault.FamilyUnknown, `1 reference values that are no digests, like "min"`},
		{"another type", gpu, edited(`index="7" name="min" size="48" type="OpaqueData"`), vbios, fault.FamilyUnknown, "reference values that are no digests"},
		{"an unknown attribute", gpu, edited(`index="7" minSvn="3" name="min" size="48" type="Measurement"`), vbios, fault.FamilyUnknown, "reference values that are no digests"},
		{"an attribute of another namespace", gpu, edited(`index="7" name="min" size="48" type="Measurement" ns0:minSvn="3"`), vbios, fault.FamilyUnknown, "reference values that are no digests"},
		{"a known attribute of another namespace", gpu, edited(`index="7" name="min" size="48" type="Measurement" ns0:size="3"`), vbios, fault.FamilyUnknown, "reference values that are no digests"},
		{"index in another form", gpu, edited(`index="07" name="min" size="48" type="Measurement"`), vbios, fault.FamilyUnknown, "reference values that are no digests"},
		{"negative index", gpu, edited(`index="-7" name="min" size="48" type="Measurement"`), vbios, fault.FamilyUnknown, "reference values that are no digests"},
		{"long index", gpu, edited(`index="1007" name="min" size="48" type="Measurement"`), vbios, fault.FamilyUnknown, "reference values that are no digests"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g, err := nvidia.CompareGolden(c.report, c.driver, c.vbios)
			wantErr(t, err, c.family, nvidia.StepGolden, c.part)
			if g != nil {
				t.Error("a result with an error")
			}
		})
	}
	// Inactive ones do not matter, whatever they are.
	inactive := verified(t, sim.NVIDIARIM{Version: driverVersion, Product: "GH100", Golden: sim.NVIDIAGolden(7),
		Edit: swap(`index="50" name="Measurement_50" size="48" type="Measurement"`, `index="64" name="min" size="2" type="OpaqueData"`)})
	if g, err := nvidia.CompareGolden(gpu, inactive, vbios); err != nil || !g.Match() {
		t.Errorf("inactive: %v", err)
	}
	// Versions are compared without regard to case, as NVIDIA does.
	if g, err := nvidia.CompareGolden(gpu, driver, verified(t, sim.NVIDIARIM{Version: "96.00.5e.00.01", Product: "GH100"})); err != nil || g.Compared != 4 {
		t.Errorf("small letters: %v, %+v", err, g)
	}
}

// TestRIMIDs lists ids that the vectors' manifest names, and those of Blackwell.
func TestRIMIDs(t *testing.T) {
	for _, c := range []struct {
		kind          nvidia.Kind
		o             nvidia.Opaque
		driver, vbios string
	}{
		{nvidia.Hopper, nvidia.Opaque{Driver: "535.86.09", VBIOS: "96.00.5E.00.01", Project: "1010", ProjectSKU: "0200", ChipSKU: "882"},
			"NV_GPU_DRIVER_GH100_535.86.09", "NV_GPU_VBIOS_1010_0200_882_96005E0001"},
		{nvidia.Blackwell, nvidia.Opaque{Driver: "590.48.01", VBIOS: "97.00.e4.00.11", Project: "g525", ProjectSKU: "0220", ChipSKU: "886", Chip: "GB102"},
			"NV_GPU_CC_DRIVER_GB102_590.48.01", "NV_GPU_VBIOS_G525_0220_886_9700E40011"},
		{nvidia.Blackwell, nvidia.Opaque{Driver: "590.48.01"}, "NV_GPU_CC_DRIVER_GB100_590.48.01", "NV_GPU_VBIOS____"},
		{nvidia.LS10, nvidia.Opaque{VBIOS: "96.10.55.00.01"}, "", "NV_SWITCH_BIOS_5612_0002_890_9610550001"},
	} {
		if got := nvidia.DriverRIMID(c.kind, &c.o); got != c.driver {
			t.Errorf("driver %s, want %s", got, c.driver)
		}
		if got := nvidia.VBIOSRIMID(c.kind, &c.o); got != c.vbios {
			t.Errorf("VBIOS %s, want %s", got, c.vbios)
		}
	}
}

// TestRIMIDVectors compares with the ids of the manifest.
func TestRIMIDVectors(t *testing.T) {
	ids := manifestIDs(t)
	kinds := map[string]nvidia.Kind{"HOPPER": nvidia.Hopper, "BLACKWELL": nvidia.Blackwell, "LS10": nvidia.LS10}
	for _, v := range nvidiaVectors(t) {
		r, err := nvidia.ParseReport(vectortest.Read(t, v.Report))
		if err != nil {
			t.Fatal(err)
		}
		got := nvidia.VBIOSRIMID(kinds[v.Arch], &r.Opaque)
		if want := ids[v.Report]; v.Arch == "LS10" && v.id() != "352fc991e8d2" || got == want {
			continue // the manifest names one id for all switches
		} else if v.Arch != "LS10" || want != got+" (352fc991e8d2)" {
			t.Errorf("%s: %s, want %s", v.id(), got, want)
		}
	}
}

// TestNVDEC0 finds the field wherever it stands.
func TestNVDEC0(t *testing.T) {
	for _, first := range []bool{true, false} {
		r := simReport(t, "GH100", sim.NVIDIAReport{EditField: func(f []sim.NVIDIAField) []sim.NVIDIAField {
			var off sim.NVIDIAField
			for _, x := range f {
				if x.Type == 11 {
					off = x
				}
			}
			f = dropField(f, 11)
			if first {
				return append([]sim.NVIDIAField{off}, f...)
			}
			return append(f, sim.NVIDIAField{Type: 900, Data: binary.LittleEndian.AppendUint16(nil, 11)}, off)
		}})
		if g, err := nvidia.CompareGolden(r, driverRIM(t, 35), vbiosRIM(t, 1)); err != nil || len(g.Skipped) != 1 {
			t.Errorf("first %v: %v, %+v", first, err, g)
		}
	}
}
