package attestation_test

import (
	"cmp"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/eventlog"
	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/sim"
	"github.com/cocoon-go/cocoon/attestation/tpm"
)

// tcg2 is the log of a boot with a TPM.
func tcg2(banks ...eventlog.Alg) *sim.EventLog {
	l := &sim.EventLog{Banks: banks}
	l.Add(0, eventlog.CRTMContents, []byte("firmware"), []byte("blob"))
	l.AddVariable(7, eventlog.EFIVariableDriverConfig, "SecureBoot", []byte{1})
	for r := range uint32(8) {
		l.AddData(r, eventlog.Separator, []byte{0, 0, 0, 0})
	}
	l.AddData(4, eventlog.EFIAction, []byte("Calling EFI Application from Boot Option"))
	l.Add(4, eventlog.EFIBootServicesApp, []byte("loader"), []byte("path"))
	l.Add(4, eventlog.EFIBootServicesApp, []byte("kernel"), []byte("path"))
	l.Add(9, eventlog.EventTag, []byte("initrd"), []byte{0xec, 0x22, 0x3b, 0x8f, 0, 0, 0, 0})
	l.AddData(5, eventlog.EFIAction, []byte("Exit Boot Services Invocation"))
	return l
}

// logged is a machine alone whose TPM has booted by a log.
func logged(t testing.TB, l *sim.EventLog) *tpmWorld {
	w := newTPMWorld(t)
	w.edit = func(b *attestation.Bundle) { b.EventLog = l.Bytes() }
	return w
}

// alone appraises the quotes by themselves.
func (w *tpmWorld) alone(log []byte) *attestation.Verdict {
	w.t.Helper()
	e := attestation.NewEndorsements()
	w.documents(e)
	f, err := w.verifier().VerifyEvidence("", w.evidence([32]byte{1}), e, now)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.verifier().Policy().Appraise(f, attestation.Subject{At: now, EventLog: log})
}

func hash(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) }

// named is the part of a policy that names what may be in PCR 4.
func named(kernel, loader string) string {
	return fmt.Sprintf("required = true\n[event_log.registers.pcr4]\nkernel = [%q]\n\"boot loader\" = [%q, %q]\n",
		kernel, loader, hash("another loader"))
}

