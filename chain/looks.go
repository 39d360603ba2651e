package chain

import (
	"context"
	"time"
)

// Looks spaces looks at the chain while something is awaited: soon at first, since
// much is there with the next block, and then every [pollEvery]. The zero value is
// ready; it is for one wait.
type Looks struct{ last time.Duration }

// Waits between looks.
const (
	firstLook = 20 * time.Millisecond
	pollEvery = 200 * time.Millisecond
)

// Next returns how long to wait before the next look.
func (l *Looks) Next() time.Duration {
	l.last = min(max(2*l.last, firstLook), pollEvery)
	return l.last
}

// pause waits until the next look is due.
func (l *Looks) pause(ctx context.Context) error {
	t := time.NewTimer(l.Next())
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
