package nvidia_test

import (
	"slices"
	"testing"

	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/nvidia"
	"github.com/cocoon-go/cocoon/attestation/sim"
)

// board verifies eight GPUs and four switches that list each other.
func board(t *testing.T) []*nvidia.Facts {
	t.Helper()
	var gpus, switches [][8]byte
	for i := range byte(8) {
		gpus = append(gpus, [8]byte{1, i})
	}
	for i := range byte(4) {
		switches = append(switches, [8]byte{2, i})
	}
	var out []*nvidia.Facts
	for _, id := range gpus {
		f, _, err := setup{
			device: sim.NVIDIADeviceConfig{ID: id},
			report: sim.NVIDIAReport{Feature: nvidia.PPCIE, Switches: switches},
		}.run(t)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, f)
	}
	for _, id := range switches {
		f, _, err := setup{device: sim.NVIDIADeviceConfig{ID: id, Chip: "LS_10"}, report: sim.NVIDIAReport{GPUs: gpus}}.run(t)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, f)
	}
	return out
}

func TestBoard(t *testing.T) {
	good := board(t)
	if err := nvidia.CheckSwitches(good[8:]); err != nil {
		t.Error(err)
	}
	for _, c := range []struct {
		f       fault.Family
		devices []*nvidia.Facts
	}{
		{fault.FamilyInput, nil}, {fault.FamilyInput, good}, {fault.FamilyInput, good[:1]},
		{fault.FamilyInput, []*nvidia.Facts{nil}}, {fault.FamilyFalse, []*nvidia.Facts{good[8], good[8]}},
	} {
		if err := nvidia.CheckSwitches(c.devices); fault.FamilyOf(err) != c.f {
			t.Errorf("%d switches: %v", len(c.devices), err)
		}
	}
	top, err := nvidia.CheckTopology(good)
	if err != nil || top.Feature != nvidia.PPCIE || len(top.GPUs) != 8 || len(top.Switches) != 4 || top.GPUs[7] != [8]byte{1, 7} {
		t.Fatalf("%v, %+v", err, top)
	}
	opaque := func(i int, edit func(*nvidia.Opaque)) func([]*nvidia.Facts) []*nvidia.Facts {
		return func(f []*nvidia.Facts) []*nvidia.Facts {
			edit(&f[i].Report.Opaque)
			return f
		}
	}
	for _, x := range []struct {
		name string
		f    fault.Family
		part string
		edit func([]*nvidia.Facts) []*nvidia.Facts
	}{
		{"nothing", fault.FamilyInput, "no GPU among 0 devices", func(f []*nvidia.Facts) []*nvidia.Facts { return nil }},
		{"switches alone", fault.FamilyInput, "no GPU among 4 devices", func(f []*nvidia.Facts) []*nvidia.Facts { return f[8:] }},
		{"nil", fault.FamilyInput, "a device without facts", func(f []*nvidia.Facts) []*nvidia.Facts { f[3] = nil; return f }},
		{"no identity", fault.FamilyUnknown, "identity of GH100 A01 GSP BROM: not in its certificate", func(f []*nvidia.Facts) []*nvidia.Facts { f[3].HasDeviceID = false; return f }},
		{"GPU twice", fault.FamilyFalse, "device 0102000000000000 is there twice", func(f []*nvidia.Facts) []*nvidia.Facts { f[3] = f[2]; return f }},
		{"GPU missing", fault.FamilyUnknown, "evidence of GPU 0103000000000000: missing, and switch 0200000000000000 is connected to it", func(f []*nvidia.Facts) []*nvidia.Facts { return slices.Delete(f, 3, 4) }},
		{"switch missing", fault.FamilyUnknown, "evidence of switch 0201000000000000: missing, and GPU 0100000000000000 is connected to it", func(f []*nvidia.Facts) []*nvidia.Facts { return slices.Delete(f, 9, 10) }},
		{"another root", fault.FamilyFalse, "end at two roots", func(f []*nvidia.Facts) []*nvidia.Facts { f[11].Root[0] ^= 1; return f }},
		{"another nonce", fault.FamilyFalse, "answer two nonces", func(f []*nvidia.Facts) []*nvidia.Facts { f[11].Report.RequestNonce[0] ^= 1; return f }},
		{"another chip", fault.FamilyFalse, `chip "GH100" of GPU 0100000000000000, "GB100" of GPU 0101000000000000`, func(f []*nvidia.Facts) []*nvidia.Facts { f[1].Chip = "GB100"; return f }},
		{"another mode", fault.FamilyFalse, `mode "ppcie" of GPU 0100000000000000, "spt"`, opaque(4, func(o *nvidia.Opaque) { o.Feature = nvidia.SPT })},
		{"another driver", fault.FamilyFalse, `driver "590.48.01" of GPU`, opaque(4, func(o *nvidia.Opaque) { o.Driver = "1" })},
		{"GPU on a switch less", fault.FamilyFalse, "GPU 0105000000000000 is not connected to switch 0200000000000000", opaque(5, func(o *nvidia.Opaque) {
			o.Switches = slices.DeleteFunc(slices.Clone(o.Switches), func(s [8]byte) bool { return s == [8]byte{2, 0} })
		})},
		{"GPU on a foreign switch", fault.FamilyUnknown, "evidence of switch 0900000000000000: missing, and GPU 0105000000000000", opaque(5, func(o *nvidia.Opaque) { o.Switches = append(slices.Clone(o.Switches), [8]byte{9}) })},
		{"switch with a foreign GPU", fault.FamilyUnknown, "evidence of GPU 0900000000000000: missing, and switch 0203000000000000", opaque(11, func(o *nvidia.Opaque) { o.GPUs = append(slices.Clone(o.GPUs), [8]byte{9}) })},
		{"switch with a GPU less", fault.FamilyFalse, "switch 0203000000000000 is not connected to GPU 0107000000000000", opaque(11, func(o *nvidia.Opaque) { o.GPUs = o.GPUs[:7] })},
		{"smaller board", fault.FamilyFalse, "1 GPUs and 0 switches on a board, want 8 and 4", func(f []*nvidia.Facts) []*nvidia.Facts {
			f[0].Report.Opaque.Switches = nil
			return f[:1]
		}},
		{"board with a GPU less", fault.FamilyFalse, "7 GPUs and 4 switches on a board", func(f []*nvidia.Facts) []*nvidia.Facts {
			for _, s := range f[8:] {
				s.Report.Opaque.GPUs = s.Report.Opaque.GPUs[1:]
			}
			return f[1:]
		}},
		{"board with a switch less", fault.FamilyFalse, "8 GPUs and 3 switches on a board", func(f []*nvidia.Facts) []*nvidia.Facts {
			for _, g := range f[:8] {
				g.Report.Opaque.Switches = g.Report.Opaque.Switches[:3]
			}
			return f[:11]
		}},
		{"switches without use", fault.FamilyFalse, "4 switches with GPUs in mode spt, which uses none", func(f []*nvidia.Facts) []*nvidia.Facts {
			f[0].Report.Opaque.Feature = nvidia.SPT
			return append(f[:1], f[8:]...)
		}},
		{"unknown mode", fault.FamilyUnknown, "mode of the GPUs: not reported", func(f []*nvidia.Facts) []*nvidia.Facts {
			f[0].Report.Opaque.Feature, f[1].Report.Opaque.Feature = nvidia.FeatureUnknown, nvidia.FeatureUnknown
			return f[:2]
		}},
	} {
		t.Run(x.name, func(t *testing.T) {
			var copies []*nvidia.Facts
			for _, f := range good {
				c := *f
				copies = append(copies, &c)
			}
			_, err := nvidia.CheckTopology(x.edit(copies))
			wantErr(t, err, x.f, nvidia.StepTopology, x.part)
		})
	}
	// A link that is off is no device.
	off := *good[0]
	off.Report.Opaque.Switches = append(slices.Clone(off.Report.Opaque.Switches), [8]byte{})
	if _, err := nvidia.CheckTopology(append([]*nvidia.Facts{&off}, good[1:]...)); err != nil {
		t.Errorf("with a link that is off: %v", err)
	}
}