// TestEventLogOfTPM: one change at a time to a log, a TPM or a policy.
func TestEventLogOfTPM(t *testing.T) {
	good := named(hash("kernel"), hash("loader"))
	for _, c := range []struct {
		name    string
		policy  string                         // of section event_log
		pcrs    string                         // of section tpm; default: register 6
		edit    func(*tpmWorld, *sim.EventLog) // before the boot
		lie     func(*sim.EventLog)            // after it
		family  fault.Family
		refused string // rules that do not pass
		want    string // in an error
		note    string // in what was not checked
	}{
		{name: "replays"},
		{name: "components that the policy names", policy: good},
		{name: "one event more", lie: func(l *sim.EventLog) { l.Add(4, eventlog.EFIBootServicesApp, []byte("one more"), nil) },
			family: fault.FamilyFalse, refused: "tpm.event_log", want: "expected PCR 4"},
		{name: "one event less", lie: func(l *sim.EventLog) { l.Events = l.Events[:len(l.Events)-1] },
			family: fault.FamilyFalse, refused: "tpm.event_log", want: "expected PCR 5"},
		{name: "a register kept back", lie: func(l *sim.EventLog) {
			l.Events = slices.DeleteFunc(l.Events, func(e sim.LogEvent) bool { return e.Register == 7 })
		}, family: fault.FamilyFalse, refused: "tpm.event_log", want: "the log has no event of it"},
		{name: "text changed", lie: func(l *sim.EventLog) { l.Events[len(l.Events)-1].Data = []byte("Something else") },
			family: fault.FamilyFalse, refused: "tpm.event_log", want: "does not have its digest"},
		{name: "no log", lie: func(l *sim.EventLog) { *l = sim.EventLog{} }, note: "event log: none was given"},
		{name: "no log, which the policy wants", policy: "required = true\n", lie: func(l *sim.EventLog) { *l = sim.EventLog{} },
			family: fault.FamilyUnknown, refused: "event_log.required", want: "none was given"},
		{name: "no log, which components need", policy: strings.Replace(good, "required = true", "required = false", 1), lie: func(l *sim.EventLog) { *l = sim.EventLog{} },
			family: fault.FamilyUnknown, refused: "event_log.pcr4", want: "no event log that replays"},
		{name: "no log that could be read", policy: good, lie: func(l *sim.EventLog) { l.Banks = nil; l.Events = nil; l.HeaderRegister = 9 },
			family: fault.FamilyUnknown, refused: "tpm.event_log event_log.pcr4", want: "does not start with the header"},
		{name: "another kernel", policy: named(hash("other kernel"), hash("loader")),
			family: fault.FamilyRefused, refused: "event_log.pcr4", want: "event 13, kernel " + hash("kernel") + ", is none of them"},
		{name: "no boot loader", policy: good, edit: func(_ *tpmWorld, l *sim.EventLog) {
			l.Events = slices.DeleteFunc(l.Events, func(e sim.LogEvent) bool { return string(e.Measured) == "loader" })
		}, family: fault.FamilyRefused, refused: "event_log.pcr4", want: `no "boot loader" was measured`},
		{name: "an image in the place of an action", policy: good, edit: func(_ *tpmWorld, l *sim.EventLog) {
			l.AddData(4, eventlog.EFIAction, []byte("MZ an image of the attacker"))
		}, family: fault.FamilyRefused, refused: "event_log.pcr4", want: "is none of them"},
		{name: "a register that was extended later", edit: func(w *tpmWorld, _ *sim.EventLog) {
			if err := w.tpm.Extend(10, []byte("a file")); err != nil {
				t.Fatal(err)
			}
		}, note: "registers 10 of the TPM: something extended them"},
		{name: "a register that was extended later, whose value the policy lists", pcrs: `"10" = ["` + extended([]byte("a file")) + `"]`,
			edit: func(w *tpmWorld, _ *sim.EventLog) {
				if err := w.tpm.Extend(10, []byte("a file")); err != nil {
					t.Fatal(err)
				}
			}, note: "!registers 10"},
		{name: "components of TDs", policy: "required = false\n[event_log.registers.rtmr1]\nkernel = [\"" + strings.Repeat("00", 48) + "\"]\n", note: "components of rtmr1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newTPMWorld(t)
			pcrs := cmp.Or(c.pcrs, fmt.Sprintf(`"6" = ["%s"]`, extended(make([]byte, 4))))
			w.options("unsafe_host_tpm = true\npcrs = {"+pcrs+"}", w.vendor.RootFingerprint())
			w.set(`accept = [`, `accept = ["tpm", `)
			w.eventLog(c.policy)
			l := tcg2(eventlog.SHA256)
			if c.edit != nil {
				c.edit(w, l)
			}
			w.tpm.Boot(l)
			if c.lie != nil {
				c.lie(l)
			}
			var log []byte
			if len(l.Banks)+len(l.Events) > 0 || l.HeaderRegister != 0 {
				log = l.Bytes()
			}
			checkLogged(t, w.alone(log), c.family, c.refused, c.want, c.note)
		})
	}
}

// eventLog replaces the section of the policy about event logs.
func (w *world) eventLog(section string) {
	if section != "" {
		w.set("required = false\n", section+"\n")
	}
}

// extended is a register into which only one thing was measured.
func extended(b []byte) string {
	d := sha256.Sum256(b)
	return fmt.Sprintf("%x", sha256.Sum256(append(make([]byte, 32), d[:]...)))
}

func checkLogged(t *testing.T, v *attestation.Verdict, family fault.Family, refused, want, note string) {
	t.Helper()
	var got []string
	for _, k := range v.Checks {
		if k.Outcome != attestation.Pass {
			got = append(got, k.Rule)
		}
	}
	err := v.Err()
	if fault.FamilyOf(err) != family || strings.Join(got, " ") != refused || err != nil && !strings.Contains(err.Error(), want) {
		t.Errorf("family %d, rules %q, %v", fault.FamilyOf(err), got, err)
	}
	absent := strings.HasPrefix(note, "!")
	has := slices.ContainsFunc(v.NotChecked, func(s string) bool { return strings.Contains(s, strings.TrimPrefix(note, "!")) })
	if note != "" && has == absent {
		t.Errorf("not checked: %q, want %q", v.NotChecked, note)
	}
	replays := !strings.Contains(refused, "tpm.event_log") && err == nil && !strings.Contains(note, "none was given")
	if (len(v.Facts.Components) > 0) != replays && err == nil {
		t.Errorf("components %+v", v.Facts.Components)
	}
}

