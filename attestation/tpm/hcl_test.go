package tpm_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/sim"
	"github.com/cocoon-go/cocoon/attestation/tpm"
)

// azure is evidence of a simulated Azure confidential VM, and what the caller
// would have verified about its hardware.
func azure(t testing.TB, kind tpm.HardwareKind) (*tpm.Evidence, *tpm.Hardware) {
	t.Helper()
	x := rsaTPM(t)
	rt, err := x.RuntimeData([64]byte{7})
	if err != nil {
		t.Fatal(err)
	}
	rd := sim.RuntimeReportData(rt)
	report := sim.TDReport(rd)
	if kind == tpm.SNP {
		report = make([]byte, 1184)
		copy(report[0x50:], rd[:])
	}
	q, err := x.Quote(sim.TPMQuote{ExtraData: nonce})
	if err != nil {
		t.Fatal(err)
	}
	return &tpm.Evidence{Quotes: []tpm.Quote{q}, HCL: sim.HCLReport(kind, report, rt)}, &tpm.Hardware{Kind: kind, ReportData: rd}
}

func TestHCL(t *testing.T) {
	for _, kind := range []tpm.HardwareKind{tpm.SNP, tpm.TDX} {
		e, hw := azure(t, kind)
		f, err := tpm.Verify(e, hw, nil, tpm.Options{}, now)
		if err != nil {
			t.Fatal(err)
		}
		if !f.Confidential() || f.Development || f.Simulated || f.Certificate != nil || f.Name != nil || f.Hierarchy != 0 || !f.NotAfter.IsZero() {
			t.Errorf("%v: %+v", kind, f)
		}
		h := f.HCL
		if h.Kind != kind || h.UserData[0] != 7 || len(h.UserData) != 64 || !*h.VM.SecureBoot || *h.VM.Console || h.VM.InteractiveConsole != nil || !bytes.HasPrefix(h.RuntimeData, []byte(`{"keys"`)) {
			t.Errorf("%v: %+v", kind, h)
		}
		// With the public area and a certificate, both are checked too.
		e.Public, e.Certificates = rsaTPM(t).Public, [][]byte{rsaTPM(t).Certificate.Raw, vendor(t).CA.Raw, vendor(t).Root.Raw}
		_, err = tpm.Verify(e, hw, nil, tpm.Options{}, now)
		wantErr(t, err, fault.FamilyFalse, tpm.StepRoot, "does not name")
		f, err = tpm.Verify(e, hw, nil, tpm.Options{SimulatedRoots: [][32]byte{vendor(t).RootFingerprint()}}, now)
		if err != nil || !f.Confidential() || f.Development || f.Certificate == nil || f.Hierarchy != tpm.HierarchyEndorsement {
			t.Errorf("%v: %+v, %v", kind, f, err)
		}
	}
}

// TestHCLBinding changes what binds the key to the hardware.
func TestHCLBinding(t *testing.T) {
	other := simTPM(t, sim.TPMConfig{})
	for _, x := range []struct {
		name string
		edit func(*tpm.Evidence, *tpm.Hardware) *tpm.Hardware
		f    fault.Family
		step tpm.Step
		part string
	}{
		{"no hardware evidence", func(*tpm.Evidence, *tpm.Hardware) *tpm.Hardware { return nil }, fault.FamilyUnknown, tpm.StepHCL, "verified snp evidence of the machine: missing"},
		{"another kind", func(_ *tpm.Evidence, h *tpm.Hardware) *tpm.Hardware { h.Kind = tpm.TDX; return h }, fault.FamilyFalse, tpm.StepHCL, "stands on snp"},
		{"another machine", func(_ *tpm.Evidence, h *tpm.Hardware) *tpm.Hardware { h.ReportData[0] ^= 1; return h }, fault.FamilyFalse, tpm.StepHCL, "other report data"},
		{"another report inside", func(e *tpm.Evidence, h *tpm.Hardware) *tpm.Hardware { e.HCL[32+0x50] ^= 1; return h }, fault.FamilyFalse, tpm.StepHCL, "other report data"},
		{"another machine with its report", func(e *tpm.Evidence, h *tpm.Hardware) *tpm.Hardware {
			e.HCL[32+0x50] ^= 1
			h.ReportData[0] ^= 1
			return h
		}, fault.FamilyFalse, tpm.StepHCL, "not the digest of the runtime data"},
		{"second half of the report data", func(e *tpm.Evidence, h *tpm.Hardware) *tpm.Hardware {
			e.HCL[32+0x50+63], h.ReportData[63] = 1, 1
			return h
		}, fault.FamilyFalse, tpm.StepHCL, "not the digest of the runtime data"},
		{"runtime data", func(e *tpm.Evidence, h *tpm.Hardware) *tpm.Hardware {
			e.HCL = bytes.Replace(e.HCL, []byte(`"console-enabled":false`), []byte(`"console-enabled":true `), 1)
			return h
		}, fault.FamilyFalse, tpm.StepHCL, "not the digest of the runtime data"},
		{"another key", func(e *tpm.Evidence, h *tpm.Hardware) *tpm.Hardware { e.Public = other.Public; return h }, fault.FamilyFalse, tpm.StepKey, "names another key"},
		{"a quote of another key", func(e *tpm.Evidence, h *tpm.Hardware) *tpm.Hardware {
			e.Quotes[0].Signature[100] ^= 1
			return h
		}, fault.FamilyFalse, tpm.StepSignature, "did not sign"},
	} {
		t.Run(x.name, func(t *testing.T) {
			e, hw := azure(t, tpm.SNP)
			_, err := tpm.Verify(e, x.edit(e, hw), nil, tpm.Options{}, now)
			wantErr(t, err, x.f, x.step, x.part)
		})
	}
	// The key signs in one way only: the paravisor reports no other.
	pss := simTPM(t, sim.TPMConfig{Scheme: tpm.RSAPSS})
	rt, err := pss.RuntimeData([64]byte{})
	if err != nil {
		t.Fatal(err)
	}
	q, err := pss.Quote(sim.TPMQuote{})
	if err != nil {
		t.Fatal(err)
	}
	rd := sim.RuntimeReportData(rt)
	e := &tpm.Evidence{Quotes: []tpm.Quote{q}, HCL: sim.HCLReport(tpm.TDX, sim.TDReport(rd), rt)}
	_, err = tpm.Verify(e, &tpm.Hardware{Kind: tpm.TDX, ReportData: rd}, nil, tpm.Options{}, now)
	wantErr(t, err, fault.FamilyFalse, tpm.StepSignature, "rsassa and sha256 only")
	if _, err := other.RuntimeData([64]byte{}); err == nil {
		t.Error("runtime data of an ECC key")
	}
}

