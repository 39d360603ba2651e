package eventlog

import (
	"bytes"
	"fmt"
	"unicode/utf16"

	"github.com/cocoon-go/cocoon/attestation/fault"
)

// Coverage says how far the digest of an event vouches for its data.
type Coverage int

// The kinds of coverage.
const (
	// NotCovered: the digest is of something else, such as a file, and the data
	// only describes it; or it should cover the data and does not.
	NotCovered Coverage = iota
	// Covered: the digest is that of the returned data.
	Covered
)

// dataRule says which part of the data of an event type its digest is of.
type dataRule struct {
	must  bool                  // a difference means that the log lies
	parts func([]byte) [][]byte // candidates, tried in order
}

func whole(b []byte) [][]byte { return [][]byte{b} }

// dataRules lists the event types whose digest is of (a part of) the data.
// docs/spec/eventlog.md has the same table.
var dataRules = map[Type]dataRule{
	Separator:               {true, whole},          // PFP 10.4.1
	CRTMVersion:             {true, whole},          // PFP 10.4.1
	EFIAction:               {true, whole},          // PFP 10.4.1
	EFIVariableDriverConfig: {true, whole},          // PFP 10.4.1, UEFI_VARIABLE_DATA
	Action:                  {false, whole},         // PFP 10.4.1
	EFIVariableAuthority:    {false, whole},         // PFP 10.4.1, UEFI_VARIABLE_DATA
	EFIVariableBoot2:        {false, whole},         // PFP 10.4.1, UEFI_VARIABLE_DATA
	EFIVariableBoot:         {false, variableParts}, // PFP 10.4.1; EDK II measures the variable's value alone
	EFIGPTEvent:             {false, whole},         // PFP 10.4.1, UEFI_GPT_DATA
	EventTag:                {false, tagParts},      // PFP 10.4.2.1
	PlatformConfigFlags:     {false, shimParts},     // td-shim; PFP leaves it open
	IPL:                     {false, iplParts},      // GRUB and systemd-stub; PFP leaves it open
}

// Data returns the part of the event data that the digest in bank a covers, or
// nil with [NotCovered]. The returned bytes must not be changed.
func (e *Event) Data(a Alg) ([]byte, Coverage) {
	rule, ok := dataRules[e.Type]
	if !ok || a.Hash() == 0 {
		return nil, NotCovered
	}
	want := e.Digest(a)
	for _, part := range rule.parts(e.data) {
		h := a.Hash().New()
		h.Write(part)
		if bytes.Equal(h.Sum(nil), want) {
			return part, Covered
		}
	}
	return nil, NotCovered
}

// CheckData recomputes, in bank a, the digests of all events whose data they
// must cover: separators, firmware versions, EFI actions and configuration
// variables. A difference is false evidence: somebody changed the text of the
// log. A separator that reports an error of the firmware is false evidence too
// (PFP 10.4.1: 0 is normal).
func (l *Log) CheckData(a Alg) error {
	for i := range l.Events {
		e := &l.Events[i]
		if !dataRules[e.Type].must {
			continue
		}
		if e.Digest(a) == nil || a.Hash() == 0 {
			return fault.BadInput("event log: event %d has no %v digest that can be computed", e.Number, a)
		}
		if _, c := e.Data(a); c != Covered {
			return fault.False("event log: event %d: the data of %v does not have its digest", e.Number, e.Type)
		}
		if e.Type == Separator && !bytes.Equal(e.data, []byte{0, 0, 0, 0}) {
			return fault.False("event log: event %d: separator %x reports a firmware error", e.Number, e.data)
		}
	}
	return nil
}

// Variable is a UEFI variable in an event (PFP 10.2.6, UEFI_VARIABLE_DATA).
type Variable struct {
	GUID  [16]byte // as in memory: the first three groups are little-endian
	Name  string
	Value []byte
}

// maxName bounds the name of a variable, in UTF-16 code units.
const maxName = 1024

