package devnet

// QueueLengths is how many messages wait in the queue of each workchain.
func (c *Chain) QueueLengths() (map[int32]int, error) {
	c.mine.Lock()
	defer c.mine.Unlock()
	out := map[int32]int{}
	for w, q := range c.queues {
		kvs, err := q.dict.RangeExtra(false, false)
		if err != nil {
			return nil, err
		}
		if len(kvs) != len(q.items) {
			panic("the queue's dictionary and its list differ")
		}
		out[w] = len(kvs)
	}
	return out, nil
}
