package nvidia_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/nvidia"
	"github.com/cocoon-go/cocoon/attestation/sim"
)

// TestRIMSelect finds the documents of a device among others.
func TestRIMSelect(t *testing.T) {
	driver := func(product string, indexes ...int) []byte {
		return rim(t, vendor(), sim.NVIDIARIM{Version: driverVersion, Product: product, Golden: sim.NVIDIAGolden(indexes...)})
	}
	vbios := func(product string) []byte {
		return rim(t, vendor(), sim.NVIDIARIM{Version: vbiosVersion, Product: product, Golden: sim.NVIDIAGolden(1)})
	}
	forged := func(n int) [][]byte {
		var out [][]byte
		for i := range n {
			out = append(out, rim(t, vendor(), sim.NVIDIARIM{Version: driverVersion, Product: "GH100", EditSigned: swap(`revision="r1"`, fmt.Sprintf(`revision="x%d"`, i))}))
		}
		return out
	}
	firmware := rim(t, vendor(), sim.NVIDIARIM{Version: driverVersion, Product: "LS10", Switch: true})
	const missing = "missing; get it from https://rim.attestation.nvidia.com/v1/rim/"
	for _, c := range []struct {
		name     string
		chip     string
		docs     [][]byte
		compared int
		family   fault.Family
		part     string
	}{
		{"two", "GH100", [][]byte{driver("GH100", 7), vbios("GH100")}, 2, 0, ""},
		{"of another generation", "GH100", [][]byte{driver("GB100", 7), vbios("GH100")}, 0, fault.FamilyUnknown, "RIM document NV_GPU_DRIVER_GH100_590.48.01: " + missing + "NV_GPU_DRIVER_GH100_590.48.01"},
		{"VBIOS of another generation", "GH100", [][]byte{driver("GH100", 7), vbios("GB100")}, 0, fault.FamilyUnknown, "RIM document NV_GPU_VBIOS_G520_0200_885_96005E0001: missing"},
		{"of both generations", "GH100", [][]byte{driver("GB100", 7, 21), driver("GH100", 7), vbios("GB100"), vbios("GH100")}, 2, 0, ""},
		{"the very chip first", "GB202", [][]byte{driver("GB100", 7, 21), driver("GB202", 7), vbios("GB202")}, 2, 0, ""},
		{"another chip of the generation", "GB202", [][]byte{driver("GB100", 7, 21), vbios("GB202")}, 3, 0, ""},
		{"of a switch", "GH100", [][]byte{firmware, vbios("GH100")}, 0, fault.FamilyUnknown, "NV_GPU_DRIVER_GH100_590.48.01: missing"},
		{"a forged one too", "GH100", append(forged(1), driver("GH100", 7), vbios("GH100")), 2, 0, ""},
		{"seven forged ones", "GH100", append(forged(7), driver("GH100", 7), vbios("GH100")), 2, 0, ""},
		{"too many forged ones", "GH100", append(forged(8), driver("GH100", 7), vbios("GH100")), 0, fault.FamilyFalse, "its digest differs"},
		{"a forged one alone", "GH100", append(forged(1), vbios("GH100")), 0, fault.FamilyFalse, "its digest differs"},
		{"none", "GH100", nil, 0, fault.FamilyUnknown, "NV_GPU_VBIOS_G520_0200_885_96005E0001: missing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDevice(t, vendor(), sim.NVIDIADeviceConfig{Chip: c.chip})
			report, err := d.Report(vendor(), sim.NVIDIAReport{Nonce: nonce})
			if err != nil {
				t.Fatal(err)
			}
			o := nvidia.Options{SimulatedRoots: vendor().Roots(), WithoutRevocationUnsafe: true}
			f, err := nvidia.Verify(evidence(t, d, report), nvidia.WantNonce(nonce), parsed(t, c.docs...), o, at)
			if c.family != 0 {
				wantErr(t, err, c.family, nvidia.StepRIM, c.part)
			} else if err != nil || f.Golden.Compared != c.compared || !f.Golden.Match() {
				t.Errorf("%v, %+v", err, f)
			}
			// A missing document may be accepted by name, a forged one not.
			o.WithoutRIMUnsafe = true
			f, err = nvidia.Verify(evidence(t, d, report), nvidia.WantNonce(nonce), parsed(t, c.docs...), o, at)
			switch {
			case c.family == fault.FamilyFalse:
				wantErr(t, err, c.family, nvidia.StepRIM, c.part)
			case err != nil || f.Golden.Match() != (c.family == 0):
				t.Errorf("without documents: %v, %+v", err, f)
			case (f.Golden == nil) != (len(c.docs) == 0):
				t.Errorf("without documents: %+v", f.Golden)
			}
		})
	}
}

// TestRIMRevoked obeys a revocation at each level of a document's chain.
func TestRIMRevoked(t *testing.T) {
	d := newDevice(t, vendor(), sim.NVIDIADeviceConfig{})
	report, err := d.Report(vendor(), sim.NVIDIAReport{Nonce: nonce})
	if err != nil {
		t.Fatal(err)
	}
	docs := documents(t, d)
	for i := range 3 {
		f := fresh
		f.Status = 1
		all := append(docs[:len(docs):len(docs)], ocspOf(t, vendor(), i, f))
		_, err := nvidia.Verify(evidence(t, d, report), nvidia.WantNonce(nonce), parsed(t, all...), nvidia.Options{SimulatedRoots: vendor().Roots()}, at)
		wantErr(t, err, fault.FamilyFalse, nvidia.StepRevocation, vendor().RIMChain()[i].Subject.CommonName)
		if !strings.Contains(fmt.Sprint(err), "was revoked at") {
			t.Error(err)
		}
	}
}