// ParseVariable reads UEFI_VARIABLE_DATA of exactly the given length.
func ParseVariable(b []byte) (*Variable, error) {
	r := newReader(b)
	v := &Variable{}
	copy(v.GUID[:], r.Take(16))
	n, size := r.U64(), r.U64()
	if r.Short || n > maxName || size > MaxEventData || uint64(len(r.B)) != 2*n+size {
		return nil, fault.BadInput("event log: malformed variable")
	}
	v.Name = fromUTF16(r.Take(2 * n))
	v.Value = r.B
	return v, nil
}

func variableParts(b []byte) [][]byte {
	if v, err := ParseVariable(b); err == nil {
		return [][]byte{v.Value, b}
	}
	return [][]byte{b}
}

// tagParts: the digest is of the whole tagged event, or of what is in it.
func tagParts(b []byte) [][]byte {
	if _, data, ok := splitTag(b); ok {
		return [][]byte{b, data}
	}
	return [][]byte{b}
}

// splitTag reads a TCG_PCClientTaggedEvent (PFP 10.4.2.1).
func splitTag(b []byte) (id uint32, data []byte, ok bool) {
	r := newReader(b)
	id, size := r.U32(), r.U32()
	if r.Short || uint64(size) != uint64(len(r.B)) {
		return 0, nil, false
	}
	return id, r.B, true
}

// shimParts: td-shim measures the data after a name and a length.
func shimParts(b []byte) [][]byte {
	if _, data, ok := splitShim(b); ok {
		return [][]byte{data, b}
	}
	return [][]byte{b}
}

// splitShim reads a name of 16 bytes, a length and data (td-shim, "TdShim
// Specification", TD Measurement: TdShimPlatformConfigInfo).
func splitShim(b []byte) (name string, data []byte, ok bool) {
	r := newReader(b)
	name = string(bytes.TrimRight(r.Take(16), "\x00"))
	size := r.U32()
	if r.Short || uint64(size) != uint64(len(r.B)) {
		return "", nil, false
	}
	return name, r.B, true
}

// grubPrefixes introduce the text that GRUB measures; neither the prefix nor
// the final NUL is.
var grubPrefixes = []string{"grub_cmd: ", "kernel_cmdline: ", "module_cmdline: "}

func iplParts(b []byte) [][]byte {
	parts := [][]byte{b}
	text := bytes.TrimSuffix(b, []byte{0})
	for _, p := range grubPrefixes {
		if rest, ok := bytes.CutPrefix(text, []byte(p)); ok {
			parts = append(parts, rest)
		}
	}
	return parts
}

func fromUTF16(b []byte) string {
	u := make([]uint16, 0, len(b)/2)
	for ; len(b) >= 2; b = b[2:] {
		u = append(u, uint16(b[0])|uint16(b[1])<<8)
	}
	for len(u) > 0 && u[len(u)-1] == 0 {
		u = u[:len(u)-1]
	}
	return string(utf16.Decode(u))
}

// Role is what an event measures, as far as the log says.
type Role string

// The roles. Only digests and their order in a register are authentic; type and
// label of an event, and so its role, are what the log says. Use a role to find
// the digest to compare with the expected one, never as a fact by itself.
const (
	RoleFirmware      Role = "firmware"
	RoleConfiguration Role = "configuration"
	RoleDriver        Role = "driver"
	RoleBootLoader    Role = "boot loader"
	RoleKernel        Role = "kernel" // the last EFI application, or the payload of td-shim
	RoleInitrd        Role = "initrd"
	RoleCommandLine   Role = "command line"
	RoleSeparator     Role = "separator"
	RoleAction        Role = "action"
	RoleOther         Role = "other"
)

// Component is one measured thing.
type Component struct {
	Role     Role
	Event    int // number of the event
	Register uint32
	Type     Type
	Digest   []byte // in the bank asked for
	Text     string // name or content; only what the digest covers, else empty
}

// Tags of the Linux EFI stub (Linux, drivers/firmware/efi/libstub/efistub.h).
const (
	tagLinuxInitrd  = 0x8f3b22ec
	tagLinuxOptions = 0x8f3b22ed
)

