package client

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
)

type counter struct {
	proved[int]
	loads atomic.Int64
	fail  atomic.Pointer[error]
	gone  atomic.Bool // the value is not valid any more
}

func newCounter() *counter {
	c := &counter{}
	c.proved = proved[int]{
		now:   time.Now,
		valid: func(*int, time.Time) bool { return !c.gone.Load() },
		load: func(ctx context.Context, _ *int) (*int, error) {
			n := int(c.loads.Add(1))
			time.Sleep(time.Second)
			if err := c.fail.Load(); err != nil {
				return nil, *err
			}
			return &n, nil
		},
	}
	return c
}

// want gets the value and compares it; 0 means that an error is wanted.
func (c *counter) want(t *testing.T, n int) {
	t.Helper()
	v, err := c.get(t.Context())
	switch {
	case n == 0 && err == nil:
		t.Errorf("got %d, want an error", *v)
	case n != 0 && (err != nil || *v != n):
		t.Errorf("got %v, %v, want %d", v, err, n)
	}
}

func TestProved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounter()
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() { c.want(t, 1) }) // callers share one load
		}
		wg.Wait()
		start := time.Now()
		time.Sleep(provedFor/2 - 2*time.Second)
		c.want(t, 1)
		if c.loads.Load() != 1 {
			t.Errorf("%d loads of something fresh", c.loads.Load())
		}
		time.Sleep(2 * time.Second)
		c.want(t, 1) // the old value, and a renewal begins
		if d := time.Since(start); d != provedFor/2 {
			t.Errorf("waited %s for a value that was there", d-provedFor/2)
		}
		time.Sleep(2 * time.Second)
		c.want(t, 2)
		time.Sleep(provedFor)
		c.want(t, 3) // too old: waits
		c.gone.Store(true)
		c.want(t, 4) // not valid: waits
		c.gone.Store(false)
		c.forget()
		c.want(t, 5)
	})
}

// What can't be renewed is used until its time ends, what was found to be false
// is dropped at once.
func TestProvedFails(t *testing.T) {
	for name, test := range map[string]struct {
		err  error
		then int
	}{
		"unknown": {attestation.Unknown("no connection"), 1},
		"false":   {attestation.False("a lie"), 0},
		"refused": {attestation.Refused("revoked"), 0},
		"other":   {errors.New("?"), 0},
		"several": {errors.Join(attestation.Unknown("no connection"), attestation.Refused("revoked")), 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCounter()
				c.want(t, 1)
				c.fail.Store(&test.err)
				time.Sleep(provedFor / 2)
				c.want(t, 1)
				time.Sleep(2 * time.Second)
				c.want(t, test.then)
				time.Sleep(provedFor)
				c.want(t, 0)
			})
		})
	}
}

func TestProvedWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounter()
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		var unknown *attestation.UnknownError
		if _, err := c.get(ctx); !errors.As(err, &unknown) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		c.want(t, 1) // the load went on
		if c.loads.Load() != 1 {
			t.Errorf("%d loads", c.loads.Load())
		}
	})
}
