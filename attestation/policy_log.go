package attestation

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/cocoon-go/cocoon/attestation/eventlog"
	"github.com/cocoon-go/cocoon/attestation/fault"
)

// logSection is the section [event_log] of a policy file.
type logSection struct {
	Required  bool                           `toml:"required"`
	Registers map[string]map[string][]string `toml:"registers"` // register, name of the policy's choice, digests
}

// logPolicy is [logSection] as values: for each register the name of every
// digest that may be in it.
type logPolicy struct {
	required  bool
	registers map[string]logDigests
}

// logDigests are the components of one register: names by digest in
// hexadecimal, and all names, sorted.
type logDigests struct {
	name  map[string]string
	names []string
}

// maxComponentName bounds the names of components, in bytes.
const maxComponentName = 64

func (p *Policy) buildLog() error {
	s := &p.f.EventLog
	p.log = &logPolicy{required: s.Required, registers: map[string]logDigests{}}
	var errs []error
	for r, list := range s.Registers {
		key := "event_log.registers." + r
		size := registerDigest(r)
		switch {
		case size == 0:
			errs = append(errs, problem(key, "%q is not a register from pcr0 to pcr%d or rtmr0 to rtmr%d", r, numPCRs-1, eventlog.NumRTMRs-1))
			continue
		case len(list) == 0:
			errs = append(errs, problem(key, "names no component, so it accepts nothing"))
		}
		d, err := buildDigests(key, list, size)
		errs = append(errs, err)
		p.log.registers[r] = d
	}
	return errors.Join(errs...)
}

// registerDigest returns the size of the digests in a register, 0 when there is
// no register of that name.
func registerDigest(r string) int {
	for _, k := range []struct {
		prefix      string
		count, size int
	}{{registerPCR, numPCRs, eventlog.SHA256.Hash().Size()}, {registerRTMR, eventlog.NumRTMRs, eventlog.SHA384.Hash().Size()}} {
		if text, ok := strings.CutPrefix(r, k.prefix); ok {
			n, err := strconv.Atoi(text)
			if err == nil && n >= 0 && n < k.count && strconv.Itoa(n) == text {
				return k.size
			}
		}
	}
	return 0
}

func buildDigests(key string, list map[string][]string, size int) (logDigests, error) {
	out := logDigests{name: map[string]string{}, names: slices.Sorted(maps.Keys(list))}
	var errs []error
	for _, name := range out.names {
		if name == "" || len(name) > maxComponentName {
			errs = append(errs, problem(key, "name of %d bytes, want 1 to %d", len(name), maxComponentName))
		}
		if len(list[name]) == 0 {
			errs = append(errs, problem(key+"."+name, "an empty list accepts nothing"))
		}
		ds, err := digests(key+"."+name, list[name], size)
		errs = append(errs, err)
		for _, d := range ds {
			text := fmt.Sprintf("%x", d)
			if other, ok := out.name[text]; ok {
				errs = append(errs, problem(key+"."+name, "digest %s is already that of %q", text, other))
			}
			out.name[text] = name
		}
	}
	return out, errors.Join(errs...)
}

// pcrs reports whether components of a TPM's registers are demanded.
func (l *logPolicy) pcrs() bool {
	for r := range l.registers {
		if strings.HasPrefix(r, registerPCR) {
			return true
		}
	}
	return false
}

// harmless are the texts that firmware measures where it does nothing but go on
// (PFP 10.4.1, "EV_EFI_ACTION"; UEFI). Only they, and the separator of zeros,
// need no place in the policy: type and data of an event are the host's word, so
// that any image could be written down as the text of an action.
var harmless = []string{
	"Calling EFI Application from Boot Option",
	"Returning from EFI Application from Boot Option",
	"Exit Boot Services Invocation",
	"Exit Boot Services Returned with Success",
	"Exit Boot Services Returned with Failure",
}

// harmless reports whether an event of a good log changes nothing.
func (c *ComponentVerdict) harmless() bool {
	switch c.Type { // of both the digest is that of the data; see CheckData
	case eventlog.Separator.String():
		return true
	case eventlog.EFIAction.String():
		return slices.Contains(harmless, c.Text)
	}
	return false
}

// logRegister judges one register by the events that made it: each must be a
// component that the policy names, and each name must be there. That other
// events are refused is what counts: any code can extend a register by the
// digest of another, but not before it was itself measured.
func (a *appraisal) logRegister(l *logVerdict, register string) {
	want := a.p.log.registers[register]
	rule, text := "event_log."+register, "what was measured into "+register+" is what the policy names"
	expected := strings.Join(want.names, ", ")
	if !l.good() {
		a.check(false, fault.FamilyUnknown, rule, text, expected, "no event log that replays to it")
		return
	}
	if l.registers == registerPCR && !l.proves(register) {
		a.rule(false, rule, text, expected, "the register is not quoted in the SHA-256 bank, or the log has no such bank")
		return
	}
	got, wrong := want.sort(l.components, register)
	a.rule(wrong == "", rule, text, expected, cmp.Or(wrong, got))
	for i := range a.v.Facts.Components {
		c := &a.v.Facts.Components[i]
		if c.name() == register {
			c.Name = want.name[c.Digest]
		}
	}
}

// proves reports whether the TPM signed the register in the bank that policies
// are written for.
func (v *logVerdict) proves(register string) bool {
	n, err := strconv.Atoi(strings.TrimPrefix(register, registerPCR))
	return err == nil && v.bank == eventlog.SHA256 && v.quoted[n] != nil
}

// sort finds the names of a register's events, in order, and what is wrong with
// them.
func (d logDigests) sort(components []ComponentVerdict, register string) (got, wrong string) {
	var names []string
	for i := range components {
		c := &components[i]
		if c.name() != register {
			continue
		}
		name, ok := d.name[c.Digest]
		switch {
		case ok:
			names = append(names, name)
		case !c.harmless():
			return "", fmt.Sprintf("event %d, %s %s, is none of them", c.Event, c.Role, c.Digest)
		}
	}
	for _, n := range d.names {
		if !slices.Contains(names, n) {
			return "", fmt.Sprintf("no %q was measured", n)
		}
	}
	return strings.Join(names, ", "), ""
}

// name returns the register as policies name it.
func (c *ComponentVerdict) name() string { return fmt.Sprint(c.Kind, c.Register) }

func (x *explainer) log() {
	l := x.p.log
	x.choose(l.required, "event_log.required", "An event log must say what the registers of a TD or of a TPM are made of.",
		"An event log may be missing.")
	for _, r := range slices.Sorted(maps.Keys(l.registers)) {
		x.add("event_log."+r, "The event log must show that %s was extended by these alone, and by each of them: %s.", r, strings.Join(l.registers[r].names, ", "))
	}
}
