package endorse

import (
	"bytes"
	"errors"
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
)

func TestRoundTrip(t *testing.T) {
	in := []File{{"b.pem", []byte("2")}, {"a.json", []byte("1")}}
	enc, err := Encode(in)
	if err != nil {
		t.Fatal(err)
	}
	out, err := Parse(enc)
	if err != nil {
		t.Fatal(err)
	}
	if len(out) != 2 || out[0].Name != "a.json" || string(out[1].Data) != "2" {
		t.Errorf("got %v", out)
	}
	if in[0].Name != "b.pem" {
		t.Error("Encode sorted its argument")
	}
}

func TestRefused(t *testing.T) {
	good, _ := Encode([]File{{"a", []byte("1")}, {"b", []byte("2")}})
	cases := map[string][]byte{
		"empty":     nil,
		"truncated": good[:len(good)-1],
		"trailing":  append(bytes.Clone(good), 0),
		"order":     bytes.Replace(bytes.Replace(good, []byte("aab1"), []byte("xx"), 1), []byte("a"), []byte("z"), 1),
		"type":      bytes.Replace(good, []byte("/v1"), []byte("/v2"), 1),
		"same name": bytes.Replace(good, []byte{0x61, 'b'}, []byte{0x61, 'a'}, 1),
		"path":      bytes.Replace(good, []byte{0x61, 'b'}, []byte{0x61, '/'}, 1),
		"hidden":    bytes.Replace(good, []byte{0x61, 'b'}, []byte{0x61, '.'}, 1),
	}
	for name, data := range cases {
		var bad *attestation.InputError
		if _, err := Parse(data); !errors.As(err, &bad) {
			t.Errorf("%s: %v, want an InputError", name, err)
		}
	}
	for name, files := range map[string][]File{
		"no name": {{"", []byte("1")}}, "no data": {{"a", nil}}, "many": make([]File, MaxFiles+1),
	} {
		if _, err := Encode(files); err == nil {
			t.Errorf("%s: encoded", name)
		}
	}
}

func FuzzParse(f *testing.F) {
	good, err := Encode([]File{{"a", []byte("1")}, {"b", []byte("2")}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Fuzz(func(t *testing.T, data []byte) {
		files, err := Parse(data)
		if err != nil {
			return
		}
		again, err := Encode(files)
		if err != nil || !bytes.Equal(again, data) {
			t.Fatalf("parsed, and encodes to something else: %v", err)
		}
	})
}
