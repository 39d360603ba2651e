// Package memo remembers results of verification by the digest of what was
// verified. A result is immutable, so remembering it can't change a verdict:
// validity at the time of a check is tested by the user on every use.
package memo

import (
	"crypto/sha256"
	"sync"
	"time"
)

// Key names what was verified (first half) and under which key (second).
type Key [64]byte

// KeyOf returns the key for raw bytes that were verified under something with a
// digest, zero when nothing.
func KeyOf(raw []byte, under [32]byte) (k Key) {
	d := sha256.Sum256(raw)
	copy(k[:], d[:])
	copy(k[32:], under[:])
	return k
}

// Cache is bounded: when full, the oldest entry goes. An entry whose time is
// over is dropped when somebody asks for it. It is safe for concurrent use. A
// nil cache remembers nothing.
type Cache[V any] struct {
	mu    sync.Mutex
	max   int
	m     map[Key]entry[V] // guarded by mu
	order []Key            // guarded by mu: ring of keys, oldest at next
	next  int              // guarded by mu
}

type entry[V any] struct {
	v       V
	expires time.Time
}

// New returns a cache of at most max entries, at least one.
func New[V any](max int) *Cache[V] {
	return &Cache[V]{max: max, m: make(map[Key]entry[V])}
}

// Get returns the result for k, unless it is unknown or over at the time at.
func (c *Cache[V]) Get(k *Key, at time.Time) (v V, ok bool) {
	if c == nil {
		return v, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.m[*k]
	if ok && at.After(e.expires) {
		delete(c.m, *k)
		ok = false
	}
	if !ok {
		return v, false
	}
	return e.v, true
}

// Put remembers a result until it expires or is the oldest of too many.
func (c *Cache[V]) Put(k *Key, v V, expires time.Time) {
	if c == nil {
		return
	}
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
	c.m[*k] = entry[V]{v, expires}
}

// Len returns the number of entries.
func (c *Cache[V]) Len() int {
	if c == nil {
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.m)
}
