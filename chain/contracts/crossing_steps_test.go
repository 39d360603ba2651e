package contracts

import (
	"encoding/binary"
	"math/rand/v2"

	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

// step lets some time go by, and then somebody acts or messages arrive.
func (c *crossing) step(i int) {
	c.rng = rand.New(rand.NewPCG(c.seed, uint64(i)+100))
	c.pass(c.someTime())
	if c.rng.IntN(100) < c.deliveries {
		for range 1 + c.rng.IntN(3) {
			c.deliverOne()
		}
		return
	}
	c.act()
	c.check()
}

// someTime is mostly nothing, and sometimes longer than anything waits.
func (c *crossing) someTime() uint32 {
	switch n := c.rng.IntN(100); {
	case n < 50:
		return 0
	case n < 78:
		return c.rng.Uint32N(30)
	case n < 90:
		return c.rng.Uint32N(900)
	case n < 96:
		return c.rng.Uint32N(2 * 3600)
	}
	return c.rng.Uint32N(day / 2)
}

// pass lets time go by. What has waited for the longest time arrives, and the
// honest do their duties every half hour.
func (c *crossing) pass(time uint32) {
	for until := c.Now + time; ; {
		oldest, at := c.beat, -1
		waiting := c.Waiting()
		for i, f := range waiting {
			if e := f.Sent + c.longest; e < oldest {
				oldest, at = e, i
			}
		}
		if oldest > until {
			c.Now = until
			return
		}
		c.Now = max(c.Now, oldest)
		if at >= 0 {
			c.arrive(waiting[at].Route)
			continue
		}
		c.beat = c.Now + 1800
		if c.closing {
			c.beat = c.Now + 6*3600
		}
		c.duties()
	}
}

// isSlow reports whether a route is one of those on which nothing arrives for a
// while, but what must.
func (c *crossing) isSlow(r tvmtest.Route) bool {
	return routeHash(r, c.seed+uint64(c.Now/3000))%100 < c.slow
}

func routeHash(r tvmtest.Route, salt uint64) uint64 {
	b := binary.BigEndian.AppendUint64(r.From.AppendTo(nil), salt)
	h := sha(r.To.AppendTo(b))
	return binary.BigEndian.Uint64(h[:])
}

// deliverOne delivers the first message of a random route. Which one depends as
// little as may be on what else is there: so a story survives that parts are cut.
func (c *crossing) deliverOne() {
	salt, best := c.rng.Uint64(), uint64(0)
	var route *tvmtest.Route
	for _, f := range c.Waiting() {
		if h := routeHash(f.Route, salt); h >= best && !c.isSlow(f.Route) {
			best, route = h, &f.Route
		}
	}
	if route != nil {
		c.arrive(*route)
	}
}

// arrive delivers the first message of a route, and checks what came of it.
func (c *crossing) arrive(r tvmtest.Route) {
	var node, platform = c.dwellerAt(r.To), c.platformAt(r.To)
	var before *NodeState
	var machine *PlatformState
	if node != nil {
		before = node.state()
	}
	if platform != nil {
		machine = c.machineState(*platform)
	}
	d := c.Deliver(r)
	c.tellDelivery(d)
	switch {
	case node != nil:
		c.judgeNode(node, before, d)
	case platform != nil:
		c.judgePlatform(*platform, machine, d)
	case r.To == c.root:
		c.judgeRoot(d)
	}
	c.ofDue(d, before)
	c.check()
}

// drain delivers all that waits and what follows, in random order.
func (c *crossing) drain() {
	for {
		w := c.Waiting()
		if len(w) == 0 {
			return
		}
		c.arrive(w[c.rng.IntN(len(w))].Route)
	}
}
