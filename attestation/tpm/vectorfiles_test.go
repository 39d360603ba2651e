package tpm_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cocoon-go/cocoon/attestation/eventlog"
	"github.com/cocoon-go/cocoon/attestation/sim"
	"github.com/cocoon-go/cocoon/attestation/tpm"
	"github.com/cocoon-go/cocoon/attestation/vectortest"
)

// fileVector is one file of testdata/vectors; docs/spec/tpm.md, section 9,
// describes the form.
type fileVector struct {
	name, comment, expect, reason string
	key                           string // SHA-256 of the public area of the development key, hex
	nonce, evidence               []byte
}

func (v *fileVector) text() []byte {
	return fmt.Appendf(nil, "cocoon tpm vector v1\ncomment: %s\nexpect: %s\nreason: %s\nkey: %s\nnonce: %x\nevidence: %x\n", v.comment, v.expect, v.reason, v.key, v.nonce, v.evidence)
}

func parseFileVector(t *testing.T, text []byte) *fileVector {
	t.Helper()
	v := vectortest.Lines(t, text, "cocoon tpm vector v1", "comment", "expect", "reason", "key", "nonce", "evidence")
	return &fileVector{
		expect: v["expect"], reason: v["reason"], key: v["key"],
		nonce: vectortest.Hex(t, v["nonce"]), evidence: vectortest.Hex(t, v["evidence"]),
	}
}

// verify does what a verifier of a vector has to do.
func (v *fileVector) verify() (*tpm.Facts, error) {
	e, err := tpm.ParseEvidence(v.evidence)
	if err != nil {
		return nil, err
	}
	o := tpm.Options{}
	if v.key != "" {
		d, err := hex.DecodeString(v.key)
		if err != nil {
			return nil, err
		}
		o.UnsafeDevelopmentKeys = [][32]byte{[32]byte(d)}
	}
	f, err := tpm.Verify(e, nil, nil, o, now)
	if err != nil {
		return nil, err
	}
	return f, f.CheckExtraData(v.nonce)
}

// exampleTPM is the TPM of docs/spec/tpm.md: its private key is 1, 2, ..., 32.
func exampleTPM(t testing.TB, edit func([]byte)) *sim.TPM {
	t.Helper()
	d := make([]byte, 32)
	for i := range d {
		d[i] = byte(i + 1)
	}
	k, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), d)
	if err != nil {
		t.Fatal(err)
	}
	x := simTPM(t, sim.TPMConfig{Key: k, EditPublic: edit, Banks: []eventlog.Alg{eventlog.SHA256}})
	for pcr, what := range map[int]string{0: "firmware", 4: "kernel", 9: "command line"} {
		if err := x.Extend(pcr, []byte(what)); err != nil {
			t.Fatal(err)
		}
	}
	return x
}

