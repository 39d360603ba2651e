package eventlog

import (
	"bytes"
	"fmt"

	"github.com/cocoon-go/cocoon/attestation/fault"
)

// Counts of registers.
const (
	NumPCRs  = 24 // of a PC Client TPM
	NumRTMRs = 4  // of a TD
)

// PCRs replays a TCG2 log in one bank. The result holds every PCR that the log
// extends; the others are absent, and have their start value in the TPM. Events
// of type EV_NO_ACTION are not extended (PFP 10.4.5). Errors are bad input: the
// log has no such bank, an event lacks its digest, or a register cannot be
// replayed (17 to 22 belong to a dynamic launch).
func (l *Log) PCRs(a Alg) (map[int][]byte, error) {
	out := map[int][]byte{}
	err := l.replay(a, func(e *Event) ([]byte, error) {
		i := int(e.Register)
		if e.Register >= NumPCRs || dynamic(i) {
			return nil, fmt.Errorf("PCR %d cannot be replayed", e.Register)
		}
		if out[i] == nil {
			out[i] = l.startValue(i, a)
		}
		return out[i], nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// startValue returns the value of a PCR before anything is extended (PC Client
// Platform TPM Profile, 4.6.2): zero, but for PCR 0, which tells the locality of
// the start-up, and those of a dynamic launch, which are all ones.
func (l *Log) startValue(pcr int, a Alg) []byte {
	v := make([]byte, a.Hash().Size())
	switch {
	case pcr == 0:
		v[len(v)-1] = l.Locality
	case dynamic(pcr):
		for i := range v {
			v[i] = 0xff
		}
	}
	return v
}

// dynamic reports whether a PCR belongs to a dynamic launch.
func dynamic(pcr int) bool { return pcr >= 17 && pcr <= 22 }

// RTMRs replays a CCEL into the four registers of a TD, with SHA-384.
// Measurement registers 1 to 4 are RTMR 0 to 3 (UEFI 2.10, 38.4.1). Events for
// register 0 (MRTD) are refused: firmware cannot extend it.
func (l *Log) RTMRs() ([NumRTMRs][48]byte, error) {
	var out [NumRTMRs][48]byte
	err := l.replay(SHA384, func(e *Event) ([]byte, error) {
		if e.Register < 1 || e.Register > NumRTMRs {
			return nil, fmt.Errorf("measurement register %d is no RTMR", e.Register)
		}
		return out[e.Register-1][:], nil
	})
	if err != nil {
		return [NumRTMRs][48]byte{}, err
	}
	return out, nil
}

// replay extends the register that reg names by each event's digest.
func (l *Log) replay(a Alg, reg func(*Event) ([]byte, error)) error {
	h := a.Hash()
	if h == 0 {
		return fault.BadInput("event log: %v cannot be computed", a)
	}
	found := false
	for _, b := range l.Banks {
		found = found || b == a
	}
	if !found {
		return fault.BadInput("event log: no %v bank", a)
	}
	for i := range l.Events {
		e := &l.Events[i]
		if e.Type == NoAction {
			continue
		}
		r, err := reg(e)
		if err != nil {
			return fault.BadInput("event log: event %d: %w", e.Number, err)
		}
		d := e.Digest(a)
		if d == nil {
			return fault.BadInput("event log: event %d has no %v digest", e.Number, a)
		}
		s := h.New()
		s.Write(r)
		s.Write(d)
		s.Sum(r[:0])
	}
	return nil
}

// numFirmware is how many PCRs, from 0 on, firmware and boot loaders extend, who
// write this log. Operating systems extend the others too, and keep other logs.
const numFirmware = 8

// MismatchError says which register the log does not replay to. It is false
// evidence: the log is not the one of this boot, or not all of it.
type MismatchError struct {
	Register string // "PCR 4", "RTMR 1"
	Bank     Alg
	Replayed []byte // what the log replays to; nil when it has no event of the register
	Quoted   []byte
}

func (e *MismatchError) Error() string {
	if e.Replayed == nil {
		return fmt.Sprintf("event log: it has no event of %s, which the quote says was extended (%v)", e.Register, e.Bank)
	}
	return fmt.Sprintf("event log: %s replays to %x, the quote has %x (%v)", e.Register, e.Replayed, e.Quoted, e.Bank)
}

// CheckPCRs compares the replayed PCRs with the ones of a verified quote. Every
// PCR that the log extends and that was quoted must be equal; at least one must
// have been. A quoted PCR from 0 to 7 that the log does not extend must have its
// start value, lest the log keeps a measurement back; of the others, those that
// the log does not extend are not compared: [Log.Unexplained] lists them. A
// difference is a [*MismatchError].
func (l *Log) CheckPCRs(a Alg, quoted map[int][]byte) error {
	got, err := l.PCRs(a)
	if err != nil {
		return err
	}
	n := 0
	for i := range NumPCRs {
		want, ok := quoted[i]
		if !ok {
			continue
		}
		if got[i] == nil {
			if i < numFirmware && !bytes.Equal(want, l.startValue(i, a)) {
				return fault.False("%w", &MismatchError{fmt.Sprintf("PCR %d", i), a, nil, want})
			}
			continue
		}
		n++
		if !bytes.Equal(got[i], want) {
			return fault.False("%w", &MismatchError{fmt.Sprintf("PCR %d", i), a, got[i], want})
		}
	}
	if n == 0 {
		return fault.BadInput("event log: it extends none of the %d quoted PCRs", len(quoted))
	}
	return nil
}

// Unexplained lists the quoted PCRs, ascending, that were extended, as their
// values show, and of which the log tells nothing. After [Log.CheckPCRs] they
// are from 8 on. An operating system may have extended them; or somebody took
// their events out of the log. Judge their values, or tell people that nobody
// did. The errors are those of [Log.PCRs].
func (l *Log) Unexplained(a Alg, quoted map[int][]byte) ([]int, error) {
	got, err := l.PCRs(a)
	if err != nil {
		return nil, err
	}
	var out []int
	for i := range NumPCRs {
		if want, ok := quoted[i]; ok && got[i] == nil && !bytes.Equal(want, l.startValue(i, a)) {
			out = append(out, i)
		}
	}
	return out, nil
}

// CheckRTMRs compares the replayed RTMRs with the ones of a verified quote, all
// four. A difference is a [*MismatchError].
func (l *Log) CheckRTMRs(quoted [NumRTMRs][48]byte) error {
	got, err := l.RTMRs()
	if err != nil {
		return err
	}
	for i := range got {
		if got[i] != quoted[i] {
			return fault.False("%w", &MismatchError{fmt.Sprintf("RTMR %d", i), SHA384, bytes.Clone(got[i][:]), bytes.Clone(quoted[i][:])})
		}
	}
	return nil
}
