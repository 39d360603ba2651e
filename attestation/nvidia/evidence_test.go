package nvidia_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"slices"
	"strings"
	"testing"

	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/nvidia"
	"github.com/cocoon-go/cocoon/attestation/sim"
)

func chainPEM(ders ...[]byte) []byte {
	var out []byte
	for _, d := range ders {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: d})...)
	}
	return out
}

// TestEvidenceForm pins the bytes of the form of bundles.
func TestEvidenceForm(t *testing.T) {
	e := nvidia.Evidence{Report: []byte("report"), Chain: [][]byte{[]byte("leaf"), []byte("root")}}
	b, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	const want = "a300" + "70636f636f6f6e2f6e76696469612f7631" + "01467265706f7274" + "0282446c65616644726f6f74"
	if hex.EncodeToString(b) != want {
		t.Fatalf("%x, want %s", b, want)
	}
	got, err := nvidia.ParseEvidence(b)
	if err != nil || !bytes.Equal(got.Report, e.Report) || !slices.EqualFunc(got.Chain, e.Chain, bytes.Equal) {
		t.Errorf("%v, %+v", err, got)
	}
	const malformed = "evidence: malformed"
	for _, x := range []struct{ name, part, from, to string }{
		{"list", "evidence: not of type", want, "83010203"},
		{"map of four", "evidence: not of type", "a300", "a400"},
		{"other type", "evidence: not of type", "2f7631", "2f7632"},
		{"type of another length", "evidence: not of type", "70636f", "71636f"},
		{"key twice", malformed, "01467265706f7274", "00467265706f7274"},
		{"no key", malformed, "01467265706f7274", "467265706f7274"},
		{"unknown key", malformed, "01467265706f7274", "03467265706f7274"},
		{"unknown key", malformed, "0282446c", "0382446c"},
		{"text for bytes", malformed, "01467265706f7274", "01667265706f7274"},
		{"no report", "report of 0 bytes", "01467265706f7274", "0140"},
		{"no chain", "0 certificates", "0282446c65616644726f6f74", "0280"},
		{"nine certificates", malformed, "0282446c65616644726f6f74", "0289414141414141414141414141414141414141"},
		{"empty certificate", "certificate 1 of 0 bytes", "44726f6f74", "40"},
		{"long form of a length", malformed, "0146", "015806"},
		{"longer form of a length", malformed, "0146", "01590006"},
		{"longest form of a length", malformed, "0146", "015a00000006"},
		{"length of eight bytes", malformed, "0146", "015b0000000000000006"},
		{"half a length", malformed, "01467265706f72740282446c65616644726f6f74", "0159ff"},
		{"report past the end", malformed, "01467265706f7274", "01577265706f7274"},
		{"keys in another order", malformed, want[38:], "0282446c65616644726f6f74" + "01467265706f7274"},
		{"certificate cut", malformed, "726f6f74", "726f6f"},
		{"certificate missing", malformed, "44726f6f74", ""},
		{"no list", malformed, "0282446c65616644726f6f74", "02446c656166"},
		{"chain missing", malformed, "0282446c65616644726f6f74", ""},
		{"trailing byte", "evidence: 1 bytes after its end", "726f6f74", "726f6f7400"},
		{"indefinite length", malformed, "0282446c65616644726f6f74", "029f446c65616644726f6f74ff"},
		{"tag", malformed, "0146", "01c246"},
		{"null chain", malformed, "0282446c65616644726f6f74", "02f6"},
	} {
		if strings.Count(want, x.from) != 1 {
			t.Fatalf("%s: %s is not in it once", x.name, x.from)
		}
		bad, err := hex.DecodeString(strings.Replace(want, x.from, x.to, 1))
		if err != nil {
			t.Fatal(err)
		}
		_, err = nvidia.ParseEvidence(bad)
		t.Run(x.name, func(t *testing.T) {
			if err == nil || fault.FamilyOf(err) != fault.FamilyInput || !strings.Contains(err.Error(), x.part) {
				t.Errorf("got %v, want %q", err, x.part)
			}
		})
	}
}

