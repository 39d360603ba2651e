package contracts

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

// crossing is a town whose messages wait until a step delivers them.
type crossing struct {
	*fixture
	carrier
	story *strings.Builder
	names map[attestation.Address]string

	deliveries int  // of 100 steps
	closing    bool // nobody begins anything new

	nodes            []*dweller
	machines         [][32]byte
	platforms        map[[32]byte]attestation.Address
	verifiersAt      []attestation.Address
	counted          map[int]uint32 // when Root counted a verifier last
	readRoot         cached[*RootState]
	readMachines     map[[32]byte]*cached[*PlatformState]
	readVerifiers    []cached[*VerifierState]
	client, attacker *tvmtest.Actor
	jury, shifty     *tvmtest.Actor // who stake for verifiers 0-2 and 3
	messages         map[*tvmtest.Actor]uint64
	sent             []*cell.Cell     // bodies that anybody sent, for replays
	between          []tvmtest.Flight // messages between contracts, and from outside
	evidence         []evidence
	due              map[string]func(tvmtest.Delivery, *NodeState) // what must come of a message, by sender and body
	asked            []*question
	done             map[string]uint32 // when a duty was done last
}

// dweller is a node of the town.
type dweller struct {
	*resident
	c     *crossing
	name  string
	same  *attestation.Heads // of its last boot
	boots byte
	flees bool

	before map[uint32]uint64 // what it had lost when an epoch began

	challenged map[[32]byte]uint32 // epochs of receipts that the client asked for

	read cached[*NodeState]
}

// cached is what was read of a contract's data.
type cached[T any] struct {
	data  *cell.Cell
	state T
}

// of returns the state that data hold. It must not be changed.
func (r *cached[T]) of(data *cell.Cell, parse func() T) T {
	if data != r.data {
		r.data, r.state = data, parse()
	}
	return r.state
}

// Machines of the town. Nobody has deployed the last one's platform.
var (
	machineSNP  = [32]byte{0xee}
	machineNew  = [32]byte{0xdd}
	snpMachines = [][32]byte{machineSNP, machineNew}
)

// newCrossing makes a town with a registry whose times are short beside what
// messages may wait.
func newCrossing(t *probe, seed uint64, story *strings.Builder) *crossing {
	f := newFixture(t, withPlatforms, slots(2), snpListed, func(s *RootState) {
		p := &s.Params
		p.AnswerWindow, p.Unbonding, p.GovernanceDelay, p.RegistrationValidity = day, 2*day+1200, 2*day+1201, 8*3600
	})
	c := &crossing{
		fixture: f, carrier: carrier{world: f.World, seed: seed, rng: rand.New(rand.NewPCG(seed, 1))}, story: story,
		names: map[attestation.Address]string{{}: "outside", f.root: "Root", f.anybody.Address: "anybody"},
		due:   map[string]func(tvmtest.Delivery, *NodeState){}, done: map[string]uint32{}, messages: map[*tvmtest.Actor]uint64{},
		platforms: map[[32]byte]attestation.Address{}, readMachines: map[[32]byte]*cached[*PlatformState]{},
		counted: map[int]uint32{},
	}
	c.longest = []uint32{60, 300, 900, 3600, 3 * 3600}[c.rng.IntN(5)]
	c.deliveries, c.slow = 30+c.rng.IntN(45), c.rng.Uint64N(50)
	c.client, c.attacker = c.actor("client", initialCoins), c.actor("attacker", 10*initialCoins)
	c.jury, c.shifty = c.actor("jury", 10*initialCoins), c.actor("shifty", initialCoins)
	for i := range f.verifier {
		c.stakeVerifier(i, c.stakesFor(i), c.start.Params.MinStake, 0)
		a, _ := c.verifierAt(i)
		c.names[a] = "Verifier " + string(rune('0'+i))
		c.verifiersAt = append(c.verifiersAt, a)
	}
	c.readVerifiers = make([]cached[*VerifierState], len(f.verifier))
	c.machines = [][32]byte{machineSNP, f.platformID(), machineNew}
	for i, id := range c.machines {
		a, _, err := PlatformAddress(c.root, id)
		if err != nil {
			t.Fatal(err)
		}
		c.names[a] = []string{"Platform snp", "Platform tdx", "Platform new"}[i]
		c.platforms[id], c.readMachines[id] = a, new(cached[*PlatformState])
	}
	town := &town{fixture: c.fixture, jury: c.jury}
	town.deployPlatforms(machineSNP, f.platformID())
	c.settle(town, "honest", true, machineSNP)
	c.settle(town, "quoting", true, f.platformID())
	c.settle(town, "moving", true, machineSNP)
	c.settle(town, "bad", false, machineSNP)
	c.settle(town, "rogue", false, f.platformID())
	c.arrive, c.duties, c.beat = c.deliver, c.allDuties, c.Now+1800
	c.Hold()
	return c
}

