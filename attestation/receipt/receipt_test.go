package receipt

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/translog"
)

func filled(b byte) (out [32]byte) {
	for i := range out {
		out[i] = b
	}
	return out
}

func testKey() (ed25519.PrivateKey, [32]byte) {
	seed := filled(0x42)
	k := ed25519.NewKeyFromSeed(seed[:])
	return k, [32]byte(k.Public().(ed25519.PublicKey))
}

// example is the receipt of docs/spec/receipt.md.
func example() (Head, *Body) {
	holder := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{0x66}, 32)).Public().(ed25519.PublicKey)
	h := Head{
		Node:  attestation.Address{Workchain: 0, Hash: filled(0x11)},
		Epoch: 3, Index: 1234, Time: 1795572000, BlockSeqno: 48000100,
		Holder: Holder([32]byte(holder)),
	}
	tokens := filled(0x55)
	b := &Body{
		ClaimsDigest:       filled(0x22),
		RequestCommitment:  Commit(filled(0x33), []byte(`{"prompt":"2+2"}`)),
		ResponseCommitment: Commit(filled(0x34), []byte(`{"text":"4"}`)),
		ModelDigest:        filled(0x44),
		Engine:             "tinylm/1",
		Sampling:           Sampling{Temperature: "0.7", TopP: "1", Seed: 7, MaxTokens: 256},
		OutputTokens:       &tokens,
		PromptTokens:       5, CompletionTokens: 1, Finish: Complete, Price: 6000,
	}
	return h, b
}

func signed(t testing.TB) (*Receipt, [32]byte) {
	t.Helper()
	key, pub := testKey()
	h, b := example()
	r, err := Sign(key, h, b)
	if err != nil {
		t.Fatal(err)
	}
	return r, pub
}

func wantFamily(t *testing.T, err error, want fault.Family, text string) {
	t.Helper()
	if err == nil || fault.FamilyOf(err) != want || !strings.Contains(err.Error(), text) {
		t.Fatalf("error %v (family %d), want family %d with %q", err, fault.FamilyOf(err), want, text)
	}
	if want == fault.FamilyInput && !errors.As(err, new(*attestation.InputError)) {
		t.Fatalf("error %v is not an InputError", err)
	}
}

func TestRoundTrip(t *testing.T) {
	r, pub := signed(t)
	if err := r.Verify(pub); err != nil {
		t.Fatal(err)
	}
	p, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	r2, err := Parse(p)
	if err != nil {
		t.Fatal(err)
	}
	if err := r2.Verify(pub); err != nil {
		t.Fatal(err)
	}
	if p2, _ := r2.Encode(); !bytes.Equal(p, p2) {
		t.Error("parse and encode is not the identity")
	}
	s, err := r.EncodeTrailer()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParseTrailer(s); err != nil {
		t.Fatal(err)
	}
	leaf := sha256.Sum256(append([]byte{0}, r.Head.AppendTo(nil)...))
	if r.Head.LeafHash() != leaf {
		t.Error("leaf hash")
	}
}

// The largest legal receipt fits the trailer.
func TestLargestReceipt(t *testing.T) {
	key, _ := testKey()
	h, b := example()
	b.Engine = strings.Repeat("e", MaxEngine)
	b.Extension = make([]byte, MaxExtension)
	b.Sampling.Seed, b.PromptTokens, b.CompletionTokens, b.Price = 1<<64-1, 1<<64-1, 1<<64-1, 1<<64-1
	r, err := Sign(key, h, b)
	if err != nil {
		t.Fatal(err)
	}
	s, err := r.EncodeTrailer()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParseTrailer(s); err != nil {
		t.Fatalf("%d characters: %v", len(s), err)
	}
}

