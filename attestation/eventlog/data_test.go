package eventlog_test

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/cocoon-go/cocoon/attestation/eventlog"
	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/sim"
)

// variable encodes a UEFI variable with the given counts.
func variable(nameLen, size uint64, rest string) []byte {
	b := append([]byte("a GUID of 16 byt"), make([]byte, 16)...)
	binary.LittleEndian.PutUint64(b[16:], nameLen)
	binary.LittleEndian.PutUint64(b[24:], size)
	return append(b, rest...)
}

func TestParseVariable(t *testing.T) {
	v, err := eventlog.ParseVariable(variable(2, 3, "P\x00K\x00abc"))
	if err != nil || v.Name != "PK" || string(v.Value) != "abc" || string(v.GUID[:]) != "a GUID of 16 byt" {
		t.Errorf("%+v, %v", v, err)
	}
	for name, b := range map[string][]byte{
		"empty": nil, "short": variable(0, 0, "")[:31], "value too long": variable(1, 1, "P\x00ab"), "value too short": variable(1, 3, "P\x00ab"),
		"name beyond the end": variable(3, 0, "P\x00"), "long name": variable(1025, 0, strings.Repeat("P\x00", 1025)),
		"counts that overflow": variable(1<<63, 0, ""), "long value": variable(0, eventlog.MaxEventData+1, string(make([]byte, eventlog.MaxEventData+1))),
	} {
		if v, err := eventlog.ParseVariable(b); v != nil || fault.FamilyOf(err) != fault.FamilyInput || err == nil {
			t.Errorf("%s: %+v, %v", name, v, err)
		}
	}
}

// TestCoverage lists, for one event at a time, what its digest covers and which
// text comes of it.
func TestCoverage(t *testing.T) {
	tag := func(size uint32, data string) []byte {
		return append(binary.LittleEndian.AppendUint32([]byte{1, 2, 3, 4}, size), data...)
	}
	shim := func(size uint32, data string) []byte {
		return append(binary.LittleEndian.AppendUint32([]byte("td_payload_info\x00"), size), data...)
	}
	whole := func(b []byte) [2][]byte { return [2][]byte{b, b} }
	for name, x := range map[string]struct {
		typ     eventlog.Type
		event   [2][]byte // measured, data
		covered string    // what Data returns, "-" for nothing
		text    string
	}{
		"tag":                    {eventlog.EventTag, whole(tag(3, "abc")), string(tag(3, "abc")), string(tag(3, "abc"))},
		"inside of a tag":        {eventlog.EventTag, [2][]byte{[]byte("abc"), tag(3, "abc")}, "abc", "abc"},
		"tag of the wrong size":  {eventlog.EventTag, [2][]byte{[]byte("abc"), tag(2, "abc")}, "-", ""},
		"short tag":              {eventlog.EventTag, [2][]byte{nil, []byte{0, 0, 0}}, "-", ""},
		"tag without a size":     {eventlog.EventTag, [2][]byte{nil, []byte{1, 2, 3, 4}}, "-", ""},
		"shim without a size":    {eventlog.PlatformConfigFlags, [2][]byte{nil, []byte("td_payload_info\x00")}, "-", ""},
		"shim":                   {eventlog.PlatformConfigFlags, [2][]byte{[]byte("abc"), shim(3, "abc")}, "abc", "abc"},
		"shim of the wrong size": {eventlog.PlatformConfigFlags, [2][]byte{[]byte("abc"), shim(2, "abc")}, "-", ""},
		"short shim":             {eventlog.PlatformConfigFlags, [2][]byte{nil, []byte{0, 0, 0}}, "-", ""},
		"flags":                  {eventlog.PlatformConfigFlags, whole([]byte("flags")), "flags", "5 bytes"},
		"variable":               {eventlog.EFIVariableAuthority, whole(variable(1, 2, "d\x00\x01\x02")), string(variable(1, 2, "d\x00\x01\x02")), "d=0102"},
		"long variable":          {eventlog.EFIVariableAuthority, whole(variable(1, 17, "d\x0017 bytes is long.")), string(variable(1, 17, "d\x0017 bytes is long.")), "d=17 bytes"},
		"no variable":            {eventlog.EFIVariableAuthority, whole([]byte("text")), "text", ""},
		"boot variable":          {eventlog.EFIVariableBoot, whole(variable(1, 1, "b\x00\x07")), string(variable(1, 1, "b\x00\x07")), "b=07"},
		"value of it":            {eventlog.EFIVariableBoot, [2][]byte{{7}, variable(1, 1, "b\x00\x07")}, "\x07", "07"},
		"UTF-16":                 {eventlog.CRTMVersion, whole([]byte("1\x00.\x002\x00\x00\x00")), "1\x00.\x002\x00\x00\x00", "1.2"},
		"UTF-16 without end":     {eventlog.Action, whole([]byte("1\x00.\x00")), "1\x00.\x00", "1\x00."},
		"odd UTF-16":             {eventlog.Action, whole([]byte("1\x00.\x00\x00")), "1\x00.\x00\x00", "1\x00."},
		"not ASCII":              {eventlog.Action, whole([]byte("1\x01.\x00\x00\x00")), "1\x01.\x00\x00\x00", "1\x01."},
		"file":                   {eventlog.EFIBootServicesApp, whole([]byte("path")), "-", ""},
	} {
		s := sim.EventLog{Banks: []eventlog.Alg{sha256Bank}}
		s.Add(1, x.typ, x.event[0], x.event[1])
		l := parse(t, s.Bytes())
		got, c := l.Events[0].Data(sha256Bank)
		if (c == eventlog.Covered) != (x.covered != "-") || c == eventlog.Covered && string(got) != x.covered {
			t.Errorf("%s: covered %d: %q", name, c, got)
		}
		if text := l.Components(sha256Bank)[0].Text; text != x.text {
			t.Errorf("%s: text %q, want %q", name, text, x.text)
		}
	}
}