func (c *crossing) actor(name string, nano uint64) *tvmtest.Actor {
	a := c.Actor(name, nano)
	c.names[a.Address] = name
	return a
}

// stakesFor returns who stakes for a verifier.
func (c *crossing) stakesFor(i int) *tvmtest.Actor {
	if i == len(c.verifier)-1 {
		return c.shifty
	}
	return c.jury
}

// settle adds a node that is registered.
func (c *crossing) settle(w *town, name string, honest bool, machine [32]byte) {
	r := w.resident(name, machine)
	r.honest = honest
	c.names[r.node], c.names[r.operator.Address] = "Node "+name, name
	c.nodes = append(c.nodes, &dweller{resident: r, c: c, name: name, before: map[uint32]uint64{1: 0}, challenged: map[[32]byte]uint32{}})
}

func (c *crossing) dwellerAt(a attestation.Address) *dweller {
	for _, d := range c.nodes {
		if d.node == a {
			return d
		}
	}
	return nil
}

// state is the node's state now.
func (d *dweller) state() *NodeState { return d.read.of(d.Data(d.node), d.nodeState) }

// registry is Root's state now.
func (c *crossing) registry() *RootState { return c.readRoot.of(c.Data(c.root), c.rootState) }

// machineState is the state of a machine's platform; nil if there is none.
func (c *crossing) machineState(machine [32]byte) *PlatformState {
	at := c.platforms[machine]
	data := c.Data(at)
	if data == nil {
		return nil
	}
	return c.readMachines[machine].of(data, func() *PlatformState { return c.platformState(at) })
}

// stakeOf is the state of a verifier's contract.
func (c *crossing) stakeOf(i int) *VerifierState {
	return c.readVerifiers[i].of(c.Data(c.verifiersAt[i]), func() *VerifierState { return c.verifierState(i) })
}

func (d *dweller) live() bool {
	s := d.state()
	return s.Status == StatusActive && d.Now < s.Expires
}

// send has a party send a message. Nobody sends what he does not have.
func (c *crossing) send(from *tvmtest.Actor, to attestation.Address, value uint64, m bodyMaker) *cell.Cell {
	b := mustBody(c.t, m)
	c.sendBody(from, to, value, b, nil)
	return b
}

func (c *crossing) sendBody(from *tvmtest.Actor, to attestation.Address, value uint64, b, stateInit *cell.Cell) {
	c.sent = append(c.sent, b)
	c.messages[from]++
	c.tell("%s sends to %s", c.nameOf(from.Address), c.nameOf(to))
	from.Send(tvmtest.Message{To: to, Value: min(value, from.Balance.Uint64()), Bounce: true, Body: b, StateInit: stateInit})
}

// wait reports whether a duty was done less than some time ago; else it is now.
func (c *crossing) wait(duty string, time uint32) bool {
	if last, ok := c.done[duty]; ok && c.Now < last+time {
		return true
	}
	c.done[duty] = c.Now
	return false
}

// sorted returns the keys of a map in a fixed order.
func sorted[K comparable, V any](m map[K]V, less func(a, b K) int) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, less)
	return keys
}

func compareIDs(a, b [32]byte) int { return slices.Compare(a[:], b[:]) }

func compareNumbers[T cmp.Ordered](a, b T) int { return cmp.Compare(a, b) }
