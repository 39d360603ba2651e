package host

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/xssnick/tonutils-go/tlb"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/registry"
)

func TestForesee(t *testing.T) {
	node := attestation.Address{Hash: [32]byte{3}}
	for name, c := range map[string]struct {
		change func(*registry.Root, *registry.Node)
		holds  bool
		want   string
		code   int
	}{
		"accepted":             {want: EffectNone},
		"refused":              {change: func(r *registry.Root, _ *registry.Node) { r.State.Measurements = nil }, want: EffectEnds, code: contracts.CodeMeasurement},
		"too little":           {change: func(r *registry.Root, _ *registry.Node) { r.State.Params.MinStake = 8 }, want: EffectEnds, code: contracts.CodeStake},
		"refused and unlisted": {change: func(r *registry.Root, _ *registry.Node) { r.State.Measurements, r.State.Nodes = nil, nil }, want: EffectEnds, code: contracts.CodeMeasurement},
		"unlisted":             {change: func(r *registry.Root, _ *registry.Node) { clear(r.State.Nodes) }, want: EffectLists},
		"retired, listed":      {change: func(_ *registry.Root, n *registry.Node) { n.State.Status = contracts.StatusInactive }, want: EffectClears},
		"expired, listed":      {change: func(_ *registry.Root, n *registry.Node) { n.State.Expires = 1000 }, want: EffectClears},
		"retired, with a slot": {change: func(r *registry.Root, n *registry.Node) {
			clear(r.State.Nodes)
			n.State.Status = contracts.StatusInactive
		}, holds: true, want: EffectClears},
		"gone": {change: func(r *registry.Root, n *registry.Node) {
			clear(r.State.Nodes)
			n.State.Status = contracts.StatusInactive
		}, want: EffectNone},
		"expired, and refused": {change: func(r *registry.Root, n *registry.Node) {
			r.State.Measurements, n.State.Expires = nil, 1000
		}, want: EffectClears},
		"waits":        {change: func(_ *registry.Root, n *registry.Node) { n.State.Pending = &contracts.EpochRecord{RegisteredAt: 401} }, want: EffectWaits},
		"waited long":  {change: func(_ *registry.Root, n *registry.Node) { n.State.Pending = &contracts.EpochRecord{RegisteredAt: 400} }, want: EffectNone},
		"paused helps": {change: func(r *registry.Root, _ *registry.Node) { r.State.Paused = true }, want: EffectNone},
	} {
		r := &registry.Root{State: contracts.NewRoot(contracts.Quorum{}, contracts.Params{MinStake: 7})}
		r.State.Verifiers = &contracts.VerifierSet{}
		r.State.Measurements[[32]byte{1}] = contracts.Measurement{Flags: contracts.MeasurementAccepted}
		r.State.Nodes[node] = contracts.ListedNode{Expires: 5000}
		n := &registry.Node{Address: node, Current: 1, At: chain.Block{Time: time.Unix(1000, 0)}, State: &contracts.NodeState{
			Status: contracts.StatusActive, Expires: 1001, Stake: 7, Current: &contracts.EpochRecord{Check: contracts.Check{Kind: contracts.KindSNP, Measurement: [32]byte{1}}},
		}}
		if c.change != nil {
			c.change(r, n)
		}
		if f := foresee(r, n, c.holds); f.Effect != c.want || f.Code != c.code || f.Reason == "" || f.Node != node {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

func TestPlanPruning(t *testing.T) {
	at := func(i int) attestation.Address { return attestation.Address{Hash: [32]byte{byte(i >> 8), byte(i)}} }
	for name, c := range map[string]struct {
		n    int
		over func(i int) bool
		want string
	}{
		"none listed": {0, nil, "[]"},
		"none over":   {100, func(int) bool { return false }, "[]"},
		"one":         {100, func(i int) bool { return i == 50 }, "[50+1:1]"},
		"all":         {100, func(int) bool { return true }, "[0+40:40 40+40:40 80+20:20]"},
		"two apart":   {100, func(i int) bool { return i == 1 || i == 40 }, "[1+40:2]"},
		"too far":     {100, func(i int) bool { return i == 1 || i == 41 }, "[1+1:1 41+1:1]"},
	} {
		r := &registry.Root{At: chain.Block{Time: time.Unix(1000, 0)}, State: &contracts.RootState{Nodes: map[attestation.Address]contracts.ListedNode{}}}
		for i := range c.n {
			expires := uint32(1000) // it stays in its last second
			if c.over(i) {
				expires = 999
			}
			r.State.Nodes[at(i)] = contracts.ListedNode{Expires: expires}
			r.Nodes = append(r.Nodes, at(i))
		}
		got := []string{}
		for _, p := range PlanPruning(r) {
			if len(p.Leaves) != p.Nodes {
				t.Errorf("%s: %d of %d named", name, len(p.Leaves), p.Nodes)
			}
			got = append(got, fmt.Sprintf("%d+%d:%d", int(p.Start.Hash[0])<<8|int(p.Start.Hash[1]), p.Count, p.Nodes))
		}
		if s := fmt.Sprint(got); s != c.want {
			t.Errorf("%s: %s, want %s", name, s, c.want)
		}
	}
}

// revoke has the registry revoke the machine.
func (p *onePlatform) revoke(o *Operator) {
	p.Helper()
	ppid := p.net.Platform.PPID()
	p.decide(o, "revoke-platform", json.RawMessage(fmt.Sprintf("%q", fmt.Sprintf("%x", attestation.PlatformID("tdx", ppid[:])))))
	p.told(o)
}

// rechecksPaid counts the messages of this kind that a node got.
func (p *onePlatform) rechecksPaid(node attestation.Address) (n int) {
	p.Helper()
	acc := must(p.client.Account(p.Context(), node))
	for _, tx := range must(p.client.Transactions(p.Context(), acc, 256)) {
		in, ok := tx.In.Msg.(*tlb.InternalMessage)
		if body := in.Body.MustBeginParse(); ok && body.BitsLeft() >= 32 && body.MustLoadUInt(32) == 0xc0c00118 {
			n++
		}
	}
	return n
}

// TestRecheck: what a decision hits is found from the list, and ended once, by
// anybody; what holds costs nothing.
func TestRecheck(t *testing.T) {
	p := newOnePlatform(t)
	first, second, anybody := p.operator(0), p.operator(1), p.operator(2)
	p.register(first)
	p.register(second)
	recheck := func(o *Operator, node attestation.Address, effect string, code, paid int) {
		t.Helper()
		before := p.rechecksPaid(node)
		f, err := o.Recheck(t.Context(), node)
		if err != nil || f.Effect != effect || f.Code != code {
			t.Errorf("%+v, %v; want %s", f, err, effect)
		}
		if n := p.rechecksPaid(node) - before; n != paid {
			t.Errorf("%s: paid %d times, want %d", effect, n, paid)
		}
	}
	recheck(anybody, first.Node, EffectNone, 0, 0)
	p.revoke(first)
	all, err := ForeseeAll(t.Context(), registry.Reader{Reader: p.client}, must(first.Root(t.Context())))
	if err != nil || len(all) != 2 || all[0].Effect != EffectEnds || all[1].Code != contracts.CodeRevoked {
		t.Fatalf("%+v, %v", all, err)
	}
	for _, o := range []*Operator{first, second} {
		if r := must(o.Record(t.Context())); !live(r) {
			t.Errorf("the revocation alone has ended %v", r.Address)
		}
	}
	p.record(2) // slots
	recheck(anybody, first.Node, EffectEnds, contracts.CodeRevoked, 1)
	if r := must(first.Record(t.Context())); r.Status != "inactive" || len(must(first.Root(t.Context())).Nodes) != 1 {
		t.Errorf("after the recheck: %s", r.Status)
	}
	p.record(1) // slot
	recheck(anybody, first.Node, EffectNone, 0, 0)
	recheck(anybody, anybody.Node, EffectNone, 0, 0) // never registered

	// Interrupted when it has landed, and done again: paid once.
	dir := t.TempDir()
	o := life(t, anybody, p.net.Operator, dir, &crash{at: 3, after: true})
	if _, err := o.Recheck(t.Context(), second.Node); !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	o.Close()
	o = life(t, anybody, p.net.Operator, dir, &crash{})
	if _, err := o.Recheck(t.Context(), second.Node); err != nil {
		t.Fatal(err)
	}
	if r := must(second.Record(t.Context())); r.Status != "inactive" || p.rechecksPaid(second.Node) != 1 {
		t.Errorf("%s, paid %d times", r.Status, p.rechecksPaid(second.Node))
	}
	p.record(0)
	if _, err := anybody.Recheck(t.Context(), p.net.Registry); attestation.ExitCode(err) != 5 {
		t.Errorf("what is no node: %v", err)
	}
}

// TestOver: what is over by its time gives its slot back, and leaves the list, by a
// recheck at once, by pruning when its time there is over.
func TestOver(t *testing.T) {
	p := newOnePlatform(t)
	first, second := p.operator(0), p.operator(1)
	p.register(first)
	p.register(second)
	plan := func() []Pruning { return PlanPruning(must(first.Root(t.Context()))) }
	p.pass(31 * 24 * time.Hour)
	if len(plan()) != 0 {
		t.Errorf("nodes leave the list early: %+v", plan())
	}
	if f, err := second.Recheck(t.Context(), first.Node); err != nil || f.Effect != EffectClears {
		t.Errorf("%+v, %v", f, err)
	}
	if n := must(first.Root(t.Context())).Nodes; len(n) != 1 || n[0] != second.Node {
		t.Errorf("listed: %v", n)
	}
	p.pass(30 * 24 * time.Hour)
	ps := plan()
	if len(ps) != 1 || ps[0].Start != second.Node || ps[0].Count != 1 {
		t.Fatalf("plan: %+v", ps)
	}
	if err := first.Prune(t.Context(), ps[0]); err != nil {
		t.Fatal(err)
	}
	if n := must(first.Root(t.Context())).Nodes; len(n) != 0 || len(plan()) != 0 {
		t.Errorf("listed: %v", n)
	}
}
