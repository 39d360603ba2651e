package receipt

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cocoon-go/cocoon/attestation/fault"
)

var update = flag.Bool("update", false, "rewrite the generated vectors in testdata/vectors")

// vector is one file of testdata/vectors; docs/spec/receipt.md section 9
// describes the form.
type vector struct {
	name, comment, expect, reason string
	key                           [32]byte
	receipt                       []byte
}

func (v *vector) text() []byte {
	return fmt.Appendf(nil, "cocoon receipt vector v1\ncomment: %s\nexpect: %s\nreason: %s\nkey: %x\nreceipt: %x\n", v.comment, v.expect, v.reason, v.key, v.receipt)
}

func parseVector(b []byte) (v vector, err error) {
	lines := strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
	if lines[0] != "cocoon receipt vector v1" {
		return v, fmt.Errorf("unknown first line %q", lines[0])
	}
	for _, l := range lines[1:] {
		k, val, _ := strings.Cut(l, ": ")
		switch k {
		case "comment":
			v.comment = val
		case "expect":
			v.expect = val
		case "reason":
			v.reason = val
		case "key":
			k, err := hex.DecodeString(val)
			if err != nil || len(k) != 32 {
				return v, fmt.Errorf("key %q", val)
			}
			v.key = [32]byte(k)
		case "receipt":
			if v.receipt, err = hex.DecodeString(val); err != nil {
				return v, err
			}
		default:
			return v, fmt.Errorf("unknown header %q", k)
		}
	}
	return v, nil
}

func makeVectors(t *testing.T) []vector {
	key, pub := testKey()
	h, b := example()
	enc := func(edit func(*Head, *Body)) []byte {
		h, c := h, *b
		edit(&h, &c)
		r, err := Sign(key, h, &c)
		if err != nil {
			t.Fatal(err)
		}
		p, err := r.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	good := enc(func(*Head, *Body) {})
	flip := func(i int) []byte { p := bytes.Clone(good); p[i] ^= 1; return p }
	bodyAt := bytes.Index(good, []byte(bodyType))
	return []vector{
		{"example", "the example of docs/spec/receipt.md", "ok", "", pub, good},
		{"minimal", "no optional field, sampling left to the model", "ok", "", pub, enc(func(h *Head, b *Body) {
			h.Holder = [32]byte{}
			b.OutputTokens, b.Sampling, b.Finish = nil, Sampling{}, Failed
		})},
		{"extension", "with an extension", "ok", "", pub, enc(func(_ *Head, b *Body) { b.Extension = []byte{1, 2, 3} })},
		{"masterchain", "node in the masterchain", "ok", "", pub, enc(func(h *Head, _ *Body) { h.Node.Workchain = -1 })},
		{"wrong-key", "another receipt key", "false", "not signed by the receipt key", filled(1), good},
		{"signature-bit", "last bit of the signature flipped", "false", "not signed by the receipt key", pub, flip(len(good) - 1)},
		{"head-bit", "one bit of the index flipped", "false", "not signed by the receipt key", pub, flip(1 + 19 + 1 + 2 + 51)},
		{"body-bit", "one bit of the claims digest flipped", "false", "the body has digest", pub, flip(bodyAt + len(bodyType) + 3)},
		{"trailing-byte", "a byte after the end", "input", "extraneous data", pub, append(bytes.Clone(good), 0)},
		{"long-integer", "map length in two bytes", "input", "not in deterministic encoding", pub, append([]byte{0xb8, 4}, good[1:]...)},
		{"truncated", "last byte missing", "input", "unexpected EOF", pub, good[:len(good)-1]},
		{"version", "unknown version", "input", "type", pub, bytes.Replace(good, []byte(receiptType), []byte("cocoon/receipt/v2"), 1)},
		{"tag", "unknown tag of the head", "input", "unknown tag", pub, bytes.Replace(good, []byte(tagHead), []byte("CCR2"), 1)},
	}
}

func TestVectors(t *testing.T) {
	dir := filepath.Join("testdata", "vectors")
	want := map[string][]byte{}
	for _, v := range makeVectors(t) {
		want[v.name+".txt"] = v.text()
	}
	if *update {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for name, b := range want {
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != len(want) {
		t.Errorf("%d files, %d vectors: regenerate with -update", len(files), len(want))
	}
	for _, f := range files {
		t.Run(f.Name(), func(t *testing.T) {
			b, err := os.ReadFile(filepath.Join(dir, f.Name()))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(b, want[f.Name()]) {
				t.Error("differs from what the generator writes: regenerate with -update")
			}
			v, err := parseVector(b)
			if err != nil {
				t.Fatal(err)
			}
			r, err := Parse(v.receipt)
			if err == nil {
				err = r.Verify(v.key)
			}
			family := map[string]fault.Family{"ok": fault.FamilyNone, "input": fault.FamilyInput, "false": fault.FamilyFalse}
			fam, known := family[v.expect]
			if !known {
				t.Fatalf("unknown expectation %q", v.expect)
			}
			if fault.FamilyOf(err) != fam || (err != nil && !strings.Contains(err.Error(), v.reason)) {
				t.Errorf("%v, want %s with %q", err, v.expect, v.reason)
			}
		})
	}
}

// The bytes in the specification are the bytes of the code.
func TestSpecExample(t *testing.T) {
	doc, err := os.ReadFile("../../docs/spec/receipt.md")
	if err != nil {
		t.Fatal(err)
	}
	flat := strings.Join(strings.Fields(string(doc)), "")
	r, pub := signed(t)
	body, _ := EncodeBody(&r.Body)
	enc, _ := r.Encode()
	leaf := r.Head.LeafHash()
	proof, err := exampleProof(t).Encode()
	if err != nil {
		t.Fatal(err)
	}
	trailer, _ := r.EncodeTrailer()
	for name, b := range map[string][]byte{
		"head": r.Head.AppendTo(nil), "body": body, "signature": r.Signature[:], "receipt": enc, "leaf hash": leaf[:], "key": pub[:], "proof": proof,
	} {
		if !strings.Contains(flat, hex.EncodeToString(b)) {
			t.Errorf("docs/spec/receipt.md lacks the %s: %x", name, b)
		}
	}
	if !strings.Contains(flat, trailer[:40]) {
		t.Errorf("docs/spec/receipt.md lacks the trailer %s", trailer)
	}
	for _, name := range slices.Sorted(func(yield func(string) bool) {
		for _, v := range makeVectors(t) {
			if !yield(v.name) {
				return
			}
		}
	}) {
		if !strings.Contains(string(doc), "`"+name+"`") {
			t.Errorf("docs/spec/receipt.md does not list the vector %s", name)
		}
	}
}
