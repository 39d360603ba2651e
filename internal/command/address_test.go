package command

import (
	"strings"
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
)

// The addresses are those of TON's documentation.
func TestAddressForms(t *testing.T) {
	const raw = "0:ca6e321c7cce9ecedf0a8ca2492ec8592494aa5fb5ce0387dff96ef6af982a3e"
	want, err := attestation.ParseAddress(raw)
	if err != nil {
		t.Fatal(err)
	}
	const bounceable, plain = "EQDKbjIcfM6ezt8KjKJJLshZJJSqX7XOA4ff-W72r5gqPrHF", "UQDKbjIcfM6ezt8KjKJJLshZJJSqX7XOA4ff-W72r5gqPuwA"
	for _, s := range []string{raw, bounceable, plain, strings.ReplaceAll(bounceable, "-", "+"), Friendly(want, false), Friendly(want, true)} {
		if a, err := ParseAddress(s); err != nil || a != want {
			t.Errorf("%s: %v, %v", s, a, err)
		}
	}
	if got := Friendly(want, true); got != plain {
		t.Errorf("%s, want %s", got, plain)
	}
	master := attestation.Address{Workchain: -1, Hash: want.Hash}
	if a, err := ParseAddress(Friendly(master, true)); err != nil || a != master {
		t.Errorf("%v, %v", a, err)
	}
	for i := range len(plain) {
		bad := []byte(plain)
		bad[i] = 'A' + (bad[i]-'A'+1)%26
		if a, err := ParseAddress(string(bad)); err == nil || attestation.ExitCode(err) != 1 || string(bad) == plain {
			t.Errorf("%s: %v, %v", bad, a, err)
		}
	}
	for _, s := range []string{"", "EQ", plain + "A", plain[1:], plain + "=", "0:12", "foo", ":", strings.Repeat("A", 48)} {
		if a, err := ParseAddress(s); attestation.ExitCode(err) != 1 {
			t.Errorf("%q: %v, %v", s, a, err)
		}
	}
}

func FuzzParseAddress(f *testing.F) {
	f.Add("UQDKbjIcfM6ezt8KjKJJLshZJJSqX7XOA4ff-W72r5gqPuwA")
	f.Add("0:ca6e321c7cce9ecedf0a8ca2492ec8592494aa5fb5ce0387dff96ef6af982a3e")
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseAddress(s)
		if err != nil {
			return
		}
		if b, err := ParseAddress(a.String()); err != nil || a != b {
			t.Errorf("%q: %v, then %v, %v", s, a, b, err)
		}
	})
}
