package contracts

import (
	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

// platformAt returns the machine whose platform is at an address; nil if it is none.
func (c *crossing) platformAt(at attestation.Address) *[32]byte {
	for _, id := range c.machines {
		if c.platforms[id] == at {
			return &id
		}
	}
	return nil
}

// check is what holds at every moment.
func (c *crossing) check() {
	root := c.registry()
	if err := root.Check(); err != nil {
		c.t.Error(err)
	}
	if b := c.Balance(c.root).Uint64(); b < MinKept-storageDue {
		c.t.Errorf("of the registry's coins %d are left", b)
	}
	for _, d := range c.nodes {
		d.checkBook()
		if d.live() {
			d.checkSlot()
			d.checkListed(root)
			if s := d.state(); s.Stake < c.start.Params.MinStake {
				c.t.Errorf("epoch %d is live with a stake of %d", s.Epoch, s.Stake)
			}
		}
	}
	c.checkMachines(root)
	c.checkVerifiers(root)
}

// checkBook demands that a node owes what its book says, and has it.
func (d *dweller) checkBook() {
	s := d.state()
	var owed uint64
	for _, c := range s.Book.Credits {
		owed += c
	}
	for _, c := range s.Book.Challenges {
		owed += c.Bond
	}
	if owed != s.Owed {
		d.t.Errorf("a node says that it owes %d, its book says %d", s.Owed, owed)
	}
	if b := d.Balance(d.node).Uint64(); b < s.Protected() {
		d.t.Errorf("a node holds %d and owes %d", b, s.Protected())
	}
	if d.honest && len(s.Book.Settled) != 0 {
		d.t.Errorf("an honest node paid for %d faults", len(s.Book.Settled))
	}
}

// checkSlot demands that a live node has a slot for as long as it is live, by its
// registration or by one that it asked for since.
func (d *dweller) checkSlot() {
	s := d.state()
	p := d.c.machineState(s.Current.Check.PlatformID)
	if slot, ok := p.Holders[d.node]; !ok || slot.LT < s.Current.LT || slot.Expires < s.Expires {
		d.t.Errorf("epoch %d is live until %d, its slot is %+v", s.Epoch, s.Expires, slot)
	}
}

// checkListed demands that a live node is on the list, until its end at least; or
// that Root's no to it is on its way.
func (d *dweller) checkListed(root *RootState) {
	s := d.state()
	if entry, ok := root.Nodes[d.node]; ok && entry.Expires >= s.Expires {
		return
	}
	for _, f := range d.OnRoute(tvmtest.Route{From: d.root, To: d.node}) {
		if m, err := ParseCurrentChecked(f.Body); err == nil && m.Code != 0 && m.LT == s.Current.LT {
			return
		}
	}
	d.t.Errorf("epoch %d is live until %d, its entry in the list is %+v", s.Epoch, s.Expires, root.Nodes[d.node])
}

// checkMachines demands that platforms know whether they are revoked, unless the
// word is on its way; and that no slot is given for longer than a registration.
func (c *crossing) checkMachines(root *RootState) {
	for _, id := range c.machines {
		p := c.machineState(id)
		if p == nil || p.Node == (CodeID{}) {
			continue
		}
		if p.Revoked != root.Revoked[id] && len(c.OnRoute(tvmtest.Route{From: c.root, To: c.platforms[id]})) == 0 {
			c.t.Errorf("the platform is revoked: %v, the registry says %v", p.Revoked, !p.Revoked)
		}
		for node, slot := range p.Holders {
			if slot.Expires > c.Now+30*day {
				c.t.Errorf("%s holds a slot until %d", c.nameOf(node), slot.Expires)
			}
		}
	}
}

// checkVerifiers demands that each holds what it owes, and that Root counts only
// those who have a stake, unless the word of its end is on its way.
func (c *crossing) checkVerifiers(root *RootState) {
	for i := range c.verifier {
		s, a := c.stakeOf(i), c.verifiersAt[i]
		var owed uint64
		for _, n := range s.Credits {
			owed += n
		}
		if owed != s.Owed || c.Balance(a).Uint64() < s.Stake+s.Owed {
			c.t.Errorf("verifier %d holds %d: %+v", i, c.Balance(a), s)
		}
		if root.Verifiers == nil {
			continue
		}
		_, counted := root.Verifiers.Quorum.Keys[uint8(i)]
		if counted {
			c.counted[i] = c.Now
		}
		if may := s.Leaving == 0 && s.Stake >= root.Params.MinStake; counted && !may && len(c.OnRoute(tvmtest.Route{From: a, To: c.root})) == 0 {
			c.t.Errorf("Root counts verifier %d: %+v", i, s)
		}
	}
}
