package nvidia

// Built returns how many chains, certificates and signatures the verifier has
// looked at because it did not know them.
func (v *Verifier) Built() int {
	n := 0
	for _, c := range []interface{ count() int }{v.devices, v.authorities, v.held} {
		n += c.count()
	}
	return n
}

func (c *cache[V]) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.built
}
