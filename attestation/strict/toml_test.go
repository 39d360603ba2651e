package strict

import (
	"strings"
	"testing"
)

type file struct {
	Known string            `toml:"known"`
	Table struct{ N int }   `toml:"table"`
	Map   map[string]string `toml:"map"`
}

func TestTOML(t *testing.T) {
	var f file
	if err := TOML([]byte("known = \"x\"\n[table]\nn = 3\n[map]\n\"a\\tb\" = \"c\"\n"), &f); err != nil || f.Known != "x" || f.Table.N != 3 || f.Map["a\tb"] != "c" {
		t.Errorf("%v, %+v", err, f)
	}
	for text, want := range map[string]string{
		"other = 1":                    "unknown",
		"[other]\nn = 1":               "unknown",
		"\"\\b\" = 0":                  "escapes",
		"[\"\\u0041\"]":                "",
		"known = 1":                    "",
		"known":                        "",
		"known = \"x\"\nknown = \"y\"": "",
	} {
		if err := TOML([]byte(text), new(file)); err == nil || !strings.Contains(strings.ToLower(err.Error()), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// FuzzTOML: no text makes it panic.
func FuzzTOML(f *testing.F) {
	f.Add([]byte("known = \"x\"\n[table]\nn = 3\n"))
	f.Add([]byte("\"\\b\"=0"))
	f.Add([]byte("[[table]]\n\"\\u0041\" . b = [{ c = 1979-05-27T07:32:00Z }]"))
	f.Fuzz(func(t *testing.T, data []byte) { _ = TOML(data, new(file)) })
}