// Components names what the log measured, in the bank asked for and in order.
// Events without a digest in that bank, and no-action events, are left out.
func (l *Log) Components(a Alg) []Component {
	var out []Component
	last := -1
	for i := range l.Events {
		e := &l.Events[i]
		if e.Type == NoAction || e.Digest(a) == nil {
			continue
		}
		c := Component{Role: e.role(), Event: e.Number, Register: e.Register, Type: e.Type, Digest: bytes.Clone(e.Digest(a))}
		if data, ok := e.Data(a); ok == Covered {
			c.Text = e.text(data)
		}
		if c.Role == RoleBootLoader {
			last = len(out)
		}
		out = append(out, c)
	}
	if last >= 0 {
		out[last].Role = RoleKernel
	}
	return out
}

// Names that td-shim gives its payload and the payload's parameters (td-shim,
// event_log.rs).
const (
	shimPayload    = "\x0btd_payload\x00"
	shimParameters = "td_payload_info"
)

func (e *Event) role() Role {
	if e.Type == EFIPlatformFirmwareBlob2 && bytes.HasPrefix(e.data, []byte(shimPayload)) {
		return RoleKernel
	}
	if e.Type == PlatformConfigFlags {
		if name, _, _ := splitShim(e.data); name == shimParameters {
			return RoleCommandLine
		}
	}
	switch e.Type {
	case CRTMVersion, CRTMContents, PostCode, PostCode2, EFIPlatformFirmwareBlob, EFIPlatformFirmwareBlob2, EFIHCRTMEvent, CPUMicrocode:
		return RoleFirmware
	case EFIVariableDriverConfig, EFIVariableBoot, EFIVariableBoot2, EFIVariableAuthority, PlatformConfigFlags,
		TableOfDevices, EFIHandoffTables, EFIHandoffTables2, EFIGPTEvent, EFIGPTEvent2, NonhostConfig,
		EFISPDMFirmwareConfig, EFISPDMDevicePolicy, EFISPDMDeviceAuthority:
		return RoleConfiguration
	case EFIBootServicesDriver, EFIRuntimeServicesDriver, NonhostCode, EFISPDMFirmwareBlob:
		return RoleDriver
	case EFIBootServicesApp:
		return RoleBootLoader
	case Separator:
		return RoleSeparator
	case Action, EFIAction:
		return RoleAction
	case EventTag:
		switch id, _, _ := splitTag(e.data); id {
		case tagLinuxInitrd:
			return RoleInitrd
		case tagLinuxOptions:
			return RoleCommandLine
		}
	case IPL:
		if bytes.HasPrefix(e.data, []byte("kernel_cmdline: ")) {
			return RoleCommandLine
		}
	}
	return RoleOther
}

// text renders covered data for people.
func (e *Event) text(data []byte) string {
	switch e.Type {
	case EFIVariableDriverConfig, EFIVariableAuthority, EFIVariableBoot2, EFIVariableBoot:
		v, err := ParseVariable(e.data)
		if err != nil {
			return ""
		}
		value := fmt.Sprintf("%x", v.Value)
		if len(v.Value) > 16 {
			value = fmt.Sprintf("%d bytes", len(v.Value))
		}
		if len(data) < len(e.data) {
			return value // the digest covers the value alone, so not the name
		}
		return v.Name + "=" + value
	case EFIGPTEvent, Separator:
		return fmt.Sprintf("%d bytes", len(data))
	case PlatformConfigFlags:
		if e.role() != RoleCommandLine {
			return fmt.Sprintf("%d bytes", len(data))
		}
	}
	if isUTF16(data) {
		return fromUTF16(data)
	}
	return string(bytes.TrimRight(data, "\x00"))
}

// isUTF16 reports whether b looks like UTF-16 text of ASCII characters with its
// final NUL, as UEFI and systemd's boot stub measure text.
func isUTF16(b []byte) bool {
	if len(b)%2 != 0 || !bytes.HasSuffix(b, []byte{0, 0}) {
		return false
	}
	for i := 1; i < len(b); i += 2 {
		if b[i] != 0 || b[i-1] == 0 && i < len(b)-1 {
			return false
		}
	}
	return true
}