func TestParseHCLRejects(t *testing.T) {
	e, _ := azure(t, tpm.TDX)
	good := e.HCL
	n := uint32(0)
	for i := range good {
		if good[i] != 0 {
			n = uint32(i + 1)
		}
	}
	put := func(off int, v uint32) func([]byte) []byte {
		return func(b []byte) []byte { binary.LittleEndian.PutUint32(b[off:], v); return b }
	}
	for _, x := range []struct {
		name, part string
		edit       func([]byte) []byte
	}{
		{"short", "HCL report of 1235 bytes", func(b []byte) []byte { return b[:1235] }},
		{"empty", "HCL report of 0 bytes", func([]byte) []byte { return []byte{} }},
		{"long", "HCL report of 32769 bytes", func(b []byte) []byte { return append(b, make([]byte, tpm.MaxHCL+1-len(b))...) }},
		{"magic", `starts with "HCLB"`, func(b []byte) []byte { b[3] = 'B'; return b }},
		{"version", "of version 3", put(4, 3)},
		{"size", "contradict", put(8, n+1)},
		{"size beyond the end", "contradict", func(b []byte) []byte { return b[:n-1] }},
		{"data size", "contradict", put(1216, 7)},
		{"runtime size", "contradict", put(1232, 7)},
		{"huge runtime size", "contradict", put(1232, 1<<32-1)},
		{"sizes that agree after an overflow", "contradict", func(b []byte) []byte {
			return put(8, 1235)(put(1216, 19)(put(1232, 1<<32-1)(b)))
		}},
		{"request type", "request type 3", put(12, 3)},
		{"status", "with status 1", put(16, 1)},
		{"reserved", "reserved fields", func(b []byte) []byte { b[31] = 1; return b }},
		{"data version", "version 2 with hash 1", put(1220, 2)},
		{"hash", "version 1 with hash 2", put(1228, 2)},
		{"hardware", "of hardware 3", put(1224, 3)},
		{"after the TD report", "data after the TD report", func(b []byte) []byte { b[32+1024] = 1; return b }},
		{"after the end", "data after its end", func(b []byte) []byte { b[len(b)-1] = 1; return b }},
		{"no JSON", "runtime data: not a JSON object", func(b []byte) []byte { b[1236] = '['; return b }},
	} {
		t.Run(x.name, func(t *testing.T) {
			h, err := tpm.ParseHCL(x.edit(bytes.Clone(good)))
			if h != nil {
				t.Error("parsed")
			}
			wantErr(t, err, fault.FamilyInput, tpm.StepEvidence, x.part)
		})
	}
	h, err := tpm.ParseHCL(good[:n])
	if err != nil || h.Version != 2 || len(h.Report) != 1024 || !bytes.Equal(h.RuntimeData(), good[1236:n]) {
		t.Errorf("without padding: %v", err)
	}
	// Bad evidence is bad wherever it is looked at.
	bad := &tpm.Evidence{Quotes: make([]tpm.Quote, 1), HCL: good[:1235]}
	_, _, err = bad.Hardware()
	wantErr(t, err, fault.FamilyInput, tpm.StepEvidence, "1235 bytes")
	_, err = tpm.Verify(bad, nil, nil, tpm.Options{}, now)
	wantErr(t, err, fault.FamilyInput, tpm.StepEvidence, "1235 bytes")
}

