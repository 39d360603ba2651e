package nvidia

import "sync"

// cache keeps up to max values; the oldest goes first. It holds only what
// follows from the bytes that its key is a digest of, and so never goes stale.
// It is safe for concurrent use; a nil cache keeps nothing.
type cache[V any] struct {
	max int

	mu     sync.Mutex
	values map[[32]byte]V // guarded by mu
	order  [][32]byte     // guarded by mu; ring of keys in order of insertion
	next   int            // guarded by mu; where the ring goes on once full
}

func newCache[V any](max int) *cache[V] { return &cache[V]{max: max, values: map[[32]byte]V{}} }

// get returns the value of a key, and makes it when it is not there. Failures
// are not kept. Two callers may make the same value at the same time.
func (c *cache[V]) get(key [32]byte, make func() (V, error)) (V, error) {
	if c == nil {
		return make()
	}
	if v, ok := c.find(key); ok {
		return v, nil
	}
	v, err := make()
	if err == nil {
		c.put(key, v)
	}
	return v, err
}

func (c *cache[V]) find(key [32]byte) (V, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v, ok := c.values[key]
	return v, ok
}

func (c *cache[V]) put(key [32]byte, v V) {
	c.mu.Lock()
	defer c.mu.Unlock()
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
