package contracts

import (
	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

// question is a registration of which Root was asked.
type question struct {
	node   attestation.Address
	epoch  uint32
	lt     uint64 // by which question and answer know each other
	claims [32]byte
	check  Check
	yes    bool
}

// sameCheck compares what Root judges.
func sameCheck(a, b Check) bool { return tvmtest.Equal(a.Cell(), b.Cell()) }

// judgeNode checks what a message did to a node.
func (c *crossing) judgeNode(d *dweller, before *NodeState, x tvmtest.Delivery) {
	after := d.state()
	for _, f := range x.Caused {
		if m, err := ParseCheckRegistration(f.Body); err == nil && f.To == c.root {
			c.asked = append(c.asked, &question{d.node, after.Epoch + 1, m.LT, after.Pending.ClaimsDigest, after.Pending.Check, false})
		}
	}
	if after.Epoch != before.Epoch {
		d.judgeEpoch(before, after)
	} else if before.Status == StatusActive && after.Status != StatusActive {
		d.judgeEnd(before, x)
	}
	if had, has := before.Stake+before.Unbonding, after.Stake+after.Unbonding; has < had && !(x.Op() == opWithdraw && x.Tx.ExitCode == 0) {
		d.slashed += had - has
		if d.honest {
			c.t.Errorf("an honest node lost %d of its stake by %s", had-has, opNames[x.Op()])
		}
	}
	if x.Tx.Action != 0 {
		c.t.Errorf("what a node sends is not sent: %v", *x.Tx)
	}
}

// judgeEpoch demands that Root said yes to exactly what is registered.
func (d *dweller) judgeEpoch(before, after *NodeState) {
	if after.Epoch != before.Epoch+1 || after.Status != StatusActive {
		d.t.Errorf("epoch %d, %v after epoch %d", after.Epoch, after.Status, before.Epoch)
	}
	d.before[after.Epoch] = d.slashed
	for _, q := range d.c.asked {
		if q.yes && q.node == d.node && q.claims == after.Current.ClaimsDigest && sameCheck(q.check, after.Current.Check) {
			return
		}
	}
	d.t.Errorf("registered without a yes of Root: %+v", after.Current.Check)
}

// judgeEnd demands that a registration ends by its operator, by a fault, or by a no
// of Root to it and no other.
func (d *dweller) judgeEnd(before *NodeState, x tvmtest.Delivery) {
	switch x.Op() {
	case opRetire, opReportHeads, opReportReceipts, opSettle:
		return
	}
	if m, err := ParseCurrentChecked(x.Body); err != nil || m.Code == 0 || m.LT != before.Current.LT {
		d.t.Errorf("epoch %d of %s is ended by %s", before.Epoch, d.name, opNames[x.Op()])
	}
}

// judgeRoot notes what Root said yes to.
func (c *crossing) judgeRoot(x tvmtest.Delivery) {
	if m, err := ParseCheckRegistration(x.Body); err == nil && !x.Bounced {
		for _, f := range x.Caused {
			if _, err := ParseClaimSlot(f.Body); err == nil {
				for _, q := range c.asked {
					q.yes = q.yes || q.node == x.From && q.lt == m.LT && sameCheck(q.check, m.Check)
				}
			}
		}
	}
	if x.Tx.Action != 0 {
		c.t.Errorf("what Root sends is not sent: %v", *x.Tx)
	}
}

// judgePlatform demands that a machine passes for no more nodes than it may, but
// for those that had slots when there were more of them.
func (c *crossing) judgePlatform(machine [32]byte, before *PlatformState, x tvmtest.Delivery) {
	if before == nil {
		return
	}
	after := c.machineState(machine)
	if n := c.liveSlots(after); n > int(after.Slots) && n > c.liveSlots(before) {
		c.t.Errorf("a machine with %d slots passes for %d nodes", after.Slots, n)
	}
	if x.Tx.Action != 0 {
		c.t.Errorf("what a platform sends is not sent: %v", *x.Tx)
	}
}

func (c *crossing) liveSlots(p *PlatformState) (n int) {
	for _, s := range p.Holders {
		if s.Expires > c.Now {
			n++
		}
	}
	return n
}

// judgeVerifier demands that a stake leaves only when all is over that the verifier
// could certify while Root counted it, but for what messages waited.
func (c *crossing) judgeVerifier(i int, before *VerifierState, x tvmtest.Delivery) {
	after := c.stakeOf(i)
	if x.Op() == opWithdrawVerifier && after.Stake < before.Stake {
		if over := c.counted[i] + c.start.Params.Unbonding; c.Now+2*c.longest < over {
			c.t.Errorf("the stake of verifier %d left %d s too early", i, over-c.Now)
		}
	}
	if x.Tx.Action != 0 {
		c.t.Errorf("what a verifier sends is not sent: %v", *x.Tx)
	}
}
