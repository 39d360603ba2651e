package sealed

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

func FuzzFrame(f *testing.F) {
	f.Add(refFrame([]byte("data"), 0), false)
	f.Add(refFrame(nil, 16384), true)
	f.Add([]byte{0, 200, 63: 0}, false)
	f.Fuzz(func(t *testing.T, b []byte, last bool) {
		data, err := unpad(bytes.Clone(b), last)
		if err != nil {
			return
		}
		if len(data) == 0 && !last || !isBucket(len(b)) {
			t.Fatalf("accepted %x", b)
		}
		if !bytes.Equal(refFrame(data, len(b)), b) {
			t.Fatalf("%x is another encoding of %x", b, data)
		}
		if len(b) == bucket(len(data)) {
			room := make([]byte, MaxFrame)
			n := copy(room[lengthSize:], data)
			if !bytes.Equal(pad(room[:lengthSize+n]), b) {
				t.Fatalf("%x is padded to something else", data)
			}
		}
	})
}

// FuzzOpen opens what anybody may send.
func FuzzOpen(f *testing.F) {
	k := seeded(f, make([]byte, 32), 0)
	good := sealRequest(f, exchange(f, k), []byte("content"))
	f.Add(good)
	f.Add(good[:1127+40])
	f.Add(append(bytes.Clone(good), 0))
	f.Add([]byte{0, 0x64, 0x7a, 0, 1, 0, 2})
	f.Fuzz(func(t *testing.T, b []byte) {
		in, err := fresh(k).Open(context.Background(), now, bytes.NewReader(b))
		if err != nil {
			if s := Status(err); s < 400 || s > 499 {
				t.Fatalf("status %d for %v", s, err)
			}
			return
		}
		if text, err := io.ReadAll(in.Request.Body); err == nil && string(text) != "content" {
			t.Fatalf("forged %q", text)
		}
	})
}

// FuzzRequest reads what an authentic client may send.
func FuzzRequest(f *testing.F) {
	d := strings.Repeat("0a", 32)
	head := refHead("POST", "", "/x?y", FieldClaims, d, FieldHolder, d, "accept", "a", "cookie", "x")
	f.Add(append(head, 1, 'a', 0, 0))
	f.Add(slices.Concat(head, []byte{0}, bstr("a"), bstr("b"), []byte{0}))
	f.Add([]byte("\x00\x03GET\x05https\x00\x01/\x41")) // of known length
	f.Fuzz(func(t *testing.T, b []byte) {
		in := new(Inbound)
		if err := requestError(in.read(context.Background(), bytes.NewReader(b), 100)); err != nil {
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrTooLarge) {
				t.Fatalf("%v", err)
			}
			return
		}
		checkFields(t, in.Request.Header, RequestField)
		if in.Request.Header.Get(FieldClaims) != "" || in.Request.Header.Get(FieldHolder) != "" || in.Request.Host != "" || len(in.Holder) != 32 {
			t.Fatalf("%v", in.Request.Header)
		}
		if text, err := io.ReadAll(in.Request.Body); len(text) > 100 || len(in.Request.Trailer) > 0 || err != nil && !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrTooLarge) {
			t.Fatalf("%d bytes, trailer %v, %v", len(text), in.Request.Trailer, err)
		}
	})
}

