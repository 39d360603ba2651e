package nvidia

import (
	"errors"
	"sync"
)

// cache keeps up to max values; the oldest goes first. It holds only what
// follows from the bytes that its key is a digest of, and so never goes stale.
// It is safe for concurrent use; a nil cache keeps nothing.
type cache[V any] struct {
	max int

	mu     sync.Mutex
	values map[[32]byte]V          // guarded by mu
	order  [][32]byte              // guarded by mu; ring of keys in order of insertion
	next   int                     // guarded by mu; where the ring goes on once full
	making map[[32]byte]*making[V] // guarded by mu; what somebody makes at the moment
	built  int                     // guarded by mu; how often something was made
}

// making is a value that is being made. Others may read it once done is closed.
type making[V any] struct {
	done chan struct{}
	v    V
	err  error
}

func newCache[V any](max int) *cache[V] {
	return &cache[V]{max: max, values: map[[32]byte]V{}, making: map[[32]byte]*making[V]{}}
}

// get returns the value of a key, and makes it when it is not there. Who asks for
// a value that somebody makes waits for it, and gets the same result. Failures
// are not kept.
func (c *cache[V]) get(key [32]byte, build func() (V, error)) (V, error) {
	if c == nil {
		return build()
	}
	c.mu.Lock()
	if v, ok := c.values[key]; ok {
		c.mu.Unlock()
		return v, nil
	}
	if m := c.making[key]; m != nil {
		c.mu.Unlock()
		<-m.done
		return m.v, m.err
	}
	m := &making[V]{done: make(chan struct{})}
	c.making[key] = m
	c.built++
	c.mu.Unlock()
	defer c.made(key, m)
	m.err = errUnmade // for those who wait, should build panic
	m.v, m.err = build()
	return m.v, m.err
}

var errUnmade = errors.New("another verification of the same bytes broke off")

// made ends the wait of others, and keeps what is good.
func (c *cache[V]) made(key [32]byte, m *making[V]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.making, key)
	if m.err == nil {
		c.put(key, m.v)
	}
	close(m.done)
}

// put keeps a value; the caller holds mu.
func (c *cache[V]) put(key [32]byte, v V) {
	if _, ok := c.values[key]; !ok {
		if len(c.order) < c.max {
			c.order = append(c.order, key)
		} else {
			delete(c.values, c.order[c.next])
			c.order[c.next] = key
			c.next = (c.next + 1) % c.max
		}
	}
	c.values[key] = v
}

func (c *cache[V]) len() int {
	if c == nil {
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.values)
}

// memo remembers which checks held: signatures, above all.
type memo = cache[struct{}]

// once runs a check unless it is known to hold.
func once(m *memo, key [32]byte, check func() error) error {
	_, err := m.get(key, func() (struct{}, error) { return struct{}{}, check() })
	return err
}
