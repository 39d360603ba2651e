package sim

import (
	"bytes"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/cocoon-go/cocoon/attestation/nvidia"
)

// Defaults of simulated reports, which RIM documents of [NVIDIADevice.RIMs] are
// made for.
const (
	nvidiaDriver      = "590.48.01"
	nvidiaVBIOS       = "96.00.5E.00.01"
	nvidiaSwitchVBIOS = "96.10.55.00.01"
)

// NVIDIAField is a field of the opaque data of a report.
type NVIDIAField struct {
	Type uint16
	Data []byte
}

// NVIDIAReport lists the fields of a report. Zero values are those of a good
// device.
type NVIDIAReport struct {
	Nonce         [32]byte
	ResponseNonce [32]byte // default random

	Driver     string // GPUs only; default "590.48.01"
	VBIOS      string // dotted; default of the kind
	Project    string // default "G520"
	ProjectSKU string // default "0200"
	ChipSKU    string // default "885"

	// Measurements replaces single values, by the index that RIM documents use.
	// The others are [NVIDIAMeasurement]; a nil value leaves the block out.
	Measurements map[int][]byte

	Feature   nvidia.Feature // default SPT; "none" leaves the field out
	NVDEC0    bool
	NoFWID    bool
	Switches  [][8]byte // of a GPU: the switch behind each of 18 links; fewer repeat
	GPUs      [][8]byte // of a switch: eight, fewer repeat
	EditField func([]NVIDIAField) []NVIDIAField

	// OpaqueHeader starts the opaque data, as that of drivers from 2026 on; each
	// field then has a value type.
	OpaqueHeader []byte

	Edit       func([]byte) []byte // changes the whole before it is signed, without the signature
	EditSigned func([]byte)        // changes it afterwards
}

// NVIDIAMeasurement is the value that simulated devices measure at an index,
// and that RIM documents for them list.
func NVIDIAMeasurement(index int) []byte {
	d := sha512.Sum384(fmt.Appendf(nil, "simulated NVIDIA measurement %d", index))
	return d[:]
}

// Report signs a report.
func (d *NVIDIADevice) Report(n *NVIDIA, f NVIDIAReport) ([]byte, error) {
	if err := n.fill(f.ResponseNonce[:]); err != nil {
		return nil, err
	}
	opaque, err := d.opaque(&f)
	if err != nil {
		return nil, err
	}
	record, count := d.record(&f)
	b := append([]byte{0x11, 0xe0, 1, 0xff}, f.Nonce[:]...)
	b = append(b, 0)
	b = append(b, 0x11, 0x60, 0, 0, byte(count), byte(len(record)), byte(len(record)>>8), byte(len(record)>>16))
	b = append(append(b, record...), f.ResponseNonce[:]...)
	b = append(binary.LittleEndian.AppendUint16(b, uint16(len(opaque))), opaque...)
	if f.Edit != nil {
		b = f.Edit(b)
	}
	h := sha512.Sum384(b)
	sig, err := signP384(d.leaf.key, h[:])
	if err != nil {
		return nil, err
	}
	b = append(b, sig...)
	if f.EditSigned != nil {
		f.EditSigned(b)
	}
	return b, nil
}

// record writes the measurement blocks: 64 for GPUs, 31 for switches.
func (d *NVIDIADevice) record(f *NVIDIAReport) (record []byte, count int) {
	n := 64
	if d.Switch() {
		n = 31
	}
	for i := range n {
		v, ok := f.Measurements[i]
		if ok && v == nil {
			continue
		}
		if !ok {
			v = NVIDIAMeasurement(i)
		}
		record = append(record, byte(i+1), 1)
		record = binary.LittleEndian.AppendUint16(record, uint16(3+len(v)))
		record = append(record, 1)
		record = binary.LittleEndian.AppendUint16(record, uint16(len(v)))
		record = append(record, v...)
		count++
	}
	return record, count
}

