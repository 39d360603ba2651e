package nvidia

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"
)

// Sizes in bytes, and limits.
const (
	MaxReport       = 64 << 10
	MaxMeasurements = 64
	DigestSize      = 48 // SHA-384
	signatureSize   = 96 // r || s of ECDSA P-384
	requestSize     = 37
)

// Report is a parsed SPDM 1.1 GET_MEASUREMENTS exchange: the request and the
// response that a device signed together. All integers on the wire are
// little-endian; the layout is in docs/spec/nvidia.md.
type Report struct {
	RequestNonce  [32]byte // what the requester asked with
	ResponseNonce [32]byte // the device's own
	Slot          byte     // certificate slot of the device

	// Measurements holds the values by SPDM index minus one, which is the index
	// that RIM documents use. Present says which are there.
	Measurements [MaxMeasurements][DigestSize]byte
	Present      [MaxMeasurements]bool

	Opaque Opaque

	signed    []byte
	signature [signatureSize]byte
}

// Count returns the number of measurements.
func (r *Report) Count() int {
	n := 0
	for _, p := range r.Present {
		if p {
			n++
		}
	}
	return n
}

// ParseReport reads a report and checks its shape. Everything must be used up:
// no byte may be left in the record, in the opaque data, or after the signature.
func ParseReport(b []byte) (*Report, error) {
	if len(b) > MaxReport {
		return nil, inputAt(StepReport, "%d bytes, limit %d", len(b), MaxReport)
	}
	if len(b) < requestSize+8+34+signatureSize {
		return nil, inputAt(StepReport, "%d bytes, too short", len(b))
	}
	b = bytes.Clone(b)
	r := &Report{signed: b[:len(b)-signatureSize]}
	copy(r.signature[:], b[len(b)-signatureSize:])
	if err := r.parseRequest(b[:requestSize]); err != nil {
		return nil, err
	}
	if err := r.parseResponse(r.signed[requestSize:]); err != nil {
		return nil, err
	}
	return r, nil
}

// parseRequest reads GET_MEASUREMENTS (DSP0274 1.1, table 39): a signature over
// all measurements was asked for.
func (r *Report) parseRequest(b []byte) error {
	if !bytes.Equal(b[:4], reportMagic) {
		return inputAt(StepReport, "starts with %x, want 11e001ff: SPDM 1.1, GET_MEASUREMENTS, signed, all blocks", b[:4])
	}
	copy(r.RequestNonce[:], b[4:36])
	r.Slot = b[36]
	return nil
}

// parseResponse reads MEASUREMENTS (DSP0274 1.1, table 42) without its signature.
func (r *Report) parseResponse(b []byte) error {
	if !bytes.Equal(b[:4], []byte{0x11, 0x60, 0, 0}) {
		return inputAt(StepReport, "response starts with %x, want 11600000: SPDM 1.1, MEASUREMENTS", b[:4])
	}
	blocks, size := int(b[4]), int(b[5])|int(b[6])<<8|int(b[7])<<16
	b = b[8:]
	if len(b) < size+34 {
		return inputAt(StepReport, "measurement record of %d bytes in a shorter report", size)
	}
	if err := r.parseRecord(b[:size], blocks); err != nil {
		return err
	}
	b = b[size:]
	copy(r.ResponseNonce[:], b)
	n := int(binary.LittleEndian.Uint16(b[32:]))
	if b = b[34:]; len(b) != n {
		return inputAt(StepReport, "opaque data of %d bytes, %d are there", n, len(b))
	}
	var err error
	r.Opaque, err = parseOpaque(b)
	return err
}

// parseRecord reads the measurement blocks (DSP0274 1.1, table 43): index,
// specification 1 (DMTF), size, then type, size and value, a SHA-384 digest.
// Indexes rise, so none is there twice.
func (r *Report) parseRecord(b []byte, blocks int) error {
	last := 0
	for range blocks {
		if len(b) < 7+DigestSize {
			return inputAt(StepReport, "measurement record ends inside a block")
		}
		index, spec := int(b[0]), b[1]
		size, value := binary.LittleEndian.Uint16(b[2:]), binary.LittleEndian.Uint16(b[5:])
		switch {
		case index <= last || index > MaxMeasurements:
			return inputAt(StepReport, "measurement %d after %d; want rising indexes of 1 to %d", index, last, MaxMeasurements)
		case spec != 1 || size != 3+DigestSize || value != DigestSize:
			return inputAt(StepReport, "measurement %d: specification %d, sizes %d and %d; want 1, 51, 48", index, spec, size, value)
		case b[4]&0x80 != 0:
			return inputAt(StepReport, "measurement %d is a raw bit stream, want a digest", index)
		}
		copy(r.Measurements[index-1][:], b[7:])
		r.Present[index-1] = true
		last = index
		b = b[7+DigestSize:]
	}
	if len(b) != 0 {
		return inputAt(StepReport, "%d bytes after the last measurement", len(b))
	}
	return nil
}