// Components carry the policy's names, and what the log says of them.
func TestComponentsOfTPM(t *testing.T) {
	w := newTPMWorld(t)
	w.options("unsafe_host_tpm = true", w.vendor.RootFingerprint())
	w.eventLog(named(hash("kernel"), hash("loader")))
	l := tcg2(eventlog.SHA256)
	w.tpm.Boot(l)
	v := w.alone(l.Bytes())
	var names []string
	for _, c := range v.Facts.Components {
		if c.Kind != "pcr" || c.Event == 0 {
			t.Errorf("%+v", c)
		}
		if c.Name != "" {
			names = append(names, fmt.Sprintf("%s is %s in %s%d", c.Name, c.Role, c.Kind, c.Register))
		}
	}
	if got := strings.Join(names, ", "); got != "boot loader is boot loader in pcr4, kernel is kernel in pcr4" {
		t.Errorf("components: %s", got)
	}
	if len(v.Facts.Components) != 15 {
		t.Errorf("%d components", len(v.Facts.Components))
	}
	w.policy = strings.Replace(w.policy, "registers.pcr4", "registers.pcr17", 1)
	checkRule(t, w.alone(l.Bytes()), "event_log.pcr17", `no "boot loader" was measured`)
}

func checkRule(t *testing.T, v *attestation.Verdict, rule, want string) {
	t.Helper()
	for _, c := range v.Checks {
		if c.Rule == rule {
			if c.Outcome == attestation.Pass || !strings.Contains(c.Got, want) {
				t.Errorf("%+v", c)
			}
			return
		}
	}
	t.Errorf("no rule %s", rule)
}

// Every bank that was quoted is compared; SHA-1 alone proves nothing.
func TestBanksOfLog(t *testing.T) {
	for _, c := range []struct {
		name       string
		tpm, log   []eventlog.Alg
		edit       func(*sim.TPM)
		family     fault.Family
		components string
	}{
		{"both", []eventlog.Alg{eventlog.SHA256, eventlog.SHA384}, []eventlog.Alg{eventlog.SHA256, eventlog.SHA384}, nil, fault.FamilyNone, hash("kernel")},
		{"second lies", []eventlog.Alg{eventlog.SHA256, eventlog.SHA384}, []eventlog.Alg{eventlog.SHA256, eventlog.SHA384},
			func(m *sim.TPM) { m.PCRs[eventlog.SHA384][4][0] ^= 1 }, fault.FamilyFalse, ""},
		{"sha384 alone", []eventlog.Alg{eventlog.SHA384}, []eventlog.Alg{eventlog.SHA384}, nil, fault.FamilyNone, fmt.Sprintf("%x", sha512.Sum384([]byte("kernel")))},
		{"sha1 alone", []eventlog.Alg{eventlog.SHA1}, []eventlog.Alg{eventlog.SHA1}, nil, fault.FamilyUnknown, ""},
		{"sha1 lies", []eventlog.Alg{eventlog.SHA1, eventlog.SHA256}, []eventlog.Alg{eventlog.SHA1, eventlog.SHA256},
			func(m *sim.TPM) { m.PCRs[eventlog.SHA1][4][0] ^= 1 }, fault.FamilyFalse, ""},
		{"no bank in common", []eventlog.Alg{eventlog.SHA256}, []eventlog.Alg{eventlog.SHA384}, nil, fault.FamilyUnknown, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newTPMWorld(t)
			var err error
			if w.tpm, err = w.vendor.NewTPM(sim.TPMConfig{Banks: c.tpm}); err != nil {
				t.Fatal(err)
			}
			l := tcg2(c.log...)
			if c.name != "no bank in common" {
				w.tpm.Boot(l)
			}
			if c.edit != nil {
				c.edit(w.tpm)
			}
			v := w.alone(l.Bytes())
			i := slices.IndexFunc(v.Checks, func(k attestation.Check) bool { return k.Rule == "tpm.event_log" })
			want := map[fault.Family]attestation.Outcome{fault.FamilyNone: attestation.Pass, fault.FamilyFalse: attestation.Fail, fault.FamilyUnknown: attestation.NotSure}[c.family]
			if i < 0 || v.Checks[i].Outcome != want {
				t.Fatalf("checks %+v", v.Checks)
			}
			if has := slices.ContainsFunc(v.Facts.Components, func(k attestation.ComponentVerdict) bool { return k.Digest == c.components }); has != (c.components != "") {
				t.Errorf("components %+v", v.Facts.Components)
			}
		})
	}
}

