package contracts

import (
	"math/rand/v2"
	"slices"

	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

// step lets some time go by, and then somebody acts or messages arrive.
func (c *crossing) step(i int) {
	c.rng = rand.New(rand.NewPCG(c.seed, uint64(i)+100))
	if c.rng.IntN(12) == 0 {
		c.toMoment()
	} else {
		c.pass(c.someTime())
	}
	if c.rng.IntN(100) < c.deliveries {
		for range 1 + c.rng.IntN(3) {
			c.deliverOne()
		}
		return
	}
	c.act()
	c.check()
}

// deliver delivers the first message of a route, and checks what came of it.
func (c *crossing) deliver(r tvmtest.Route) {
	var node, platform = c.dwellerAt(r.To), c.platformAt(r.To)
	var before *NodeState
	var machine *PlatformState
	if node != nil {
		before = node.state()
	}
	if platform != nil {
		machine = c.machineState(*platform)
	}
	verifier := slices.Index(c.verifiersAt, r.To)
	var staked *VerifierState
	if verifier >= 0 {
		staked = c.stakeOf(verifier)
	}
	d := c.Deliver(r)
	c.tellDelivery(d)
	c.keepForLater(d)
	switch {
	case node != nil:
		c.judgeNode(node, before, d)
	case platform != nil:
		c.judgePlatform(*platform, machine, d)
	case verifier >= 0:
		c.judgeVerifier(verifier, staked, d)
	case r.To == c.root:
		c.judgeRoot(d)
	}
	c.ofDue(d, before)
	c.check()
}

// keepForLater keeps what no party sent, for an attacker.
func (c *crossing) keepForLater(d tvmtest.Delivery) {
	if d.Tx != nil && !d.Bounced && (c.names[d.From] == "outside" || c.Data(d.From) != nil) {
		c.between = append(c.between, d.Flight)
	}
}
