package receipt

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/translog"
)

// exampleProof has the example's receipt at index 0 of a tree of two leaves.
func exampleProof(t testing.TB) *Proof {
	t.Helper()
	key, _ := testKey()
	h, b := example()
	h.Index = 0
	r, err := Sign(key, h, b)
	if err != nil {
		t.Fatal(err)
	}
	leaf, other := r.Head.LeafHash(), filled(0x77)
	root := nodeHash(leaf, other)
	p := &Proof{
		Receipt:    r,
		Inclusion:  Inclusion{Index: 0, Size: 2, Hashes: [][32]byte{other}},
		Checkpoint: Checkpoint{Epoch: 3, Size: 2, Root: root, Note: []byte("note\n")},
		Bundle:     []byte("bundle"), AccountProof: []byte("account"),
		Endorsements:  []Endorsement{{"b", []byte("2")}, {"a", []byte("1")}},
		Opening:       &Opening{filled(0x33), filled(0x34), []byte(`{"prompt":"2+2"}`), []byte(`{"text":"4"}`)},
		RegistryProof: []byte("registry"), Passage: []byte("passage"), BlockHeader: []byte("header"),
	}
	c := p.Log(-239)
	p.Checkpoint.Signature = c.SignAnchor(key)
	return p
}

func nodeHash(l, r [32]byte) [32]byte {
	return sum(append(append([]byte{1}, l[:]...), r[:]...))
}

func TestProofRoundTrip(t *testing.T) {
	p := exampleProof(t)
	b, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	q, err := ParseProof(b)
	if err != nil {
		t.Fatal(err)
	}
	if string(q.Passage) != "passage" || string(q.BlockHeader) != "header" {
		t.Errorf("%q, %q", q.Passage, q.BlockHeader)
	}
	if b2, _ := q.Encode(); !bytes.Equal(b, b2) {
		t.Error("parse and encode is not the identity")
	}
	if q.Endorsements[0].Name != "a" || p.Endorsements[0].Name != "b" {
		t.Error("endorsements are not sorted, or the caller's were")
	}
	_, pub := testKey()
	c := q.Log(-239)
	for _, err := range []error{q.Receipt.Verify(pub), q.VerifyInclusion(), q.VerifyOpening(), c.VerifyAnchor(pub, q.Checkpoint.Signature)} {
		if err != nil {
			t.Error(err)
		}
	}
	q.Opening.Response = []byte("5")
	wantFamily(t, q.VerifyOpening(), fault.FamilyFalse, "response")
	q.Opening.Request = []byte("5")
	wantFamily(t, q.VerifyOpening(), fault.FamilyFalse, "request")
	q.Checkpoint.Root[0] ^= 1
	wantFamily(t, q.VerifyInclusion(), fault.FamilyFalse, "not in the tree")
	// The small form: nothing optional.
	p.Opening, p.RegistryProof, p.Endorsements, p.AccountProof, p.Checkpoint.Note, p.Passage, p.BlockHeader = nil, nil, nil, nil, nil, nil, nil
	b, err = p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	q, err = ParseProof(b)
	if err != nil || q.Opening != nil || q.RegistryProof != nil {
		t.Fatalf("%+v, %v", q, err)
	}
	if err := q.VerifyOpening(); err != nil {
		t.Error(err)
	}
}

func TestProofRefuses(t *testing.T) {
	for _, tt := range []struct {
		want string
		edit func(*Proof)
	}{
		{"hashes, limit", func(p *Proof) { p.Inclusion.Hashes = make([][32]byte, translog.MaxProof+1) }},
		{"inclusion proof is for leaf 1", func(p *Proof) { p.Inclusion.Index = 1 }},
		{"the checkpoint has 2", func(p *Proof) { p.Inclusion.Size = 3 }},
		{"older than the receipt", func(p *Proof) { p.Checkpoint.Epoch = 2 }},
		{"note of", func(p *Proof) { p.Checkpoint.Note = make([]byte, MaxNote+1) }},
		{"account proof", func(p *Proof) { p.AccountProof = make([]byte, MaxAccountProof+1) }},
		{"account proof", func(p *Proof) { p.RegistryProof = make([]byte, MaxAccountProof+1) }},
		{"bundle of", func(p *Proof) { p.Bundle = make([]byte, MaxBundle+1) }},
		{"65 endorsements", func(p *Proof) {
			for i := range 63 {
				p.Endorsements = append(p.Endorsements, Endorsement{Name: fmt.Sprintf("n%02d", i)})
			}
		}},
		{"block header above", func(p *Proof) { p.Passage = make([]byte, MaxAccountProof+1) }},
		{"block header above", func(p *Proof) { p.BlockHeader = make([]byte, MaxHeader+1) }},
		{"empty passage", func(p *Proof) { p.Passage = []byte{} }},
		{"empty passage", func(p *Proof) { p.BlockHeader = []byte{} }},
		{"empty registry proof", func(p *Proof) { p.RegistryProof = []byte{} }},
		{"opened content", func(p *Proof) { p.Opening.Request = make([]byte, MaxContent+1) }},
		{"opened content", func(p *Proof) { p.Opening.Response = make([]byte, MaxContent+1) }},
		{"twice", func(p *Proof) { p.Endorsements[0].Name = "a" }},
		{"endorsement name", func(p *Proof) { p.Endorsements[0].Name = "" }},
		{"endorsement name", func(p *Proof) { p.Endorsements[0].Name = "a\n" }},
		{"endorsement name", func(p *Proof) { p.Endorsements[0].Name = string(bytes.Repeat([]byte{'x'}, MaxName+1)) }},
		{"limit 4194304", func(p *Proof) { p.Endorsements[0].Bytes = make([]byte, MaxEndorsement+1) }},
	} {
		p := exampleProof(t)
		tt.edit(p)
		_, err := p.Encode()
		wantFamily(t, err, fault.FamilyInput, tt.want)
	}
	b, _ := exampleProof(t).Encode()
	for _, q := range [][]byte{
		{}, append(bytes.Clone(b), 0), b[:len(b)-1], make([]byte, MaxProof+1),
		bytes.Replace(b, []byte(proofType), []byte("cocoon/proof/v2"), 1),
		bytes.Replace(b, []byte(receiptType), []byte("cocoon/receipt/v9"), 1),
		// What Encode refuses, Parse refuses too: names out of order.
		bytes.Replace(b, []byte("\xa2\x01\x61a"), []byte("\xa2\x01\x61z"), 1),
	} {
		_, err := ParseProof(q)
		wantFamily(t, err, fault.FamilyInput, "")
	}
}