// The log of a bundle whose TPM the hardware does not vouch for is that of the
// TD; with an SNP guest there is nothing else that it could be of.
func TestWhichRegisters(t *testing.T) {
	l := tcg2(eventlog.SHA256)
	w := logged(t, l)
	w.tpm.Boot(l)
	if _, err := w.verify(); err == nil || !strings.Contains(err.Error(), "no sha384 digest") {
		t.Errorf("a log of PCRs beside a TD: %v", err)
	}
	w = newTPMWorld(t)
	s := newSNPWorld(t)
	s.t = t
	w.world, w.endorse = s, nil
	w.set("[tpm]", "[tpm]\nunsafe_host_tpm = true")
	w.set("simulated_roots = [", fmt.Sprintf("simulated_roots = [\"sha256:%x\", ", w.vendor.RootFingerprint()))
	w.tpm.Boot(l)
	w.edit = func(b *attestation.Bundle) { b.EventLog = l.Bytes() }
	v, err := w.verify()
	if err != nil {
		t.Fatal(err)
	}
	if len(v.Verdict().Facts.Components) == 0 || v.Verdict().Facts.Components[0].Kind != "pcr" {
		t.Errorf("components %+v", v.Verdict().Facts.Components)
	}
}

// Components of a TD's registers.
func TestComponentsOfTD(t *testing.T) {
	kernel := fmt.Sprintf("%x", sha512.Sum384([]byte("kernel image")))
	section := func(d string) string {
		return "required = true\n[event_log.registers.rtmr1]\nkernel = [\"" + d + "\"]\n"
	}
	for _, c := range []refusal{
		{"named", func(w *world) { w.booted(ccel()); w.eventLog(section(kernel)) }, fault.FamilyNone, "", ""},
		{"another", func(w *world) { w.booted(ccel()); w.eventLog(section(strings.Repeat("11", 48))) }, fault.FamilyRefused, "event_log.rtmr1", "kernel " + kernel + ", is none of them"},
		{"missing", func(w *world) { w.eventLog(section(kernel)) }, fault.FamilyUnknown, "event_log.required event_log.rtmr1", "none was given"},
	} {
		c.run(t, newWorld(t))
	}
}

func TestRefusedLogPolicy(t *testing.T) {
	d := strings.Repeat("11", 32)
	for _, c := range []struct{ text, want string }{
		{"[event_log.registers.pcr24]\na = [\"" + d + "\"]", "is not a register"},
		{"[event_log.registers.pcr04]\na = [\"" + d + "\"]", "is not a register"},
		{"[event_log.registers.rtmr4]\na = [\"" + d + "\"]", "is not a register"},
		{"[event_log.registers.pcr4]", "names no component"},
		{"[event_log.registers.pcr4]\na = []", "an empty list accepts nothing"},
		{"[event_log.registers.rtmr1]\na = [\"" + d + "\"]", "is not 96 hexadecimal digits"},
		{"[event_log.registers.pcr4]\n\"\" = [\"" + d + "\"]", "name of 0 bytes"},
		{"[event_log.registers.pcr4]\na = [\"" + d + "\"]\nb = [\"" + d + "\"]", "is already that of"},
	} {
		_, err := attestation.ParsePolicy([]byte(attestation.DefaultPolicyTOML() + "\n" + c.text + "\n"))
		if fault.FamilyOf(err) != fault.FamilyInput || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.text, err)
		}
	}
}

