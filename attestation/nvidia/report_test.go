package nvidia_test

import (
	"bytes"
	"encoding/binary"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/nvidia"
	"github.com/cocoon-go/cocoon/attestation/sim"
)

// mint returns the bytes of a simulated report.
func mint(t testing.TB, chip string, f sim.NVIDIAReport) []byte {
	t.Helper()
	b, err := newDevice(t, vendor(), sim.NVIDIADeviceConfig{Chip: chip}).Report(vendor(), f)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestReportFields(t *testing.T) {
	m := bytes.Repeat([]byte{7}, 48)
	b := mint(t, "GH100", sim.NVIDIAReport{
		Nonce: nonce, ResponseNonce: [32]byte{4}, Driver: "1.2", VBIOS: "96.00.AB.00.1F", Project: "P", ProjectSKU: "Q", ChipSKU: "R",
		Feature: nvidia.PPCIE, Switches: [][8]byte{{1, 2, 3, 4, 5, 6, 7, 8}}, Measurements: map[int][]byte{5: m, 9: nil},
	})
	r, err := nvidia.ParseReport(b)
	if err != nil {
		t.Fatal(err)
	}
	o := r.Opaque
	if r.RequestNonce != nonce || r.ResponseNonce != [32]byte{4} || r.Slot != 0 || r.Count() != 63 {
		t.Errorf("report %+v", r)
	}
	if r.Present[9] || !r.Present[5] || !bytes.Equal(r.Measurements[5][:], m) || !bytes.Equal(r.Measurements[63][:], sim.NVIDIAMeasurement(63)) {
		t.Errorf("measurements %+v", r.Present)
	}
	if o.Driver != "1.2" || o.VBIOS != "96.00.AB.00.1F" || o.Project != "P" || o.ProjectSKU != "Q" || o.ChipSKU != "R" || o.Chip != "" {
		t.Errorf("opaque data %+v", o)
	}
	if o.Feature != nvidia.PPCIE || o.NVDEC0 != nvidia.Off || !bytes.Equal(o.Board, []byte{0x37, 4, 0, 0}) || !slices.Equal(o.Unknown, []uint16{12}) {
		t.Errorf("opaque data %+v", o)
	}
	if len(o.Switches) != 18 || o.Switches[17] != [8]byte{1, 2, 3, 4, 5, 6, 7, 8} || o.GPUs != nil || o.PDI != [8]byte{} {
		t.Errorf("links %+v", o)
	}
	// The report keeps no reference to what it was read from.
	clear(b)
	if o.Board[0] != 0x37 || o.FWID[0] == 0 && o.FWID[1] == 0 {
		t.Error("the report changed with its input")
	}
}

// TestReportShape changes a report's bytes or fields so that its form is wrong.
// Positions: request 37 bytes, response head 8, record, nonce 32, length of the
// opaque data 2, opaque data, signature 96.
func TestReportShape(t *testing.T) {
	set := func(pos int, v ...byte) func([]byte) []byte {
		return func(b []byte) []byte { copy(b[pos:], v); return b }
	}
	const block = 45 // of measurement 1
	const opaque = 45 + 64*55 + 32
	for _, x := range []struct {
		name, part string
		edit       func([]byte) []byte
	}{
		{"SPDM 1.2 request", "starts with 12e001ff, want 11e001ff", set(0, 0x12)},
		{"other request", "starts with 11e101ff", set(1, 0xe1)},
		{"no signature asked", "starts with 11e000ff", set(2, 0)},
		{"one measurement asked", "starts with 11e00101", set(3, 1)},
		{"SPDM 1.2 response", "response starts with 12600000", set(37, 0x12)},
		{"error response", "response starts with 117f0000", set(38, 0x7f)},
		{"parameter 1", "response starts with 11600100", set(39, 1)},
		{"parameter 2", "response starts with 11600001", set(40, 1)},
		{"record too long", "measurement record of 65526 bytes in a shorter report", set(42, 0xf6, 0xff, 0)},
		{"record far too long", "measurement record of 16777215 bytes", set(42, 0xff, 0xff, 0xff)},
		{"one block less", "55 bytes after the last measurement", set(41, 63)},
		{"one block more", "measurement record ends inside a block", set(41, 65)},
		{"record cut", "measurement record ends inside a block", set(42, 0xbf)},
		{"index 0", "measurement 0 after 0", set(block, 0)},
		{"index 65", "measurement 65 after 63", set(block+63*55, 65)},
		{"index twice", "measurement 1 after 1", set(block+55, 1)},
		{"index falls", "measurement 2 after 3", set(block, 3)},
		{"specification", "measurement 1: specification 2, sizes 51 and 48", set(block+1, 2)},
		{"size", "sizes 52 and 48", set(block+2, 52)},
		{"size, high byte", "sizes 307 and 48", set(block+3, 1)},
		{"value size", "sizes 51 and 47", set(block+5, 47)},
		{"value size, high byte", "sizes 51 and 304", set(block+6, 1)},
		{"raw value", "measurement 1 is a raw bit stream", set(block+4, 0x81)},
		{"opaque data too long", "are there", set(opaque, 0xff)},
		{"opaque data cut", "are there", set(opaque, 0)},
	} {
		t.Run(x.name, func(t *testing.T) {
			_, _, err := setup{report: sim.NVIDIAReport{Edit: x.edit}}.run(t)
			wantErr(t, err, fault.FamilyInput, nvidia.StepReport, x.part)
		})
	}
	b := mint(t, "GH100", sim.NVIDIAReport{})
	_, err := nvidia.ParseReport(make([]byte, nvidia.MaxReport+1))
	wantErr(t, err, fault.FamilyInput, nvidia.StepReport, "65537 bytes, limit 65536")
	for _, n := range []int{0, 4, 37, 174} {
		_, err = nvidia.ParseReport(b[:n])
		wantErr(t, err, fault.FamilyInput, nvidia.StepReport, "bytes, too short")
	}
	for _, n := range []int{175, 1000, len(b) - 1} {
		if _, err = nvidia.ParseReport(b[:n]); fault.FamilyOf(err) != fault.FamilyInput {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
	}
	_, err = nvidia.ParseReport(append(b, 0))
	wantErr(t, err, fault.FamilyInput, nvidia.StepReport, "are there")
}

func TestOpaqueData(t *testing.T) {
	set := func(typ uint16, data ...byte) func([]sim.NVIDIAField) []sim.NVIDIAField {
		return func(f []sim.NVIDIAField) []sim.NVIDIAField {
			f = slices.DeleteFunc(f, func(x sim.NVIDIAField) bool { return x.Type == typ })
			return append(f, sim.NVIDIAField{Type: typ, Data: data})
		}
	}
	add := func(typ uint16, data ...byte) func([]sim.NVIDIAField) []sim.NVIDIAField {
		return func(f []sim.NVIDIAField) []sim.NVIDIAField { return append(f, sim.NVIDIAField{Type: typ, Data: data}) }
	}
	for _, x := range []struct {
		name, chip, part string
		edit             func([]sim.NVIDIAField) []sim.NVIDIAField
	}{
		{"field twice", "GH100", "opaque field 3 is there twice", add(3, 'x')},
		{"unknown field twice", "GH100", "opaque field 12 is there twice", add(12)},
		{"marked as invalid", "GH100", "marked its opaque data as invalid", add(255)},
		{"version 2", "GH100", "opaque data of version 0200", set(34, 2, 0)},
		{"version 256", "GH100", "opaque data of version 0001", set(34, 0, 1)},
		{"version of one byte", "GH100", "opaque data of version 01", set(34, 1)},
		{"driver with a gap", "GH100", "opaque field 3 goes on after its end", set(3, '1', 0, '2')},
		{"driver with a space", "GH100", "opaque field 3 is not printable text", set(3, '1', ' ', '2')},
		{"driver with a control character", "GH100", "opaque field 3 is not printable text", set(3, '1', 7)},
		{"driver beyond ASCII", "GH100", "opaque field 3 is not printable text", set(3, 0xc3, 0xa4)},
		{"project", "GH100", "opaque field 17 is not printable text", set(17, 1)},
		{"project SKU", "GH100", "opaque field 18 is not printable text", set(18, 1)},
		{"chip SKU", "GH100", "opaque field 15 is not printable text", set(15, 1)},
		{"chip", "GH100", "opaque field 35 is not printable text", set(35, 1)},
		{"short firmware id", "GH100", "firmware id of 47 bytes", set(20, make([]byte, 47)...)},
		{"empty firmware id", "GH100", "firmware id of 0 bytes", set(20)},
		{"long firmware id", "GH100", "firmware id of 49 bytes", set(20, make([]byte, 49)...)},
		{"VBIOS version as text with a space", "LS_10", "opaque field 6 is not printable text", set(6, []byte("96.10.55 .0")...)},
		{"NVDEC0", "GH100", "opaque field 11 is 00, want aa (on) or 55 (off)", set(11, 0)},
		{"NVDEC0 of two bytes", "GH100", "opaque field 11 is aaaa", set(11, 0xaa, 0xaa)},
		{"feature 3", "GH100", "unknown feature flag 0300", set(36, 3, 0)},
		{"feature of one byte", "GH100", "unknown feature flag 00", set(36, 0)},
		{"feature 256", "GH100", "unknown feature flag 0001", set(36, 0, 1)},
		{"switches of 136 bytes", "GH100", "opaque field 22 has 136 bytes, want 8 or 144", set(22, make([]byte, 136)...)},
		{"no switches", "GH100", "opaque field 22 has 0 bytes, want 8 or 144", set(22)},
		{"GPUs of 64 bytes", "LS_10", "opaque field 26 has 64 bytes, want 128", set(26, make([]byte, 64)...)},
	} {
		t.Run(x.name, func(t *testing.T) {
			_, err := nvidia.ParseReport(mint(t, x.chip, sim.NVIDIAReport{EditField: x.edit}))
			wantErr(t, err, fault.FamilyInput, nvidia.StepReport, x.part)
		})
	}
	// Fields that reach past the end, and half a field.
	for _, part := range []struct {
		text string
		tail []byte
	}{{"opaque field 77 reaches past the end", []byte{77, 0, 1, 0}}, {"opaque data ends inside a field", []byte{77, 0, 1}}} {
		_, err := nvidia.ParseReport(mint(t, "LS_10", sim.NVIDIAReport{Edit: func(b []byte) []byte {
			const opaque = 45 + 31*55 + 32
			n := binary.LittleEndian.Uint16(b[opaque:])
			binary.LittleEndian.PutUint16(b[opaque:], n+uint16(len(part.tail)))
			return append(b, part.tail...)
		}}))
		wantErr(t, err, fault.FamilyInput, nvidia.StepReport, part.text)
	}
}

// TestModes reads the mode from the two fields that may hold it.
func TestModes(t *testing.T) {
	for _, x := range []struct {
		flag, protected []byte
		want            nvidia.Feature
	}{
		{[]byte{0, 0}, nil, nvidia.SPT}, {[]byte{1, 0}, nil, nvidia.MPT}, {[]byte{2, 0}, nil, nvidia.PPCIE},
		{nil, []byte{0x55}, nvidia.SPT}, {nil, []byte{0xaa}, nvidia.PPCIE}, {nil, nil, nvidia.FeatureUnknown},
		{[]byte{1, 0}, []byte{0x55}, nvidia.MPT},
	} {
		b := mint(t, "GH100", sim.NVIDIAReport{Feature: "none", EditField: func(f []sim.NVIDIAField) []sim.NVIDIAField {
			if x.flag != nil {
				f = append(f, sim.NVIDIAField{Type: 36, Data: x.flag})
			}
			if x.protected != nil {
				f = append(f, sim.NVIDIAField{Type: 21, Data: x.protected})
			}
			return f
		}})
		r, err := nvidia.ParseReport(b)
		if err != nil || r.Opaque.Feature != x.want {
			t.Errorf("%x, %x: %v, %q", x.flag, x.protected, err, r.Opaque.Feature)
		}
	}
	_, err := nvidia.ParseReport(mint(t, "GH100", sim.NVIDIAReport{Feature: "none", EditField: func(f []sim.NVIDIAField) []sim.NVIDIAField {
		return append(f, sim.NVIDIAField{Type: 21, Data: []byte{1}})
	}}))
	wantErr(t, err, fault.FamilyInput, nvidia.StepReport, "opaque field 21 is 01")
}

// TestStrings accepts text with and without its NUL, and padded.
func TestStrings(t *testing.T) {
	for _, s := range []string{"1.2", "1.2\x00", "1.2\x00\x00\x00"} {
		b := mint(t, "GH100", sim.NVIDIAReport{EditField: func(f []sim.NVIDIAField) []sim.NVIDIAField {
			f = slices.DeleteFunc(f, func(x sim.NVIDIAField) bool { return x.Type == 3 })
			return append(f, sim.NVIDIAField{Type: 3, Data: []byte(s)})
		}})
		r, err := nvidia.ParseReport(b)
		if err != nil || r.Opaque.Driver != "1.2" {
			t.Errorf("%q: %v, %q", s, err, r.Opaque.Driver)
		}
	}
	r, err := nvidia.ParseReport(mint(t, "LS_10", sim.NVIDIAReport{VBIOS: "96.10.5f.00.01"}))
	if err != nil || r.Opaque.VBIOS != "96.10.5F.00.01" || !strings.HasPrefix(r.Opaque.VBIOS, "96") {
		t.Errorf("switch: %v, %q", err, r.Opaque.VBIOS)
	}
}

// TestOpaqueHeader: opaque data with a header says the same in another form.
func TestOpaqueHeader(t *testing.T) {
	header := func(profile uint16, major, minor byte, reserved ...byte) []byte {
		b := binary.LittleEndian.AppendUint16([]byte("NVDAOD"), profile)
		return append(append(b, major, minor), reserved...)
	}
	version := func(f []sim.NVIDIAField) []sim.NVIDIAField {
		f = slices.DeleteFunc(f, func(x sim.NVIDIAField) bool { return x.Type == 34 })
		return append(f, sim.NVIDIAField{Type: 34, Data: []byte{0, 2}}, sim.NVIDIAField{Type: 37, Data: []byte{0, 0}})
	}
	gpu := newDevice(t, vendor(), sim.NVIDIADeviceConfig{Chip: "GB100"})
	report := func(f sim.NVIDIAReport) *nvidia.Report {
		b, err := gpu.Report(vendor(), f)
		if err != nil {
			t.Fatal(err)
		}
		r, err := nvidia.ParseReport(b)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	legacy := report(sim.NVIDIAReport{Nonce: nonce})
	for _, h := range [][]byte{header(0, 1, 0, 0, 0), header(0, 2, 0, 0, 0), header(0, 2, 7, 0, 0)} {
		r := report(sim.NVIDIAReport{Nonce: nonce, OpaqueHeader: h, EditField: version})
		if !slices.Contains(r.Opaque.Unknown, 37) {
			t.Errorf("fields that are not read: %v", r.Opaque.Unknown)
		}
		r.Opaque.Unknown = slices.DeleteFunc(r.Opaque.Unknown, func(x uint16) bool { return x == 37 })
		if !reflect.DeepEqual(r.Opaque, legacy.Opaque) {
			t.Errorf("%+v, without a header %+v", r.Opaque, legacy.Opaque)
		}
	}
	for _, x := range []struct {
		h    []byte
		part string
	}{
		{header(1, 2, 0, 0, 0), "profile 0 of versions 1 to 2"},
		{header(256, 2, 0, 0, 0), "profile 0 of versions 1 to 2"},
		{header(0, 0, 2, 0, 0), "profile 0 of versions 1 to 2"},
		{header(0, 3, 0, 0, 0), "profile 0 of versions 1 to 2"},
		{header(0, 2, 0, 1, 0), "profile 0 of versions 1 to 2"},
		{header(0, 2, 0, 0, 1), "profile 0 of versions 1 to 2"},
		{header(0, 2, 0, 0), "opaque"}, // a field less one byte
	} {
		_, err := nvidia.ParseReport(mint(t, "GB100", sim.NVIDIAReport{OpaqueHeader: x.h}))
		wantErr(t, err, fault.FamilyInput, nvidia.StepReport, x.part)
	}
	none := func([]sim.NVIDIAField) []sim.NVIDIAField { return nil }
	for _, tail := range []int{6, 11} {
		_, err := nvidia.ParseReport(mint(t, "GB100", sim.NVIDIAReport{OpaqueHeader: header(0, 2, 0, 0, 0)[:tail], EditField: none}))
		wantErr(t, err, fault.FamilyInput, nvidia.StepReport, "ends inside its header")
	}
	// All of it verifies, and its measurements are golden.
	b, err := gpu.Report(vendor(), sim.NVIDIAReport{Nonce: nonce, OpaqueHeader: header(0, 2, 0, 0, 0)})
	if err != nil {
		t.Fatal(err)
	}
	f, err := nvidia.Verify(evidence(t, gpu, b), nvidia.WantNonce(nonce), parsed(t, documents(t, gpu)...), nvidia.Options{SimulatedRoots: vendor().Roots()}, at)
	if err != nil || !f.Golden.Match() {
		t.Errorf("%v, %+v", err, f)
	}
}