// TestOtherItems puts every other first byte before a report and before the list
// of certificates, with enough bytes behind it for any length.
func TestOtherItems(t *testing.T) {
	good, err := (&nvidia.Evidence{Report: make([]byte, 20), Chain: [][]byte{make([]byte, 300)}}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, pos := range []int{20, 42} {
		for b := range 256 {
			bad := bytes.Clone(good)
			bad[pos] = byte(b)
			if e, err := nvidia.ParseEvidence(bad); (err == nil) != (bad[pos] == good[pos]) || (e == nil) == (err == nil) {
				t.Errorf("byte %#x at %d: %v", b, pos, err)
			}
		}
	}
}

func TestEvidenceLimits(t *testing.T) {
	good := func() *nvidia.Evidence {
		return &nvidia.Evidence{Report: []byte("report"), Chain: [][]byte{[]byte("leaf")}}
	}
	for _, x := range []struct {
		part string
		edit func(*nvidia.Evidence)
	}{
		{"report of 65537 bytes, want 1 to 65536", func(e *nvidia.Evidence) { e.Report = make([]byte, nvidia.MaxReport+1) }},
		{"report of 0 bytes", func(e *nvidia.Evidence) { e.Report = nil }},
		{"0 certificates, want 1 to 8", func(e *nvidia.Evidence) { e.Chain = nil }},
		{"9 certificates", func(e *nvidia.Evidence) { e.Chain = make([][]byte, 9) }},
		{"certificate 0 of 0 bytes", func(e *nvidia.Evidence) { e.Chain[0] = nil }},
		{"certificate 0 of 8193 bytes", func(e *nvidia.Evidence) { e.Chain[0] = make([]byte, 8193) }},
	} {
		e := good()
		x.edit(e)
		if _, err := e.Encode(); err == nil || fault.FamilyOf(err) != fault.FamilyInput || !strings.Contains(err.Error(), x.part) {
			t.Errorf("got %v, want %q", err, x.part)
		}
	}
	_, err := nvidia.ParseEvidence(make([]byte, nvidia.MaxEvidence+1))
	wantErr(t, err, fault.FamilyInput, nvidia.StepReport, "evidence of 131073 bytes, limit 131072")
	e := good()
	e.Report, e.Chain = make([]byte, nvidia.MaxReport), slices.Repeat([][]byte{make([]byte, 8192)}, 8)
	if _, err := e.Encode(); err == nil {
		t.Error("encoded what is too large to be parsed")
	}
}

func TestPEM(t *testing.T) {
	good := chainPEM([]byte("leaf"), []byte("root"))
	for _, tail := range []string{"", "\n", "\x00", " \r\n\x00\x00"} {
		e, err := nvidia.NewEvidence([]byte("report"), append(slices.Clone(good), tail...))
		if err != nil || len(e.Chain) != 2 || string(e.Chain[1]) != "root" {
			t.Errorf("%q: %v", tail, err)
		}
	}
	for _, x := range []struct {
		part string
		pem  []byte
	}{
		{"not in PEM form", nil}, {"not in PEM form", []byte("leaf")}, {"not in PEM form", append(slices.Clone(good), 'x')},
		{`unexpected PEM block "PRIVATE KEY"`, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte{1}})},
		{"more than 8 certificates", bytes.Repeat(good, 5)},
		{"131073 bytes of PEM", make([]byte, nvidia.MaxEvidence+1)},
	} {
		_, err := nvidia.NewEvidence([]byte("report"), x.pem)
		wantErr(t, err, fault.FamilyInput, nvidia.StepChain, x.part)
	}
}

// TestFiles reads one device's evidence in every form that occurs.
func TestFiles(t *testing.T) {
	d := newDevice(t, vendor(), sim.NVIDIADeviceConfig{})
	report, err := d.Report(vendor(), sim.NVIDIAReport{})
	if err != nil {
		t.Fatal(err)
	}
	ev := evidence(t, d, report)
	bundle, err := ev.Encode()
	if err != nil {
		t.Fatal(err)
	}
	device := map[string]any{"version": "1.0", "arch": "HOPPER", "nonce": "00", "evidence": report, "certificate": chainPEM(ev.Chain...)}
	for _, x := range []struct {
		name string
		data []byte
		n    int
	}{
		{"bundle", bundle, 1},
		{"object", jsonOf(t, device), 1},
		{"list", jsonOf(t, []any{device, device}), 2},
		{"answer of a tool", jsonOf(t, map[string]any{"result_code": 0, "evidences": []any{device}}), 1},
		{"report", report, 1},
	} {
		list, err := nvidia.ParseFile(x.data)
		if err != nil || len(list) != x.n || !nvidia.IsEvidence(x.data) {
			t.Errorf("%s: %v, %d devices, looks like evidence: %v", x.name, err, len(list), nvidia.IsEvidence(x.data))
			continue
		}
		for _, e := range list {
			if !bytes.Equal(e.Report, report) || x.name != "report" && !slices.EqualFunc(e.Chain, ev.Chain, bytes.Equal) {
				t.Errorf("%s: %+v", x.name, e)
			}
		}
	}
	many := make([]any, nvidia.MaxDevices+1)
	for i := range many {
		many[i] = device
	}
	for _, x := range []struct {
		part string
		data []byte
	}{
		{"file of 8388609 bytes", make([]byte, nvidia.MaxFile+1)}, {"evidence: ", []byte("no evidence")}, {"evidence: ", nil},
		{"0 devices, want 1 to 64", []byte("[]")}, {"65 devices", jsonOf(t, many)}, {"0 devices", []byte(`{"evidences":[]}`)},
		{"evidence file: unexpected end of JSON", []byte(`[`)}, {"evidence file: json: cannot unmarshal number", []byte(`{"evidence":1}`)}, {"evidence file: illegal base64", []byte(`{"evidence":"."}`)},
		{"device 0: ", []byte(`{}`)}, {"bytes, too short", report[:100]}, {"are there", append(slices.Clone(report), 0)},
	} {
		list, err := nvidia.ParseFile(x.data)
		if list != nil || err == nil || fault.FamilyOf(err) != fault.FamilyInput || !strings.Contains(err.Error(), x.part) {
			t.Errorf("got %v, want %q", err, x.part)
		}
	}
	for _, b := range [][]byte{nil, []byte("{}"), []byte("<xml>"), []byte(`{"tcb_info":{}}`), {0x30}} {
		if nvidia.IsEvidence(b) {
			t.Errorf("%q looks like evidence", b)
		}
	}
}

func jsonOf(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