// Feature is the confidential-computing mode of a device.
type Feature string

// The modes, by the feature flag of the opaque data.
const (
	FeatureUnknown Feature = ""      // the report does not say
	SPT            Feature = "spt"   // single GPU passed through
	MPT            Feature = "mpt"   // several GPUs passed through
	PPCIE          Feature = "ppcie" // protected PCIe: GPUs and switches of a whole board
)

// State is of a part that can be on or off.
type State string

// The states.
const (
	Unreported State = "" // the report does not say
	On         State = "on"
	Off        State = "off"
)

// Types of opaque data that are read here.
const (
	fieldDriver    = 3
	fieldVBIOS     = 6
	fieldNVDEC0    = 11
	fieldBoard     = 14
	fieldChipSKU   = 15
	fieldProject   = 17
	fieldPrjSKU    = 18
	fieldFWID      = 20
	fieldProtected = 21
	fieldSwitches  = 22
	fieldGPUs      = 26
	fieldVersion   = 34
	fieldChip      = 35
	fieldFeature   = 36
	fieldInvalid   = 255
)

// maxOpaqueVersion is the newest layout without a header that is understood.
const maxOpaqueVersion = 1

// The header that opaque data of newer drivers has: magic, profile, version and
// two reserved bytes (attestation-sdk, spdm_opaque_data_parser.cpp). Each field
// then has a value type between its type and its length.
const (
	opaqueMagic      = "NVDAOD"
	opaqueHeader     = 12
	maxHeaderVersion = 2 // major
)

// Opaque is what a device says beside its measurements. Strings are printable
// ASCII. A field that is not there is zero.
type Opaque struct {
	Driver     string // driver version; GPUs only
	VBIOS      string // dotted, for example "96.00.5E.00.01"
	Project    string // these three name the board in the id of the VBIOS RIM
	ProjectSKU string
	ChipSKU    string
	Chip       string // "GB100"; newer drivers only
	Board      []byte // board id

	// NVDEC0 is the state of the first video decoder. When it is off, measurement
	// 35 is not compared.
	NVDEC0 State

	FWID    []byte  // firmware id, 48 bytes, nil when the report has none
	Feature Feature // from the feature flag, or else the protected-PCIe field

	// Switches lists, for a GPU, the switch behind each link. For a switch, PDI
	// is its own identity, and GPUs lists the GPUs it sees. Identities are
	// written as switches write their own; GPUs report them byte-reversed.
	Switches [][8]byte
	PDI      [8]byte
	GPUs     [][8]byte

	Unknown []uint16 // types of fields that are not read here, in order
}

// cutHeader takes the header off opaque data, and returns the size of what stands
// before the data of a field.
func cutHeader(b []byte) (rest []byte, prefix int, err error) {
	if !bytes.HasPrefix(b, []byte(opaqueMagic)) {
		return b, 4, nil
	}
	if len(b) < opaqueHeader {
		return nil, 0, inputAt(StepReport, "opaque data ends inside its header")
	}
	h := b[len(opaqueMagic):opaqueHeader] // profile, major, minor, reserved
	if h[0] != 0 || h[1] != 0 || h[2] == 0 || h[2] > maxHeaderVersion || h[4] != 0 || h[5] != 0 {
		return nil, 0, inputAt(StepReport, "opaque data with header %x; profile 0 of versions 1 to %d is known", h, maxHeaderVersion)
	}
	return b[opaqueHeader:], 6, nil
}

func parseOpaque(b []byte) (Opaque, error) {
	fields := map[uint16][]byte{}
	var o Opaque
	b, prefix, err := cutHeader(b)
	if err != nil {
		return o, err
	}
	for len(b) > 0 {
		if len(b) < prefix {
			return o, inputAt(StepReport, "opaque data ends inside a field")
		}
		t, n := binary.LittleEndian.Uint16(b), int(binary.LittleEndian.Uint16(b[prefix-2:]))
		if len(b) < prefix+n {
			return o, inputAt(StepReport, "opaque field %d reaches past the end", t)
		}
		if _, twice := fields[t]; twice {
			return o, inputAt(StepReport, "opaque field %d is there twice", t)
		}
		if t == fieldInvalid {
			return o, inputAt(StepReport, "the device marked its opaque data as invalid")
		}
		fields[t] = b[prefix : prefix+n]
		if !slices.Contains(readFields, t) {
			o.Unknown = append(o.Unknown, t)
		}
		b = b[prefix+n:]
	}
	if prefix != 4 {
		delete(fields, fieldVersion) // the header has the version
	}
	return o, o.fill(fields)
}

var readFields = []uint16{
	fieldDriver, fieldVBIOS, fieldNVDEC0, fieldBoard, fieldChipSKU, fieldProject, fieldPrjSKU, fieldFWID,
	fieldProtected, fieldSwitches, fieldGPUs, fieldVersion, fieldChip, fieldFeature,
}

