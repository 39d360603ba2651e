package main

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
)

func TestCoins(t *testing.T) {
	for s, want := range map[string]uint64{"1": 1e9, "12.5": 125e8} {
		if got, err := coins(s); err != nil || got != want {
			t.Errorf("%s: %d, %v", s, got, err)
		}
	}
	var bad *attestation.InputError
	for _, s := range []string{"", "0", "0.0", "-1"} {
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
