package devnet

// stall is how the basechain is held back.
type stall struct{ on, late bool }

// StallShard makes the basechain stall while the masterchain goes on: its blocks
// keep the time of the last one and hold no transactions. When it ends, the next
// block still has that time and takes what waited: as if the masterchain had
// registered it late.
func (c *Chain) StallShard(on bool) {
	c.mine.Lock()
	defer c.mine.Unlock()
	c.stall.late = c.stall.late || c.stall.on && !on
	c.stall.on = on
}

// next returns time and room of the next basechain block, after one of a time.
func (s *stall) next(before, now uint32, room int) (uint32, int) {
	switch {
	case s.on:
		return before, 0
	case s.late:
		s.late = false
		return before, room
	}
	return now, room
}
