package strict

import (
	"strings"
	"testing"
)

type file struct {
	Known string            `toml:"known"`
	Table struct{ N int }   `toml:"table"`
	Map   map[string]string `toml:"map"`
	List  []string          `toml:"list"`
	Yes   *bool             `toml:"yes"`
}

func TestTOML(t *testing.T) {
	var f file
	if err := TOML([]byte("known = \"x\"\n[table]\nn = 3\n[map]\n\"a\\tb\" = \"c\"\n"), &f); err != nil || f.Known != "x" || f.Table.N != 3 || f.Map["a\tb"] != "c" {
		t.Errorf("%v, %+v", err, f)
	}
	for text, want := range map[string]string{
		"other = 1":                         "unknown",
		"[other]\nn = 1":                    "unknown",
		"\"\\b\" = 0":                       "escapes",
		"[\"\\u0041\"]":                     "",
		"known = 1":                         "line 1: known: a number where text in quotes is wanted",
		"known = [1]":                       "known: a list where text in quotes is wanted",
		"known = true":                      "line 1: true or false where another value is wanted",
		"\ntable = 3":                       "line 2: table: a number where a table is wanted",
		"[table]\nn = \"x\"":                "line 2: n: text where a number is wanted",
		"[table]\nn = 1.5":                  "line 2: a number with a point where a whole number is wanted",
		"[table]\nn = 99999999999999999999": "line 2: a number that is too large",
		"[map]\na = 3":                      "line 2: ",
		"[known]\na = 1":                    "a table where another value is wanted",
		"list = {}":                         "line 1: a table where another value is wanted",
		"yes = 1":                           "line 1: yes: a number where true or false is wanted",
		"known":                             "line 1: expected = after a key",
		"known = \"x\"\nknown = \"y\"":      "key known is already defined",
	} {
		err := TOML([]byte(text), new(file))
		if err == nil || !strings.Contains(strings.ToLower(err.Error()), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
		if err != nil && (strings.Contains(err.Error(), "struct") || strings.Contains(err.Error(), "toml: ")) {
			t.Errorf("%q: %v", text, err)
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
