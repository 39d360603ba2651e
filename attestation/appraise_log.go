package attestation

import (
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cocoon-go/cocoon/attestation/eventlog"
	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/tpm"
)

// Kinds of registers that an event log is replayed into, as rules and policies
// name them.
const (
	registerRTMR = "rtmr"
	registerPCR  = "pcr"
)

// logVerdict is what came of an event log, whatever a policy thinks of it. It is
// kept in place of the log, which is large.
type logVerdict struct {
	registers   string // kind of the registers that the evidence has; empty for none
	given       bool   // there is a log
	check       *Check // whether it is the one of this boot; nil when nobody looked
	bank        eventlog.Alg
	quoted      map[int][]byte // PCRs that are signed, in this bank
	components  []ComponentVerdict
	unexplained []int // registers that were extended, and of which the log says nothing
	notChecked  []string
}

// good reports whether the log replays to registers that the hardware signed.
func (v *logVerdict) good() bool { return v.check != nil && v.check.Outcome == Pass }

// eventLog adds what comes of the event log, and judges what it names.
func (a *appraisal) eventLog() {
	l := a.s.log
	if l == nil {
		l = judgeLog(a.f, a.f.module(&a.s), a.s.EventLog)
	}
	if l.check != nil {
		a.v.add(*l.check)
	}
	a.v.NotChecked = append(a.v.NotChecked, l.notChecked...)
	a.v.Facts.Components = slices.Clone(l.components)
	a.otherRegisters(l)
	if l.registers == "" {
		return
	}
	switch {
	case l.given:
	case a.p.log.required:
		a.check(false, fault.FamilyUnknown, "event_log.required", "an event log says what the registers are made of", "an event log", "none was given")
	default:
		a.skip("event log: none was given, so nothing says what the registers are made of")
	}
	a.unexplained(l)
	for _, r := range slices.Sorted(maps.Keys(a.p.log.registers)) {
		if strings.HasPrefix(r, l.registers) {
			a.logRegister(l, r)
		}
	}
}

// otherRegisters names the registers of TDs that the policy lists components of,
// where the evidence has none. Those of a TPM are demanded elsewhere.
func (a *appraisal) otherRegisters(l *logVerdict) {
	if l.registers == registerRTMR {
		return
	}
	for _, r := range slices.Sorted(maps.Keys(a.p.log.registers)) {
		if strings.HasPrefix(r, registerRTMR) {
			a.skip("components of %s, which the policy lists: no event log is replayed into registers of a TD", r)
		}
	}
}

// unexplained names the registers that neither the log nor the policy accounts
// for.
func (a *appraisal) unexplained(l *logVerdict) {
	var names []string
	for _, n := range l.unexplained {
		if _, ok := a.p.tpm.pcrs[n]; !ok {
			names = append(names, fmt.Sprint(n))
		}
	}
	if len(names) > 0 {
		a.skip("registers %s of the TPM: something extended them, the event log has nothing of it, and the policy lists no values", strings.Join(names, ", "))
	}
}

// judgeLog replays an event log into the registers that the hardware signed: the
// PCRs of a TPM that it vouches for, or of one that has no TD beside it, else the
// RTMRs of a TD.
func judgeLog(f *Facts, t *tpm.Facts, log []byte) *logVerdict {
	v := &logVerdict{given: len(log) > 0}
	td := f.Intel != nil && f.Intel.TD != nil
	switch {
	case t != nil && (!td || t.Confidential()):
		v.registers = registerPCR
	case td:
		v.registers = registerRTMR
	}
	switch {
	case !v.given:
		return v
	case v.registers == "":
		v.notChecked = append(v.notChecked, fmt.Sprintf("event log: evidence of kind %s has no register that it could be replayed into", f.Kind))
		return v
	}
	l, err := eventlog.Parse(log)
	if err == nil && v.registers == registerPCR {
		err = v.replayPCRs(l, t.PCRs)
	} else if err == nil {
		err = v.replayRTMRs(l, f.Intel.TD.RTMR)
	}
	v.conclude(l, err)
	return v
}

// conclude makes the one check of the log, and names what it measured.
func (v *logVerdict) conclude(l *eventlog.Log, err error) {
	rule := map[string]string{registerPCR: "tpm.event_log", registerRTMR: "tdx.event_log"}[v.registers]
	const text = "the event log is the one of this boot"
	if err != nil {
		expected, got := "", err.Error()
		var m *eventlog.MismatchError
		if errors.As(err, &m) {
			expected, got = fmt.Sprintf("%s %x (%v)", m.Register, m.Quoted, m.Bank), fmt.Sprintf("the log replays to %x", m.Replayed)
			if m.Replayed == nil {
				got = "the log has no event of it"
			}
		}
		c := newCheck(false, fault.FamilyOf(err), rule, text, expected, got)
		v.check, v.unexplained = &c, nil
		return
	}
	c := newCheck(true, fault.FamilyNone, rule, text, "", fmt.Sprintf("%d events (%v)", len(l.Events), v.bank))
	v.check = &c
	for _, x := range l.Components(v.bank) {
		n := int(x.Register)
		if v.registers == registerRTMR {
			n--
		} else if v.quoted[n] == nil {
			continue // nothing proves it
		}
		v.components = append(v.components, ComponentVerdict{Kind: v.registers, Register: n, Event: x.Event,
			Role: string(x.Role), Type: x.Type.String(), Digest: hex.EncodeToString(x.Digest), Text: x.Text})
	}
}

// replayRTMRs compares with the registers of a TD.
func (v *logVerdict) replayRTMRs(l *eventlog.Log, quoted [eventlog.NumRTMRs][48]byte) error {
	v.bank = eventlog.SHA384
	if err := l.CheckData(v.bank); err != nil {
		return err
	}
	got, err := l.RTMRs()
	if err != nil {
		return err
	}
	if got[3] == [48]byte{} {
		quoted[3] = got[3] // extended after the firmware's log ended; binding.configuration covers it
	}
	return l.CheckRTMRs(quoted)
}

// replayPCRs compares with every bank that is both quoted and in the log, and
// takes names from the one of SHA-256 when it is among them. SHA-1 proves too
// little to be compared with alone.
func (v *logVerdict) replayPCRs(l *eventlog.Log, quoted tpm.PCRs) error {
	strong := false
	for _, bank := range []eventlog.Alg{eventlog.SHA512, eventlog.SHA384, eventlog.SHA256, eventlog.SHA1} {
		if len(quoted[bank]) == 0 || !slices.Contains(l.Banks, bank) {
			continue
		}
		if err := l.CheckData(bank); err != nil {
			return err
		}
		if err := l.CheckPCRs(bank, quoted[bank]); err != nil {
			return err
		}
		if bank == eventlog.SHA1 {
			continue
		}
		strong, v.bank, v.quoted = true, bank, quoted[bank]
		var err error
		if v.unexplained, err = l.Unexplained(bank, quoted[bank]); err != nil {
			return err
		}
	}
	if !strong {
		return fault.Unknown("event log: it has none of the banks that were quoted, beside SHA-1")
	}
	return nil
}
