package tpm_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation/amd"
	"github.com/cocoon-go/cocoon/attestation/eventlog"
	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/intel"
	"github.com/cocoon-go/cocoon/attestation/tpm"
	"github.com/cocoon-go/cocoon/attestation/vectortest"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// azureVector is one file of real evidence, and what is known about it.
type azureVector struct {
	kind       tpm.HardwareKind
	nonce      string // as it is, or hex
	at         time.Time
	endorse    string // revocation list or collateral
	status     intel.Status
	persisted  bool
	reset      uint32
	userData   string // hex, without the zeros at its end
	configured int    // settings of the VM that are reported
}

var azureVectors = map[string]azureVector{
	"azure-vtpm/az-snp-vtpm-evidence-v1.json": {kind: tpm.SNP, nonce: hex.EncodeToString([]byte("challenge")), reset: 2, configured: 4,
		at: time.Date(2025, 9, 1, 0, 0, 0, 0, time.UTC), endorse: "snp/crl/milan-2025-05-06_2026-05-12.crl.der"},
	"azure-vtpm/az-snp-vtpm-evidence-v2.json": {kind: tpm.SNP, reset: 2, configured: 4,
		nonce:    "982f5c6e45df0ed3f10b6f60b02f0c8390e281300f3805e2279c16168cd6ae9aa398f647caa2338748cd0fd9f5f819ef",
		userData: "982f5c6e45df0ed3f10b6f60b02f0c8390e281300f3805e2279c16168cd6ae9aa398f647caa2338748cd0fd9f5f819ef",
		at:       time.Date(2025, 9, 1, 0, 0, 0, 0, time.UTC), endorse: "snp/crl/milan-2025-05-06_2026-05-12.crl.der"},
	"azure-vtpm/az-snp-vtpm-evidence-genoa.json": {kind: tpm.SNP, persisted: true, reset: 0x35, configured: 6,
		nonce: "0218488bae25d2509232bf676f1a66a30d7372add909109b36016ef136f2938ca05475f8b46094de6b64270ea35d950f",
		at:    time.Date(2025, 9, 1, 0, 0, 0, 0, time.UTC), endorse: "snp/crl/genoa-2024-10-23_2025-11-03.crl.der"},
	"azure-vtpm/az-tdx-vtpm-evidence-v1.json": {kind: tpm.TDX, nonce: hex.EncodeToString([]byte("challenge")), reset: 1, configured: 6,
		at: time.Unix(1749034298, 0), endorse: "tdx/collateral/00806f050000-2025-06.json", status: intel.OutOfDate},
}

var snpVerifier = amd.NewVerifier(amd.Options{}, 0)

// hardware verifies the hardware evidence of a file with the vendor's package.
func (v azureVector) hardware(t testing.TB, f *tpm.AzureFile) (*tpm.Hardware, error) {
	t.Helper()
	kind, b, err := f.Evidence.Hardware()
	if err != nil {
		return nil, err
	}
	if kind == tpm.SNP {
		e, err := amd.ParseEndorsements(f.VCEK, vectortest.Read(t, v.endorse))
		if err != nil {
			return nil, err
		}
		facts, err := snpVerifier.Verify(b, e, v.at)
		if err != nil {
			return nil, err
		}
		return &tpm.Hardware{Kind: tpm.SNP, ReportData: facts.Report.ReportData}, nil
	}
	facts, err := v.quote(t, b)
	if err != nil {
		return nil, err
	}
	if facts.Status != v.status {
		t.Errorf("status %s, want %s", facts.Status, v.status)
	}
	return &tpm.Hardware{Kind: tpm.TDX, ReportData: facts.ReportData()}, nil
}

func (v azureVector) quote(t testing.TB, b []byte) (*intel.Facts, error) {
	q, err := intel.ParseQuote(b)
	if err != nil {
		return nil, err
	}
	c, err := intel.ParseCollateral(vectortest.Read(t, v.endorse))
	if err != nil {
		return nil, err
	}
	e := new(intel.Endorsements)
	if err := e.AddCollateral(c); err != nil {
		return nil, err
	}
	return intel.NewVerifier().Verify(q, e, v.at)
}

