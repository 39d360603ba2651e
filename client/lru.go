package client

import "container/list"

// lru keeps what was used last, at most so many entries and so much of what they
// cost. The zero value keeps nothing. Not safe for concurrent use.
type lru[K comparable, V any] struct {
	entries, cost int // limits

	used  int
	order list.List // of *lruEntry, last used first
	found map[K]*list.Element
}

type lruEntry[K comparable, V any] struct {
	key   K
	value V
	cost  int
}

func newLRU[K comparable, V any](entries, cost int) lru[K, V] {
	return lru[K, V]{entries: entries, cost: cost, found: map[K]*list.Element{}}
}

// get returns what is kept under a key.
func (c *lru[K, V]) get(k K) (v V, ok bool) {
	e, ok := c.found[k]
	if !ok {
		return v, false
	}
	c.order.MoveToFront(e)
	return e.Value.(*lruEntry[K, V]).value, true
}

// put keeps a value, in place of another under its key. Something that costs more
// than all may is not kept.
func (c *lru[K, V]) put(k K, v V, cost int) {
	c.remove(k)
	if cost > c.cost || c.entries < 1 {
		return
	}
	for len(c.found) >= c.entries || c.used+cost > c.cost {
		c.remove(c.order.Back().Value.(*lruEntry[K, V]).key)
	}
	c.found[k] = c.order.PushFront(&lruEntry[K, V]{k, v, cost})
	c.used += cost
}

func (c *lru[K, V]) remove(k K) {
	if e, ok := c.found[k]; ok {
		c.used -= e.Value.(*lruEntry[K, V]).cost
		c.order.Remove(e)
		delete(c.found, k)
	}
}

func (c *lru[K, V]) len() int { return len(c.found) }
