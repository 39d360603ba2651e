package receipt

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/cocoon-go/cocoon/attestation/vectortest"
)

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

// TestVectors: the vectors are what the generator writes, and end as they say.
func TestVectors(t *testing.T) {
	files := map[string][]byte{}
	for _, v := range makeVectors(t) {
		files[v.name+".txt"] = v.text()
	}
	vectortest.Generated(t, "*", files)
	for name, text := range files {
		t.Run(name, func(t *testing.T) {
			v := vectortest.Lines(t, text, "cocoon receipt vector v1", "comment", "expect", "reason", "key", "receipt")
			r, err := Parse(vectortest.Hex(t, v["receipt"]))
			if err == nil {
				err = r.Verify([32]byte(vectortest.Hex(t, v["key"])))
			}
			vectortest.Ends(t, err, v["expect"], v["reason"])
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
