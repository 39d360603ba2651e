package command

import (
	"errors"
	"strings"
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
)

func TestCoins(t *testing.T) {
	for nano, want := range map[uint64]string{
		0: "0", 1: "0.000000001", 1e9: "1", 10e9: "10", 1_500_000_000: "1.5", 100e9: "100", 1<<64 - 1: "18446744073.709551615",
	} {
		if got := Coins(nano); got != want {
			t.Errorf("%d: %q, want %q", nano, got, want)
		}
	}
}

func TestParseCoins(t *testing.T) {
	for s, want := range map[string]uint64{"0": 0, "1": 1e9, "12.5": 125e8, "0.000000001": 1, "9223372036.854775807": 1<<63 - 1} {
		if got, err := ParseCoins(s); err != nil || got != want {
			t.Errorf("%s: %d, %v", s, got, err)
		}
	}
	var bad *attestation.InputError
	for _, s := range []string{"", "-1", "+1", "x", "1e999999999", "0x1p999999999", "1/2", "1_0", "1.2.3", ".", "0.0000000001",
		"9223372036.854775808", "18446744073.709551615", strings.Repeat("9", 40)} {
		if got, err := ParseCoins(s); !errors.As(err, &bad) {
			t.Errorf("%.20s: %d, %v", s, got, err)
		}
	}
}

func TestPrice(t *testing.T) {
	for s, want := range map[string]uint64{"0": 0, "1": 1e12, "0.02": 2e10, "0.000000001": 1000, "0.000000000001": 1, "9223372.036854775807": 1<<63 - 1} {
		if got, err := ParsePrice(s); err != nil || got != want || Price(got) != s {
			t.Errorf("%s: %d, %s, %v", s, got, Price(got), err)
		}
	}
	if got := Price(1<<64 - 1); got != "18446744.073709551615" {
		t.Error(got)
	}
	var bad *attestation.InputError
	for s, want := range map[string]string{"0.0000000000001": "at most twelve decimals", "9223372.036854775808": "at most 9223372.036854775807 coins", "-1": "is not a number", "1e3": "is not a number"} {
		if got, err := ParsePrice(s); !errors.As(err, &bad) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %d, %v", s, got, err)
		}
	}
}

// FuzzParsePrice: what is read is written as the same number.
func FuzzParsePrice(f *testing.F) {
	for _, s := range []string{"0", "12.5", "0.000000000001", "1.", ".5", "9223372.036854775807", "00.10"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := ParsePrice(s)
		if err != nil {
			return
		}
		if again, err := ParsePrice(Price(n)); err != nil || again != n {
			t.Errorf("%q is %d, written %s, read %d, %v", s, n, Price(n), again, err)
		}
	})
}
