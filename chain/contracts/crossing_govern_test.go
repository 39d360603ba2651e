package contracts

import "fmt"

// decide has governance tighten, loosen, or change its mind. What was tightened is
// soon proposed to be loosened again.
func (c *crossing) decide() {
	root := c.registry()
	if a := c.nextAction(root); a != nil {
		c.tell("governance decides %T%+v", a, a)
		c.send(c.anybody, c.root, ValueGovern, c.approved(c.decision(a)))
	}
}

// keep is what anybody does who cares for the registry: carries out proposals whose
// time has come, tells platforms of a new number of slots, and asks about nodes
// that the lists do not hold for any more.
func (c *crossing) keep() {
	root := c.registry()
	for _, n := range sorted(root.Proposals, compareNumbers[uint32]) {
		if c.Now >= root.Proposals[n].ExecuteAfter && !c.wait(fmt.Sprint("execute ", n), 3*3600) {
			c.tell("proposal %d is carried out", n)
			c.send(c.anybody, c.root, ValueGovern, &Execute{Number: n})
		}
	}
	for i, id := range c.machines {
		if p := c.machineState(id); p != nil && p.Slots != root.Params.PlatformSlots && !c.wait(fmt.Sprint("renew ", i), 3600) {
			c.send(c.anybody, c.platforms[id], ValueRenew, &RenewPlatform{})
		}
	}
	for _, d := range c.nodes {
		if d.live() && d.listed(root, false) != 0 && !c.wait("recheck "+d.name, 1200) {
			c.send(c.anybody, d.node, ValueCheck, &Recheck{})
		}
	}
}

// nextAction picks what governance does next; nil for nothing.
func (c *crossing) nextAction(root *RootState) Action {
	if a := c.repair(root); a != nil && c.rng.IntN(3) != 0 {
		return a
	}
	info := c.nodes[1].says
	floor, hasFloor := root.Floors[info.FMSPC]
	which := c.rng.IntN(13)
	if which < 6 && c.rng.IntN(4) != 0 {
		return nil // else nobody is registered for most of the time
	}
	switch which {
	case 0:
		return RevokePlatform{c.machines[c.rng.IntN(len(c.machines))]}
	case 1:
		if floor.CPUSVN[3] < 250 && hasFloor {
			floor.CPUSVN[3]++
			return RaiseFloor{info.FMSPC, floor}
		}
	case 2:
		if hasFloor {
			return RemoveFloor{info.FMSPC}
		}
	case 3:
		return RemoveMeasurement{snpMeasurement}
	case 4:
		return Pause{}
	case 5:
		if root.Verifiers != nil {
			return RemoveVerifiers{}
		}
	case 6, 7, 8:
		return SetParams{c.otherParams()}
	case 9, 10:
		return SetVerifiers{c.nextSet(root)}
	case 12:
		return Sweep{To: c.attacker.Address, Keep: MinKept}
	case 11:
		for _, n := range sorted(root.Proposals, compareNumbers[uint32]) {
			return CancelProposal{n}
		}
	}
	return nil
}

// otherParams are parameters whose windows are the first ones' at least, for the
// honest know only those. Losses and least stake stay.
func (c *crossing) otherParams() Params {
	p := c.start.Params
	p.PlatformSlots = 1 + uint8(c.rng.IntN(3))
	p.RegistrationValidity = 3600 + c.rng.Uint32N(day)
	p.CheckFee = c.rng.Uint64N(MaxCheckFee + 1)
	p.ChallengeBond = MinChallengeBond + c.rng.Uint64N(mostBond-MinChallengeBond)
	p.AnchorInterval = 1 + c.rng.Uint32N(p.MergeDelay)
	more := c.rng.Uint32N(mostMore)
	p.Unbonding, p.AnswerWindow = p.Unbonding+more, p.AnswerWindow+more/2
	p.GovernanceDelay = p.Unbonding + 1 + c.rng.Uint32N(3600)
	return p
}

const (
	mostBond = 120_000_000 // nano
	mostMore = 6 * 3600    // s; of unbonding
)

func (c *crossing) nextSet(root *RootState) VerifierSet {
	v := VerifierSet{Number: max(root.LastSet, root.NextProposal) + 10}
	v.Quorum, _ = NewQuorum(2, publics(c.verifier)...)
	return v
}

// repair undoes what was tightened, as far as nobody has proposed it.
func (c *crossing) repair(root *RootState) Action {
	var wanted []Action
	if root.Paused {
		wanted = append(wanted, Resume{})
	}
	if root.Measurements[snpMeasurement].Flags == 0 {
		wanted = append(wanted, AddMeasurement{snpMeasurement, MeasurementAccepted})
	}
	info := c.nodes[1].says
	if f, ok := root.Floors[info.FMSPC]; !ok || f.judge(info.TCB) != 0 {
		wanted = append(wanted, SetFloor{info.FMSPC, FloorOf(info.TCB)})
	}
	for _, id := range c.machines {
		if root.Revoked[id] {
			wanted = append(wanted, RestorePlatform{id})
		}
	}
	if root.Verifiers == nil {
		wanted = append(wanted, SetVerifiers{c.nextSet(root)})
	}
	for _, a := range wanted {
		if !c.proposed(root, a) {
			return a
		}
	}
	return nil
}

// proposed reports whether a proposal of the same kind waits.
func (c *crossing) proposed(root *RootState, a Action) bool {
	for _, p := range root.Proposals {
		if b, err := ParseAction(p.Action); err == nil && b.tag() == a.tag() {
			return true
		}
	}
	return false
}
