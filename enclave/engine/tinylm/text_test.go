package tinylm

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestText(t *testing.T) {
	for name, c := range map[string]struct {
		stops, pieces []string
		want          string // what each push gives, then what finish gives
	}{
		"plain":                {nil, []string{"a", "bc"}, "a|bc|"},
		"split character":      {nil, []string{"\xe2", "\x82", "\xacx"}, "||€x|"},
		"incomplete at end":    {nil, []string{"a\xe2\x82"}, "a|\uFFFD"},
		"never a character":    {nil, []string{"\xff\xc3("}, "\uFFFD\uFFFD(|"},
		"interrupted":          {nil, []string{"\xe2\x82", "a"}, "|\uFFFD\uFFFDa|"},
		"stop":                 {[]string{"END"}, []string{"ab", "E", "N", "D", "x"}, "ab||||"},
		"stop inside":          {[]string{"b"}, []string{"abc"}, "a|"},
		"not a stop":           {[]string{"END"}, []string{"aEN", "x"}, "a|ENx|"},
		"start at end":         {[]string{"END"}, []string{"aEN"}, "a|EN"},
		"overlap":              {[]string{"aab"}, []string{"a", "a", "a", "b"}, "||a||"},
		"first of two":         {[]string{"c", "b"}, []string{"abc"}, "a|"},
		"stop of characters":   {[]string{"€"}, []string{"x\xe2", "\x82\xac"}, "x||"},
		"stop at finish":       {[]string{"\uFFFD"}, []string{"a\xe2"}, "a|"},
		"half a character, no": {[]string{"é"}, []string{"\xc3", "\xa8"}, "|è|"},
	} {
		x := text{stops: c.stops}
		var got []string
		stopped := false
		for _, p := range c.pieces {
			var s string
			if !stopped {
				s, stopped = x.push([]byte(p))
				got = append(got, s)
			}
		}
		got = append(got, x.finish())
		if s := strings.Join(got, "|"); s != c.want {
			t.Errorf("%s: %q, want %q", name, s, c.want)
		}
	}
}

// However bytes are cut into tokens, the text is the same: the bytes as UTF-8 up
// to the first stop string, and each part of it is valid.
func FuzzText(f *testing.F) {
	f.Add("a€b日本", "本", uint8(1))
	f.Add("\xff\xe2\x82 END", "END", uint8(3))
	f.Fuzz(func(t *testing.T, s, stop string, size uint8) {
		if stop != "" && !utf8.ValidString(stop) {
			return
		}
		run := func(n int) (out string) {
			x := text{}
			if stop != "" {
				x.stops = []string{stop}
			}
			for rest := s; rest != ""; {
				k := min(n, len(rest))
				part, stopped := x.push([]byte(rest[:k]))
				rest = rest[k:]
				if !utf8.ValidString(part) {
					t.Fatalf("%q is not UTF-8", part)
				}
				if out += part; stopped {
					return out
				}
			}
			return out + x.finish()
		}
		got := run(int(size)%7 + 1)
		if want := run(len(s) + 1); got != want {
			t.Fatalf("%q in pieces, %q at once", got, want)
		}
		if stop != "" && strings.Contains(got, stop) {
			t.Fatalf("%q has the stop string %q", got, stop)
		}
		if stop == "" && utf8.ValidString(s) && got != s {
			t.Fatalf("%q becomes %q", s, got)
		}
	})
}