// FuzzAnswer opens what an authentic enclave may answer, in two frames.
func FuzzAnswer(f *testing.F) {
	head := slices.Concat([]byte{3, 0x40, 200}, bstr("content-type"), bstr("a"), bstr("etag"), bstr("b"), []byte{0})
	f.Add(refFrame(head, 0), refFrame([]byte{1, 'a', 0, 0}, 0))
	f.Add(refFrame(slices.Concat([]byte{3, 100, 0}, head, []byte{0}, bstr("date"), bstr("x"), []byte{0}), 0), refFrame(nil, 0))
	f.Add(refFrame([]byte{1, 0x41, 0xa5, 0, 1, 'a'}, 0), refFrame(nil, 0))
	k := seeded(f, make([]byte, 32), 0)
	x := exchange(f, k)
	req := sealRequest(f, x, nil)
	secret, err := open(f, k, req).server.Export(refResponseLabel, 32)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		if len(a) == 0 || len(a) > MaxFrame || len(b) > MaxFrame {
			return
		}
		msg, err := refSealResponse(secret, req[7:1127], make([]byte, 32), a, b)
		if err != nil {
			t.Fatal(err)
		}
		res, err := again(x).Response(bytes.NewReader(msg))
		if err == nil {
			checkFields(t, res.Header, ResponseField)
			if _, err = io.ReadAll(res.Body); err == nil {
				checkFields(t, res.Trailer, ResponseField)
			} else if len(res.Trailer) > 0 {
				t.Fatalf("trailer %v of a bad answer", res.Trailer)
			}
		}
		if err != nil && !isInput(err) && !isUnknown(err) {
			t.Fatalf("%v", err)
		}
	})
}

func checkFields(t *testing.T, h http.Header, pass func(string) bool) {
	for name := range h {
		if !pass(strings.ToLower(name)) {
			t.Fatalf("field %s passed", name)
		}
	}
}

// One exchange of 1 KB each way, both ends, without HTTP around it.
func BenchmarkExchange(b *testing.B) {
	k := newKeyring(b, KeyringConfig{})
	content := noise(1 << 10)
	var setup, seal, opening, answer, read time.Duration
	lap := func(d *time.Duration, from time.Time) time.Time {
		t := time.Now()
		*d += t.Sub(from)
		return t
	}
	b.ReportAllocs()
	for b.Loop() {
		t := time.Now()
		x := exchange(b, k)
		t = lap(&setup, t)
		msg := sealRequest(b, x, content)
		t = lap(&seal, t)
		in := open(b, k, msg)
		if _, err := io.Copy(io.Discard, in.Request.Body); err != nil {
			b.Fatal(err)
		}
		t = lap(&opening, t)
		ans := answerWith(b, in, string(content))
		t = lap(&answer, t)
		if _, _, err := readAnswer(x, ans); err != nil {
			b.Fatal(err)
		}
		lap(&read, t)
	}
	for name, d := range map[string]time.Duration{"prepare": setup, "seal": seal, "open": opening, "answer": answer, "read": read} {
		b.ReportMetric(float64(d.Nanoseconds())/float64(b.N), name+"-ns/op")
	}
}

// One token of a stream: a write of 40 bytes, sealed in a frame of its own.
func BenchmarkFrameSeal(b *testing.B) {
	r, _ := newReply(b, io.Discard, nil)
	if err := r.WriteHeader(200, nil); err != nil {
		b.Fatal(err)
	}
	p := noise(40)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Write(p); err != nil {
			b.Fatal(err)
		}
	}
}

// The same at the client.
func BenchmarkFrameOpen(b *testing.B) {
	const frames = 10_000
	var f framesOf
	r, x := newReply(b, &f, nil)
	if err := r.WriteHeader(200, nil); err != nil {
		b.Fatal(err)
	}
	p := noise(40)
	for range frames {
		if _, err := r.Write(p); err != nil {
			b.Fatal(err)
		}
	}
	if err := r.Close(nil); err != nil {
		b.Fatal(err)
	}
	var body io.Reader
	buf := make([]byte, 100)
	left := 0
	b.ReportAllocs()
	for b.Loop() {
		if left == 0 {
			res, err := again(x).Response(bytes.NewReader(f.b.Bytes()))
			if err != nil {
				b.Fatal(err)
			}
			body, left = res.Body, frames
		}
		if _, err := body.Read(buf); err != nil {
			b.Fatal(err)
		}
		left--
	}
}

// A long answer in frames of 16 KiB.
func BenchmarkBulkAnswer(b *testing.B) {
	content := string(noise(1 << 20))
	k := newKeyring(b, KeyringConfig{})
	b.SetBytes(1 << 20)
	b.ReportAllocs()
	for b.Loop() {
		x := exchange(b, k)
		if _, _, err := readAnswer(x, answerWith(b, open(b, k, sealRequest(b, x, nil)), content)); err != nil {
			b.Fatal(err)
		}
	}
}