// What is not quoted is not proved, whatever the log says of it.
func TestUnquotedRegister(t *testing.T) {
	w := newTPMWorld(t)
	l := tcg2(eventlog.SHA256)
	w.tpm.Boot(l)
	w.item = func(e *tpm.Evidence) {
		q, err := w.tpm.Quote(sim.TPMQuote{ExtraData: []byte{1}, PCRs: []int{0, 7}})
		if err != nil {
			t.Fatal(err)
		}
		e.Quotes = []tpm.Quote{q}
	}
	w.eventLog(named(hash("kernel"), hash("loader")))
	checkRule(t, w.alone(l.Bytes()), "event_log.pcr4", "not quoted")
	l.Events = append(l.Events, sim.LogEvent{Register: 4, Type: eventlog.EFIBootServicesApp, Measured: []byte("anything")})
	v := w.alone(l.Bytes())
	if !slices.ContainsFunc(v.Checks, func(c attestation.Check) bool { return c.Rule == "tpm.event_log" && c.Outcome == attestation.Pass }) {
		t.Errorf("registers that are not quoted are compared: %+v", v.Checks)
	}
	checkRule(t, v, "event_log.pcr4", "not quoted")
	if slices.ContainsFunc(v.Facts.Components, func(c attestation.ComponentVerdict) bool { return c.Register == 4 }) {
		t.Errorf("components of a register that is not quoted: %+v", v.Facts.Components)
	}
	// In another bank the digests of the policy say nothing.
	var err error
	if w.tpm, err = w.vendor.NewTPM(sim.TPMConfig{Banks: []eventlog.Alg{eventlog.SHA256, eventlog.SHA384}}); err != nil {
		t.Fatal(err)
	}
	w.item = nil
	other := tcg2(eventlog.SHA384)
	w.tpm.Boot(tcg2(eventlog.SHA256, eventlog.SHA384))
	checkRule(t, w.alone(other.Bytes()), "event_log.pcr4", "the log has no such bank")
}

// Components of a TPM's registers are demanded of a machine that shows none.
func TestComponentsWithoutTPM(t *testing.T) {
	c := refusal{"no TPM", func(w *world) {
		w.eventLog(strings.Replace(named(hash("kernel"), hash("loader")), "required = true", "required = false", 1))
	}, fault.FamilyRefused, "tpm.pcrs", "no TPM"}
	c.run(t, newWorld(t))
}

// Registers of a TPM that stands alone may be judged by their components alone;
// what lowers safety is warned of, and every rule is explained.
func TestWordsOfTPMPolicy(t *testing.T) {
	w := newTPMWorld(t)
	l := tcg2(eventlog.SHA256)
	w.tpm.Boot(l)
	w.options("unsafe_host_tpm = true\nunsafe_persisted_tpm = true\nparavisors = [\""+strings.Repeat("11", 32)+"\"]", w.vendor.RootFingerprint())
	w.set(`accept = [`, `accept = ["tpm", `)
	if _, err := attestation.ParsePolicy([]byte(w.policy)); err == nil || !strings.Contains(err.Error(), "any code would be accepted") {
		t.Errorf("a policy without registers: %v", err)
	}
	w.set("[tpm]", fmt.Sprintf("[tpm]\npcrs = {\"2\" = [\"%x\"]}", l.PCRs(eventlog.SHA256)[2]))
	w.eventLog(named(hash("kernel"), hash("loader")))
	if v := w.alone(l.Bytes()); !v.Accepted {
		t.Error(v.Err())
	}
	p := w.verifier().Policy()
	var warned, explained []string
	for _, x := range p.Warnings() {
		warned = append(warned, x.Key)
	}
	for _, want := range []string{"tpm.unsafe_host_tpm", "tpm.unsafe_persisted_tpm", "tpm.paravisors"} {
		if !slices.Contains(warned, want) {
			t.Errorf("no warning of %s among %q", want, warned)
		}
	}
	for _, r := range p.Explain() {
		explained = append(explained, r.Rule+" "+r.Text)
	}
	for _, want := range []string{"event_log.required An event log must say", "event_log.pcr4 The event log must show that pcr4 was extended by these alone, and by each of them: boot loader, kernel.",
		"tpm.paravisor ", "tpm.persisted UNSAFE", "tpm.event_log ", "tpm.confidential UNSAFE"} {
		if !slices.ContainsFunc(explained, func(s string) bool { return strings.HasPrefix(s, want) }) {
			t.Errorf("%q is not explained", want)
		}
	}
	w.set("[event_log.registers.pcr4]", "[event_log.registers.pcr9]\ninitrd = [\""+hash("initrd")+"\"]\n[event_log.registers.pcr4]")
	if slices.ContainsFunc(w.verifier().Policy().Warnings(), func(x attestation.PolicyProblem) bool { return x.Key == "tpm.paravisors" }) {
		t.Error("warned although the registers of what the kernel takes in are judged")
	}
}