func TestSignRefuses(t *testing.T) {
	key, _ := testKey()
	for _, tt := range []struct {
		name, want string
		edit       func(*Head, *Body)
	}{
		{"epoch 0", "epoch 0", func(h *Head, _ *Body) { h.Epoch = 0 }},
		{"index", "above what a log can hold", func(h *Head, _ *Body) { h.Index = translog.MaxSize }},
		{"no engine", "engine", func(_ *Head, b *Body) { b.Engine = "" }},
		{"long engine", "engine", func(_ *Head, b *Body) { b.Engine = strings.Repeat("x", MaxEngine+1) }},
		{"engine line", "engine", func(_ *Head, b *Body) { b.Engine = "a\nb" }},
		{"engine accent", "engine", func(_ *Head, b *Body) { b.Engine = "é" }},
		{"finish", "unknown finish", func(_ *Head, b *Body) { b.Finish = "stop" }},
		{"temperature zeros", "shortest form", func(_ *Head, b *Body) { b.Sampling.Temperature = "0.70" }},
		{"temperature sign", "shortest form", func(_ *Head, b *Body) { b.Sampling.Temperature = "-1" }},
		{"temperature exponent", "shortest form", func(_ *Head, b *Body) { b.Sampling.Temperature = "1e2" }},
		{"top_p words", "shortest form", func(_ *Head, b *Body) { b.Sampling.TopP = "Inf" }},
		{"top_p long", "shortest form", func(_ *Head, b *Body) { b.Sampling.TopP = "0." + strings.Repeat("1", 30) }},
		{"top_p point", "shortest form", func(_ *Head, b *Body) { b.Sampling.TopP = "1." }},
		{"empty extension", "extension", func(_ *Head, b *Body) { b.Extension = []byte{} }},
		{"large extension", "extension", func(_ *Head, b *Body) { b.Extension = make([]byte, MaxExtension+1) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h, b := example()
			tt.edit(&h, b)
			_, err := Sign(key, h, b)
			wantFamily(t, err, fault.FamilyInput, tt.want)
		})
	}
	h, b := example()
	_, err := Sign(key[:32], h, b)
	wantFamily(t, err, fault.FamilyInput, "receipt key")
}

func TestFormatDecimal(t *testing.T) {
	for f, want := range map[float64]string{0: "0", 1: "1", 0.7: "0.7", 0.95: "0.95", 1.5: "1.5", 1e-7: "0.0000001"} {
		if got, err := FormatDecimal(f); err != nil || got != want {
			t.Errorf("FormatDecimal(%v) = %q, %v; want %q", f, got, err, want)
		}
	}
	nan := 0.0
	for _, f := range []float64{-1, 1e300, nan / nan, 1 / nan} {
		if got, err := FormatDecimal(f); err == nil {
			t.Errorf("FormatDecimal(%v) = %q", f, got)
		}
	}
}

func TestVerifyRefuses(t *testing.T) {
	r, pub := signed(t)
	r.Body.Price++
	wantFamily(t, r.Verify(pub), fault.FamilyFalse, "the body has digest")
	r, pub = signed(t)
	r.Head.Index++
	wantFamily(t, r.Verify(pub), fault.FamilyFalse, "not signed by the receipt key")
	r, pub = signed(t)
	pub[0] ^= 1
	wantFamily(t, r.Verify(pub), fault.FamilyFalse, "not signed by the receipt key")
	r, pub = signed(t)
	r.Body.Finish = "x"
	wantFamily(t, r.Verify(pub), fault.FamilyInput, "finish")
}

// Every single-bit change of an encoded receipt is refused: it has no shape, or
// it does not verify.
func TestEveryBit(t *testing.T) {
	r, pub := signed(t)
	p, _ := r.Encode()
	for i := range len(p) * 8 {
		q := bytes.Clone(p)
		q[i/8] ^= 1 << (i % 8)
		r, err := Parse(q)
		if err == nil {
			err = r.Verify(pub)
		}
		if err == nil {
			t.Fatalf("bit %d of byte %d flipped: accepted", i%8, i/8)
		}
	}
	for n := range len(p) {
		if _, err := Parse(p[:n]); err == nil {
			t.Fatalf("%d of %d bytes: accepted", n, len(p))
		}
	}
}

