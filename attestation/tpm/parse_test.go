package tpm_test

import (
	"bytes"
	"crypto/elliptic"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/cocoon-go/cocoon/attestation/eventlog"
	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/sim"
	"github.com/cocoon-go/cocoon/attestation/tpm"
)

type reject struct {
	name, part string
	edit       func([]byte) []byte
}

func set(off int, v ...byte) func([]byte) []byte {
	return func(b []byte) []byte { copy(b[off:], v); return b }
}

func insert(off int, v ...byte) func([]byte) []byte {
	return func(b []byte) []byte { return slices.Insert(b, off, v...) }
}

func cut(n int) func([]byte) []byte { return func(b []byte) []byte { return b[:len(b)-n] } }

func quote(t testing.TB, x *sim.TPM, q sim.TPMQuote) tpm.Quote {
	t.Helper()
	out, err := x.Quote(q)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Offsets in a quote with a nonce of 4 bytes: magic 0, type 4, signer 6, nonce
// 42, clock 48, firmware 65, banks 73, first bank 77.
func TestParseAttest(t *testing.T) {
	x := simTPM(t, sim.TPMConfig{Banks: []eventlog.Alg{eventlog.SHA256, eventlog.SHA384}})
	good := quote(t, x, sim.TPMQuote{ExtraData: []byte{1, 2, 3, 4}}).Attest
	for _, x := range []reject{
		{"long", "2049 bytes", func([]byte) []byte { return make([]byte, tpm.MaxAttest+1) }},
		{"empty", "starts with 00000000", func([]byte) []byte { return nil }},
		{"magic", "starts with fe544347", set(0, 0xfe)},
		{"certify", "type 0x8017", set(4, 0x80, 0x17)},
		{"truncated", "wrong length", cut(1)},
		{"trailing byte", "wrong length", insert(123, 0)},
		{"clock flag", "clock flag 2", set(64, 2)},
		{"name algorithm", "qualified name has 34 bytes", set(8, 0, 0x12)},
		{"name too short", "qualified name has 33 bytes", func(b []byte) []byte { b[7] = 33; return slices.Delete(b, 20, 21) }},
		{"no name", "qualified name has 0 bytes", func(b []byte) []byte { b[7] = 0; return slices.Delete(b, 8, 42) }},
		{"long nonce", "67 bytes of extra data", func(b []byte) []byte { b[43] = 67; return slices.Insert(b, 44, make([]byte, 63)...) }},
		{"no banks", "0 PCR banks", set(73, 0, 0, 0, 0)},
		{"17 banks", "17 PCR banks", set(73, 0, 0, 0, 17)},
		{"unknown bank", "PCR bank alg-0x0012", set(77, 0, 0x12)},
		{"bank twice", "sha256 is selected twice", set(83, 0, 0x0b)},
		{"selection of two bytes", "selection ffff,", func(b []byte) []byte { b[79] = 2; return slices.Delete(b, 80, 81) }},
		{"PCR 24", "selection ffffff01", func(b []byte) []byte { b[79] = 4; return slices.Insert(b, 83, 1) }},
		{"selection of five bytes", "selection ffffff0000", func(b []byte) []byte { b[79] = 5; return slices.Insert(b, 83, 0, 0) }},
		{"nothing selected", "no PCR is selected", func(b []byte) []byte { clear(b[80:83]); clear(b[86:89]); return b }},
		{"selection beyond the end", "truncated", set(79, 255)},
	} {
		t.Run(x.name, func(t *testing.T) {
			a, err := tpm.ParseAttest(x.edit(bytes.Clone(good)))
			if a != nil {
				t.Error("parsed")
			}
			wantErr(t, err, fault.FamilyInput, tpm.StepEvidence, x.part)
		})
	}
	for i := range good {
		if _, err := tpm.ParseAttest(good[:i]); err == nil {
			t.Errorf("the first %d bytes were parsed", i)
		}
	}
	a, err := tpm.ParseAttest(good)
	if err != nil || len(a.Selection) != 2 || len(a.Selection[1].PCRs) != 24 || a.Selection[1].Bank != eventlog.SHA384 || !a.Safe || !bytes.Equal(a.ExtraData, []byte{1, 2, 3, 4}) {
		t.Fatalf("%+v, %v", a, err)
	}
	// A TPM that lacks a bank answers with an empty selection of it; some write
	// a fourth byte.
	b := bytes.Clone(good)
	clear(b[86:89])
	b[79], b[64] = 4, 0
	b = slices.Insert(b, 83, 0)
	if a, err = tpm.ParseAttest(b); err != nil || len(a.Selection[1].PCRs) != 0 || a.Safe {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestParseSignature(t *testing.T) {
	ecc := quote(t, simTPM(t, sim.TPMConfig{}), sim.TPMQuote{}).Signature
	rsa := quote(t, rsaTPM(t), sim.TPMQuote{}).Signature
	for _, x := range []struct {
		reject
		b []byte
	}{
		{reject{"long", "1025 bytes", func([]byte) []byte { return make([]byte, tpm.MaxSignature+1) }}, nil},
		{reject{"empty", "scheme-0x0000", func([]byte) []byte { return nil }}, nil},
		{reject{"HMAC", "scheme-0x0005", set(0, 0, 5)}, rsa},
		{reject{"ECDAA", "scheme-0x001a", set(0, 0, 0x1a)}, ecc},
		{reject{"null", "scheme-0x0010", set(0, 0, 0x10)}, ecc},
		{reject{"SHA-1", "hash sha1", set(2, 0, 4)}, rsa},
		{reject{"SM3", "hash alg-0x0012", set(2, 0, 0x12)}, ecc},
		{reject{"truncated", "wrong length", cut(1)}, rsa},
		{reject{"truncated s", "wrong length", cut(1)}, ecc},
		{reject{"trailing byte", "wrong length", insert(6, 0)}, rsa},
		{reject{"RSA taken for ECDSA", "wrong length", set(0, 0, 0x18)}, rsa},
	} {
		t.Run(x.name, func(t *testing.T) {
			s, err := tpm.ParseSignature(x.edit(bytes.Clone(x.b)))
			if s != nil {
				t.Error("parsed")
			}
			wantErr(t, err, fault.FamilyInput, tpm.StepEvidence, x.part)
		})
	}
}

// Offsets in a public area: type 0, name algorithm 2, attributes 4, policy 8,
// symmetric 10, scheme 12, hash 14; RSA: bits 16, exponent 18, modulus 22; ECC:
// curve 16, key derivation 18, x 20, y 54.
func TestParsePublic(t *testing.T) {
	ecc, rsa := simTPM(t, sim.TPMConfig{}).Public, rsaTPM(t).Public
	p384 := simTPM(t, sim.TPMConfig{Curve: elliptic.P384()}).Public
	for _, x := range []struct {
		reject
		b []byte
	}{
		{reject{"long", "1025 bytes", func([]byte) []byte { return make([]byte, tpm.MaxPublic+1) }}, nil},
		{reject{"empty", "truncated", func([]byte) []byte { return nil }}, nil},
		{reject{"TPM2B", "public area of type 0x0056", insert(0, 0, 0x56)}, ecc},
		{reject{"HMAC key", "public area of type 0x0008", set(0, 0, 8)}, ecc},
		{reject{"name algorithm", "name algorithm alg-0x0010", set(2, 0, 0x10)}, ecc},
		{reject{"reserved attribute", "reserved attributes 0x1", set(7, 0x73)}, ecc},
		{reject{"reserved attribute at the top", "reserved attributes 0x80000000", set(4, 0x80)}, ecc},
		{reject{"policy", "policy of 1 bytes", func(b []byte) []byte { b[9] = 1; return slices.Insert(b, 10, 0) }}, ecc},
		{reject{"storage key", "a storage key", set(10, 0, 6)}, ecc},
		{reject{"no scheme", "no fixed signing scheme", set(12, 0, 0x10)}, ecc},
		{reject{"RSA scheme on a curve", "no fixed signing scheme for this type of key: rsassa", set(12, 0, 0x14)}, ecc},
		{reject{"ECC scheme with RSA", "no fixed signing scheme for this type of key: ecdsa", set(12, 0, 0x18)}, rsa},
		{reject{"SHA-1", "scheme with hash sha1", set(14, 0, 4)}, rsa},
		{reject{"curve", "curve 0x0010", set(16, 0, 0x10)}, ecc},
		{reject{"key derivation", "with key derivation 0x0020", set(18, 0, 0x20)}, ecc},
		{reject{"not on the curve", "not a point", func(b []byte) []byte { b[40] ^= 1; return b }}, ecc},
		{reject{"coordinates of another curve", "coordinates of 48 and 48 bytes", set(16, 0, 3)}, p384},
		{reject{"y too long", "coordinates of 32 and 33 bytes", func(b []byte) []byte { b[55] = 33; return slices.Insert(b, 56, 0) }}, ecc},
		{reject{"truncated", "truncated", cut(1)}, ecc},
		{reject{"trailing byte", "wrong length", func(b []byte) []byte { return append(b, 0) }}, ecc},
		{reject{"exponent", "exponent 3", set(21, 3)}, rsa},
		{reject{"size", "RSA key of 1024 bits", set(16, 4, 0)}, rsa},
		{reject{"another size", "odd number of 3072 bits", set(16, 12, 0)}, rsa},
		{reject{"even modulus", "not an odd number", func(b []byte) []byte { b[len(b)-1] &^= 1; return b }}, rsa},
		{reject{"short modulus", "not an odd number of 2048 bits", func(b []byte) []byte { b[24] &= 0x7f; return b }}, rsa},
		{reject{"modulus with a leading zero", "not an odd number of 2048 bits", func(b []byte) []byte { b[23]++; return slices.Insert(b, 24, 0) }}, rsa},
		{reject{"truncated modulus", "truncated", cut(1)}, rsa},
		{reject{"trailing byte", "wrong length", func(b []byte) []byte { return append(b, 0) }}, rsa},
	} {
		t.Run(x.name, func(t *testing.T) {
			p, err := tpm.ParsePublic(x.edit(bytes.Clone(x.b)))
			if p != nil {
				t.Error("parsed")
			}
			wantErr(t, err, fault.FamilyInput, tpm.StepEvidence, x.part)
		})
	}
	for _, b := range [][]byte{ecc, rsa} {
		for i := range b {
			if _, err := tpm.ParsePublic(b[:i]); err == nil {
				t.Errorf("the first %d bytes were parsed", i)
			}
		}
	}
	// 65537 may be written out, a policy may be there, and a coordinate may
	// lack leading zeros.
	b := bytes.Clone(rsa)
	binary.BigEndian.PutUint32(b[18:], 65537)
	b[9] = 32
	b = slices.Insert(b, 10, make([]byte, 32)...)
	p, err := tpm.ParsePublic(b)
	if err != nil || len(p.AuthPolicy) != 32 || p.Scheme != tpm.RSASSA || p.NameAlg != eventlog.SHA256 {
		t.Errorf("%+v, %v", p, err)
	}
	b = bytes.Clone(ecc)
	b[21] = 34
	b = slices.Insert(b, 22, 0, 0)
	_, err = tpm.ParsePublic(b)
	wantErr(t, err, fault.FamilyInput, tpm.StepEvidence, "coordinates of 34")
	if p, err = tpm.ParsePublic(p384); err != nil || p.Scheme != tpm.ECDSA {
		t.Error(err)
	}
}

func TestEvidence(t *testing.T) {
	_, e, err := setup{cfg: sim.TPMConfig{Banks: []eventlog.Alg{eventlog.SHA256, eventlog.SHA1}}}.run(t)
	if err != nil {
		t.Fatal(err)
	}
	az, _ := azure(t, tpm.TDX)
	az.TDQuote = []byte("quote")
	for _, e := range []*tpm.Evidence{e, az} {
		b, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := tpm.ParseEvidence(b)
		if err != nil {
			t.Fatal(err)
		}
		again, err := got.Encode()
		if err != nil || !bytes.Equal(again, b) || !tpm.IsEvidence(b) || tpm.IsEvidence(b[1:]) {
			t.Errorf("encoding %x, then %x: %v", b, again, err)
		}
		if len(got.Quotes) != 1 || len(got.Quotes[0].PCRs[eventlog.SHA256]) != 24 || !bytes.Equal(got.HCL, e.HCL) || !bytes.Equal(got.TDQuote, e.TDQuote) || len(got.Certificates) != len(e.Certificates) {
			t.Errorf("%+v", got)
		}
		for i := range b {
			if _, err := tpm.ParseEvidence(b[:i]); err == nil {
				t.Fatalf("the first %d bytes were parsed", i)
			}
		}
		_, err = tpm.ParseEvidence(append(b, 0))
		wantErr(t, err, fault.FamilyInput, tpm.StepEvidence, "")
		_, err = tpm.ParseEvidence(bytes.Replace(b, []byte("evidence/v1"), []byte("evidence/v2"), 1))
		wantErr(t, err, fault.FamilyInput, tpm.StepEvidence, `"cocoon/tpm-evidence/v2"`)
	}
	for _, x := range []struct {
		name, part string
		edit       func(*tpm.Evidence)
	}{
		{"no quote", "0 quotes", func(e *tpm.Evidence) { e.Quotes = nil }},
		{"nine quotes", "9 quotes", func(e *tpm.Evidence) { e.Quotes = make([]tpm.Quote, 9) }},
		{"nine certificates", "9 certificates", func(e *tpm.Evidence) { e.Certificates = make([][]byte, 9) }},
		{"no key", "no attestation key", func(e *tpm.Evidence) { e.Public = nil }},
		{"TDX quote without the report", "TDX quote without", func(e *tpm.Evidence) { e.TDQuote = []byte{1} }},
	} {
		t.Run(x.name, func(t *testing.T) {
			bad := *e
			x.edit(&bad)
			_, err := bad.Encode()
			wantErr(t, err, fault.FamilyInput, tpm.StepEvidence, x.part)
			_, err = tpm.Verify(&bad, nil, nil, tpm.Options{}, now)
			wantErr(t, err, fault.FamilyInput, tpm.StepEvidence, x.part)
		})
	}
	bad := *e
	bad.Quotes = []tpm.Quote{{PCRs: tpm.PCRs{eventlog.SHA256: {24: nil}}}}
	_, err = bad.Encode()
	wantErr(t, err, fault.FamilyInput, tpm.StepEvidence, "PCR 24;")
	bad.Quotes = []tpm.Quote{{PCRs: tpm.PCRs{eventlog.SHA256: {-1: nil}}}}
	_, err = bad.Encode()
	wantErr(t, err, fault.FamilyInput, tpm.StepEvidence, "PCR -1;")
	bad.Quotes = []tpm.Quote{{Attest: make([]byte, tpm.MaxEvidence)}}
	_, err = bad.Encode()
	wantErr(t, err, fault.FamilyInput, tpm.StepEvidence, "at most")
	_, err = tpm.ParseEvidence(make([]byte, tpm.MaxEvidence+1))
	wantErr(t, err, fault.FamilyInput, tpm.StepEvidence, "at most")
	// null is no second way to write an empty string.
	bad.Quotes = []tpm.Quote{{}}
	b, err := bad.Encode()
	if err != nil {
		t.Fatal(err)
	}
	i := bytes.Index(b, []byte{0x01, 0x40, 0x02, 0x40, 0x03, 0xa0})
	if i < 0 {
		t.Fatalf("encoding %x", b)
	}
	b[i+1] = 0xf6
	_, err = tpm.ParseEvidence(b)
	wantErr(t, err, fault.FamilyInput, tpm.StepEvidence, "deterministic")
}

func TestHardware(t *testing.T) {
	e, _ := azure(t, tpm.SNP)
	k, b, err := e.Hardware()
	if err != nil || k != tpm.SNP || !bytes.Equal(b, e.HCL[32:32+1184]) {
		t.Errorf("%v, %d bytes, %v", k, len(b), err)
	}
	e.TDQuote = []byte{1}
	_, _, err = e.Hardware()
	wantErr(t, err, fault.FamilyInput, tpm.StepEvidence, "TDX quote beside an HCL report of SNP")
	e, _ = azure(t, tpm.TDX)
	if k, b, err := e.Hardware(); err != nil || k != tpm.TDX || b != nil {
		t.Errorf("%v, %x, %v", k, b, err)
	}
	e.TDQuote = []byte("quote")
	if k, b, err := e.Hardware(); err != nil || k != tpm.TDX || string(b) != "quote" {
		t.Errorf("%v, %x, %v", k, b, err)
	}
	if k, b, err := (&tpm.Evidence{}).Hardware(); err != nil || k != 0 || b != nil {
		t.Errorf("%v, %x, %v", k, b, err)
	}
}
