package ohttp

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hpke"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/cocoon-go/cocoon/internal/bhttp/varint"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The example of draft-ietf-ohai-chunked-ohttp-08, appendix A. It uses X25519
// and AES-128-GCM, which this package refuses from outside; the steps are the
// same.
func TestDraftExample(t *testing.T) {
	sk, err := hpke.DHKEM(ecdh.X25519()).NewPrivateKey(unhex(t, "1c190d72acdbe4dbc69e680503bb781a932c70a12c8f3754434c67d8640d8698"))
	if err != nil {
		t.Fatal(err)
	}
	sealed := unhex(t, `01002000010001
		8811eb457e100811c40a0aa71340a1b81d804bb986f736f2f566a7199761a032
		1c2ad24942d4d692563012f2980c8fef437a336b9b2fc938ef77a5834f
		1d2e33d8fd25577afe31bd1c79d094f76b6250ae6549b473ecd950501311
		001c6c1395d0ef7c1022297966307b8a7f`)
	hdr := appendHeader(nil, 1, 0x0020, 0x0001, 0x0001)
	if !bytes.Equal(hdr, sealed[:7]) {
		t.Errorf("header %x", hdr)
	}
	in := info(Chunked.Request, hdr)
	if want := unhex(t, "6d6573736167652f6268747470206368756e6b6564207265717565737400010020 00010001"); !bytes.Equal(in, want) {
		t.Errorf("info %x, want %x", in, want)
	}
	enc := sealed[7:39]
	r, err := hpke.NewRecipient(enc, sk, hpke.HKDFSHA256(), hpke.AES128GCM(), in)
	if err != nil {
		t.Fatal(err)
	}
	req := &Reader{src: bytes.NewReader(sealed[39:]), op: hpkeOpener{r}}
	if got, err := io.ReadAll(req); err != nil || !bytes.Equal(got, unhex(t, "00034745540568747470730b6578616d706c652e636f6d012f")) {
		t.Errorf("request %x, %v", got, err)
	}

	secret, _ := r.Export(Chunked.Response, 16)
	if !bytes.Equal(secret, unhex(t, "1d4484834ae36102a6ac42a5523454d9")) {
		t.Errorf("exported secret %x", secret)
	}
	answer := unhex(t, `bcce7f4cb921309ba5d62edf1769ef09
		1179bf1cc87fa0e2c02de4546945aa3d1e48
		12b348b5bd4c594c16b6170b07b475845d1f32
		00ed9d8a796617a5b27265f4d73247f639`)
	res := &Reader{src: bytes.NewReader(answer), prefix: 16, start: func(nonce []byte) (opener, error) {
		a, err := newResponseAEAD(secret, enc, nonce, 16)
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(a.base[:], unhex(t, "fead854635d2d5527d64f546")) {
			t.Errorf("base nonce %x", a.base)
		}
		for _, want := range []string{"fead854635d2d5527d64f546", "fead854635d2d5527d64f547", "fead854635d2d5527d64f544"} {
			if a.next(); hex.EncodeToString(a.nonce[:]) != want {
				t.Errorf("nonce %x, want %s", a.nonce, want)
			}
		}
		a.counter = 0
		return a, nil
	}}
	if got, err := io.ReadAll(res); err != nil || hex.EncodeToString(got) != "0140c8" {
		t.Errorf("response %x, %v", got, err)
	}
	// And sealed again, with the same key and chunks.
	block, _ := aes.NewCipher(unhex(t, "8209f78f2a1610d80c7125009b00aff0"))
	a := &responseAEAD{base: [12]byte(unhex(t, "fead854635d2d5527d64f546"))}
	a.aead, _ = cipher.NewGCM(block)
	s := &Sealer{prefix: answer[:16], seal: a}
	got, _ := s.Append(nil, []byte{0x01}, false)
	got, _ = s.Append(got, []byte{0x40, 0xc8}, false)
	if got, _ = s.Append(got, nil, true); !bytes.Equal(got, answer) {
		t.Errorf("sealed %x\nwant   %x", got, answer)
	}
}

