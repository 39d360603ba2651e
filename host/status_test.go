package host

import (
	"encoding/json"
	"errors"
	"maps"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/registry"
)

var statusAt = time.Unix(1_800_000_000, 0).UTC()

// statusOfNode is that of an active node with nothing to worry about.
func statusOfNode(change func(*registry.Node, *registry.Root), balance int64, enclave *EnclaveState) *ChainStatus {
	operator := attestation.Address{Hash: [32]byte{2}}
	n := &registry.Node{
		Operator: operator, Status: "active", Stake: 5e9, Current: 3, Anchor: registry.Anchor{Size: 7, Time: statusAt.Add(-400 * time.Second)},
		Epochs: map[uint32]registry.Epoch{3: {Number: 3, RegisteredAt: statusAt.Add(-1000 * time.Second), Expires: statusAt.Add(20 * 24 * time.Hour)}},
		State:  &contracts.NodeState{Stake: 5e9, Owed: 1e9, Book: contracts.Book{Credits: map[attestation.Address]uint64{operator: 3e8, {}: 7e8}}},
		At:     chain.Block{Seqno: 77, Time: statusAt},
	}
	root := &registry.Root{MergeDelay: 600 * time.Second, MinStake: 1e9, State: contracts.NewRoot(contracts.Quorum{}, contracts.DefaultParams())}
	root.State.Nodes[n.Address] = contracts.ListedNode{}
	change(n, root)
	return statusOf(n, root, big.NewInt(balance), big.NewInt(4e9), enclave)
}

func none(*registry.Node, *registry.Root) {}

func TestStatusOf(t *testing.T) {
	s := statusOfNode(none, 7e9, nil)
	if s.Credits != 3e8 || s.Owed != 1e9 || s.Spare != 7e9-6e9-int64(contracts.NodeReserve) || s.Wallet != 4e9 || s.Lag != 0 || s.UnbondingAt != nil {
		t.Errorf("%+v", s)
	}
	for size, want := range map[uint64]float64{7: 0, 6: 0, 8: 400} {
		if s := statusOfNode(none, 7e9, &EnclaveState{Size: size}); s.Lag != want {
			t.Errorf("size %d: lag %f, want %f", size, s.Lag, want)
		}
	}
	// No anchor yet: the first receipt is not older than the registration.
	s = statusOfNode(func(n *registry.Node, _ *registry.Root) { n.Anchor = registry.Anchor{} }, 7e9, &EnclaveState{Size: 1})
	if s.Lag != 1000 {
		t.Errorf("lag %f", s.Lag)
	}
	s = statusOfNode(func(n *registry.Node, _ *registry.Root) {
		n.Status, n.State.Unbonding, n.State.Book.UnbondingAt = "inactive", 1, 1_800_000_100
	}, 5e9, nil)
	if s.Reserve != contracts.NodeReserveRetired || s.Spare >= 0 || s.UnbondingAt == nil || !s.UnbondingAt.Equal(statusAt.Add(100*time.Second)) {
		t.Errorf("%+v", s)
	}
}

