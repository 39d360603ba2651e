package contracts

import (
	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
)

// misbehave does what a dishonest operator may try: cheat, and take his stake
// away before anybody proves it.
func (d *dweller) misbehave() {
	c, s := d.c, d.state()
	if s.Pending != nil && d.Now >= s.Pending.RegisteredAt+pendingTimeout && c.rng.IntN(2) == 0 {
		d.register(true) // for what takes so long
		return
	}
	if d.flees && c.rng.IntN(2) == 0 {
		d.flee()
		return
	}
	if s.Stake < c.start.Params.MinStake && c.rng.IntN(3) == 0 {
		c.send(d.operator, d.node, ValueSmall+d.missingStake(), &Stake{})
		return
	}
	if !d.live() && c.rng.IntN(3) == 0 {
		d.register(false)
		return
	}
	switch c.rng.IntN(17) {
	case 16:
		c.sendBody(d.operator, d.node, ValueSmall, plain(opSetProfile, 1).MustStoreRef(build().MustStoreUInt(0, 128).
			MustStoreRef(build().MustStoreUInt(7, uint(c.rng.IntN(20))+3).EndCell()).EndCell()).EndCell(), nil)
	case 0:
		d.publish()
	case 1:
		c.ask(d)
	case 2:
		d.register(false)
	case 3:
		d.register(true)
	case 4:
		d.restart()
	case 5:
		c.send(d.operator, d.node, ValueSmall, &Unbond{Amount: 1 + c.rng.Uint64N(max(s.Stake, 1))})
	case 6:
		c.send(d.operator, d.node, ValueSmall, &Unbond{Amount: max(s.Stake, 1)})
	case 7, 8:
		c.send(d.operator, d.node, ValueSmall, &Withdraw{Surplus: c.rng.Uint64N(2) * c.rng.Uint64N(coin)})
	case 9:
		d.answerAll()
	case 10, 12:
		if d.live() {
			d.fork()
		}
	case 11:
		if d.live() {
			c.saw(d, d.twoReceipts(s.Epoch, c.rng.Uint64N(50)), c.start.Params.ReceiptLoss, s.Epoch)
			d.flees = c.rng.IntN(2) == 0
		}
	case 13:
		c.send(d.operator, d.node, ValueSmall+d.missingStake(), &Stake{})
	case 14:
		d.operator.Refuse = !d.operator.Refuse
		c.tell("%s takes coins: %v", d.name, !d.operator.Refuse)
	case 15: // reports himself, to save a half
		if s.Epoch > 0 {
			c.send(d.operator, d.node, ValueReport, d.twoReceipts(s.Epoch, 1000+c.rng.Uint64N(50)))
		}
	}
}

// fork signs two heads of one size.
func (d *dweller) fork() {
	e := d.state().Epoch
	d.c.saw(d, d.twoHeads(e, 1+d.c.rng.Uint64N(50)), d.c.start.Params.ForkLoss, e)
	d.flees = d.c.rng.IntN(2) == 0
}

// flee is the next step to get a stake away before a fault is proved.
func (d *dweller) flee() {
	c, s := d.c, d.state()
	switch {
	case d.live():
		c.send(d.operator, d.node, ValueCheck, &Retire{})
	case s.Stake > 0:
		c.send(d.operator, d.node, ValueSmall, &Unbond{Amount: s.Stake})
	case s.Unbonding > 0:
		c.send(d.operator, d.node, ValueSmall, &Withdraw{})
	default:
		d.flees = false
	}
}

// attack sends what anybody may: questions without reason, other people's
// messages again, and nonsense.
func (c *crossing) attack(d *dweller) {
	c.attacker.Refuse = c.rng.IntN(4) == 0
	from, to := c.attacker, d.node
	value := c.rng.Uint64N(coin)
	if c.rng.IntN(4) == 0 {
		value = c.rng.Uint64N(2 * ValueSmall) // too little for most
	}
	book := d.state().Book
	switch c.rng.IntN(19) {
	case 14, 15, 16:
		c.forge(value)
	case 17: // gifts
		c.sendBody(from, c.somewhere(), value, build().EndCell(), nil)
	case 18: // takes half the bonds that others would get
		for _, id := range sorted(book.Challenges, compareIDs) {
			if proof, ok := d.proofFor(book.Challenges[id]); ok {
				c.send(from, to, ValueAnswer, &Answer{Challenge: id, Proof: proof})
			}
		}
	case 0:
		if n := len(d.promises); n > 0 {
			if p := d.promises[c.rng.IntN(n)]; p.holder == "attacker" {
				c.send(from, to, value, d.challengeOf(p, "attacker", c.attacker))
			}
		}
	case 1:
		if n := len(d.log.leaves); n > 0 {
			size := 1 + c.rng.IntN(n)
			a := Anchor{d.state().Epoch, uint64(size), d.log.root(size)}
			c.send(from, to, value, &ChallengeLog{Head: SignedHead{a, d.signAnchor(a)}})
		}
	case 2, 3, 4:
		if n := len(c.sent); n > 0 {
			c.sendBody(from, c.somewhere(), value, c.sent[c.rng.IntN(n)], nil)
		}
	case 5:
		c.send(from, to, ValueSmall, &Withdraw{})
	case 6, 7, 8:
		c.send(from, to, ValueCheck, &Recheck{})
	case 9:
		for _, id := range sorted(book.Challenges, compareIDs) {
			c.send(from, to, value, []bodyMaker{&Answer{Challenge: id, Proof: [][32]byte{{1}}}, &Settle{Challenge: id}}[c.rng.IntN(2)])
		}
	case 10:
		m := d.twoHeads(1, 5)
		m.SignB[0] ^= 1
		c.send(from, to, value, m)
	case 11:
		c.send(from, c.root, ValuePrune, &Prune{Start: sha([]byte{byte(c.rng.IntN(256))}), Count: 1 + uint8(c.rng.IntN(MaxPrune))})
	case 12, 13:
		a, si, _ := PlatformAddress(c.root, c.machines[c.rng.IntN(len(c.machines))])
		c.sendBody(from, a, ValueRenew, mustBody(c.t, &RenewPlatform{}), si)
	}
}

// forge has the attacker send what contracts say to each other, or a head that
// somebody anchored.
func (c *crossing) forge(value uint64) {
	if len(c.between) == 0 {
		return
	}
	f := c.between[c.rng.IntN(len(c.between))]
	if c.names[f.From] == "outside" {
		c.tell("the attacker anchors again at %s", c.nameOf(f.To))
		var first *cell.Cell
		if d := c.dwellerAt(f.To); d != nil && c.rng.IntN(2) == 0 {
			_, first, _ = NodeAddress(c.root, d.operator.Address, d.state().Key.Index)
		}
		c.SendExternalInit(f.To, first, f.Body)
		return
	}
	to := f.To
	if c.rng.IntN(3) == 0 {
		to = c.somewhere()
	}
	c.sendBody(c.attacker, to, value, f.Body, nil)
}

// somewhere is any contract.
func (c *crossing) somewhere() attestation.Address {
	all := []attestation.Address{c.root}
	for _, d := range c.nodes {
		all = append(all, d.node, d.node)
	}
	for i := range c.verifier {
		a := c.verifiersAt[i]
		all = append(all, a)
	}
	return all[c.rng.IntN(len(all))]
}