// TestVectorAzure verifies every Azure entry of the manifest from the vendor's
// root down to the registers.
func TestVectorAzure(t *testing.T) {
	var m struct {
		Azure []struct{ File, Sha256 string } `json:"azure_vtpm"`
	}
	if err := json.Unmarshal(vectortest.Read(t, "manifest.json"), &m); err != nil {
		t.Fatal(err)
	}
	if len(m.Azure) < len(azureVectors) {
		t.Errorf("%d entries in the manifest", len(m.Azure))
	}
	for _, entry := range m.Azure {
		t.Run(filepath.Base(entry.File), func(t *testing.T) {
			v, ok := azureVectors[entry.File]
			if !ok {
				t.Fatal("nothing is known about this entry")
			}
			raw := vectortest.Read(t, entry.File)
			if got := sha256.Sum256(raw); hex.EncodeToString(got[:]) != entry.Sha256 || !tpm.IsAzureFile(raw) {
				t.Errorf("digest %x", got)
			}
			file, err := tpm.ParseAzureFile(raw)
			if err != nil {
				t.Fatal(err)
			}
			hw, err := v.hardware(t, file)
			if err != nil {
				t.Fatal(err)
			}
			f, err := tpm.Verify(file.Evidence, hw, nil, tpm.Options{}, v.at)
			if err != nil {
				t.Fatal(err)
			}
			if err := f.CheckExtraData(unhex(t, v.nonce)); err != nil {
				t.Error(err)
			}
			v.compare(t, f)
			_, err = tpm.Verify(file.Evidence, nil, nil, tpm.Options{}, v.at)
			wantErr(t, err, fault.FamilyUnknown, tpm.StepHCL, "missing")

			// The same evidence in our own encoding.
			b, err := file.Evidence.Encode()
			if err != nil {
				t.Fatal(err)
			}
			e, err := tpm.ParseEvidence(b)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := tpm.Verify(e, hw, nil, tpm.Options{}, v.at); err != nil {
				t.Error(err)
			}
		})
	}
}

func (v azureVector) compare(t *testing.T, f *tpm.Facts) {
	t.Helper()
	if !f.Confidential() || f.Development || f.Simulated || f.HCL.Kind != v.kind || f.Scheme != tpm.RSASSA || len(f.PCRs[eventlog.SHA256]) != 24 {
		t.Errorf("facts %+v", f)
	}
	if a := f.Quotes[0]; a.ResetCount != v.reset || a.RestartCount != 0 || !a.Safe || a.Firmware != 0x2020031200120003 {
		t.Errorf("quote %+v", a)
	}
	vm := f.HCL.VM
	set := 0
	for _, b := range []bool{vm.SecureBoot != nil, vm.Console != nil, vm.InteractiveConsole != nil, vm.TPM != nil, vm.TPMPersisted != nil,
		vm.FilteredVPCI != nil, vm.RootThumbprint != "", vm.UniqueID != "", vm.CurrentTime != nil} {
		if b {
			set++
		}
	}
	if !*vm.SecureBoot || !*vm.Console || !*vm.TPM || len(vm.UniqueID) != 36 || len(vm.Other) != 0 || set != v.configured {
		t.Errorf("configuration %+v", vm)
	}
	if v.configured == 6 && *vm.TPMPersisted != v.persisted {
		t.Errorf("persisted %v", *vm.TPMPersisted)
	}
	if got := bytes.TrimRight(f.HCL.UserData, "\x00"); len(f.HCL.UserData) != 64 || hex.EncodeToString(got) != v.userData {
		t.Errorf("user data %x", f.HCL.UserData)
	}
}

// TestVectorCross gives a machine's TPM to another machine.
func TestVectorCross(t *testing.T) {
	files, hws := map[string]*tpm.AzureFile{}, map[string]*tpm.Hardware{}
	for name, v := range azureVectors {
		f, err := tpm.ParseAzureFile(vectortest.Read(t, name))
		if err != nil {
			t.Fatal(err)
		}
		if hws[name], err = v.hardware(t, f); err != nil {
			t.Fatal(err)
		}
		files[name] = f
	}
	for a := range files {
		for b, hw := range hws {
			_, err := tpm.Verify(files[a].Evidence, hw, nil, tpm.Options{}, now)
			if (err == nil) != (a == b) {
				t.Errorf("TPM of %s on the machine of %s: %v", a, b, err)
			}
			if a != b {
				wantErr(t, err, fault.FamilyFalse, tpm.StepHCL, "")
				e := *files[a].Evidence
				e.Quotes = files[b].Evidence.Quotes
				_, err := tpm.Verify(&e, hws[a], nil, tpm.Options{}, now)
				wantErr(t, err, fault.FamilyFalse, tpm.StepSignature, "did not sign")
			}
		}
	}
}