// Not one of the other encodings of the same receipt is accepted.
func TestParseIsStrict(t *testing.T) {
	r, _ := signed(t)
	good, _ := r.Encode()
	body, _ := EncodeBody(&r.Body)
	head := r.Head.AppendTo(nil)
	loose, err := cbor.EncOptions{Sort: cbor.SortBytewiseLexical}.EncMode()
	if err != nil {
		t.Fatal(err)
	}
	enc := func(v any) []byte {
		b, err := loose.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	m := func(edit func(map[uint64]any)) []byte {
		v := map[uint64]any{0: receiptType, 1: head, 2: body, 3: r.Signature[:]}
		edit(v)
		return enc(v)
	}
	if !bytes.Equal(m(func(map[uint64]any) {}), good) {
		t.Fatal("the test's own encoding differs")
	}
	other := bytes.Clone(head)
	other[3] = '2'
	zero := bytes.Clone(head)
	copy(zero[40:44], "\x00\x00\x00\x00")
	for name, p := range map[string][]byte{
		"unknown key":       m(func(v map[uint64]any) { v[4] = 1 }),
		"missing key":       m(func(v map[uint64]any) { delete(v, 3) }),
		"type":              m(func(v map[uint64]any) { v[0] = "cocoon/receipt/v2" }),
		"short signature":   m(func(v map[uint64]any) { v[3] = r.Signature[:63] }),
		"long signature":    m(func(v map[uint64]any) { v[3] = append(r.Signature[:], 0) }),
		"null signature":    m(func(v map[uint64]any) { v[3] = nil }),
		"array signature":   m(func(v map[uint64]any) { v[3] = make([]int, 64) }),
		"text body":         m(func(v map[uint64]any) { v[2] = string(body) }),
		"tag":               enc(cbor.Tag{Number: 55799, Content: cbor.RawMessage(good)}),
		"trailing byte":     append(bytes.Clone(good), 0),
		"indefinite map":    append(append([]byte{0xbf}, good[1:]...), 0xff),
		"long map length":   append([]byte{0xb8, 4}, good[1:]...),
		"long key":          append([]byte{good[0], 0x18, 0}, good[2:]...),
		"duplicate key":     append([]byte{0xa5}, append(bytes.Clone(good[1:]), append([]byte{0x00}, good[2:2+18]...)...)...),
		"empty":             {},
		"oversize":          make([]byte, MaxReceipt+1),
		"tag of head":       m(func(v map[uint64]any) { v[1] = other }),
		"epoch 0":           m(func(v map[uint64]any) { v[1] = zero }),
		"short head":        m(func(v map[uint64]any) { v[1] = head[:123] }),
		"body of its own":   m(func(v map[uint64]any) { v[2] = enc(map[uint64]any{0: bodyType}) }),
		"key order":         append(append(append([]byte{good[0]}, good[20:20+2+1+HeadSize]...), good[1:20]...), good[20+3+HeadSize:]...),
		"nested too deeply": bytes.Repeat([]byte{0x81}, 100),
	} {
		if _, err := Parse(p); err == nil {
			t.Errorf("%s: accepted", name)
		} else if !errors.As(err, new(*attestation.InputError)) {
			t.Errorf("%s: %v is not an InputError", name, err)
		}
	}
	if _, err := ParseHead(head[:100]); err == nil {
		t.Error("short head accepted")
	}
}

func TestParseBodyIsStrict(t *testing.T) {
	_, b := example()
	good, _ := EncodeBody(b)
	var v map[uint64]any
	if err := cbor.Unmarshal(good, &v); err != nil {
		t.Fatal(err)
	}
	em, _ := cbor.EncOptions{Sort: cbor.SortBytewiseLexical}.EncMode()
	for name, edit := range map[string]func(map[uint64]any){
		"type":            func(v map[uint64]any) { v[0] = "x" },
		"short tokens":    func(v map[uint64]any) { v[7] = make([]byte, 31) },
		"empty tokens":    func(v map[uint64]any) { v[7] = []byte{} },
		"empty extension": func(v map[uint64]any) { v[12] = []byte{} },
		"float price":     func(v map[uint64]any) { v[11] = 6000.0 },
		"negative price":  func(v map[uint64]any) { v[11] = -1 },
		"no price":        func(v map[uint64]any) { delete(v, 11) },
		"no sampling":     func(v map[uint64]any) { delete(v, 6) },
		"sampling key":    func(v map[uint64]any) { v[6] = map[uint64]any{1: "1", 2: "1", 3: 1, 4: 1, 5: 1} },
		"finish":          func(v map[uint64]any) { v[10] = "COMPLETE" },
		"engine utf-8":    func(v map[uint64]any) { v[5] = "\xff" },
		"unknown key":     func(v map[uint64]any) { v[13] = 0 },
	} {
		w := map[uint64]any{}
		for k, x := range v {
			w[k] = x
		}
		edit(w)
		p, err := em.Marshal(w)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseBody(p); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := ParseBody(make([]byte, maxBody+1)); err == nil {
		t.Error("oversize accepted")
	}
}

func TestParseTrailerIsStrict(t *testing.T) {
	r, _ := signed(t)
	s, _ := r.EncodeTrailer()
	p, _ := r.Encode()
	for name, in := range map[string]string{
		"empty":     "",
		"padding":   s + "=",
		"standard":  base64.StdEncoding.EncodeToString(p),
		"newline":   s[:10] + "\n" + s[10:],
		"space":     s + " ",
		"oversize":  strings.Repeat("A", MaxTrailer+1),
		"truncated": s[:len(s)-4],
	} {
		if _, err := ParseTrailer(in); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	_, err := ParseTrailer("")
	wantFamily(t, err, fault.FamilyInput, "missing")
	// Stray bits in the last character would be a second encoding.
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	if len(s)%4 != 0 {
		last := strings.IndexByte(alphabet, s[len(s)-1])
		if _, err := ParseTrailer(s[:len(s)-1] + alphabet[last+1:last+2]); err == nil {
			t.Error("stray bits accepted")
		}
	} else {
		t.Error("the example has no stray bits to test with")
	}
}

func TestCommitment(t *testing.T) {
	salt := filled(9)
	h := sha256.New()
	h.Write([]byte("cocoon/commit/v1\n"))
	h.Write(salt[:])
	h.Write([]byte("hello"))
	want := [32]byte(h.Sum(nil))
	c := NewCommitment(salt)
	c.Write([]byte("hel"))
	c.Sum()
	c.Write([]byte("lo"))
	if first, again := c.Sum(), c.Sum(); first != want || again != want || Commit(salt, []byte("hello")) != want {
		t.Error("commitment differs")
	}
	_, b := example()
	if err := b.VerifyRequest(filled(0x33), []byte(`{"prompt":"2+2"}`)); err != nil {
		t.Error(err)
	}
	if err := b.VerifyResponse(filled(0x34), []byte(`{"text":"4"}`)); err != nil {
		t.Error(err)
	}
	wantFamily(t, b.VerifyRequest(filled(0x34), []byte(`{"prompt":"2+2"}`)), fault.FamilyFalse, "request")
	wantFamily(t, b.VerifyResponse(filled(0x34), []byte(`{"text":"5"}`)), fault.FamilyFalse, "response")
}

func TestHolder(t *testing.T) {
	want := sha256.Sum256(append([]byte("cocoon/holder/v1\n"), bytes.Repeat([]byte{5}, 32)...))
	if Holder(filled(5)) != want {
		t.Error("holder differs")
	}
}

func TestFile(t *testing.T) {
	r, _ := signed(t)
	f := &File{r, filled(1), filled(2), filled(0x66)}
	p, err := f.Encode()
	if err != nil {
		t.Fatal(err)
	}
	g, err := ParseFile(p)
	if err != nil {
		t.Fatal(err)
	}
	if g.RequestSalt != f.RequestSalt || g.ResponseSalt != f.ResponseSalt || g.HolderSeed != f.HolderSeed {
		t.Error("fields differ")
	}
	if pub := [32]byte(g.HolderKey().Public().(ed25519.PublicKey)); Holder(pub) != r.Head.Holder {
		t.Error("holder key differs")
	}
	rb, _ := r.Encode()
	for name, q := range map[string][]byte{
		"trailing": append(bytes.Clone(p), 0), "empty": {}, "receipt": rb, "oversize": make([]byte, maxFile+1),
		"type":           bytes.Replace(p, []byte(fileType), []byte("cocoon/receipt-file/v2"), 1),
		"receipt inside": bytes.Replace(p, []byte(receiptType), []byte("cocoon/receipt/v9"), 1),
	} {
		_, err := ParseFile(q)
		wantFamily(t, err, fault.FamilyInput, "")
		if name != "receipt" && strings.Contains(err.Error(), hex.EncodeToString(f.HolderSeed[:8])) {
			t.Error("a secret is in the error")
		}
	}
}