func makeFileVectors(t *testing.T) []fileVector {
	want := tpm.ExtraData([32]byte{0: 0x11, 31: 0x22}, nil)
	make := func(edit func(*tpm.Evidence)) []byte {
		x := exampleTPM(t, nil)
		e := &tpm.Evidence{Quotes: []tpm.Quote{quote(t, x, sim.TPMQuote{ExtraData: want[:], PCRs: []int{0, 4, 9}})}, Public: x.Public}
		edit(e)
		b, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	key := fmt.Sprintf("%x", sha(exampleTPM(t, nil).Public))
	good := make(func(*tpm.Evidence) {})
	loose := exampleTPM(t, func(b []byte) { b[5] &^= 1 })
	null := bytes.Replace(good, []byte{0x02, 0x58}, []byte{0x02, 0xf6}, 1)
	return []fileVector{
		{"example", "the example of docs/spec/tpm.md", "ok", "", key, want[:], good},
		{"nobody", "nobody vouches for the key", "unknown", "nobody vouches for this key", "", want[:], good},
		{"other-key", "another key is a development key", "unknown", "nobody vouches for this key", fmt.Sprintf("%x", sha(nil)), want[:], good},
		{"nonce", "another nonce was asked for", "false", "another nonce", key, []byte("nonce"), good},
		{"pcr-value", "a bit of PCR 4 flipped", "false", "do not have the quoted digest", key, want[:],
			make(func(e *tpm.Evidence) { e.Quotes[0].PCRs[eventlog.SHA256][4][0] ^= 1 })},
		{"pcr-missing", "the value of PCR 9 left out", "input", "PCR 9 of bank sha256 is quoted", key, want[:],
			make(func(e *tpm.Evidence) { delete(e.Quotes[0].PCRs[eventlog.SHA256], 9) })},
		{"pcr-extra", "the value of PCR 7 added", "input", "4 PCR values for 3 quoted ones", key, want[:],
			make(func(e *tpm.Evidence) { e.Quotes[0].PCRs[eventlog.SHA256][7] = bytes.Repeat([]byte{0}, 32) })},
		{"signature", "a bit of the signature flipped", "false", "did not sign", key, want[:],
			make(func(e *tpm.Evidence) { e.Quotes[0].Signature[20] ^= 1 })},
		{"magic", "the quote starts with another number", "input", "not made by a TPM", key, want[:],
			make(func(e *tpm.Evidence) { e.Quotes[0].Attest[0] = 0 })},
		{"not-restricted", "the key signs whatever its user likes", "false", "lacks restricted", fmt.Sprintf("%x", sha(loose.Public)), want[:],
			make(func(e *tpm.Evidence) {
				e.Public = loose.Public
				e.Quotes[0] = quote(t, loose, sim.TPMQuote{ExtraData: want[:], PCRs: []int{0, 4, 9}})
			})},
		{"no-key", "neither a public area nor an HCL report", "input", "no attestation key", "", want[:], slices.Replace(bytes.Clone(good), 0, 1, 0xa2)[:bytes.LastIndex(good, []byte{0x02, 0x58})]},
		{"trailing", "a byte after the end", "input", "", key, want[:], append(bytes.Clone(good), 0)},
		{"null", "null in place of a byte string", "input", "", key, want[:], null},
	}
}

// TestFileVectors compares the committed vectors with what the code makes, and
// verifies them.
func TestFileVectors(t *testing.T) {
	files := map[string][]byte{}
	for _, v := range makeFileVectors(t) {
		files[v.name+".txt"] = v.text()
	}
	vectortest.Generated(t, "*", files)
	for name, text := range files {
		t.Run(name, func(t *testing.T) {
			v := parseFileVector(t, text)
			f, err := v.verify()
			vectortest.Ends(t, err, v.expect, v.reason)
			if err == nil && (!f.Development || len(f.PCRs[eventlog.SHA256]) != 3) {
				t.Errorf("%+v", f)
			}
		})
	}
}

// TestSpecification: the example of the specification is the vector.
func TestSpecification(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", "spec", "tpm.md"))
	if err != nil {
		t.Fatal(err)
	}
	flat := strings.Join(strings.Fields(string(doc)), "")
	v := makeFileVectors(t)[0]
	e, err := tpm.ParseEvidence(v.evidence)
	if err != nil {
		t.Fatal(err)
	}
	for what, b := range map[string][]byte{
		"nonce": v.nonce, "public area": e.Public, "quote": e.Quotes[0].Attest, "signature": e.Quotes[0].Signature, "evidence": v.evidence[:34],
	} {
		if !strings.Contains(flat, hex.EncodeToString(b)) {
			t.Errorf("%s %x is not in the specification", what, b)
		}
	}
	for i, s := range tpm.Steps() {
		if want := fmt.Sprintf("\n%d. `%s`", i+1, s); !strings.Contains(string(doc), want) {
			t.Errorf("docs/spec/tpm.md lacks %q", want)
		}
	}
}