// bootVector is a real measured boot under QEMU with a software TPM.
type bootVector struct {
	AK       string `json:"ak_pub"`
	EK       string `json:"ek_pub"`
	EventLog string `json:"event_log"`
	Quotes   []struct {
		Alg, Quote, Sig string
		PCRs            map[int]string
	}
}

var bootNames = []string{"mmio64", "p13", "p13m3", "pbp", "tpm-12"}

func loadBoot(t testing.TB, name string) (*bootVector, *tpm.Evidence) {
	t.Helper()
	v := &bootVector{}
	if err := json.Unmarshal(vectortest.Read(t, "cvm/vtpm/"+name+".attest.json"), v); err != nil {
		t.Fatal(err)
	}
	e := &tpm.Evidence{Public: unhex(t, v.AK)[2:]}
	for _, q := range v.Quotes {
		bank := map[string]eventlog.Alg{"sha256": eventlog.SHA256, "sha384": eventlog.SHA384}[q.Alg]
		out := tpm.Quote{Attest: unhex(t, q.Quote), Signature: unhex(t, q.Sig), PCRs: tpm.PCRs{bank: {}}}
		for i, s := range q.PCRs {
			out.PCRs[bank][i] = unhex(t, s)
		}
		e.Quotes = append(e.Quotes, out)
	}
	return v, e
}

// TestVectorBoot verifies real measured boots: quotes in two banks, log, and the
// registers that were computed from the files that booted.
func TestVectorBoot(t *testing.T) {
	all, err := filepath.Glob(filepath.Join(vectortest.Dir(t), "cvm/vtpm/*.attest.json"))
	if err != nil || len(all) != len(bootNames) {
		t.Fatalf("%d boots, want %d: %v", len(all), len(bootNames), err)
	}
	for _, name := range bootNames {
		t.Run(name, func(t *testing.T) {
			v, e := loadBoot(t, name)
			_, err := tpm.Verify(e, nil, nil, tpm.Options{}, now)
			wantErr(t, err, fault.FamilyUnknown, tpm.StepCertification, "nobody vouches")
			f, err := tpm.Verify(e, nil, nil, tpm.Options{UnsafeDevelopmentKeys: [][32]byte{sha(e.Public)}}, now)
			if err != nil {
				t.Fatal(err)
			}
			want := "00112233445566778899aabbccddeeff"
			if name == "mmio64" {
				want = "aabb"
			}
			if err := f.CheckExtraData(unhex(t, want)); err != nil {
				t.Error(err)
			}
			if !f.Development || f.Confidential() || f.Hierarchy != tpm.HierarchyEndorsement || f.Scheme != tpm.ECDSA || len(f.Quotes) != 2 || f.Quotes[1].ResetCount != 2 {
				t.Errorf("facts %+v", f)
			}
			l, err := eventlog.Parse(unhex(t, v.EventLog))
			if err != nil {
				t.Fatal(err)
			}
			for bank, values := range f.PCRs {
				if err := l.CheckPCRs(bank, values); err != nil {
					t.Error(err)
				}
				roles := map[eventlog.Role]int{}
				for _, c := range l.Components(bank) {
					roles[c.Role]++
				}
				for _, r := range []eventlog.Role{eventlog.RoleFirmware, eventlog.RoleConfiguration, eventlog.RoleKernel, eventlog.RoleInitrd, eventlog.RoleCommandLine} {
					if roles[r] == 0 {
						t.Errorf("bank %v: no %s among %v", bank, r, roles)
					}
				}
			}
			if name != "tpm-12" { // its machine's tables were not measured, nothing was predicted
				comparePredicted(t, name, f.PCRs)
			}
			_, err = tpm.ParsePublic(unhex(t, v.EK)[2:])
			wantErr(t, err, fault.FamilyInput, tpm.StepEvidence, "a storage key")
		})
	}
}

