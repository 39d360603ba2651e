package host

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/registry"
)

// Effects of a recheck.
const (
	EffectEnds    = "ends"    // today's policy refuses the registration: it ends, and slot and place on the list are free
	EffectClears  = "clears"  // the registration is over: slot and place on the list are freed
	EffectLists   = "lists"   // the registration holds, and the node gets its place on the list
	EffectNone    = "none"    // nothing changes
	EffectWaits   = "waits"   // a registration is being confirmed: the contract refuses
	EffectUnknown = "unknown" // the node's record can't be had
)

// Foreseen is what a recheck of a node would do, by proved state.
type Foreseen struct {
	Node   attestation.Address `json:"node"`
	Effect string              `json:"effect"`          // one of the Effect constants
	Reason string              `json:"reason"`          // in words
	Code   int                 `json:"code"`            // of the registry's policy; 0: it accepts
	Error  string              `json:"error,omitempty"` // why it is not known
}

// pays says whether a recheck is worth its fees.
func (f *Foreseen) pays() bool {
	return f.Effect == EffectEnds || f.Effect == EffectClears || f.Effect == EffectLists
}

// pendingTimeout is for how long a registration that waits keeps everything else out,
// in seconds (docs/spec/contracts-node.md, section 5).
const pendingTimeout = 600

// foresee says what a recheck of a node would do. holds says whether the node has a
// slot, which is looked at when the registration is over.
func foresee(root *registry.Root, rec *registry.Node, holds bool) Foreseen {
	f := Foreseen{Node: rec.Address, Effect: EffectNone}
	_, listed := root.State.Nodes[rec.Address]
	s := rec.State
	switch {
	case s.Pending != nil && rec.At.Time.Unix() < int64(s.Pending.RegisteredAt)+pendingTimeout:
		f.Effect, f.Reason = EffectWaits, "a registration waits for the registry's answer"
		return f
	case live(rec):
		f.Code = root.State.Judge(&s.Current.Check, s.Stake)
	}
	switch {
	case f.Code != 0:
		f.Effect, f.Reason = EffectEnds, "today's policy refuses it: "+contracts.ErrorName(f.Code)
	case live(rec) && !listed && len(root.State.Nodes) < contracts.MaxNodes:
		f.Effect, f.Reason = EffectLists, "today's policy accepts it, and the registry's list lacks it"
	case live(rec):
		f.Reason = "today's policy accepts it"
	case listed || holds:
		f.Effect, f.Reason = EffectClears, "its registration is over, and it is on the registry's list or holds a slot"
	case rec.Current == 0:
		f.Reason = "it was never registered"
	default:
		f.Reason = "its registration is over"
	}
	return f
}

// Foresee says what a recheck of a node would do.
func Foresee(ctx context.Context, r registry.Reader, root *registry.Root, node attestation.Address) (Foreseen, error) {
	rec, err := r.Node(ctx, node)
	if err != nil {
		return Foreseen{}, err
	}
	if rec.Root != root.Address {
		return Foreseen{}, attestation.BadInput("node %v is of registry %v, this is %v", node, rec.Root, root.Address)
	}
	holds, err := holdsSlot(ctx, r, root, rec)
	if err != nil {
		return Foreseen{}, err
	}
	return foresee(root, rec, holds), nil
}

// holdsSlot says whether a node whose registration is over has a slot still.
func holdsSlot(ctx context.Context, r registry.Reader, root *registry.Root, rec *registry.Node) (bool, error) {
	if rec.Current == 0 || live(rec) {
		return false, nil
	}
	slot, err := slotStatus(ctx, r, rec, root)
	if errors.Is(err, registry.ErrFrozen) {
		return false, nil // nobody's care
	}
	return err == nil && slot != nil && slot.Until != nil, err
}

// readers is how many records are read at once.
const readers = 8

// ForeseeAll says what a recheck of each node on the registry's list would do, in the
// list's order. A record that can't be had is [EffectUnknown]; then err says so too.
func ForeseeAll(ctx context.Context, r registry.Reader, root *registry.Root) ([]Foreseen, error) {
	out := make([]Foreseen, len(root.Nodes))
	errs := make([]error, len(root.Nodes))
	next := make(chan int)
	var wait sync.WaitGroup
	for range min(readers, len(root.Nodes)) {
		wait.Go(func() {
			for i := range next {
				out[i], errs[i] = Foresee(ctx, r, root, root.Nodes[i])
			}
		})
	}
	for i := range root.Nodes {
		next <- i
	}
	close(next)
	wait.Wait()
	for i, err := range errs {
		if err != nil {
			errs[i] = fmt.Errorf("node %v: %w", root.Nodes[i], err)
			out[i] = Foreseen{Node: root.Nodes[i], Effect: EffectUnknown, Error: err.Error(), Reason: "its record can't be had"}
		}
	}
	return out, errors.Join(errs...)
}

// Judges says whether an action can change what the registry says to registrations
// that it has confirmed.
func Judges(a contracts.Action) bool {
	switch a.(type) {
	case contracts.RemoveMeasurement, contracts.AddMeasurement, contracts.RemoveFloor, contracts.RaiseFloor, contracts.SetFloor,
		contracts.RemoveCAKey, contracts.RemoveVerifiers, contracts.RevokePlatform, contracts.SetParams:
		return true
	}
	return false
}

// Pruning is one message that takes nodes off the registry's list whose time there is
// over.
type Pruning struct {
	Start  attestation.Address   `json:"start"`
	Count  uint8                 `json:"count"`  // entries that are looked at
	Nodes  int                   `json:"nodes"`  // entries that leave
	Leaves []attestation.Address `json:"leaves"` // their nodes
}

// PlanPruning returns the messages that take all nodes off the list whose time there
// is over, none when there is none. A node's time on the list is longer than its
// registration: see [EffectClears] for those that are over.
func PlanPruning(root *registry.Root) (out []Pruning) {
	var last *Pruning
	seen := 0 // entries since the start of the last
	for _, a := range root.Nodes {
		seen++
		if !time.Unix(int64(root.State.Nodes[a].Expires), 0).Before(root.At.Time) {
			continue
		}
		if last == nil || seen > contracts.MaxPrune {
			out = append(out, Pruning{Start: a})
			last, seen = &out[len(out)-1], 1
		}
		last.Count = uint8(seen)
		last.Leaves = append(last.Leaves, a)
		last.Nodes++
	}
	return out
}
