package contracts

import (
	"math/rand/v2"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

// end lets all messages arrive, waits until every fault and question is over, and
// has everybody take what is his. Nothing may be locked, and nothing held for good.
func (c *crossing) end() {
	c.rng = rand.New(rand.NewPCG(c.seed, 2))
	c.slow = 0
	c.tell("the end begins")
	for _, d := range c.nodes {
		d.operator.Refuse = false
	}
	c.attacker.Refuse, c.shifty.Refuse = false, false
	c.drain()
	c.giveBack()
	c.rest(c.start.Params.Unbonding + c.start.Params.AnswerWindow + day)
	if len(c.evidence) != 0 {
		c.t.Errorf("%d faults were not reported", len(c.evidence))
	}
	c.comeBack()
	c.closing = true
	c.goAway()
	c.stopVerifying()
	c.clean()
	c.count()
}

// insist sends a message that must be taken, and lets all arrive.
func (c *crossing) insist(from *tvmtest.Actor, to attestation.Address, value uint64, m bodyMaker) {
	b := c.send(from, to, value, m)
	code := int32(-1)
	c.must(from, b, func(x tvmtest.Delivery, _ *NodeState) { code = x.Tx.ExitCode })
	c.drain()
	if code != 0 {
		c.t.Errorf("in the end %s is refused at %s: %s", opNames[(&tvmtest.Flight{Body: b}).Op()], c.nameOf(to), ErrorName(int(code)))
	}
}

// giveBack has anybody ask about the nodes that are not registered. Then no machine
// has a slot for a node that is not registered there.
func (c *crossing) giveBack() {
	c.pass(pendingTimeout)
	c.drain()
	for _, d := range c.nodes {
		if s := d.state(); s.Epoch > 0 && !d.live() && (s.Pending == nil || c.Now >= s.Pending.RegisteredAt+pendingTimeout) {
			c.insist(c.attacker, d.node, ValueCheck, &Recheck{QueryID: uint64(c.Now)})
		}
	}
	for _, d := range c.nodes {
		for _, id := range c.machines {
			p := c.machineState(id)
			if p == nil || d.state().Pending != nil || d.live() && d.state().Current.Check.PlatformID == id {
				continue
			}
			if slot, ok := p.Holders[d.node]; ok && slot.Expires > c.Now {
				c.t.Errorf("%s is not registered on a machine where it has the slot %+v", d.name, slot)
			}
		}
	}
}

// comeBack demands that honest nodes are registered where the lists say so.
func (c *crossing) comeBack() {
	for _, d := range c.nodes[:2] {
		if d.live() || d.wouldBe() != 0 {
			continue
		}
		d.register(false)
		c.drain()
		if !d.live() {
			c.t.Errorf("%s can't come back: %v", d.name, d.state().Status)
		}
	}
}

// goAway has every operator take his stake, and all take their credits.
func (c *crossing) goAway() {
	c.pass(pendingTimeout)
	c.drain()
	for _, d := range c.nodes {
		if d.live() {
			c.insist(d.operator, d.node, ValueCheck, &Retire{QueryID: uint64(c.Now)})
		}
		d.leaveNothing()
		if s := d.state(); s.Stake > 0 {
			c.insist(d.operator, d.node, ValueSmall, &Unbond{QueryID: uint64(c.Now), Amount: s.Stake})
		}
	}
	c.rest(c.start.Params.Unbonding + mostMore + 1)
	for _, d := range c.nodes {
		for _, a := range []*tvmtest.Actor{d.operator, c.client, c.attacker, c.anybody} {
			if s := d.state(); s.Book.Credits[a.Address] > 0 || a == d.operator && s.Unbonding > 0 {
				c.insist(a, d.node, ValueSmall, &Withdraw{QueryID: uint64(c.Now)})
			}
		}
		s := d.state()
		if s.Protected() != 0 || len(s.Book.Challenges) != 0 {
			c.t.Errorf("%s still holds %d + %d + %d: %+v", d.name, s.Stake, s.Unbonding, s.Owed, s.Book)
		}
		if b := d.Balance(d.node).Uint64(); b > NodeReserveRetired+storageDue {
			c.insist(d.operator, d.node, ValueSmall, &Withdraw{QueryID: uint64(c.Now) + 1, Surplus: b - NodeReserveRetired - storageDue})
		}
	}
}

// leaveNothing has anybody ask about a node that is not registered: then it is off
// the list, and its machine's slot is free.
func (d *dweller) leaveNothing() {
	s := d.state()
	if s.Epoch == 0 {
		return // nobody can ask: time ends its entry
	}
	d.c.insist(d.c.attacker, d.node, ValueCheck, &Recheck{QueryID: uint64(d.Now)})
	if entry, ok := d.c.registry().Nodes[d.node]; ok {
		d.t.Errorf("%s is not registered, its entry in the list is %+v", d.name, entry)
	}
	p := d.c.machineState(s.Current.Check.PlatformID)
	if slot, ok := p.Holders[d.node]; ok && slot.Expires > d.Now {
		d.t.Errorf("%s is not registered and can't give back its slot %+v", d.name, slot)
	}
}

// stopVerifying has those who staked for verifiers take their stakes back.
func (c *crossing) stopVerifying() {
	for i := range c.verifier {
		a := c.verifiersAt[i]
		if s := c.stakeOf(i); s.Stake > 0 && s.Leaving == 0 {
			c.insist(c.stakesFor(i), a, ValueVerifier, &LeaveVerifiers{QueryID: uint64(i)})
		}
	}
	c.rest(30*day + c.start.Params.Unbonding + mostMore)
	for i := range c.verifier {
		a := c.verifiersAt[i]
		for _, who := range []*tvmtest.Actor{c.stakesFor(i), c.client, c.attacker} {
			if s := c.stakeOf(i); s.Credits[who.Address] > 0 || who == c.stakesFor(i) && s.Stake > 0 {
				c.insist(who, a, ValueWithdrawVerifier, &WithdrawVerifier{QueryID: uint64(i)})
			}
		}
		if s := c.stakeOf(i); s.Stake != 0 || s.Owed != 0 {
			c.t.Errorf("verifier %d still holds %+v", i, s)
		}
	}
}

// clean has anybody take nodes off the list that are not registered. No machine
// keeps a slot for them.
func (c *crossing) clean() {
	c.rest(31 * day) // the longest that Root lists a node for
	c.insist(c.anybody, c.root, ValuePrune, &Prune{QueryID: uint64(c.Now), Count: MaxPrune})
	if n := c.registry().Nodes; len(n) != 0 {
		c.t.Errorf("nobody is registered, on the list are %v", n)
	}
	for _, id := range c.machines {
		if p := c.machineState(id); p != nil && c.liveSlots(p) != 0 {
			c.t.Errorf("nobody is registered, slots are held: %v", p.Holders)
		}
	}
}

// count demands that no honest party lost more than fees.
func (c *crossing) count() {
	const fees = 70_000_000 // of any message, more than the dearest
	check := func(name string, a *tvmtest.Actor, fixed uint64) {
		had := map[bool]uint64{true: 10 * initialCoins, false: initialCoins}[a == c.jury]
		if has := a.Balance.Uint64(); has+fees*c.messages[a]+fixed < had {
			c.t.Errorf("%s is honest and lost %d by %d messages", name, had-has, c.messages[a])
		}
	}
	for _, d := range c.nodes {
		if d.honest {
			check(d.name, d.operator, 3*fees+NodeReserveRetired)
		}
	}
	check("the client", c.client, 0)
	check("the jury", c.jury, 4*fees+4*VerifierReserve)
}

// storageDue is more than a node owes for storage since anything happened there.
const storageDue = 10_000_000
