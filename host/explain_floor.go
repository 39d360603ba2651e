package host

import (
	"encoding/hex"
	"fmt"
	"strconv"

	"github.com/cocoon-go/cocoon/chain/contracts"
)

// explainFloor says what changes of the least TCB that the registry accepts from
// machines of one FMSPC (Intel's name for a family of platforms).
func explainFloor(a contracts.Action, s *contracts.RootState) *Effect {
	var fmspc [6]byte
	var now contracts.TDXFloor
	listed, stricter := true, false
	switch a := a.(type) {
	case contracts.RemoveFloor:
		fmspc, listed = a.FMSPC, false
	case contracts.RaiseFloor:
		fmspc, now, stricter = a.FMSPC, a.Floor, true
	case contracts.SetFloor:
		fmspc, now = a.FMSPC, a.Floor
	}
	old, had := s.Floors[fmspc]
	what := fmt.Sprintf("floor of FMSPC %x", fmspc)
	if !listed {
		return (&Effect{Means: "no machine of this family registers any more" + untilRechecked}).change(what, listedText(had), notListed).unless(had, contracts.CodeNotFound)
	}
	e := &Effect{Means: "machines of this family register if nothing of their TCB is below the floor; it may accept more than before"}
	if stricter {
		e.Means = "machines of this family that are below the floor do not register any more" + untilRechecked
		e.unless(had, contracts.CodeNotFound)
		if had && !asStrict(now, old) {
			e.Refused = contracts.CodeBadAction
		}
	}
	e.change(what, listedText(had), listedText(true))
	for _, f := range floorFields {
		text := "none"
		if had {
			text = f.text(old)
		}
		e.change(what+", "+f.name, text, f.text(now))
	}
	return e
}

func listedText(ok bool) string {
	if ok {
		return "listed"
	}
	return notListed
}

var floorFields = []struct {
	name string
	text func(contracts.TDXFloor) string
}{
	{"CPUSVN", func(f contracts.TDXFloor) string { return hex.EncodeToString(f.CPUSVN[:]) }},
	{"PCESVN", func(f contracts.TDXFloor) string { return strconv.Itoa(int(f.PCESVN)) }},
	{"TEE_TCB_SVN", func(f contracts.TDXFloor) string { return hex.EncodeToString(f.TEESVN[:]) }},
	{"least version by TDX module (ff: refused)", func(f contracts.TDXFloor) string { return hex.EncodeToString(f.Modules[:]) }},
	{"QE SVN", func(f contracts.TDXFloor) string { return strconv.Itoa(int(f.QESVN)) }},
	{"QE signer", func(f contracts.TDXFloor) string { return hex.EncodeToString(f.QESigner[:]) }},
	{"TD attributes required", func(f contracts.TDXFloor) string { return hex.EncodeToString(f.TDRequired[:]) }},
	{"TD attributes allowed", func(f contracts.TDXFloor) string { return hex.EncodeToString(f.TDAllowed[:]) }},
	{"XFAM required", func(f contracts.TDXFloor) string { return hex.EncodeToString(f.XFAMRequired[:]) }},
	{"XFAM allowed", func(f contracts.TDXFloor) string { return hex.EncodeToString(f.XFAMAllowed[:]) }},
}

// asStrict says whether a floor accepts nothing that the old one does not, as the
// contract decides it (RaiseFloor).
func asStrict(now, old contracts.TDXFloor) bool {
	return now.PCESVN >= old.PCESVN && now.QESVN >= old.QESVN && now.QESigner == old.QESigner &&
		atLeast(now.CPUSVN, old.CPUSVN) && atLeast(now.TEESVN, old.TEESVN) && atLeast(now.Modules, old.Modules) &&
		within(old.TDRequired, now.TDRequired) && within(now.TDAllowed, old.TDAllowed) &&
		within(old.XFAMRequired, now.XFAMRequired) && within(now.XFAMAllowed, old.XFAMAllowed)
}

func atLeast(a, b [16]byte) bool {
	for i := range a {
		if a[i] < b[i] {
			return false
		}
	}
	return true
}

// within says whether b has all the bits of a.
func within(a, b [8]byte) bool {
	for i := range a {
		if a[i]&^b[i] != 0 {
			return false
		}
	}
	return true
}
