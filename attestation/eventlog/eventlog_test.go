package eventlog_test

import (
	"bytes"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cocoon-go/cocoon/attestation/eventlog"
	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/sim"
	"github.com/cocoon-go/cocoon/attestation/vectortest"
)

const sha256Bank, sha384Bank = eventlog.SHA256, eventlog.SHA384

// good is a log of a small boot.
func good() sim.EventLog {
	l := sim.EventLog{Banks: []eventlog.Alg{sha256Bank, sha384Bank}}
	l.AddData(0, eventlog.CRTMVersion, []byte("1\x00.\x000\x00\x00\x00"))
	l.AddVariable(7, eventlog.EFIVariableDriverConfig, "SecureBoot", []byte{1})
	l.AddBootVariable(1, "BootOrder", []byte{0, 0})
	l.AddData(0, eventlog.Separator, make([]byte, 4))
	l.Add(4, eventlog.EFIBootServicesApp, []byte("the boot loader"), []byte("device path"))
	l.Add(4, eventlog.EFIBootServicesApp, []byte("the kernel"), []byte("device path"))
	l.Add(9, eventlog.EventTag, []byte("the options"), []byte("\xed\x22\x3b\x8f\x04\x00\x00\x00opts"))
	l.Add(9, eventlog.EventTag, []byte("the initrd"), []byte("\xec\x22\x3b\x8f\x06\x00\x00\x00initrd"))
	l.Add(8, eventlog.IPL, []byte("linux /vmlinuz"), []byte("grub_cmd: linux /vmlinuz\x00"))
	l.Add(8, eventlog.IPL, []byte("/vmlinuz quiet"), []byte("kernel_cmdline: /vmlinuz quiet\x00"))
	l.AddData(5, eventlog.EFIAction, []byte("Exit Boot Services Invocation"))
	return l
}