func (o *Opaque) fill(f map[uint16][]byte) error {
	if v, ok := f[fieldVersion]; ok && (len(v) != 2 || binary.LittleEndian.Uint16(v) > maxOpaqueVersion) {
		return inputAt(StepReport, "opaque data of version %x, newest known is %d", v, maxOpaqueVersion)
	}
	for _, s := range []struct {
		t  uint16
		to *string
	}{{fieldDriver, &o.Driver}, {fieldChipSKU, &o.ChipSKU}, {fieldProject, &o.Project}, {fieldPrjSKU, &o.ProjectSKU}, {fieldChip, &o.Chip}} {
		v, ok := f[s.t]
		if !ok {
			continue
		}
		var err error
		if *s.to, err = asciiz(s.t, v); err != nil {
			return err
		}
	}
	o.Board = f[fieldBoard]
	if v, ok := f[fieldFWID]; ok {
		if len(v) != DigestSize {
			return inputAt(StepReport, "opaque field %d: firmware id of %d bytes, want %d", fieldFWID, len(v), DigestSize)
		}
		o.FWID = v
	}
	var err error
	if v, ok := f[fieldVBIOS]; ok {
		if o.VBIOS, err = vbiosVersion(v); err != nil {
			return err
		}
	}
	if v, ok := f[fieldNVDEC0]; ok {
		if o.NVDEC0, err = onOff(fieldNVDEC0, v); err != nil {
			return err
		}
	}
	if o.Feature, err = feature(f); err != nil {
		return err
	}
	return o.fillLinks(f)
}

func (o *Opaque) fillLinks(f map[uint16][]byte) error {
	v := f[fieldSwitches]
	switch {
	case len(v) == 8:
		o.PDI = [8]byte(v)
	case len(v) == 18*8:
		for ; len(v) > 0; v = v[8:] {
			pdi := [8]byte(v)
			slices.Reverse(pdi[:])
			o.Switches = append(o.Switches, pdi)
		}
	case v != nil:
		return inputAt(StepReport, "opaque field %d has %d bytes, want 8 or 144", fieldSwitches, len(v))
	}
	// Eight identities, then a table of ports that is not read.
	if v, ok := f[fieldGPUs]; ok {
		if len(v) != 128 {
			return inputAt(StepReport, "opaque field %d has %d bytes, want 128", fieldGPUs, len(v))
		}
		for i := 0; i < 64; i += 8 {
			o.GPUs = append(o.GPUs, [8]byte(v[i:]))
		}
	}
	return nil
}

// asciiz reads a string that ends at the first NUL; only NULs may follow.
func asciiz(t uint16, v []byte) (string, error) {
	s, pad, _ := bytes.Cut(v, []byte{0})
	if len(bytes.Trim(pad, "\x00")) != 0 {
		return "", inputAt(StepReport, "opaque field %d goes on after its end", t)
	}
	for _, c := range s {
		if c <= 0x20 || c > 0x7e {
			return "", inputAt(StepReport, "opaque field %d is not printable text", t)
		}
	}
	return string(s), nil
}

func onOff(t uint16, v []byte) (State, error) {
	if len(v) == 1 && v[0] == 0xaa {
		return On, nil
	}
	if len(v) == 1 && v[0] == 0x55 {
		return Off, nil
	}
	return Unreported, inputAt(StepReport, "opaque field %d is %x, want aa (on) or 55 (off)", t, v)
}

func feature(f map[uint16][]byte) (Feature, error) {
	if v, ok := f[fieldFeature]; ok {
		if len(v) == 2 {
			switch binary.LittleEndian.Uint16(v) {
			case 0:
				return SPT, nil
			case 1:
				return MPT, nil
			case 2:
				return PPCIE, nil
			}
		}
		return "", inputAt(StepReport, "unknown feature flag %x", v)
	}
	if v, ok := f[fieldProtected]; ok {
		// Before the flag existed there were these two modes.
		on, err := onOff(fieldProtected, v)
		if err != nil {
			return "", err
		}
		if on == On {
			return PPCIE, nil
		}
		return SPT, nil
	}
	return FeatureUnknown, nil
}

// vbiosVersion writes a VBIOS version as RIM documents do. GPUs report 8 bytes:
// reversed and in hex they are 16 digits, of which the last 8 and the two before
// make the version. Switches report the text itself.
func vbiosVersion(v []byte) (string, error) {
	if len(v) != 8 {
		s, err := asciiz(fieldVBIOS, v)
		return strings.ToUpper(s), err
	}
	r := slices.Clone(v)
	slices.Reverse(r)
	h := strings.ToUpper(hex.EncodeToString(r))
	s := h[8:] + h[6:8]
	return s[0:2] + "." + s[2:4] + "." + s[4:6] + "." + s[6:8] + "." + s[8:10], nil
}
