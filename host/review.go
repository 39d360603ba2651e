package host

import (
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/registry"
)

// Review is a proposal as the registry that it is for sees it now: what its
// approvers have to know.
type Review struct {
	*Proposal
	Digest  string   `json:"digest"` // hexadecimal: what approvals sign
	Effect  *Effect  `json:"effect"`
	Waits   bool     `json:"waits"` // for the governance delay
	From    string   `json:"executable_from,omitempty"`
	Until   string   `json:"executable_until,omitempty"` // both if it were submitted now
	Signers []Signer `json:"signers"`
	Needed  int      `json:"needed"`            // valid approvals
	Problem string   `json:"problem,omitempty"` // why it can't be submitted, approvals apart

	problem error
}

// Signer is a governor whose approval a proposal has.
type Signer struct {
	Number uint8  `json:"number"`
	Key    string `json:"key"`   // hexadecimal
	Valid  bool   `json:"valid"` // false: it is over other words, or of another key
}

// Err returns why the proposal can't be submitted, missing approvals apart.
func (r *Review) Err() error { return r.problem }

// Valid returns the number of approvals that hold.
func (r *Review) Valid() (n int) {
	for _, s := range r.Signers {
		if s.Valid {
			n++
		}
	}
	return n
}

// Review looks at a proposal with the registry's proved record, on the chain with
// this id.
func (p *Proposal) Review(root *registry.Root, chainID int32) (*Review, error) {
	d, digest, err := p.digest()
	if err != nil {
		return nil, err
	}
	approvals, err := p.approvals()
	if err != nil {
		return nil, err
	}
	r := &Review{
		Proposal: p, Digest: hex.EncodeToString(digest[:]), Effect: Explain(d.Action, root.State), Waits: !contracts.Tightens(d.Action),
		Needed: int(root.State.Governance.Threshold), Signers: []Signer{},
	}
	if r.Waits {
		delay := time.Duration(root.State.Params.GovernanceDelay) * time.Second
		r.From = root.At.Time.Add(delay).UTC().Format(time.RFC3339)
		r.Until = root.At.Time.Add(delay + contracts.ExecuteWindow*time.Second).UTC().Format(time.RFC3339)
	}
	for _, i := range slices.Sorted(maps.Keys(approvals)) {
		k, s := root.State.Governance.Keys[i], approvals[i]
		r.Signers = append(r.Signers, Signer{i, keyText(root.State.Governance, i), ed25519.Verify(k[:], digest[:], s[:])})
	}
	if r.problem = p.problem(root, chainID, r); r.problem != nil {
		r.Problem = r.problem.Error()
	}
	return r, nil
}

func (p *Proposal) problem(root *registry.Root, chainID int32, r *Review) error {
	if err := p.CheckChain(chainID); err != nil {
		return err
	}
	if err := p.checkRoot(root); err != nil {
		return err
	}
	var bad []string
	for _, s := range r.Signers {
		if !s.Valid {
			bad = append(bad, fmt.Sprint(s.Number))
		}
	}
	if len(bad) > 0 {
		return attestation.False("the approval of key %s does not hold: it was given for other words than these", strings.Join(bad, ", "))
	}
	if r.Effect.Refused != 0 && !r.Waits {
		return foreseen(r.Effect.Refused, "the registry has nothing of the kind to change")
	}
	return nil
}

// checkRoot compares a proposal with the registry that it is for.
func (p *Proposal) checkRoot(root *registry.Root) error {
	next := root.State.NextProposal
	switch {
	case root.Address != p.Registry:
		return attestation.BadInput("the proposal is for registry %v, this is %v", p.Registry, root.Address)
	case p.Number < next:
		if _, waits := root.State.Proposals[p.Number]; waits {
			return attestation.ChainDisagrees("the registry has taken a proposal %d, which waits for its delay; the next is %d", p.Number, next)
		}
		return attestation.ChainDisagrees("the registry has carried out or dropped a proposal %d; the next is %d: propose it again if it was another", p.Number, next)
	case p.Number > next:
		return attestation.ChainDisagrees("the registry's next proposal is %d, this is %d: propose it again", next, p.Number)
	case !root.At.Time.Before(p.Expires):
		return attestation.Refused("the proposal expired at %s: propose it again", p.Expires.UTC().Format(time.RFC3339))
	}
	return nil
}

// CheckGovernor reports why a key is not one of those that decide.
func CheckGovernor(q contracts.Quorum, key ed25519.PrivateKey) error {
	pub := [32]byte(key.Public().(ed25519.PublicKey))
	for _, k := range q.Keys {
		if k == pub {
			return nil
		}
	}
	return attestation.BadInput("the key with public part %x is not one of the registry's %d governors", pub, len(q.Keys))
}

// checkExecute foresees why a registry would not carry out a proposal.
func checkExecute(root *registry.Root, number uint32) error {
	p, waits := root.State.Proposals[number]
	switch {
	case number >= root.State.NextProposal:
		return foreseen(contracts.CodeProposalNumber, "there is no proposal %d yet, the next is %d", number, root.State.NextProposal)
	case !waits:
		return foreseen(contracts.CodeProposalNumber, "proposal %d does not wait: it was carried out at once or executed, or it was withdrawn", number)
	case root.At.Time.Unix() < int64(p.ExecuteAfter):
		return foreseen(contracts.CodeTooEarly, "proposal %d may be executed from %s", number, time.Unix(int64(p.ExecuteAfter), 0).UTC().Format(time.RFC3339))
	case root.At.Time.Unix() >= int64(p.ExecuteBefore):
		return nil // it is removed
	}
	a, err := contracts.ParseAction(p.Action)
	if err != nil {
		return errors.Join(attestation.ChainDisagrees("the action of proposal %d can't be read", number), err)
	}
	if e := Explain(a, root.State); e.Refused != 0 {
		return foreseen(e.Refused, "the registry has nothing of the kind to change")
	}
	return nil
}
