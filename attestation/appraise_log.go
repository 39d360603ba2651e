package attestation

import (
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/cocoon-go/cocoon/attestation/eventlog"
	"github.com/cocoon-go/cocoon/attestation/fault"
)

// logVerdict is what came of an event log. It is kept in place of the log, which
// is large.
type logVerdict struct {
	checks     []Check
	notChecked []string
	components []ComponentVerdict
}

// eventLog adds what comes of the event log. It judges no event: code is
// accepted by its measurement.
func (a *appraisal) eventLog() {
	l := a.s.log
	if l == nil {
		l = judgeLog(a.f, a.s.EventLog)
	}
	for _, c := range l.checks {
		a.v.add(c)
	}
	a.v.NotChecked = append(a.v.NotChecked, l.notChecked...)
	a.v.Facts.Components = slices.Clone(l.components)
}

// judgeLog replays an event log into the registers of a TD.
func judgeLog(f *Facts, log []byte) *logVerdict {
	v := new(logVerdict)
	if len(log) == 0 {
		return v
	}
	if f.Intel == nil || f.Intel.TD == nil {
		v.notChecked = append(v.notChecked, fmt.Sprintf("event log: evidence of kind %s has no register that it could be replayed into", f.Kind))
		return v
	}
	l, err := eventlog.Parse(log)
	if err == nil {
		err = l.CheckData(eventlog.SHA384)
	}
	var got [eventlog.NumRTMRs][48]byte
	if err == nil {
		got, err = l.RTMRs()
	}
	if err != nil {
		v.add(fault.FamilyOf(err), "", err.Error())
		return v
	}
	rtmr := f.Intel.TD.RTMR
	for i := range got {
		if i == 3 && got[i] == [48]byte{} {
			break // extended after the firmware's log ended; binding.configuration covers it
		}
		if got[i] != rtmr[i] {
			v.add(fault.FamilyFalse, fmt.Sprintf("RTMR%d %x", i, rtmr[i]), fmt.Sprintf("the log replays to %x", got[i]))
			return v
		}
	}
	v.add(fault.FamilyNone, "", fmt.Sprintf("%d events", len(l.Events)))
	for _, c := range l.Components(eventlog.SHA384) {
		v.components = append(v.components, ComponentVerdict{
			Register: int(c.Register) - 1, Role: string(c.Role), Type: c.Type.String(), Digest: hex.EncodeToString(c.Digest), Text: c.Text})
	}
	return v
}

// add adds the one check of the log; no family means that it passes.
func (v *logVerdict) add(family fault.Family, expected, got string) {
	v.checks = append(v.checks, newCheck(family == fault.FamilyNone, family, "tdx.event_log", "the event log is the one of this boot", expected, got))
}