func testKey(t testing.TB) *PrivateKey {
	t.Helper()
	k, err := NewPrivateKey(7, bytes.Repeat([]byte{42}, SeedSize))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// pair runs the start of an exchange: the request's chunks are sealed.
func pair(t testing.TB, k *PrivateKey, chunks ...string) (*Client, *Server, []byte) {
	t.Helper()
	c, err := NewClient(k.Config(), Chunked)
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.Request()
	if err != nil {
		t.Fatal(err)
	}
	sealed := seal(t, s, chunks...)
	r := bytes.NewReader(sealed)
	h, err := ReadRequestHeader(r)
	if err != nil {
		t.Fatal(err)
	}
	srv, err := k.Accept(h, Chunked)
	if err != nil {
		t.Fatal(err)
	}
	return c, srv, sealed[HeaderSize:]
}

// seal seals chunks, the last one as final.
func seal(t testing.TB, s *Sealer, chunks ...string) (out []byte) {
	t.Helper()
	for i, c := range chunks {
		var err error
		if out, err = s.Append(out, []byte(c), i == len(chunks)-1); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func TestRoundTrip(t *testing.T) {
	k := testKey(t)
	big := strings.Repeat("x", MaxChunk)
	for name, chunks := range map[string][]string{
		"empty": {""}, "one": {"hello"}, "two": {"hello ", "world"}, "empty final": {"a", "b", ""},
		"64 bytes sealed": {strings.Repeat("a", 48), "b"}, "largest": {big, big, big, big},
	} {
		want := strings.Join(chunks, "")
		for way, wrap := range map[string]func(io.Reader) io.Reader{
			"bytes":         func(r io.Reader) io.Reader { return r },
			"one byte":      iotest.OneByteReader,
			"data with EOF": iotest.DataErrReader,
			"half":          iotest.HalfReader,
		} {
			if len(want) > MaxChunk && way == "one byte" && testing.Short() {
				continue
			}
			c, s, sealed := pair(t, k, chunks...)
			got, err := io.ReadAll(s.Request(wrap(bytes.NewReader(sealed))))
			if string(got) != want || err != nil {
				t.Errorf("%s, %s: request of %d bytes, %v", name, way, len(got), err)
			}
			rs, err := s.Response()
			if err != nil {
				t.Fatal(err)
			}
			rr, err := c.Response(wrap(bytes.NewReader(seal(t, rs, chunks...))))
			if err != nil {
				t.Fatal(err)
			}
			if err := iotest.TestReader(rr, []byte(want)); err != nil {
				t.Errorf("%s, %s: response: %v", name, way, err)
			}
		}
	}
}

func TestWriter(t *testing.T) {
	k := testKey(t)
	c, s, _ := pair(t, k, "")
	rs, _ := s.Response()
	var out bytes.Buffer
	var writes int
	w := NewWriter(writerFunc(func(p []byte) (int, error) { writes++; return out.Write(p) }), rs)
	for _, p := range []string{"hello ", "", "world", strings.Repeat("z", 2*MaxChunk+5)} {
		if n, err := w.Write([]byte(p)); n != len(p) || err != nil {
			t.Fatal(n, err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if writes != 6 {
		t.Errorf("%d writes below, want 6", writes)
	}
	if _, err := w.Write([]byte("x")); err == nil {
		t.Error("Write after Close")
	}
	if err := w.Close(); err == nil {
		t.Error("second Close")
	}
	r, _ := c.Response(&out)
	if got, err := io.ReadAll(r); len(got) != 11+2*MaxChunk+5 || err != nil {
		t.Errorf("%d bytes, %v", len(got), err)
	}

	boom := errors.New("boom")
	rs, _ = s.Response()
	w = NewWriter(writerFunc(func(p []byte) (int, error) { return 0, boom }), rs)
	if _, err := w.Write([]byte("x")); err != boom {
		t.Errorf("error below: %v", err)
	}
	if err := w.Close(); err != boom {
		t.Errorf("Close after an error: %v", err)
	}
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestSealerRefuses(t *testing.T) {
	_, s, _ := pair(t, testKey(t), "")
	rs, _ := s.Response()
	if _, err := rs.Append(nil, nil, false); err == nil {
		t.Error("an empty chunk that is not final was sealed")
	}
	if _, err := rs.Append(nil, make([]byte, MaxChunk+1), true); err == nil {
		t.Error("a chunk over the limit was sealed")
	}
	if _, err := rs.Append(nil, nil, true); err != nil {
		t.Error(err)
	}
	if _, err := rs.Append(nil, []byte("x"), false); err == nil {
		t.Error("a chunk after the final one was sealed")
	}
}

func TestOnce(t *testing.T) {
	c, _, _ := pair(t, testKey(t), "")
	if _, err := c.Request(); err == nil {
		t.Error("a second request was sealed in one exchange")
	}
	c.Response(nil)
	if _, err := c.Response(nil); err == nil {
		t.Error("a second response was opened in one exchange")
	}
}

func TestExport(t *testing.T) {
	c, s, _ := pair(t, testKey(t), "")
	a, _ := c.Export("x", 32)
	b, _ := s.Export("x", 32)
	other, _ := s.Export("y", 32)
	if !bytes.Equal(a, b) || bytes.Equal(a, other) || len(a) != 32 {
		t.Errorf("%x, %x, %x", a, b, other)
	}
	c2, _, _ := pair(t, testKey(t), "")
	if d, _ := c2.Export("x", 32); bytes.Equal(a, d) {
		t.Error("two exchanges have the same secret")
	}
}

// message is one direction of an exchange, to be damaged.
type message struct {
	sealed []byte
	start  int // of the first chunk
	open   func(sealed []byte) *Reader
}

// messages returns a sealed request and a sealed response with the same chunks.
func messages(t testing.TB, chunks ...string) map[string]message {
	k := testKey(t)
	c, s, sealed := pair(t, k, chunks...)
	rs, err := s.Response()
	if err != nil {
		t.Fatal(err)
	}
	response := seal(t, rs, chunks...)
	request := append(bytes.Clone(c.header), sealed...)
	return map[string]message{
		"request": {request, HeaderSize, func(b []byte) *Reader {
			in := bytes.NewReader(b)
			h, err := ReadRequestHeader(in)
			if err != nil {
				return &Reader{err: err}
			}
			s, err := k.Accept(h, Chunked)
			if err != nil {
				return &Reader{err: err}
			}
			return s.Request(in)
		}},
		"response": {response, keySize, func(b []byte) *Reader {
			c.response = false
			r, err := c.Response(bytes.NewReader(b))
			if err != nil {
				t.Fatal(err)
			}
			return r
		}},
	}
}

// bounds returns where each chunk of a sealed message starts.
func bounds(m message) (at []int) {
	for i := m.start; ; {
		at = append(at, i)
		v, n, _ := varint.Parse(m.sealed[i:])
		if v == 0 {
			return at
		}
		i += n + int(v)
	}
}

func bad(err error) bool {
	return errors.Is(err, ErrAuthentication) || errors.Is(err, ErrTruncated) || errors.Is(err, ErrMalformed) || errors.Is(err, ErrUnsupported)
}

// Any flipped bit is noticed, and nothing of the chunk it is in comes out.
func TestEveryFlip(t *testing.T) {
	chunks := []string{"first chunk", "the second chunk", "last"}
	for name, m := range messages(t, chunks...) {
		at := bounds(m)
		for i := range m.sealed {
			b := bytes.Clone(m.sealed)
			b[i] ^= 1 << (i % 8)
			got, err := io.ReadAll(m.open(b))
			if !bad(err) {
				t.Fatalf("%s, byte %d flipped: %v", name, i, err)
			}
			// Only whole chunks before the damage may have come out.
			whole := ""
			for j := 1; j < len(at) && i >= at[j]; j++ {
				whole += chunks[j-1]
			}
			if string(got) != whole {
				t.Fatalf("%s, byte %d flipped: released %q, want %q", name, i, got, whole)
			}
		}
	}
}

func TestEveryTruncation(t *testing.T) {
	chunks := []string{"first chunk", "the second chunk", "last"}
	for name, m := range messages(t, chunks...) {
		at := bounds(m)
		final := at[len(at)-1] + 1 + tagSize
		for i := range m.sealed {
			_, err := io.ReadAll(m.open(m.sealed[:i]))
			want := ErrTruncated
			if i >= final {
				want = ErrAuthentication
			}
			if !errors.Is(err, want) {
				t.Fatalf("%s cut at %d of %d: %v, want %v", name, i, len(m.sealed), err, want)
			}
			if want == ErrTruncated && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatalf("%s cut at %d: not an unexpected EOF", name, i)
			}
		}
		// The stream below says itself that it was cut, at the very end.
		r := m.open(m.sealed)
		r.src = io.MultiReader(r.src, iotest.ErrReader(io.ErrUnexpectedEOF))
		if _, err := io.ReadAll(r); !errors.Is(err, ErrTruncated) {
			t.Errorf("%s: broken stream at its end: %v", name, err)
		}
		boom := errors.New("boom")
		for i := m.start; i < len(m.sealed); i++ {
			r := m.open(m.sealed[:i])
			r.src = io.MultiReader(r.src, iotest.ErrReader(boom))
			if _, err := io.ReadAll(r); !errors.Is(err, boom) {
				t.Fatalf("%s: error below at %d: %v", name, i, err)
			}
		}
	}
}

func TestChunksMoved(t *testing.T) {
	for name, m := range messages(t, "aaaa", "bbbb", "cccc", "dddd") {
		at := append(bounds(m), len(m.sealed))
		head := m.sealed[:m.start]
		chunk := func(i int) []byte { return m.sealed[at[i]:at[i+1]] }
		asFinal := append([]byte{0}, chunk(1)[1:]...)
		notFinal := append(varint.Append(nil, uint64(len(chunk(3))-1)), chunk(3)[1:]...)
		for what, c := range map[string]struct {
			chunks [][]byte
			out    string
		}{
			"swapped":                 {[][]byte{chunk(1), chunk(0), chunk(2), chunk(3)}, ""},
			"repeated":                {[][]byte{chunk(0), chunk(0), chunk(1), chunk(2), chunk(3)}, "aaaa"},
			"dropped":                 {[][]byte{chunk(0), chunk(2), chunk(3)}, "aaaa"},
			"final only":              {[][]byte{chunk(3)}, ""},
			"chunk as final":          {[][]byte{chunk(0), asFinal}, "aaaa"},
			"final as chunk":          {[][]byte{chunk(0), chunk(1), chunk(2), notFinal}, "aaaabbbbcccc"},
			"something after the end": {[][]byte{chunk(0), chunk(1), chunk(2), chunk(3), {0}}, "aaaabbbbcccc"},
		} {
			b := append(bytes.Clone(head), bytes.Join(c.chunks, nil)...)
			if got, err := io.ReadAll(m.open(b)); !errors.Is(err, ErrAuthentication) || string(got) != c.out {
				t.Errorf("%s, %s: %q, %v", name, what, got, err)
			}
		}
	}
	// A chunk of one response does not pass in another of the same exchange.
	_, s, _ := pair(t, testKey(t), "")
	c, s2, _ := pair(t, testKey(t), "")
	for what, from := range map[string]*Server{"another exchange": s, "another response": s2} {
		r1, _ := from.Response()
		r2, _ := s2.Response()
		foreign := seal(t, r1, "x")[keySize:]
		b := append(seal(t, r2, "y")[:keySize:keySize], foreign...)
		c.response = false
		r, _ := c.Response(bytes.NewReader(b))
		if got, err := io.ReadAll(r); !errors.Is(err, ErrAuthentication) || len(got) != 0 {
			t.Errorf("chunk of %s: %q, %v", what, got, err)
		}
	}
}

func TestMalformed(t *testing.T) {
	for name, tail := range map[string][]byte{
		"empty chunk":        append([]byte{tagSize}, make([]byte, tagSize)...),
		"shorter than a tag": append([]byte{tagSize - 1}, make([]byte, tagSize)...),
		"chunk over limit":   append(varint.Append(nil, MaxChunk+tagSize+1), make([]byte, MaxChunk+tagSize+1)...),
		"huge chunk":         varint.Append(nil, varint.Max),
		"length not minimal": {0x40, 0x14, 0},
		"zero not minimal":   {0x40, 0x00},
		"final over limit":   make([]byte, 1+MaxChunk+tagSize+1),
		"endless final":      make([]byte, 1<<20),
	} {
		for dir, m := range messages(t, "a") {
			if got, err := io.ReadAll(m.open(append(bytes.Clone(m.sealed[:m.start]), tail...))); !errors.Is(err, ErrMalformed) || len(got) != 0 {
				t.Errorf("%s, %s: %q, %v", dir, name, got, err)
			}
		}
	}
	// A really sealed empty chunk that is not final is refused too.
	c, s, _ := pair(t, testKey(t), "")
	rs, _ := s.Response()
	b := append(bytes.Clone(rs.prefix), tagSize)
	b, _ = rs.seal.appendSealed(b, nil, nil)
	r, _ := c.Response(bytes.NewReader(b))
	if _, err := io.ReadAll(r); !errors.Is(err, ErrMalformed) {
		t.Errorf("sealed empty chunk: %v", err)
	}
}

func TestNoProgress(t *testing.T) {
	_, s, _ := pair(t, testKey(t), "")
	r := s.Request(readerFunc(func(p []byte) (int, error) { return 0, nil }))
	if _, _, err := r.Next(); err != io.ErrNoProgress {
		t.Errorf("a reader that never reads: %v", err)
	}
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// A chunk comes out as soon as its last byte is there.
func TestIncremental(t *testing.T) {
	c, s, _ := pair(t, testKey(t), "")
	rs, _ := s.Response()
	pr, pw := io.Pipe()
	r, _ := c.Response(pr)
	pieces := make(chan string)
	go func() {
		w := NewWriter(pw, rs)
		for p := range pieces {
			w.Write([]byte(p))
		}
		w.Close()
		pw.Close()
	}()
	for _, want := range []string{"one", "two"} {
		pieces <- want
		if got, last, err := r.Next(); string(got) != want || last || err != nil {
			t.Fatalf("%q, %v, %v", got, last, err)
		}
	}
	close(pieces)
	if got, last, err := r.Next(); len(got) != 0 || !last || err != nil {
		t.Fatalf("%q, %v, %v", got, last, err)
	}
	if _, _, err := r.Next(); err != io.EOF {
		t.Fatal(err)
	}
	if r.buf != nil {
		t.Error("the buffer was not given back")
	}
}

func TestWrongKey(t *testing.T) {
	k := testKey(t)
	c, err := NewClient(k.Config(), Chunked)
	if err != nil {
		t.Fatal(err)
	}
	s, _ := c.Request()
	sealed := seal(t, s, "secret")
	wrong, _ := NewPrivateKey(7, bytes.Repeat([]byte{43}, SeedSize))
	otherID, _ := NewPrivateKey(8, bytes.Repeat([]byte{42}, SeedSize))
	r := bytes.NewReader(sealed)
	h, _ := ReadRequestHeader(r)
	if h.KeyID() != 7 || !bytes.Equal(h.Enc(), sealed[7:HeaderSize]) {
		t.Errorf("key id %d", h.KeyID())
	}
	if _, err := otherID.Accept(h, Chunked); !errors.Is(err, ErrUnsupported) {
		t.Errorf("other key id: %v", err)
	}
	for name, c := range map[string]struct {
		key *PrivateKey
		l   Labels
	}{"wrong key": {wrong, Chunked}, "other labels": {k, Labels{"x", "y"}}} {
		srv, err := c.key.Accept(h, c.l)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(srv.Request(bytes.NewReader(sealed[HeaderSize:]))); !errors.Is(err, ErrAuthentication) || len(got) != 0 {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	for i := 1; i < 7; i++ { // every other suite
		b := bytes.Clone(sealed)
		b[i]++
		if _, err := ReadRequestHeader(bytes.NewReader(b)); !errors.Is(err, ErrUnsupported) {
			t.Errorf("header byte %d changed: %v", i, err)
		}
	}
	for i := range HeaderSize {
		if _, err := ReadRequestHeader(bytes.NewReader(sealed[:i])); !errors.Is(err, ErrTruncated) {
			t.Fatalf("header of %d bytes: %v", i, err)
		}
	}
}

func TestKeyConfig(t *testing.T) {
	k := testKey(t)
	b := k.Config().Bytes()
	c, err := ParseKeyConfig(b)
	if err != nil || c.ID() != 7 || !bytes.Equal(c.Bytes(), b) || len(b) != ConfigSize {
		t.Fatalf("%v, %v", c, err)
	}
	edit := func(at int, v byte) []byte { e := bytes.Clone(b); e[at] = v; return e }
	two := append(bytes.Clone(b[:ConfigSize-6]), 0, 8, 0, 1, 0, 2, 0, 1, 0, 3)
	tail := 3 + PublicKeySize
	notReduced := bytes.Clone(b) // a coefficient over q: ML-KEM refuses it
	for i := range 384 {
		notReduced[3+i] = 0xff
	}
	for name, e := range map[string]struct {
		b    []byte
		want error
	}{
		"empty": {nil, ErrConfig}, "short": {b[:ConfigSize-1], ErrConfig}, "long": {append(bytes.Clone(b), 0), ErrConfig},
		"X25519": {edit(1, 0), ErrUnsupported}, "HKDF-SHA384": {edit(tail+3, 2), ErrUnsupported},
		"AES-128-GCM": {edit(tail+5, 1), ErrUnsupported}, "two algorithms": {two, ErrConfig},
		"algorithms length": {edit(tail+1, 8), ErrConfig}, "public key": {notReduced, ErrConfig},
	} {
		if _, err := ParseKeyConfig(e.b); !errors.Is(err, e.want) {
			t.Errorf("%s: %v, want %v", name, err, e.want)
		}
	}
	other, err := GenerateKey(8)
	if err != nil {
		t.Fatal(err)
	}
	list := AppendKeyConfigs(nil, b, other.Config().Bytes())
	if l, err := ParseKeyConfigs(list); err != nil || len(l) != 2 || l[0].ID() != 7 || l[1].ID() != 8 {
		t.Errorf("list: %v, %v", l, err)
	}
	for name, l := range map[string][]byte{
		"empty": nil, "cut": list[:len(list)-1], "one byte more": append(bytes.Clone(list), 0),
		"twice": AppendKeyConfigs(nil, b, b), "bad": AppendKeyConfigs(nil, []byte("x")),
	} {
		if _, err := ParseKeyConfigs(l); !errors.Is(err, ErrConfig) {
			t.Errorf("list, %s: %v", name, err)
		}
	}
	if _, err := NewPrivateKey(1, make([]byte, SeedSize-1)); err == nil {
		t.Error("a short seed was taken")
	}
}

// A buffer that goes back to the pool holds no plaintext.
func TestBufferIsWiped(t *testing.T) {
	m := messages(t, "secret")["response"]
	r := m.open(m.sealed)
	if _, _, err := r.Next(); err != nil {
		t.Fatal(err)
	}
	buf := r.buf
	if !bytes.Contains(buf[:], []byte("secret")) {
		t.Fatal("the plaintext is not where this test looks for it")
	}
	r.Next()
	if bytes.Contains(buf[:], []byte("secret")) {
		t.Error("a pooled buffer holds plaintext")
	}
}

func FuzzReader(f *testing.F) {
	c, s, sealed := pair(f, testKey(f), "hello", "world")
	rs, _ := s.Response()
	f.Add(sealed)
	f.Add(seal(f, rs, "hello", "world"))
	f.Add([]byte{0})
	f.Fuzz(func(t *testing.T, b []byte) {
		c.response = false
		r, err := c.Response(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err == nil && string(got) != "helloworld" {
			t.Fatalf("forged %q", got)
		}
		if h, err := ReadRequestHeader(bytes.NewReader(b)); err == nil {
			testKey(t).Accept(h, Chunked)
		}
	})
}

func FuzzParseKeyConfigs(f *testing.F) {
	f.Add(AppendKeyConfigs(nil, testKey(f).Config().Bytes()))
	f.Add(binary.BigEndian.AppendUint16(nil, 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := ParseKeyConfigs(b)
		if err != nil {
			return
		}
		var again []byte
		for _, c := range l {
			again = AppendKeyConfigs(again, c.Bytes())
		}
		if !bytes.Equal(b, again) {
			t.Fatalf("%x became %x", b, again)
		}
	})
}

func BenchmarkClientSetup(b *testing.B) {
	c := testKey(b).Config()
	b.ReportAllocs()
	for b.Loop() {
		NewClient(c, Chunked)
	}
}

func BenchmarkServerSetup(b *testing.B) {
	k := testKey(b)
	c, _ := NewClient(k.Config(), Chunked)
	h, _ := ReadRequestHeader(bytes.NewReader(c.header))
	b.ReportAllocs()
	for b.Loop() {
		k.Accept(h, Chunked)
	}
}

func BenchmarkParseKeyConfig(b *testing.B) {
	c := testKey(b).Config().Bytes()
	b.ReportAllocs()
	for b.Loop() {
		ParseKeyConfig(c)
	}
}

func BenchmarkResponseSeal(b *testing.B) {
	for name, size := range map[string]int{"64": 64, "16384": MaxChunk} {
		b.Run(name, func(b *testing.B) {
			_, s, _ := pair(b, testKey(b), "")
			rs, _ := s.Response()
			w := NewWriter(io.Discard, rs)
			p := make([]byte, size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				w.Write(p)
			}
		})
	}
}

func BenchmarkResponseOpen(b *testing.B) {
	for name, size := range map[string]int{"64": 64, "16384": MaxChunk} {
		b.Run(name, func(b *testing.B) {
			c, s, _ := pair(b, testKey(b), "")
			rs, _ := s.Response()
			const n = 256
			var sealed []byte
			p := make([]byte, size)
			for range n {
				sealed, _ = rs.Append(sealed, p, false)
			}
			sealed, _ = rs.Append(sealed, nil, true)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if i%n != 0 {
					continue
				}
				c.response = false
				r, _ := c.Response(bytes.NewReader(sealed))
				for {
					if _, _, err := r.Next(); err != nil {
						break
					}
				}
			}
		})
	}
}