func TestStatusErr(t *testing.T) {
	var disagrees *attestation.ChainError
	var refused *attestation.RefusedError
	for name, tt := range map[string]struct {
		change  func(*registry.Node, *registry.Root)
		enclave *EnclaveState
		family  any
	}{
		"good":             {none, &EnclaveState{Epoch: 3}, nil},
		"without enclave":  {none, nil, nil},
		"another epoch":    {none, &EnclaveState{Epoch: 2}, &disagrees},
		"inactive":         {func(n *registry.Node, _ *registry.Root) { n.Status = "inactive" }, &EnclaveState{Epoch: 3}, &refused},
		"never registered": {func(n *registry.Node, _ *registry.Root) { n.Status = "none" }, nil, &refused},
		"over":             {func(n *registry.Node, _ *registry.Root) { n.Epochs[3] = registry.Epoch{Expires: statusAt} }, nil, &refused},
	} {
		err := statusOfNode(tt.change, 7e9, nil).Err(tt.enclave)
		if (err == nil) != (tt.family == nil) || err != nil && !errors.As(err, tt.family) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAttention(t *testing.T) {
	challenge := func(until time.Duration) func(*registry.Node, *registry.Root) {
		return func(n *registry.Node, _ *registry.Root) {
			n.State.Book.Challenges = map[[32]byte]contracts.Challenge{{0xab}: {Deadline: uint32(statusAt.Add(until).Unix()), Loss: 9}}
		}
	}
	for name, tt := range map[string]struct {
		change  func(*registry.Node, *registry.Root)
		balance int64
		size    uint64
		want    string
	}{
		"nothing":            {none, 7e9, 0, ""},
		"not listed":         {func(n *registry.Node, r *registry.Root) { delete(r.State.Nodes, n.Address) }, 7e9, 0, "does not list the node"},
		"a challenge":        {challenge(time.Hour), 7e9, 0, "challenge ab00000000000000 must be answered within 1h0m0s, or it costs 0.000000009 coins of stake"},
		"a lost challenge":   {challenge(-time.Second), 7e9, 0, "was not answered in time"},
		"no anchor for long": {none, 7e9, 9, "the last one was 400 s ago"},
		"little money":       {none, 6e9 + int64(contracts.NodeReserve) + 5*anchorCost, 0, "about 5 more anchors"},
		"no money":           {none, 5e9, 0, "about 0 more anchors"},
		"little stake":       {func(_ *registry.Node, r *registry.Root) { r.MinStake = 6e9 }, 7e9, 0, "the registry wants 6"},
		"soon over": {func(n *registry.Node, _ *registry.Root) {
			n.Epochs[3] = registry.Epoch{Expires: statusAt.Add(time.Hour)}
		}, 7e9, 0, "ends in 1h0m0s"},
	} {
		got := statusOfNode(tt.change, tt.balance, &EnclaveState{Size: tt.size}).Attention()
		if tt.want == "" && len(got) > 0 || tt.want != "" && (len(got) != 1 || !strings.Contains(got[0], tt.want)) {
			t.Errorf("%s: %q", name, got)
		}
	}
	for name, p := range map[string]SlotStatus{"revoked this machine": {Revoked: true}, "no slot": {}} {
		s := statusOfNode(none, 7e9, nil)
		s.Platform = &p
		if got := s.Attention(); len(got) != 1 || !strings.Contains(got[0], name) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// TestReadStatus reads a registered node with a slot from a dev chain; its JSON
// keys are an interface.
func TestReadStatus(t *testing.T) {
	p := newOnePlatform(t)
	o := p.operator(0)
	p.register(o)
	s, err := ReadStatus(t.Context(), p.client, o.Node, nil)
	if err != nil {
		t.Fatal(err)
	}
	if s.Status != "active" || s.Platform == nil || s.Platform.Until == nil || s.Platform.Held != 1 || s.Platform.Limit != 2 || s.Err(nil) != nil || s.Balance == 0 || s.Wallet == 0 {
		t.Errorf("%+v, %+v", s, s.Platform)
	}
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var v map[string]any
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"anchor_size", "anchor_time", "balance_nano", "block", "block_time", "challenges", "credits_nano", "endpoint", "epoch", "expires", "lag_seconds", "listed", "merge_delay_seconds",
		"min_stake_nano", "operator", "owed_nano", "platform", "price_completion_nano_per_million", "price_prompt_nano_per_million", "registered_at", "registry", "reserve_nano", "spare_nano", "stake_nano", "status", "unbonding_nano", "wallet_nano",
	}
	if got := slices.Sorted(maps.Keys(v)); !slices.Equal(got, want) {
		t.Errorf("keys %q", got)
	}
	if _, err := ReadStatus(t.Context(), p.client, p.net.Registry, nil); err == nil {
		t.Error("a registry has the status of a node")
	}
	if _, err := ReadStatus(t.Context(), p.client, attestation.Address{}, nil); !errors.Is(err, registry.ErrNoContract) {
		t.Errorf("no contract: %v", err)
	}
}
