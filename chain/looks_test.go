package chain

import (
	"slices"
	"testing"
	"time"
)

func TestLooks(t *testing.T) {
	var l Looks
	var got []time.Duration
	for range 6 {
		got = append(got, l.Next()/time.Millisecond)
	}
	if want := []time.Duration{20, 40, 80, 160, 200, 200}; !slices.Equal(got, want) {
		t.Errorf("%v ms, want %v", got, want)
	}
}
