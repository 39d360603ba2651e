package main

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
)

func TestCoins(t *testing.T) {
	for s, want := range map[string]uint64{"1": 1e9, "12.5": 125e8, "0.000000001": 1, "9223372036.854775807": 1<<63 - 1} {
		if got, err := coins(s); err != nil || got != want {
			t.Errorf("%s: %d, %v", s, got, err)
		}
	}
	var bad *attestation.InputError
	for _, s := range []string{"", "0", "-1", "+1", "x", "1e999999999", "0x1p999999999", "1/2", "1_0", "1.2.3", ".", "0.0000000001",
		"9223372036.854775808", "18446744073.709551615", strings.Repeat("9", 40)} {
		if got, err := coins(s); !errors.As(err, &bad) {
			t.Errorf("%.20s: %d, %v", s, got, err)
		}
	}
}

// Whoever signs a value sees all of it, and only letters that show.
func TestValueText(t *testing.T) {
	long := `"` + strings.Repeat("ab", 500) + `"`
	for raw, want := range map[string]string{
		"": "", long: long, "{ \"a\":\n  [1] }": `{"a":[1]}`, "\"a\u202eb\u0085\x7f\"": `"a\u202eb\u0085\u007f"`, "{": "",
	} {
		if got := valueText(json.RawMessage(raw)); got != want {
			t.Errorf("%q: %q", raw, got)
		}
	}
}
