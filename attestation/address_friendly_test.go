package attestation

import (
	"encoding/base64"
	"encoding/binary"
	"strings"
	"testing"
)

// tagged is a friendly address with any tag, whose checksum holds.
func tagged(tag byte) string {
	b := append([]byte{tag}, make([]byte, 33)...)
	return base64.RawURLEncoding.EncodeToString(binary.BigEndian.AppendUint16(b, crc16(b)))
}

// The addresses are those of TEP-2 (the root DNS) and of TON's documentation, and the check
// value of the checksum is that of its catalogue.
func TestFriendlyAddress(t *testing.T) {
	if crc := crc16([]byte("123456789")); crc != 0x31c3 {
		t.Errorf("checksum %#x", crc)
	}
	for _, tt := range []struct {
		raw, bounceable, plain string
	}{
		{"-1:e56754f83426f69b09267bd876ac97c44821345b7e266bd956a7bfbfb98df35c", "Ef_lZ1T4NCb2mwkme9h2rJfESCE0W34ma9lWp7-_uY3zXDvq", "Uf_lZ1T4NCb2mwkme9h2rJfESCE0W34ma9lWp7-_uY3zXGYv"},
		{"0:ca6e321c7cce9ecedf0a8ca2492ec8592494aa5fb5ce0387dff96ef6af982a3e", "EQDKbjIcfM6ezt8KjKJJLshZJJSqX7XOA4ff-W72r5gqPrHF", "UQDKbjIcfM6ezt8KjKJJLshZJJSqX7XOA4ff-W72r5gqPuwA"},
	} {
		want, err := ParseAddress(tt.raw)
		if err != nil {
			t.Fatal(err)
		}
		if got := want.Friendly(true, false); got != tt.bounceable {
			t.Errorf("%s: %s", tt.raw, got)
		}
		if got := want.Friendly(false, false); got != tt.plain {
			t.Errorf("%s: %s", tt.raw, got)
		}
		for _, s := range []string{tt.bounceable, tt.plain, strings.NewReplacer("-", "+", "_", "/").Replace(tt.plain)} {
			if a, test, err := ParseFriendlyAddress(s); err != nil || a != want || test {
				t.Errorf("%s: %v, %v, %v", s, a, test, err)
			}
		}
		for _, s := range []string{want.Friendly(false, true), want.Friendly(true, true)} {
			if a, test, err := ParseFriendlyAddress(s); err != nil || a != want || !test {
				t.Errorf("%s: %v, %v, %v", s, a, test, err)
			}
		}
	}
	far := Address{Workchain: 128}
	if got := far.Friendly(true, false); got != far.String() {
		t.Error(got)
	}
}

func TestFriendlyAddressRefused(t *testing.T) {
	const good = "Ef_lZ1T4NCb2mwkme9h2rJfESCE0W34ma9lWp7-_uY3zXDvq"
	for s, want := range map[string]string{
		"": "want 0: and 64", good + "A": "want 0: and 64", good[1:]: "want 0: and 64", good + "=": "want 0: and 64", " " + good: "want 0: and 64", good + "\n": "want 0: and 64",
		good[:47] + "\n":                   "want 0: and 64",
		good[:44] + "\r\n\r\n":             "want 0: and 64",
		good[:47] + "=":                    "not of base64url",
		good[:47] + " ":                    "not of base64url",
		strings.Replace(good, "_", "/", 1): "nor all of base64", // two alphabets
		good[:47] + "r":                    "checksum",
		strings.ToLower(good):              "checksum",
		tagged(0x10):                       "tag 0x10",
		tagged(0x91 | 0x20):                "tag 0xb1",
		"Pubjns2gp7DGCnEH7EOWeCnb6Lw1akm538YYaz6sdLVHfRB2": "tag 0x3e", // a public key (TEP-2)
	} {
		if a, _, err := ParseFriendlyAddress(s); ExitCode(err) != 1 || !strings.Contains(err.Error(), want) || !a.IsZero() {
			t.Errorf("%q: %v, %v", s, a, err)
		}
	}
	for i := range len(good) { // one letter is wrong
		for _, c := range "AZaz09-_" {
			if bad := good[:i] + string(c) + good[i+1:]; bad != good {
				if a, _, err := ParseFriendlyAddress(bad); err == nil {
					t.Errorf("%s: %v", bad, a)
				}
			}
		}
	}
}

func FuzzParseFriendlyAddress(f *testing.F) {
	for _, s := range []string{"Ef_lZ1T4NCb2mwkme9h2rJfESCE0W34ma9lWp7-_uY3zXDvq", "Ef/lZ1T4NCb2mwkme9h2rJfESCE0W34ma9lWp7+/uY3zXDvq", tagged(0x91), tagged(0x51), tagged(0xff)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, test, err := ParseFriendlyAddress(s)
		if err != nil {
			return
		}
		canonical := strings.NewReplacer("+", "-", "/", "_").Replace(s)
		if canonical != a.Friendly(true, test) && canonical != a.Friendly(false, test) {
			t.Errorf("%q is %v, written %s", s, a, a.Friendly(true, test))
		}
	})
}
