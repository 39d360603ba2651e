package amd_test

import (
	"bytes"
	"encoding/binary"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-sev-guest/abi"
	"github.com/google/go-sev-guest/verify/testdata"

	"github.com/cocoon-go/cocoon/attestation/amd"
	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/sim"
)

func TestParseReport(t *testing.T) {
	good := func(version uint32) []byte {
		b := bytes.Clone(testdata.AttestationBytes)
		binary.LittleEndian.PutUint32(b, version)
		return b
	}
	for v := uint32(2); v <= 5; v++ {
		if _, err := amd.ParseReport(good(v)); err != nil {
			t.Errorf("version %d: %v", v, err)
		}
	}
	for _, x := range []struct {
		name    string
		version uint32
		edit    func([]byte) []byte
		part    string
	}{
		{"empty", 2, func([]byte) []byte { return nil }, "0 bytes, want 1184"},
		{"short", 2, func(b []byte) []byte { return b[:1183] }, "1183 bytes"},
		{"long", 2, func(b []byte) []byte { return append(b, 0) }, "1185 bytes"},
		{"version 1", 1, nil, "version 1;"},
		{"version 6", 6, nil, "version 6;"},
		{"policy bit 17", 2, func(b []byte) []byte { b[10] &^= 2; return b }, "guest policy"},
		{"policy bit 26", 2, func(b []byte) []byte { b[11] |= 4; return b }, "guest policy"},
		{"policy bit 63", 2, func(b []byte) []byte { b[15] |= 0x80; return b }, "guest policy"},
		{"VMPL", 2, func(b []byte) []byte { b[0x30] = 4; return b }, "VMPL 4"},
		{"algorithm", 2, func(b []byte) []byte { b[0x34] = 2; return b }, "signature algorithm 2"},
		{"signing key 2", 2, func(b []byte) []byte { b[0x48] = 2 << 2; return b }, "signer info"},
		{"signer info bit 5", 2, func(b []byte) []byte { b[0x48] = 1 << 5; return b }, "signer info"},
		{"reserved 0x4c", 2, func(b []byte) []byte { b[0x4f] = 1; return b }, "reserved bytes 0x4c to 0x4f"},
		{"reserved 0x188 of version 2", 2, func(b []byte) []byte { b[0x188] = 1; return b }, "reserved bytes 0x188"},
		{"reserved 0x18b", 3, func(b []byte) []byte { b[0x19f] = 1; return b }, "reserved bytes 0x18b"},
		{"reserved 0x1eb", 3, func(b []byte) []byte { b[0x1eb] = 1; return b }, "reserved bytes 0x1eb"},
		{"reserved 0x1ef", 3, func(b []byte) []byte { b[0x1ef] = 1; return b }, "reserved bytes 0x1ef"},
		{"reserved 0x1f8 of version 4", 4, func(b []byte) []byte { b[0x1f8] = 1; return b }, "reserved bytes 0x1f8"},
		{"reserved 0x208", 5, func(b []byte) []byte { b[0x29f] = 1; return b }, "reserved bytes 0x208"},
		{"padding of r", 3, func(b []byte) []byte { b[0x2a0+48] = 1; return b }, "reserved bytes 0x2d0"},
		{"padding of s", 3, func(b []byte) []byte { b[0x2a0+143] = 1; return b }, "reserved bytes 0x318"},
		{"after the signature", 3, func(b []byte) []byte { b[0x330] = 1; return b }, "reserved bytes 0x330"},
	} {
		t.Run(x.name, func(t *testing.T) {
			b := good(x.version)
			if x.edit != nil {
				b = x.edit(b)
			}
			r, err := amd.ParseReport(b)
			if r != nil || fault.FamilyOf(err) != fault.FamilyInput || err == nil || !strings.Contains(err.Error(), x.part) {
				t.Errorf("got %v, want bad input with %q", err, x.part)
			}
		})
	}
}