// TestUnmeasured: what is not measured, or not in the bank, is no component.
func TestUnmeasured(t *testing.T) {
	s := good()
	s.Events[1].Omit = sha256Bank
	s.Events = append(s.Events, sim.LogEvent{Type: eventlog.NoAction, Data: []byte("note")})
	l := parse(t, s.Bytes())
	if n, all := len(l.Components(sha256Bank)), len(l.Components(sha384Bank)); n != 10 || all != 11 || len(l.Events) != 12 {
		t.Errorf("%d and %d components of %d events", n, all, len(l.Events))
	}
	if d, c := l.Events[1].Data(sha256Bank); d != nil || c != eventlog.NotCovered {
		t.Errorf("an event without a digest covers %q", d)
	}
}

// TestUnknownBank: a bank that cannot be computed here is carried, not used.
func TestUnknownBank(t *testing.T) {
	s := sim.EventLog{Banks: []eventlog.Alg{sha256Bank}}
	s.AddData(1, eventlog.Separator, make([]byte, 4))
	const sm3 = eventlog.Alg(0x12)
	b := s.Bytes()
	b[60], b[len(b)-42] = 0x12, 0x12
	l := parse(t, b)
	if l.Events[0].Digest(sm3) == nil {
		t.Fatal("no digest")
	}
	if d, c := l.Events[0].Data(sm3); d != nil || c != eventlog.NotCovered {
		t.Errorf("covers %q", d)
	}
	if cs := l.Components(sm3); len(cs) != 1 || cs[0].Text != "" {
		t.Errorf("%+v", cs)
	}
	_, err := l.PCRs(sm3)
	wantInput(t, err, "alg-0x0012 cannot be computed")
	wantInput(t, l.CheckData(sm3), "no alg-0x0012 digest that can be computed")
	wantInput(t, l.CheckPCRs(sm3, map[int][]byte{1: nil}), "alg-0x0012 cannot be computed")
	_, err = l.PCRs(sha256Bank)
	wantInput(t, err, "no sha256 bank")

	// An empty log replays to nothing, but only in the banks that it has.
	s.Events = nil
	l = parse(t, s.Bytes())
	if got, err := l.PCRs(sha256Bank); err != nil || len(got) != 0 {
		t.Errorf("%v, %v", got, err)
	}
	_, err = l.PCRs(sha384Bank)
	wantInput(t, err, "no sha384 bank")
	wantInput(t, l.CheckRTMRs([4][48]byte{}), "no sha384 bank")
	wantInput(t, l.CheckPCRs(sha256Bank, map[int][]byte{1: make([]byte, 32)}), "extends none")
}

func wantInput(t *testing.T, err error, part string) {
	t.Helper()
	if err == nil || fault.FamilyOf(err) != fault.FamilyInput || !strings.Contains(err.Error(), part) {
		t.Errorf("got %v, want bad input with %q", err, part)
	}
}

func TestNoDigest(t *testing.T) {
	s := good()
	s.Events[0].Omit = sha256Bank
	wantInput(t, parse(t, s.Bytes()).CheckData(sha256Bank), "event 1 has no sha256 digest")
	if err := parse(t, s.Bytes()).CheckData(sha384Bank); err != nil {
		t.Error(err)
	}
}
