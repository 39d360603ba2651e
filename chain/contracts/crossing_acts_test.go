package contracts

import (
	"crypto/ed25519"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/sim"
	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

// act has somebody do something.
func (c *crossing) act() {
	d := c.nodes[c.rng.IntN(len(c.nodes))]
	switch n := c.rng.IntN(100); {
	case n < 16:
		c.ask(d)
	case n < 20:
		d.duty()
	case n < 23:
		c.nodes[c.rng.IntN(3)].restart()
	case n < 40:
		c.nodes[2].wander()
	case n < 72:
		c.nodes[3+c.rng.IntN(2)].misbehave()
	case n < 84:
		c.attack(d)
	case n < 92:
		c.stakeAndLeave()
	default:
		c.decide()
	}
}

// ask gets a receipt of a node for the client or the attacker.
func (c *crossing) ask(d *dweller) {
	if !d.live() || d.state().Anchor.Size+60 < uint64(len(d.log.leaves)) {
		return
	}
	p := promise{holder: "client", kept: d.honest || c.rng.IntN(2) == 0}
	if c.rng.IntN(3) == 0 {
		p.holder = "attacker"
	}
	p.head = d.receiptHead(d.state().Epoch, uint64(len(d.log.leaves)), byte(c.rng.IntN(256)))
	p.head.Holder = holderOf(p.holder)
	d.promises = append(d.promises, p)
	d.flees = d.flees || !p.kept && c.rng.IntN(3) == 0
	if p.kept {
		d.log.add(p.head.LeafHash())
	} else if c.rng.IntN(2) == 0 {
		d.log.add([32]byte{0xbd}) // or whatever comes next takes its place
	}
	c.tell("%s gives a receipt to the %s, index %d, kept: %v", d.name, p.holder, p.head.Index, p.kept)
}

// register sends a registration for the next epoch: of a new boot, or again of the
// last one, which may have been lost.
func (d *dweller) register(again bool) {
	root, s := d.c.registry(), d.state()
	if v := root.Verifiers; !d.tdx && (v == nil || len(v.Quorum.Keys) < int(v.Quorum.Threshold)) {
		return // nobody signs
	}
	h := d.same
	if !again || h == nil || h.Epoch != s.Epoch+1 {
		h = d.heads()
		d.boots++
		h.BodyDigest[1] = d.boots
		d.same = h
	}
	if root.Verifiers != nil {
		d.verifiers = *root.Verifiers
	}
	var m bodyMaker
	switch {
	case d.tdx && s.Epoch%2 == 1 && s.Current != nil && s.Current.Knows(d.says, d.Now) && !again:
		m = d.again(h)
	case d.tdx:
		m = d.registration(h, d.twist(again))
	default:
		m = d.certificate(h, again)
	}
	d.c.tell("%s registers epoch %d, claims %x", d.name, h.Epoch, h.Digest())
	d.c.send(d.operator, d.node, ValueRegister, m)
}

// twist has a rogue show the same claims by another TD.
func (d *dweller) twist(again bool) func(*sim.TD) {
	return func(td *sim.TD) {
		if again && !d.honest {
			td.MRTD[5] = 0x66
		}
	}
}

// certificate is a mode B registration with what the registry's verifiers sign;
// one of another measurement where a dishonest one shows the same claims again.
func (d *dweller) certificate(h *attestation.Heads, again bool) *RegisterQuorum {
	c := NewCertificate(h)
	c.Kind, c.PlatformID, c.Set, c.Measurement = KindSNP, d.machine, d.verifiers.Number, snpMeasurement
	c.Expiry = d.Now + 3600 + d.c.rng.Uint32N(3*day)
	if again && !d.honest {
		c.Measurement[7] = 0x66
	}
	d.query++
	m := &RegisterQuorum{QueryID: d.query, Heads: h, Certificate: c, Verifiers: d.verifiers, Approvals: Approvals{}}
	digest := c.Digest()
	for _, i := range sorted(d.verifiers.Quorum.Keys, compareNumbers[uint8]) {
		if len(m.Approvals) < int(d.verifiers.Quorum.Threshold) {
			m.Approvals[i] = [64]byte(ed25519.Sign(d.verifier[i], digest[:]))
		}
	}
	return m
}

// restart ends a registration and begins the next at once.
func (d *dweller) restart() {
	if d.live() {
		d.c.send(d.operator, d.node, ValueCheck, &Retire{})
	}
	d.register(false)
}

// wander is what an operator does who has no plan and cheats nobody: he moves
// between machines, comes, and goes.
func (d *dweller) wander() {
	c, s := d.c, d.state()
	switch c.rng.IntN(10) {
	case 0, 1, 2:
		d.machine = snpMachines[c.rng.IntN(len(snpMachines))]
		d.register(false)
	case 3:
		d.register(true)
	case 4, 5:
		d.restart()
	case 6:
		c.send(d.operator, d.node, ValueSmall, &Unbond{Amount: 1 + c.rng.Uint64N(max(s.Stake, 1))})
	case 7:
		c.send(d.operator, d.node, ValueSmall, &Withdraw{})
	case 8, 9:
		c.send(d.operator, d.node, ValueSmall+d.missingStake(), &Stake{})
	}
}

// missingStake is what a node lacks to be registered, or a little.
func (d *dweller) missingStake() uint64 {
	least := d.start.Params.MinStake
	if s := d.state(); s.Stake < least {
		return least - s.Stake
	}
	return coin
}

// stakeAndLeave has one who stakes for a verifier come, go, or cheat.
func (c *crossing) stakeAndLeave() {
	i := 2 + c.rng.IntN(2)
	who := c.stakesFor(i)
	a := c.verifiersAt[i]
	switch c.rng.IntN(9) {
	case 0, 1, 2:
		c.send(who, a, c.start.Params.MinStake+ValueStakeVerifier, c.stakeBy(i, who))
	case 3, 4:
		c.send(who, a, ValueVerifier, &LeaveVerifiers{})
	case 5:
		c.send(who, a, ValueWithdrawVerifier, &WithdrawVerifier{})
	case 6, 7:
		c.send(c.attacker, a, ValueVerifier, &RefreshVerifier{})
	case 8:
		c.shifty.Refuse = c.rng.IntN(2) == 0
		if who == c.shifty && c.rng.IntN(4) == 0 {
			c.expectEndOfVerifier(i)
		}
	}
}

// expectEndOfVerifier has the client report two certificates in conflict.
func (c *crossing) expectEndOfVerifier(i int) {
	a := c.verifiersAt[i]
	b := c.send(c.client, a, ValueVerifier, c.conflict(i))
	c.must(c.client, b, func(d tvmtest.Delivery, _ *NodeState) {
		s := c.stakeOf(i)
		if !s.Slashed || s.Stake != 0 {
			c.t.Errorf("after two certificates in conflict a verifier has %d", s.Stake)
		}
	})
}
