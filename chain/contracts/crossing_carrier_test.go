package contracts

import (
	"encoding/binary"
	"math/rand/v2"

	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

// carrier decides when messages of a world arrive that holds them.
type carrier struct {
	world   *tvmtest.World
	seed    uint64
	rng     *rand.Rand          // of the step that is under way
	longest uint32              // s; no message waits longer
	slow    uint64              // of 100 routes, for a while
	arrive  func(tvmtest.Route) // delivers the first message of a route, and checks what came of it
	beat    uint32              // when the honest look again
	duties  func() uint32       // what they do then; s until the next time
}

// pass lets time go by. What has waited for the longest time arrives, and the
// honest do their duties.
func (c *carrier) pass(time uint32) {
	for until := c.world.Now + time; ; {
		oldest, at := c.beat, -1
		waiting := c.world.Waiting()
		for i, f := range waiting {
			if e := f.Sent + c.longest; e < oldest {
				oldest, at = e, i
			}
		}
		if oldest > until {
			c.world.Now = until
			return
		}
		c.world.Now = max(c.world.Now, oldest)
		if at >= 0 {
			c.arrive(waiting[at].Route)
			continue
		}
		c.beat = c.world.Now + c.duties()
	}
}

// someTime is mostly nothing, and sometimes longer than anything waits.
func (c *carrier) someTime() uint32 {
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

// isSlow reports whether a route is one of those on which nothing arrives for a
// while, but what must.
func (c *carrier) isSlow(r tvmtest.Route) bool {
	return routeHash(r, c.seed+uint64(c.world.Now/3000))%100 < c.slow
}

func routeHash(r tvmtest.Route, salt uint64) uint64 {
	b := binary.BigEndian.AppendUint64(r.From.AppendTo(nil), salt)
	h := sha(r.To.AppendTo(b))
	return binary.BigEndian.Uint64(h[:])
}

// deliverOne delivers the first message of a random route. Which one depends as
// little as may be on what else is there: so a story survives that parts are cut.
func (c *carrier) deliverOne() {
	salt, best := c.rng.Uint64(), uint64(0)
	var route *tvmtest.Route
	for _, f := range c.world.Waiting() {
		if h := routeHash(f.Route, salt); h >= best && !c.isSlow(f.Route) {
			best, route = h, &f.Route
		}
	}
	if route != nil {
		c.arrive(*route)
	}
}

// drain delivers all that waits and what follows, in random order.
func (c *carrier) drain() {
	for {
		w := c.world.Waiting()
		if len(w) == 0 {
			return
		}
		c.arrive(w[c.rng.IntN(len(w))].Route)
	}
}

// rest lets time go by; all that is sent meanwhile arrives.
func (c *carrier) rest(time uint32) {
	for end := c.world.Now + time; c.world.Now < end; {
		c.pass(min(6*3600, end-c.world.Now))
		c.drain()
	}
}