// opaque writes the fields in the order of real devices.
func (d *NVIDIADevice) opaque(f *NVIDIAReport) ([]byte, error) {
	fields, err := d.fields(f)
	if err != nil {
		return nil, err
	}
	if f.EditField != nil {
		fields = f.EditField(fields)
	}
	b := bytes.Clone(f.OpaqueHeader)
	for _, x := range fields {
		b = binary.LittleEndian.AppendUint16(b, x.Type)
		if len(f.OpaqueHeader) > 0 {
			b = binary.LittleEndian.AppendUint16(b, 0x82)
		}
		b = binary.LittleEndian.AppendUint16(b, uint16(len(x.Data)))
		b = append(b, x.Data...)
	}
	return b, nil
}

func (d *NVIDIADevice) fields(f *NVIDIAReport) ([]NVIDIAField, error) {
	if d.Switch() {
		links := append(repeat(f.GPUs, 8), make([]byte, 64)...)
		return []NVIDIAField{
			{6, asciiz(or(f.VBIOS, nvidiaSwitchVBIOS))}, {22, d.ID[:]}, {12, make([]byte, 256)}, {26, links},
		}, nil
	}
	vbios, err := vbiosBytes(or(f.VBIOS, nvidiaVBIOS))
	if err != nil {
		return nil, err
	}
	onOff := func(on bool) []byte {
		if on {
			return []byte{0xaa}
		}
		return []byte{0x55}
	}
	out := []NVIDIAField{
		{6, vbios}, {14, []byte{0x37, 4, 0, 0}}, {15, asciiz(or(f.ChipSKU, "885"))}, {17, asciiz(or(f.Project, "G520"))},
		{18, asciiz(or(f.ProjectSKU, "0200"))}, {3, asciiz(or(f.Driver, nvidiaDriver))}, {12, make([]byte, 256)}, {11, onOff(f.NVDEC0)},
	}
	if !f.NoFWID {
		out = append(out, NVIDIAField{20, d.FWID[:]})
	}
	if f.Switches != nil {
		out = append(out, NVIDIAField{22, reversed(repeat(f.Switches, 18))})
	}
	if d.Chip != "GH100" {
		out = append(out, NVIDIAField{35, asciiz(d.Chip)})
	}
	out = append(out, NVIDIAField{34, []byte{1, 0}})
	if f.Feature == "none" {
		return out, nil
	}
	flag := slices.Index([]nvidia.Feature{nvidia.SPT, nvidia.MPT, nvidia.PPCIE}, nvidia.Feature(or(string(f.Feature), string(nvidia.SPT))))
	return append(out, NVIDIAField{36, []byte{byte(flag), 0}}), nil
}

func or(s, def string) string {
	if s == "" {
		return def
	}
	return s
}

func asciiz(s string) []byte { return append([]byte(s), 0) }

// repeat writes n identities, starting over when there are fewer; zeros when
// there are none.
func repeat(ids [][8]byte, n int) []byte {
	b := make([]byte, 8*n)
	for i := range n {
		if len(ids) > 0 {
			copy(b[8*i:], ids[i%len(ids)][:])
		}
	}
	return b
}

// reversed reverses each group of eight bytes, as GPUs write identities.
func reversed(b []byte) []byte {
	for g := range slices.Chunk(b, 8) {
		slices.Reverse(g)
	}
	return b
}

// vbiosBytes is the inverse of how a GPU's version is read: "ab.cd.ef.gh.ij" is
// reported as 00 00 00 ij ab cd ef gh, reversed.
func vbiosBytes(s string) ([]byte, error) {
	b, err := hex.DecodeString(strings.ReplaceAll(s, ".", ""))
	if err != nil || len(b) != 5 {
		return nil, fmt.Errorf("simulated VBIOS version %q", s)
	}
	out := append([]byte{0, 0, 0, b[4]}, b[:4]...)
	slices.Reverse(out)
	return out, nil
}