func parse(t testing.TB, b []byte) *eventlog.Log {
	t.Helper()
	l, err := eventlog.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestReplay(t *testing.T) {
	s := good()
	for _, pad := range [][]byte{nil, make([]byte, 100), bytes.Repeat([]byte{0xff}, 7)} {
		l := parse(t, append(s.Bytes(), pad...))
		if l.Trailer != len(pad) || len(l.Events) != 11 {
			t.Errorf("%d events, trailer of %d", len(l.Events), l.Trailer)
		}
		for _, a := range []eventlog.Alg{sha256Bank, sha384Bank} {
			got, err := l.PCRs(a)
			if err != nil {
				t.Fatal(err)
			}
			want := s.PCRs(a)
			if len(got) != len(want) {
				t.Errorf("%v: %d PCRs, want %d", a, len(got), len(want))
			}
			for i, v := range want {
				if !bytes.Equal(got[i], v) {
					t.Errorf("%v: PCR %d is %x, want %x", a, i, got[i], v)
				}
			}
			if err := l.CheckPCRs(a, want); err != nil {
				t.Error(err)
			}
			if err := l.CheckData(a); err != nil {
				t.Error(err)
			}
			for i := range want {
				bad := s.PCRs(a)
				bad[i][3] ^= 1
				if err := l.CheckPCRs(a, bad); fault.FamilyOf(err) != fault.FamilyFalse {
					t.Errorf("PCR %d changed: %v", i, err)
				}
			}
			if err := l.CheckPCRs(a, map[int][]byte{23: make([]byte, 32)}); fault.FamilyOf(err) != fault.FamilyInput {
				t.Errorf("no common PCR: %v", err)
			}
		}
		for _, a := range []eventlog.Alg{eventlog.SHA1, eventlog.SHA512, 0x12} {
			if _, err := l.PCRs(a); fault.FamilyOf(err) != fault.FamilyInput {
				t.Errorf("%v: %v", a, err)
			}
			if err := l.CheckData(a); fault.FamilyOf(err) != fault.FamilyInput {
				t.Errorf("%v: %v", a, err)
			}
		}
	}
}

// TestSpecification reads the example of docs/spec/eventlog.md, which is the log
// of the smallest boot.
func TestSpecification(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", "spec", "eventlog.md"))
	if err != nil {
		t.Fatal(err)
	}
	flat := strings.Join(strings.Fields(string(doc)), "")
	s := sim.EventLog{Banks: []eventlog.Alg{sha256Bank}}
	s.AddData(7, eventlog.Separator, make([]byte, 4))
	got, err := parse(t, s.Bytes()).PCRs(sha256Bank)
	if err != nil || len(got) != 1 {
		t.Fatal(got, err)
	}
	for what, b := range map[string][]byte{"log": s.Bytes(), "PCR 7": got[7]} {
		if !strings.Contains(flat, hex.EncodeToString(b)) {
			t.Errorf("%s %x is not in the specification", what, b)
		}
	}
}

func TestComponents(t *testing.T) {
	s := good()
	l := parse(t, s.Bytes())
	type row struct {
		role eventlog.Role
		text string
	}
	var got []row
	for _, c := range l.Components(sha384Bank) {
		got = append(got, row{c.Role, c.Text})
	}
	want := []row{
		{eventlog.RoleFirmware, "1.0"}, {eventlog.RoleConfiguration, "SecureBoot=01"}, {eventlog.RoleConfiguration, "0000"},
		{eventlog.RoleSeparator, "4 bytes"}, {eventlog.RoleBootLoader, ""}, {eventlog.RoleKernel, ""}, {eventlog.RoleCommandLine, ""},
		{eventlog.RoleInitrd, ""}, {eventlog.RoleOther, "linux /vmlinuz"}, {eventlog.RoleCommandLine, "/vmlinuz quiet"},
		{eventlog.RoleAction, "Exit Boot Services Invocation"},
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}

	// Text that the digest does not cover is not passed on.
	for i := range s.Events {
		s.Events[i].Data = append([]byte("grub_cmd: lie"), s.Events[i].Data...)
	}
	for _, c := range parse(t, s.Bytes()).Components(sha256Bank) {
		if c.Text != "" {
			t.Errorf("event %d: %q", c.Event, c.Text)
		}
	}
}

func TestCheckData(t *testing.T) {
	for i, part := range map[int]string{0: "EV_S_CRTM_VERSION", 1: "EV_EFI_VARIABLE_DRIVER_CONFIG", 3: "EV_SEPARATOR", 10: "EV_EFI_ACTION"} {
		s := good()
		d := s.Events[i].Data
		d[len(d)-1] ^= 1
		if err := parse(t, s.Bytes()).CheckData(sha256Bank); fault.FamilyOf(err) != fault.FamilyFalse || !strings.Contains(err.Error(), part) {
			t.Errorf("event %d: %v", i, err)
		}
	}
	s := good()
	s.AddData(4, eventlog.Separator, []byte{1, 0, 0, 0})
	if err := parse(t, s.Bytes()).CheckData(sha256Bank); fault.FamilyOf(err) != fault.FamilyFalse || !strings.Contains(err.Error(), "firmware error") {
		t.Errorf("error separator: %v", err)
	}
}

// TestHiddenPCR: a log that tells nothing of a firmware register that was
// extended is not the whole log.
func TestHiddenPCR(t *testing.T) {
	s := good()
	l := parse(t, s.Bytes())
	for pcr, want := range map[int]fault.Family{0: 0, 2: fault.FamilyFalse, 6: fault.FamilyFalse, 8: 0, 10: 0, 14: 0, 23: 0} {
		quoted := s.PCRs(sha256Bank)
		if quoted[pcr] == nil {
			quoted[pcr] = bytes.Repeat([]byte{7}, 32)
		}
		err := l.CheckPCRs(sha256Bank, quoted)
		if fault.FamilyOf(err) != want || want != 0 && !strings.Contains(err.Error(), fmt.Sprintf("no event of PCR %d", pcr)) {
			t.Errorf("PCR %d: %v", pcr, err)
		}
		if pcr == 2 || pcr == 6 {
			quoted[pcr] = make([]byte, 32)
			if err := l.CheckPCRs(sha256Bank, quoted); err != nil {
				t.Errorf("PCR %d at its start value: %v", pcr, err)
			}
		}
	}
	// PCR 0 starts with the locality of the start-up.
	s = sim.EventLog{Banks: []eventlog.Alg{sha256Bank}}
	s.Events = append(s.Events, sim.LogEvent{Type: eventlog.NoAction, Data: []byte("StartupLocality\x00\x03")})
	s.AddData(1, eventlog.Separator, make([]byte, 4))
	l = parse(t, s.Bytes())
	quoted := s.PCRs(sha256Bank)
	quoted[0] = make([]byte, 32)
	if err := l.CheckPCRs(sha256Bank, quoted); fault.FamilyOf(err) != fault.FamilyFalse {
		t.Errorf("locality 0: %v", err)
	}
	quoted[0][31] = 3
	if err := l.CheckPCRs(sha256Bank, quoted); err != nil {
		t.Errorf("locality 3: %v", err)
	}
}

// TestUnexplained lists registers that somebody extended and no event explains.
func TestUnexplained(t *testing.T) {
	s := good()
	l := parse(t, s.Bytes())
	quoted := s.PCRs(sha256Bank)
	for i := range eventlog.NumPCRs {
		if quoted[i] == nil {
			quoted[i] = make([]byte, 32)
		}
		if i >= 17 && i <= 22 {
			quoted[i] = bytes.Repeat([]byte{0xff}, 32)
		}
	}
	if got, err := l.Unexplained(sha256Bank, quoted); err != nil || len(got) != 0 {
		t.Errorf("%v, %v", got, err)
	}
	quoted[10], quoted[17], quoted[23] = bytes.Repeat([]byte{7}, 32), make([]byte, 32), bytes.Repeat([]byte{0xff}, 32)
	delete(quoted, 11)
	quoted[9][0] ^= 1 // the log extends it: for CheckPCRs to refuse
	if got, err := l.Unexplained(sha256Bank, quoted); err != nil || fmt.Sprint(got) != "[10 17 23]" {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := l.Unexplained(eventlog.SHA1, quoted); got != nil || fault.FamilyOf(err) != fault.FamilyInput || err == nil {
		t.Errorf("%v, %v", got, err)
	}
}

// TestShim covers the events of td-shim and of boot stubs that measure UTF-16.
func TestShim(t *testing.T) {
	config := func(name, data string) []byte {
		b := append([]byte(name), make([]byte, 16-len(name))...)
		return append(binary.LittleEndian.AppendUint32(b, uint32(len(data))), data...)
	}
	s := sim.EventLog{Banks: []eventlog.Alg{sha384Bank}}
	s.Add(1, eventlog.PlatformConfigFlags, []byte("the hob"), config("td_hob", "the hob"))
	s.Add(2, eventlog.EFIPlatformFirmwareBlob2, []byte("the payload"), []byte("\x0btd_payload\x00addresses"))
	s.Add(2, eventlog.PlatformConfigFlags, []byte("quiet\x00\x00"), config("td_payload_info", "quiet\x00\x00"))
	s.Add(2, eventlog.PlatformConfigFlags, []byte("the truth"), config("td_payload_info", "a lie"))
	s.Add(2, eventlog.PlatformConfigFlags, []byte("tables"), []byte("ACPI DATA"))
	s.AddData(3, eventlog.IPL, []byte("q\x00u\x00i\x00e\x00t\x00\x00\x00"))
	s.AddData(3, eventlog.IPL, []byte("q\x00u\x00\x00\x00t\x00\x00\x00"))
	var got []string
	for _, c := range parse(t, s.Bytes()).Components(sha384Bank) {
		got = append(got, fmt.Sprintf("%s=%q", c.Role, c.Text))
	}
	want := []string{`configuration="7 bytes"`, `kernel=""`, `command line="quiet"`, `command line=""`, `configuration=""`, `other="quiet"`, `other="q\x00u\x00\x00\x00t"`}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestRTMRs(t *testing.T) {
	s := sim.EventLog{Banks: []eventlog.Alg{sha384Bank}, HeaderRegister: 1}
	for i := uint32(1); i <= 4; i++ {
		s.AddData(i, eventlog.Separator, make([]byte, 4))
		s.Add(i, eventlog.EFIBootServicesApp, []byte{byte(i)}, nil)
	}
	l := parse(t, s.Bytes())
	got, err := l.RTMRs()
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range s.PCRs(sha384Bank) {
		if !bytes.Equal(got[i-1][:], v) {
			t.Errorf("RTMR %d is %x, want %x", i-1, got[i-1], v)
		}
	}
	if err := l.CheckRTMRs(got); err != nil {
		t.Error(err)
	}
	for i := range got {
		bad := got
		bad[i][47] ^= 1
		if err := l.CheckRTMRs(bad); fault.FamilyOf(err) != fault.FamilyFalse || !strings.Contains(err.Error(), fmt.Sprintf("RTMR %d", i)) {
			t.Errorf("RTMR %d: %v", i, err)
		}
	}
	for _, reg := range []uint32{0, 5, 1 << 31} {
		bad := s
		bad.Events = append([]sim.LogEvent(nil), s.Events...)
		bad.AddData(reg, eventlog.Separator, make([]byte, 4))
		if _, err := parse(t, bad.Bytes()).RTMRs(); fault.FamilyOf(err) != fault.FamilyInput {
			t.Errorf("register %d: %v", reg, err)
		}
	}
}

func TestStartupLocality(t *testing.T) {
	withLocality := func(reg uint32, data string, events ...sim.LogEvent) []byte {
		s := sim.EventLog{Banks: []eventlog.Alg{sha256Bank}}
		s.Events = append(s.Events, events...)
		s.Events = append(s.Events, sim.LogEvent{Register: reg, Type: eventlog.NoAction, Data: []byte("StartupLocality\x00" + data)})
		s.AddData(0, eventlog.Separator, make([]byte, 4))
		return s.Bytes()
	}
	plain, err := parse(t, withLocality(0, "\x00")).PCRs(sha256Bank)
	if err != nil {
		t.Fatal(err)
	}
	l := parse(t, withLocality(0, "\x03"))
	three, err := l.PCRs(sha256Bank)
	if err != nil || l.Locality != 3 || bytes.Equal(plain[0], three[0]) {
		t.Errorf("locality %d: %x, without %x: %v", l.Locality, three[0], plain[0], err)
	}
	for name, b := range map[string][]byte{
		"5": withLocality(0, "\x05"), "register 1": withLocality(1, "\x03"), "two bytes": withLocality(0, "\x03\x03"),
		"twice": withLocality(0, "\x03", sim.LogEvent{Type: eventlog.NoAction, Data: []byte("StartupLocality\x00\x03")}),
		"late":  withLocality(0, "\x03", sim.LogEvent{Type: eventlog.Separator, Measured: []byte{0}}),
	} {
		if _, err := eventlog.Parse(b); fault.FamilyOf(err) != fault.FamilyInput || !strings.Contains(err.Error(), "locality") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParseRejects(t *testing.T) {
	s := good()
	b := s.Bytes()
	le := binary.LittleEndian
	edit := func(f func([]byte)) []byte { c := bytes.Clone(b); f(c); return c }
	const first = 32 + 37 // header, then its data: 16+8+4+2*4+1
	for _, x := range []struct {
		name, part string
		b          []byte
	}{
		{"empty", "truncated header", nil},
		{"too long", "at most", make([]byte, eventlog.MaxLog+1)},
		{"header type", "does not start with", edit(func(b []byte) { b[4] = 4 })},
		{"header register", "does not start with", edit(func(b []byte) { b[0] = 2 })},
		{"header digest", "does not start with", edit(func(b []byte) { b[8] = 1 })},
		{"header signature", "does not start with", edit(func(b []byte) { b[32] = 's' })},
		{"header size", "truncated header", edit(func(b []byte) { le.PutUint32(b[28:], 1<<30) })},
		{"no banks", "0 hash algorithms", edit(func(b []byte) { le.PutUint32(b[56:], 0) })},
		{"nine banks", "9 hash algorithms", edit(func(b []byte) { le.PutUint32(b[56:], 9) })},
		{"digest size", "have 31 bytes", edit(func(b []byte) { b[62] = 31 })},
		{"digest size of an unknown algorithm", "have 65 bytes", edit(func(b []byte) { b[60], b[62] = 0x27, 65 })},
		{"same bank twice", "announced twice", edit(func(b []byte) { copy(b[64:68], b[60:64]) })},
		{"vendor info", "wrong length", edit(func(b []byte) { b[68] = 1 })},
		{"data after the banks", "wrong length", func() []byte {
			c := append(bytes.Clone(b[:first]), 0)
			le.PutUint32(c[28:], first-32+1)
			return append(c, b[first:]...)
		}()},
		{"padding of another byte", "event 12:", append(bytes.Clone(b), bytes.Repeat([]byte{1}, 40)...)},
		{"long data", "event 12: 1048577 bytes of data", func() []byte {
			s := good()
			s.Add(1, eventlog.EFIAction, nil, make([]byte, eventlog.MaxEventData+1))
			return s.Bytes()
		}()},
		{"digest count 0", "event 1: 0 digests", edit(func(b []byte) { le.PutUint32(b[first+8:], 0) })},
		{"digest count 3", "event 1: 3 digests", edit(func(b []byte) { le.PutUint32(b[first+8:], 3) })},
		{"unknown algorithm", "event 1: digest of sha1", edit(func(b []byte) { b[first+12] = 4 })},
		{"same algorithm twice", "event 1: two digests", edit(func(b []byte) { b[first+12+34] = 0x0b })},
		{"data size", "event 1:", edit(func(b []byte) { le.PutUint32(b[first+12+34+50:], eventlog.MaxEventData+1) })},
		{"truncated", "event 11: truncated", b[:len(b)-1]},
		{"trailing garbage", "event 12: truncated", append(bytes.Clone(b), 0, 0, 1)},
	} {
		t.Run(x.name, func(t *testing.T) {
			l, err := eventlog.Parse(x.b)
			if l != nil || fault.FamilyOf(err) != fault.FamilyInput || err == nil || !strings.Contains(err.Error(), x.part) {
				t.Errorf("got %v, want bad input with %q", err, x.part)
			}
		})
	}
	t.Run("too many events", func(t *testing.T) {
		s := sim.EventLog{Banks: []eventlog.Alg{eventlog.SHA1}}
		for range eventlog.MaxEvents + 1 {
			s.Add(1, eventlog.EFIAction, nil, nil)
		}
		if _, err := eventlog.Parse(s.Bytes()); err == nil || !strings.Contains(err.Error(), "more than") {
			t.Error(err)
		}
	})
	t.Run("PCRs of a dynamic launch", func(t *testing.T) {
		for _, reg := range []uint32{17, 22, 24, 1 << 31} {
			s := sim.EventLog{Banks: []eventlog.Alg{eventlog.SHA1}}
			s.Add(reg, eventlog.EFIAction, nil, nil)
			if _, err := parse(t, s.Bytes()).PCRs(eventlog.SHA1); fault.FamilyOf(err) != fault.FamilyInput {
				t.Errorf("PCR %d: %v", reg, err)
			}
		}
	})
	t.Run("missing digest", func(t *testing.T) {
		s := good()
		s.Events[2].Omit = sha256Bank
		l := parse(t, s.Bytes())
		if _, err := l.PCRs(sha256Bank); fault.FamilyOf(err) != fault.FamilyInput || !strings.Contains(err.Error(), "event 3 has no sha256 digest") {
			t.Error(err)
		}
		if _, err := l.PCRs(sha384Bank); err != nil {
			t.Error(err)
		}
	})
}

// TestFlips flips bits of a log: each is refused, changes a register of the
// bank, or lies outside what the bank covers, which is listed.
func TestFlips(t *testing.T) {
	s := good()
	b := s.Bytes()
	want := s.PCRs(sha256Bank)
	n, allowed := len(b)*8, map[string]int{}
	order := rand.New(rand.NewPCG(3, 4)).Perm(n)
	if os.Getenv("COCOON_LONG") == "" {
		order = order[:500]
	}
	base := parse(t, b)
	for _, i := range order {
		c := bytes.Clone(b)
		c[i/8] ^= 1 << (i % 8)
		l, err := eventlog.Parse(c)
		if err != nil || l.CheckPCRs(sha256Bank, want) != nil || l.CheckData(sha256Bank) != nil {
			continue
		}
		allowed[unsigned(t, base, l, want)]++
	}
	t.Logf("flips of unsigned fields: %v", allowed)
}

// unsigned names the field in which two logs with equal registers differ. It
// fails when there is none, or when the field should have been covered.
func unsigned(t *testing.T, a, b *eventlog.Log, want map[int][]byte) string {
	t.Helper()
	if len(a.Events) != len(b.Events) {
		// A length that swallows every event of a register from 8 on.
		lost, err := b.Unexplained(sha256Bank, want)
		if err != nil || len(lost) == 0 || lost[0] < 8 {
			t.Fatalf("an event was lost unseen: %v, %v", lost, err)
		}
		return "all events of a register from 8 on: told as unexplained"
	}
	for i := range a.Events {
		x, y := &a.Events[i], &b.Events[i]
		if x.Register != y.Register {
			t.Fatalf("event %d: register changed unseen", i+1)
		}
		if !bytes.Equal(x.Digest(sha256Bank), y.Digest(sha256Bank)) {
			t.Fatalf("event %d: digest changed unseen", i+1)
		}
		if x.Type != y.Type {
			return "type: no digest covers it" // roles are hints
		}
		if !bytes.Equal(x.Digest(sha384Bank), y.Digest(sha384Bank)) {
			return "digest of another bank: that bank's registers cover it"
		}
		if !bytes.Equal(x.RawData(), y.RawData()) {
			if _, c := y.Data(sha256Bank); c == eventlog.Covered {
				return "data around the covered part"
			}
			return "data that the digest does not cover"
		}
	}
	return "header: platform class, version and errata mean nothing here"
}

func TestNames(t *testing.T) {
	for got, want := range map[string]string{
		eventlog.SHA1.String(): "sha1", eventlog.SHA512.String(): "sha512", eventlog.Alg(0x12).String(): "alg-0x0012",
		eventlog.Separator.String(): "EV_SEPARATOR", eventlog.Type(0x99).String(): "event type 0x00000099",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestVectorCCEL replays the CCEL of a real TD into the RTMRs of its quote.
func TestVectorCCEL(t *testing.T) {
	quote := vectortest.Read(t, "tdx/quotes/go-tdx-guest-00b2526ab190.bin")
	var want [4][48]byte
	for i := range want {
		copy(want[i][:], quote[48+328+48*i:])
	}
	l := parse(t, vectortest.Read(t, "eventlog/cos-113-ccel_data.dat"))
	if err := l.CheckRTMRs(want); err != nil {
		t.Error(err)
	}
	if err := l.CheckData(sha384Bank); err != nil {
		t.Error(err)
	}
	var kernels, lines int
	for _, c := range l.Components(sha384Bank) {
		switch c.Role {
		case eventlog.RoleKernel:
			kernels++
		case eventlog.RoleCommandLine:
			lines++
			if !strings.HasPrefix(c.Text, "/syslinux/vmlinuz.A init=/usr/lib/systemd/systemd root") {
				t.Errorf("command line %q", c.Text)
			}
		}
	}
	if kernels != 1 || lines != 1 {
		t.Errorf("%d kernels, %d command lines", kernels, lines)
	}
}

// TestVectorLogs parses and replays the other real CCELs, of which no quote is
// known.
func TestVectorLogs(t *testing.T) {
	for name, events := range map[string]int{"eventlog/trustee-CCEL_data": 5, "eventlog/trustee-CCEL_data_ovmf": 20, "cvm/tdx/dstack_ccel.bin": 18} {
		l := parse(t, vectortest.Read(t, name))
		if len(l.Events) != events || l.Trailer == 0 {
			t.Errorf("%s: %d events, trailer of %d", name, len(l.Events), l.Trailer)
		}
		if _, err := l.RTMRs(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := l.CheckData(sha384Bank); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestVectorShim names the parts of a boot of td-shim.
func TestVectorShim(t *testing.T) {
	var got []string
	for _, c := range parse(t, vectortest.Read(t, "eventlog/trustee-CCEL_data")).Components(sha384Bank) {
		got = append(got, fmt.Sprintf("%s=%s", c.Role, c.Text))
	}
	want := "[configuration=5248 bytes separator=4 bytes separator=4 bytes kernel= command line=root=/dev/vda1 console=hvc0 rw]"
	if fmt.Sprint(got) != want {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

// TestVectorTable reads the table that belongs to a real log, and the nonce
// that is the report data of its quote.
func TestVectorTable(t *testing.T) {
	tab, err := eventlog.ParseTable(vectortest.Read(t, "eventlog/cos-113-ccel_table.dat"))
	if err != nil {
		t.Fatal(err)
	}
	log := vectortest.Read(t, "eventlog/cos-113-ccel_data.dat")
	if tab.Type != eventlog.TableTDX || tab.Subtype != 0 || tab.Revision != 1 || tab.Length != 0x40000 || tab.Address != 0xbedbf000 || len(log) != 0x40000 {
		t.Errorf("%+v for a log of %d bytes", tab, len(log))
	}
	quote := vectortest.Read(t, "tdx/quotes/go-tdx-guest-00b2526ab190.bin")
	if nonce := vectortest.Read(t, "eventlog/cos-113-nonce.dat"); !bytes.Equal(bytes.TrimRight(quote[48+520:48+584], "\x00"), bytes.TrimRight(nonce, "\x00")) {
		t.Errorf("report data %x, nonce %x", quote[48+520:48+584], nonce)
	}
}

// TestVectorDstack replays the logs of two more real TDs, whose events came as
// JSON with digests only, into the RTMRs of their quotes.
func TestVectorDstack(t *testing.T) {
	for _, name := range []string{"dstack_quote_report", "dstack_tdx_lite_getquote"} {
		var v struct {
			Quote string
			Log   string `json:"event_log"`
		}
		if err := json.Unmarshal(vectortest.Read(t, "cvm/tdx/"+name+".json"), &v); err != nil {
			t.Fatal(err)
		}
		var events []struct {
			IMR     uint32
			Type    uint32 `json:"event_type"`
			Digest  string
			Event   string
			Payload string `json:"event_payload"`
		}
		if err := json.Unmarshal([]byte(v.Log), &events); err != nil {
			t.Fatal(err)
		}
		quote, err := hex.DecodeString(v.Quote)
		if err != nil {
			t.Fatal(err)
		}
		le := binary.LittleEndian
		empty := sim.EventLog{Banks: []eventlog.Alg{sha384Bank}, HeaderRegister: 1}
		log := empty.Bytes()
		for _, e := range events {
			digest, err := hex.DecodeString(e.Digest)
			if err != nil {
				t.Fatal(err)
			}
			payload, err := hex.DecodeString(e.Payload)
			if err != nil {
				t.Fatal(err)
			}
			if len(digest) == 0 { // an event of the runtime: type, name and payload are measured
				b := le.AppendUint32(nil, e.Type)
				b = append(append(append(append(b, ':'), e.Event...), ':'), payload...)
				d := sha512.Sum384(b)
				digest = d[:]
			}
			log = le.AppendUint32(le.AppendUint32(le.AppendUint32(log, e.IMR+1), e.Type), 1)
			log = append(le.AppendUint16(log, uint16(sha384Bank)), digest...)
			log = append(le.AppendUint32(log, uint32(len(payload))), payload...)
		}
		var want [4][48]byte
		for i := range want {
			copy(want[i][:], quote[48+328+48*i:])
		}
		if err := parse(t, log).CheckRTMRs(want); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestVectorTCG2 replays the logs of real measured boots under QEMU into the
// PCRs that the TPM quoted, in two banks.
func TestVectorTCG2(t *testing.T) {
	for _, name := range []string{"mmio64", "p13", "p13m3", "pbp", "tpm-12"} {
		var v struct {
			Log    string `json:"event_log"`
			Quotes []struct {
				Alg  string
				PCRs map[int]string
			}
		}
		if err := json.Unmarshal(vectortest.Read(t, "cvm/vtpm/"+name+".attest.json"), &v); err != nil {
			t.Fatal(err)
		}
		raw, err := hex.DecodeString(v.Log)
		if err != nil {
			t.Fatal(err)
		}
		l := parse(t, raw)
		for _, q := range v.Quotes {
			a := map[string]eventlog.Alg{"sha256": sha256Bank, "sha384": sha384Bank}[q.Alg]
			pcrs := map[int][]byte{}
			for i, s := range q.PCRs {
				if pcrs[i], err = hex.DecodeString(s); err != nil {
					t.Fatal(err)
				}
			}
			if len(pcrs) < 8 {
				t.Fatalf("%s: %d PCRs", name, len(pcrs))
			}
			if err := l.CheckPCRs(a, pcrs); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			// The kernel's own measurements (IMA) are in PCR 10.
			if got, err := l.Unexplained(a, pcrs); err != nil || fmt.Sprint(got) != "[10]" {
				t.Errorf("%s: unexplained %v, %v", name, got, err)
			}
			if err := l.CheckData(a); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// table returns a good CCEL table after a change, with a good checksum.
func table(edit func([]byte)) []byte {
	b := make([]byte, 56)
	copy(b, "CCEL")
	b[4], b[8], b[36] = 56, 1, eventlog.TableTDX
	copy(b[10:], "SIMULA")
	binary.LittleEndian.PutUint64(b[40:], 4096)
	binary.LittleEndian.PutUint64(b[48:], 0x8000)
	if edit != nil {
		edit(b)
	}
	var sum byte
	for _, x := range b {
		sum += x
	}
	b[9] -= sum
	return b
}

func TestTable(t *testing.T) {
	got, err := eventlog.ParseTable(table(nil))
	if err != nil || *got != (eventlog.Table{Revision: 1, Type: 2, Length: 4096, Address: 0x8000}) {
		t.Errorf("%+v, %v", got, err)
	}
	wrongSum := table(nil)
	wrongSum[20]++
	for name, b := range map[string][]byte{
		"empty": nil, "short": table(nil)[:55], "long": append(table(nil), 0), "signature": table(func(b []byte) { b[3] = 'M' }),
		"length": table(func(b []byte) { b[4] = 55 }), "reserved": table(func(b []byte) { b[38] = 1 }), "reserved too": table(func(b []byte) { b[39] = 1 }), "checksum": wrongSum,
	} {
		if got, err := eventlog.ParseTable(b); got != nil || fault.FamilyOf(err) != fault.FamilyInput || err == nil {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func FuzzTable(f *testing.F) {
	f.Add(table(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, err := eventlog.ParseTable(b); (got == nil) == (err == nil) {
			t.Fatal("neither table nor error")
		}
	})
}

func FuzzParse(f *testing.F) {
	s := good()
	f.Add(s.Bytes())
	f.Add(s.Bytes()[:100])
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := eventlog.Parse(b)
		if (l == nil) == (err == nil) {
			t.Fatal("neither log nor error")
		}
		if l == nil {
			return
		}
		for _, a := range l.Banks {
			_, _ = l.PCRs(a)
			_ = l.CheckData(a)
			for _, c := range l.Components(a) {
				if len(c.Digest) == 0 {
					t.Fatal("component without a digest")
				}
			}
		}
		_, _ = l.RTMRs()
	})
}

func BenchmarkParseAndReplay(b *testing.B) {
	s := good()
	log := s.Bytes()
	b.ReportAllocs()
	for b.Loop() {
		l, err := eventlog.Parse(log)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := l.PCRs(sha384Bank); err != nil {
			b.Fatal(err)
		}
	}
}
