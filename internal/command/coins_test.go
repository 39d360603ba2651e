package command

import "testing"

func TestCoins(t *testing.T) {
	for nano, want := range map[uint64]string{
		0: "0", 1: "0.000000001", 1e9: "1", 10e9: "10", 1_500_000_000: "1.5", 100e9: "100", 1<<64 - 1: "18446744073.709551615",
	} {
		if got := Coins(nano); got != want {
			t.Errorf("%d: %q, want %q", nano, got, want)
		}
	}
}
