package contracts

import (
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation/receipt"
	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

// allDuties are what the honest do again and again by what they see.
func (c *crossing) allDuties() (next uint32) {
	for _, d := range c.nodes[:2] {
		d.duty()
	}
	c.nodes[2].publish()
	c.nodes[2].answerAll()
	for _, d := range c.nodes[3:] {
		if d.flees && !c.closing {
			d.flee() // as watchful as the honest
		}
	}
	c.doubt()
	c.keep()
	for i := range c.verifier[:3] {
		c.refresh(i)
	}
	if c.closing {
		return 6 * 3600
	}
	return 1800
}

// duty is what an operator and his enclave do.
func (d *dweller) duty() {
	if d.honest && !d.c.closing && d.wantsBoot() {
		d.register(d.c.rng.IntN(2) == 0)
	}
	d.publish()
	d.answerAll()
}

// wantsBoot reports whether an honest operator tries to register now: his
// registration is over or soon will be, the last try has had its time, and
// registry and platform would say yes.
func (d *dweller) wantsBoot() bool {
	s := d.state()
	switch {
	case d.live() && s.Expires > d.Now+2*3600:
		return false
	case s.Pending != nil && d.Now < s.Pending.RegisteredAt+pendingTimeout:
		return false
	case d.wouldBe() != 0:
		return false
	}
	return !d.c.wait("boot "+d.name, 3600)
}

// wouldBe is what registry and platform would say to a registration now: 0 or an
// error code.
func (d *dweller) wouldBe() int {
	root := d.c.registry()
	if !d.tdx {
		v := root.Verifiers
		if v == nil || len(v.Quorum.Keys) < int(v.Quorum.Threshold) {
			return CodeVerifierSet
		}
		d.verifiers = *v
		if root.Measurements[snpMeasurement].Flags&MeasurementAccepted == 0 {
			return CodeMeasurement
		}
	}
	if d.c.machineState(d.machine) == nil {
		return CodeRefused
	}
	return d.allowed()
}

// publish anchors the log if it grew: the node pays if it may, else the operator.
func (d *dweller) publish() {
	s, n := d.state(), len(d.log.leaves)
	if uint64(n) <= s.Anchor.Size || s.Epoch == 0 || d.c.wait("publish "+d.name, 600) {
		return
	}
	m := &AnchorExternal{Anchor: Anchor{s.Epoch, uint64(n), d.log.root(n)}}
	m.Signature = d.signAnchor(m.Anchor)
	d.c.tell("%s anchors size %d in epoch %d", d.name, n, s.Epoch)
	if d.c.rng.IntN(2) == 0 {
		d.SendExternal(d.node, m.Body())
		return
	}
	d.c.send(d.operator, d.node, ValueSmall, internal(m))
}

// answerAll answers every open challenge that a proof can answer.
func (d *dweller) answerAll() {
	book := d.state().Book
	for _, id := range sorted(book.Challenges, compareIDs) {
		proof, ok := d.proofFor(book.Challenges[id])
		if ok && !d.c.wait(fmt.Sprintf("answer %s %x", d.name, id), min(d.c.longest, 3600)) {
			d.c.tell("%s answers challenge %x", d.name, id[:3])
			d.c.send(d.operator, d.node, ValueAnswer, &Answer{Challenge: id, Proof: proof})
		}
	}
}

func holderOf(name string) [32]byte { return receipt.Holder(pub(key(name))) }

// challengeOf asks where a receipt is.
func (d *dweller) challengeOf(p promise, holder string, payout *tvmtest.Actor) *ChallengeReceipt {
	m := &ChallengeReceipt{ChainID: tvmtest.GlobalID, Payout: payout.Address, Head: *p.head}
	m.SignReceipt = [64]byte(ed25519.Sign(receiptKey(p.head.Epoch), p.head.AppendTo(nil)))
	m.Sign(key(holder))
	return m
}

// evidence is a fault that the client can prove.
type evidence struct {
	of       *dweller
	body     bodyMaker
	loss     uint64
	epoch    uint32
	deadline uint32 // from then on the stake behind it may be gone
}

// saw has the client learn of a fault that was committed now.
func (c *crossing) saw(d *dweller, m bodyMaker, loss uint64, epoch uint32) {
	c.tell("%s cheats: %T", d.name, m)
	c.evidence = append(c.evidence, evidence{d, m, loss, epoch, c.Now + c.start.Params.Unbonding})
}

// must has something be checked when a message of a party was delivered.
func (c *crossing) must(from *tvmtest.Actor, body *cell.Cell, check func(tvmtest.Delivery, *NodeState)) {
	c.due[hex.EncodeToString(append(from.Address.AppendTo(nil), body.Hash()...))] = check
}

func (c *crossing) ofDue(d tvmtest.Delivery, before *NodeState) {
	k := hex.EncodeToString(append(d.From.AppendTo(nil), d.Body.Hash()...))
	if check := c.due[k]; check != nil {
		delete(c.due, k)
		check(d, before)
	}
}

// inTime reports whether the client has to move: what he sends must arrive before
// a time, however long it waits.
func (c *crossing) inTime(deadline uint32) bool {
	return c.Now+c.longest+2*1800 > deadline || c.rng.IntN(100) == 0
}

// doubt is the honest client: he reports what he saw, asks where his receipts
// are, and ends what nobody answered.
func (c *crossing) doubt() {
	c.evidence = slices.DeleteFunc(c.evidence, func(e evidence) bool {
		if !c.inTime(e.deadline) {
			return false
		}
		c.punish(e.of, ValueReport, e.body, e.loss, e.epoch)
		return true
	})
	for _, d := range c.nodes {
		c.doubtOf(d)
		book := d.state().Book
		for _, id := range sorted(book.Challenges, compareIDs) {
			lazy := uint32(id[0]) * 180 // the stake waits for him
			if ch := book.Challenges[id]; c.Now > ch.Deadline+lazy && !c.wait(fmt.Sprintf("settle %s %x", d.name, id), c.longest+1) {
				c.punish(d, ValueReport, &Settle{Challenge: id, QueryID: uint64(c.Now)}, ch.Loss, d.challenged[id])
			}
		}
	}
}

// doubtOf asks a node for the client's receipts that are not to be seen.
func (c *crossing) doubtOf(d *dweller) {
	params := c.start.Params
	for i, p := range d.promises {
		if p.holder != "client" || c.Now < p.head.Time+params.MergeDelay || !c.inTime(p.head.Time+params.Unbonding-params.AnswerWindow) {
			continue
		}
		d.promises[i].holder = "asked"
		if uint64(len(d.log.leaves)) > p.head.Index && d.log.leaves[p.head.Index] == p.head.LeafHash() && d.state().Anchor.Size > p.head.Index {
			continue // the tiles show it
		}
		c.tell("the client asks %s for receipt %d", d.name, p.head.Index)
		b := c.send(c.client, d.node, mostBond+ValueChallenge, d.challengeOf(p, "client", c.client))
		c.must(c.client, b, func(x tvmtest.Delivery, before *NodeState) {
			d.hasStakeOf(before, p.head.Epoch)
			switch code := int(x.Tx.ExitCode); {
			case code == 0:
				d.challenged[p.head.LeafHash()] = p.head.Epoch
			case code == CodeNoStake && before.Stake+before.Unbonding == 0:
			case code == CodeOpen || code == CodeSettled: // somebody brought it before
			default:
				c.t.Errorf("the client's question for a receipt is refused: %s", ErrorName(code))
			}
		})
	}
}

// punish sends a message that must cost a node its loss, or what it has.
func (c *crossing) punish(d *dweller, value uint64, m bodyMaker, loss uint64, epoch uint32) {
	c.tell("the client proves a fault of %s", d.name)
	b := c.send(c.client, d.node, value, m)
	c.must(c.client, b, func(x tvmtest.Delivery, before *NodeState) {
		after, have := d.state(), before.Stake+before.Unbonding
		code := int(x.Tx.ExitCode)
		paid := code == CodeSettled || code == CodeNoChallenge // somebody else was faster
		if !paid {
			d.hasStakeOf(before, epoch)
		}
		if code != 0 {
			if nothing := code == CodeNoStake && have == 0; !paid && !nothing {
				c.t.Errorf("a fault is not punished: %s", ErrorName(code))
			}
			return
		}
		if lost := have - after.Stake - after.Unbonding; lost != min(loss, have) {
			c.t.Errorf("a fault cost %d, want %d", lost, min(loss, have))
		}
		if after.Status == StatusActive && c.Now < after.Expires {
			c.t.Error("a node goes on after its fault was proved")
		}
	})
}

// hasStakeOf demands that the stake behind an epoch was still there, but for what
// was lost since.
func (d *dweller) hasStakeOf(s *NodeState, epoch uint32) {
	lost, known := d.before[epoch]
	if have := s.Stake + s.Unbonding + d.slashed - lost; known && have < d.start.Params.MinStake {
		d.t.Errorf("of the stake behind a fault %d are left and lost: the rest escaped", have)
	}
}

// refresh tells Root of an honest verifier whom it does not count.
func (c *crossing) refresh(i int) {
	s, set := c.stakeOf(i), c.registry().Verifiers
	if set == nil || s.Leaving != 0 || s.Stake < c.start.Params.MinStake {
		return
	}
	if _, counted := set.Quorum.Keys[uint8(i)]; counted || c.wait(fmt.Sprint("refresh ", i), 3600) {
		return
	}
	a := c.verifiersAt[i]
	c.send(c.jury, a, ValueVerifier, &RefreshVerifier{})
}