func comparePredicted(t *testing.T, name string, got tpm.PCRs) {
	t.Helper()
	var want map[string]map[int]string
	if err := json.Unmarshal(vectortest.Read(t, "cvm/vtpm/"+name+".predicted.json"), &want); err != nil {
		t.Fatal(err)
	}
	n := 0
	for alg, bank := range map[string]eventlog.Alg{"sha256": eventlog.SHA256, "sha384": eventlog.SHA384} {
		for i, v := range want[alg] {
			n++
			if hex.EncodeToString(got[bank][i]) != v {
				t.Errorf("PCR %d of %v is %x, want %s", i, bank, got[bank][i], v)
			}
		}
	}
	if n != 16 {
		t.Errorf("%d registers compared, want 16", n)
	}
}

func TestParseAzureFileRejects(t *testing.T) {
	numbered := string(vectortest.Read(t, "azure-vtpm/az-tdx-vtpm-evidence-v1.json"))
	old := string(vectortest.Read(t, "azure-vtpm/az-snp-vtpm-evidence-genoa.json"))
	var fields map[string]json.RawMessage
	if err := json.Unmarshal([]byte(numbered), &fields); err != nil {
		t.Fatal(err)
	}
	with := func(doc, name, value string) string {
		m := map[string]json.RawMessage{}
		if err := json.Unmarshal([]byte(doc), &m); err != nil {
			t.Fatal(err)
		}
		m[name] = json.RawMessage(value)
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	for _, x := range []struct{ name, part, json string }{
		{"long", "at most", strings.Repeat(" ", tpm.MaxAzureFile+1)},
		{"no JSON", "not a JSON object", "[]"},
		{"version 3", "version 3; 1 and 2 are known", with(numbered, "version", "3")},
		{"version as text", `version "1"; 1 and 2`, with(numbered, "version", `"1"`)},
		{"unknown member", `unknown member "more"`, with(numbered, "more", "1")},
		{"old quote in a new file", "hcl_report: not a string", with(strings.Replace(numbered, "hcl_report", "report", 1), "version", "1")},
		{"no quote", "tpm_quote: not a JSON object", with(numbered, "tpm_quote", "1")},
		{"no registers", "the 24 values of pcrs", with(numbered, "tpm_quote", `{"message":"00","signature":"00","pcrs":[]}`)},
		{"more in the quote", "nothing else", strings.Replace(numbered, `"message"`, `"more":1,"message"`, 1)},
		{"register that is no hex", "pcrs: encoding/hex", with(numbered, "tpm_quote", `{"message":"00","signature":"00","pcrs":["zz"`+strings.Repeat(`,"00"`, 23)+`]}`)},
		{"no message", "message: not a string", with(numbered, "tpm_quote", `{"signature":"00","pcrs":[]}`)},
		{"no signature", "signature: not a string", with(numbered, "tpm_quote", `{"message":"00","pcrs":[]}`)},
		{"report of other base64", "hcl_report: illegal base64", with(numbered, "hcl_report", `"+/+/"`)},
		{"TDX quote as a list", "td_quote: not a string", with(numbered, "td_quote", "[1]")},
		{"VCEK as a list", "vcek: not a string", with(old, "vcek", "[1]")},
		{"byte of 256", "report: 256 is no byte", with(old, "report", "[256]")},
		{"byte of -1", "report: -1 is no byte", with(old, "report", "[-1]")},
		{"bytes as text", "report: not a list of numbers", with(old, "report", `"AAAA"`)},
		{"bytes of null", "report: not a list of numbers", with(old, "report", "null")},
	} {
		t.Run(x.name, func(t *testing.T) {
			_, err := tpm.ParseAzureFile([]byte(x.json))
			wantErr(t, err, fault.FamilyInput, tpm.StepEvidence, x.part)
		})
	}
	for _, s := range []string{"", "{}", old + strings.Repeat(" ", tpm.MaxAzureFile), `{"hcl_report":1,"tpm_quote":1`, `{"report":1}`, `{"a":1,"a":2}`, "HCLA"} {
		if tpm.IsAzureFile([]byte(s)) {
			t.Errorf("%q is taken for evidence", s)
		}
	}
}
