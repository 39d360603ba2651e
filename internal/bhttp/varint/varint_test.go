package varint

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

func TestRoundTrip(t *testing.T) {
	for _, v := range []uint64{0, 1, 63, 64, 16383, 16384, 1<<30 - 1, 1 << 30, Max} {
		b := Append(nil, v)
		if len(b) != Len(v) || SizeOf(b[0]) != len(b) {
			t.Errorf("%d: %d bytes, Len says %d, SizeOf %d", v, len(b), Len(v), SizeOf(b[0]))
		}
		got, n, err := Parse(append(b, 0xff))
		if got != v || n != len(b) || err != nil {
			t.Errorf("Parse(%x) = %d, %d, %v", b, got, n, err)
		}
		if got, err := Read(bytes.NewReader(b)); got != v || err != nil {
			t.Errorf("Read(%x) = %d, %v", b, got, err)
		}
		for i := 0; i < len(b); i++ {
			want := io.ErrUnexpectedEOF
			if i == 0 {
				want = io.EOF
			}
			if _, err := Read(bytes.NewReader(b[:i])); err != want {
				t.Errorf("Read of %d of %d bytes: %v", i, len(b), err)
			}
			if _, n, err := Parse(b[:i]); n != 0 || err != nil {
				t.Errorf("Parse of %d of %d bytes: %d, %v", i, len(b), n, err)
			}
		}
	}
}

// The examples of RFC 9000, appendix A.1.
func TestRFC9000(t *testing.T) {
	for _, c := range []struct {
		enc  string
		want uint64
	}{
		{"\xc2\x19\x7c\x5e\xff\x14\xe8\x8c", 151288809941952652},
		{"\x9d\x7f\x3e\x7d", 494878333},
		{"\x7b\xbd", 15293},
		{"\x25", 37},
	} {
		if got, err := Read(bytes.NewReader([]byte(c.enc))); got != c.want || err != nil {
			t.Errorf("%x = %d, %v, want %d", c.enc, got, err, c.want)
		}
	}
}

func TestNotMinimal(t *testing.T) {
	for _, enc := range []string{"\x40\x25", "\x40\x00", "\x80\x00\x00\x25", "\x80\x00\x3f\xff", "\xc0\x00\x00\x00\x3f\xff\xff\xff"} {
		if _, err := Read(bytes.NewReader([]byte(enc))); !errors.Is(err, ErrNotMinimal) {
			t.Errorf("Read(%x): %v", enc, err)
		}
		if _, _, err := Parse([]byte(enc)); !errors.Is(err, ErrNotMinimal) {
			t.Errorf("Parse(%x): %v", enc, err)
		}
	}
}

func TestTooLarge(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic over 2^62-1")
		}
	}()
	Append(nil, Max+1)
}
