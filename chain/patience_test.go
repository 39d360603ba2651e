package chain

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// A server is silent when it had its time for one answer, or half of it.
func TestSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, c := range map[string]struct {
			caller, asked time.Duration // when the caller gives up, when the server was asked
			want          bool
		}{
			"the whole time":    {time.Minute, 0, true},
			"half of it":        {time.Minute, 5 * time.Second, true},
			"asked late":        {time.Minute, 6 * time.Second, false},
			"a caller in hurry": {8 * time.Second, 0, false},
		} {
			caller, cancel := context.WithTimeout(t.Context(), c.caller)
			ctx, end := patience(caller, 10*time.Second)
			began := time.Now().Add(c.asked)
			<-ctx.Done()
			if got := silent(ctx, began); got != c.want {
				t.Errorf("%s: silent: %v", name, got)
			}
			end()
			cancel()
		}
	})
}
