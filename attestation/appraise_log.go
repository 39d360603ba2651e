package attestation

import (
	"encoding/hex"
	"fmt"

	"github.com/cocoon-go/cocoon/attestation/eventlog"
	"github.com/cocoon-go/cocoon/attestation/fault"
)

// eventLog replays the event log into the registers of a TD. It judges no
// event: code is accepted by its measurement.
func (a *appraisal) eventLog() {
	if len(a.s.EventLog) == 0 {
		return
	}
	if a.f.Intel == nil || a.f.Intel.TD == nil {
		a.skip("event log: evidence of kind %s has no register that it could be replayed into", a.f.Kind)
		return
	}
	const text = "the event log is the one of this boot"
	l, err := eventlog.Parse(a.s.EventLog)
	if err == nil {
		err = l.CheckData(eventlog.SHA384)
	}
	var got [eventlog.NumRTMRs][48]byte
	if err == nil {
		got, err = l.RTMRs()
	}
	if err != nil {
		a.check(false, fault.FamilyOf(err), "tdx.event_log", text, "", err.Error())
		return
	}
	rtmr := a.f.Intel.TD.RTMR
	for i := range got {
		if i == 3 && got[i] == [48]byte{} {
			break // extended after the firmware's log ended; binding.configuration covers it
		}
		if got[i] != rtmr[i] {
			a.check(false, fault.FamilyFalse, "tdx.event_log", text, fmt.Sprintf("RTMR%d %x", i, rtmr[i]), fmt.Sprintf("the log replays to %x", got[i]))
			return
		}
	}
	a.check(true, fault.FamilyFalse, "tdx.event_log", text, "", fmt.Sprintf("%d events", len(l.Events)))
	for _, c := range l.Components(eventlog.SHA384) {
		a.v.Facts.Components = append(a.v.Facts.Components, ComponentVerdict{
			Register: int(c.Register) - 1, Role: string(c.Role), Type: c.Type.String(), Digest: hex.EncodeToString(c.Digest), Text: c.Text})
	}
}
