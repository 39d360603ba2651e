package receipt

import (
	"bytes"
	"crypto/sha256"
	"testing"
)

func sum(b []byte) [32]byte { return sha256.Sum256(b) }

// FuzzParse feeds all four parsers. What one accepts encodes to the same bytes.
func FuzzParse(f *testing.F) {
	r, _ := signed(f)
	rb, err := r.Encode()
	if err != nil {
		f.Fatal(err)
	}
	body, _ := EncodeBody(&r.Body)
	file, _ := (&File{r, filled(1), filled(2), filled(3)}).Encode()
	proof, _ := exampleProof(f).Encode()
	f.Add(rb)
	f.Add(body)
	f.Add(file)
	f.Add(proof)
	f.Add(r.Head.AppendTo(nil))
	f.Fuzz(func(t *testing.T, p []byte) {
		check := func(what string, err error, encode func() ([]byte, error)) {
			if err != nil {
				return
			}
			q, err := encode()
			if err != nil || !bytes.Equal(p, q) {
				t.Fatalf("%s: accepted %x, encodes to %x, %v", what, p, q, err)
			}
		}
		h, err := ParseHead(p)
		check("head", err, func() ([]byte, error) { return h.AppendTo(nil), nil })
		b, err := ParseBody(p)
		check("body", err, func() ([]byte, error) { return EncodeBody(b) })
		r, err := Parse(p)
		check("receipt", err, func() ([]byte, error) { return r.Encode() })
		fl, err := ParseFile(p)
		check("file", err, func() ([]byte, error) { return fl.Encode() })
		pr, err := ParseProof(p)
		check("proof", err, func() ([]byte, error) { return pr.Encode() })
	})
}

func FuzzParseTrailer(f *testing.F) {
	r, _ := signed(f)
	s, _ := r.EncodeTrailer()
	f.Add(s)
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseTrailer(s)
		if err != nil {
			return
		}
		if got, err := r.EncodeTrailer(); err != nil || got != s {
			t.Fatalf("accepted %q, encodes to %q, %v", s, got, err)
		}
	})
}

func BenchmarkSign(b *testing.B) {
	key, _ := testKey()
	h, body := example()
	for b.Loop() {
		if _, err := Sign(key, h, body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseVerify(b *testing.B) {
	r, pub := signed(b)
	s, _ := r.EncodeTrailer()
	for b.Loop() {
		r, err := ParseTrailer(s)
		if err != nil {
			b.Fatal(err)
		}
		if err := r.Verify(pub); err != nil {
			b.Fatal(err)
		}
	}
}
