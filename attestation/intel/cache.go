package intel

import (
	"sync"
	"time"
)

// cacheKey names what was verified (first half) and under which key (second).
type cacheKey [64]byte

// cache remembers immutable results of verification by the digest of their
// input. It is bounded: when full, the oldest entry goes. An entry whose time
// is over is dropped when somebody asks for it; validity at the time of a check
// is tested by the caller on every use, so the cache can't extend it.
type cache[V any] struct {
	mu    sync.Mutex
	max   int
	m     map[cacheKey]cached[V] // guarded by mu
	order []cacheKey             // guarded by mu: ring of keys, oldest at next
	next  int                    // guarded by mu
}

type cached[V any] struct {
	v       V
	expires time.Time
}

func newCache[V any](max int) *cache[V] {
	return &cache[V]{max: max, m: make(map[cacheKey]cached[V])}
}

func (c *cache[V]) get(k *cacheKey, at time.Time) (V, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.m[*k]
	if ok && at.After(e.expires) {
		delete(c.m, *k)
		ok = false
	}
	if !ok {
		var zero V
		return zero, false
	}
	return e.v, true
}

func (c *cache[V]) put(k *cacheKey, v V, expires time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.m[*k]; !ok {
		if len(c.order) < c.max {
			c.order = append(c.order, *k)
		} else {
			delete(c.m, c.order[c.next])
			c.order[c.next] = *k
			c.next = (c.next + 1) % c.max
		}
	}
	c.m[*k] = cached[V]{v, expires}
}

func (c *cache[V]) len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.m)
}