// TestFields sets every field of a report to a value of its own.
func TestFields(t *testing.T) {
	b := make([]byte, amd.ReportSize)
	le := binary.LittleEndian
	le.PutUint32(b[0:], 5)
	le.PutUint32(b[4:], 7)
	le.PutUint64(b[8:], 0x3ff1f37)
	fill := func(off, n int, v byte) {
		for i := range n {
			b[off+i] = v
		}
	}
	fill(0x10, 16, 1)
	fill(0x20, 16, 2)
	le.PutUint32(b[0x30:], 3)
	le.PutUint32(b[0x34:], 1)
	fill(0x38, 8, 4)
	le.PutUint64(b[0x40:], 0xff)
	le.PutUint32(b[0x48:], 1|1<<2)
	fill(0x50, 64, 5)
	fill(0x90, 48, 6)
	fill(0xc0, 32, 7)
	fill(0xe0, 48, 8)
	fill(0x110, 48, 9)
	fill(0x140, 32, 10)
	fill(0x160, 32, 11)
	fill(0x180, 8, 12)
	copy(b[0x188:], []byte{0x19, 0xa0, 2})
	fill(0x1a0, 64, 13)
	fill(0x1e0, 8, 14)
	copy(b[0x1e8:], []byte{1, 2, 3, 0, 4, 5, 6, 0})
	fill(0x1f0, 8, 15)
	le.PutUint64(b[0x1f8:], 16)
	le.PutUint64(b[0x200:], 17)
	r, err := amd.ParseReport(b)
	if err != nil {
		t.Fatal(err)
	}
	for i, ok := range []bool{
		r.Version == 5, r.GuestSVN == 7, r.FamilyID[15] == 1, r.ImageID[0] == 2, r.VMPL == 3, r.CurrentTCB[0] == 4,
		r.AuthorKeyEn, !r.MaskChipKey, r.SigningKey == amd.VLEK, r.ReportData[63] == 5, r.Measurement[47] == 6, r.HostData[31] == 7,
		r.IDKeyDigest[47] == 8, r.AuthorKeyDigest[47] == 9, r.ReportID[31] == 10, r.ReportIDMA[31] == 11, r.ReportedTCB[7] == 12,
		r.Family == 0x19 && r.Model == 0xa0 && r.Stepping == 2 && r.HasCPUID, r.Product() == amd.Genoa, r.ChipID[63] == 13, r.CommittedTCB[7] == 14,
		r.Current == amd.FirmwareVersion{Major: 3, Minor: 2, Build: 1}, r.Committed == amd.FirmwareVersion{Major: 6, Minor: 5, Build: 4},
		r.LaunchTCB[7] == 15, r.LaunchMitigations == 16, r.CurrentMitigations == 17, bytes.Equal(r.Bytes(), b[:amd.SignedSize]),
	} {
		if !ok {
			t.Errorf("field %d is wrong: %+v", i, r)
		}
	}
	major, minor := r.Policy.ABI()
	p := r.Policy
	if major != 0x1f || minor != 0x37 || !p.SMT() || !p.MigrateMA() || !p.Debug() || !p.SingleSocket() || !p.CXL() || !p.MemAES256XTS() || !p.RAPLDisabled() || !p.CiphertextHiding() || !p.PageSwapDisabled() {
		t.Errorf("policy %#x", uint64(p))
	}
	i := r.PlatformInfo
	if !i.SMT() || !i.TSME() || !i.ECC() || !i.RAPLDisabled() || !i.CiphertextHiding() || !i.AliasCheckComplete() || !i.TIO() || i.Unknown() != 0x40 {
		t.Errorf("platform info %#x", uint64(i))
	}
	for bit, f := range map[int]func(amd.Policy) bool{16: amd.Policy.SMT, 18: amd.Policy.MigrateMA, 19: amd.Policy.Debug, 20: amd.Policy.SingleSocket, 21: amd.Policy.CXL, 22: amd.Policy.MemAES256XTS, 23: amd.Policy.RAPLDisabled, 24: amd.Policy.CiphertextHiding, 25: amd.Policy.PageSwapDisabled} {
		for other := range 64 {
			if f(1<<other) != (bit == other) {
				t.Errorf("policy bit %d read from bit %d", bit, other)
			}
		}
		// The same bits as go-sev-guest reads.
		g, err := abi.ParseSnpPolicy(1<<17 | 1<<bit)
		if bit != 25 && (err != nil || g == (abi.SnpPolicy{})) {
			t.Errorf("go-sev-guest does not know policy bit %d: %v", bit, err)
		}
	}
}

func TestTCB(t *testing.T) {
	v := amd.TCBVersion{1, 2, 3, 4, 5, 6, 7, 8}
	if got, want := v.Decode(amd.Milan), (amd.TCB{Bootloader: 1, TEE: 2, SNP: 7, Microcode: 8, Reserved: [4]uint8{3, 4, 5, 6}}); got != want {
		t.Errorf("Milan %+v", got)
	}
	if v.Decode(amd.Genoa) != v.Decode(amd.Milan) {
		t.Error("Genoa and Milan differ")
	}
	if got, want := v.Decode(amd.Turin), (amd.TCB{FMC: 1, Bootloader: 2, TEE: 3, SNP: 4, Microcode: 8, Reserved: [4]uint8{5, 6, 7}}); got != want {
		t.Errorf("Turin %+v", got)
	}
	for _, p := range []amd.Product{amd.Milan, amd.Genoa, amd.Turin} {
		min := v.Decode(p)
		if min.Encode(p) != v || !min.AtLeast(min) {
			t.Errorf("%v: not the same after encoding", p)
		}
		for i := range v {
			less := v
			less[i]--
			if less.Decode(p).AtLeast(min) || !min.AtLeast(less.Decode(p)) {
				t.Errorf("%v: byte %d does not count", p, i)
			}
		}
	}
}