// TestOtherTopologies accepts GPUs that share no switch.
func TestOtherTopologies(t *testing.T) {
	for _, x := range []struct {
		chip    string
		feature nvidia.Feature
		want    nvidia.Feature
		gpus    int
	}{{"GH100", nvidia.SPT, nvidia.SPT, 1}, {"GH100", nvidia.SPT, nvidia.SPT, 3}, {"GB100", nvidia.MPT, nvidia.MPT, 8}, {"GH100", "none", nvidia.FeatureUnknown, 1}} {
		var devices []*nvidia.Facts
		for range x.gpus {
			f, _, err := setup{device: sim.NVIDIADeviceConfig{Chip: x.chip}, report: sim.NVIDIAReport{Feature: x.feature}}.run(t)
			if err != nil {
				t.Fatal(err)
			}
			devices = append(devices, f)
		}
		top, err := nvidia.CheckTopology(devices)
		if err != nil || top.Feature != x.want || len(top.GPUs) != x.gpus {
			t.Errorf("%+v: %v, %+v", x, err, top)
		}
	}
}

// TestRealBoard takes the devices of one real board that there is evidence of:
// three GPUs of eight, four switches. They know each other, and the first GPU
// that is missing is named.
func TestRealBoard(t *testing.T) {
	v := nvidia.NewVerifier(bare, 0)
	var devices []*nvidia.Facts
	for _, x := range nvidiaVectors(t) {
		if x.RequestNonce != "4760e30534a0621357d458b1a7936551b5dc4cd1e69718adf7ed9fb0252a537e" {
			continue
		}
		f, err := v.Verify(x.evidence(t), nvidia.AnyNonceUnsafe(), &nvidia.Endorsements{}, at)
		if err != nil {
			t.Fatal(err)
		}
		devices = append(devices, f)
	}
	if len(devices) != 7 {
		t.Fatalf("%d devices", len(devices))
	}
	for _, f := range devices {
		for _, g := range devices {
			if o := &g.Report.Opaque; !f.Kind.Switch() && g.Kind.Switch() && !slices.Contains(o.GPUs, f.DeviceID) || f.Kind.Switch() && !g.Kind.Switch() && !slices.Contains(o.Switches, f.DeviceID) {
				t.Errorf("%s %x does not list %s %x", g.Kind, g.DeviceID, f.Kind, f.DeviceID)
			}
		}
	}
	_, err := nvidia.CheckTopology(devices)
	wantErr(t, err, fault.FamilyUnknown, nvidia.StepTopology, "evidence of GPU a6cba1e9d9c7924e: missing, and switch 9ae3beba9e673275 is connected to it")
}
