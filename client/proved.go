package client

import (
	"context"
	"sync"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
)

// proved keeps something that was proved a moment ago. Until half of [provedFor]
// it is used as it is; then the next caller also starts its renewal; after all
// of it callers wait. Callers share one renewal. A renewal that fails drops what
// was kept, unless it only could not find out.
type proved[T any] struct {
	now   func() time.Time
	load  func(ctx context.Context, old *T) (*T, error)
	valid func(*T, time.Time) bool // besides its age

	mu      sync.Mutex
	value   *T
	at      time.Time
	renewal *renewal[T]
}

// renewal is one load under way.
type renewal[T any] struct {
	done  chan struct{}
	value *T
	err   error
}

// exitUnknown is the exit code of what only could not be found out.
const exitUnknown = 3

// provedFor is how long what the chain proved is used again.
const provedFor = 30 * time.Second

func (p *proved[T]) get(ctx context.Context) (*T, error) {
	p.mu.Lock()
	now := p.now()
	age := now.Sub(p.at)
	good := p.value != nil && age >= 0 && age < provedFor && p.valid(p.value, now)
	value, r := p.value, p.renewal
	if r == nil && (!good || age >= provedFor/2) {
		r = &renewal[T]{done: make(chan struct{})}
		p.renewal = r
		go p.renew(context.WithoutCancel(ctx), r, value)
	}
	p.mu.Unlock()
	if good {
		return value, nil
	}
	select {
	case <-r.done:
		return r.value, r.err
	case <-ctx.Done():
		return nil, attestation.Unknown("waiting for proofs of the chain: %w", ctx.Err())
	}
}

func (p *proved[T]) renew(ctx context.Context, r *renewal[T], old *T) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	began := p.now()
	r.value, r.err = p.load(ctx, old)
	p.mu.Lock()
	defer p.mu.Unlock()
	close(r.done)
	if p.renewal != r {
		return // forgotten meanwhile: it may rest on what was forgotten
	}
	p.renewal = nil
	if r.err == nil {
		p.value, p.at = r.value, began
	} else if attestation.ExitCode(r.err) != exitUnknown { // of several reasons the worst counts
		p.value = nil
	}
}

// forget makes the next caller wait for a renewal that uses nothing of what was
// kept, and returns that.
func (p *proved[T]) forget() *T {
	p.mu.Lock()
	defer p.mu.Unlock()
	old := p.value
	p.value, p.renewal = nil, nil
	return old
}
