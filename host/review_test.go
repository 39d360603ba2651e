package host

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/registry"
)

// reviewed is a registry with one governor, and a proposal for it.
func reviewed(t *testing.T) (*registry.Root, *Proposal, ed25519.PrivateKey) {
	t.Helper()
	pub, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	q, err := contracts.NewQuorum(1, pub)
	if err != nil {
		t.Fatal(err)
	}
	s := contracts.NewRoot(q, contracts.DefaultParams())
	s.Measurements[[32]byte{1}] = contracts.Measurement{Flags: contracts.MeasurementAccepted}
	s.NextProposal = 5
	at := time.Unix(1_800_000_000, 0)
	root := &registry.Root{Address: attestation.Address{Hash: [32]byte{9}}, State: s, At: chain.Block{Time: at}}
	p := &Proposal{Registry: root.Address, ChainID: -3, Number: 5, Expires: at.Add(time.Hour), Action: "remove-measurement", Value: one()}
	return root, p, key
}

func TestReview(t *testing.T) {
	var (
		bad      *attestation.InputError
		false_   *attestation.FalseError
		refused  *attestation.RefusedError
		disagree *attestation.ChainError
	)
	for name, tt := range map[string]struct {
		change func(*registry.Root, *Proposal)
		family any
		says   string
	}{
		"good":             {func(*registry.Root, *Proposal) {}, nil, ""},
		"another chain":    {func(_ *registry.Root, p *Proposal) { p.ChainID = -239 }, &disagree, "is for chain -239, this is chain -3"},
		"another registry": {func(r *registry.Root, _ *Proposal) { r.Address.Hash[0]++ }, &bad, "is for registry 0:09"},
		"carried out":      {func(r *registry.Root, _ *Proposal) { r.State.NextProposal++ }, &disagree, "has carried out or dropped a proposal 5"},
		"waits already": {func(r *registry.Root, _ *Proposal) {
			r.State.NextProposal++
			r.State.Proposals[5] = contracts.Proposal{}
		}, &disagree, "which waits for its delay"},
		"too early":           {func(r *registry.Root, _ *Proposal) { r.State.NextProposal-- }, &disagree, "next proposal is 4, this is 5"},
		"expired":             {func(r *registry.Root, p *Proposal) { r.At.Time = p.Expires }, &refused, "expired at 2027-01-15T09:00:00Z"},
		"nothing to remove":   {func(r *registry.Root, _ *Proposal) { delete(r.State.Measurements, [32]byte{1}) }, &refused, "ERR_NOT_FOUND"},
		"changed since":       {func(_ *registry.Root, p *Proposal) { p.Action = "remove-model" }, &false_, "approval of key 0 does not hold"},
		"of another governor": {func(r *registry.Root, _ *Proposal) { r.State.Governance.Keys[0] = [32]byte{1} }, &false_, "approval of key 0 does not hold"},
	} {
		t.Run(name, func(t *testing.T) {
			root, p, key := reviewed(t)
			if err := p.Sign(root.State.Governance, key); err != nil {
				t.Fatal(err)
			}
			tt.change(root, p)
			r, err := p.Review(root, -3)
			if err != nil {
				t.Fatal(err)
			}
			if tt.family == nil {
				if r.Err() != nil || r.Valid() != 1 || r.Needed != 1 || r.Waits || len(r.Effect.Changes) != 1 {
					t.Errorf("%+v, %v", r, r.Err())
				}
				return
			}
			if r.Err() == nil || !errors.As(r.Err(), tt.family) || !strings.Contains(r.Err().Error(), tt.says) || r.Problem != r.Err().Error() {
				t.Errorf("%v, want %q", r.Err(), tt.says)
			}
		})
	}
}

// TestReviewWaits: what loosens says when.
func TestReviewWaits(t *testing.T) {
	root, p, _ := reviewed(t)
	p.Action = "add-measurement"
	r, err := p.Review(root, -3)
	if err != nil || !r.Waits || r.From != "2027-01-25T08:00:00Z" || r.Until != "2027-02-24T08:00:00Z" || r.Err() != nil {
		t.Errorf("%+v, %v", r, err)
	}
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var v map[string]any
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	for _, k := range []string{"registry", "chain_id", "number", "expires", "action", "value", "digest", "effect", "waits", "executable_from", "executable_until", "signers", "needed"} {
		if _, ok := v[k]; !ok {
			t.Errorf("no %q in the JSON", k)
		}
	}
}

func TestCheckGovernor(t *testing.T) {
	root, _, key := reviewed(t)
	if err := CheckGovernor(root.State.Governance, key); err != nil {
		t.Error(err)
	}
	_, other, _ := ed25519.GenerateKey(nil)
	var bad *attestation.InputError
	if err := CheckGovernor(root.State.Governance, other); !errors.As(err, &bad) {
		t.Errorf("a stranger: %v", err)
	}
}

func TestCheckExecute(t *testing.T) {
	root, _, _ := reviewed(t)
	now := uint32(root.At.Time.Unix())
	c, err := contracts.ActionCell(contracts.RestorePlatform{PlatformID: [32]byte{1}})
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		number  uint32
		p       contracts.Proposal
		revoked bool
		code    int
	}{
		"due":               {3, contracts.Proposal{ExecuteAfter: now, ExecuteBefore: now + 1, Action: c}, true, 0},
		"nothing to change": {3, contracts.Proposal{ExecuteAfter: now, ExecuteBefore: now + 1, Action: c}, false, contracts.CodeNotFound},
		"over: removed":     {3, contracts.Proposal{ExecuteAfter: now - 1, ExecuteBefore: now, Action: c}, false, 0},
		"too early":         {3, contracts.Proposal{ExecuteAfter: now + 1, ExecuteBefore: now + 2, Action: c}, true, contracts.CodeTooEarly},
		"done":              {2, contracts.Proposal{Action: c}, true, contracts.CodeProposalNumber},
		"not yet":           {5, contracts.Proposal{Action: c}, true, contracts.CodeProposalNumber},
	} {
		root.State.Proposals = map[uint32]contracts.Proposal{3: tt.p}
		root.State.Revoked = map[[32]byte]bool{}
		if tt.revoked {
			root.State.Revoked[[32]byte{1}] = true
		}
		err := checkExecute(root, tt.number)
		if tt.code == 0 {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		wantRefusal(t, err, tt.code, true, "")
	}
}

// TestForeseenCostsNothing: what the registry would refuse is not paid for.
func TestForeseenCostsNothing(t *testing.T) {
	o, n := testOperator(t)
	ctx := context.WithoutCancel(t.Context())
	before, err := o.Client.Account(ctx, o.Wallet())
	if err != nil {
		t.Fatal(err)
	}
	p, err := Propose(ctx, registry.Reader{Reader: o.Client}, n.Registry, "remove-model", one(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	root, err := o.Root(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Sign(root.State.Governance, n.Governor); err != nil {
		t.Fatal(err)
	}
	wantRefusal(t, o.Submit(ctx, p), contracts.CodeNotFound, true, "")
	wantRefusal(t, o.Execute(ctx, 1), contracts.CodeProposalNumber, true, "there is no proposal 1 yet")
	if after, err := o.Client.Account(ctx, o.Wallet()); err != nil || after.Balance.Cmp(before.Balance) != 0 {
		t.Errorf("it cost something: %v, %v", after, err)
	}
}
