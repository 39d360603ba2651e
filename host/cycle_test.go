package host

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/chain/registry"
)

// TestRenewal: an epoch ends before its registration does, and not long before.
func TestRenewal(t *testing.T) {
	now := time.Now()
	for name, tt := range map[string]struct {
		from, to time.Duration // of the registration, from now
		renew    bool
	}{
		"new":                 {0, 30 * 24 * time.Hour, false},
		"two hours left":      {-29 * 24 * time.Hour, 2 * time.Hour, false},
		"half an hour left":   {-29 * 24 * time.Hour, 30 * time.Minute, true},
		"over":                {-31 * 24 * time.Hour, -time.Hour, true},
		"short, and new":      {0, 10 * time.Minute, false},
		"short, a tenth left": {-10 * time.Minute, time.Minute / 2, true},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		err := new(node).renewal(ctx, registry.Epoch{RegisteredAt: now.Add(tt.from), Expires: now.Add(tt.to)})
		if errors.Is(err, errRenew) != tt.renew || !tt.renew && !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := new(node).renewal(ctx, registry.Epoch{}); errors.Is(err, errRenew) {
		t.Error("an epoch without an end is renewed at once")
	}
}
