package sim

import (
	"bytes"
	"encoding/binary"
	"unicode/utf16"

	"github.com/cocoon-go/cocoon/attestation/eventlog"
)

// LogEvent is one event of a simulated log.
type LogEvent struct {
	Register uint32
	Type     eventlog.Type
	Measured []byte       // what the digests are of
	Data     []byte       // what the log says about it
	Omit     eventlog.Alg // bank whose digest is left out
}

// EventLog builds event logs of the crypto-agile form, TCG2 or CCEL.
type EventLog struct {
	Banks          []eventlog.Alg
	HeaderRegister uint32 // 0; 1 in some CCELs
	Events         []LogEvent
}

// Add appends an event whose digest is of measured.
func (l *EventLog) Add(reg uint32, typ eventlog.Type, measured, data []byte) {
	l.Events = append(l.Events, LogEvent{Register: reg, Type: typ, Measured: measured, Data: data})
}

// AddData appends an event whose digest is of its data.
func (l *EventLog) AddData(reg uint32, typ eventlog.Type, data []byte) {
	l.Add(reg, typ, bytes.Clone(data), data)
}

// AddVariable appends an event of a UEFI variable whose digest is of the whole
// structure.
func (l *EventLog) AddVariable(reg uint32, typ eventlog.Type, name string, value []byte) {
	l.AddData(reg, typ, variable(name, value))
}

// AddBootVariable appends an EV_EFI_VARIABLE_BOOT event as EDK II does: the
// digest is of the value alone.
func (l *EventLog) AddBootVariable(reg uint32, name string, value []byte) {
	l.Add(reg, eventlog.EFIVariableBoot, value, variable(name, value))
}

func variable(name string, value []byte) []byte {
	u := utf16.Encode([]rune(name))
	b := make([]byte, 16) // GUID
	b = binary.LittleEndian.AppendUint64(b, uint64(len(u)))
	b = binary.LittleEndian.AppendUint64(b, uint64(len(value)))
	for _, c := range u {
		b = binary.LittleEndian.AppendUint16(b, c)
	}
	return append(b, value...)
}

// Bytes returns the log.
func (l *EventLog) Bytes() []byte {
	le := binary.LittleEndian
	spec := append([]byte("Spec ID Event03\x00"), 0, 0, 0, 0, 0, 2, 0, 2)
	spec = le.AppendUint32(spec, uint32(len(l.Banks)))
	for _, a := range l.Banks {
		spec = le.AppendUint16(spec, uint16(a))
		spec = le.AppendUint16(spec, uint16(a.Hash().Size()))
	}
	spec = append(spec, 0)
	b := le.AppendUint32(nil, l.HeaderRegister)
	b = le.AppendUint32(b, uint32(eventlog.NoAction))
	b = append(b, make([]byte, 20)...)
	b = append(le.AppendUint32(b, uint32(len(spec))), spec...)
	for _, e := range l.Events {
		b = le.AppendUint32(b, e.Register)
		b = le.AppendUint32(b, uint32(e.Type))
		n := len(l.Banks)
		if e.Omit != 0 {
			n--
		}
		b = le.AppendUint32(b, uint32(n))
		for _, a := range l.Banks {
			if a != e.Omit {
				b = append(le.AppendUint16(b, uint16(a)), digest(a, e.Measured)...)
			}
		}
		b = append(le.AppendUint32(b, uint32(len(e.Data))), e.Data...)
	}
	return b
}

// PCRs returns the registers after the boot that the log describes: those that
// it extends, from zero.
func (l *EventLog) PCRs(a eventlog.Alg) map[int][]byte {
	out := map[int][]byte{}
	for _, e := range l.Events {
		if e.Type == eventlog.NoAction {
			continue
		}
		old := out[int(e.Register)]
		if old == nil {
			old = make([]byte, a.Hash().Size())
		}
		out[int(e.Register)] = digest(a, append(old, digest(a, e.Measured)...))
	}
	return out
}

func digest(a eventlog.Alg, b []byte) []byte {
	h := a.Hash().New()
	h.Write(b)
	return h.Sum(nil)
}