func TestVCEKURLs(t *testing.T) {
	r := amd.Report{ChipID: [64]byte{0xab, 63: 1}, ReportedTCB: amd.TCBVersion{3, 0, 0, 0, 0, 0, 8, 0x73}}
	got := r.VCEKURLs()
	id := "ab" + strings.Repeat("00", 62) + "01"
	if len(got) != 2 || got[0] != "https://kdsintf.amd.com/vcek/v1/Milan/"+id+"?blSPL=03&teeSPL=00&snpSPL=08&ucodeSPL=115" || !strings.Contains(got[1], "/Genoa/") {
		t.Errorf("version 2: %v", got)
	}
	r.ChipID[63] = 0
	if got = r.VCEKURLs(); len(got) != 1 || !strings.Contains(got[0], "/Turin/ab00000000000000?fmcSPL=03&") {
		t.Errorf("version 2 on Turin: %v", got)
	}
	r.ChipID = [64]byte{}
	if got = r.VCEKURLs(); got != nil {
		t.Errorf("masked: %v", got)
	}
}

func TestEndorsementForms(t *testing.T) {
	v := vendor(t, amd.Milan)
	chip, err := v.NewChip(sim.AMDChipConfig{})
	if err != nil {
		t.Fatal(err)
	}
	report, err := chip.Report(sim.AMDReport{})
	if err != nil {
		t.Fatal(err)
	}
	list := crl(t, v, now.AddDate(0, 0, -1), now.AddDate(0, 0, 1))
	o := amd.Options{SimulatedRoots: [][32]byte{v.Root()}}
	pemOf := func(kind string, der []byte) string {
		return strings.ReplaceAll("-----BEGIN CERTIFICATE-----\n"+pemBody(der)+"-----END CERTIFICATE-----\n", "CERTIFICATE", kind)
	}
	all := pemOf("CERTIFICATE", chip.Leaf.Raw) + "\n" + pemOf("CERTIFICATE", v.ASK.Raw) + pemOf("CERTIFICATE", v.ARK.Raw) + pemOf("X509 CRL", list) + "\x00\n"
	if _, err := amd.Verify(report, endorsements(t, []byte(all)), o, now); err != nil {
		t.Errorf("all in one PEM: %v", err)
	}
	if a, b := endorsements(t, chip.Leaf.Raw, list).Digest(), endorsements(t, list, chip.Leaf.Raw).Digest(); a == b || a == ([32]byte{}) {
		t.Error("digest does not tell documents apart")
	}
	many := make([][]byte, amd.MaxParts+1)
	for i := range many {
		many[i] = bytes.Clone(chip.Leaf.Raw) // told apart by the signature
		binary.BigEndian.PutUint16(many[i][len(many[i])-2:], uint16(i))
	}
	if e := endorsements(t, append(many[:amd.MaxParts:amd.MaxParts], many[0])...); e.Len() != amd.MaxParts {
		t.Errorf("%d parts", e.Len())
	}
	for name, docs := range map[string][][]byte{
		"text":                {[]byte("hello")},
		"empty":               {{}},
		"PEM with text after": {[]byte(all + "x")},
		"PEM of a key":        {[]byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")},
		"trailing byte":       {append(bytes.Clone(chip.Leaf.Raw), 0)},
		"too long":            {make([]byte, amd.MaxDocument+1)},
		"too many parts":      many,
	} {
		if e, err := amd.ParseEndorsements(docs...); e != nil || fault.FamilyOf(err) != fault.FamilyInput {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCertTable(t *testing.T) {
	v := vendor(t, amd.Milan)
	chip, err := v.NewChip(sim.AMDChipConfig{})
	if err != nil {
		t.Fatal(err)
	}
	report, err := chip.Report(sim.AMDReport{})
	if err != nil {
		t.Fatal(err)
	}
	parts := append(chip.Documents(), []byte("extra platform info"))
	if !amd.IsReport(report) || amd.IsReport(report[1:]) || amd.IsReport(make([]byte, amd.ReportSize)) {
		t.Error("IsReport")
	}
	table := make([]byte, 24*(len(parts)+1))
	for i, p := range parts {
		table[24*i] = byte(i + 1)
		binary.LittleEndian.PutUint32(table[24*i+16:], uint32(len(table)))
		binary.LittleEndian.PutUint32(table[24*i+20:], uint32(len(p)))
		table = append(table, p...)
	}
	docs, err := amd.ParseCertTable(table)
	if err != nil || len(docs) != 3 {
		t.Fatalf("%d documents, %v", len(docs), err)
	}
	docs = append(docs, crl(t, v, now.AddDate(0, 0, -1), now.AddDate(0, 0, 1)))
	if _, err := amd.Verify(report, endorsements(t, docs...), amd.Options{SimulatedRoots: [][32]byte{v.Root()}}, now); err != nil {
		t.Error(err)
	}
	past := bytes.Clone(table)
	binary.LittleEndian.PutUint32(past[20:], 1<<31)
	endless := make([]byte, 24*100)
	for i := range endless {
		endless[i] = 1
	}
	for i := range 100 {
		copy(endless[24*i+16:], make([]byte, 8))
	}
	for name, b := range map[string][]byte{
		"empty": nil, "no end": table[:24], "past the end": past, "too long": make([]byte, amd.MaxDocument+1), "endless": endless,
	} {
		if _, err := amd.ParseCertTable(b); fault.FamilyOf(err) != fault.FamilyInput {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestVerifier(t *testing.T) {
	v := vendor(t, amd.Milan)
	roots := [][32]byte{v.Root()}
	ver := amd.NewVerifier(amd.Options{SimulatedRoots: roots}, 3)
	roots[0] = [32]byte{} // the verifier keeps its own copy
	list := crl(t, v, now.AddDate(0, 0, -1), now.AddDate(0, 0, 1))
	var reports [][]byte
	var ends []*amd.Endorsements
	for range 8 {
		chip, err := v.NewChip(sim.AMDChipConfig{})
		if err != nil {
			t.Fatal(err)
		}
		b, err := chip.Report(sim.AMDReport{})
		if err != nil {
			t.Fatal(err)
		}
		reports = append(reports, b)
		ends = append(ends, endorsements(t, append(chip.Documents(), list)...))
	}
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range reports {
				j := (i + g) % len(reports)
				if _, err := ver.Verify(reports[j], ends[j], now); err != nil {
					t.Error(err)
				}
				if _, err := ver.Verify(reports[j], ends[(j+1)%len(ends)], now); err == nil {
					t.Error("accepted with the endorsements of another chip")
				}
			}
		}()
	}
	wg.Wait()
	if ver.Len() != 3 {
		t.Errorf("%d chains kept, want 3", ver.Len())
	}
	// A kept chain is not used outside its time.
	for _, at := range []time.Time{now.AddDate(0, 0, 2), now.AddDate(0, 0, -2)} {
		_, err := ver.Verify(reports[7], ends[7], at)
		wantErr(t, err, fault.FamilyUnknown, amd.StepRevocation, "revocation list")
	}
	_, err := ver.Verify(reports[0], nil, now)
	wantErr(t, err, fault.FamilyInput, amd.StepLeaf, "no endorsements")
	_, err = amd.Verify(reports[0], nil, amd.Options{}, now)
	wantErr(t, err, fault.FamilyInput, amd.StepLeaf, "no endorsements")
	_, err = ver.Verify(reports[0][1:], ends[0], now)
	wantErr(t, err, fault.FamilyInput, amd.StepReport, "1183 bytes")
}

// TestVerifierOtherTime: a chain that is kept with one list is built again with
// another list of the set when the first is not in force.
func TestVerifierOtherTime(t *testing.T) {
	v := vendor(t, amd.Milan)
	chip, err := v.NewChip(sim.AMDChipConfig{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := chip.Report(sim.AMDReport{})
	if err != nil {
		t.Fatal(err)
	}
	day := func(d int) time.Time { return now.AddDate(0, 0, d) }
	e := endorsements(t, append(chip.Documents(), crl(t, v, day(-3), day(-1)), crl(t, v, day(1), day(3)))...)
	ver := amd.NewVerifier(amd.Options{SimulatedRoots: [][32]byte{v.Root()}}, 0)
	for _, d := range []int{2, -2, 2, -2} {
		f, err := ver.Verify(b, e, day(d))
		if err != nil || f.NotBefore.After(day(d)) || f.NotAfter.Before(day(d)) {
			t.Errorf("day %d: %v", d, err)
		}
	}
	_, err = ver.Verify(b, e, now)
	wantErr(t, err, fault.FamilyUnknown, amd.StepRevocation, "revocation list")
}

func FuzzParseReport(f *testing.F) {
	f.Add(testdata.AttestationBytes)
	f.Add(testdata.AttestationBytes[:100])
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := amd.ParseReport(b)
		if (r == nil) == (err == nil) {
			t.Fatal("neither report nor error")
		}
		if r != nil {
			if !bytes.Equal(r.Bytes(), b[:amd.SignedSize]) {
				t.Fatal("signed bytes differ")
			}
			if abi.ValidateReportFormat(b) != nil && r.Policy&(1<<25) == 0 {
				t.Fatal("go-sev-guest does not read this")
			}
		}
	})
}