func TestRuntimeData(t *testing.T) {
	rt, err := rsaTPM(t).RuntimeData([64]byte{})
	if err != nil {
		t.Fatal(err)
	}
	parse := func(json string) (*tpm.HCL, error) {
		return tpm.ParseHCL(sim.HCLReport(tpm.TDX, sim.TDReport([64]byte{}), []byte(json)))
	}
	replace := func(old, new string) string {
		s := strings.Replace(string(rt), old, new, 1)
		if s == string(rt) {
			t.Fatalf("%q does not occur", old)
		}
		return s
	}
	var doc struct {
		Keys []struct{ N string }
	}
	if err := json.Unmarshal(rt, &doc); err != nil {
		t.Fatal(err)
	}
	n := doc.Keys[0].N
	for _, x := range []struct{ name, part, json string }{
		{"no keys", "keys is not a list", `{"user-data":""}`},
		{"keys of another type", "keys is not a list", `{"keys":{}}`},
		{"many keys", "keys is not a list of at most 16", `{"keys":[` + strings.Repeat("1,", 16) + `1]}`},
		{"a key that is no object", "not a JSON object", `{"keys":[1]}`},
		{"no attestation key", "no key named HCLAkPub", replace("HCLAkPub", "hclAkPub")},
		{"two attestation keys", "two keys named HCLAkPub", replace("HCLEkPub", "HCLAkPub")},
		{"encryption key", "not a key for signing only", replace(`["sign"]`, `["encrypt"]`)},
		{"signs and encrypts", "not a key for signing only", replace(`["sign"]`, `["sign","encrypt"]`)},
		{"no operations", "not a key for signing only", replace(`"key_ops":["sign"],`, ``)},
		{"ECC key", "not an RSA key", replace(`"RSA"`, `"EC"`)},
		{"exponent 3", "exponent is not 65537", replace(`"AQAB"`, `"Aw"`)},
		{"no modulus", "no modulus", replace(`"n":`, `"m":`)},
		{"modulus not base64", "modulus is not base64url", replace(n[:4], "+/==")},
		{"short modulus", "RSA key of 2040 bits", replace(n, n[:340])},
		{"even modulus", "not an odd number", replace(n, n[:339]+"AAA")},
		{"leading zero", "not an odd number of 2048 bits", replace(n, "AA"+n[2:])},
		{"name twice", `"user-data" occurs twice`, replace(`"user-data":`, `"user-data":"","user-data":`)},
		{"name twice, in a key", `"kid" occurs twice`, replace(`"kid":`, `"kid":"x","kid":`)},
		{"name twice, in the configuration", `"secure-boot" occurs twice`, replace(`"secure-boot":`, `"secure-boot":false,"secure-boot":`)},
		{"flag of another type", "secure-boot has the wrong type", replace(`"secure-boot":true`, `"secure-boot":"true"`)},
		{"flag of null", "secure-boot has the wrong type", replace(`"secure-boot":true`, `"secure-boot":null`)},
		{"configuration of another type", "vm-configuration: not a JSON object", replace(`"vm-configuration":{`, `"vm-configuration":1,"x":{`)},
		{"user data", "user-data is not hex", replace(`"user-data":"00`, `"user-data":"0x`)},
		{"long user data", "user-data is not hex of at most 64", replace(`"user-data":"`, `"user-data":"00`)},
		{"user data of another type", "user-data is not hex", replace(`"user-data":"`, `"user-data":1,"x":"`)},
		{"data after it", "data after the JSON", string(rt) + "{}"},
		{"a bracket after it", "data after the JSON", string(rt) + "}"},
		{"truncated", "malformed JSON", string(rt[:len(rt)-1])},
		{"truncated in a name", "malformed JSON", `{"keys`},
		{"many members", "more than 64 members", `{` + manyMembers(65) + `}`},
	} {
		t.Run(x.name, func(t *testing.T) {
			_, err := parse(x.json)
			wantErr(t, err, fault.FamilyInput, tpm.StepEvidence, x.part)
		})
	}

	// Members that are not known are let in, and told.
	h, err := parse(replace(`"vm-configuration":{`, `"vm-configuration":{"zeta":1,"current-time":1700000000,"alpha":{},"Secure-Boot":false,`))
	if err != nil {
		t.Fatal(err)
	}
	c := h.Runtime.Configuration
	if fmt.Sprint(c.Other) != "[Secure-Boot alpha zeta]" || *c.CurrentTime != 1700000000 || !*c.SecureBoot || *c.TPMPersisted || !*c.TPM {
		t.Errorf("configuration %+v", c)
	}
	for name, json := range map[string]string{
		"no configuration": replace(`"vm-configuration"`, `"other"`), "no user data": replace(`,"user-data"`, `,"other"`), "white space": " " + string(rt) + "\n ",
	} {
		if h, err := parse(json); err != nil || h.Runtime.Key == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func manyMembers(n int) string {
	var s []string
	for i := range n {
		s = append(s, fmt.Sprintf(`"m%d":0`, i))
	}
	return strings.Join(s, ",")
}
