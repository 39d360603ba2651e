package contracts

import "slices"

// moments are the times that are near at which something changes by itself: the end
// of a registration, a slot, a window, a delay.
func (c *crossing) moments() (near []uint32) {
	add := func(t uint32) {
		if t > c.Now+1 && t < c.Now+day {
			near = append(near, t)
		}
	}
	root := c.registry()
	for _, p := range root.Proposals {
		add(p.ExecuteAfter)
		add(p.ExecuteBefore)
	}
	for _, n := range root.Nodes {
		add(n.Expires)
	}
	for _, d := range c.nodes {
		s := d.state()
		add(s.Expires)
		add(s.Book.UnbondingAt)
		add(s.AnchorTime + s.AnchorInterval)
		if s.Pending != nil {
			add(s.Pending.RegisteredAt + pendingTimeout)
		}
		for _, ch := range s.Book.Challenges {
			add(ch.Deadline)
		}
		for _, p := range d.promises {
			add(p.head.Time + c.start.Params.MergeDelay)
			add(p.head.Time + c.start.Params.Unbonding - c.start.Params.AnswerWindow)
		}
	}
	for i := range c.verifier {
		add(c.stakeOf(i).LeaveAt)
	}
	for _, id := range c.machines {
		if p := c.machineState(id); p != nil {
			for _, slot := range p.Holders {
				add(slot.Expires)
			}
		}
	}
	slices.Sort(near)
	return near
}

// toMoment lets time go by until a second before such a moment, to it, or a second
// after it.
func (c *crossing) toMoment() {
	if near := c.moments(); len(near) > 0 {
		c.pass(near[c.rng.IntN(len(near))] - 1 + c.rng.Uint32N(3) - c.Now)
	}
}
